"""Put deposits into films, with truth: what the detector is fitted and measured on.

Mineral adds attenuation, so a deposit is added in the film's own (logarithmic or display) signal, scaled by the film's
own bone step. Steps 4 and 5 of the insertion literature (Litjens 2010, Shaheen 2011); scatter dilutes bone and deposit alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage, Mask
from calcidetect.deposits import MORPHOLOGIES, deposit

DIAMETERS_MM = {
    "nodular": (1.5, 12.0),
    "cluster": (3.0, 15.0),
    "amorphous": (4.0, 20.0),
    "linear": (4.0, 20.0),
    "tumoral": (10.0, 30.0),
}
"""Usual extents, drawn log-uniformly."""

CONTRAST_STEPS = (0.3, 1.5)
"""Contrast in units of the film's bone step, drawn log-uniformly (literature: 2 mm of mineral to a solid mass)."""

BLUR_MM = 0.2
TRUTH_SHARE = 0.25
"""A pixel belongs to the deposit where its thickness exceeds this share of the deposit's usual."""

TRIES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A deposit that was put in; boxes and places in pixels of the film it was put into.

    `box` is ``x0, y0, x1, y1``, half-open; `contrast` in bone steps; `diameter_mm` its drawn extent.
    """

    id: int
    morphology: str
    diameter_mm: float
    contrast: float
    box: tuple[int, int, int, int]
    row: float
    col: float
    area_px: int


def insert_deposits(
    pixels: FloatImage,
    allowed: Mask,
    *,
    count: int,
    bone_step: float,
    pixel_mm: float,
    rng: np.random.Generator,
) -> tuple[FloatImage, LabelImage, tuple[Deposit, ...]]:
    """Put up to `count` deposits where `allowed` is True, apart from one another.

    Parameters
    ----------
    pixels
        float32 (rows, cols), bigger = more attenuation.
    allowed
        bool (rows, cols): where a deposit's body may lie.
    count
        Deposits wanted; fewer when there is no room.
    bone_step
        The film's bone contrast in signal units, > 0.
    pixel_mm
        Pixel pitch in mm.
    rng
        Source of randomness.

    Returns
    -------
    pixels : float32 (rows, cols)
        The film with deposits, never brighter than its brightest pixel was.
    truth : int32 (rows, cols)
        0 = none, k = deposit k.
    deposits : tuple of Deposit
    """
    added = np.zeros(pixels.shape, np.float32)
    truth = np.zeros(pixels.shape, np.int32)
    deposits: list[Deposit] = []
    places = np.flatnonzero(allowed)
    for _ in range(TRIES * count):
        if len(deposits) == count or not len(places):
            break
        morphology = str(rng.choice(list(MORPHOLOGIES)))
        diameter, contrast = _log_uniform(rng, DIAMETERS_MM[morphology]), _log_uniform(rng, CONTRAST_STEPS)
        shape = deposit(morphology, diameter_mm=diameter, pixel_mm=pixel_mm, blur_mm=BLUR_MM, rng=rng)
        row, col = divmod(int(rng.choice(places)), pixels.shape[1])
        window, part = _window(pixels.shape, shape.shape, (row, col))
        body = shape[part] > TRUTH_SHARE
        near = ops.dilate(body, max(1, round(1 / pixel_mm)))
        if not body.any() or body.sum() < 0.9 * (shape > TRUTH_SHARE).sum():
            continue
        if truth[window][near].any() or not allowed[window][body].all():
            continue
        added[window] += np.float32(contrast * bone_step) * shape[part]
        truth[window][body] = len(deposits) + 1
        deposits.append(_record(len(deposits) + 1, morphology, diameter, contrast, window, body))
    return np.minimum(pixels + added, max(float(pixels.max()), 0)), truth, tuple(deposits)


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))


def _window(
    film: tuple[int, int], patch: tuple[int, int], centre: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a patch centred there lies on the film, and the part of it that does."""
    starts = [middle - side // 2 for middle, side in zip(centre, patch, strict=True)]
    outer = tuple(slice(max(0, s), min(size, s + n)) for s, n, size in zip(starts, patch, film, strict=True))
    inner = tuple(slice(o.start - s, o.stop - s) for o, s in zip(outer, starts, strict=True))
    return outer, inner


def _record(
    number: int, morphology: str, diameter_mm: float, contrast: float, window: tuple[slice, slice], body: Mask
) -> Deposit:
    rows, cols = np.nonzero(body)
    rows, cols = rows + window[0].start, cols + window[1].start
    return Deposit(
        id=number,
        morphology=morphology,
        diameter_mm=diameter_mm,
        contrast=contrast,
        box=(int(cols.min()), int(rows.min()), int(cols.max()) + 1, int(rows.max()) + 1),
        row=float(rows.mean()),
        col=float(cols.mean()),
        area_px=len(rows),
    )
