"""A film as its file stores it: what every reader hands over before polarity and grid are settled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, Mask
from calcidetect.types import Source, Tone

# Luminance of ITU-R BT.601; on a film tinted in one colour any positive weights serve.
_LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)

COLOURED = "coloured"
"""Flag of a picture in many colours, a photograph or a drawing."""

HUE_TOLERANCE = 0.05
"""Of the range, red or blue against green, by which a pixel may leave the film's one tint."""

COLOURED_SHARE = 0.15
"""Of pixels that leave it in a coloured picture. Of 158 tinted or annotated films the highest is 0.087, of nine
photographs and drawings the least 0.20 (of a starry sky 0.09)."""

_TINT_LEVELS, _TINT_SAMPLES = 32, 60_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredFilm:
    """A film as its file stores it.

    Attributes
    ----------
    pixels
        float32 (rows, cols): after the modality LUT, in the file's own polarity.
    span
        Lowest and highest value that the file could have stored, after the modality LUT.
    valid
        bool (rows, cols): False for padding values and transparent pixels.
    inverted
        True when bigger means *less* attenuation by the header, None when the header doesn't say.
    tone
        How pixel values relate to attenuation.
    pitch_mm
        Row and column pitch in mm, or None.
    pitch_source
        Where `pitch_mm` comes from; see `calcidetect.types.Grid`.
    aspect
        Height of a pixel over its width.
    source
        Path, hash and header.
    age_years
        Patient's age by the header, or None.
    facts
        What else `inspect` shows: file format, compression, stored type.
    flags
        Words on trouble with this film.
    """

    pixels: FloatImage
    span: tuple[float, float]
    valid: Mask
    inverted: bool | None = None
    polarity: str = "picture"
    tone: Tone = "unknown"
    pitch_mm: tuple[float, float] | None = None
    pitch_source: str = "none"
    aspect: float = 1.0
    source: Source
    age_years: float | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[str, ...] = ()


def to_grey(pixels: npt.NDArray[np.generic]) -> FloatImage:
    """Turn (rows, cols) or (rows, cols, 3) of any number type to float32 (rows, cols)."""
    grey = pixels.astype(np.float32)
    return grey if grey.ndim == 2 else grey @ _LUMINANCE


def is_coloured(pixels: npt.NDArray[np.generic]) -> bool:
    """Whether a picture has more colours than one tint, which may change with brightness, and some coloured notes.

    `pixels` (rows, cols) or (rows, cols, 3) of any number type.
    """
    if pixels.ndim == 2:
        return False
    every = max(1, round((pixels[..., 0].size / _TINT_SAMPLES) ** 0.5))
    few = pixels[::every, ::every].reshape(-1, 3).astype(np.float32)
    few = few[np.isfinite(few).all(axis=1)]
    if not len(few):
        return False
    low, span = few.min(), max(np.ptp(few), np.finfo(np.float32).tiny)
    few = (few - low) / span
    level = (to_grey(few[None])[0] * (_TINT_LEVELS - 1)).astype(int)
    hue = few[:, ::2] - few[:, 1:2]  # red and blue against green
    counts = np.maximum(np.bincount(level), 1)
    tint = np.stack([np.bincount(level, column) / counts for column in hue.T], axis=1)
    return bool((np.abs(hue - tint[level]).max(axis=1) > HUE_TOLERANCE).mean() > COLOURED_SHARE)
