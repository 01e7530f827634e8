"""Where on the patient a place is, in words: geometry of bone, body and lungs, by body region.

A zone is an area (``axilla``, ``second digit``), which part of it, and the patient's side. On a frontal film of the
trunk image left is the patient's right; a limb has the side that the header states. Where neither tells, the words say
image left or right, or nothing, and claim nothing of the patient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.anatomy.elbow_frame import elbow_areas
from calcidetect.anatomy.foot_frame import foot_areas_from_above, foot_areas_from_the_side, shows_metatarsals
from calcidetect.anatomy.hand_frame import find_hand, hand_areas, is_growing
from calcidetect.anatomy.hip_frame import hip_areas
from calcidetect.anatomy.joint_frame import JointFrame, find_joint
from calcidetect.anatomy.knee_frame import bent_knee_areas, knee_areas, left_of_bone
from calcidetect.anatomy.shoulder_frame import lateral_side, shoulder_areas
from calcidetect.anatomy.thorax import LUNG_CHANCES, Thorax, chest_areas
from calcidetect.arrays import Mask, Points, Words
from calcidetect.types import Anatomy, Field, Radiograph, Source

MIN_LIMB_SHARE = 0.2
"""A second limb has at least this share of the body seen; smaller parts are letters, frames and fingertips."""

PAIRED = ("hand", "wrist", "elbow", "knee", "foot", "other")
"""Regions of which both sides, or two views of one, may stand apart on a film."""

LEGS = ("knee", "foot")

SIDES = {"R": "right", "L": "left"}
FRONTAL_VIEWS = ("AP", "PA", "ANTERO-POSTERIOR", "POSTERO-ANTERIOR")
LATERAL_VIEWS = ("LL", "RL", "LLO", "RLO", "LATERAL", "LEFT LATERAL", "RIGHT LATERAL", "MEDIO-LATERAL", "LATERO-MEDIAL")
"""Values of DICOM View Position, and names in its view codes."""

PELVIS_MM, PELVIC_SHARE = 280.0, 0.17
"""A film this wide, of no stated side, shows both hips; the true pelvis is this share of its width to either side …"""

PELVIS_ROWS = (0.2, 0.7)
"""… and lies between these shares of its height; below it are the thighs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Zones:
    """Where each of n places is.

    Attributes
    ----------
    areas
        str (n,): the area alone, such as ``wrist``, after ``growing`` on a small child's hand; empty when unknown.
    words
        str (n,): with part and side, such as ``radial side of the right wrist``.
    limbs
        How many limbs, or views of one, stand apart on the film: 1 or 2.
    """

    areas: Words
    words: Words
    limbs: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _View:
    """One limb, or the whole trunk, of a film. `side` is the patient's: ``R``, ``L`` or empty; `frontal` when known."""

    mask: Mask
    side: str
    frontal: bool
    radiograph: Radiograph
    field: Field
    anatomy: Anatomy
    region: str
    thorax: Thorax | None

    @property
    def pixel_mm(self) -> float:
        return self.radiograph.grid.nominal_mm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Named:
    """Area, part of it (``radial side``) and the patient's side (``right``) of each place, str (n,).

    `growing` where they lie in a hand whose carpal bones are small or missing yet.
    """

    areas: Words
    parts: Words
    sides: Words
    growing: bool = False


def find_zones(
    points: Points, radiograph: Radiograph, *, field: Field, anatomy: Anatomy, region: str, thorax: Thorax | None
) -> Zones:
    """Say where places are.

    Parameters
    ----------
    points
        ``(row, col)`` on the working grid, shape (n, 2).
    radiograph, field, anatomy
        The film on the working grid, each (rows, cols).
    region
        A name of `regions.NAMES`.
    thorax
        Of the film, from `find_thorax`; only asked on chest films.

    Returns
    -------
    Zones
        Area and words of each point, str (n,).
    """
    limbs = find_limbs(anatomy.body) if region in PAIRED else (anatomy.body,)
    areas, words = np.zeros(len(points), "<U64"), np.zeros(len(points), "<U64")
    owner = _owner(points, limbs)
    for number, mask in enumerate(limbs):
        view = _View(
            mask=mask,
            side=_limb_side(radiograph.source, region, number if len(limbs) == 2 else None),
            frontal=_is_frontal(radiograph.source),
            radiograph=radiograph,
            field=field,
            anatomy=anatomy,
            region=region,
            thorax=thorax,
        )
        mine = owner == number
        named = _NAMERS.get(region, _plain)(points[mine], view)
        areas[mine] = np.char.add("growing ", named.areas) if named.growing else named.areas
        words[mine] = _in_words(named, number if len(limbs) == 2 else None)
    return Zones(areas=areas, words=words, limbs=len(limbs))


