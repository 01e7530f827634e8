"""Pixel spacing of a DICOM film, and where it comes from.

Pixel Spacing goes first, then the detector's own pitch over the magnification, then the detector's own pitch. Distances
taken at the detector overstate what lies nearer to the tube, by 5 to 20 %; hence the source travels with the number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the bounds of a pitch are asked of pictures, too
    import pydicom


Pitch = tuple[float, float]

# Detectors have 0.05 to 0.2 mm, films shrunk for teaching up to 1.5 mm.
MIN_PITCH_MM, MAX_PITCH_MM = 0.02, 2.0
_MAX_ASPECT = 4.0
_SQUARE_TOLERANCE = 0.01


def find_pitch(dataset: pydicom.Dataset) -> tuple[Pitch | None, str, tuple[str, ...]]:
    """Find row and column pitch in mm, their source as in `calcidetect.types.Grid`, and flags."""
    flags: tuple[str, ...] = ()
    for pitch, source in _claims(dataset):
        if _is_plausible(pitch):
            return pitch, source, flags
        flags = ("bad_spacing",)
    return None, "none", flags


def find_aspect(dataset: pydicom.Dataset, pitch: Pitch | None) -> float:
    """Height of a pixel over its width: by `pitch`, else by Pixel Aspect Ratio, else 1."""
    rows, cols = pitch or _pair(dataset, "PixelAspectRatio") or (1.0, 1.0)
    aspect = rows / cols if min(rows, cols) > 0 else 1.0
    if abs(aspect - 1) <= _SQUARE_TOLERANCE or not 1 / _MAX_ASPECT <= aspect <= _MAX_ASPECT:
        return 1.0
    return aspect


def _claims(dataset: pydicom.Dataset) -> Iterator[tuple[Pitch, str]]:
    """Every spacing that the header claims, best first."""
    if pitch := _pair(dataset, "PixelSpacing"):
        yield pitch, "calibrated" if dataset.get("PixelSpacingCalibrationType") else "pixel_spacing"
    if pitch := _pair(dataset, "ImagerPixelSpacing"):
        magnification = _magnification(dataset)
        if magnification:
            yield (pitch[0] / magnification, pitch[1] / magnification), "demagnified"
        yield pitch, "detector"
    if pitch := _pair(dataset, "NominalScannedPixelSpacing"):
        yield pitch, "detector"


def _pair(dataset: pydicom.Dataset, keyword: str) -> Pitch | None:
    values = dataset.get(keyword)
    if not values or isinstance(values, str | bytes | int | float) or len(values) != 2:
        return None
    return _float(values[0]), _float(values[1])


def _magnification(dataset: pydicom.Dataset) -> float | None:
    value = _float(dataset.get("EstimatedRadiographicMagnificationFactor"))
    return value if 1 <= value <= 5 else None


def _float(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _is_plausible(pitch: Pitch) -> bool:
    in_bounds = all(MIN_PITCH_MM <= side <= MAX_PITCH_MM for side in pitch)
    return in_bounds and 1 / _MAX_ASPECT <= pitch[0] / pitch[1] <= _MAX_ASPECT
