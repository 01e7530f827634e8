"""Where arrows go: one for each deposit or group of neighbouring ones, its tip at the edge, from the free side.

An arrow lies on a ray from the middle of a group's largest deposit, beyond the last point where the ray meets the
group. Of all such arrows (directions, lengths) the cheapest combination is looked for. Faults are taken on in this
order, cheapest first: not at the deposit's middle, not from outside, shorter, over bone, grazing its own group, tip
within the deposit (where no side has room), over something else that is marked, too near another arrow. Where one of
the last two is left, the groups concerned become one group and share an arrow; so no two arrows ever meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calcidetect.drawing import plane
from calcidetect.drawing.plane import Points, Truths
from calcidetect.drawing.scene import Ground, group_candidates, outline_of
from calcidetect.drawing.strokes import Arrow, LayoutStyle
from calcidetect.types import Candidate

# Costs of an arrow, chosen so that one fault of a kind outweighs one of each kind before it in the fallback order.
_FAR_COST = 0.3  # per arrow length from the deposit's middle to the tip, beyond the nearest edge
_INWARD_COST = 0.6  # coming from the middle of the film instead of from outside
_SHORT_COST = 4.0  # per arrow length saved; at most half is
_OBSTACLE_COST = 3.0  # whole length over bone
_OWN_COST = 12.0  # shaft grazing its own group
_WITHIN_COST = 20.0  # tip within the deposit, and as much again per arrow length
_MARKED_COST = 60.0  # over another deposit, a labelled kind or a panel's letter
_CROSSING_COST = 200.0  # too near another arrow

_DIRECTIONS = 32  # every 11.25 degrees; flips and transposes map the set onto itself
_LENGTHS = (1.0, 0.75, 0.5)  # shares of the full arrow length
_SAMPLES = 9  # along an arrow, to look up obstacles
_ROUNDS = 6  # of improving one arrow at a time; most scenes settle in two

Group = tuple[int, ...]
"""Marks that share an arrow, by their ids."""

_NO_MARK = 0  # ids start at 1


class _Solid(NamedTuple):
    """What no arrow should lie on: outlines (n, 2), their boxes (m, 4) and ids (m,), _NO_MARK for what is no mark."""

    outlines: Sequence[Points]
    boxes: Points
    ids: npt.NDArray[np.intp]

    def pick(self, which: Truths) -> _Solid:
        outlines = [self.outlines[k] for k in np.flatnonzero(which).tolist()]
        return _Solid(outlines, self.boxes[which], self.ids[which])

    def near(self, points: Points, margin: float) -> Truths:
        """Which boxes (m,) are nearer than `margin` to the box around `points` (n, 2)."""
        low, high = points.min(0) - margin, points.max(0) + margin
        return np.asarray(((self.boxes[:, 2:] > low) & (self.boxes[:, :2] < high)).all(1))


class _Options(NamedTuple):
    """The arrows that one group may get: tips and tails (n, 2), their cost (n,)."""

    tips: Points
    tails: Points
    cost: Points

    def near(self, low: Points, high: Points, margin: float) -> Truths:
        """Which of the boxes from `low` (n, 2) to `high` (n, 2) are nearer than `margin` to any of the arrows' box."""
        own = np.concatenate([self.tips, self.tails])
        return np.asarray(((high > own.min(0) - margin) & (low < own.max(0) + margin)).all(1))


def place_arrows(
    marks: Sequence[Candidate], *, taken: Sequence[Points], ground: Ground, style: LayoutStyle
) -> tuple[Arrow, ...]:
    """Place the arrows of a film.

    Parameters
    ----------
    marks
        What to point at.
    taken
        Outlines, float64 (n, 2) each, of what else no arrow should lie on.
    ground
        The film.
    style
        Sizes, and how near deposits share an arrow from the start.

    Returns
    -------
    tuple of Arrow
        By the first mark they point at. Every mark has one arrow, no two arrows meet, all lie within the film.
    """
    solid = _solid(marks, taken)
    groups = tuple(
        tuple(c.id for c in group)
        for group in group_candidates(marks, gap_px=style.group_gap_px, extent_px=style.group_extent_px)
    )
    known: dict[Group, _Options] = {}
    while True:
        for group in groups:
            if group not in known:
                known[group] = _options(group, solid, ground=ground, style=style)
        options = [known[group] for group in groups]
        chosen = _arrange(options, clearance=_clearance(style))
        arrows = [_arrow(known[group], k, group) for group, k in zip(groups, chosen, strict=True)]
        joined = _join(groups, _clashes(arrows, solid, style))
        if len(joined) == len(groups):
            return tuple(arrows)
        groups = joined


