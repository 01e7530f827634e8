"""Shapes of calcium deposits: relative thickness of mineral along the beam, as a picture.

Never perfect spheres: those can be told from patients' deposits by eye (Litjens 2010,
doi:10.1007/978-3-642-15745-5_49). Words for the morphologies follow the juvenile dermatomyositis literature.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage

MARGIN = 1.35
"""A patch is this many times as wide as its deposit."""

GRAIN_MM = (0.35, 0.9)
"""Gaussian sigma of the granular texture inside a deposit."""

Coordinates = npt.NDArray[np.float32]


def _plane(diameter_mm: float, pixel_mm: float) -> tuple[Coordinates, Coordinates]:
    """Row and column coordinates of a patch, in units of the deposit's radius."""
    side = max(5, int(np.ceil(diameter_mm * MARGIN / pixel_mm)) | 1)
    axis = ((np.arange(side) - side // 2) * pixel_mm / (diameter_mm / 2)).astype(np.float32)
    rows, cols = np.meshgrid(axis, axis, indexing="ij")
    return rows, cols


def _noise(shape: tuple[int, int], sigma_px: float, rng: np.random.Generator) -> FloatImage:
    """Smooth noise of unit variance."""
    field = ops.gaussian(rng.standard_normal(shape).astype(np.float32), max(sigma_px, 0.4))
    return field / max(float(field.std()), 1e-6)


def _bent(
    rows: Coordinates, cols: Coordinates, rng: np.random.Generator, *, strength: float
) -> tuple[Coordinates, Coordinates]:
    """Coordinates warped by smooth noise, so that no outline stays an ellipse."""
    sigma = rows.shape[0] / 8
    return rows + strength * _noise(rows.shape, sigma, rng), cols + strength * _noise(cols.shape, sigma, rng)


def _ellipsoid(
    rows: Coordinates,
    cols: Coordinates,
    *,
    at: tuple[float, float],
    radii: tuple[float, float],
    turn: float,
    depth: float,
) -> FloatImage:
    down, across = rows - at[0], cols - at[1]
    along, aside = np.cos(turn) * down + np.sin(turn) * across, np.cos(turn) * across - np.sin(turn) * down
    return depth * np.sqrt(np.maximum(1 - (along / radii[0]) ** 2 - (aside / radii[1]) ** 2, 0))


def _lumps(
    rows: Coordinates,
    cols: Coordinates,
    rng: np.random.Generator,
    *,
    count: int,
    size: tuple[float, float],
    within: float,
) -> FloatImage:
    """Ellipsoids scattered within a radius, their chords added."""
    total = np.zeros(rows.shape, np.float32)
    for _ in range(count):
        angle, far = rng.uniform(0, 2 * np.pi), within * np.sqrt(rng.uniform())
        radius = rng.uniform(*size)
        total += _ellipsoid(
            rows,
            cols,
            at=(far * np.sin(angle), far * np.cos(angle)),
            radii=(radius * rng.uniform(0.7, 1.3), radius * rng.uniform(0.6, 1.0)),
            turn=rng.uniform(0, np.pi),
            depth=radius * rng.uniform(0.6, 1.4),
        )
    return total


def nodular(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """A few lumps grown together."""
    rows, cols = _bent(rows, cols, rng, strength=0.08)
    return _lumps(rows, cols, rng, count=int(rng.integers(2, 6)), size=(0.45, 0.75), within=0.4)


def cluster(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """Separate granules of unlike size."""
    return _lumps(rows, cols, rng, count=int(rng.integers(6, 28)), size=(0.07, 0.24), within=0.85)


def amorphous(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """A cloud without outline."""
    rows, cols = _bent(rows, cols, rng, strength=0.15)
    far = rows**2 / rng.uniform(0.5, 1) + cols**2
    envelope = np.exp(-2.0 * far) * np.clip((1.2 - far) / 0.4, 0, 1)
    return envelope * np.clip(1 + 0.6 * _noise(rows.shape, rows.shape[0] / 10, rng), 0, None)


def linear(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """A thin curved sheet seen on edge, beaded along its length."""
    bow, width, turn = rng.uniform(-0.5, 0.5), rng.uniform(0.08, 0.22), rng.uniform(0, np.pi)
    rows, cols = _bent(rows, cols, rng, strength=0.05)
    along, aside = np.cos(turn) * rows + np.sin(turn) * cols, np.cos(turn) * cols - np.sin(turn) * rows
    across = (aside - bow * (along**2 - 0.3)) / width
    ends = np.clip((1 - np.abs(along)) / 0.2, 0, 1)
    beads = np.clip(1 + 0.5 * _noise(rows.shape, rows.shape[0] / 14, rng), 0, None)
    return np.sqrt(np.maximum(1 - across**2, 0)) * ends * beads


def tumoral(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """Many packed lobules with paler septa."""
    rows, cols = _bent(rows, cols, rng, strength=0.06)
    return _lumps(rows, cols, rng, count=int(rng.integers(18, 45)), size=(0.14, 0.36), within=0.7)


MORPHOLOGIES: dict[str, Callable[[Coordinates, Coordinates, np.random.Generator], FloatImage]] = {
    "nodular": nodular,
    "cluster": cluster,
    "amorphous": amorphous,
    "linear": linear,
    "tumoral": tumoral,
}


def deposit(
    morphology: str, *, diameter_mm: float, pixel_mm: float, blur_mm: float, rng: np.random.Generator
) -> FloatImage:
    """Draw one deposit.

    Parameters
    ----------
    morphology
        A key of `MORPHOLOGIES`.
    diameter_mm
        Its greatest extent.
    pixel_mm
        Pixel pitch.
    blur_mm
        Gaussian sigma of detector and focal spot.
    rng
        Source of randomness.

    Returns
    -------
    float32 (side, side)
        Mineral along the beam, 0 at the border, scaled so that the 95th percentile of what the beam meets is 1.
    """
    fine = max(1, int(np.ceil(4 * pixel_mm / diameter_mm)))  # draw small deposits finer than the film's pixels
    rows, cols = _plane(diameter_mm, pixel_mm / fine)
    shape = MORPHOLOGIES[morphology](rows, cols, rng)
    grain = _noise(shape.shape, rng.uniform(*GRAIN_MM) * fine / pixel_mm, rng)
    shape = shape * np.clip(1 + rng.uniform(0.1, 0.4) * grain, 0.1, None)
    shape = ops.gaussian(shape.astype(np.float32), max(blur_mm * fine / pixel_mm, 0.3))
    side = max(3, int(np.ceil(shape.shape[0] / fine)) | 1)
    shape = ops.resize_area(shape, (side, side))
    return shape / max(float(np.percentile(shape[shape > 0.02 * shape.max()], 95)), 1e-6)