def find_limbs(body: Mask) -> tuple[Mask, ...]:
    """The two large separate parts of a body, image left first; the whole body where it does not fall in two."""
    labels, boxes, centres = ops.components(body)
    large = np.flatnonzero(boxes[:, 4] >= MIN_LIMB_SHARE * max(int(body.sum()), 1))
    if len(large) != 2:
        return (body,)
    return tuple(labels == k + 1 for k in sorted(large, key=lambda k: float(centres[k, 1])))


def _owner(points: Points, limbs: tuple[Mask, ...]) -> npt.NDArray[np.intp]:
    """Number of the limb nearest to each point."""
    if len(limbs) == 1:
        return np.zeros(len(points), np.intp)
    at = _pixels(points, limbs[0].shape)
    return np.argmin([ops.distance(limb)[at] for limb in limbs], axis=0)


def _pixels(points: Points, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    rows, cols = np.clip(points.round().astype(int), 0, np.array(shape) - 1).T
    return rows, cols


def _is_frontal(source: Source) -> bool:
    return source.view.upper() in FRONTAL_VIEWS


def _limb_side(source: Source, region: str, number: int | None) -> str:
    """The header's side of a single limb, or of two views of it.

    Of two legs on a film that is said to be frontal or of both sides, image left is the right one. Hands may be laid
    down either way round.
    """
    if source.laterality in SIDES and (number is None or region not in LEGS):
        return source.laterality
    both = number is not None and region in LEGS and (source.laterality == "B" or _is_frontal(source))
    return "RL"[number] if both and number is not None else ""


def _in_words(named: _Named, number: int | None) -> Words:
    """``radial side of the right wrist``; of two limbs whose side is not known, the one on image left or right."""
    image_side = "" if number is None else ("image-left", "image-right")[number]
    words = (column.tolist() for column in (named.areas, named.parts, named.sides))
    return np.array([_phrase(area, part, side or image_side) for area, part, side in zip(*words, strict=True)], "<U64")


@lru_cache(maxsize=1024)  # a film has few places and many candidates
def _phrase(area: str, part: str, side: str) -> str:
    place = " ".join(word for word in (side, area) if word and area)
    return f"{part} of the {place}" if part and place else part or place


def _named(
    areas: npt.ArrayLike, *, parts: npt.ArrayLike = "", sides: npt.ArrayLike = "", growing: bool = False
) -> _Named:
    areas = np.asarray(areas, "<U64")
    parts, sides = (np.broadcast_to(np.asarray(words, "<U32"), areas.shape) for words in (parts, sides))
    return _Named(areas=areas, parts=parts, sides=sides, growing=growing)


def _plain(points: Points, view: _View) -> _Named:
    """The region's own name; on films of no known region thirds of the picture."""
    side = SIDES.get(view.side, "")
    if view.region in ("elbow", "foot", "knee", "hand", "wrist", "shoulder"):
        return _named(np.full(len(points), view.region), sides=side)
    down, across = _shares(points, view.field.mask)
    third = np.array(["upper third", "middle third", "lower third"])[np.clip((3 * down).astype(int), 0, 2)]
    half = np.where(across < 0.5, "image left", "image right")
    parts = [f"{up}, {way}" for up, way in zip(third, half, strict=True)]
    return _named(np.full(len(points), ""), parts=np.array(parts, "<U32"))


def _shares(points: Points, mask: Mask) -> tuple[Points, Points]:
    """How far down and across the box around `mask` each point lies, 0 to 1."""
    low, size = ops.bounding_box(mask)
    down, across = np.clip((points - low) / size, 0, 1).T
    return down, across


def _chest(points: Points, view: _View) -> _Named:
    lateral = view.radiograph.source.view.upper() in LATERAL_VIEWS
    thorax = None if lateral else view.thorax
    if thorax is None:
        return _plain(points, view)
    points = thorax.seen(points)
    areas = chest_areas(points, thorax)
    sides = np.where(points[:, 1] < thorax.middle, "right", "left")  # as it stands before the reader
    return _named(areas, sides=np.where(np.isin(areas, ("neck", "mediastinum", "heart", "upper abdomen")), "", sides))


def _shoulder(points: Points, view: _View) -> _Named:
    lateral = lateral_side(view.mask, view.field)
    if not lateral:
        return _plain(points, view)
    in_lung = view.anatomy.lung_probability[_pixels(points, view.mask.shape)] > LUNG_CHANCES[0]
    areas = shoulder_areas(points, view.mask, in_lung=in_lung, lateral=lateral, pixel_mm=view.pixel_mm)
    opposite = {"left": "right", "right": "left"}[lateral]  # before the reader the patient's right is on the left
    return _named(areas, sides=SIDES.get(view.side, opposite))


def _hand(points: Points, view: _View) -> _Named:
    hand = find_hand(view.mask, view.field.air)
    if hand is None:
        return _plain(points, view)
    areas, parts = hand_areas(points, hand)
    growing = is_growing(hand, view.mask, bone=view.anatomy.bone, pixel_mm=view.radiograph.grid.spacing_mm)
    return _named(areas, parts=parts, sides=SIDES.get(view.side, ""), growing=growing)


def _joint(view: _View) -> JointFrame | None:
    return find_joint(view.mask, view.anatomy.bone, pixel_mm=view.pixel_mm)


def _elbow(points: Points, view: _View) -> _Named:
    """Front and olecranon side, upper arm and forearm of a bent elbow."""
    joint = _joint(view)
    if joint is None:
        return _plain(points, view)
    areas, parts = elbow_areas(points, joint)
    return _named(areas, parts=parts, sides=SIDES.get(view.side, ""))


def _foot(points: Points, view: _View) -> _Named:
    """By the metatarsals or the bent ankle; where neither shows, the film may be of the foot or of the ankle alone."""
    joint, side = _joint(view), SIDES.get(view.side, "")
    if joint is not None and shows_metatarsals(joint):
        areas, parts = foot_areas_from_above(points, view.anatomy.bone & view.mask, joint=joint)
        return _named(areas, parts=parts, sides=side)
    if joint is not None and joint.bent:
        return _named(foot_areas_from_the_side(points, joint), sides=side)
    return _named(np.full(len(points), "foot or ankle"), sides=side)


def _knee(points: Points, view: _View) -> _Named:
    """By the bend of a knee seen from the side; else medial or lateral, where view and side are known."""
    joint = None if view.frontal else _joint(view)
    if joint is not None and joint.bent:
        return _named(bent_knee_areas(points, joint), sides=SIDES.get(view.side, ""))
    bone = view.anatomy.bone & view.mask
    areas = knee_areas(points, view.mask, bone=bone, pixel_mm=view.pixel_mm)
    parts: npt.ArrayLike = ""
    if view.frontal and view.side in SIDES:
        parts = np.where(left_of_bone(points, bone) == (view.side == "R"), "lateral side", "medial side")
    return _named(areas, parts=parts, sides=SIDES.get(view.side, ""))


def _hip(points: Points, view: _View) -> _Named:
    """Both hips: the true pelvis, and the hips beside it; one hip has its header's side."""
    low, size = ops.bounding_box(view.mask)
    if view.side or size[1] * view.pixel_mm < PELVIS_MM:
        return _one_hip(points, view)
    down, aside = ((points - low) / size - (0, 0.5)).T
    inner = (np.abs(aside) < PELVIC_SHARE) & (down > PELVIS_ROWS[0]) & (down < PELVIS_ROWS[1])
    areas = np.select([inner, down > PELVIS_ROWS[1]], ["pelvis", "thigh"], "hip")
    return _named(areas, sides=np.where(inner, "", np.where(aside < 0, "right", "left")))


def _one_hip(points: Points, view: _View) -> _Named:
    """Parts of a frontal hip, where air tells its lateral side; the patient's right is on image left."""
    joint, lateral = _joint(view), lateral_side(view.mask, view.field)
    if joint is None or not lateral or view.radiograph.source.view.upper() in LATERAL_VIEWS:
        return _named(np.full(len(points), "hip"), sides=SIDES.get(view.side, ""))
    seen = "left" if lateral == "right" else "right"
    return _named(hip_areas(points, joint, lateral=lateral), sides=SIDES.get(view.side, seen))


_NAMERS: dict[str, Callable[[Points, _View], _Named]] = {
    "chest": _chest,
    "shoulder": _shoulder,
    "hand": _hand,
    "wrist": _hand,
    "elbow": _elbow,
    "knee": _knee,
    "foot": _foot,
    "hip": _hip,
}
