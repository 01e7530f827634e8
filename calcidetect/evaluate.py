"""How good the marks are: which hit a deposit, and the free-response curve (FROC) over films.

Rules after LUNA16 (Setio 2017, doi:10.1016/j.media.2017.06.015): a mark hits where its centre lies in the deposit's box
widened by a margin, or where its box covers the deposit's centre without being much larger than the deposit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect.types import Candidate

MARGIN_MM = 2.0
LARGEST_SHARE = 4.0
"""A mark's box may have this many times the area of the deposit's …"""

LEAST_BOX_MM = 3.0
"""… which counts as at least this wide and high."""

FALSE_MARKS = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"""False marks a film at which sensitivity is averaged (LUNA16)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """A deposit known to be on a film: `box` is ``x0, y0, x1, y1`` in source pixels, half-open; centre `row`, `col`."""

    box: tuple[int, int, int, int]
    row: float
    col: float


def hits(candidates: Sequence[Candidate], truths: Sequence[Truth], *, pixel_mm: float) -> npt.NDArray[np.intp]:
    """Which deposit each mark hits.

    Parameters
    ----------
    candidates, truths
        Marks and deposits of one film, in source pixels.
    pixel_mm
        Pitch of the source matrix, for the margin.

    Returns
    -------
    int (n,)
        Index into `truths`, the first that is hit, or -1.
    """
    if not candidates or not truths:
        return np.full(len(candidates), -1, np.intp)
    centre = np.array([(c.col, c.row) for c in candidates])[:, None]
    mark = np.array([(c.x0, c.y0, c.x1, c.y1) for c in candidates], float)[:, None]
    box = np.array([t.box for t in truths], float)[None]
    middle = np.array([(t.col, t.row) for t in truths])[None]
    margin, least = MARGIN_MM / pixel_mm, (LEAST_BOX_MM / pixel_mm) ** 2
    near = _inside(centre, box[..., :2] - margin, box[..., 2:] + margin)
    covers = _inside(middle, mark[..., :2], mark[..., 2:])
    fits = _area(mark) <= LARGEST_SHARE * np.maximum(_area(box), least)
    hit = (near | covers) & fits
    return np.where(hit.any(axis=1), hit.argmax(axis=1), -1)


def _inside(
    point: npt.NDArray[np.float64], low: npt.NDArray[np.float64], high: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    return np.all((point >= low) & (point <= high), axis=-1)


def _area(boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def inside_any(
    candidates: Sequence[Candidate], boxes: Sequence[Sequence[float]], *, margin: float
) -> npt.NDArray[np.bool_]:
    """Whether each mark's centre lies in one of `boxes` (``x0, y0, x1, y1``) widened by `margin` pixels; bool (n,)."""
    if not candidates or not boxes:
        return np.zeros(len(candidates), bool)
    centre = np.array([(c.col, c.row) for c in candidates])[:, None]
    box = np.asarray(boxes, float)[None]
    return np.any(_inside(centre, box[..., :2] - margin, box[..., 2:] + margin), axis=1)


def froc(
    score: npt.ArrayLike, deposit: npt.ArrayLike, *, deposits: int, films: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Free-response curve.

    Parameters
    ----------
    score
        Score of every mark of every film, shape (n,).
    deposit
        Number of the deposit that each mark hits, unique over films, or -1 for a false mark, shape (n,).
    deposits, films
        How many there are in all, >= 1.

    Returns
    -------
    false_marks, sensitivity : float (m,)
        At every threshold from the strictest on: false marks a film, share of deposits hit at least once.
    """
    score, deposit = np.asarray(score, float), np.asarray(deposit, int)
    order = np.argsort(-score, kind="stable")
    ordered = deposit[order]
    first = np.zeros(len(ordered), bool)
    real = np.flatnonzero(ordered >= 0)
    first[real[np.unique(ordered[real], return_index=True)[1]]] = True
    last_of_tie = np.append(np.diff(score[order]) != 0, True)[: len(order)]
    false_marks, found = np.cumsum(ordered < 0) / films, np.cumsum(first) / deposits
    return false_marks[last_of_tie], found[last_of_tie]


def sensitivity_at(
    false_marks: npt.NDArray[np.float64], sensitivity: npt.NDArray[np.float64], at: Sequence[float] = FALSE_MARKS
) -> npt.NDArray[np.float64]:
    """Highest sensitivity with at most each of `at` false marks a film; their mean is the usual single figure."""
    reached = np.searchsorted(false_marks, np.asarray(at) + 1e-12, side="right")
    return np.concatenate([[0.0], sensitivity])[reached]
