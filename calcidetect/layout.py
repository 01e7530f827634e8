"""Where arrows, letters, scale bar and notice go on a film: pure geometry, nothing is drawn here.

All positions are ``(row, col)`` in pixels of the film, pixel centres at integers. The same candidates give the same
layout, always: no randomness, ties go to the candidate that comes first.

An arrow lies on a ray from the middle of a deposit, beyond the last point where the ray meets the deposit or its
group. Of all such arrows (directions, lengths, members of the group) the cheapest combination is looked for. In a
scene too dense for a faultless one, faults are taken on in this order, cheapest first: not from outside, shorter, over
bone, over a labelled kind, along its own group, over another deposit, across another arrow. An arrow never leaves the
film: where no side is free, it is pushed inwards and its tip lies in the deposit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calcidetect import plane
from calcidetect.arrays import FloatImage, Mask
from calcidetect.plane import Points
from calcidetect.types import MARK, Candidate

LETTERS = {
    "tracheal": "T",
    "vascular": "V",
    "costal_cartilage": "C",
    "sesamoid": "S",
    "ossified": "O",
    "metal": "M",
}
"""The letter of each labelled kind."""

DEFAULT_LETTERS = frozenset({"tracheal"})
"""Kinds lettered unless asked otherwise: sesamoids are on every hand film, and a dozen letters hide the arrows."""

# Costs of an arrow, chosen so that one fault of a kind outweighs one of each kind before it in the fallback order.
_INWARD_COST = 0.6  # coming from the middle of the film instead of from outside
_MINOR_COST = 0.4  # pointing at the smallest granule of a group instead of the largest
_SHORT_COST = 4.0  # per arrow length saved; at most half is
_OBSTACLE_COST = 3.0  # whole length over bone
_KIND_COST = 6.0  # over a labelled kind
_OWN_COST = 12.0  # shaft grazing its own group
_DEPOSIT_COST = 30.0  # over another deposit or the notice
_CROSSING_COST = 100.0  # across another arrow
_OUTSIDE_COST = 1e5  # leaving the film

_DIRECTIONS = 32  # every 11.25 degrees; flips and transposes map the set onto itself
_LENGTHS = (1.0, 0.75, 0.5)  # shares of the full arrow length
_AIMS = 4  # largest members of a group an arrow may point at
_LEAST_AREA_PX = 1e-3  # a contour with less area is a point or a line
_SAMPLES = 9  # along an arrow, to look up obstacles
_ROUNDS = 6  # of improving one arrow at a time; most scenes settle in two
_BAR_MM = (100, 50, 20, 10, 5, 2, 1)
_BAR_SHARE = 0.22  # longest scale bar, share of the short side
_ADVANCE = {"m": 1.43} | dict.fromkeys("0123456789", 0.96)  # of DejaVu Sans Bold, in units of its capitals' height
_OTHER_ADVANCE = 0.78  # mean of lower-case text with spaces
_BARB = 0.82  # where the shaft meets the head, share of the head: swept back, as printed arrows are
_LINE_HEIGHT = 1.6  # line of text with room for descenders, in units of the capitals' height
_LETTER_GAP = 4  # labelled structures this many group gaps apart share a letter


class Box(NamedTuple):
    """A rectangle in pixels of the film, ``row0 <= row <= row1``, ``col0 <= col <= col1``."""

    row0: float
    col0: float
    row1: float
    col1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutStyle:
    """Sizes in pixels of the film, and what is lettered; `style_for` derives them from a film's matrix.

    Attributes
    ----------
    arrow_px, head_px, head_width_px, shaft_px
        Length of an arrow, length and width of its head, width of its shaft.
    outline_px
        Width of the dark rim of everything drawn; also the gap between an arrow's tip and the deposit, so that the
        rim touches the edge and hides none of it.
    letter_px, text_px
        Height of capitals: of a letter beside a structure, and of the notice and the scale.
    margin_px
        Free strip along the film's edges for notice and scale.
    group_gap_px
        Deposits nearer than this to one another share an arrow,
    group_extent_px
        unless their common box would become longer than this.
    letters
        Labels that get their letter of `LETTERS`.
    """

    arrow_px: float
    head_px: float
    head_width_px: float
    shaft_px: float
    outline_px: float
    letter_px: float
    text_px: float
    margin_px: float
    group_gap_px: float
    group_extent_px: float
    letters: frozenset[str] = DEFAULT_LETTERS

    def __post_init__(self) -> None:
        if strays := sorted(self.letters - LETTERS.keys()):
            raise ValueError(f"{strays[0]!r} has no letter; choose from {', '.join(LETTERS)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrow:
    """An arrow from `tail` to `tip`, pointing at the candidates `ids`."""

    tip: tuple[float, float]
    tail: tuple[float, float]
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One line of text centred in `box`, its capitals `size_px` high; `ids` are the candidates it stands for."""

    text: str
    box: Box
    size_px: float
    ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleBar:
    """A horizontal bar and the text above it."""

    bar: Box
    text: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Everything to be drawn on one film."""

    arrows: tuple[Arrow, ...]
    letters: tuple[Text, ...]
    notice: Text
    scale: ScaleBar | None


def style_for(
    shape: tuple[int, int], *, spacing_mm: float | None = None, letters: Iterable[str] = DEFAULT_LETTERS
) -> LayoutStyle:
    """Sizes that look the same on a film of 500 pixels and on one of 4000.

    Parameters
    ----------
    shape
        Rows and columns of the film.
    spacing_mm
        Pixel pitch in mm, or None; sets what counts as neighbouring granules.
    letters
        Labels to be lettered.
    """
    short = float(min(shape))
    arrow = min(max(0.055 * short, 16.0), 0.4 * short)  # 16 px: below it a head is no longer seen as a head
    return LayoutStyle(
        arrow_px=arrow,
        head_px=0.42 * arrow,
        head_width_px=0.36 * arrow,
        shaft_px=0.105 * arrow,
        outline_px=max(0.024 * arrow, 0.6),
        letter_px=0.7 * arrow,
        text_px=max(0.012 * short, 8.0),  # 8 px: below it letters run together
        margin_px=0.02 * short,
        group_gap_px=4.0 / spacing_mm if spacing_mm else 0.015 * short,  # 4 mm: granules of one deposit
        group_extent_px=3.0 * arrow,
        letters=frozenset(letters),
    )


def lay_out(
    candidates: Sequence[Candidate],
    *,
    shape: tuple[int, int],
    obstacles: FloatImage | Mask | None = None,
    style: LayoutStyle | None = None,
    notice: str = "not for diagnosis",
    scale: tuple[float, str] | None = None,
) -> Layout:
    """Place an arrow for each deposit or group, letters for labelled kinds, the notice and the scale bar.

    Parameters
    ----------
    candidates
        With boxes and contours in pixels of the film. ``calcification`` gets arrows, the labels in `style.letters`
        get letters, the rest is only kept clear of.
    shape
        Rows and columns of the film.
    obstacles
        bool or float >= 0, on any grid that spans the whole film: where marks had better not lie; 1 = bone.
    style
        Sizes; `style_for` of `shape` by default.
    notice
        Small print at the bottom.
    scale
        Length in pixels and text of the scale bar, as `scale_length` gives it.

    Returns
    -------
    Layout
        Arrows by the first candidate they point at; everything lies within the film.

    Examples
    --------
    >>> layout = lay_out((), shape=(400, 300))
    >>> layout.arrows, layout.notice.text
    ((), 'not for diagnosis')
    """
    style = style or style_for(shape)
    ground = _Ground(shape, np.zeros((1, 1)) if obstacles is None else obstacles)
    boxes = [_box(c) for c in candidates]
    print_ = _place_text(notice, size=style.text_px, boxes=boxes, ground=ground, style=style)
    arrows = _place_arrows(candidates, taken=[print_.box], ground=ground, style=style)
    lines = [arrow_box(arrow, style) for arrow in arrows]
    letters = _place_letters(candidates, taken=[print_.box, *lines], ground=ground, style=style)
    taken = [*boxes, *lines, print_.box, *(letter.box for letter in letters)]
    bar = _place_scale(*scale, taken=taken, ground=ground, style=style) if scale else None
    return Layout(arrows=arrows, letters=letters, notice=print_, scale=bar)


def scale_length(shape: tuple[int, int], spacing_mm: float) -> int | None:
    """Return the longest round length in mm that is at most a fifth or so of the short side; None if 1 mm is too long.

    Examples
    --------
    >>> scale_length((3000, 2500), 0.143)
    50
    """
    fitting = (length for length in _BAR_MM if length / spacing_mm <= _BAR_SHARE * min(shape))
    return next(fitting, None)


def arrow_polygon(arrow: Arrow, style: LayoutStyle) -> Points:
    """Outline of an arrow, float64 (7, 2), ``(row, col)``: the tip first, then around; (0, 2) for one of no length."""
    tip, tail = np.array(arrow.tip), np.array(arrow.tail)
    length = float(np.hypot(*(tail - tip)))
    if length == 0:
        return np.empty((0, 2))
    along = (tail - tip) / length
    across = np.array([-along[1], along[0]])
    head = min(style.head_px, length)
    at = np.array([0, head, _BARB * head, length, length, _BARB * head, head])
    half = np.array([0, style.head_width_px, style.shaft_px, style.shaft_px]) / 2 * min(1, length / style.head_px)
    side = np.concatenate([half, -half[:0:-1]])
    return np.asarray(tip + at[:, None] * along + side[:, None] * across)


def arrow_box(arrow: Arrow, style: LayoutStyle) -> Box:
    """Box of an arrow with its rim."""
    points = np.vstack([arrow_polygon(arrow, style), [arrow.tip]])
    low, high = points.min(0) - style.outline_px, points.max(0) + style.outline_px
    return Box(*map(float, (*low, *high)))


def group_candidates(
    candidates: Sequence[Candidate], *, gap_px: float, extent_px: float = np.inf
) -> tuple[tuple[Candidate, ...], ...]:
    """Join candidates whose boxes lie less than `gap_px` apart, nearest first, into groups at most `extent_px` long.

    Returns
    -------
    tuple of tuple of Candidate
        Each candidate once; groups and their members in the order given.
    """
    boxes = np.array([_box(c) for c in candidates]).reshape(-1, 4)
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


def _box(candidate: Candidate) -> Box:
    """The pixels' outer edges: half-open box to pixel centres at integers."""
    return Box(candidate.y0 - 0.5, candidate.x0 - 0.5, candidate.y1 - 0.5, candidate.x1 - 0.5)


