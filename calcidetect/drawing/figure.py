"""The figure of a case report: films side by side, lettered, equally high, with the same arrows as the overlay.

Each film becomes a plate: a picture of its exposed field, and what was found there. Plates that are laid out become the
panels of a page. matplotlib draws the page, so that arrows and letters stay outlines in SVG and PDF.
"""

from __future__ import annotations

import io
import math
import os
import string
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from calcidetect import writers
from calcidetect.arrays import FloatImage
from calcidetect.drawing.captions import caption
from calcidetect.drawing.layout import lay_out
from calcidetect.drawing.lettering import cover_cost
from calcidetect.drawing.overlay import NOTICE
from calcidetect.drawing.page import MOST_PIXELS, Panel, Paper, draw_page
from calcidetect.drawing.scene import Ground, box_of
from calcidetect.drawing.shapes import Shape, layout_shapes, text_polygons
from calcidetect.drawing.strokes import Box, LayoutStyle, Text, style_for
from calcidetect.drawing.view import (
    GreyPicture,
    display_window,
    exposed_part,
    in_view,
    obstacles,
    part_of,
    scale_bar,
    shown_part,
    sized,
    whole_film,
)
from calcidetect.errors import ConfigError, OutputError
from calcidetect.ops import resize_mask
from calcidetect.reading.readers import find_films
from calcidetect.types import Candidate, Scan

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".png", ".svg", ".pdf")
MOST_PANELS = len(string.ascii_uppercase)
HEIGHT_MM = 80.0
"""Height of a panel: two chest films then fill the width of a page."""
DPI = 300
"""What journals ask of photographs."""

_ONE_ROW = 3  # films that stand side by side; more stand in a square
_CORNERS = ("top left", "bottom left", "top right", "bottom right")
_NEXT_CORNER_COST = 0.3  # usual corner, unless another is freer by this share of bone


class _Plate(NamedTuple):
    """A film as it will be shown: `candidates` in pixels of the picture, `place` costs on any grid that spans it."""

    picture: GreyPicture
    candidates: tuple[Candidate, ...]
    place: FloatImage
    spacing_mm: float | None
    scale: tuple[float, str] | None
    caption: str


def draw_figure(
    scans: Iterable[Scan | None],
    *,
    columns: int | None = None,
    height_mm: float = HEIGHT_MM,
    dpi: int = DPI,
    captions: bool = False,
    crop: bool = True,
) -> Figure:
    """Draw films as the lettered panels of one figure.

    Parameters
    ----------
    scans
        What `calcidetect.scan` returned, taken one by one: of a generator, one film is held in memory at a time. For
        None a letter is left out.
    columns
        Panels in a row; without it, as many rows as look square, up to three films in one.
    height_mm
        Height of every panel in print.
    dpi
        Pixels per inch of print.
    captions
        Say below each panel what it shows: region, marks, letters; nothing that identifies a patient.
    crop
        Show the exposed field without shutters and frames.

    Returns
    -------
    matplotlib.figure.Figure
        A page with the note that it is not for diagnosis; `write_figure` writes it.

    Raises
    ------
    ConfigError
        For an impossible option, or when there is no film or more than the alphabet has letters.

    Examples
    --------
    >>> import calcidetect as cd
    >>> figure = draw_figure([cd.scan("chest.dcm"), cd.scan("wrists.png")])  # doctest: +SKIP
    """
    paper = Paper(dpi=dpi, height_mm=height_mm)
    if columns is not None and columns < 1:
        raise ConfigError(f"The number of columns must be 1 or more, got {columns}.")
    plates = [None if scan is None else _plate(scan, paper, crop=crop) for scan in scans]
    _check_count(len(plates))
    lettered = [(letter, plate) for letter, plate in zip(string.ascii_uppercase, plates, strict=False) if plate]
    if not lettered:
        raise ConfigError("A figure needs a film that was scanned.")
    corner = _free_corner([plate for _, plate in lettered], paper)
    panels = [_panel(plate, letter, corner=corner, captions=captions, paper=paper) for letter, plate in lettered]
    return draw_page(panels, columns=columns or _columns(len(panels)), notice=NOTICE, paper=paper)


