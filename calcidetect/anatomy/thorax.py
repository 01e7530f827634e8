"""Where a place lies on a frontal chest film: measured from the two lungs.

Everything is in shares of the lungs' own height and width, so that children and films without spacing are served alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Mask, Points
from calcidetect.types import Anatomy

LUNG_CHANCES = (0.8, 0.65, 0.5)
"""Lungs are outlined at the first of these that shows two. At 0.5 dark soft tissue over the shoulders counts: of the
soft tissue outlined by hand on 75 films 6 % lay in the rib cage or below, 0.1 % do now."""

MIN_LUNG_SHARE = 0.03
"""Each lung fills at least this share of the body seen: 7 to 24 % on 15 chest films."""

OPENINGS_MM = (5.0, 2.0, 10.0, 16.0)
"""Fat planes, the trachea and gas under the diaphragm join lungs by bridges narrower than twice this; tried in turn."""

LUNG_PIXEL_MM = 1.2
"""Lungs are looked for, and places named, on a film reduced to about this: nothing of their outline is finer."""

MIN_PART_SHARE = 0.25
"""A dense middle may cut a lung in two: parts above or below that have this share of the
smaller lung's area belong to it."""

MIN_APART = 0.2
"""The middles of two lungs lie at least this share of the body's width apart; a lateral film shows one lung."""

WALL_SHARE = 0.02
"""Ribs reach this share of the lungs' width beyond them, some 6 mm of 300."""

FLARE, NECK_WIDTH, WIDENING = 0.5, 0.4, 1.3
"""How a lung narrows towards its apex, see `_to_the_apex`; what widens again is the shoulder's soft tissue."""

NECK_SHARE = 0.2
"""Half the neck's width, in widths of the lungs."""

SHOULDER_SHARE, AXILLA_SHARE = 0.3, 0.6
"""Beside the lungs: shoulder down to this share of their height, axilla to that one, then chest wall."""

ARM_SHARE = 0.17
"""Farther from the rib cage than this share of the lungs' width, below the shoulder, lies the arm."""

INNER_AREAS = ("lung", "mediastinum", "heart", "rib cage", "upper abdomen")
"""Areas of a chest film where nothing is soft tissue to be searched."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Thorax:
    """Lungs and rib cage of a frontal film, on a grid reduced to pixels of about `LUNG_PIXEL_MM`.

    Attributes
    ----------
    factor
        How many pixels of the film's grid one of these is wide, down and across.
    lungs, cage
        bool (rows, cols): the lungs; what their common hull and the ribs around it cover.
    middle
        Column midway between the lungs.
    inner
        Columns of the middles of both lungs.
    top, height, width
        Of the hull.
    """

    factor: tuple[float, float]
    lungs: Mask
    cage: Mask
    middle: float
    inner: tuple[float, float]
    top: int
    height: int
    width: int

    def seen(self, points: Points) -> Points:
        """Where on this grid points ``(row, col)`` of the film's grid lie, shape (n, 2)."""
        return (points + 0.5) / self.factor - 0.5

    def shares(self, points: Points) -> tuple[Points, Points]:
        """How far below the top of the lungs, in heights of these, and right of the midline, in widths, points lie.

        `points` are ``(row, col)`` on this grid, shape (n, 2).
        """
        rows, cols = points.T
        return (rows - self.top) / self.height, (cols - self.middle) / self.width


