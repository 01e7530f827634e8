"""A limb of a few hundred pixels, made by hand: air, soft tissue, one long bone and what a test puts beside it."""

import numpy as np

from calcidetect import ops
from calcidetect.types import Field, Grid, Radiograph, Source

SHAPE = (300, 200)
PIXEL_MM = 0.4
AIR, SOFT, CORTEX, MARROW = 0.0, 10.0, 22.0, 17.0
BONE_COLS = slice(80, 120)
BODY_COLS = slice(30, 170)


def grid(shape=SHAPE, spacing_mm=PIXEL_MM):
    return Grid(
        shape=shape,
        source_shape=shape,
        spacing_mm=spacing_mm,
        spacing_source="given" if spacing_mm else "none",
        nominal_mm=spacing_mm or PIXEL_MM,
    )


def limb_pixels(seed=0, noise=0.15):
    """float32 pixels and the true bone mask."""
    pixels = np.full(SHAPE, AIR, np.float32)
    pixels[:, BODY_COLS] = SOFT
    pixels[:, BONE_COLS] = CORTEX
    pixels[:, BONE_COLS.start + 6 : BONE_COLS.stop - 6] = MARROW
    bone = np.zeros(SHAPE, bool)
    bone[:, BONE_COLS] = True
    grain = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    return ops.gaussian(pixels, 1.0) + noise * ops.gaussian(grain, 0.7), bone


def film(pixels, spacing_mm=PIXEL_MM):
    return Radiograph(
        pixels=pixels.astype(np.float32),
        valid=np.ones(pixels.shape, bool),
        grid=grid(pixels.shape, spacing_mm),
        tone="log",
        source=Source(path="limb", pixel_hash="0" * 64),
    )


def field():
    body = np.zeros(SHAPE, bool)
    body[:, BODY_COLS] = True
    return Field(mask=np.ones(SHAPE, bool), air=~body, metal=np.zeros(SHAPE, bool))


def with_disc(pixels, *, row, col, radius, height):
    """Pixels with a soft-edged disc added."""
    rows, cols = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    disc = (np.hypot(rows - row, cols - col) <= radius).astype(np.float32)
    return pixels + height * ops.gaussian(disc, 0.7)
