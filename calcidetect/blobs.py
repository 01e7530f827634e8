"""Blob filters and the clutter that their answers stand out of."""

from __future__ import annotations

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage

DIFFERENCE_RATIO = 1.6
"""Outer to inner sigma of the difference of Gaussians; 1.6 comes nearest the Laplacian (Marr & Hildreth 1980)."""

CLUTTER_SIGMAS = 4.0
CLUTTER_MM = 8.0
"""Structured noise is learnt over the wider of these many blob sigmas and mm."""

CLUTTER_FLOOR_STEPS = 0.002
"""Least structured noise, in bone steps: flat patches of films saved with few grey levels have none."""


def blob_response(image: FloatImage, sigma: float) -> FloatImage:
    """Difference of Gaussians, float32 (rows, cols): what a blob of `sigma` pixels stands out by, in signal units."""
    return ops.smooth(image, sigma) - ops.smooth(image, DIFFERENCE_RATIO * sigma)


def clutter(response: FloatImage, weight: FloatImage, sigma: float, *, pixel_mm: float) -> FloatImage:
    """Root mean square of a blob response over what lies nearby: the structured noise at this scale.

    Local, because a display curve may give a deposit a tenth of the grey levels in a shoulder that it has in a lung.

    Parameters
    ----------
    response
        float32 (rows, cols), of blobs of `sigma`.
    weight
        float32 (rows, cols), 0 to 1: where to learn from.
    sigma
        Of the blobs, in pixels.
    pixel_mm
        Pixel pitch in mm.
    """
    wide = max(CLUTTER_SIGMAS * sigma, CLUTTER_MM / pixel_mm)
    energy = ops.smooth(response * response * weight, wide) / np.maximum(ops.smooth(weight, wide), np.float32(1e-3))
    return np.sqrt(np.maximum(energy, np.float32(0)))
