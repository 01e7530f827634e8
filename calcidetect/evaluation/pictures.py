"""Pictures of an evaluation that a person can judge: the FROC, and the worst misses and false marks as crops."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calcidetect.batch.names import as_utf8
from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.errors import OutputError, ReadError
from calcidetect.evaluation.figures import CURVE_AT, Curve
from calcidetect.evaluation.judged import JudgedDeposit, JudgedFilm
from calcidetect.evaluation.results import Pair, ScannedCandidate
from calcidetect.reading import readers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calcidetect.arrays import FloatImage
    from calcidetect.types import Radiograph

CROP_MM = 25.0
"""Least side of a crop: enough to see which joint it is."""

BOX_SHARE = 0.5
"""A box takes at most this share of its crop's side."""

FRAME_GAP_MM = 0.7
"""A box is drawn this much wider than it is, so that its line covers nothing."""

TILES, COLUMNS = 24, 6
"""Crops of a gallery, and how many of them stand side by side."""

TICKS = {1 / 8: "1/8", 1 / 4: "1/4", 1 / 2: "1/2", 1: "1", 2: "2", 4: "4", 8: "8", 16: "16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A place to show: its film, its box ``x0, y0, x1, y1`` in source pixels, the film's pitch, and its caption."""

    path: str
    box: tuple[int, int, int, int]
    mm_px: float
    caption: str


def draw_froc(curve: Curve, *, false_marks: float, sensitivity: float | None, path: Path) -> None:
    """Draw the curve with its 95 % band, and the operating point at `false_marks` a film."""
    figure = _figure(6.4, 4.8)
    axes = figure.add_subplot()
    axes.fill_between(
        CURVE_AT, curve.low, curve.high, step="post", color="tab:blue", alpha=0.2, lw=0, label="95 % of draws of films"
    )
    axes.plot(CURVE_AT, curve.sensitivity, drawstyle="steps-post", color="tab:blue", label="sensitivity")
    if sensitivity is not None:
        at = max(false_marks, CURVE_AT[0])  # a logarithmic axis has no 0
        label = f"operating point {OPERATING_POINT}: {sensitivity:.2f} at {false_marks:.2g}"
        axes.plot(at, sensitivity, "o", color="tab:red", clip_on=False, zorder=3, label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(TICKS), list(TICKS.values()))
    axes.set(xlim=(CURVE_AT[0], CURVE_AT[-1]), ylim=(0, 1), xlabel="false marks a film", ylabel="deposits found")
    axes.grid(alpha=0.3)
    axes.legend(loc="best", fontsize="small")
    _save(figure, path)


def misses(films: Sequence[JudgedFilm]) -> list[Tile]:
    """Deposits not found at the operating point, by falling size times contrast; unknown contrast counts as 1."""
    missed = [(film.pair.scanned.path, item) for film in films for item in film.deposits if not item.found]
    missed.sort(key=lambda entry: -_weight(entry[1]))
    return [
        Tile(path=path, box=item.deposit.box, mm_px=item.film.mm_px, caption=_miss_caption(item))
        for path, item in missed[:TILES]
    ]


def _weight(item: JudgedDeposit) -> float:
    contrast = item.deposit.contrast
    return item.deposit.diameter_mm * (1.0 if contrast is None else contrast)


def _miss_caption(item: JudgedDeposit) -> str:
    deposit = item.deposit
    contrast = "" if deposit.contrast is None else f", {deposit.contrast:.2f} steps"
    without_mark = "candidate of another label" if item.generated else "no candidate"
    score = f"best score {item.best:.3f}" if item.marks else without_mark
    return f"{_short(item.film.name)}\n{deposit.morphology} {deposit.diameter_mm:.1f} mm{contrast}\n{score}"


def false_marks(films: Sequence[JudgedFilm]) -> list[Tile]:
    """False marks by falling score, as many as a gallery holds; of one place on copies of a film, the first."""
    wrong = [(film.pair, mark) for film in films for mark in film.false_marks]
    shown: list[tuple[Pair, ScannedCandidate]] = []
    for pair, mark in sorted(wrong, key=lambda entry: -entry[1].score):
        if len(shown) == TILES:
            break
        if not any(_overlap(mark, other) for film, other in shown if film.known.source == pair.known.source):
            shown.append((pair, mark))
    return [_false_tile(pair, mark) for pair, mark in shown]


def _overlap(one: ScannedCandidate, other: ScannedCandidate) -> bool:
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1


def _false_tile(pair: Pair, mark: ScannedCandidate) -> Tile:
    return Tile(
        path=pair.scanned.path,
        box=(mark.x0, mark.y0, mark.x1, mark.y1),
        mm_px=pair.known.mm_px,
        caption=f"{_short(pair.known.name)}\nscore {mark.score:.3f}",
    )


def _short(name: str, length: int = 30) -> str:
    return name if len(name) <= length else f"{name[: length // 2]}…{name[-length // 2 + 1 :]}"


def draw_gallery(tiles: Sequence[Tile], path: Path, *, title: str, moved_to: Path) -> int:
    """Draw places as crops with thin boxes; return how many films could not be read for it.

    Films are looked for where they were scanned, then in the folder `moved_to`.
    """
    rows = max(1, -(-len(tiles) // COLUMNS))
    figure = _figure(2.4 * COLUMNS, 2.95 * rows + 0.5)
    figure.suptitle(f"{title}; the bar is 5 mm" if tiles else f"{title}: none")
    axes = [figure.add_subplot(rows, COLUMNS, number) for number in range(1, len(tiles) + 1)]
    unread = 0
    for name in sorted({tile.path for tile in tiles}):  # each film is read once, and one is held at a time
        film = _film(name, moved_to)
        unread += film is None
        for place, tile in zip(axes, tiles, strict=True):
            if tile.path == name:
                _draw_tile(place, film, tile)
    _save(figure, path)
    return unread


def _film(path: str, moved_to: Path) -> Radiograph | None:
    for place in (Path(path), moved_to / Path(path).name):
        with contextlib.suppress(ReadError):
            return readers.load(place)
    return None


def _draw_tile(axes: Axes, film: Radiograph | None, tile: Tile) -> None:
    """Caption and, when the film could be read, crop, box and a bar of 5 mm."""
    axes.set_axis_off()
    axes.set_title(as_utf8(tile.caption), fontsize=8, parse_math=False)  # $ in a name begins no formula
    if film is None:
        return
    x0, y0, x1, y1 = tile.box
    gap = 0.5 + FRAME_GAP_MM / tile.mm_px
    (top, left), (bottom, right) = film.grid.from_source([(y0 - gap, x0 - gap), (y1 - 1 + gap, x1 - 1 + gap)])
    pixel_mm = tile.mm_px * film.grid.step[1]
    half = max(CROP_MM / pixel_mm, max(bottom - top, right - left) / BOX_SHARE) / 2
    row, col = (top + bottom) / 2, (left + right) / 2
    _show_crop(axes, film.pixels, row, col, half)
    corners = [left, right, right, left, left], [top, top, bottom, bottom, top]
    axes.plot(*corners, color="tab:orange", lw=0.7)
    axes.plot([col - 0.93 * half, col - 0.93 * half + 5 / pixel_mm], [row + 0.93 * half] * 2, color="tab:orange", lw=2)


def _show_crop(axes: Axes, pixels: FloatImage, row: float, col: float, half: float) -> None:
    """Show `half` pixels around a place, its grey values spread over the crop's own range."""
    top, left = max(0, int(row - half)), max(0, int(col - half))
    crop = pixels[top : int(row + half) + 2, left : int(col + half) + 2]
    low, high = np.percentile(crop, [0.5, 99.5]) if crop.size else (0, 1)
    extent = (left - 0.5, left + crop.shape[1] - 0.5, top + crop.shape[0] - 0.5, top - 0.5)
    axes.imshow(crop, cmap="gray", vmin=low, vmax=high, extent=extent)
    axes.set(xlim=(col - half, col + half), ylim=(row + half, row - half), autoscale_on=False)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and only drawing needs it

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    try:
        figure.savefig(path)
    except OSError as error:
        raise OutputError(f"{path} can't be written: {error.strerror}.") from error
