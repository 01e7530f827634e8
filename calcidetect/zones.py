"""Where on the patient a place is, in words: geometry of bone, body and lungs, by body region.

An area (``axilla``, ``second digit``) comes first, then its side. On a frontal film of the trunk image left is the
patient's right; a single limb has the side that its header states. Where neither tells, the words say image left or
right, and claim nothing of the patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Mask
from calcidetect.hand_frame import UNNUMBERED, HandFrame, find_hand
from calcidetect.thorax import chest_areas, find_thorax
from calcidetect.types import Anatomy, Field, Radiograph

Points = npt.NDArray[np.float64]
Words = npt.NDArray[np.str_]

MIN_LIMB_SHARE = 0.2
"""A second limb has at least this share of the body seen; smaller parts are letters, frames and fingertips."""

TWO_LIMBS_REGIONS = ("hand", "wrist", "elbow", "knee", "foot", "other")
"""Regions of which both sides, or two views of one, may stand apart on a film."""

SIDES = {"R": "right", "L": "left"}
IMAGE_SIDES = ("image left", "image right")
LATERAL_VIEWS = ("LL", "RL", "LATERAL", "LAT", "LLO", "RLO")
"""DICOM View Position of films that are not frontal."""

DIGIT_NAMES = ("", "first digit", "second digit", "third digit", "fourth digit", "fifth digit", "digit")
THUMB_MCP_ALONG, THUMB_MCP_ASIDE = (1.15, 1.8), 0.3
"""The thumb's metacarpophalangeal joint lies so far behind the tip, and no farther aside; in radii of the palm. Its
sesamoids lie at 1.31 to 1.60 and up to 0.24 aside on ten hands."""

WRIST_FROM, FOREARM_FROM = -0.5, -1.6
"""From the middle of the palm towards the tips, in its radii: carpus and radial joint lie between these."""

SIDE_FROM = 0.2
"""The wrist has a middle third: so far from the axis, in radii of the palm, its radial and ulnar sides begin."""

JOINT_MM = 60.0
"""A knee reaches this far above and below its widest row of bone."""

SHOULDER_MM, UPPER_ARM_MM, AXILLA_MM = 130.0, 100.0, 160.0
"""On a shoulder film: the joint lies within the first of the upper skin; below it follow, from the lateral skin, the arm
and the axilla, then the chest. Seven films and two phantoms, by eye."""

TRUNK_SHARE = 0.03
"""Least share of the field that is air beside a shoulder, for its lateral side to be known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Zones:
    """Where each of n places is.

    Attributes
    ----------
    areas
        str (n,): the area alone, e.g. ``wrist``; empty when unknown.
    words
        str (n,): with its side, e.g. ``radial side of the right wrist``.
    limbs
        How many limbs, or views of one, stand apart on the film: 1 or 2.
    """

    areas: Words
    words: Words
    limbs: int


def find_zones(points: Points, radiograph: Radiograph, field: Field, anatomy: Anatomy, *, region: str) -> Zones:
    """Say where places are.

    Parameters
    ----------
    points
        ``(row, col)`` on the working grid, shape (n, 2).
    radiograph, field, anatomy
        The film on the working grid.
    region
        A name of `regions.NAMES`.

    Returns
    -------
    Zones
    """
    limbs = find_limbs(anatomy.body) if region in TWO_LIMBS_REGIONS else (anatomy.body,)
    namer = {"chest": _chest, "shoulder": _shoulder, "hand": _hand, "wrist": _hand, "knee": _knee, "hip": _hip}
    name = namer.get(region, _plain)
    areas, words = (np.zeros(len(points), "<U48") for _ in range(2))
    owner = _nearest(points, limbs)
    for number, limb in enumerate(limbs):
        mine = owner == number
        side = _limb_side(radiograph, limbs, number)
        areas[mine], words[mine] = name(points[mine], limb, side, radiograph, field, anatomy, region)
    return Zones(areas=areas, words=words, limbs=len(limbs))


def find_limbs(body: Mask) -> tuple[Mask, ...]:
    """The one or two large separate parts of a body, image left first; the whole body where it does not fall apart."""
    labels, boxes, centres = ops.components(body)
    large = np.flatnonzero(boxes[:, 4] >= MIN_LIMB_SHARE * max(int(body.sum()), 1))
    if len(large) != 2:
        return (body,)
    return tuple(labels == k + 1 for k in sorted(large, key=lambda k: float(centres[k, 1])))
