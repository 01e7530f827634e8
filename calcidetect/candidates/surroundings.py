"""What surrounds a candidate: rings of film, bone and lung, averages over wider windows, and texture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcidetect import ops
from calcidetect.anatomy.pixel_features import SPREAD_FLOOR, Planes
from calcidetect.arrays import Column, FloatImage
from calcidetect.candidates.blobs import BlobScale
from calcidetect.candidates.places import DIRECTIONS, GridPoints, Places
from calcidetect.types import Anatomy

Features = dict[str, Column]

RING_RADII = (2.2, 3.2)
"""Rings are sampled at these multiples of a candidate's own radius …"""

RING_MARGINS_MM = (2.0, 5.0)
"""… and this far outside it."""

PROFILE_MM = (1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 18.0)
"""Radii of rings around a candidate's centre, whatever its size."""

AROUND_MM = 3.0
"""The planes of the film are asked at a candidate's centre and on a ring this far outside it."""

CONTEXT_SIGMAS_MM = (3.0, 6.0, 12.0, 24.0)
BONE_RINGS_MM = (1.5, 4.0, 8.0, 15.0)
LUNG_SIGMAS_MM = (5.0, 15.0, 40.0)
LUNG_RING_MM, LUNG_LIMIT_MM = 6.0, 60.0

FINE_SCALES_MM = (0.4, 0.8)
"""Gaussian sigmas of the finest shapes."""

SQUARES_MM = {1: (2.0,), 2: (4.0, 9.0), 4: (16.0, 30.0)}
"""Squares of opening and closing residues, by how much the film is reduced for them."""

FINE_REACH_MM = (1.5, 4.0)
"""Windows of coherence and of slope."""

GRAIN_SIGMA_MM = 1.0
"""What a Gaussian of this sigma takes away is the texture of a place."""

TEXTURE_RING_MM, TEXTURE_SIGMA_MM = 2.5, 1.5
TEXTURE_FLOOR_STEPS = 0.0013


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evened:
    """A film in bone steps, and what Gaussians of two `FINE_SCALES_MM` and `GRAIN_SIGMA_MM` leave of it.

    All float32 (rows, cols).
    """

    signal: FloatImage
    fine: FloatImage
    even: FloatImage
    smooth: FloatImage


def evened(signal: FloatImage, pixel_mm: float) -> Evened:
    """Blur a film in bone steps once for all features."""
    fine, even, smooth = (ops.gaussian(signal, sigma / pixel_mm) for sigma in (*FINE_SCALES_MM, GRAIN_SIGMA_MM))
    return Evened(signal=signal, fine=fine, even=even, smooth=smooth)


def blob_answers(places: Places, blobs: tuple[BlobScale, ...]) -> Features:
    """Answers of blob filters at every scale: in bone steps, and over the clutter of the body and of soft tissue."""
    features: Features = {}
    for number, scale in enumerate(blobs):
        here = places.ask(scale.response, scale.factor)
        features[f"blob_{number}"] = here
        features[f"blob_over_body_{number}"] = here / places.ask(*scale.clutter)
        features[f"blob_over_soft_{number}"] = here / places.ask(*scale.soft_clutter)
    return features


