"""Outlines of candidates as polygons in ``(x, y)``: the one place where rows and columns change places.

Other programs count in one of two ways. COCO, LabelMe and ImageJ put (0, 0) on the outer corner of the first pixel, so
that its centre lies at (0.5, 0.5); 3D Slicer puts it on that pixel's centre, as this program does.
"""

from __future__ import annotations

from calcidetect.types import Candidate

Polygon = tuple[tuple[float, float], ...]
"""``(x, y)`` corners in source pixels, the last one not repeating the first."""

_HALF_PX = 0.5
_DIGITS = 2  # hundredths of a pixel
_LEAST_CORNERS = 3


def polygon_from_corner(candidate: Candidate) -> Polygon:
    """Outline with (0, 0) on the outer corner of the film's first pixel."""
    return _polygon(candidate, shift=_HALF_PX)


def flat_outline(candidate: Candidate) -> tuple[float, ...]:
    """Return `polygon_from_corner` as one row of numbers: x, y, x, y, …."""
    return tuple(value for corner in polygon_from_corner(candidate) for value in corner)


def polygon_from_centre(candidate: Candidate) -> Polygon:
    """Outline with (0, 0) on the centre of the film's first pixel."""
    return _polygon(candidate, shift=0.0)


def _polygon(candidate: Candidate, *, shift: float) -> Polygon:
    corners = [(x, y) for y, x in dict.fromkeys(candidate.contour)]  # a closed outline repeats its first corner
    if not _encloses(corners):
        x0, y0, x1, y1 = (edge - _HALF_PX for edge in (candidate.x0, candidate.y0, candidate.x1, candidate.y1))
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    return tuple((round(x + shift, _DIGITS), round(y + shift, _DIGITS)) for x, y in corners)


def _encloses(corners: list[tuple[float, float]]) -> bool:
    """Whether a polygon has an area; an outline through the centres of one row of pixels has none."""
    if len(corners) < _LEAST_CORNERS:
        return False
    following = corners[1:] + corners[:1]
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, following, strict=True)) != 0
