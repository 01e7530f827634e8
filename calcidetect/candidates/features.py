"""What is measured of each candidate: contrast, shape, surroundings, rivals; the features that `score` weighs.

Everything is measured for all candidates at once, by counting over the label image and by sampling planes at each
centre and on rings around it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.anatomy.pixel_features import Planes, percentiles
from calcidetect.anatomy.thorax import Thorax
from calcidetect.arrays import Column, FloatImage, LabelImage
from calcidetect.candidates.blobs import BlobScale
from calcidetect.candidates.harmonics import angular_harmonics
from calcidetect.candidates.label_regions import LabelRegions, Values, axes, label_regions
from calcidetect.candidates.places import Places, places
from calcidetect.candidates.surroundings import (
    Features,
    blob_answers,
    bone_and_lung_around,
    context,
    evened,
    fine_features,
    fixed_rings,
    plane_features,
    profile,
    ring_drops,
    texture_around,
)
from calcidetect.types import Anatomy, Background, Field, Radiograph

NEIGHBOURHOOD_MM = (8.0, 25.0)
DISTANCE_LIMIT_MM = 30.0
BODY_PERCENTILES = (0.2, 2, 50, 98, 99.8)
"""Of the body's signal: its darkest, the ends and the middle of its range, its brightest."""

RIVALS_MM = (10.0, 20.0, 40.0)
RIVAL_STRENGTH = 0.7
"""A rival counts as equal from this share of a candidate's own strength on."""

STRONGEST = 10
"""A film's strongest candidates outside bone: their mean is what others are compared with."""

LEAST_RADIUS_MM = 0.2

OFF_CHEST = -9.0
"""Place on the chest where no two lungs are seen."""

Indices = npt.NDArray[np.intp]


