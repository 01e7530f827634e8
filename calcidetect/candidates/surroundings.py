"""What surrounds a candidate: rings of film, bone and lung, averages over wider windows, and texture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.anatomy.pixel_features import SPREAD_FLOOR, Planes, in_body_ranges
from calcidetect.arrays import FloatImage
from calcidetect.candidates.places import DIRECTIONS, Places
from calcidetect.types import Anatomy, Radiograph

Column = npt.NDArray[np.floating]
Features = dict[str, Column]

RING_RADII = (2.2, 3.2)
"""Rings are sampled at these multiples of a candidate's own radius …"""

RING_MARGINS_MM = (2.0, 5.0)
"""… and this far outside it."""

RING_SIGMA_MM = 0.8
PROFILE_MM = (1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 18.0)
"""Radii of rings around a candidate's centre, whatever its size."""

PROFILE_SIGMA_MM = 0.5
AROUND_MM = 3.0
"""The planes of the film are asked at a candidate's centre and on a ring this far outside it."""

CONTEXT_SIGMAS_MM = (3.0, 6.0, 12.0, 24.0)
BONE_RINGS_MM = (1.5, 4.0, 8.0, 15.0)
LUNG_SIGMAS_MM = (5.0, 15.0, 40.0)
LUNG_RING_MM, LUNG_LIMIT_MM = 6.0, 60.0

FINE_SCALES_MM = (0.4, 0.8)
"""Gaussian sigmas of the finest shapes."""

FINE_SQUARES_MM = (2.0, 4.0)
WIDE_SQUARES_MM = (9.0, 16.0, 30.0)
"""Squares of opening and closing residues; the wide ones on a film of half the size."""

FINE_REACH_MM = (1.5, 4.0)
"""Windows of coherence and of slope."""

GRAIN_SIGMA_MM = 1.0
"""What a Gaussian of this sigma takes away is the texture of a place."""

TEXTURE_RING_MM, TEXTURE_SIGMA_MM = 2.5, 1.5
TEXTURE_FLOOR_STEPS = 0.002