def write_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as PNG, SVG or PDF, by the suffix of `path`; the same figure gives the same bytes.

    Raises
    ------
    ConfigError
        For another suffix.
    OutputError
        When the file can't be written.
    """
    _check_path(Path(path))
    from matplotlib import rc_context  # noqa: PLC0415 - half a second, and only figures need it

    form = Path(path).suffix.lower().removeprefix(".")
    undated: dict[str, Any] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[form]
    data = io.BytesIO()
    with rc_context({"svg.hashsalt": "calcidetect"}):
        figure.savefig(data, format=form, dpi=figure.dpi, metadata={"Title": NOTICE} | undated)
    writers.write_bytes(Path(path), data.getvalue())


def check_order(paths: Sequence[str], *, out: str) -> tuple[str, ...]:
    """List the films of a figure, in the order of its panels, before any work is done.

    Parameters
    ----------
    paths
        Films, folders and DICOMDIR files, as `readers.find_films` takes them.
    out
        Where the figure shall be written.

    Raises
    ------
    ConfigError
        For a film given twice, for more films than letters, and as `write_figure` does.
    ReadError
        When a folder holds no films.
    OutputError
        When there is no folder to write into.
    """
    _check_path(Path(out))
    films = [os.fspath(film) for path in paths for film in find_films([path])]
    _check_count(len(films))
    places = [os.path.realpath(film) for film in films]
    if twice := [film for k, film in enumerate(films) if places[k] in places[:k]]:
        raise ConfigError(f"{twice[0]} is given twice; a figure shows each film once.")
    if os.path.realpath(out) in places:
        raise ConfigError(f"{out} is one of the films; give the figure another name.")
    return tuple(films)


def _check_path(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"A figure's name must end in {', '.join(SUFFIXES)}, got {path.name!r}.")
    if not os.path.isdir(path.parent):
        raise OutputError(f"The folder {path.parent} of the figure doesn't exist; make it first.")
    if os.path.isdir(path):
        raise OutputError(f"{path} is a folder; give the figure another name.")


def _check_count(count: int) -> None:
    if not 1 <= count <= MOST_PANELS:
        raise ConfigError(f"A figure has 1 to {MOST_PANELS} panels, one for each letter; got {count} films.")


def _columns(count: int) -> int:
    return count if count <= _ONE_ROW else math.ceil(math.sqrt(count))


# --- panels -----------------------------------------------------------------------------------------------------------


def _plate(scan: Scan, paper: Paper, *, crop: bool) -> _Plate:
    grid = scan.radiograph.grid
    view = sized(exposed_part(scan) if crop else whole_film(grid.shape).part, rows=paper.rows)
    if view.shape[1] > MOST_PIXELS:
        raise ConfigError(
            f"{scan.report.source.path} is too wide for panels of {paper.height_mm:g} mm; make them lower."
        )
    field = resize_mask(scan.field.mask, grid.shape)
    return _Plate(
        picture=shown_part(display_window(scan.radiograph, field), view),
        candidates=in_view(scan.report.candidates, grid, view=view),
        place=part_of(obstacles(scan.field.mask, scan.anatomy.bone), view, grid=grid),
        spacing_mm=grid.spacing_mm and grid.spacing_mm / view.zoom[1],
        scale=scale_bar(grid, view),
        caption=caption(scan.report),
    )


def _panel(plate: _Plate, letter: str, *, corner: str, captions: bool, paper: Paper) -> Panel:
    shape = plate.picture.shape
    style = _style(plate, paper)
    name = Text(text=letter, box=_letter_box(corner, shape, paper), size_px=paper.letter_px)
    layout = lay_out(
        plate.candidates, shape=shape, obstacles=plate.place, style=style, taken=[name.box], scale=plate.scale
    )
    shapes = (*layout_shapes(layout, style), Shape(text_polygons(name), style.outline_px))
    return Panel(plate.picture, shapes, f"{letter}. {plate.caption}" if captions else "")


def _style(plate: _Plate, paper: Paper) -> LayoutStyle:
    """Equal sizes on every panel, whatever its width."""
    square = style_for((paper.rows, paper.rows), spacing_mm=plate.spacing_mm)
    return replace(square, text_px=paper.print_px)


def _free_corner(plates: Sequence[_Plate], paper: Paper) -> str:
    """The corner where panel letters cover least on all panels together."""

    def cost(corner: str) -> float:
        return sum(
            cover_cost(
                _widened(_letter_box(corner, plate.picture.shape, paper), paper.letter_px / 2),
                busy=[box_of(c) for c in plate.candidates],
                ground=Ground(plate.picture.shape, plate.place),
            )
            for plate in plates
        ) + _NEXT_CORNER_COST * len(plates) * _CORNERS.index(corner)

    return min(_CORNERS, key=cost)


def _widened(box: Box, margin: float) -> Box:
    """A letter right beside an R or L plate would be read with it."""
    return Box(box.row0 - margin, box.col0 - margin, box.row1 + margin, box.col1 + margin)


def _letter_box(corner: str, shape: tuple[int, ...], paper: Paper) -> Box:
    size = paper.letter_px
    margin = min(0.6 * size, shape[1] / 8)
    row = margin if corner.startswith("top") else shape[0] - 1 - margin - size
    col = margin if corner.endswith("left") else shape[1] - 1 - margin - size
    return Box(row, col, row + size, col + size)
