"""Where letters, notice and scale bar go: each in the cheapest of a few places. Pure geometry."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from calcidetect.drawing.plane import Points
from calcidetect.drawing.scene import Ground, boxes_of, group_candidates
from calcidetect.drawing.strokes import LETTERS, Box, LayoutStyle, ScaleBar, Text
from calcidetect.types import Candidate

LINE_HEIGHT = 1.6
"""Line of text with room for descenders, in units of the capitals' height."""

_OVERLAP_COST = 30.0  # over something that is marked or drawn; the worst obstacle costs 4
_OUTSIDE_COST = 1e5  # leaving the film
_NEXT_PLACE_COST = 0.1  # of each place after the usual one: order decides where nothing else does
_BAR_MM = (100, 50, 20, 10, 5, 2, 1)
_BAR_SHARE = 0.22  # longest scale bar, share of the short side
_ADVANCE = {"m": 1.43} | dict.fromkeys("0123456789", 0.96)  # of DejaVu Sans Bold, in units of its capitals' height
_OTHER_ADVANCE = 0.78  # mean of lower-case text with spaces
_LETTER_HALF = (0.5, 0.7)  # of a letter's box, in units of its height: M is 1.4 times as wide as high
_LETTER_GAPS = (0.35, 1.0, 2.0)  # between a structure and its letter, in units of the letter's height
_SHARED_LETTER_ARROWS = 3.0  # parts of a structure this many arrow lengths apart share a letter


def scale_length(shape: tuple[int, int], spacing_mm: float) -> int | None:
    """Return the longest round length in mm that is at most a fifth or so of the short side; None if 1 mm is too long.

    Examples
    --------
    >>> scale_length((3000, 2500), 0.143)
    50
    """
    fitting = (length for length in _BAR_MM if length / spacing_mm <= _BAR_SHARE * min(shape))
    return next(fitting, None)


def place_letters(
    candidates: Sequence[Candidate], *, busy: Sequence[Box], ground: Ground, style: LayoutStyle
) -> tuple[Text, ...]:
    """A letter upright beside each structure of the kinds asked for; parts of one structure share it."""
    letters: list[Text] = []
    for kind in (kind for kind in LETTERS if kind in style.letters):
        same = [c for c in candidates if c.label == kind]
        for group in group_candidates(same, gap_px=_SHARED_LETTER_ARROWS * style.arrow_px):
            taken = [*busy, *(letter.box for letter in letters)]
            box = _letter_box(boxes_of(group), busy=taken, ground=ground, style=style)
            letters.append(Text(text=LETTERS[kind], box=box, size_px=style.letter_px, ids=tuple(c.id for c in group)))
    return tuple(letters)


def _letter_box(structure: Points, *, busy: Sequence[Box], ground: Ground, style: LayoutStyle) -> Box:
    """The cheapest place around the boxes of a structure; left and right before above and below."""
    low, high = structure[:, :2].min(0), structure[:, 2:].max(0)
    half = style.letter_px * np.array(_LETTER_HALF)
    places = []
    for gap, (row, col) in itertools.product(_LETTER_GAPS, itertools.product((-1, 0, 1), repeat=2)):
        if row or col:
            reach = (high - low) / 2 + half + gap * style.letter_px
            centre = (low + high) / 2 + np.array([row, col]) * reach
            box = Box(*map(float, (*(centre - half), *(centre + half))))
            places.append((box, gap + 0.3 * (row != 0)))
    return _cheapest(places, busy=busy, ground=ground, margin=style.outline_px)


def place_notice(text: str, *, busy: Sequence[Box], ground: Ground, style: LayoutStyle) -> Text:
    """Small print at the bottom, or at the top where that is marked all over; narrowed to the film's width."""
    rows, cols = ground.shape
    size = min(style.text_px, 0.9 * cols / _text_width(text), 0.5 * rows / LINE_HEIGHT)
    places = _shelf(_text_width(text) * size, LINE_HEIGHT * size, ground=ground, style=style)
    order = [f"{edge} {side}" for edge in ("bottom", "top") for side in ("left", "right", "middle")]
    return Text(text=text, box=_first_free(places, order, busy=busy, ground=ground), size_px=size)