def find_thorax(anatomy: Anatomy, *, pixel_mm: float) -> Thorax | None:
    """Find both lungs of a frontal film.

    Parameters
    ----------
    anatomy
        Of the film on the working grid, shape (rows, cols).
    pixel_mm
        Pitch of that grid in mm.

    Returns
    -------
    Thorax or None
        On a grid of its own, which its `factor` leads to; None where the film does not show two lungs.
    """
    shape, factor = anatomy.body.shape, max(1, round(LUNG_PIXEL_MM / pixel_mm))
    reduced = (max(1, shape[0] // factor), max(1, shape[1] // factor))
    body = ops.resize_mask(anatomy.body, reduced)
    for chance in LUNG_CHANCES:
        likely = ops.resize_mask((anatomy.lung_probability > chance) & anatomy.body, reduced)
        for opening in OPENINGS_MM:
            lungs = _two_lungs(likely, body, radius=opening / pixel_mm / factor)
            if lungs is not None:
                return _around(lungs, (shape[0] / reduced[0], shape[1] / reduced[1]))
    return None


def _two_lungs(likely: Mask, body: Mask, *, radius: float) -> tuple[Mask, Mask] | None:
    """The largest two parts, image left first, once bridges narrower than twice `radius` are cut."""
    least = MIN_LUNG_SHARE * np.count_nonzero(body)
    if np.count_nonzero(likely) < 2 * least:
        return None
    core = ops.distance(~likely) > radius
    labels, boxes, centres = ops.components((ops.distance(core) <= radius) & likely)
    largest = np.argsort(-boxes[:, 4], kind="stable")[:2]
    if len(largest) < 2 or boxes[largest, 4].min() < least:
        return None
    first, second = np.sort(centres[largest, 1])
    if second - first < MIN_APART * np.ptp(np.flatnonzero(body.any(axis=0))):
        return None
    lung = boxes[:, 4] >= MIN_PART_SHARE * boxes[largest, 4].min()
    left, right = largest[np.argsort(centres[largest, 1])]
    sides = [lung & _above_or_below(boxes, centres, main) for main in (left, right)]
    if sides[0][right]:  # one above the other: air beside a lung, or an abdomen
        return None
    first_lung, second_lung = (np.concatenate([[False], side])[labels] for side in (sides[0], sides[1] & ~sides[0]))
    return _to_the_apex(first_lung), _to_the_apex(second_lung[:, ::-1])[:, ::-1]


def _to_the_apex(lung: Mask) -> Mask:
    """A lung on image left without what lies over the shoulder: it narrows to its apex and does not widen again.

    Above its middle its outer border may move outwards by `FLARE` of a pixel each row, and nothing counts above a neck
    narrower than `NECK_WIDTH` of its greatest width that widens by `WIDENING` again.
    """
    rows = np.flatnonzero(lung.any(axis=1))
    if not len(rows):
        return lung
    area = np.cumsum(np.count_nonzero(lung, axis=1))
    middle = int(np.searchsorted(area, area[-1] / 2))
    upper = np.arange(middle, rows[0] - 1, -1)  # from the middle upwards
    outer, allowed = lung[upper].argmax(axis=1), FLARE * np.arange(len(upper))  # 0 in rows without lung
    limit = np.maximum.accumulate(outer + allowed) - allowed
    kept = lung.copy()
    kept[upper] &= np.arange(lung.shape[1]) >= limit[:, None]
    width = np.count_nonzero(kept[upper], axis=1)
    least = np.minimum.accumulate(width)
    beyond = (least < NECK_WIDTH * width.max()) & (width > WIDENING * least + 1)
    if beyond.any():
        apex = int(np.argmin(width[: int(beyond.argmax())]))
        kept[: int(upper[apex])] = False
    return kept


def _above_or_below(boxes: npt.NDArray[np.int32], centres: Points, main: int) -> Mask:
    """Which parts have their middle within the columns of the main one: not air beside the arm or the shoulder."""
    x0, width = boxes[main, 0], boxes[main, 2]
    return (centres[:, 1] >= x0) & (centres[:, 1] < x0 + width)


def _around(lungs: tuple[Mask, Mask], factor: tuple[float, float]) -> Thorax:
    both = lungs[0] | lungs[1]
    hull = ops.convex_hull(both)
    rows, cols = np.flatnonzero(hull.any(axis=1)), np.flatnonzero(hull.any(axis=0))
    width = int(np.ptp(cols)) + 1
    inner = tuple(_mean_column(lung) for lung in lungs)
    return Thorax(
        factor=factor,
        lungs=both,
        cage=ops.distance(hull) <= WALL_SHARE * width,
        middle=_middle(lungs),
        inner=(inner[0], inner[1]),
        top=int(rows[0]),
        height=int(np.ptp(rows)) + 1,
        width=width,
    )


def _mean_column(mask: Mask) -> float:
    pixels = np.count_nonzero(mask, axis=0)
    return float(np.average(np.arange(len(pixels)), weights=pixels))


def _middle(lungs: tuple[Mask, Mask]) -> float:
    """Median column midway between the lungs over the upper half of the rows that both reach, above the heart."""
    rows = np.flatnonzero(lungs[0].any(axis=1) & lungs[1].any(axis=1))
    if not len(rows):
        return float(np.mean([_mean_column(lung) for lung in lungs]))
    rows = rows[: len(rows) // 2 + 1]
    right_edge = lungs[0].shape[1] - 1 - lungs[0][rows, ::-1].argmax(axis=1)
    left_edge = lungs[1][rows].argmax(axis=1)
    return float(np.median((right_edge + left_edge) / 2))


def chest_areas(points: Points, thorax: Thorax) -> npt.NDArray[np.str_]:
    """Name the area of each point.

    Parameters
    ----------
    points
        ``(row, col)`` on the grid of `thorax`, shape (n, 2); see `Thorax.seen`.

    Returns
    -------
    str (n,)
        One of `INNER_AREAS`, ``neck``, ``shoulder``, ``axilla``, ``upper arm``, ``chest wall``.
    """
    rows, cols = points.T
    at = tuple(np.clip(points.round().astype(int), 0, np.array(thorax.cage.shape) - 1).T)
    down, aside = thorax.shares(points)
    off_cage = ops.distance(thorax.cage)[at] / thorax.width
    between = (cols > thorax.inner[0]) & (cols < thorax.inner[1])
    lowest = thorax.cage.shape[0] - 1 - thorax.cage[::-1].argmax(axis=0)
    reached = np.asarray(thorax.cage.any(axis=0))
    below = reached[at[1]] & (rows > lowest[at[1]])
    inside = thorax.cage[at]
    tests = [
        (thorax.lungs[at], "lung"),
        (inside & between & (down < 0.5), "mediastinum"),
        (inside & between, "heart"),
        (inside, "rib cage"),
        (below, "upper abdomen"),
        ((np.abs(aside) < NECK_SHARE) & (down < SHOULDER_SHARE), "neck"),
        (down < SHOULDER_SHARE, "shoulder"),
        (off_cage > ARM_SHARE, "upper arm"),
        (down < AXILLA_SHARE, "axilla"),
    ]
    return np.select([test for test, _ in tests], [name for _, name in tests], "chest wall")
