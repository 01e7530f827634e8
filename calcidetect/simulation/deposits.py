"""Shapes of calcium deposits: relative thickness of mineral along the beam, as a picture.

Never perfect spheres: those can be told from patients' deposits by eye (Litjens 2010,
doi:10.1007/978-3-642-15745-5_49). Words for the morphologies follow the juvenile dermatomyositis literature,
and for the smooth ones that of calcific tendinitis (dense and homogeneous, or cloudy: Gärtner and Heyer 1995).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage

MARGIN = 1.35
"""A patch is this many times as wide as its deposit."""

EDGE_SHARE = 0.1
"""A deposit's extent ends where its thickness falls below this share of its usual."""

GRAIN_MM = (0.25, 0.8)
"""Gaussian sigma of the finest texture inside a deposit; the coarser ones follow by `OCTAVES`."""

OCTAVES = (1.0, 2.5, 6.0)
"""Sizes of texture inside a deposit, all equally strong: chalk has lumps, granules and grit."""

GRAIN_STRENGTH, SMOOTH_GRAIN = (0.15, 0.45), (0.03, 0.2)
"""Standard deviation of a deposit's texture, in shares of its thickness: of most, and of the smooth kinds."""

HOLLOW_SHARE = 0.2
"""Of nodules with a pale middle, as old ones have (the rim pattern of the same literature)."""

Coordinates = npt.NDArray[np.float32]