def place_scale(
    length: float, text: str, *, busy: Sequence[Box], ground: Ground, style: LayoutStyle
) -> ScaleBar | None:
    """Place a scale bar with its text above in the freest corner.

    Parameters
    ----------
    length
        Of the bar in pixels.
    text
        What it stands for.
    busy
        Where arrows, letters and deposits are.
    ground
        The film below.
    style
        Sizes.

    Returns
    -------
    ScaleBar or None
        None where it would be wider than the film.
    """
    size = style.text_px
    width, height = max(length, _text_width(text) * size), (LINE_HEIGHT + 0.5) * size
    if width > ground.shape[1] - 2 * style.margin_px or 2 * height > ground.shape[0]:
        return None
    places = _shelf(width, height, ground=ground, style=style)
    order = [f"{edge} {side}" for edge in ("bottom", "top") for side in ("right", "left")]
    box = _first_free(places, order, busy=busy, ground=ground)
    middle = (box.col0 + box.col1) / 2
    bar = Box(box.row1 - 0.4 * size, middle - length / 2, box.row1, middle + length / 2)
    above = Box(box.row0, box.col0, box.row0 + LINE_HEIGHT * size, box.col1)
    return ScaleBar(bar=bar, text=Text(text=text, box=above, size_px=size))


def _text_width(text: str) -> float:
    """About how long a line is, in units of its capitals' height."""
    return sum(_ADVANCE.get(character, _OTHER_ADVANCE) for character in text)


def _shelf(width: float, height: float, *, ground: Ground, style: LayoutStyle) -> dict[str, Box]:
    """Boxes of one size along the film's upper and lower edge."""
    rows, cols = ground.shape
    margin = min(style.margin_px, (rows - height) / 2, (cols - width) / 2)
    tops = {"top": margin, "bottom": rows - 1 - margin - height}
    lefts = {"left": margin, "right": cols - 1 - margin - width, "middle": (cols - 1 - width) / 2}
    return {
        f"{edge} {side}": Box(top, left, top + height, left + width)
        for (edge, top), (side, left) in itertools.product(tops.items(), lefts.items())
    }


def _first_free(places: dict[str, Box], order: Sequence[str], *, busy: Sequence[Box], ground: Ground) -> Box:
    ranked = [(places[name], _NEXT_PLACE_COST * k) for k, name in enumerate(order)]
    return _cheapest(ranked, busy=busy, ground=ground)


def _cheapest(places: Sequence[tuple[Box, float]], *, busy: Sequence[Box], ground: Ground, margin: float = 0.0) -> Box:
    """The place of least cost: within the film, over nothing that is marked or drawn, then over few obstacles."""
    return min(places, key=lambda place: place[1] + cover_cost(place[0], busy=busy, ground=ground, margin=margin))[0]


def cover_cost(box: Box, *, busy: Sequence[Box], ground: Ground, margin: float = 0.0) -> float:
    """What it costs to cover `box`: the mean of its obstacles, more for each of `busy` in it, most beyond the film."""
    taken = np.array(busy).reshape(-1, 4)
    corners = np.array([box[:2], box[2:]])
    rows, cols = (np.linspace(low, high, 7) for low, high in corners.T)
    grid = np.stack(np.meshgrid(rows, cols, indexing="ij"), axis=-1)
    overlaps = ((taken[:, :2] < box[2:]) & (taken[:, 2:] > box[:2])).all(1).sum()
    outside = ground.outside(corners, margin).any()
    return float(ground.cost(grid).mean()) + _OVERLAP_COST * float(overlaps) + _OUTSIDE_COST * float(outside)
