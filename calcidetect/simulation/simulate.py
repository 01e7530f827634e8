"""Put deposits into films, with truth: what the detector is fitted and measured on.

Mineral adds attenuation, so a deposit is added in the film's own (logarithmic or display) signal, scaled by the film's
own bone step: scatter dilutes bone and deposit alike. `log_signal` makes such a signal of a film that is linear in
exposure. The deposit is blurred, never the film (Shaheen 2011, Med Phys 38:6659): the film's grain stays on top of it,
and the quanta that it takes away make the grain a little stronger.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage, Mask
from calcidetect.simulation.deposits import MORPHOLOGIES, deposit

DIAMETERS_MM = {
    "nodular": (1.5, 12.0),
    "cluster": (3.0, 15.0),
    "amorphous": (4.0, 20.0),
    "linear": (4.0, 20.0),
    "tumoral": (10.0, 30.0),
    "sheet": (8.0, 30.0),
    "homogeneous": (2.0, 25.0),
    "cloudy": (4.0, 25.0),
}
"""Usual extents, drawn log-uniformly."""

CONTRAST_STEPS = (0.3, 1.5)
"""Contrast in units of the film's bone step, drawn log-uniformly (literature: 2 mm of mineral to a solid mass)."""

STEPS_PER_MM = 0.6
"""Greatest contrast for each mm of extent: a 1 mm thick deposit of 2.5 g/ml against a phalanx on a 50 kVp film, by the
attenuations of `calcidetect.simulation.physics`; it keeps deposits under 2.5 mm below 1.5 bone steps."""

BLUR_MM = (0.12, 0.4)
"""Gaussian sigma of detector, focal spot and motion, one for each film, drawn log-uniformly."""

SHOULDER = 0.1
"""Share of the film's range below its brightest pixel where its response bends towards that, as detectors and display
curves do; a hard stop would show a dense deposit as a flat disc."""

STEP_ATTENUATION = 0.3
"""Attenuation exponent of one bone step behind scatter: 4 mm of cortical bone on a 50 to 75 kVp film."""

TRUTH_SHARE = 0.25
"""A pixel belongs to the deposit where its thickness exceeds this share of the deposit's usual."""

GRAIN_PX = 0.6
"""Gaussian sigma of the quantum noise that a deposit adds, in pixels: what a detector's blur leaves of white noise."""

DARK_SHARE = 0.005
"""Exposure at the brightest pixel of a film that is linear in exposure, of its range."""

GAP_MM = 1.0
"""Deposits keep at least this far apart."""

TRIES = 40
"""Draws for each deposit wanted, before giving up for want of room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """A deposit that was put in; boxes and places in pixels of the film it was put into.

    `box` is ``x0, y0, x1, y1``, half-open; `contrast` in bone steps, as the film
    shows it; `diameter_mm` its greatest extent.
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
        float32 (rows, cols), bigger = more attenuation; not linear in exposure.
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
        The film with deposits, noise apart never brighter than its brightest pixel was.
    truth : int32 (rows, cols)
        0 = none, k = deposit k.
    deposits : tuple of Deposit
    """
    wanted, truth, drawn = _place(allowed, count=count, pixel_mm=pixel_mm, rng=rng)
    wanted *= np.float32(bone_step)
    film = _below_top(pixels, wanted)
    added = film - pixels
    deposits = tuple(
        _record(number, item, truth, kept=_share(added, wanted, truth == number))
        for number, item in enumerate(drawn, start=1)
    )
    if deposits:
        film = film + _extra_grain(pixels, added / np.float32(bone_step), allowed, rng)
    return film, truth, deposits


def dark_level(exposure_deficit: FloatImage, *, bits: int) -> float:
    """Pixel value of no exposure on a film that is linear in exposure, turned so that bigger = more attenuation.

    Detectors store no exposure as 0, which turned over is the greatest value of `bits` bits. Where a modality table
    took the film out of that range, a little more than its brightest pixel, which scatter still reaches: an assumption.
    """
    low, high = float(exposure_deficit.min()), float(exposure_deficit.max())
    if low >= 0 and high < 2**bits:
        return float(2**bits)
    return high + DARK_SHARE * max(high - low, 1e-6)


def log_signal(exposure_deficit: FloatImage, dark: float) -> FloatImage:
    """Minus the logarithm of exposure: float32 (rows, cols), of `dark` less the exposure; see `dark_level`."""
    return -np.log(np.float32(dark) - exposure_deficit)


def linear_signal(signal: FloatImage, dark: float) -> FloatImage:
    """The way back from `log_signal`."""
    return np.float32(dark) - np.exp(-signal)


def _place(
    allowed: Mask, *, count: int, pixel_mm: float, rng: np.random.Generator
) -> tuple[FloatImage, LabelImage, tuple[_Drawn, ...]]:
    """Mineral in bone steps, the truth labels, and what was placed."""
    wanted, truth = np.zeros(allowed.shape, np.float32), np.zeros(allowed.shape, np.int32)
    drawn: list[_Drawn] = []
    places, blur_mm = np.flatnonzero(allowed), _log_uniform(rng, BLUR_MM)
    for _ in range(TRIES * count if len(places) else 0):
        if len(drawn) == count:
            break
        item = _draw(rng, pixel_mm, blur_mm)
        window, part = _window(allowed.shape, item.shape.shape, divmod(int(rng.choice(places)), allowed.shape[1]))
        body = item.shape[part] > TRUTH_SHARE
        if body.sum() < np.count_nonzero(item.shape > TRUTH_SHARE) or not allowed[window][body].all():
            continue
        if truth[window][ops.dilate(body, max(1, round(GAP_MM / pixel_mm)))].any():
            continue
        wanted[window] += np.float32(item.contrast) * item.shape[part]
        truth[window][body] = len(drawn) + 1
        drawn.append(item)
    return wanted, truth, tuple(drawn)


def _below_top(pixels: FloatImage, added: FloatImage) -> FloatImage:
    """Add without going beyond the brightest pixel: past the shoulder's start, ever more slowly."""
    top, low = pixels.max(), pixels.min()
    start = np.maximum(pixels, top - np.float32(SHOULDER) * (top - low))
    room = np.maximum(top - start, np.float32(1e-6) * max(top - low, np.float32(1e-6)))
    total = pixels + added
    over = np.maximum(total - start, 0)
    bent = start + room * over / (over + room)
    return np.where(total > start, bent, total)