def _solid(marks: Sequence[Candidate], taken: Sequence[Points]) -> _Solid:
    outlines = [*taken, *map(outline_of, marks)]
    boxes = np.array([(*outline.min(0), *outline.max(0)) for outline in outlines]).reshape(-1, 4)
    return _Solid(outlines, boxes, np.array([_NO_MARK] * len(taken) + [c.id for c in marks]))


def _arrow(options: _Options, index: int, group: Group) -> Arrow:
    (row, col), (tail_row, tail_col) = options.tips[index].tolist(), options.tails[index].tolist()
    return Arrow(tip=(row, col), tail=(tail_row, tail_col), ids=group)


def _clearance(style: LayoutStyle) -> float:
    """Least distance between the middle lines of two arrows: two heads side by side with their rims."""
    return style.head_width_px + 2 * style.outline_px


def _half_width(style: LayoutStyle) -> float:
    return style.head_width_px / 2 + style.outline_px


# --- the arrows that one group may get --------------------------------------------------------------------------------


def _options(group: Group, solid: _Solid, *, ground: Ground, style: LayoutStyle) -> _Options:
    """Every arrow from beyond the group's edge towards its largest member, in every length, with its cost."""
    mine = np.isin(solid.ids, group)
    own = solid.pick(mine).outlines
    tips, along, detour = _tips(own, style)
    shares = np.repeat(_LENGTHS, len(tips))
    tips, along, detour = (np.concatenate([part] * len(_LENGTHS)) for part in (tips, along, detour))
    tails = tips + style.arrow_px * shares[:, None] * along
    shift = _shift_into_film(tips, tails, along, ground=ground, style=style)
    tips, tails = (np.clip(end + shift, 0, ground.last) for end in (tips, tails))
    moved = np.hypot(*shift.T) / style.arrow_px
    others = solid.pick(~mine & solid.near(np.concatenate([tips, tails]), style.arrow_px))
    cost = (
        _FAR_COST * detour / style.arrow_px
        + _INWARD_COST * _inward(tips, along, ground)
        + _SHORT_COST * (1 - shares)
        + _OBSTACLE_COST * ground.cost(_lanes(tips, tails, along, style)).mean((0, 1))
        + _OWN_COST * _grazes(tips, tails, np.vstack(own), style)
        + _WITHIN_COST * ((moved > 0) + moved)
        + _MARKED_COST * _over(tips, tails, others, style).sum(1)
    )
    return _Options(tips, tails, np.round(cost, 6))


def _tips(outlines: Sequence[Points], style: LayoutStyle) -> tuple[Points, Points, Points]:
    """Tips (n, 2) where rays from the middle of the largest outline leave them all, the rays (n, 2), and how much (n,)
    farther each tip is from that middle than the nearest.
    """
    starts = np.vstack(outlines)
    stops = np.vstack([np.roll(outline, -1, axis=0) for outline in outlines])
    middle = plane.outline_middle(max(outlines, key=lambda outline: abs(plane.area(outline))))
    rays = plane.directions(_DIRECTIONS)
    reach = plane.last_crossing(middle, rays, starts=starts, stops=stops)
    rays, reach = rays[np.isfinite(reach)], reach[np.isfinite(reach)]
    return middle + (reach + style.outline_px)[:, None] * rays, rays, reach - reach.min()


def _shift_into_film(tips: Points, tails: Points, along: Points, *, ground: Ground, style: LayoutStyle) -> Points:
    """How far (n, 2) each arrow must move to lie within the film, rim and all; centred in one that is too small."""
    sides = style.head_width_px / 2 * np.stack([-along[:, 1], along[:, 0]], axis=-1)
    ends = (_shaft_starts(tips, tails, style), tails)
    corners = np.stack([tips, *(end + side for end in ends for side in (-sides, sides))])
    low, high = corners.min(0) - style.outline_px, corners.max(0) + style.outline_px
    room = ground.last - (high - low)
    return np.asarray(np.where(room > 0, np.clip(low, 0, np.maximum(room, 0)), room / 2) - low)


def _shaft_starts(tips: Points, tails: Points, style: LayoutStyle) -> Points:
    """Where each arrow's shaft meets its head."""
    length = np.maximum(np.linalg.norm(tails - tips, axis=1, keepdims=True), style.outline_px)
    return np.asarray(tips + (tails - tips) * np.minimum(style.head_px / length, 1))


