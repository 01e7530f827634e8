"""What is drawn on a film, and how large: arrows, lines of text, a scale bar.

All positions are ``(row, col)`` in pixels of the film, pixel centres at integers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calcidetect.drawing.plane import Points

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

# Shapes and sizes chosen by eye on the sample films and on forty real ones.
_ARROW_SHARE = 0.055  # of the film's short side
_LEAST_ARROW_PX = 16.0  # below it a head is no longer seen as a head
_LONGEST_ARROW_SHARE = 0.4
_LEAST_TEXT_PX = 8.0  # below it letters run together
_BARB = 0.82  # where the shaft meets the head, share of the head: swept back, as printed arrows are
_GRANULES_MM = 4.0  # granules nearer than this look like one deposit
_GRANULES_SHARE = 0.015  # the same where spacing is unknown, of the short side


class Box(NamedTuple):
    """A rectangle in pixels of the film, ``row0 <= row <= row1``, ``col0 <= col <= col1``."""

    row0: float
    col0: float
    row1: float
    col1: float

    @property
    def corners(self) -> Points:
        """The four corners (4, 2), in order."""
        low_row, low_col, high_row, high_col = self
        return np.array([(low_row, low_col), (low_row, high_col), (high_row, high_col), (high_row, low_col)], float)


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
    """Everything to be drawn on one film; `notice` and `scale` are None where none was asked for or has room."""

    arrows: tuple[Arrow, ...]
    letters: tuple[Text, ...]
    notice: Text | None
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
    arrow = min(max(_ARROW_SHARE * short, _LEAST_ARROW_PX), _LONGEST_ARROW_SHARE * short)
    return LayoutStyle(
        arrow_px=arrow,
        head_px=0.42 * arrow,
        head_width_px=0.36 * arrow,
        shaft_px=0.105 * arrow,
        outline_px=max(0.03 * arrow, 0.6),
        letter_px=0.7 * arrow,
        text_px=max(0.012 * short, _LEAST_TEXT_PX),
        margin_px=0.02 * short,
        group_gap_px=_GRANULES_MM / spacing_mm if spacing_mm else _GRANULES_SHARE * short,
        group_extent_px=3.0 * arrow,
        letters=frozenset(letters),
    )


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