def ring_drops(places: Places, contrast: FloatImage, anatomy: Anatomy, *, inside: Column, noise: Column) -> Features:
    """Drop to rings in noise sigmas, by direction: an edge has one dark side, a ridge two, a deposit all.

    Parameters
    ----------
    places
        Of n candidates.
    contrast
        float32 (rows, cols): above the background, in bone steps.
    anatomy
        The film's bone.
    inside, noise
        (n,): mean contrast of each candidate and structured noise about it, in bone steps.

    Returns
    -------
    dict
        Feature name to (n,).
    """
    even = ops.gaussian(contrast, RING_SIGMA_MM / places.pixel_mm)
    rings = {f"x{factor:g}": places.ring(factor * places.radius) for factor in RING_RADII}
    rings |= {f"plus{margin:g}": places.ring_outside(margin) for margin in RING_MARGINS_MM}
    features: Features = {}
    half = DIRECTIONS // 2
    for name, ring in rings.items():
        drop = (inside[:, None] - ring.ask(even)) / noise[:, None]
        ordered = np.sort(drop, axis=1)
        pair = np.maximum(drop[:, :half], drop[:, half:]).min(axis=1)
        median = ordered[:, half]
        scale = np.abs(median) + 1
        chance = ring.ask(anatomy.bone_probability)
        features |= {
            f"drop_least_{name}": ordered[:, 0],
            f"drop_quarter_{name}": ordered[:, DIRECTIONS // 4],
            f"drop_median_{name}": median,
            f"drop_both_{name}": np.minimum(drop[:, :half], drop[:, half:]).max(axis=1),
            f"even_least_{name}": ordered[:, 0] / scale,
            f"even_pair_{name}": pair / scale,
            f"even_most_{name}": ordered[:, -1] / scale,
            f"bone_ring_{name}": chance.mean(axis=1),
            f"bone_ring_most_{name}": chance.max(axis=1),
        }
    return features


def profile(places: Places, signal: FloatImage) -> Features:
    """Drop from the centre to rings of fixed radius, in bone steps, by rank of direction; `signal` in bone steps."""
    here = places.ask(ops.gaussian(signal, RING_SIGMA_MM / places.pixel_mm))
    even = ops.gaussian(signal, PROFILE_SIGMA_MM / places.pixel_mm)
    features: Features = {}
    for radius_mm in PROFILE_MM:
        ordered = np.sort(here[:, None] - places.ring_at(radius_mm).ask(even), axis=1)
        for name, rank in (("least", 1), ("quarter", 4), ("median", 8), ("most", 14)):
            features[f"profile_{name}_{radius_mm:g}mm"] = ordered[:, rank]
        features[f"profile_spread_{radius_mm:g}mm"] = ordered.std(axis=1)
    return features


def context(places: Places, signal: FloatImage, anatomy: Anatomy) -> Features:
    """How the place looks at wider scales: level, spread, share of bone and of body; `signal` in bone steps."""
    pixel_mm = places.pixel_mm
    here = places.ask(ops.gaussian(signal, 1.0 / pixel_mm))
    square = signal * signal
    features: Features = {}
    for sigma_mm in CONTEXT_SIGMAS_MM:
        sigma = sigma_mm / pixel_mm
        mean = places.ask(*ops.smooth_small(signal, sigma))
        spread = np.sqrt(np.maximum(places.ask(*ops.smooth_small(square, sigma)) - mean**2, 0))
        features[f"above_{sigma_mm:g}mm"] = here - mean
        features[f"spread_{sigma_mm:g}mm"] = spread
        features[f"bone_{sigma_mm:g}mm"] = places.ask(*ops.smooth_small(anatomy.bone_probability, sigma))
    body = ops.smooth_small(anatomy.body.astype(np.float32), CONTEXT_SIGMAS_MM[-1] / pixel_mm)
    features["body_24mm"] = places.ask(*body)
    return features


def plane_features(places: Places, planes: Planes) -> Features:
    """The film's feature planes at each centre, and on average around it."""
    ring, factor, named = places.ring_outside(AROUND_MM), planes.factor, planes.values.items()
    here = {f"here_{name}": places.ask(plane, factor) for name, plane in named}
    return here | {f"around_{name}": ring.ask(plane, factor).mean(axis=1) for name, plane in named}


def bone_and_lung_around(places: Places, anatomy: Anatomy) -> Features:
    """Probability of bone on rings, and of lung nearby."""
    features: Features = {}
    for margin_mm in BONE_RINGS_MM:
        chance = places.ring_outside(margin_mm).ask(anatomy.bone_probability)
        features[f"bone_mean_around_{margin_mm:g}mm"] = chance.mean(axis=1)
        features[f"bone_least_around_{margin_mm:g}mm"] = chance.min(axis=1)
    lung = anatomy.lung_probability
    for sigma_mm in LUNG_SIGMAS_MM:
        features[f"lung_{sigma_mm:g}mm"] = places.ask(*ops.smooth_small(lung, sigma_mm / places.pixel_mm))
    chance = places.ring_outside(LUNG_RING_MM).ask(lung)
    features["lung_around_most"], features["lung_around_least"] = chance.max(axis=1), chance.min(axis=1)
    far_mm = places.ask(ops.distance(lung > 0.5)) * places.pixel_mm
    features["lung_distance_mm"] = np.minimum(far_mm, LUNG_LIMIT_MM)
    return features


def fine_features(places: Places, radiograph: Radiograph, anatomy: Anatomy) -> Features:
    """Shape, residues and direction at the scales of small deposits, in ranges of the body."""
    pixel_mm = places.pixel_mm
    signal = in_body_ranges(radiograph.pixels, anatomy.body)
    base, even = (ops.gaussian(signal, scale / pixel_mm) for scale in FINE_SCALES_MM)
    features: Features = {"fine_level": places.ask(base), "fine_difference": places.ask(base - even)}
    for scale, image in zip(FINE_SCALES_MM, (base, even), strict=True):
        ridge, valley = ops.hessian_eigenvalues(image, scale / pixel_mm)
        features[f"fine_ridge{scale}"], features[f"fine_valley{scale}"] = places.ask(ridge), places.ask(valley)
    features |= _residues(places, base, FINE_SQUARES_MM)
    features |= _residues(places, ops.halve(base), WIDE_SQUARES_MM, factor=2)
    return features | _slopes(places, even)


def _residues(places: Places, base: FloatImage, squares_mm: tuple[float, ...], *, factor: int = 1) -> Features:
    here = places.ask(base, factor)
    features: Features = {}
    for size_mm in squares_mm:
        size = round(size_mm / (factor * places.pixel_mm)) | 1
        lowest, highest = ops.minimum(base, size), ops.maximum(base, size)
        low, high = places.ask(lowest, factor), places.ask(highest, factor)
        features[f"fine_bright{size_mm:g}"] = here - places.ask(ops.maximum(lowest, size), factor)
        features[f"fine_dark{size_mm:g}"] = places.ask(ops.minimum(highest, size), factor) - here
        features[f"fine_range{size_mm:g}"] = high - low
        features[f"fine_local_rank{size_mm:g}"] = (here - low) / (high - low + SPREAD_FLOOR)
    return features


def _slopes(places: Places, even: FloatImage) -> Features:
    """Coherence (from the structure tensor) and mean slope per mm within `FINE_REACH_MM`."""
    down, across = ops.gradient(even)
    products = (down * down, across * across, down * across)
    steepness = np.sqrt(products[0] + products[1])
    features: Features = {}
    for reach_mm in FINE_REACH_MM:
        sigma = reach_mm / places.pixel_mm
        rows, cols, mixed = (places.ask(*ops.smooth_small(product, sigma)) for product in products)
        features[f"fine_coherence{reach_mm:g}"] = np.hypot(rows - cols, 2 * mixed) / (rows + cols + 1e-9)
        features[f"fine_gradient{reach_mm:g}"] = places.ask(*ops.smooth_small(steepness, sigma)) / places.pixel_mm
    return features


def texture_around(places: Places, energy: FloatImage, *, within: Column) -> Features:
    """Strength of the texture within and around, in bone steps, and their ratio: chalk is gritty, fat is not.

    `energy` is the square of `grain`, `within` its root mean square in each candidate.
    """
    ring = places.ring_outside(TEXTURE_RING_MM)
    even = ops.smooth_small(energy, TEXTURE_SIGMA_MM / places.pixel_mm)
    around = np.sqrt(np.maximum(ring.ask(*even).mean(axis=1), 0))
    return {
        "texture_within": within,
        "texture_around": around,
        "texture_ratio": within / (around + TEXTURE_FLOOR_STEPS),
    }


def grain(signal: FloatImage, pixel_mm: float) -> FloatImage:
    """What is finer than `GRAIN_SIGMA_MM`, in the units of `signal`."""
    return signal - ops.gaussian(signal, GRAIN_SIGMA_MM / pixel_mm)