class _Ground(NamedTuple):
    """The film's size and what lies on it."""

    shape: tuple[int, int]
    obstacles: npt.NDArray[np.generic]

    def cost(self, points: Points) -> Points:
        """Obstacles at points (..., 2) of the film."""
        index = ((points + 0.5) / self.shape * self.obstacles.shape).astype(int)
        rows, cols = np.moveaxis(np.clip(index, 0, np.array(self.obstacles.shape) - 1), -1, 0)
        return np.asarray(self.obstacles[rows, cols], np.float64)

    def outside(self, points: Points, margin: float = 0.0) -> Mask:
        """Which of the points (..., 2) lie nearer than `margin` to the film's edge, or beyond it."""
        return np.asarray(((points < margin) | (points > np.array(self.shape) - 1 - margin)).any(-1))


# --- arrows ---------------------------------------------------------------------------------------------------------


class _Options(NamedTuple):
    """The arrows that one group may get: tips and tails (n, 2), cost (n,), cheapest kinds of fault first."""

    tips: Points
    tails: Points
    cost: Points

    def reach(self, low: Points, high: Points, margin: float) -> npt.NDArray[np.bool_]:
        """Which of the boxes from `low` (n, 2) to `high` (n, 2) are nearer than `margin` to any of the arrows' box."""
        own = np.concatenate([self.tips, self.tails])
        return np.asarray(((high > own.min(0) - margin) & (low < own.max(0) + margin)).all(1))