def _plane(diameter_mm: float, pixel_mm: float) -> tuple[Coordinates, Coordinates]:
    """Row and column coordinates of a patch, in units of the deposit's radius."""
    side = max(5, int(np.ceil(diameter_mm * MARGIN / pixel_mm)) | 1)
    axis = ((np.arange(side) - side // 2) * pixel_mm / (diameter_mm / 2)).astype(np.float32)
    rows, cols = np.meshgrid(axis, axis, indexing="ij")
    return rows, cols


def _noise(shape: tuple[int, int], sigma_px: float, rng: np.random.Generator) -> FloatImage:
    """Smooth noise of unit variance."""
    field = ops.smooth(rng.standard_normal(shape).astype(np.float32), max(sigma_px, 0.4))
    return field / max(float(field.std()), 1e-6)


def _texture(shape: tuple[int, int], sigma_px: float, rng: np.random.Generator) -> FloatImage:
    """Noise of unit variance, as strong at each size of `OCTAVES`."""
    sigmas = [min(octave * sigma_px, shape[0] / 8) for octave in OCTAVES]
    total: FloatImage = sum((_noise(shape, sigma, rng) for sigma in sigmas), np.zeros(shape, np.float32))
    return (total / np.sqrt(len(sigmas))).astype(np.float32)


def _turned(rows: Coordinates, cols: Coordinates, turn: float) -> tuple[Coordinates, Coordinates]:
    """Coordinates along and across a direction."""
    cos, sin = math.cos(turn), math.sin(turn)
    return cos * rows + sin * cols, cos * cols - sin * rows


def _bent(
    rows: Coordinates, cols: Coordinates, rng: np.random.Generator, *, strength: float
) -> tuple[Coordinates, Coordinates]:
    """Coordinates warped by smooth noise, so that no outline stays an ellipse."""
    sigma = rows.shape[0] / 8
    return rows + strength * _noise(rows.shape, sigma, rng), cols + strength * _noise(cols.shape, sigma, rng)


def _filled(shape: FloatImage) -> FloatImage:
    """Centre a drawing and enlarge it until its longer side is 1 / `MARGIN` of the patch."""
    rows, cols = np.nonzero(shape > EDGE_SHARE * np.percentile(shape[shape > 0], 95))
    half = int(np.ceil(MARGIN * max(np.ptp(rows) + 1, np.ptp(cols) + 1) / 2))
    row, col = (int(at.min() + at.max()) // 2 for at in (rows, cols))
    square = np.pad(shape, half)[row : row + 2 * half + 1, col : col + 2 * half + 1]
    return ops.resize_linear(square.astype(np.float32), shape.shape)


def _ellipsoid(
    rows: Coordinates,
    cols: Coordinates,
    *,
    at: tuple[float, float],
    radii: tuple[float, float],
    turn: float,
    depth: float,
) -> FloatImage:
    along, aside = _turned(rows - at[0], cols - at[1], turn)
    chord: FloatImage = np.sqrt(np.maximum(1 - (along / radii[0]) ** 2 - (aside / radii[1]) ** 2, 0))
    return depth * chord


def _lumps(
    rows: Coordinates,
    cols: Coordinates,
    rng: np.random.Generator,
    *,
    count: int,
    size: tuple[float, float],
    within: tuple[float, float],
) -> FloatImage:
    """Ellipsoids scattered within an ellipse, the small ones commoner, their chords added."""
    total = np.zeros(rows.shape, np.float32)
    for _ in range(count):
        angle, far = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform())
        radius = float(np.exp(rng.uniform(*np.log(size))))
        total += _ellipsoid(
            rows,
            cols,
            at=(within[0] * far * np.sin(angle), within[1] * far * np.cos(angle)),
            radii=(radius * rng.uniform(0.8, 1.4), radius * rng.uniform(0.5, 1.0)),
            turn=rng.uniform(0, np.pi),
            depth=radius * rng.uniform(0.6, 1.4),
        )
    return total


def nodular(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """A few lumps grown together, now and then with a pale middle."""
    rows, cols = _bent(rows, cols, rng, strength=0.1)
    solid = _lumps(rows, cols, rng, count=int(rng.integers(3, 8)), size=(0.35, 0.7), within=(0.5, 0.4))
    if rng.random() > HOLLOW_SHARE:
        return solid
    # A shell is the solid less its inside: thickest along the beam near its rim.
    return solid - rng.uniform(0.5, 0.85) * np.maximum(solid - rng.uniform(0.25, 0.45) * solid.max(), 0)


def cluster(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """Separate granules of unlike size, crumbs among them, strewn along one direction more than across."""
    along, aside = _turned(rows, cols, rng.uniform(0, np.pi))
    along, aside = _bent(along, aside, rng, strength=0.06)
    return _lumps(
        along, aside, rng, count=int(rng.integers(8, 36)), size=(0.05, 0.26), within=(0.85, rng.uniform(0.35, 0.85))
    )


def amorphous(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """A cloud without outline."""
    along, aside = _turned(*_bent(rows, cols, rng, strength=0.15), rng.uniform(0, np.pi))
    far = along**2 + aside**2 / rng.uniform(0.35, 1)
    envelope = np.exp(-2.0 * far) * np.clip((1.2 - far) / 0.4, 0, 1)
    return envelope * np.clip(1 + 0.7 * _texture(rows.shape, rows.shape[0] / 30, rng), 0, None)


def linear(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """A thin curved sheet seen on edge, of uneven width, beaded and here and there broken."""
    bow, width, turn = rng.uniform(-0.5, 0.5), rng.uniform(0.06, 0.2), rng.uniform(0, np.pi)
    along, aside = _turned(*_bent(rows, cols, rng, strength=0.06), turn)
    width = width * np.clip(1 + 0.35 * _noise(rows.shape, rows.shape[0] / 10, rng), 0.3, None)
    across = (aside - bow * (along**2 - 0.3)) / width
    ends = np.clip((1 - np.abs(along)) / 0.2, 0, 1)
    beads = np.clip(0.9 + 0.7 * _texture(rows.shape, rows.shape[0] / 40, rng), 0, None)
    return np.sqrt(np.maximum(1 - across**2, 0)) * ends * beads


def tumoral(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """Many packed lobules with paler septa, on a common ground."""
    rows, cols = _bent(rows, cols, rng, strength=0.08)
    within = (0.7, rng.uniform(0.45, 0.7))
    lobules = _lumps(rows, cols, rng, count=int(rng.integers(22, 55)), size=(0.12, 0.36), within=within)
    return lobules + rng.uniform(0, 0.4) * ops.gaussian(lobules, rows.shape[0] / 20)


def sheet(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """A broad lace of mineral along a fascial plane, seen face on: a mesh of strands with plaques in it."""
    along, aside = _turned(*_bent(rows, cols, rng, strength=0.12), rng.uniform(0, np.pi))
    across = (aside - rng.uniform(-0.4, 0.4) * (along**2 - 0.3)) / rng.uniform(0.35, 0.75)
    envelope = np.clip((1 - np.abs(along)) / 0.25, 0, 1) * np.clip((1 - np.abs(across)) / 0.4, 0, 1)
    mesh = rows.shape[0] * rng.uniform(0.018, 0.036)
    strands = np.exp(-((_noise(rows.shape, mesh, rng) / 0.3) ** 2))  # along the lines where smooth noise is 0
    plaques = np.clip(_noise(rows.shape, 1.5 * mesh, rng) - rng.uniform(0, 1), 0, None)
    patchy = np.clip(0.8 + 0.6 * _noise(rows.shape, 4 * mesh, rng), 0, None)
    return envelope * patchy * (strands + 0.5 * plaques)


def homogeneous(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """Dense, sharply outlined, of one to three lumps, as resting tendinitis: domed, or level in the middle."""
    rows, cols = _bent(rows, cols, rng, strength=0.1)
    lumps = _lumps(rows, cols, rng, count=int(rng.integers(1, 4)), size=(0.5, 0.9), within=(0.4, 0.3))
    half_way = rng.uniform(0.15, 1.5) * lumps.max()
    return lumps / (lumps + half_way)


def cloudy(rows: Coordinates, cols: Coordinates, rng: np.random.Generator) -> FloatImage:
    """One to three clouds that fade to all sides, hardly uneven, as dissolving tendinitis."""
    rows, cols = _bent(rows, cols, rng, strength=0.12)
    total = np.zeros(rows.shape, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        along, aside = _turned(rows - rng.normal(0, 0.25), cols - rng.normal(0, 0.25), rng.uniform(0, np.pi))
        total += rng.uniform(0.4, 1) * np.exp(-rng.uniform(2, 4) * (along**2 + aside**2 / rng.uniform(0.25, 1)))
    patchy = np.clip(1 + rng.uniform(0, 0.4) * _noise(rows.shape, rows.shape[0] / 12, rng), 0, None)
    return total * patchy * np.clip((1.25 - np.hypot(rows, cols)) / 0.4, 0, 1)


MORPHOLOGIES: dict[str, Callable[[Coordinates, Coordinates, np.random.Generator], FloatImage]] = {
    "nodular": nodular,
    "cluster": cluster,
    "amorphous": amorphous,
    "linear": linear,
    "tumoral": tumoral,
    "sheet": sheet,
    "homogeneous": homogeneous,
    "cloudy": cloudy,
}
SMOOTH = frozenset({"homogeneous", "cloudy"})


def deposit(
    morphology: str, *, diameter_mm: float, pixel_mm: float, blur_mm: float, rng: np.random.Generator
) -> FloatImage:
    """Draw one deposit.

    Parameters
    ----------
    morphology
        A key of `MORPHOLOGIES`.
    diameter_mm
        Its greatest extent along rows or columns.
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
    fine = max(1, int(np.ceil(8 * pixel_mm / diameter_mm)))  # draw small deposits finer than the film's pixels
    rows, cols = _plane(diameter_mm, pixel_mm / fine)
    shape = _filled(MORPHOLOGIES[morphology](rows, cols, rng))
    grain = _texture(shape.shape, rng.uniform(*GRAIN_MM) * fine / pixel_mm, rng)
    strength = rng.uniform(*(SMOOTH_GRAIN if morphology in SMOOTH else GRAIN_STRENGTH))
    shape = shape * np.clip(1 + strength * grain, 0, None)
    shape = ops.gaussian(shape.astype(np.float32), max(blur_mm * fine / pixel_mm, 0.3))
    side = max(3, int(np.ceil(shape.shape[0] / fine)) | 1)
    shape = ops.resize_area(shape, (side, side))
    return shape / max(float(np.percentile(shape[shape > 0.02 * shape.max()], 95)), 1e-6)
