"""Which marks hit a deposit.

Rules after LUNA16 (Setio 2017, doi:10.1016/j.media.2017.06.015): a mark hits where its centre lies in the deposit's box
widened by a margin, or where its box covers the deposit's centre; either way only if its box is not much larger than
the deposit's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

MARGIN_MM = 2.0
MAX_AREA_RATIO = 4.0
"""A mark's box may have this many times the area of the deposit's …"""

LEAST_BOX_MM = 3.0
"""… which counts as at least this wide and high."""


class Placed(Protocol):
    """A mark: anything with a box (columns, rows; half-open) and a centre in source pixels."""

    @property
    def x0(self) -> int:
        """First column."""

    @property
    def y0(self) -> int:
        """First row."""

    @property
    def x1(self) -> int:
        """Column after the last."""

    @property
    def y1(self) -> int:
        """Row after the last."""

    @property
    def row(self) -> float:
        """Row of the centre."""

    @property
    def col(self) -> float:
        """Column of the centre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A deposit known to be on a film: `box` is ``x0, y0, x1, y1`` in source pixels, half-open; centre `row`, `col`."""

    box: tuple[int, int, int, int]
    row: float
    col: float


def hit_table(candidates: Sequence[Placed], truths: Sequence[Truth], *, pixel_mm: float) -> npt.NDArray[np.bool_]:
    """Which deposits each mark hits: one arrow beside two deposits shows the reader both.

    Parameters
    ----------
    candidates, truths
        Marks and deposits of one film, in source pixels.
    pixel_mm
        Pitch of the source matrix, for the margin.

    Returns
    -------
    bool (candidates, truths)
    """
    if not candidates or not truths:
        return np.zeros((len(candidates), len(truths)), bool)
    centre = np.array([(c.col, c.row) for c in candidates])[:, None]
    mark = np.array([(c.x0, c.y0, c.x1, c.y1) for c in candidates], float)[:, None]
    box = np.array([t.box for t in truths], float)[None]
    middle = np.array([(t.col, t.row) for t in truths])[None]
    margin, least = MARGIN_MM / pixel_mm, (LEAST_BOX_MM / pixel_mm) ** 2
    near = _inside(centre, box[..., :2] - margin, box[..., 2:] + margin)
    covers = _inside(middle, mark[..., :2], mark[..., 2:])
    fits = _area(mark) <= MAX_AREA_RATIO * np.maximum(_area(box), least)
    return (near | covers) & fits


def hits(candidates: Sequence[Placed], truths: Sequence[Truth], *, pixel_mm: float) -> npt.NDArray[np.intp]:
    """One deposit that each mark hits, int (n,): the first of its row in `hit_table`, -1 without any."""
    table = hit_table(candidates, truths, pixel_mm=pixel_mm)
    return np.where(table.any(axis=1), table.argmax(axis=1), -1) if truths else np.full(len(table), -1, np.intp)


def inside_any(
    candidates: Sequence[Placed], boxes: Sequence[Sequence[float]], *, margin: float
) -> npt.NDArray[np.bool_]:
    """Whether each mark's centre lies in one of `boxes` (``x0, y0, x1, y1``) widened by `margin` pixels; bool (n,)."""
    if not candidates or not boxes:
        return np.zeros(len(candidates), bool)
    centre = np.array([(c.col, c.row) for c in candidates])[:, None]
    box = np.asarray(boxes, float)[None]
    return np.any(_inside(centre, box[..., :2] - margin, box[..., 2:] + margin), axis=1)


def _inside(
    point: npt.NDArray[np.float64], low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    return np.all((point >= low) & (point <= high), axis=-1)


def _area(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
