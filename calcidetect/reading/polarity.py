"""Tell from a picture alone whether it is shown inverted, air bright and bone dark.

A logistic rule on numbers that change their sign when the film is turned over, without constant term: what it says of a
film and of its inverted twin adds up to nothing. That few pictures are inverted is in `INVERTED_FROM` alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage

# Everything below is measured on the film reduced to this longer side, in pixels: 1 to 2 mm on most films.
_SIZE = 256
_MIN_SIDE = 8
# Grey range (of 0 to 1) below which an outer line counts as frame or shutter, and the share of lines that may.
_FRAME_RANGE = 0.02
_FRAME_SHARE = 1 / 3

# Levels nearer than this to either end of the range are black, or white.
_ENDS = 0.05
# Slope per pixel of the film blurred by one pixel, up to which a place is flat: air is, and so are shutters.
_FLAT_SLOPE = 0.01
# Width of the picture's outer ring, of its shorter side.
_RING_SHARE = 1 / 12

# Log odds of "upright" by feature, fitted with ridge 0.5 on 2,217 pictures of some 30 collections, 18 of them inverted,
# and their inverted twins, by construction; chest films count half. Left out of the fit (five random folds, and folds
# of whole collections), 0.5 % and 1.3 % of upright ones reach `INVERTED_FROM`; 11 % and 16 % of inverted twins do not,
# but all 18 that came inverted do. The rule before, fitted on 47 films, turned 5.2 % over for nothing.
_WEIGHTS = {
    "hats_33": -1.874,
    "hats_65": -0.809,
    "skew_3": 3.743,
    "skew_6": -3.587,
    "skew_24": 3.427,
    "band_skew_24": -7.456,
    "ring_is_dark": 11.009,
    "flattest_is_dark": 15.509,
    "flattest_is_black": -2.013,
    "bright_is_steep": -0.419,
    "dark_end": 10.478,
    "dark_end_share": -0.266,
    "black": 7.404,
    "black_share": -5.246,
    "flat_dark": 11.098,
    "flat_dark_share": -2.834,
}

INVERTED_FROM = 2.25
"""Log odds from which a picture is taken for inverted: few are (18 of 2,217), and what is turned over for nothing is
lost."""


def inversion_log_odds(pixels: FloatImage) -> float:
    """Log odds that bigger pixel values mean less attenuation.

    Parameters
    ----------
    pixels
        float32 (rows, cols), finite, any range.

    Returns
    -------
    float
        From `INVERTED_FROM` on: shown inverted. 0 for a picture that is constant or less than 8 pixels wide.
    """
    if min(pixels.shape) < _MIN_SIDE:
        return 0.0
    image = _reduced(pixels)
    if image is None:
        return 0.0
    return -math.fsum(_WEIGHTS[name] * value for name, value in _features(_without_frame(image)).items())


def _reduced(pixels: FloatImage) -> FloatImage | None:
    """Reduce to `_SIZE` and to grey 0 to 1; None when there is nothing but one grey."""
    scale = _SIZE / max(pixels.shape)
    rows, cols = (max(_MIN_SIDE, round(side * scale)) for side in pixels.shape)
    image = ops.resize_area(pixels, (rows, cols))
    low, high = np.percentile(image, [0.5, 99.5])
    return np.clip((image - low) / (high - low), 0, 1).astype(np.float32) if high > low else None


def _without_frame(image: FloatImage) -> FloatImage:
    """Cut uniform lines off the edges: frames, shutters, margins of a screenshot."""
    rows, cols = (_lines_inside(image, axis=axis) for axis in (1, 0))
    return image[rows, cols]


def _lines_inside(image: FloatImage, *, axis: int) -> slice:
    low, high = np.percentile(image, [5, 95], axis=axis)
    drawn = np.flatnonzero(high - low >= _FRAME_RANGE)
    count = len(low)
    limit = int(count * _FRAME_SHARE)
    first, last = (drawn[0], drawn[-1]) if drawn.size else (0, count - 1)
    return slice(min(first, limit), max(last + 1, count - limit))


def _features(image: FloatImage) -> Mapping[str, float]:
    """Numbers that change their sign with the film's polarity; above 0 is what upright films mostly show."""
    blurred = ops.gaussian(image, 1.0)
    slope = ops.steepness(blurred)
    mean = float(image.mean())
    flattest = image[slope <= np.quantile(slope, 0.1)]
    return {
        **{f"hats_{size}": math.tanh(_hat_ratio(image, size) / 0.15) for size in (33, 65)},
        **{f"skew_{sigma}": _skew(image - ops.gaussian(image, sigma)) for sigma in (3, 6, 24)},
        "band_skew_24": _skew(ops.gaussian(image, 12) - ops.gaussian(image, 24)),
        "ring_is_dark": mean - _ring_mean(image),
        "flattest_is_dark": mean - float(flattest.mean()),
        "flattest_is_black": 1 - 2 * float(np.median(flattest)),
        "bright_is_steep": _steep_ratio(image, slope),
        **_balance("dark_end", float((image < 0.1).mean()), float((image > 0.9).mean())),
        **_balance("black", float((image < _ENDS).mean()), float((image > 1 - _ENDS).mean())),
        **_balance("flat_dark", *_flat_shares(image, slope)),
    }


def _balance(name: str, dark: float, bright: float) -> Mapping[str, float]:
    """How much more is dark than bright, of the whole and of the two."""
    return {name: dark - bright, f"{name}_share": (dark - bright) / (dark + bright + 0.02)}


def _skew(detail: FloatImage) -> float:
    spread = float(detail.std()) + 1e-4
    return math.tanh(float((detail**3).mean()) / spread**3 / 2)


def _ring_mean(image: FloatImage) -> float:
    width = max(2, int(min(image.shape) * _RING_SHARE))
    inner = image[width:-width, width:-width]
    return float((image.sum(dtype=float) - inner.sum(dtype=float)) / (image.size - inner.size))


def _steep_ratio(image: FloatImage, slope: FloatImage) -> float:
    """Log ratio of the mean slopes of the brightest and of the darkest fifth: air is flatter than bone."""
    low, high = np.percentile(image, [20, 80])
    dark, bright = (float(slope[where].mean()) for where in (image <= low, image >= high))
    return math.log((bright + 1e-3) / (dark + 1e-3))


def _flat_shares(image: FloatImage, slope: FloatImage) -> tuple[float, float]:
    flat = slope <= _FLAT_SLOPE
    return float((flat & (image < 0.3)).mean()), float((flat & (image > 0.7)).mean())


def _hat_ratio(image: FloatImage, size: int) -> float:
    """Log ratio of what is bright to what is dark among things narrower than `size` pixels."""
    bright = float((image - ops.maximum(ops.minimum(image, size), size)).mean())
    dark = float((ops.minimum(ops.maximum(image, size), size) - image).mean())
    return math.log((bright + 1e-4) / (dark + 1e-4))
