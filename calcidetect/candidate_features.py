"""What is measured of each candidate: contrast, shape, surroundings, rivals; the features that `score` weighs.

Everything is measured for all candidates at once, by counting over the label image and by sampling planes at each
centre and on rings around it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage
from calcidetect.blobs import CLUTTER_FLOOR_STEPS, blob_response, clutter
from calcidetect.label_regions import LabelRegions, label_regions
from calcidetect.pixel_features import Planes, body_range, fine_features
from calcidetect.types import Anatomy, Background, Field, Radiograph

Column = npt.NDArray[np.floating]

DIRECTIONS = 16
RING_RADII = (1.5, 2.2, 3.2)
"""Rings are sampled at these multiples of a candidate's own radius …"""

RING_MARGINS_MM = (2.0, 5.0)
"""… and this far outside it."""

NEIGHBOURHOOD_MM = (8.0, 25.0)
CONTEXT_SIGMAS_MM = (3.0, 6.0, 12.0, 24.0)
DISTANCE_LIMIT_MM = 30.0

AROUND_MM = 3.0
"""The planes of the film are asked at a candidate's centre and on a ring this far outside it."""

BLOB_SIGMAS_MM = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)

PROFILE_MM = (1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 18.0)
"""Radii of rings around a candidate's centre, whatever its size."""

BONE_RINGS_MM = (1.5, 4.0, 8.0, 15.0)
RIVALS_MM = (10.0, 20.0, 40.0)
LUNG_SIGMAS_MM = (5.0, 15.0, 40.0)
LUNG_RING_MM, LUNG_LIMIT_MM = 6.0, 60.0
FINE_SIGMA_MM = 0.3
"""Gaussian sigma that takes single pixels of noise away before blobs and texture are looked at."""

GRAIN_SIGMA_MM = 1.0
"""What a Gaussian of this sigma takes away is the texture of a place."""


def candidate_features(
    labels: LabelImage,
    *,
    radiograph: Radiograph,
    field: Field,
    planes: Planes,
    anatomy: Anatomy,
    background: Background,
) -> dict[str, npt.NDArray[np.float32]]:
    """Measure every candidate.

    Parameters
    ----------
    labels
        int32 (rows, cols): candidates 1 … n, none missing.
    radiograph, field, planes, anatomy, background
        The film on the working grid and what was learnt of it.

    Returns
    -------
    dict
        Feature name to float32 (n,). Contrasts are in bone steps or noise sigmas, lengths in mm by the nominal
        pitch, the rest are ratios.
    """
    if not labels.any():
        return {}
    regions = label_regions(labels)
    pixel_mm = radiograph.grid.nominal_mm
    contrast = (radiograph.pixels - background.level) / np.float32(anatomy.bone_step)
    features = _contrasts(regions, contrast, background, anatomy, radiograph)
    features |= _shape(regions, labels, contrast, pixel_mm)
    features |= _surroundings(regions, field, anatomy, pixel_mm)
    features |= _rings(regions, radiograph, anatomy, background, features)
    features |= _context(regions, radiograph, anatomy)
    features |= _neighbours(regions, features["contrast_mean"], pixel_mm)
    features |= _planes(regions, planes, labels.shape, pixel_mm)
    features |= _fine(regions, radiograph, anatomy)
    signal = ops.gaussian(radiograph.pixels, FINE_SIGMA_MM / pixel_mm) / np.float32(anatomy.bone_step)
    features |= _blobs(regions, signal, anatomy, features["radius_mm"], pixel_mm)
    features |= _texture(regions, signal, pixel_mm)
    features |= _profile(regions, radiograph, anatomy)
    features |= _bone_and_lung_around(regions, anatomy, pixel_mm)
    features |= _rivals(regions, features, pixel_mm)
    return {name: np.nan_to_num(column, posinf=0, neginf=0).astype(np.float32) for name, column in features.items()}


