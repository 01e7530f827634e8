"""Palm, digits and thumb of a hand, from the outline of the limb against air.

The widest circle inside the outline lies in the palm; what is narrower than a share of it are digits. The thumb is the
outermost digit that ends nearest to the wrist; it tells the radial side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import LabelImage, Mask, Points

DIGIT_HALF_WIDTH = 0.42
"""A digit's half width is less than this share of the palm's radius: 0.2 to 0.3 on 13 hands."""

DIGIT_LENGTHS = (0.6, 2.4)
"""Shorter parts are bumps of the outline, longer ones frames and shutters that join it; in radii of the palm."""

MIN_DIGIT_AREA = 0.2
"""Smaller parts are slivers at the field's edge; in squared radii of the palm. Digits have 0.4 to 0.8."""

BASE_SLACK = 0.1
"""What lies nearer to the palm than this, in radii, is no part of a digit: it would join digits along the web."""

DIGITS = 5
THUMB_SHORT = 0.7
"""The thumb ends at less than this share of the height of its neighbour, above the middle of the palm."""

UNNUMBERED = 6
"""Label of a digit whose number is not known."""

DIGIT_NAMES = ("", "first digit", "second digit", "third digit", "fourth digit", "fifth digit", "digit")

THUMB_JOINT_ALONG, THUMB_JOINT_ASIDE = (1.15, 1.8), 0.3
"""The thumb's metacarpophalangeal joint lies so far behind the tip and no farther aside, in radii of the palm. Its
sesamoids lie at 1.31 to 1.60 and up to 0.24 aside on ten hands."""

FINGER_JOINT_BEHIND, FINGER_JOINT_ASIDE = 0.75, 0.35
"""The metacarpophalangeal joint of a finger lies so far behind the web and no farther aside, in radii of the palm."""

SESAMOID_FINGERS = {2: "base of the second digit", 5: "base of the fifth digit"}
"""Fingers whose joint has sesamoids in a third of hands and more (PubMed 26380010); elsewhere they are rare."""

WRIST_FROM, FOREARM_FROM = -0.5, -1.6
"""From the middle of the palm towards the tips, in its radii: the wrist lies between these; by eye on 12 hands."""

SIDE_FROM = 0.2
"""Radial and ulnar side begin so far from the axis, in radii of the palm."""

CARPUS = (-1.2, -0.35)
"""The carpal bones lie between these, from the middle of the palm towards the tips, in its radii."""

