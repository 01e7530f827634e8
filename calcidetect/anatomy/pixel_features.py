"""Hand-made features of every pixel: what bone and soft tissue look like at six scales, and what lies around them.

All are invariant to gain and offset of the film: signals are divided by the body's own range (2nd to 98th percentile)
or by a local standard deviation. Sizes are in mm by the grid's nominal pitch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask
from calcidetect.trees import BoostedTables, log_odds, probability
from calcidetect.types import Field, Radiograph

SCALES_MM = (0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
"""Gaussian sigmas, from a phalanx' cortex to the width of a limb."""

RESIDUE_MM = (4.0, 9.0, 20.0, 40.0)
"""Squares whose opening and closing residues tell bones of that width from their surroundings."""

SPREAD_MM = (3.2, 12.8, 25.6)

SKIN_LIMIT_MM = 40.0
SPREAD_FLOOR = 1e-3
RANK_SAMPLES = 4000
RANGE_SAMPLES = 100_000

CONTEXT_SCALES_MM = (1.6, 3.2, 6.4, 12.8, 25.6)
"""Gaussian sigmas over which a first guess of bone is averaged."""

FILLED_MM = (4.0, 9.0, 20.0, 40.0)
"""Squares that close the holes of a first guess (spongy bone) and open its specks (trabeculae of nothing)."""

AROUND_MM = (8.0, 20.0, 40.0)
"""How far off the first guess is asked in eight directions."""

LEAST_SHARE = 0.01
"""Where less of a window than this is body, a mean falls to 0."""

DEEP_MM, FAR_MM = 15.0, 30.0
"""Distances into bone, and away from it, count no further than this."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planes:
    """Feature planes of a film on a grid of `pixel_mm`.

    `values` maps names to float32 (rows, cols), empty where there is no body; `body` is bool (rows, cols); `factor`
    says how many pixels of the working grid one of these is wide, down and across.
    """

    values: Mapping[str, FloatImage]
    body: Mask
    pixel_mm: float
    factor: tuple[float, float]


def film_planes(radiograph: Radiograph, field: Field, *, pixel_mm: float) -> Planes:
    """`pixel_features` of a film reduced to pixels of `pixel_mm`."""
    rows, cols = (max(1, round(side * radiograph.grid.nominal_mm / pixel_mm)) for side in radiograph.grid.shape)
    pixels, body = ops.resize_area(radiograph.pixels, (rows, cols)), ops.resize_mask(field.body, (rows, cols))
    values = pixel_features(pixels, body, pixel_mm=pixel_mm) if body.any() else {}
    factor = (radiograph.grid.shape[0] / rows, radiograph.grid.shape[1] / cols)
    return Planes(values=values, body=body, pixel_mm=pixel_mm, factor=factor)


def body_range(pixels: FloatImage, body: Mask) -> tuple[float, float]:
    """Median of the body's signal and its 2nd-to-98th percentile range (at least a tiny positive number)."""
    low, median, high = percentiles(pixels, body, shares=(2, 50, 98))
    return median, max(high - low, 1e-6)