def _contrasts(
    regions: LabelRegions, contrast: FloatImage, background: Background, anatomy: Anatomy, radiograph: Radiograph
) -> dict[str, Column]:
    sigmas = contrast * anatomy.bone_step / background.noise
    median, span = body_range(radiograph.pixels, anatomy.body)
    mean = regions.mean(contrast)
    spread = np.sqrt(np.maximum(regions.mean(contrast**2) - mean**2, 0))
    return {
        "contrast_mean": mean,
        "contrast_highest": regions.highest(contrast),
        "contrast_spread": spread,
        "sigmas_mean": regions.mean(sigmas),
        "sigmas_highest": regions.highest(sigmas),
        "noise": regions.mean(background.noise) / anatomy.bone_step,
        "film_level": (regions.mean(radiograph.pixels) - median) / span,
        **_share_of_film(regions, radiograph.pixels, anatomy),
        "usable": regions.mean(background.usable.astype(np.float32)),
    }


def _shape(regions: LabelRegions, labels: LabelImage, contrast: FloatImage, pixel_mm: float) -> dict[str, Column]:
    rows, cols = np.divmod(regions.flat, labels.shape[1])
    down, across = rows - regions.rows[regions.label], cols - regions.cols[regions.label]
    count = len(regions.area)
    var_r, var_c, cov = (
        np.bincount(regions.label, product, count) / regions.area for product in (down**2, across**2, down * across)
    )
    half = np.hypot((var_r - var_c) / 2, cov)
    long, short = (var_r + var_c) / 2 + half + 1 / 12, np.maximum((var_r + var_c) / 2 - half, 0) + 1 / 12
    rim = ops.rim(labels)
    rim_regions = _rim_mean(rim, labels, contrast, count)
    return {
        "radius_mm": regions.radius * pixel_mm,
        "long_mm": 4 * np.sqrt(long) * pixel_mm,
        "elongation": np.sqrt(long / short),
        "fullness": regions.area / (4 * np.pi * np.sqrt(long * short)),
        "raggedness": rim_regions[0] / np.sqrt(4 * np.pi * regions.area),
        "edge_steepness": rim_regions[1] / pixel_mm,
        "relief": (regions.mean(contrast) - rim_regions[2]),
    }


def _rim_mean(
    rim: npt.NDArray[np.bool_], labels: LabelImage, contrast: FloatImage, count: int
) -> tuple[npt.NDArray[np.float64], ...]:
    """Length, mean steepness and mean contrast of each region's rim."""
    owner = labels[rim] - 1
    length = np.bincount(owner, minlength=count).astype(float)
    steepness = np.hypot(*ops.gradient(contrast))[rim]
    mean = [np.bincount(owner, values, count) / np.maximum(length, 1) for values in (steepness, contrast[rim])]
    return length, *mean


def _surroundings(regions: LabelRegions, field: Field, anatomy: Anatomy, pixel_mm: float) -> dict[str, Column]:
    limit = DISTANCE_LIMIT_MM
    chance = anatomy.bone_probability
    return {
        "bone_chance": regions.mean(chance),
        "bone_chance_highest": regions.highest(chance),
        "bone_share": regions.mean(anatomy.bone.astype(np.float32)),
        "bone_distance_mm": np.minimum(regions.lowest(anatomy.bone_distance_px) * pixel_mm, limit),
        "skin_distance_mm": np.minimum(regions.lowest(anatomy.skin_distance_px) * pixel_mm, limit),
        "field_edge_mm": np.minimum(regions.lowest(ops.distance(~field.mask)) * pixel_mm, limit),
        "metal_mm": np.minimum(regions.lowest(ops.distance(field.metal)) * pixel_mm, limit),
    }