def _place_arrows(
    candidates: Sequence[Candidate], *, taken: Sequence[Box], ground: _Ground, style: LayoutStyle
) -> tuple[Arrow, ...]:
    marks = [c for c in candidates if c.label == MARK]
    kinds = np.array([_box(c) for c in candidates if c.label != MARK]).reshape(-1, 4)
    solid = np.array([*taken, *map(_box, marks)]).reshape(-1, 4)
    owner = np.array([0] * len(taken) + [c.id for c in marks])  # ids start at 1
    groups = group_candidates(marks, gap_px=style.group_gap_px, extent_px=style.group_extent_px)
    options = []
    for group in groups:
        others = solid[~np.isin(owner, [c.id for c in group])]
        choice = _options(group, ground=ground, style=style)
        over = _DEPOSIT_COST * _over(choice, others, style) + _KIND_COST * _over(choice, kinds, style)
        options.append(choice._replace(cost=choice.cost + over))
    chosen = _arrange(options, clearance=style.head_width_px + 2 * style.outline_px)
    return tuple(
        _arrow(option, index, group=group, ground=ground)
        for option, index, group in zip(options, chosen, groups, strict=True)
    )


def _arrow(options: _Options, index: int, *, group: Sequence[Candidate], ground: _Ground) -> Arrow:
    """The chosen option, pushed into the film where its tail sticks out."""
    last = np.array(ground.shape) - 1
    tip, tail = options.tips[index], options.tails[index]
    shift = np.clip(tail, 0, last) - tail
    tip, tail = np.clip(tip + shift, 0, last), tail + shift
    return Arrow(
        tip=(float(tip[0]), float(tip[1])), tail=(float(tail[0]), float(tail[1])), ids=tuple(c.id for c in group)
    )