OPEN_CARPUS, GROWING_PALM_MM = 0.5, 38.0
"""The carpus of a growing hand is less than this share of bone, and its palm's radius, where it is known, less than so
many mm. Bone was found in 0.07 to 0.57 of 31 carpi of children up to 5 years, two thirds of them below 0.5, in 0.65 and
0.69 at 7 and 8 years, and in less than 0.5 of two of 72 of older ones: a foot taken for a hand, and an adolescent's.
Palms of adults have 42 to 55 mm, of the children up to 37."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HandFrame:
    """A hand's own directions and measures, in pixels.

    Attributes
    ----------
    centre, radius
        ``(row, col)`` of the middle of the palm, and its radius.
    distal, radial
        Unit vectors ``(row, col)`` towards the digits' tips and the thumb's side; `radial` is zero where no thumb is
        known.
    digits
        int32 (rows, cols): 1 (thumb) to 5, `UNNUMBERED`, 0 outside digits.
    thumb
        ``(row, col)`` of the thumb's tip, and the unit vector from it along the thumb; None where no thumb is known.
    """

    centre: Points
    radius: float
    distal: Points
    radial: Points
    digits: LabelImage
    thumb: tuple[Points, Points] | None


def find_hand(limb: Mask, air: Mask) -> HandFrame | None:
    """Find palm and digits in the outline of one limb.

    Parameters
    ----------
    limb, air
        bool (rows, cols): one limb, and where the beam met no body. Where the field ends, the limb goes on.

    Returns
    -------
    HandFrame or None
        In pixels of the same grid; None where fewer than three digits stand out.
    """
    labels, boxes, _ = ops.components(limb)
    if not len(boxes):
        return None
    limb = labels == 1 + int(boxes[:, 4].argmax())
    inset = np.where(limb, ops.distance(air), 0)
    row, col = np.unravel_index(int(inset.argmax()), inset.shape)
    centre, radius = np.array([row, col], float), float(inset.max())
    core = inset > DIGIT_HALF_WIDTH * radius
    palm = ops.distance(core) <= (DIGIT_HALF_WIDTH + BASE_SLACK) * radius
    labels, tips = _digits(limb & ~palm, centre, radius)
    if len(tips) < 3:
        return None
    order, distal = _around_the_palm(tips, centre)
    return _numbered(labels, tips, order, centre=centre, radius=radius, distal=distal)


def _digits(parts: Mask, centre: Points, radius: float) -> tuple[LabelImage, Points]:
    """Parts that are long enough, numbered 1 … n, and the farthest point of each from the palm, (n, 2)."""
    labels, boxes, _ = ops.components(parts)
    length, (shortest, longest) = boxes[:, 2:4].max(axis=1) / radius, DIGIT_LENGTHS
    large = (shortest <= length) & (length <= longest) & (boxes[:, 4] >= MIN_DIGIT_AREA * radius**2)
    labels = ops.compact(np.where(np.concatenate([[False], large])[labels], labels, 0))
    tips = []
    for number, box in enumerate(ops.label_boxes(labels), start=1):
        inside = np.argwhere(labels[box] == number) + np.array([box[0].start, box[1].start])
        tips.append(inside[np.hypot(*(inside - centre).T).argmax()])
    return labels, np.array(tips, float).reshape(-1, 2)


def _around_the_palm(tips: Points, centre: Points) -> tuple[npt.NDArray[np.intp], Points]:
    """Order of the digits around the palm, beginning after the widest gap, where the wrist is; and the distal way."""
    angle = np.arctan2(*(tips - centre).T)
    order = np.argsort(angle)
    gaps = np.diff(np.append(angle[order], angle[order[0]] + 2 * np.pi))
    order = np.roll(order, -int(gaps.argmax()) - 1)
    inner = order[1:-1] if len(order) > 3 else order
    way = (tips[inner] - centre).mean(axis=0)
    return order, way / np.hypot(*way)


def _numbered(
    labels: LabelImage, tips: Points, order: npt.NDArray[np.intp], *, centre: Points, radius: float, distal: Points
) -> HandFrame:
    heights = (tips[order] - centre) @ distal
    if heights[-1] < heights[0]:
        order, heights = order[::-1], heights[::-1]
    number = np.full(len(tips) + 1, UNNUMBERED, np.int32)
    number[0] = 0
    radial, thumb = np.zeros(2), None
    if len(order) >= DIGITS - 1 and heights[0] < THUMB_SHORT * heights[1]:
        first = order[0]
        across = np.array([-distal[1], distal[0]])
        radial = across * np.sign((tips[first] - centre) @ across)
        number[first + 1] = 1
        thumb = tips[first], _back(labels == first + 1, tips[first])
        if len(order) == DIGITS:
            number[order + 1] = np.arange(1, DIGITS + 1)
    return HandFrame(
        centre=centre, radius=radius, distal=distal, radial=radial, digits=number[labels].astype(np.int32), thumb=thumb
    )


def _back(digit: Mask, tip: Points) -> Points:
    """Unit vector from a digit's tip towards its middle."""
    way = np.argwhere(digit).mean(axis=0) - tip
    return np.asarray(way / max(float(np.hypot(*way)), 1e-6))


