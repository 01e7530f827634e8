"""What soft tissue would show at each pixel if nothing lay in it, and how much it varies there."""

from __future__ import annotations

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask
from calcidetect.config import BackgroundSettings
from calcidetect.types import Anatomy, Background, Radiograph

CLIP_SIGMAS = 2.5
"""Brighter soft tissue than this is left out of the next round: a deposit must not raise its own background."""

ROUNDS = 3
WIDER = 4.0
"""Where no soft tissue lies within reach, the level is taken from this many times farther away."""

NOISE_FLOOR_STEPS = 0.007
"""Least structured noise, in bone steps: films saved with few grey levels have flat patches of none."""

SOFT_SHARE = 0.75
REDUCED = 4
"""Level and noise are learnt on a film of a quarter of the size, from its pixels of which this share is soft tissue."""

MIN_WEIGHT = 0.02
"""Least share of soft tissue under the Gaussian window for its mean to be trusted."""


def estimate_background(radiograph: Radiograph, anatomy: Anatomy, *, settings: BackgroundSettings) -> Background:
    """Learn the soft-tissue level and its structured noise from the tissue outside bone.

    Parameters
    ----------
    radiograph, anatomy
        The film and its bone, on the working grid.
    settings
        See `BackgroundSettings`.

    Returns
    -------
    Background
        `usable` is False where neither the near nor the wide window holds enough soft tissue.
    """
    pixel_mm, shape = radiograph.grid.nominal_mm, radiograph.grid.shape
    soft = anatomy.body & (anatomy.bone_distance_px > settings.bone_gap_mm / pixel_mm)
    even, share, factor = ops.gaussian(radiograph.pixels, settings.smoothing_mm / pixel_mm), soft.astype(np.float32), 1
    while factor < REDUCED and min(even.shape) > 1:
        even, share, factor = ops.halve(even), ops.halve(share), 2 * factor
    weight = share >= SOFT_SHARE
    near = settings.window_mm / pixel_mm / factor
    floor = np.float32(NOISE_FLOOR_STEPS * anatomy.bone_step)
    for _ in range(ROUNDS):
        level, usable = _level(even, weight, near)
        deviation = np.where(weight, even - level, np.float32(0))
        noise = np.maximum(np.sqrt(_level(deviation**2, weight, WIDER * near)[0]), floor)
        weight &= deviation < CLIP_SIGMAS * noise
    level, noise, near_soft = (ops.enlarge(plane, factor, shape) for plane in (level, noise, usable.astype(np.float32)))
    return Background(level=level, noise=noise, usable=(near_soft > 0.5) & anatomy.body)


def _level(signal: FloatImage, soft: Mask, sigma: float) -> tuple[FloatImage, Mask]:
    """Mean of `signal` over soft tissue nearby, or farther where there is too little; and where that holds."""
    weight = soft.astype(np.float32)
    near, wide = ops.smooth(weight, sigma), ops.smooth(weight, WIDER * sigma)
    far_mean = ops.smooth(signal * weight, WIDER * sigma) / np.maximum(wide, 1e-6)
    prior = np.float32(MIN_WEIGHT)  # blends into the wide mean as soft tissue runs out
    level = (ops.smooth(signal * weight, sigma) + prior * far_mean) / (near + prior)
    return level, (near > MIN_WEIGHT) | (wide > MIN_WEIGHT)
