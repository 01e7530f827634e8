"""Points, segments, rays and boxes in the plane, many at a time.

Points are float64 (..., 2), ``(row, col)``; a polygon is its corners in order, closed by itself; a box is a row
``row0, col0, row1, col1``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

_TINY = 1e-9  # pixels, and shares of an edge: far below any pixel's size, far above rounding


def cross(a: Points, b: Points) -> Points:
    """Cross product of vectors, broadcast over all but the last axis."""
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0], np.float64)


def dot(a: Points, b: Points) -> Points:
    """Inner product of vectors, broadcast over all but the last axis; numpy's own sum of pairs is ten times slower."""
    return np.asarray(a[..., 0] * b[..., 0] + a[..., 1] * b[..., 1], np.float64)


def area(polygon: Points) -> float:
    """Signed area of a polygon (n, 2)."""
    shifted = polygon - polygon[0]
    return float(cross(shifted, np.roll(shifted, -1, axis=0)).sum() / 2)


def outline_middle(polygon: Points) -> Points:
    """Mean (2,) over the length of a polygon's outline.

    Unlike the centre of its area it lies within the convex hull even where the outline crosses itself, so that rays
    from it meet the outline.
    """
    following = np.roll(polygon, -1, axis=0)
    length = np.linalg.norm(following - polygon, axis=1)
    return np.average((polygon + following) / 2, axis=0, weights=length)


def directions(count: int) -> Points:
    """Evenly spaced unit vectors (count, 2), `count` a multiple of 8; flips and transposition map the set to itself."""
    eighth = np.linspace(0, np.pi / 4, count // 8 + 1)
    first = np.stack([np.cos(eighth), np.sin(eighth)], axis=-1)
    quarter = np.vstack([first, first[-2:0:-1, ::-1]])
    turned = np.stack([-quarter[:, 1], quarter[:, 0]], axis=-1)
    return np.vstack([quarter, turned, -quarter, -turned])


def last_crossing(origin: Points, rays: Points, *, starts: Points, stops: Points) -> Points:
    """Distance (n,) from `origin` (2,) to the last segment (m, 2) that each of `rays` (n, 2) meets, -inf for none."""
    edge, offset = stops - starts, starts - origin
    slope = cross(rays[:, None], edge)
    parallel = np.abs(slope) < _TINY**2
    slope = np.where(parallel, 1, slope)
    reach = cross(offset, edge) / slope
    where = cross(offset, rays[:, None]) / slope
    met = ~parallel & (reach >= 0) & (where >= -_TINY) & (where <= 1 + _TINY)
    return np.asarray(np.where(met, reach, -np.inf).max(1), np.float64)


def crosses_box(starts: Points, stops: Points, boxes: Points) -> Truths:
    """Whether each segment (n, 2) meets each box (m, 4): bool (n, m), by the slab method."""
    step = stops - starts
    step = np.where(np.abs(step) < _TINY, _TINY, step)[:, None]
    a, b = (boxes[:, :2] - starts[:, None]) / step, (boxes[:, 2:] - starts[:, None]) / step
    enter, leave = np.minimum(a, b), np.maximum(a, b)
    entered = np.maximum(np.maximum(enter[..., 0], enter[..., 1]), 0)
    return np.asarray(entered <= np.minimum(np.minimum(leave[..., 0], leave[..., 1]), 1))


def contains(polygon: Points, points: Points) -> Truths:
    """Which of the `points` (n, 2) lie within a polygon (m, 2), by the parity of crossings."""
    starts, stops = polygon, np.roll(polygon, -1, axis=0)
    rows, cols = points[:, None, 0], points[:, None, 1]
    astride = (starts[:, 0] > rows) != (stops[:, 0] > rows)
    rise = np.where(np.abs(stops[:, 0] - starts[:, 0]) < _TINY, 1, stops[:, 0] - starts[:, 0])
    crossing = starts[:, 1] + (rows - starts[:, 0]) * (stops[:, 1] - starts[:, 1]) / rise
    return np.asarray((astride & (cols < crossing)).sum(1) % 2 == 1)


def meets(starts: Points, stops: Points, polygon: Points, *, within: float) -> Truths:
    """Which segments (n, 2) cross a polygon (m, 2), lie in it, or come nearer than `within` to one of its corners."""
    near = point_distance(polygon, starts=starts, stops=stops).min(1) < within
    crossing = crosses(starts, stops, tips=polygon, tails=np.roll(polygon, -1, axis=0)).any(1)
    return np.asarray(near | crossing | contains(polygon, starts))


def point_distance(points: Points, *, starts: Points, stops: Points) -> Points:
    """Distance of each segment (n, 2) to each of the `points` (m, 2): (n, m)."""
    step = (stops - starts)[:, None]
    offset = points - starts[:, None]
    share = np.clip(dot(offset, step) / np.maximum(dot(step, step), _TINY**2), 0, 1)
    apart = offset - share[..., None] * step
    return np.asarray(np.hypot(apart[..., 0], apart[..., 1]), np.float64)


def segment_distance(starts: Points, stops: Points, *, tips: Points, tails: Points) -> Points:
    """Distance of each segment (n, 2) to each other segment (m, 2): (n, m), 0 where they cross."""
    ends = [
        point_distance(tips, starts=starts, stops=stops),
        point_distance(tails, starts=starts, stops=stops),
        point_distance(starts, starts=tips, stops=tails).T,
        point_distance(stops, starts=tips, stops=tails).T,
    ]
    crossing = crosses(starts, stops, tips=tips, tails=tails)
    return np.asarray(np.where(crossing, 0, np.minimum.reduce(ends)), np.float64)


def crosses(starts: Points, stops: Points, *, tips: Points, tails: Points) -> Truths:
    """Whether each segment (n, 2) crosses each other segment (m, 2): bool (n, m); touching is not crossing."""
    a, b = starts[:, None], stops[:, None]
    apart = cross(b - a, tips - a) * cross(b - a, tails - a)
    beside = cross(tails - tips, a - tips) * cross(tails - tips, b - tips)
    return np.asarray((apart < 0) & (beside < 0))