def percentiles(pixels: FloatImage, body: Mask, *, shares: Sequence[float]) -> list[float]:
    """Percentiles of the body's signal, by at most some `RANGE_SAMPLES` of its pixels."""
    at = np.flatnonzero(body)
    return np.percentile(pixels.ravel()[at[:: 1 + len(at) // RANGE_SAMPLES]], shares).tolist()


def in_body_ranges(pixels: FloatImage, body: Mask) -> FloatImage:
    """Signal above the body's median, in units of its range, no more than two of them."""
    median, span = body_range(pixels, body)
    return np.clip((pixels - median) / span, -2, 2).astype(np.float32)


def pixel_features(pixels: FloatImage, body: Mask, *, pixel_mm: float) -> dict[str, FloatImage]:
    """Compute the feature planes of a film.

    Parameters
    ----------
    pixels
        float32 (rows, cols), bigger = more attenuation, any range.
    body
        bool (rows, cols): where anatomy is; must hold at least one pixel.
    pixel_mm
        Pixel pitch in mm.

    Returns
    -------
    dict
        Feature name to float32 (rows, cols).
    """
    signal = in_body_ranges(pixels, body)
    blurred = {scale: ops.smooth(signal, scale / pixel_mm) for scale in SCALES_MM}
    planes = {"level": blurred[SCALES_MM[0]]}
    planes |= _spreads_and_differences(signal, blurred, pixel_mm)
    planes |= _residues(blurred, pixel_mm)
    planes |= _shapes(blurred, pixel_mm)
    planes["rank"] = _rank(pixels, body)
    planes["skin"] = np.minimum(ops.distance(~body) * pixel_mm, SKIN_LIMIT_MM)
    return planes


def _spreads_and_differences(
    signal: FloatImage, blurred: dict[float, FloatImage], pixel_mm: float
) -> dict[str, FloatImage]:
    square = signal * signal
    planes = {
        f"spread{scale}": np.sqrt(np.maximum(ops.smooth(square, scale / pixel_mm) - blurred[scale] ** 2, 0))
        + SPREAD_FLOOR
        for scale in SPREAD_MM
    }
    widest = planes[f"spread{SPREAD_MM[-1]}"]
    for fine, coarse in pairwise(SCALES_MM):
        planes[f"difference{fine}"] = blurred[fine] - blurred[coarse]
        planes[f"relative_difference{fine}"] = planes[f"difference{fine}"] / widest
    for scale in (0.8, 3.2):
        planes[f"above_surroundings{scale}"] = (blurred[scale] - blurred[SCALES_MM[-1]]) / widest
    return planes


def _residues(blurred: dict[float, FloatImage], pixel_mm: float) -> dict[str, FloatImage]:
    base, wide = blurred[SCALES_MM[0]], SCALES_MM[-1] / pixel_mm
    planes = {}
    for size_mm in RESIDUE_MM:
        size = round(size_mm / pixel_mm) | 1
        lowest, highest = ops.minimum(base, size), ops.maximum(base, size)
        opened = ops.maximum(lowest, size)
        planes[f"bright{size_mm:g}"] = base - opened
        planes[f"dark{size_mm:g}"] = ops.minimum(highest, size) - base
        planes[f"above_lowest{size_mm:g}"] = base - lowest
        planes[f"local_rank{size_mm:g}"] = (base - lowest) / (highest - lowest + SPREAD_FLOOR)
        planes[f"opened{size_mm:g}"] = opened - ops.smooth(opened, wide)
    return planes


def _shapes(blurred: dict[float, FloatImage], pixel_mm: float) -> dict[str, FloatImage]:
    planes = {}
    for scale in SCALES_MM[:4]:
        planes[f"ridge{scale}"], planes[f"valley{scale}"] = ops.hessian_eigenvalues(blurred[scale], scale / pixel_mm)
    for scale in SCALES_MM[:3]:
        down, across = ops.gradient(blurred[scale])
        steepness = ops.steepness(blurred[scale])
        planes[f"gradient{scale}"] = ops.smooth(steepness, 2 * scale / pixel_mm) * np.float32(scale / pixel_mm)
        planes[f"coherence{scale}"] = ops.coherence(down, across, 2 * scale / pixel_mm)
    planes["texture"] = ops.smooth(ops.steepness(blurred[SCALES_MM[0]]), 6.4 / pixel_mm)
    return planes


def _rank(pixels: FloatImage, body: Mask) -> FloatImage:
    values = pixels[body]
    ordered = np.sort(values[:: max(1, len(values) // RANK_SAMPLES)])
    return (np.searchsorted(ordered, pixels.ravel()).reshape(pixels.shape) / len(ordered)).astype(np.float32)


def table_probability(values: Mapping[str, FloatImage], body: Mask, *, tables: BoostedTables) -> FloatImage:
    """What fitted tables say of every pixel of the body: float32 (rows, cols), 0 to 1, 0 elsewhere."""
    chance = np.zeros(body.shape, np.float32)
    if body.any():
        chance[body] = probability(log_odds(tables, [values[name][body] for name in tables.names]))
    return chance


def context_features(chance: FloatImage, body: Mask, *, pixel_mm: float) -> dict[str, FloatImage]:
    """What a first guess of bone says of each pixel's surroundings (auto-context: Tu 2008,
    doi:10.1109/CVPR.2008.4587436).

    Parameters
    ----------
    chance
        float32 (rows, cols), 0 to 1: the first guess.
    body, pixel_mm
        As for `pixel_features`.

    Returns
    -------
    dict
        Feature name to float32 (rows, cols).
    """
    inside = body.astype(np.float32)
    planes = {"guess": chance}
    for scale in CONTEXT_SCALES_MM:
        sigma = scale / pixel_mm
        share: FloatImage = np.maximum(ops.smooth(inside, sigma), np.float32(LEAST_SHARE))
        planes[f"guess_mean{scale}"] = ops.smooth(chance * inside, sigma) / share
    planes |= _filled_and_opened(chance, pixel_mm)
    planes |= _around(planes["guess_mean3.2"], pixel_mm)
    bone = chance > 0.5
    planes["guess_depth"] = np.minimum(ops.distance(~bone) * pixel_mm, DEEP_MM)
    planes["guess_distance"] = np.minimum(ops.distance(bone) * pixel_mm, FAR_MM)
    down, across = ops.gradient(planes["guess_mean1.6"])
    planes["guess_coherence"] = ops.coherence(down, across, 6.4 / pixel_mm)
    planes["guess_steepness"] = ops.smooth(ops.steepness(planes["guess_mean1.6"]), 3.2 / pixel_mm)
    return planes


def _filled_and_opened(chance: FloatImage, pixel_mm: float) -> dict[str, FloatImage]:
    planes = {}
    for size_mm in FILLED_MM:
        size = round(size_mm / pixel_mm) | 1
        lowest, highest = ops.minimum(chance, size), ops.maximum(chance, size)
        planes[f"guess_closed{size_mm:g}"] = ops.minimum(highest, size)
        planes[f"guess_opened{size_mm:g}"] = ops.maximum(lowest, size)
        planes[f"guess_range{size_mm:g}"] = highest - lowest
    return planes


def _around(mean: FloatImage, pixel_mm: float) -> dict[str, FloatImage]:
    """Second lowest, median and second highest guess of eight directions: inside a bone all are high."""
    planes = {}
    for far_mm in AROUND_MM:
        ordered = ops.in_order(ops.shifted_around(mean, far_mm / pixel_mm))
        for name, rank in (("low", 1), ("median", 4), ("high", 6)):
            planes[f"guess_{name}_around{far_mm:g}"] = ordered[rank]
    return planes
