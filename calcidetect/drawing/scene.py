"""What is on a film before anything is drawn there: its size, places better left free, deposits and their groups.

Pure geometry; all positions are ``(row, col)`` in pixels of the film, pixel centres at integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calcidetect.arrays import Mask
from calcidetect.drawing import plane
from calcidetect.drawing.plane import Points
from calcidetect.drawing.strokes import Box
from calcidetect.types import Candidate

_LEAST_AREA_PX = 1e-3  # a contour with less area is a point or a line


class Ground(NamedTuple):
    """A film's size, and on any grid that spans it what marks had better not cover: 0 free, 1 bone, more is worse."""

    shape: tuple[int, int]
    obstacles: npt.NDArray[np.generic]

    @property
    def last(self) -> Points:
        """Last row and column (2,)."""
        return np.array(self.shape, float) - 1

    def cost(self, points: Points) -> Points:
        """Obstacles at points (..., 2) of the film; beyond the film those of its edge."""
        index = ((points + 0.5) / self.shape * self.obstacles.shape).astype(int)
        rows, cols = np.moveaxis(np.clip(index, 0, np.array(self.obstacles.shape) - 1), -1, 0)
        return np.asarray(self.obstacles[rows, cols], np.float64)

    def outside(self, points: Points, margin: float = 0.0) -> Mask:
        """Which of the points (..., 2) lie nearer than `margin` to the film's edge, or beyond it."""
        return np.asarray(((points < margin) | (points > self.last - margin)).any(-1))


def box_of(candidate: Candidate) -> Box:
    """The pixels' outer edges: half-open box to pixel centres at integers."""
    return Box(candidate.y0 - 0.5, candidate.x0 - 0.5, candidate.y1 - 0.5, candidate.x1 - 0.5)


def boxes_of(candidates: Iterable[Candidate]) -> Points:
    """Boxes (n, 4) of candidates, also of none."""
    return np.array([box_of(c) for c in candidates], float).reshape(-1, 4)


def outline_of(candidate: Candidate) -> Points:
    """The contour (n, 2); the box where the contour encloses nothing."""
    contour = np.array(candidate.contour, dtype=float).reshape(-1, 2)
    if len(contour) > 2 and abs(plane.area(contour)) > _LEAST_AREA_PX:
        return contour
    return box_of(candidate).corners


def group_candidates(
    candidates: Sequence[Candidate], *, gap_px: float, extent_px: float = np.inf
) -> tuple[tuple[Candidate, ...], ...]:
    """Join candidates whose boxes lie less than `gap_px` apart, nearest first, into groups at most `extent_px` long.

    Returns
    -------
    tuple of tuple of Candidate
        Each candidate once; groups and their members in the order given.
    """
    boxes = boxes_of(candidates)
    gaps = [(gap, i, j) for i in range(len(boxes)) for j, gap in _near(boxes, i, gap_px)]
    home = list(range(len(boxes)))
    members = {i: [i] for i in home}
    for _, i, j in sorted(gaps):
        first, second = sorted((home[i], home[j]))
        joined = [*members[first], *members[second]]
        if first != second and _extent(boxes[joined]) <= extent_px:
            members[first] = joined
            for k in members.pop(second):
                home[k] = first
    return tuple(tuple(candidates[k] for k in sorted(group)) for _, group in sorted(members.items()))


def _near(boxes: Points, index: int, gap_px: float) -> list[tuple[int, float]]:
    """Later boxes less than `gap_px` from box `index`, with their gaps."""
    later, box = boxes[index + 1 :], boxes[index]
    apart = np.maximum(np.maximum(later[:, :2] - box[2:], box[:2] - later[:, 2:]), 0)
    gaps = np.hypot(*apart.T)
    return [(index + 1 + int(k), float(gaps[k])) for k in np.flatnonzero(gaps < gap_px)]


def _extent(boxes: Points) -> float:
    return float((boxes[:, 2:].max(0) - boxes[:, :2].min(0)).max())