def _options(group: Sequence[Candidate], *, ground: _Ground, style: LayoutStyle) -> _Options:
    """Every arrow along a ray from one of the group's larger members, its tip where the ray leaves the whole group."""
    outlines = [_outline(c) for c in group]
    starts = np.vstack(outlines)
    stops = np.vstack([np.roll(outline, -1, axis=0) for outline in outlines])
    rays = plane.directions(_DIRECTIONS)
    tips, along, minor = [], [], []
    for rank, outline in enumerate(sorted(outlines, key=lambda o: -abs(plane.area(o)))[:_AIMS]):
        middle = plane.outline_middle(outline)
        reach = plane.last_crossing(middle, rays, starts=starts, stops=stops)
        hit = np.isfinite(reach)
        tips.append(middle + (reach[hit, None] + style.outline_px) * rays[hit])
        along.append(rays[hit])
        minor.append(np.full(int(hit.sum()), _MINOR_COST * rank / _AIMS))
    return _costed(np.vstack(tips), np.vstack(along), np.concatenate(minor), starts=starts, ground=ground, style=style)


def _costed(
    tips: Points, along: Points, minor: Points, *, starts: Points, ground: _Ground, style: LayoutStyle
) -> _Options:
    """Every tip and direction in every length, with what its place alone costs."""
    shares = np.repeat(_LENGTHS, len(tips))
    tips, along, minor = (np.concatenate([a] * len(_LENGTHS)) for a in (tips, along, minor))
    tails = tips + style.arrow_px * shares[:, None] * along
    half = style.head_width_px / 2 + style.outline_px
    sides = half * np.stack([-along[:, 1], along[:, 0]], axis=-1)
    steps = np.linspace(0, 1, _SAMPLES)[:, None, None]
    lanes = np.stack([tips - sides, tips, tips + sides]) + steps[:, None] * (tails - tips)
    shaft_start = tips + np.minimum(style.head_px, style.arrow_px * shares)[:, None] * along
    grazing = plane.point_distance(starts, starts=shaft_start, stops=tails).min(1) < half
    corners = [tips, *(end + side for end in (shaft_start, tails) for side in (-sides, sides))]
    outside = ground.outside(np.stack(corners), style.outline_px)
    cost = (
        minor
        + _INWARD_COST * _inward(tips, along, ground.shape)
        + _OBSTACLE_COST * ground.cost(lanes).mean((0, 1))
        + _SHORT_COST * (1 - shares)
        + _OWN_COST * grazing
        + _OUTSIDE_COST * outside.mean(0)
    )
    return _Options(tips, tails, np.round(cost, 6))


