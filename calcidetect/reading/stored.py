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
