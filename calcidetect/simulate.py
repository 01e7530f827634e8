"""Put deposits into films, with truth: what the detector is fitted and measured on.

Mineral adds attenuation, so a deposit is added in the film's own (logarithmic or display) signal, scaled by the film's
own bone step: scatter dilutes bone and deposit alike. The deposit is blurred, never the film (Shaheen 2011, Med Phys
38:6659).
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

GAP_MM = 1.0
"""Deposits keep at least this far apart."""

TRIES = 40
"""Draws for each deposit wanted, before giving up for want of room."""


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
    for _ in range(TRIES * count if len(places) else 0):
        if len(deposits) == count:
            break
        drawn = _draw(rng, pixel_mm)
        window, part = _window(pixels.shape, drawn.shape.shape, divmod(int(rng.choice(places)), pixels.shape[1]))
        body = drawn.shape[part] > TRUTH_SHARE
        if body.sum() < np.count_nonzero(drawn.shape > TRUTH_SHARE) or not allowed[window][body].all():
            continue
        if truth[window][ops.dilate(body, max(1, round(GAP_MM / pixel_mm)))].any():
            continue
        added[window] += np.float32(drawn.contrast * bone_step) * drawn.shape[part]
        truth[window][body] = len(deposits) + 1
        deposits.append(_record(len(deposits) + 1, drawn, truth))
    return np.minimum(pixels + added, pixels.max()), truth, tuple(deposits)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    morphology: str
    diameter_mm: float
    contrast: float
    shape: FloatImage


def _draw(rng: np.random.Generator, pixel_mm: float) -> _Drawn:
    morphology = str(rng.choice(list(MORPHOLOGIES)))
    diameter, contrast = _log_uniform(rng, DIAMETERS_MM[morphology]), _log_uniform(rng, CONTRAST_STEPS)
    shape = deposit(morphology, diameter_mm=diameter, pixel_mm=pixel_mm, blur_mm=BLUR_MM, rng=rng)
    return _Drawn(morphology=morphology, diameter_mm=diameter, contrast=contrast, shape=shape)


def _log_uniform(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(bounds))))


def _window(
    film: tuple[int, int], patch: tuple[int, int], centre: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where a patch centred there lies on the film, and the part of it that does."""
    outer, inner = [], []
    for middle, side, size in zip(centre, patch, film, strict=True):
        start = middle - side // 2
        span = slice(max(0, start), min(size, start + side))
        outer.append(span)
        inner.append(slice(span.start - start, span.stop - start))
    return (outer[0], outer[1]), (inner[0], inner[1])


def _record(number: int, drawn: _Drawn, truth: LabelImage) -> Deposit:
    rows, cols = np.nonzero(truth == number)
    return Deposit(
        id=number,
        morphology=drawn.morphology,
        diameter_mm=drawn.diameter_mm,
        contrast=drawn.contrast,
        box=(int(cols.min()), int(rows.min()), int(cols.max()) + 1, int(rows.max()) + 1),
        row=float(rows.mean()),
        col=float(cols.mean()),
        area_px=len(rows),
    )
