"""Calcified arteries: two thin lines side by side, the walls of one tube (tram-tracks)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import LabelImage
from calcidetect.candidates.label_regions import axes, label_regions

WALL_MM = 10.0
"""A wall is seen over at least this length; a shorter pair of lines may be a deposit in a tendon sheath."""

SLIM = 4.0
"""A wall is so many times as long as it is thick."""

LUMEN_MM = (2.0, 9.0)
"""From wall to wall: arteries of forearm and calf have 2 to 4 mm, those of arm and thigh up to 9."""

MAX_ANGLE = 10.0
"""Degrees between the walls."""

SHIFT = 0.3
"""The middles of the walls lie side by side within this share of the shorter wall's length."""


def tram_tracks(labels: LabelImage, *, pixel_mm: float) -> npt.NDArray[np.bool_]:
    """Which regions are walls of a vessel.

    Parameters
    ----------
    labels
        int32 (rows, cols): clusters 1 … n, none missing.
    pixel_mm
        Pitch of `labels`.

    Returns
    -------
    bool (n,)
    """
    centres, long_mm, slimness, way = _axes(labels, pixel_mm)
    walls = np.zeros(len(centres), bool)
    thin = np.flatnonzero((long_mm >= WALL_MM) & (slimness >= SLIM))
    if len(thin) < 2:
        return walls
    first, second = ops.pairs_within(centres[thin] * pixel_mm, float(long_mm[thin].max()))
    first, second = thin[first], thin[second]
    apart = (centres[second] - centres[first]) * pixel_mm
    along = np.abs((apart * way[first]).sum(axis=1))
    across = np.sqrt(np.maximum((apart**2).sum(axis=1) - along**2, 0))
    parallel = np.abs((way[first] * way[second]).sum(axis=1)) >= np.cos(np.radians(MAX_ANGLE))
    beside = along <= SHIFT * np.minimum(long_mm[first], long_mm[second])
    walls[first[parallel & beside & (across >= LUMEN_MM[0]) & (across <= LUMEN_MM[1])]] = True
    return walls


def _axes(
    labels: LabelImage, pixel_mm: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Centres in pixels (n, 2), length in mm, length over thickness, and unit vectors along (n, 2)."""
    regions = label_regions(labels)
    long, short, angle = axes(regions, labels.shape[1])
    return regions.centres, 4 * long * pixel_mm, long / short, np.stack([np.sin(angle), np.cos(angle)], axis=1)