def hand_areas(points: Points, hand: HandFrame) -> tuple[npt.NDArray[np.str_], npt.NDArray[np.str_]]:
    """Name the area of each point, and the side of the wrist or forearm that it lies on where a thumb tells.

    Parameters
    ----------
    points
        ``(row, col)`` on the grid of `hand`, shape (n, 2).

    Returns
    -------
    areas : str (n,)
        A digit, ``base of the thumb``, ``base of the second digit`` or ``fifth digit``, ``metacarpus``, ``wrist`` or
        ``forearm``.
    parts : str (n,)
        ``radial side``, ``ulnar side`` or nothing.
    """
    at = tuple(np.clip(points.round().astype(int), 0, np.array(hand.digits.shape) - 1).T)
    from_palm = (points - hand.centre) / hand.radius
    up, aside = from_palm @ hand.distal, from_palm @ hand.radial
    digit = hand.digits[at]
    bases = {name: _at_finger_base(points, hand, number) for number, name in SESAMOID_FINGERS.items()}
    tests = [digit > 0, _at_thumb_base(points, hand), *bases.values(), up > WRIST_FROM, up > FOREARM_FROM]
    names = [np.array(DIGIT_NAMES)[digit], "base of the thumb", *bases, "metacarpus", "wrist"]
    areas = np.select(tests, names, "forearm")
    sided = np.isin(areas, ("wrist", "forearm"))
    parts = np.select([sided & (aside > SIDE_FROM), sided & (aside < -SIDE_FROM)], ["radial side", "ulnar side"], "")
    return areas, parts


def is_growing(hand: HandFrame, limb: Mask, *, bone: Mask, pixel_mm: float | None) -> bool:
    """Whether carpal bones are small or missing yet, as up to the age of six.

    Parameters
    ----------
    hand
        The frame of `limb`.
    limb, bone
        bool (rows, cols) on the grid of `hand`.
    pixel_mm
        Pitch of that grid in mm, None where it is not known.

    Returns
    -------
    bool
        False where the limb shows no place of a carpus.
    """
    if pixel_mm is not None and hand.radius * pixel_mm >= GROWING_PALM_MM:
        return False
    rows, cols = np.ogrid[: limb.shape[0], : limb.shape[1]]
    up = ((rows - hand.centre[0]) * hand.distal[0] + (cols - hand.centre[1]) * hand.distal[1]) / hand.radius
    carpus = bone[limb & (up > CARPUS[0]) & (up < CARPUS[1])]
    return len(carpus) > 0 and bool(carpus.mean() < OPEN_CARPUS)


def _at_thumb_base(points: Points, hand: HandFrame) -> npt.NDArray[np.bool_]:
    """Whether points lie where the thumb's metacarpophalangeal joint is."""
    if hand.thumb is None:
        return np.zeros(len(points), bool)
    tip, back = hand.thumb
    from_tip = (points - tip) / hand.radius
    along, aside = from_tip @ back, from_tip @ np.array([-back[1], back[0]])
    nearest, farthest = THUMB_JOINT_ALONG
    return (along > nearest) & (along < farthest) & (np.abs(aside) < THUMB_JOINT_ASIDE)


def _at_finger_base(points: Points, hand: HandFrame, number: int) -> npt.NDArray[np.bool_]:
    """Whether points lie where the metacarpophalangeal joint of a finger is; nowhere without that finger."""
    inside = np.argwhere(hand.digits == number)
    if not len(inside):
        return np.zeros(len(points), bool)
    far = np.hypot(*(inside - hand.centre).T)
    web, tip = inside[far.argmin()], inside[far.argmax()].astype(float)
    back = _back(hand.digits == number, tip)
    from_tip = (points - tip) / hand.radius
    behind = from_tip @ back - float((web - tip) @ back) / hand.radius
    aside = from_tip @ np.array([-back[1], back[0]])
    return (behind > 0) & (behind < FINGER_JOINT_BEHIND) & (np.abs(aside) < FINGER_JOINT_ASIDE)