def ring_drops(places: Places, even: FloatImage, *, anatomy: Anatomy, inside: Column, noise: Column) -> Features:
    """Drop to rings in noise sigmas, by direction: an edge has one dark side, a ridge two, a deposit all.

    Parameters
    ----------
    places
        Of n candidates.
    even
        float32 (rows, cols): the evened film above the background, in bone steps.
    anatomy
        The film's bone.
    inside, noise
        (n,): mean contrast of each candidate and structured noise about it, in bone steps.

    Returns
    -------
    dict
        Feature name to (n,).
    """
    rings = {f"x{factor:g}": places.ring(factor * places.radius) for factor in RING_RADII}
    rings |= {f"plus{margin:g}": places.ring_outside(margin) for margin in RING_MARGINS_MM}
    features: Features = {}
    half = DIRECTIONS // 2
    for name, ring in rings.items():
        drop = ((inside[:, None] - ring.ask(even)) / noise[:, None]).astype(np.float32)
        ordered = ops.ranked(drop)
        pair = np.maximum(drop[:, :half], drop[:, half:]).min(axis=1)
        median = ordered[half]
        scale = np.abs(median) + 1
        chance = ring.ask(anatomy.bone_probability)
        features |= {
            f"drop_least_{name}": ordered[0],
            f"drop_quarter_{name}": ordered[DIRECTIONS // 4],
            f"drop_median_{name}": median,
            f"drop_both_{name}": np.minimum(drop[:, :half], drop[:, half:]).max(axis=1),
            f"even_least_{name}": ordered[0] / scale,
            f"even_pair_{name}": pair / scale,
            f"even_most_{name}": ordered[-1] / scale,
            f"bone_ring_{name}": chance.mean(axis=1),
            f"bone_ring_most_{name}": chance.max(axis=1),
        }
    return features


def fixed_rings(places: Places, film: Evened) -> dict[str, FloatImage]:
    """The film in bone steps on rings of `PROFILE_MM`: float32 (n, `DIRECTIONS`) by the name of the radius."""
    return {f"{radius_mm:g}mm": places.ring_at(radius_mm).ask(film.fine) for radius_mm in PROFILE_MM}


def profile(places: Places, film: Evened, rings: dict[str, FloatImage]) -> Features:
    """Drop from the centre to rings of fixed radius, in bone steps, by rank of direction."""
    here = places.ask(film.even)
    features: Features = {}
    for radius, ring in rings.items():
        drop = here[:, None] - ring
        ordered = ops.ranked(drop)
        for name, rank in (("least", 1), ("quarter", 4), ("median", 8), ("most", 14)):
            features[f"profile_{name}_{radius}"] = ordered[rank]
        features[f"profile_spread_{radius}"] = drop.std(axis=1)
    return features


def context(places: Places, film: Evened, *, anatomy: Anatomy) -> Features:
    """How the place looks at wider scales: level, spread, share of bone and of body."""
    here = places.ask(film.smooth)
    halves = [ops.halve(plane) for plane in (film.signal, film.signal**2, anatomy.bone_probability)]
    features: Features = {}
    for sigma_mm in CONTEXT_SIGMAS_MM:
        mean, square, bone = (_ask_mean(places, plane, sigma_mm) for plane in halves)
        features[f"above_{sigma_mm:g}mm"] = here - mean
        features[f"spread_{sigma_mm:g}mm"] = np.sqrt(np.maximum(square - mean**2, 0))
        features[f"bone_{sigma_mm:g}mm"] = bone
    body = ops.halve(anatomy.body.astype(np.float32))
    features["body_24mm"] = _ask_mean(places, body, CONTEXT_SIGMAS_MM[-1])
    return features


def _ask_mean(places: Places, half: FloatImage, sigma_mm: float) -> Column:
    """Gaussian mean around each centre of an image `ops.halve` was called on."""
    mean, factor = ops.smooth_small(half, sigma_mm / places.pixel_mm / 2)
    return places.ask(mean, 2 * factor)


def plane_features(places: Places, planes: Planes) -> Features:
    """The film's feature planes at each centre, and on average around it."""
    centres, ring = places.centres, places.ring_outside(AROUND_MM)
    points = GridPoints(rows=np.hstack([centres.rows, ring.rows]), cols=np.hstack([centres.cols, ring.cols]))
    asked = dict(zip(planes.values, points.ask_all(list(planes.values.values()), planes.factor), strict=True))
    features: Features = {f"here_{name}": values[:, 0] for name, values in asked.items()}
    return features | {f"around_{name}": values[:, 1:].mean(axis=1) for name, values in asked.items()}


def bone_and_lung_around(places: Places, anatomy: Anatomy) -> Features:
    """Probability of bone on rings, and of lung nearby."""
    features: Features = {}
    for margin_mm in BONE_RINGS_MM:
        chance = places.ring_outside(margin_mm).ask(anatomy.bone_probability)
        features[f"bone_mean_around_{margin_mm:g}mm"] = chance.mean(axis=1)
        features[f"bone_least_around_{margin_mm:g}mm"] = chance.min(axis=1)
    lung = ops.halve(anatomy.lung_probability)
    for sigma_mm in LUNG_SIGMAS_MM:
        features[f"lung_{sigma_mm:g}mm"] = _ask_mean(places, lung, sigma_mm)
    chance = places.ring_outside(LUNG_RING_MM).ask(lung, 2)
    features["lung_around_most"], features["lung_around_least"] = chance.max(axis=1), chance.min(axis=1)
    far_mm = places.ask(ops.distance(lung > 0.5), 2) * 2 * places.pixel_mm
    features["lung_distance_mm"] = np.minimum(far_mm, LUNG_LIMIT_MM)
    return features


def fine_features(places: Places, film: Evened, *, median: float, span: float) -> Features:
    """Shape, residues and direction at the scales of small deposits, in ranges of the body.

    `median` and `span` are of the body, see `body_range`, in bone steps.
    """
    level, even = places.ask(film.fine), places.ask(film.even)
    features: Features = {"fine_level": (level - median) / span, "fine_difference": (level - even) / span}
    for scale, image in zip(FINE_SCALES_MM, (film.fine, film.even), strict=True):
        ridge, valley = _curvatures(places, image, scale / places.pixel_mm)
        features[f"fine_ridge{scale}"], features[f"fine_valley{scale}"] = ridge / span, valley / span
    reduced, factor = film.fine, 1
    for wanted, squares_mm in SQUARES_MM.items():
        while factor < wanted and min(reduced.shape) > 1:
            reduced, factor = ops.halve(reduced), 2 * factor
        features |= _residues(places, reduced, squares_mm, factor=factor, span=span)
    return features | _slopes(places, ops.halve(film.even), span=span)


def _curvatures(places: Places, image: FloatImage, sigma: float) -> tuple[Column, Column]:
    """Larger and smaller eigenvalue of the second derivatives at each centre, times sigma squared.

    As `ops.hessian_eigenvalues`, from the nine pixels around each centre alone: a tenth of the time.
    """
    centres, step = places.centres, np.arange(-1, 2, dtype=np.float32)
    nine = GridPoints(rows=centres.rows + np.repeat(step, 3), cols=centres.cols + np.tile(step, 3))
    around = nine.ask(image).reshape(-1, 3, 3) * np.float32(sigma**2 / 4)
    even, slope, bend = np.array([[1, 2, 1], [-1, 0, 1], [1, -2, 1]], np.float32)
    down, across, mixed = (
        np.einsum("nij,i,j->n", around, *kernels) for kernels in ((bend, even), (even, bend), (slope, slope))
    )
    mean, half = (down + across) / 2, np.hypot((down - across) / 2, mixed)
    return mean + half, mean - half


def _residues(places: Places, base: FloatImage, squares_mm: tuple[float, ...], *, factor: int, span: float) -> Features:
    here = places.ask(base, factor)
    features: Features = {}
    for size_mm in squares_mm:
        size = round(size_mm / (factor * places.pixel_mm)) | 1
        lowest, highest = ops.minimum(base, size), ops.maximum(base, size)
        low, high = places.ask(lowest, factor), places.ask(highest, factor)
        features[f"fine_bright{size_mm:g}"] = (here - places.ask(ops.maximum(lowest, size), factor)) / span
        features[f"fine_dark{size_mm:g}"] = (places.ask(ops.minimum(highest, size), factor) - here) / span
        features[f"fine_range{size_mm:g}"] = (high - low) / span
        features[f"fine_local_rank{size_mm:g}"] = (here - low) / (high - low + SPREAD_FLOOR * span)
    return features


def _slopes(places: Places, half: FloatImage, *, span: float) -> Features:
    """Coherence (from the structure tensor) and mean slope per mm within `FINE_REACH_MM`; of a halved film."""
    down, across = ops.gradient(half)
    products = (down * down, across * across, down * across)
    steepness = np.sqrt(products[0] + products[1])
    features: Features = {}
    for reach_mm in FINE_REACH_MM:
        rows, cols, mixed = (_ask_mean(places, product, reach_mm) for product in products)
        features[f"fine_coherence{reach_mm:g}"] = np.hypot(rows - cols, 2 * mixed) / (rows + cols + 1e-9)
        slope = _ask_mean(places, steepness, reach_mm)
        features[f"fine_gradient{reach_mm:g}"] = slope / (2 * places.pixel_mm * span)
    return features


def texture_around(places: Places, energy: FloatImage, *, within: Column) -> Features:
    """Strength of the texture within and around, in bone steps, and their ratio: chalk is gritty, fat is not.

    `energy` is the square of what is finer than `GRAIN_SIGMA_MM`, `within` its root mean square in each candidate.
    """
    ring = places.ring_outside(TEXTURE_RING_MM)
    even, factor = ops.smooth_small(ops.halve(energy), TEXTURE_SIGMA_MM / places.pixel_mm / 2)
    around = np.sqrt(np.maximum(ring.ask(even, 2 * factor).mean(axis=1), 0))
    return {
        "texture_within": within,
        "texture_around": around,
        "texture_ratio": within / (around + TEXTURE_FLOOR_STEPS),
    }