def _inward(tips: Points, along: Points, shape: tuple[int, int]) -> Points:
    """0 for an arrow that comes from outside, 1 for one from the film's middle; 1/2 where the deposit lies there."""
    away = (tips - (np.array(shape) - 1) / 2) / (np.array(shape) / 2)
    return np.asarray((1 - plane.dot(away, along) / np.sqrt(2)) / 2)


def _over(options: _Options, boxes: Points, style: LayoutStyle) -> Points:
    """How many of `boxes` (n, 4) each arrow lies on."""
    half = style.head_width_px / 2 + style.outline_px
    near = boxes[options.reach(boxes[:, :2], boxes[:, 2:], half)]
    hit = plane.crosses_box(options.tips, options.tails, near + np.array([-half, -half, half, half]))
    return np.asarray(np.count_nonzero(hit, axis=1), np.float64)


def _arrange(options: Sequence[_Options], *, clearance: float) -> list[int]:
    """Choose one option each: most constrained group first, then improve one at a time until nothing changes."""
    faultless = [int((option.cost < _DEPOSIT_COST).sum()) for option in options]
    order = sorted(range(len(options)), key=lambda k: (faultless[k], k))
    chosen: dict[int, int] = {}
    for _ in range(_ROUNDS):
        before = dict(chosen)
        for k in order:
            others = [(options[j].tips[i], options[j].tails[i]) for j, i in sorted(chosen.items()) if j != k]
            chosen[k] = int(np.argmin(options[k].cost + _CROSSING_COST * _crossings(options[k], others, clearance)))
        if chosen == before:
            break
    return [chosen[k] for k in range(len(options))]


def _crossings(options: _Options, others: Sequence[tuple[Points, Points]], clearance: float) -> Points:
    """How many of the arrows `others` each option comes nearer than `clearance`."""
    points = np.array(others).reshape(-1, 2, 2)
    near = options.reach(points.min(1), points.max(1), clearance)
    tips, tails = points[near, 0], points[near, 1]
    apart = plane.segment_distance(options.tips, options.tails, tips=tips, tails=tails)
    return np.asarray(np.count_nonzero(apart < clearance, axis=1), np.float64)


# --- letters, notice and scale --------------------------------------------------------------------------------------


def _place_letters(
    candidates: Sequence[Candidate], *, taken: Sequence[Box], ground: _Ground, style: LayoutStyle
) -> tuple[Text, ...]:
    """A letter upright beside each structure of the kinds asked for; parts of one structure share it."""
    letters: list[Text] = []
    busy = [*taken, *(_box(c) for c in candidates)]
    for kind in (kind for kind in LETTERS if kind in style.letters):
        same = [c for c in candidates if c.label == kind]
        for group in group_candidates(same, gap_px=_LETTER_GAP * style.group_gap_px):
            box = _letter_box(group, busy=busy, ground=ground, style=style)
            letters.append(Text(text=LETTERS[kind], box=box, size_px=style.letter_px, ids=tuple(c.id for c in group)))
            busy.append(box)
    return tuple(letters)


def _letter_box(group: Sequence[Candidate], *, busy: Sequence[Box], ground: _Ground, style: LayoutStyle) -> Box:
    """The cheapest place around the group's box; left and right before above and below."""
    edges = np.array([_box(c) for c in group])
    low, high = edges[:, :2].min(0), edges[:, 2:].max(0)
    half = style.letter_px * np.array([0.5, 0.7])  # M is 1.4 times as wide as high
    places = []
    for gap, (row, col) in itertools.product((0.35, 1.0, 2.0), itertools.product((-1, 0, 1), repeat=2)):
        if row or col:
            reach = (high - low) / 2 + half + gap * style.letter_px
            centre = (low + high) / 2 + np.array([row, col]) * reach
            places.append((_box_around(centre, half), gap + 0.3 * (row != 0)))
    return _cheapest(places, busy=busy, ground=ground, margin=style.outline_px)


