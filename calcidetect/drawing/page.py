"""A page of panels: where each stands, and the page drawn by matplotlib, with everything but the films as outlines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from calcidetect.drawing.plane import Points
from calcidetect.drawing.shapes import Shape, line_of_text
from calcidetect.drawing.view import GreyPicture
from calcidetect.errors import ConfigError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PIXELS = 30_000
"""Along one side of a page; matplotlib refuses 65 536, and memory ends before."""

# As journals print figures: panel letters of about 10 points, small print of at least 6; capitals are 0.73 em.
_PANEL_LETTER_MM = 2.8
_SMALL_PRINT_MM = 1.5
_LARGEST_PRINT_SHARE = 0.05  # of a panel's height: print shrinks with small panels
_GAP_MM = 2.0
_LINE = 1.9  # from a line to the next, in units of the capitals' height
_HEIGHT_BOUNDS_MM = (10.0, 400.0)
_DPI_BOUNDS = (50, 1200)
_MM_PER_INCH = 25.4
_POINTS_PER_INCH = 72
_INK, _PALE_INK = "black", "0.35"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What a figure is printed on: resolution and height of its panels, and the sizes that follow from them."""

    dpi: int
    height_mm: float

    def __post_init__(self) -> None:
        low, high = _HEIGHT_BOUNDS_MM
        if not low <= self.height_mm <= high:
            raise ConfigError(
                f"The height of a panel must lie between {low:g} and {high:g} mm, got {self.height_mm:g}."
            )
        least, most = _DPI_BOUNDS
        if not least <= self.dpi <= most:
            raise ConfigError(f"The resolution must lie between {least} and {most} dpi, got {self.dpi}.")

    def px(self, mm: float) -> float:
        """Length in pixels of the page."""
        return mm * self.dpi / _MM_PER_INCH

    @property
    def rows(self) -> int:
        """Height of a panel in pixels."""
        return round(self.px(self.height_mm))

    @property
    def gap_px(self) -> int:
        """Distance between panels."""
        return round(self.px(_GAP_MM))

    @property
    def print_px(self) -> float:
        """Height of capitals in small print."""
        return self.px(min(_SMALL_PRINT_MM, _LARGEST_PRINT_SHARE * self.height_mm))

    @property
    def letter_px(self) -> float:
        """Height of a panel's letter."""
        return self.px(min(_PANEL_LETTER_MM, 2 * _LARGEST_PRINT_SHARE * self.height_mm))


class Panel(NamedTuple):
    """A film's picture, all that is drawn on it in pixels of the picture, and the text below."""

    picture: GreyPicture
    shapes: tuple[Shape, ...]
    text: str = ""


def draw_page(panels: Sequence[Panel], *, columns: int, notice: str, paper: Paper) -> Figure:
    """Draw rows of panels from the top left, each with its text below, and the notice at the bottom."""
    line = _LINE * paper.print_px
    placed: list[tuple[Panel, tuple[str, ...], int, int]] = []
    top = width = 0
    for row in (panels[k : k + columns] for k in range(0, len(panels), columns)):
        left = deepest = 0
        for panel in row:
            lines = _wrapped(panel.text, panel.picture.shape[1] / paper.print_px)
            placed.append((panel, lines, top, left))
            left, deepest = left + panel.picture.shape[1] + paper.gap_px, max(deepest, len(lines))
        top, width = top + paper.rows + paper.gap_px + round(line * deepest), max(width, left - paper.gap_px)
    figure, axes = _blank(width, top + round(line), dpi=paper.dpi)
    for panel, lines, row0, col0 in placed:
        _add_panel(axes, panel, np.array([row0, col0]))
        for k, text in enumerate(lines, start=1):
            _add_text(axes, text, np.array([row0 + paper.rows + k * line, col0]), size=paper.print_px, ink=_INK)
    size = min(paper.print_px, width / line_of_text(notice, bold=False)[1])
    _add_text(axes, notice, np.array([top + 0.7 * line, 0]), size=size, ink=_PALE_INK)
    return figure


def _wrapped(text: str, width: float) -> tuple[str, ...]:
    """Lines of at most `width` capital heights, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and line_of_text(longer, bold=False)[1] <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return tuple(lines)


def _blank(width: int, height: int, *, dpi: int) -> tuple[Figure, Axes]:
    """A page, and axes all over it, in its pixels, rows downwards."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - half a second, and only figures need it

    if max(width, height) > MOST_PIXELS:
        raise ConfigError(f"A page of {width} x {height} pixels is too large; take fewer films or columns, mm or dpi.")
    figure = Figure(figsize=(width / dpi, height / dpi), dpi=dpi, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
    axes.set_axis_off()
    return figure, axes


def _add_panel(axes: Axes, panel: Panel, corner: Points) -> None:
    rows, cols = panel.picture.shape
    top, left = corner
    extent = (left, left + cols, top + rows, top)
    axes.imshow(panel.picture, cmap="gray", vmin=0, vmax=255, extent=extent, aspect="auto", interpolation="none")
    for shape in panel.shapes:
        placed = [polygon + corner + 0.5 for polygon in shape.polygons]  # pixel centres to the page's pixel edges
        _add_polygons(axes, placed, ink="black", rim_px=shape.rim_px)
        _add_polygons(axes, placed, ink="white")


def _add_text(axes: Axes, text: str, start: Points, *, size: float, ink: str) -> None:
    """Write a line from the start of its baseline."""
    _add_polygons(axes, [start + size * glyph for glyph in line_of_text(text, bold=False)[0]], ink=ink)


def _add_polygons(axes: Axes, polygons: Iterable[Points], *, ink: str, rim_px: float = 0.0) -> None:
    from matplotlib.patches import PathPatch  # noqa: PLC0415
    from matplotlib.path import Path  # noqa: PLC0415

    paths = [Path(polygon[:, ::-1], closed=False) for polygon in polygons if len(polygon)]
    if paths:
        width = 2 * rim_px * _POINTS_PER_INCH / axes.figure.dpi
        path = Path.make_compound_path(*paths)
        axes.add_patch(PathPatch(path, facecolor=ink, edgecolor=ink, linewidth=width, joinstyle="round"))
