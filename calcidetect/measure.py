"""What each candidate is: size, place, contrast, and the features that `score` weighs.

Everything is measured for all candidates at once, by counting over the label image and by sampling rings around
each centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage
from calcidetect.pixel_features import body_range
from calcidetect.types import Anatomy, Background, Candidate, Field, Grid, Radiograph

Column = npt.NDArray[np.float32]

DIRECTIONS = 16
RING_RADII = (1.5, 2.2, 3.2)
"""Rings are sampled at these multiples of a candidate's own radius …"""

RING_MARGINS_MM = (2.0, 5.0)
"""… and this far outside it."""

NEIGHBOURHOOD_MM = (8.0, 25.0)
CONTEXT_SIGMAS_MM = (3.0, 6.0, 12.0, 24.0)
DISTANCE_LIMIT_MM = 30.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Regions:
    """Counts over the label image, one entry per label 1 … n."""

    flat: npt.NDArray[np.intp]
    label: npt.NDArray[np.intp]
    area: npt.NDArray[np.float64]
    rows: npt.NDArray[np.float64]
    cols: npt.NDArray[np.float64]

    def mean(self, image: FloatImage) -> npt.NDArray[np.float64]:
        weight = image.ravel()[self.flat]
        return np.bincount(self.label, weight, len(self.area)) / self.area

    def highest(self, image: FloatImage) -> npt.NDArray[np.float64]:
        result = np.full(len(self.area), -np.inf)
        np.maximum.at(result, self.label, image.ravel()[self.flat])
        return result

    def lowest(self, image: FloatImage) -> npt.NDArray[np.float64]:
        return -self.highest(-image)


def _regions(labels: LabelImage) -> _Regions:
    flat = np.flatnonzero(labels)
    label = labels.ravel()[flat].astype(np.intp) - 1
    area = np.bincount(label).astype(float)
    rows, cols = np.divmod(flat, labels.shape[1])
    return _Regions(
        flat=flat,
        label=label,
        area=area,
        rows=np.bincount(label, rows) / area,
        cols=np.bincount(label, cols) / area,
    )


def candidate_features(
    radiograph: Radiograph, field: Field, anatomy: Anatomy, background: Background, labels: LabelImage
) -> dict[str, Column]:
    """Measure every candidate.

    Parameters
    ----------
    radiograph, field, anatomy, background
        The film on the working grid and what was learnt of it.
    labels
        int32 (rows, cols): candidates 1 … n, none missing.

    Returns
    -------
    dict
        Feature name to float32 (n,). Contrasts are in bone steps or noise sigmas, lengths in mm by the nominal
        pitch, the rest are ratios.
    """
    if not labels.any():
        return {}
    regions = _regions(labels)
    pixel_mm = radiograph.grid.nominal_mm
    contrast = (radiograph.pixels - background.level) / np.float32(anatomy.bone_step)
    features = _contrasts(regions, contrast, background, anatomy, radiograph)
    features |= _shape(regions, labels, contrast, pixel_mm)
    features |= _surroundings(regions, field, anatomy, pixel_mm)
    features |= _rings(regions, radiograph, anatomy, background, features)
    features |= _context(regions, radiograph, anatomy)
    features |= _neighbours(regions, features["contrast_mean"], pixel_mm)
    return {name: np.nan_to_num(column, posinf=0, neginf=0).astype(np.float32) for name, column in features.items()}


def _contrasts(
    regions: _Regions, contrast: FloatImage, background: Background, anatomy: Anatomy, radiograph: Radiograph
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
        "usable": regions.mean(background.usable.astype(np.float32)),
    }


def _shape(regions: _Regions, labels: LabelImage, contrast: FloatImage, pixel_mm: float) -> dict[str, Column]:
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
        "radius_mm": np.sqrt(regions.area / np.pi) * pixel_mm,
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


def _surroundings(regions: _Regions, field: Field, anatomy: Anatomy, pixel_mm: float) -> dict[str, Column]:
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
    regions: _Regions, radiograph: Radiograph, anatomy: Anatomy, background: Background, measured: dict[str, Column]
) -> dict[str, Column]:
    """Drop to each ring in noise sigmas, by direction: an edge has one dark side, a ridge two, a deposit all."""
    inside, noise = measured["contrast_mean"], measured["noise"]
    pixel_mm = radiograph.grid.nominal_mm
    even = ops.gaussian((radiograph.pixels - background.level) / np.float32(anatomy.bone_step), 0.8 / pixel_mm)
    radius = np.sqrt(regions.area / np.pi)
    distances = {f"x{factor:g}": factor * radius for factor in RING_RADII}
    distances |= {f"plus{margin:g}": radius + margin / pixel_mm for margin in RING_MARGINS_MM}
    features = {}
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


