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

# Log odds of "upright" by feature: the mean of two fits, which goes wrong less often than either. One, with ridge 0.3,
# is of 47 films and 8 synthetic ones; the other, with ridge 0.5, of 2,217 pictures of some 30 collections, 18 of them
# inverted, chest films at half their weight. With whole collections left out of the second, 1.6 % of upright ones reach
# `INVERTED_FROM`, and 12 % of inverted twins do not (1.0 and 9 % of those in the fit); all 18 that came inverted do.
# The first alone, at 0, turned 5.2 % over for nothing.
_WEIGHTS = {
    "centre": 8.983,
    "hats_17": -0.475,
    "hats_33": -1.852,
    "hats_65": -0.672,
    "skew_3": 1.871,
    "skew_6": -1.794,
    "skew_24": 1.714,
    "band_skew_24": -3.728,
    "tails": -0.602,
    "ring_is_dark": 5.505,
    "flat_is_dark": 17.488,
    "flattest_is_dark": 7.755,
    "flattest_is_black": -1.006,
    "bright_is_steep": -0.209,
    "dark_end": 2.815,
    "dark": 5.239,
    "dark_share": -0.133,
    "black": 3.702,
    "black_share": -2.623,
    "flat_dark": 5.549,
    "flat_dark_share": -1.417,
}

INVERTED_FROM = 1.5
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
    slope = ops.steepness(ops.gaussian(image, 1.0))
    mean = float(image.mean())
    flat, flattest = (image[slope <= np.quantile(slope, share)] for share in (0.3, 0.1))
    dark, bright = float((image < 0.1).mean()), float((image > 0.9).mean())
    blurred = {sigma: ops.smooth(image, sigma) for sigma in (3, 6, 12, 24)}
    return {
        "centre": _centre_mean(image) - mean,
        **{f"hats_{size}": math.tanh(_hat_ratio(image, size) / 0.15) for size in (17, 33, 65)},
        **{f"skew_{sigma}": _skew(image - blurred[sigma]) for sigma in (3, 6, 24)},
        "band_skew_24": _skew(blurred[12] - blurred[24]),
        "tails": _tail_balance(image),
        "ring_is_dark": mean - _ring_mean(image),
        "flat_is_dark": (mean - float(flat.mean())) * (dark + bright),
        "flattest_is_dark": mean - float(flattest.mean()),
        "flattest_is_black": 1 - 2 * float(np.median(flattest)),
        "bright_is_steep": _steep_ratio(image, slope),
        "dark_end": (dark - bright) * (dark + bright),
        **_balance("dark", dark, bright),
        **_balance("black", float((image < _ENDS).mean()), float((image > 1 - _ENDS).mean())),
        **_balance("flat_dark", *_flat_shares(image, slope)),
    }


def _centre_mean(image: FloatImage) -> float:
    rows, cols = (slice(side // 4, side - side // 4) for side in image.shape)
    return float(image[rows, cols].mean())


def _tail_balance(image: FloatImage) -> float:
    low, median, high = np.percentile(image, [5, 50, 95]).tolist()
    return math.tanh((low + high - 2 * median) / 0.1)


def _balance(name: str, dark: float, bright: float) -> Mapping[str, float]:
    """How much more is dark than bright, of the whole and of the two."""
    return {name: dark - bright, f"{name}_share": (dark - bright) / (dark + bright + 0.02)}


def _skew(detail: FloatImage) -> float:
    spread = float(detail.std()) + 1e-4
    return math.tanh(float((detail * detail * detail).mean()) / spread**3 / 2)


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
