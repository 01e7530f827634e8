"""Calcified arteries: two thin lines side by side, the walls of one tube (tram-tracks), or plaques in a row."""

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

PLAQUE_MM, OBLONG = (2.0, 25.0), 1.8
"""Plaques are so long, and so many times as long as they are thick …"""

ROW_ANGLE = 25.0
"""… and lie within so many degrees of the line through two of them, …"""

ROW_ASIDE_MM, ROW_STEP_MM = 5.0, 80.0
"""… which others lie no farther from, and follow no farther apart. The femoral arteries of four of 400 films have 18
marks, of which these bounds take ten; of 537 marks on 261 films with deposits put in they take none."""

ROW_PARTS = 3


def are_vessels(labels: LabelImage, *, pixel_mm: float) -> npt.NDArray[np.bool_]:
    """Which regions are parts of a calcified vessel.

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
    return tram_tracks(labels, pixel_mm=pixel_mm) | plaques_in_a_row(labels, pixel_mm=pixel_mm)


def plaques_in_a_row(labels: LabelImage, *, pixel_mm: float) -> npt.NDArray[np.bool_]:
    """Which regions lie on a line with others, `ROW_PARTS` of them drawn out along it; see `are_vessels`."""
    centres, long_mm, slimness, way = _axes(labels, pixel_mm)
    oblong = (long_mm >= PLAQUE_MM[0]) & (long_mm <= PLAQUE_MM[1]) & (slimness >= OBLONG)
    plaques = np.flatnonzero(oblong)
    if len(plaques) < ROW_PARTS:
        return np.zeros(len(centres), bool)
    first, second = (plaques[side] for side in ops.pairs_within(centres[plaques] * pixel_mm, ROW_STEP_MM))
    apart = (centres[second] - centres[first]) * pixel_mm
    distance = np.linalg.norm(apart, axis=1)
    line = apart / np.maximum(distance, 1e-9)[:, None]
    turns = [np.abs((line * way[end]).sum(axis=1)) for end in (first, second)]
    aligned = np.minimum(*turns) >= np.cos(np.radians(ROW_ANGLE))
    offset = (centres - centres[first[aligned], None]) * pixel_mm
    along = (offset * line[aligned, None]).sum(axis=-1)
    across = np.sqrt(np.maximum((offset**2).sum(axis=-1) - along**2, 0))
    near = (along >= -ROW_STEP_MM) & (along <= distance[aligned, None] + ROW_STEP_MM)
    on_line = near & (across <= ROW_ASIDE_MM) & (long_mm <= PLAQUE_MM[1])
    along_it = oblong & (np.abs(line[aligned] @ way.T) >= np.cos(np.radians(ROW_ANGLE)))
    rows: npt.NDArray[np.bool_] = on_line[(on_line & along_it).sum(axis=1) >= ROW_PARTS].any(axis=0)
    return rows


def tram_tracks(labels: LabelImage, *, pixel_mm: float) -> npt.NDArray[np.bool_]:
    """Which regions are walls of a vessel; see `are_vessels`."""
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