def _ring_points(regions: _Regions, distance: npt.NDArray[np.float64]) -> tuple[FloatImage, FloatImage]:
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    rows = regions.rows[:, None] + distance[:, None] * np.sin(angle)
    cols = regions.cols[:, None] + distance[:, None] * np.cos(angle)
    return rows.astype(np.float32), cols.astype(np.float32)


def _context(regions: _Regions, radiograph: Radiograph, anatomy: Anatomy) -> dict[str, Column]:
    """How the place looks at wider scales: level, spread, share of bone and of body."""
    pixel_mm = radiograph.grid.nominal_mm
    signal = radiograph.pixels / np.float32(anatomy.bone_step)
    signal = signal - np.float32(np.median(signal[anatomy.body]))
    rows, cols = regions.rows[:, None].astype(np.float32), regions.cols[:, None].astype(np.float32)
    features = {}
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


def _neighbours(regions: _Regions, contrast: Column, pixel_mm: float) -> dict[str, Column]:
    """Candidates nearby of at least half the contrast: granules come in clusters, rib crossings in rows."""
    place = np.stack([regions.rows, regions.cols], axis=1) * pixel_mm
    features = {}
    for reach in NEIGHBOURHOOD_MM:
        first, second = ops.pairs_within(place, reach)
        counted = contrast[second] >= contrast[first] / 2
        features[f"neighbours_{reach:g}mm"] = np.bincount(first[counted], minlength=len(contrast)).astype(np.float32)
    return features


def centres(labels: LabelImage) -> npt.NDArray[np.float64]:
    """``(row, col)`` of the centre of each label 1 … n on its own grid, shape (n, 2)."""
    if not labels.any():
        return np.zeros((0, 2))
    regions = _regions(labels)
    return np.stack([regions.rows, regions.cols], axis=1)


def measure(
    radiograph: Radiograph, labels: LabelImage, *, features: dict[str, Column], kinds: Sequence[str]
) -> tuple[Candidate, ...]:
    """Turn labelled regions into candidates in source pixels.

    Parameters
    ----------
    radiograph
        The film on the working grid.
    labels
        int32 (rows, cols): candidates 1 … n.
    features
        From `candidate_features`, for the same labels; a column ``score`` becomes the candidates' score, 0 without.
    kinds
        Label of each, one of `LABELS`.
    """
    return tuple(
        _candidate(number, box, kind, grid=radiograph.grid, labels=labels, features=features)
        for number, (box, kind) in enumerate(zip(ops.label_boxes(labels), kinds, strict=True), start=1)
    )


def _candidate(
    number: int,
    box: tuple[slice, slice],
    kind: str,
    *,
    grid: Grid,
    labels: LabelImage,
    features: dict[str, Column],
) -> Candidate:
    own = {name: float(column[number - 1]) for name, column in features.items()}
    score = own.pop("score", 0.0)
    inside = labels[box] == number
    corner = np.array([box[0].start, box[1].start])
    rows, cols = np.nonzero(inside)
    corners = np.array([[box[0].start, box[1].start], [box[0].stop, box[1].stop]]) - 0.5
    (y0, x0), (y1, x1) = (grid.to_source(corners) + 0.5).round().astype(int)
    y1, x1 = max(y1, y0 + 1), max(x1, x0 + 1)
    row, col = grid.to_source((rows.mean() + box[0].start, cols.mean() + box[1].start))
    area_px = len(rows) * grid.step[0] * grid.step[1]
    area_mm2 = len(rows) * grid.spacing_mm**2 if grid.spacing_mm else None
    touching = bool(own["bone_distance_mm"] < 1.5 * grid.nominal_mm)
    return Candidate(
        id=number,
        score=score,
        label=kind,
        zone="",
        x0=int(x0),
        y0=int(y0),
        x1=int(x1),
        y1=int(y1),
        row=float(row),
        col=float(col),
        area_px=float(area_px),
        area_mm2=area_mm2,
        diameter_mm=2 * float(np.sqrt(area_mm2 / np.pi)) if area_mm2 else None,
        contrast_noise=own["sigmas_mean"],
        contrast_bone=own["contrast_mean"],
        bone_distance_mm=own["bone_distance_mm"] if grid.spacing_mm else None,
        contour=tuple((r, c) for r, c in grid.to_source(ops.contour(inside) + corner).tolist()),
        features=own,
        flags=("touches_bone",) * touching,
    )
