"""Bone and lung by fitted tables on hand-made features; bone made into regions, and the film's own bone contrast."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.anatomy.pixel_features import Planes, body_range, context_features, table_probability
from calcidetect.arrays import FloatImage, Mask
from calcidetect.config import BoneSettings
from calcidetect.trees import BoostedTables, load_tables
from calcidetect.types import Anatomy, Field, Radiograph

FALLBACK_STEP = 0.25
"""Bone step as a share of the body's signal range where no bone was found; median over the 47 development films."""

LEAST_BORDER, LEAST_STEP = 5, 0.1
"""Pixels of clear border on the halved film, and share of the fallback, below which a measured step is chance."""

STEP_SIGMA_MM = 2.5
"""How far along the bone's border the two sides are averaged."""

LUNG_SIGMA_MM = 2.0
"""Gaussian sigma that evens the probability of lung out."""

MOST_BONE = 0.9
"""Where more of the body than this looks like bone, none of it is told from anything: gravel, grass and noise (0.94 to
1.0) do, of 318 films none (0.86 at most)."""

RIM_MM = (0.8, 4.0)
"""The two sides of a bone's border are compared this far from it: past the blur, before the next tissue."""

CLEAR_BORDERS = 0.75
"""Quantile of the differences along bone's borders that is the film's bone step. Where bones overlap, or a border is
misjudged, there is bone or none on both sides: on 172 films with pairs of points on bone and beside it the median is
0.66 of what these show, this quantile 1.00 (root mean square of the difference 0.77 and 0.72 octaves)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneTables:
    """Fitted tables: a first `guess` on the planes of `pixel_features`, and the `revised` one on these and on what the
    guess says of the surroundings (`context_features`).
    """

    guess: BoostedTables
    revised: BoostedTables


def shipped_tables() -> BoneTables:
    """The tables in ``calcidetect/data``."""
    return BoneTables(guess=load_tables("bone_guess"), revised=load_tables("bone"))


def segment_bone(
    radiograph: Radiograph, field: Field, *, planes: Planes, settings: BoneSettings, tables: BoneTables | None = None
) -> Anatomy:
    """Segment bone on the working grid.

    Parameters
    ----------
    radiograph
        The film on the working grid.
    field
        Its exposed field; `field.body` must hold at least one pixel.
    planes
        Its `film_planes`.
    settings
        See `BoneSettings`.
    tables
        None for those shipped.

    Returns
    -------
    Anatomy
        With an empty bone mask where nothing looks like bone, or nearly everything; `confidence` then is 0.
    """
    chance = _on_film(bone_probability(planes, tables or shipped_tables()), radiograph, field)
    bone = _regions(chance, field.body, radiograph.grid.nominal_mm, settings)
    outside = ops.distance(bone)
    return Anatomy(
        bone=bone,
        bone_probability=chance,
        lung_probability=_on_film(lung_probability(planes), radiograph, field),
        body=field.body,
        bone_distance_px=outside,
        skin_distance_px=ops.distance(~field.body),
        bone_step=bone_step(
            radiograph.pixels, bone, body=field.body, pixel_mm=radiograph.grid.nominal_mm, outside=outside
        ),
        confidence=_confidence(chance, bone, field.body),
    )


def without_bone(anatomy: Anatomy) -> Anatomy:
    """The same with an empty bone mask and no confidence in it."""
    none = np.zeros_like(anatomy.bone)
    return dataclasses.replace(anatomy, bone=none, bone_distance_px=ops.distance(none), confidence=0.0)


def bone_probability(planes: Planes, tables: BoneTables) -> FloatImage:
    """Probability of bone on the grid of `planes`, float32 (rows, cols), 0 to 1; 0 outside the body."""
    guess = table_probability(planes.values, planes.body, tables=tables.guess)
    context = context_features(guess, planes.body, pixel_mm=planes.pixel_mm)
    return table_probability({**planes.values, **context}, planes.body, tables=tables.revised)


def lung_probability(planes: Planes, *, tables: BoostedTables | None = None) -> FloatImage:
    """Probability of lung on the grid of `planes`, float32 (rows, cols), 0 to 1: no soft tissue lies free there."""
    chance = np.where(planes.body, _on_halved(planes, tables or load_tables("lung")), np.float32(0))
    return ops.smooth(chance, LUNG_SIGMA_MM / planes.pixel_mm)


def _on_halved(planes: Planes, tables: BoostedTables) -> FloatImage:
    """What tables say of planes of half the size, in a quarter of the time; float32 (rows, cols) of `planes`."""
    values = {name: planes.values[name] for name in tables.names} if planes.values else {}
    body, factor = planes.body.astype(np.float32), 1
    if min(body.shape) >= 2:
        factor, body = 2, ops.halve(body)
        values = {name: ops.halve(plane) for name, plane in values.items()}
    return ops.enlarge(table_probability(values, body > 0, tables=tables), factor, planes.body.shape)


def _on_film(chance: FloatImage, radiograph: Radiograph, field: Field) -> FloatImage:
    return np.where(field.body, ops.resize_linear(chance, radiograph.grid.shape), np.float32(0))


def _regions(chance: FloatImage, body: Mask, pixel_mm: float, settings: BoneSettings) -> Mask:
    """Threshold with hysteresis; drop specks, fill small holes; nothing where nearly all would be bone.

    Which parts are bone is decided on a halved film: the chance was learnt on a coarser one yet.
    """
    area = (2 * pixel_mm) ** 2
    even = ops.gaussian(ops.halve(chance), settings.smoothing_mm / pixel_mm / 2)
    labels, boxes, _ = ops.components(even > settings.threshold)
    sure = np.bincount(labels.ravel()[np.flatnonzero(even > settings.sure)], minlength=len(boxes) + 1) > 0
    large = np.concatenate([[False], boxes[:, 4] * area >= settings.min_area_mm2])
    bone = (sure & large)[labels]
    filled = ops.fill_holes(bone, settings.max_hole_mm2 / area)
    even[~filled] = np.minimum(even[~filled], np.float32(settings.threshold))
    even[filled & ~bone] = 1
    found = (ops.enlarge(even, 2, body.shape) > settings.threshold) & body
    return found if found.sum() <= MOST_BONE * body.sum() else np.zeros_like(found)


def bone_step(
    pixels: FloatImage, bone: Mask, *, body: Mask, pixel_mm: float, outside: FloatImage | None = None
) -> float:
    """Measure how much brighter bone is than the soft tissue beside it, where its borders are clear.

    Parameters
    ----------
    pixels
        float32 (rows, cols), bone bright.
    bone, body
        bool (rows, cols).
    pixel_mm
        Pitch in mm.
    outside
        `ops.distance` of bone, where it is known.

    Returns
    -------
    float
        In signal units, > 0; `FALLBACK_STEP` of the body's range where there is no border of bone and soft tissue.
    """
    near, far = (distance / pixel_mm for distance in RIM_MM)
    inside, outside = ops.distance(~bone), ops.distance(bone) if outside is None else outside
    bone_rim = (inside > near) & (inside < far)
    soft_rim = body & (outside > near) & (outside < far)
    border = ops.dilate(bone_rim, round(near)) & ops.dilate(soft_rim, round(2 * near) + 1)
    fallback = FALLBACK_STEP * body_range(pixels, body)[1]
    at = np.flatnonzero(ops.halve_mask(border))
    if len(at) < LEAST_BORDER:
        return fallback
    sigma = STEP_SIGMA_MM / pixel_mm / 2
    inner, outer = (_means(pixels, rim, sigma, at) for rim in (bone_rim, soft_rim))
    measured = float(np.quantile(inner - outer, CLEAR_BORDERS))
    return measured if measured > LEAST_STEP * fallback else fallback


def _means(pixels: FloatImage, rim: Mask, sigma: float, at: npt.NDArray[np.intp]) -> npt.NDArray[np.float32]:
    """Means over a rim around places of the halved film, where they take half the time and are within 0.6 %."""
    weight = rim.astype(np.float32)
    total, share = (ops.gaussian(ops.halve(plane), sigma).ravel()[at] for plane in (pixels * weight, weight))
    return (total / np.maximum(share, np.float32(1e-6))).astype(np.float32, copy=False)


def _confidence(chance: FloatImage, bone: Mask, body: Mask) -> float:
    """Mean certainty of the decision over the body, 0 (a coin toss) to 1; 0 without bone."""
    return round(float(np.abs(2 * chance[body] - 1).mean(dtype=np.float64)), 6) if bone.any() else 0.0