def _share(added: FloatImage, wanted: FloatImage, body: Mask) -> float:
    return float(added[body].sum() / wanted[body].sum())


def _extra_grain(pixels: FloatImage, steps: FloatImage, allowed: Mask, rng: np.random.Generator) -> FloatImage:
    """Quantum noise that `steps` of mineral add to a logarithmic signal: its variance goes as 1 / exposure.

    The film's own noise is what changes from pixel to pixel in soft tissue; see the reference's step for noise in
    Shaheen 2011, which asks for variance (R - R^2) in linear signal, that is (1 / R - 1) here.
    """
    white = ops.gaussian(rng.standard_normal(pixels.shape, dtype=np.float32), GRAIN_PX)
    own, drawn = (np.median(np.abs(image - ops.gaussian(image, 1.0))[allowed]) for image in (pixels, white))
    lost = np.sqrt(np.expm1(np.float32(STEP_ATTENUATION) * np.maximum(steps, 0)))
    return lost * white * np.float32(own / drawn)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Drawn:
    morphology: str
    diameter_mm: float
    contrast: float
    shape: FloatImage


def _draw(rng: np.random.Generator, pixel_mm: float, blur_mm: float) -> _Drawn:
    morphology = str(rng.choice(list(MORPHOLOGIES)))
    diameter = _log_uniform(rng, DIAMETERS_MM[morphology])
    low, high = CONTRAST_STEPS
    contrast = _log_uniform(rng, (low, min(high, STEPS_PER_MM * diameter)))
    shape = deposit(morphology, diameter_mm=diameter, pixel_mm=pixel_mm, blur_mm=blur_mm, rng=rng)
    extent = _extent(shape > TRUTH_SHARE) * pixel_mm
    return _Drawn(morphology=morphology, diameter_mm=extent, contrast=contrast, shape=shape)


def _extent(body: Mask) -> float:
    """Greatest extent of a mask in any direction, in pixels (to 1 %: directions are 7.5 degrees apart)."""
    rows, cols = np.nonzero(body)
    angles = np.linspace(0, np.pi, 24, endpoint=False)
    return float(np.ptp(np.outer(np.sin(angles), rows) + np.outer(np.cos(angles), cols), axis=1).max()) + 1


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


def _record(number: int, drawn: _Drawn, truth: LabelImage, *, kept: float) -> Deposit:
    rows, cols = np.nonzero(truth == number)
    return Deposit(
        id=number,
        morphology=drawn.morphology,
        diameter_mm=drawn.diameter_mm,
        contrast=drawn.contrast * kept,
        box=(int(cols.min()), int(rows.min()), int(cols.max()) + 1, int(rows.max()) + 1),
        row=float(rows.mean()),
        col=float(cols.mean()),
        area_px=len(rows),
    )
