"""Bone: a probability from fitted tables on hand-made features, made into regions; and the film's own bone contrast."""

from __future__ import annotations

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask
from calcidetect.config import BoneSettings
from calcidetect.pixel_features import body_range, pixel_features
from calcidetect.trees import BoostedTables, load_tables, log_odds, probability
from calcidetect.types import Anatomy, Field, Radiograph

FALLBACK_STEP = 0.25
"""Bone step as a share of the body's signal range where no bone was found; median over the 47 development films."""

STEP_SIGMA_MM = 2.5
"""How far along the bone's border the two sides are averaged."""

RIM_MM = (0.8, 4.0)
"""The two sides of a bone's border are compared this far from it: past the blur, before the next tissue."""


def segment_bone(
    radiograph: Radiograph, field: Field, settings: BoneSettings, *, tables: BoostedTables | None = None
) -> Anatomy:
    """Segment bone on the working grid.

    Parameters
    ----------
    radiograph
        The film on the working grid.
    field
        Its exposed field; `field.body` must hold at least one pixel.
    settings
        See `BoneSettings`.
    tables
        Fitted on `pixel_features`; None for those shipped.

    Returns
    -------
    Anatomy
        With an empty bone mask where nothing looks like bone; `confidence` then is 0.
    """
    tables = tables or load_tables("bone")
    chance = bone_probability(radiograph, field, pixel_mm=settings.pixel_mm, tables=tables)
    bone = _regions(chance, field.body, radiograph.grid.nominal_mm, settings)
    return Anatomy(
        bone=bone,
        bone_probability=chance,
        body=field.body,
        bone_distance_px=ops.distance(bone),
        skin_distance_px=ops.distance(~field.body),
        bone_step=bone_step(radiograph.pixels, bone, field.body, radiograph.grid.nominal_mm),
        confidence=_confidence(chance, bone, field.body),
    )


def bone_probability(radiograph: Radiograph, field: Field, *, pixel_mm: float, tables: BoostedTables) -> FloatImage:
    """Probability of bone, float32 (rows, cols), 0 to 1; 0 outside the body.

    The tables are evaluated on pixels of `pixel_mm` and the result is enlarged to the film's grid.
    """
    planes, body = reduced_features(radiograph, field, pixel_mm=pixel_mm)
    chance = np.zeros(body.shape, np.float32)
    if body.any():
        chance[body] = probability(log_odds(tables, [planes[name][body] for name in tables.names]))
    return np.where(field.body, ops.resize_linear(chance, radiograph.grid.shape), np.float32(0))


def reduced_features(radiograph: Radiograph, field: Field, *, pixel_mm: float) -> tuple[dict[str, FloatImage], Mask]:
    """Feature planes and body of a film reduced to pixels of `pixel_mm`; no planes where there is no body."""
    rows, cols = (max(1, round(side * radiograph.grid.nominal_mm / pixel_mm)) for side in radiograph.grid.shape)
    pixels, body = ops.resize_area(radiograph.pixels, (rows, cols)), ops.resize_mask(field.body, (rows, cols))
    return (pixel_features(pixels, body, pixel_mm) if body.any() else {}), body


def _regions(chance: FloatImage, body: Mask, pixel_mm: float, settings: BoneSettings) -> Mask:
    """Threshold with hysteresis; drop specks, fill small holes."""
    even = ops.gaussian(chance, settings.smoothing_mm / pixel_mm)
    likely = even > settings.threshold
    labels, boxes, _ = ops.components(likely)
    sure = np.bincount(labels[even > settings.sure], minlength=len(boxes) + 1) > 0
    large = np.concatenate([[False], boxes[:, 4] * pixel_mm**2 >= settings.min_area_mm2])
    return ops.fill_holes((sure & large)[labels], settings.max_hole_mm2 / pixel_mm**2) & body


def bone_step(pixels: FloatImage, bone: Mask, body: Mask, pixel_mm: float) -> float:
    """Median signal of bone minus that of the soft tissue beside it, in signal units, > 0.

    Falls back on `FALLBACK_STEP` of the body's range where there is no border of bone and soft tissue.
    """
    near, far = (distance / pixel_mm for distance in RIM_MM)
    inside, outside = ops.distance(~bone), ops.distance(bone)
    bone_rim = bone & (inside > near) & (inside < far)
    soft_rim = body & (outside > near) & (outside < far)
    sigma = STEP_SIGMA_MM / pixel_mm
    step = ops.masked_gaussian(pixels, bone_rim, sigma) - ops.masked_gaussian(pixels, soft_rim, sigma)
    border = ops.dilate(bone_rim, round(near)) & ops.dilate(soft_rim, round(2 * near) + 1)
    fallback = FALLBACK_STEP * body_range(pixels, body)[1]
    if border.sum() < 20:
        return fallback
    measured = float(np.median(step[border]))
    return measured if measured > 0.1 * fallback else fallback


def _confidence(chance: FloatImage, bone: Mask, body: Mask) -> float:
    """Mean certainty of the decision over the body, 0 (a coin toss) to 1; 0 without bone."""
    return round(float(np.abs(2 * chance[body] - 1).mean(dtype=np.float64)), 6) if bone.any() else 0.0
