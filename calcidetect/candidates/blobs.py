"""Blob filters at every size of a deposit, and the clutter that their answers stand out of.

Wide blobs are looked for on a reduced film: nothing on it is finer than they are. Images here therefore differ in size;
all cover the whole film, and `ops.sample_on` asks any of them at places on the working grid.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage
from calcidetect.config import DetectSettings
from calcidetect.types import Anatomy, Radiograph

RADIUS_PER_SIGMA = 1.41421356
"""A disc of this many sigmas answers a Laplacian most strongly (Lindeberg 1998, doi:10.1023/A:1008045108935)."""

SCALE_RATIO = 1.41421356
"""Between one blob scale and the next, and between the two Gaussians of a filter."""

LEAST_DIAMETER_MM, SCALES = 1.2, 11
"""Diameter of the smallest disc asked for, and the number of sizes: the largest is 38 mm."""

COARSEST_SIGMA = 3.0
"""In pixels: from this sigma on, a scale is looked for on a film of half the size."""

CLUTTER_SIGMAS = 4.0
CLUTTER_MM = 8.0
"""Structured noise is learnt over the wider of these many blob sigmas and mm."""

CLUTTER_FLOOR_STEPS = 0.0013
"""Least structured noise, in bone steps: flat patches of films saved with few grey levels have none."""

LEAST_SHARE = 1e-3
"""Where less of a window than this is body, clutter falls to its floor."""

MAX_BONE = 0.3
"""Probability of bone below which the clutter of soft tissue is learnt."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlobScale:
    """What a filter for blobs of one size answers.

    Attributes
    ----------
    sigma_mm
        Of the blobs.
    factor
        Pixels of the working grid that a pixel of the responses is wide: 1, 2, 4 …
    response, finer, coarser
        float32 (rows, cols): what a blob of this size, and of the two sizes beside it, stands out by, in bone steps.
    clutter, soft_clutter
        Root mean square of the response nearby, over the body and over its soft tissue, float32, and how many pixels of
        the working grid one of it is wide. Local, because a display curve may give a deposit a tenth of the grey levels
        in a shoulder that it has in a lung.
    """

    sigma_mm: float
    factor: int
    response: FloatImage
    finer: FloatImage
    coarser: FloatImage
    clutter: tuple[FloatImage, int]
    soft_clutter: tuple[FloatImage, int]

    @property
    def diameter_mm(self) -> float:
        """Of the disc that is answered most strongly."""
        return 2 * RADIUS_PER_SIGMA * self.sigma_mm


def film_blobs(radiograph: Radiograph, anatomy: Anatomy, *, settings: DetectSettings) -> tuple[BlobScale, ...]:
    """Ask filters for blobs of `SCALES` sizes, whatever sizes the settings search for: the scorer asks for all.

    Parameters
    ----------
    radiograph, anatomy
        The film and its bone, on the working grid.
    settings
        See `DetectSettings`.

    Returns
    -------
    tuple of BlobScale
        From small to large blobs.
    """
    pixel_mm = radiograph.grid.nominal_mm
    body = anatomy.body.astype(np.float32)
    soft = (anatomy.body & (anatomy.bone_probability < MAX_BONE)).astype(np.float32)
    image = ops.gaussian(radiograph.pixels, settings.smoothing_mm / pixel_mm) / np.float32(anatomy.bone_step)
    smallest = LEAST_DIAMETER_MM / 2 / RADIUS_PER_SIGMA / pixel_mm
    scales: list[BlobScale] = []
    factor, planes = 1, [image, body, soft]
    for wanted, sigmas in _octaves(smallest * SCALE_RATIO ** np.arange(SCALES)):
        while factor < wanted and min(planes[0].shape) > 1:
            factor, planes = 2 * factor, [ops.halve(plane) for plane in planes]
        scales += _octave(planes, [sigma / factor for sigma in sigmas], factor=factor, pixel_mm=pixel_mm)
    return tuple(scales)


def _octaves(sigmas: npt.NDArray[np.floating]) -> Iterator[tuple[int, list[float]]]:
    """By how much to reduce a film for which sigmas."""
    factors = 2 ** np.maximum(0, np.floor(np.log2(sigmas / COARSEST_SIGMA) + 1)).astype(int)
    for factor in np.unique(factors):
        yield int(factor), sigmas[factors == factor].tolist()


def _octave(planes: Sequence[FloatImage], sigmas: list[float], *, factor: int, pixel_mm: float) -> list[BlobScale]:
    """The blob scales of `sigmas` (in pixels of the reduced `planes`: film, body, soft tissue)."""
    ladder = [ops.gaussian(planes[0], sigmas[0] / SCALE_RATIO)]
    for sigma in (*sigmas, sigmas[-1] * SCALE_RATIO, sigmas[-1] * SCALE_RATIO**2):
        # what is blurred already needs only the rest: variances of Gaussians add up
        ladder.append(ops.gaussian(ladder[-1], sigma * float(np.sqrt(1 - SCALE_RATIO**-2))))
    responses = [fine - coarse for fine, coarse in pairwise(ladder)]
    widest = CLUTTER_MM / (factor * pixel_mm)
    reduced, halved = _halved(planes[1:])
    shares = {}
    scales = []
    for sigma, finer, response, coarser in zip(sigmas, responses, responses[1:], responses[2:], strict=False):
        wide = max(CLUTTER_SIGMAS * sigma, widest) / halved
        if wide not in shares:
            shares[wide] = [ops.smooth_small(weight, wide)[0] for weight in reduced]
        energy = _halved([response * response])[0][0]
        over_body, over_soft = (
            clutter(energy, weight, share=share, sigma=wide)
            for weight, share in zip(reduced, shares[wide], strict=True)
        )
        scales.append(
            BlobScale(
                sigma_mm=sigma * factor * pixel_mm,
                factor=factor,
                response=response,
                finer=finer,
                coarser=coarser,
                clutter=(over_body[0], over_body[1] * factor * halved),
                soft_clutter=(over_soft[0], over_soft[1] * factor * halved),
            )
        )
    return scales


def _halved(planes: Sequence[FloatImage]) -> tuple[Sequence[FloatImage], int]:
    """The planes at half of their size, and 2; very small ones as they are, and 1."""
    if min(planes[0].shape) < 2:
        return planes, 1
    return [ops.halve(plane) for plane in planes], 2


def clutter(energy: FloatImage, weight: FloatImage, *, share: FloatImage, sigma: float) -> tuple[FloatImage, int]:
    """Root mean square of a response nearby, never less than `CLUTTER_FLOOR_STEPS`.

    Parameters
    ----------
    energy
        float32 (rows, cols): the response's square.
    weight
        float32 (rows, cols), 0 to 1: where to learn from.
    share
        `weight` blurred by `ops.smooth_small` with the same sigma.
    sigma
        Of the window, in pixels.

    Returns
    -------
    float32, int
        Reduced, and by which factor.
    """
    mean, factor = ops.smooth_small(energy * weight, sigma)
    return np.sqrt(mean / np.maximum(share, np.float32(LEAST_SHARE))) + np.float32(CLUTTER_FLOOR_STEPS), factor