def _box_around(centre: Points, half: Points) -> Box:
    return Box(*map(float, (*(centre - half), *(centre + half))))


def _place_text(text: str, *, size: float, boxes: Sequence[Box], ground: _Ground, style: LayoutStyle) -> Text:
    """Small print at the bottom: left, right or centred, whichever covers nothing; narrowed to the film's width."""
    rows, cols = ground.shape
    size = min(size, 0.9 * cols / _text_width(text), 0.5 * rows / _LINE_HEIGHT)
    places = _shelf(_text_width(text) * size, _LINE_HEIGHT * size, ground=ground, style=style)
    bottom = [places["bottom left"], places["bottom right"], places["bottom"]]
    box = _cheapest([(box, 0.1 * k) for k, box in enumerate(bottom)], busy=boxes, ground=ground)
    return Text(text=text, box=box, size_px=size)


def _place_scale(
    length: float, text: str, *, taken: Sequence[Box], ground: _Ground, style: LayoutStyle
) -> ScaleBar | None:
    """The bar with its text above, in the freest corner; None where it would be wider than the film."""
    size = style.text_px
    width, height = max(length, _text_width(text) * size), (_LINE_HEIGHT + 0.5) * size
    if width > ground.shape[1] - 2 * style.margin_px or 2 * height > ground.shape[0]:
        return None
    places = _shelf(width, height, ground=ground, style=style)
    corners = [places[name] for name in ("bottom right", "bottom left", "top right", "top left")]
    box = _cheapest([(box, 0.1 * k) for k, box in enumerate(corners)], busy=taken, ground=ground)
    middle = (box.col0 + box.col1) / 2
    bar = Box(box.row1 - 0.4 * size, middle - length / 2, box.row1, middle + length / 2)
    above = Box(box.row0, box.col0, box.row0 + _LINE_HEIGHT * size, box.col1)
    return ScaleBar(bar=bar, text=Text(text=text, box=above, size_px=size))


def _text_width(text: str) -> float:
    """About how long a line is, in units of its capitals' height."""
    return sum(_ADVANCE.get(character, _OTHER_ADVANCE) for character in text)


def _shelf(width: float, height: float, *, ground: _Ground, style: LayoutStyle) -> dict[str, Box]:
    """Boxes of one size along the film's upper and lower edge."""
    rows, cols = ground.shape
    margin = min(style.margin_px, (rows - height) / 2, (cols - width) / 2)
    tops = {"top": margin, "bottom": rows - 1 - margin - height}
    lefts = {"left": margin, "right": cols - 1 - margin - width, "": (cols - 1 - width) / 2}
    return {
        f"{edge} {side}".strip(): Box(top, left, top + height, left + width)
        for (edge, top), (side, left) in itertools.product(tops.items(), lefts.items())
    }


def _cheapest(places: Sequence[tuple[Box, float]], *, busy: Sequence[Box], ground: _Ground, margin: float = 0.0) -> Box:
    """The place of least cost: within the film, over nothing that is marked, then over few obstacles."""
    taken = np.array(busy).reshape(-1, 4)

    def cost(place: tuple[Box, float]) -> float:
        box, own = place
        corners = np.array([box[:2], box[2:]])
        rows, cols = (np.linspace(low, high, 7) for low, high in corners.T)
        grid = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1)
        overlaps = ((taken[:, :2] < box[2:]) & (taken[:, 2:] > box[:2])).all(1).sum()
        outside = ground.outside(corners, margin).any()
        return own + float(ground.cost(grid).mean()) + _DEPOSIT_COST * float(overlaps) + _OUTSIDE_COST * float(outside)

    return min(places, key=cost)[0]


def _outline(candidate: Candidate) -> Points:
    """The contour (n, 2); the box where the contour encloses nothing."""
    contour = np.array(candidate.contour, dtype=float).reshape(-1, 2)
    if len(contour) > 2 and abs(plane.area(contour)) > _LEAST_AREA_PX:
        return contour
    row0, col0, row1, col1 = _box(candidate)
    return np.array([(row0, col0), (row0, col1), (row1, col1), (row1, col0)])