def _inward(tips: Points, along: Points, ground: Ground) -> Points:
    """0 for an arrow that comes from outside, 1 for one from the film's middle; 1/2 where the deposit lies there."""
    away = (tips - ground.last / 2) / (np.array(ground.shape) / 2)
    return np.asarray((1 - plane.dot(away, along) / np.sqrt(2)) / 2)


def _lanes(tips: Points, tails: Points, along: Points, style: LayoutStyle) -> Points:
    """Points (samples, 3, n, 2) along each arrow's middle and both its sides."""
    sides = _half_width(style) * np.stack([-along[:, 1], along[:, 0]], axis=-1)
    steps = np.linspace(0, 1, _SAMPLES)[:, None, None, None]
    return np.asarray(np.stack([tips - sides, tips, tips + sides]) + steps * (tails - tips))


def _grazes(tips: Points, tails: Points, corners: Points, style: LayoutStyle) -> Truths:
    """Which arrows have a corner of their own group's outlines beside their shaft."""
    apart = plane.point_distance(corners, starts=_shaft_starts(tips, tails, style), stops=tails)
    return np.asarray(apart.min(1) < _half_width(style))


def _over(tips: Points, tails: Points, solid: _Solid, style: LayoutStyle) -> Truths:
    """Which of the outlines each arrow lies on: (n, m); boxes first, they rule out most."""
    half = _half_width(style)
    over = plane.crosses_box(tips, tails, solid.boxes + np.array([-half, -half, half, half]))
    for k in np.flatnonzero(over.any(0)).tolist():
        arrows = np.flatnonzero(over[:, k])
        over[arrows, k] = plane.meets(tips[arrows], tails[arrows], solid.outlines[k], within=half)
    return over


# --- one for each group -----------------------------------------------------------------------------------------------


def _arrange(options: Sequence[_Options], *, clearance: float) -> list[int]:
    """Choose one option each: most constrained group first, then improve one at a time until nothing changes."""
    faultless = [int((option.cost < _WITHIN_COST).sum()) for option in options]
    order = sorted(range(len(options)), key=lambda k: (faultless[k], k))
    chosen: dict[int, int] = {}
    for _ in range(_ROUNDS):
        before = dict(chosen)
        for k in order:
            others = [(options[j].tips[i], options[j].tails[i]) for j, i in sorted(chosen.items()) if j != k]
            met = _crossings(options[k], others, clearance=clearance)
            chosen[k] = int(np.argmin(options[k].cost + _CROSSING_COST * met))
        if chosen == before:
            break
    return [chosen[k] for k in range(len(options))]


def _crossings(options: _Options, others: Sequence[tuple[Points, Points]], *, clearance: float) -> Points:
    """How many of the arrows `others` each option comes nearer than `clearance`."""
    points = np.array(others).reshape(-1, 2, 2)
    near = options.near(points.min(1), points.max(1), clearance)
    apart = plane.segment_distance(options.tips, options.tails, tips=points[near, 0], tails=points[near, 1])
    return np.asarray(np.count_nonzero(apart < clearance, axis=1), np.float64)


# --- groups that must share -------------------------------------------------------------------------------------------


def _clashes(arrows: Sequence[Arrow], solid: _Solid, style: LayoutStyle) -> list[tuple[int, int]]:
    """Pairs of arrows that come too near each other, or of which the first lies on what the second points at."""
    tips, tails = (np.array([getattr(arrow, end) for arrow in arrows]).reshape(-1, 2) for end in ("tip", "tail"))
    clash = plane.segment_distance(tips, tails, tips=tips, tails=tails) < _clearance(style)
    over = _over(tips, tails, solid, style)
    for k, arrow in enumerate(arrows):
        clash[:, k] |= over[:, np.isin(solid.ids, arrow.ids)].any(1)
    np.fill_diagonal(clash, False)
    return [(i, j) for i, j in np.argwhere(clash).tolist()]


def _join(groups: Sequence[Group], pairs: Iterable[tuple[int, int]]) -> tuple[Group, ...]:
    """Groups of which the paired ones have become one, each pair alone: what is paired twice may part in the end."""
    joined = dict(enumerate(groups))
    busy: set[int] = set()
    for pair in pairs:
        if busy.isdisjoint(pair):
            first, second = sorted(pair)
            joined[first] = tuple(sorted(joined[first] + joined.pop(second)))
            busy.update(pair)
    return tuple(joined.values())
