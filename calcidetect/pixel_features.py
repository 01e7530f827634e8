"""Hand-made features of every pixel: what bone and soft tissue look like at eight scales.

All are invariant to gain and offset of the film: signals are divided by the body's own range (2nd to 98th percentile)
or by a local standard deviation. Sizes are in mm by the grid's nominal pitch.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask

SCALES_MM = (0.8, 1.6, 3.2, 6.4, 12.8, 25.6)
"""Gaussian sigmas, from a phalanx' cortex to the width of a limb."""

RESIDUE_MM = (4.0, 9.0, 20.0, 40.0)
"""Squares whose opening and closing residues tell bones of that width from their surroundings."""

SPREAD_MM = (3.2, 12.8, 25.6)
SKIN_LIMIT_MM = 40.0
SPREAD_FLOOR = 1e-3
RANK_SAMPLES = 4000


def body_range(pixels: FloatImage, body: Mask) -> tuple[float, float]:
    """Median of the body's signal and its 2nd-to-98th percentile range (at least a tiny positive number)."""
    low, median, high = np.percentile(pixels[body], [2, 50, 98])
    return float(median), max(float(high - low), 1e-6)


def pixel_features(pixels: FloatImage, body: Mask, pixel_mm: float) -> dict[str, FloatImage]:
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
    median, span = body_range(pixels, body)
    signal = np.clip((pixels - median) / span, -2, 2).astype(np.float32)
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
        planes[f"gradient{scale}"] = ops.smooth(np.hypot(down, across), 2 * scale / pixel_mm) * (scale / pixel_mm)
        planes[f"coherence{scale}"] = ops.coherence(down, across, 2 * scale / pixel_mm)
    steepness = np.hypot(*ops.gradient(blurred[SCALES_MM[0]]))
    planes["texture"] = ops.smooth(steepness, 6.4 / pixel_mm)
    return planes


def _rank(pixels: FloatImage, body: Mask) -> FloatImage:
    values = pixels[body]
    ordered = np.sort(values[:: max(1, len(values) // RANK_SAMPLES)])
    return (np.searchsorted(ordered, pixels.ravel()).reshape(pixels.shape) / len(ordered)).astype(np.float32)