def candidate_features(
    labels: LabelImage,
    *,
    radiograph: Radiograph,
    field: Field,
    planes: Planes,
    anatomy: Anatomy,
    background: Background,
    blobs: tuple[BlobScale, ...],
    thorax: Thorax | None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Measure every candidate.

    Parameters
    ----------
    labels
        int32 (rows, cols): candidates 1 … n, none missing.
    radiograph, field, planes, anatomy, background, blobs, thorax
        The film on the working grid and what was learnt of it.

    Returns
    -------
    dict
        Feature name to float32 (n,), empty without candidates. Contrasts are in bone steps or noise sigmas, lengths in
        mm by the nominal pitch, the rest are ratios.
    """
    if not labels.any():
        return {}
    regions, pixel_mm = label_regions(labels), radiograph.grid.nominal_mm
    where, step = places(regions, pixel_mm), np.float32(anatomy.bone_step)
    film, level = evened(radiograph.pixels / step, pixel_mm), background.level / step
    contrast, range_of_body = film.signal - level, percentiles(film.signal, anatomy.body, shares=BODY_PERCENTILES)
    median, span = range_of_body[2], max(range_of_body[3] - range_of_body[1], 1e-6)
    features = _contrasts(regions, contrast, background.noise, anatomy)
    features |= _levels(regions, film.signal, range_of_body)
    features |= _shape(regions, labels, contrast, pixel_mm)
    features |= _distances(regions, where, field, anatomy)
    features |= ring_drops(
        where, film.even - level, anatomy=anatomy, inside=features["contrast_mean"], noise=features["noise"]
    )
    features |= context(where, film, anatomy=anatomy)
    features |= plane_features(where, planes)
    features |= fine_features(where, film, median=median, span=span)
    features |= _blobs(where, blobs)
    energy = (film.signal - film.smooth) ** 2
    features |= texture_around(where, energy, within=np.sqrt(regions.mean(regions.inside(energy))))
    rings = fixed_rings(where, film)
    features |= profile(where, film, rings)
    place, outwards = place_on_chest(where, thorax)
    features |= place | angular_harmonics(where, film, rings=rings, outwards=outwards)
    features |= bone_and_lung_around(where, anatomy)
    features |= _others(regions.centres * pixel_mm, features)
    features["film_pixel_mm"] = np.full(len(regions.area), pixel_mm / radiograph.grid.step[0])  # what is one, is noise
    measured = np.stack(list(features.values()), dtype=np.float32, casting="same_kind")
    return dict(zip(features, np.nan_to_num(measured, copy=False, posinf=0, neginf=0), strict=True))


def _contrasts(regions: LabelRegions, contrast: FloatImage, noise: FloatImage, anatomy: Anatomy) -> Features:
    inside, noise_inside = regions.inside(contrast), regions.inside(noise) / np.float32(anatomy.bone_step)
    sigmas = inside / noise_inside
    mean = regions.mean(inside)
    return {
        "contrast_mean": mean,
        "contrast_highest": regions.highest(inside),
        "contrast_spread": np.sqrt(np.maximum(regions.mean(inside**2) - mean**2, 0)),
        "sigmas_mean": regions.mean(sigmas),
        "sigmas_highest": regions.highest(sigmas),
        "noise": regions.mean(noise_inside),
    }


def _levels(regions: LabelRegions, signal: FloatImage, range_of_body: Sequence[float]) -> Features:
    """Brightness in body ranges, and on a scale from the body's darkest to its brightest."""
    darkest, low, median, high, brightest = range_of_body
    span, width = max(high - low, 1e-6), max(brightest - darkest, 1e-6)
    inside = regions.inside(signal)
    mean = regions.mean(inside)
    return {
        "film_level": (mean - median) / span,
        "film_share_highest": (regions.highest(inside) - darkest) / width,
        "film_share_mean": (mean - darkest) / width,
    }


def _shape(regions: LabelRegions, labels: LabelImage, contrast: FloatImage, pixel_mm: float) -> Features:
    long, short, _ = axes(regions, labels.shape[1])
    length, steepness, rim_contrast = _rim(labels, contrast, len(regions.area))
    return {
        "radius_mm": regions.radius * pixel_mm,
        "long_mm": 4 * long * pixel_mm,
        "elongation": long / short,
        "fullness": regions.area / (4 * np.pi * long * short),
        "raggedness": length / np.sqrt(4 * np.pi * regions.area),
        "edge_steepness": steepness / pixel_mm,
        "relief": regions.mean(regions.inside(contrast)) - rim_contrast,
    }


def _rim(labels: LabelImage, contrast: FloatImage, count: int) -> tuple[Values, Values, Values]:
    """Length, mean steepness and mean contrast of each region's rim, float64 (n,)."""
    rim = np.flatnonzero(ops.rim(labels))
    owner = labels.ravel()[rim] - 1
    length = np.bincount(owner, minlength=count).astype(float)
    planes = (ops.steepness(contrast), contrast)
    steepness, mean = (np.bincount(owner, plane.ravel()[rim], count) / np.maximum(length, 1) for plane in planes)
    return length, steepness, mean


def _distances(regions: LabelRegions, where: Places, field: Field, anatomy: Anatomy) -> Features:
    """How far from bone, skin and the field's edge, `DISTANCE_LIMIT_MM` at most, and how likely bone it is."""
    limit, pixel_mm, chance = DISTANCE_LIMIT_MM, where.pixel_mm, regions.inside(anatomy.bone_probability)
    to_bone, to_skin = (
        regions.lowest(regions.inside(distance)) * pixel_mm
        for distance in (anatomy.bone_distance_px, anatomy.skin_distance_px)
    )
    to_edge = where.ask(ops.distance(ops.halve((~field.mask).astype(np.float32)) > 0), 2) * 2 * pixel_mm
    to_metal = regions.lowest(regions.inside(ops.distance(field.metal))) * pixel_mm
    return {
        "bone_chance": regions.mean(chance),
        "bone_chance_highest": regions.highest(chance),
        "bone_share": regions.mean(regions.inside(anatomy.bone)),
        "bone_distance_mm": np.minimum(to_bone, limit),
        "skin_distance_mm": np.minimum(to_skin, limit),
        "field_edge_mm": np.minimum(to_edge, limit),
        "metal_mm": np.minimum(to_metal, limit),
    }


def place_on_chest(where: Places, thorax: Thorax | None) -> tuple[Features, Column]:
    """Say where n candidates lie on a frontal chest film.

    Returns
    -------
    features
        How far below the top of the lungs, in heights of these, and how far from the midline, in widths of these.
    outwards
        (n,): 1 where larger columns lie farther from the midline, else -1.
    """
    if thorax is None:
        off = np.full(len(where.rows), OFF_CHEST)
        return {"chest_down": off, "chest_aside": off}, np.ones_like(off)
    centres = np.column_stack([where.rows, where.cols])
    down, aside = thorax.shares(centres / thorax.factor)  # without the half pixel of `seen`, as the tables were fitted
    return {"chest_down": down, "chest_aside": np.abs(aside)}, np.where(aside < 0, -1.0, 1.0)


def _blobs(where: Places, blobs: tuple[BlobScale, ...]) -> Features:
    """Answers of blob filters at every scale, and which of them stands out most."""
    features = blob_answers(where, blobs)
    over_body = np.stack([features[f"blob_over_body_{number}"] for number in range(len(blobs))], axis=1)
    sigmas_mm = np.array([scale.sigma_mm for scale in blobs])
    radius_mm = where.radius * where.pixel_mm
    features["blob_best"] = over_body.max(axis=1)
    features["blob_best_scale"] = sigmas_mm[over_body.argmax(axis=1)] / np.maximum(radius_mm, LEAST_RADIUS_MM)
    return features


def _others(place: npt.NDArray[np.float64], measured: Features) -> Features:
    """What other candidates lie within some mm of each, and how it compares with them; `place` (n, 2) in mm."""
    first, second = ops.pairs_within(place, max(*NEIGHBOURHOOD_MM, *RIVALS_MM))
    down, across = (side[first] - side[second] for side in np.ascontiguousarray(place.T))
    apart = np.sqrt(down**2 + across**2)
    features: Features = {}
    for reach_mm in sorted({*NEIGHBOURHOOD_MM, *RIVALS_MM}, reverse=True):
        near = apart <= reach_mm
        first, second, apart = first[near], second[near], apart[near]
        if reach_mm in NEIGHBOURHOOD_MM:
            features[f"neighbours_{reach_mm:g}mm"] = _neighbours(first, second, measured["contrast_mean"])
        if reach_mm in RIVALS_MM:
            lead, equals = _rivals(first, second, apart, measured)
            features |= {f"lead_{reach_mm:g}mm": lead, f"equals_{reach_mm:g}mm": equals}
    strength, soft = measured["blob_best"], measured["bone_chance"] < 0.5
    outside_bone = np.where(soft, strength, 0)
    features["rank"], features["rank_in_soft_tissue"] = _rank(strength), _rank(outside_bone)
    features["over_strongest"] = strength / (np.sort(outside_bone)[::-1][:STRONGEST].mean() + 1e-6)
    return features


def _neighbours(first: Indices, second: Indices, contrast: Column) -> Column:
    """Candidates nearby of at least half the contrast: granules come in clusters, rib crossings in rows."""
    counted = contrast[second] >= contrast[first] / 2
    return np.bincount(first[counted], minlength=len(contrast)).astype(np.float32)


def _rivals(first: Indices, second: Indices, apart: Column, measured: Features) -> tuple[Column, Column]:
    """Lead over the strongest candidate nearby that lies outside bone and apart, and how many are as strong."""
    strength, radius_mm, soft = measured["blob_best"], measured["radius_mm"], measured["bone_chance"] < 0.5
    counted = soft[second] & (apart > radius_mm[first] + radius_mm[second] / 2)
    first, second = first[counted], second[counted]
    strongest = np.zeros_like(strength)  # of another type it takes ten times as long
    np.maximum.at(strongest, first, strength[second])
    equals = strength[second] >= RIVAL_STRENGTH * strength[first]
    return strength - strongest, np.bincount(first[equals], minlength=len(strength)).astype(float)


def _rank(strength: Column) -> Column:
    """Place in the order by falling strength, from 0."""
    return np.argsort(np.argsort(-strength, kind="stable"), kind="stable").astype(float)