def _rings(
    regions: LabelRegions, radiograph: Radiograph, anatomy: Anatomy, background: Background, measured: dict[str, Column]
) -> dict[str, Column]:
    """Drop to each ring in noise sigmas, by direction: an edge has one dark side, a ridge two, a deposit all."""
    inside, noise = measured["contrast_mean"], measured["noise"]
    pixel_mm = radiograph.grid.nominal_mm
    even = ops.gaussian((radiograph.pixels - background.level) / np.float32(anatomy.bone_step), 0.8 / pixel_mm)
    radius = regions.radius
    distances = {f"x{factor:g}": factor * radius for factor in RING_RADII}
    distances |= {f"plus{margin:g}": radius + margin / pixel_mm for margin in RING_MARGINS_MM}
    features: dict[str, Column] = {}
    for name, distance in distances.items():
        rows, cols = _ring_points(regions, distance)
        drop = (inside[:, None] - ops.sample(even, rows, cols)) / noise[:, None]
        half = DIRECTIONS // 2
        ordered = np.sort(drop, axis=1)
        pair = np.maximum(drop[:, :half], drop[:, half:]).min(axis=1)
        both = np.minimum(drop[:, :half], drop[:, half:]).max(axis=1)
        median = ordered[:, half]
        features[f"drop_least_{name}"] = ordered[:, 0]
        features[f"drop_quarter_{name}"] = ordered[:, DIRECTIONS // 4]
        features[f"drop_median_{name}"] = median
        features[f"drop_pair_{name}"] = pair
        features[f"drop_both_{name}"] = both
        scale = np.abs(median) + 1
        features[f"even_least_{name}"] = ordered[:, 0] / scale
        features[f"even_pair_{name}"] = pair / scale
        features[f"even_most_{name}"] = ordered[:, -1] / scale
        chance = ops.sample(anatomy.bone_probability, rows, cols)
        features[f"bone_ring_{name}"] = chance.mean(axis=1, dtype=np.float64)
        features[f"bone_ring_most_{name}"] = chance.max(axis=1)
    return features


def _ring_points(regions: LabelRegions, distance: npt.NDArray[np.float64]) -> tuple[FloatImage, FloatImage]:
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    rows = regions.rows[:, None] + distance[:, None] * np.sin(angle)
    cols = regions.cols[:, None] + distance[:, None] * np.cos(angle)
    return rows.astype(np.float32), cols.astype(np.float32)


def _context(regions: LabelRegions, radiograph: Radiograph, anatomy: Anatomy) -> dict[str, Column]:
    """How the place looks at wider scales: level, spread, share of bone and of body."""
    pixel_mm = radiograph.grid.nominal_mm
    signal = radiograph.pixels / np.float32(anatomy.bone_step)
    signal = signal - np.float32(np.median(signal[anatomy.body]))
    rows, cols = _centre_points(regions)
    features: dict[str, Column] = {}
    body = anatomy.body.astype(np.float32)
    here = ops.sample(ops.gaussian(signal, 1.0 / pixel_mm), rows, cols)[:, 0]
    for sigma_mm in CONTEXT_SIGMAS_MM:
        sigma = sigma_mm / pixel_mm
        mean = ops.smooth(signal, sigma)
        spread = np.sqrt(np.maximum(ops.smooth(signal * signal, sigma) - mean**2, 0))
        features[f"above_{sigma_mm:g}mm"] = here - ops.sample(mean, rows, cols)[:, 0]
        features[f"spread_{sigma_mm:g}mm"] = ops.sample(spread, rows, cols)[:, 0]
        features[f"bone_{sigma_mm:g}mm"] = ops.sample(ops.smooth(anatomy.bone_probability, sigma), rows, cols)[:, 0]
    features["body_24mm"] = ops.sample(ops.smooth(body, 24.0 / pixel_mm), rows, cols)[:, 0]
    return features


def _neighbours(regions: LabelRegions, contrast: Column, pixel_mm: float) -> dict[str, Column]:
    """Candidates nearby of at least half the contrast: granules come in clusters, rib crossings in rows."""
    place = regions.centres * pixel_mm
    features: dict[str, Column] = {}
    for reach in NEIGHBOURHOOD_MM:
        first, second = ops.pairs_within(place, reach)
        counted = contrast[second] >= contrast[first] / 2
        features[f"neighbours_{reach:g}mm"] = np.bincount(first[counted], minlength=len(contrast)).astype(np.float32)
    return features


def _share_of_film(regions: LabelRegions, pixels: FloatImage, anatomy: Anatomy) -> dict[str, Column]:
    """Brightness on a scale from the body's darkest to its brightest."""
    low, high = np.percentile(pixels[anatomy.body], [0.2, 99.8])
    span = max(high - low, 1e-6)
    return {
        "film_share_highest": (regions.highest(pixels) - low) / span,
        "film_share_mean": (regions.mean(pixels) - low) / span,
    }


def _centre_points(regions: LabelRegions) -> tuple[FloatImage, FloatImage]:
    return regions.rows[:, None].astype(np.float32), regions.cols[:, None].astype(np.float32)


def _planes(regions: LabelRegions, planes: Planes, shape: tuple[int, int], pixel_mm: float) -> dict[str, Column]:
    """The film's feature planes at each centre, and on average around it."""
    scale = np.array(planes.body.shape) / np.array(shape)
    ring = _ring_points(regions, regions.radius + AROUND_MM / pixel_mm)
    features: dict[str, Column] = {}
    for name, points in (("here", _centre_points(regions)), ("around", ring)):
        rows, cols = (((at + 0.5) * factor - 0.5).astype(np.float32) for at, factor in zip(points, scale, strict=True))
        for plane, values in planes.values.items():
            features[f"{name}_{plane}"] = ops.sample(values, rows, cols).mean(axis=1)
    return features


def _fine(regions: LabelRegions, radiograph: Radiograph, anatomy: Anatomy) -> dict[str, Column]:
    points = _centre_points(regions)
    planes = fine_features(radiograph.pixels, anatomy.body, radiograph.grid.nominal_mm)
    return {f"fine_{name}": ops.sample(plane, *points)[:, 0] for name, plane in planes.items()}


def _blobs(
    regions: LabelRegions, signal: FloatImage, anatomy: Anatomy, radius_mm: Column, pixel_mm: float
) -> dict[str, Column]:
    """Answers of blob filters at every scale: in bone steps, and over the clutter of the body and of soft tissue."""
    points, body = _centre_points(regions), anatomy.body.astype(np.float32)
    soft = (anatomy.body & (anatomy.bone_probability < 0.3)).astype(np.float32)
    floor = np.float32(CLUTTER_FLOOR_STEPS)
    features, over_clutter = {}, []
    for sigma_mm in BLOB_SIGMAS_MM:
        sigma = sigma_mm / pixel_mm
        response = blob_response(signal, sigma)
        here = ops.sample(response, *points)[:, 0]
        usual = [clutter(response, weight, sigma, pixel_mm=pixel_mm) + floor for weight in (body, soft)]
        over_body, over_soft = (here / ops.sample(noise, *points)[:, 0] for noise in usual)
        over_clutter.append(over_body)
        features[f"blob_{sigma_mm:g}mm"] = here
        features[f"blob_over_body_{sigma_mm:g}mm"] = over_body
        features[f"blob_over_soft_{sigma_mm:g}mm"] = over_soft
    profile = np.stack(over_clutter, axis=1)
    features["blob_best"] = profile.max(axis=1)
    features["blob_best_scale"] = np.array(BLOB_SIGMAS_MM)[profile.argmax(axis=1)] / np.maximum(radius_mm, 0.2)
    return features


def _texture(regions: LabelRegions, signal: FloatImage, pixel_mm: float) -> dict[str, Column]:
    """Strength of the texture within and around, in bone steps, and their ratio: chalk is gritty, fat is not."""
    energy = (signal - ops.gaussian(signal, GRAIN_SIGMA_MM / pixel_mm)) ** 2
    ring = _ring_points(regions, regions.radius + 2.5 / pixel_mm)
    within = np.sqrt(regions.mean(energy))
    around = np.sqrt(np.maximum(ops.sample(ops.gaussian(energy, 1.5 / pixel_mm), *ring).mean(axis=1), 0))
    return {
        "texture_within": within,
        "texture_around": around,
        "texture_ratio": within / (around + CLUTTER_FLOOR_STEPS),
    }


def _profile(regions: LabelRegions, radiograph: Radiograph, anatomy: Anatomy) -> dict[str, Column]:
    """Drop from the centre to rings of fixed radius, in bone steps, by rank of direction."""
    pixel_mm, step = radiograph.grid.nominal_mm, np.float32(anatomy.bone_step)
    here = ops.sample(ops.gaussian(radiograph.pixels, 0.8 / pixel_mm) / step, *_centre_points(regions))
    even = ops.gaussian(radiograph.pixels, 0.5 / pixel_mm) / step
    features: dict[str, Column] = {}
    for radius_mm in PROFILE_MM:
        ring = _ring_points(regions, np.full(len(regions.area), radius_mm / pixel_mm))
        ordered = np.sort(here - ops.sample(even, *ring), axis=1)
        for name, rank in (("least", 1), ("quarter", 4), ("median", 8), ("most", 14)):
            features[f"profile_{name}_{radius_mm:g}mm"] = ordered[:, rank]
        features[f"profile_spread_{radius_mm:g}mm"] = ordered.std(axis=1)
    return features


def _bone_and_lung_around(regions: LabelRegions, anatomy: Anatomy, pixel_mm: float) -> dict[str, Column]:
    features: dict[str, Column] = {"lung": regions.mean(anatomy.lung_probability)}
    for margin_mm in BONE_RINGS_MM:
        ring = _ring_points(regions, regions.radius + margin_mm / pixel_mm)
        chance = ops.sample(anatomy.bone_probability, *ring)
        features[f"bone_mean_around_{margin_mm:g}mm"] = chance.mean(axis=1)
        features[f"bone_least_around_{margin_mm:g}mm"] = chance.min(axis=1)
    lung, points = anatomy.lung_probability, _centre_points(regions)
    for sigma_mm in LUNG_SIGMAS_MM:
        features[f"lung_{sigma_mm:g}mm"] = ops.sample(ops.smooth(lung, sigma_mm / pixel_mm), *points)[:, 0]
    chance = ops.sample(lung, *_ring_points(regions, regions.radius + LUNG_RING_MM / pixel_mm))
    features["lung_around_most"], features["lung_around_least"] = chance.max(axis=1), chance.min(axis=1)
    distance = np.minimum(ops.distance(lung > 0.5) * np.float32(pixel_mm), np.float32(LUNG_LIMIT_MM))
    features["lung_distance_mm"] = ops.sample(distance, *points)[:, 0]
    return features


def _rivals(regions: LabelRegions, measured: dict[str, Column], pixel_mm: float) -> dict[str, Column]:
    """How a candidate compares with others outside bone, nearby and on the whole film."""
    place = regions.centres * pixel_mm
    strength, radius_mm, soft = measured["blob_best"], measured["radius_mm"], measured["bone_chance"] < 0.5
    features: dict[str, Column] = {}
    for reach_mm in RIVALS_MM:
        first, second = ops.pairs_within(place, reach_mm)
        apart = np.hypot(*(place[first] - place[second]).T) > radius_mm[first] + radius_mm[second] / 2
        first, second = first[soft[second] & apart], second[soft[second] & apart]
        strongest = np.zeros(len(strength))
        np.maximum.at(strongest, first, strength[second])
        equals = (strength[second] >= 0.7 * strength[first]).astype(float)
        features[f"lead_{reach_mm:g}mm"] = strength - strongest
        features[f"equals_{reach_mm:g}mm"] = np.bincount(first, equals, len(strength)).astype(float)
    outside_bone = np.where(soft, strength, 0)
    features["rank"], features["rank_in_soft_tissue"] = _rank(strength), _rank(outside_bone)
    features["over_strongest"] = strength / (np.sort(outside_bone)[::-1][:10].mean() + 1e-6)
    return features


def _rank(strength: Column) -> Column:
    """Place in the order by falling strength, from 0."""
    return np.argsort(np.argsort(-strength, kind="stable"), kind="stable").astype(float)
