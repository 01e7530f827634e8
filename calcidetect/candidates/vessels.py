"""Calcified arteries: two thin lines side by side, the walls of one tube (tram-tracks), or plaques in a row."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """Of n regions: `centres` (n, 2) and `long_mm` (n,) in mm, `slimness` (n,), length over thickness, and unit vectors
    along them, `way` (n, 2); pairs are ``(row, col)``.
    """

    centres: npt.NDArray[np.float64]
    long_mm: npt.NDArray[np.float64]
    slimness: npt.NDArray[np.float64]
    way: npt.NDArray[np.float64]


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
    shapes = shapes_of(labels, pixel_mm=pixel_mm)
    return tram_tracks(shapes) | plaques_in_a_row(shapes)


def shapes_of(labels: LabelImage, *, pixel_mm: float) -> Shapes:
    """Measure regions 1 … n of `labels` with pixels of `pixel_mm`."""
    regions = label_regions(labels)
    long, short, angle = axes(regions, labels.shape[1])
    return Shapes(
        centres=regions.centres * pixel_mm,
        long_mm=4 * long * pixel_mm,
        slimness=long / short,
        way=np.stack([np.sin(angle), np.cos(angle)], axis=1),
    )


def plaques_in_a_row(shapes: Shapes) -> npt.NDArray[np.bool_]:
    """Which regions lie on a line with others, `ROW_PARTS` of them drawn out along it; bool (n,)."""
    centres, long_mm, way = shapes.centres, shapes.long_mm, shapes.way
    oblong = (long_mm >= PLAQUE_MM[0]) & (long_mm <= PLAQUE_MM[1]) & (shapes.slimness >= OBLONG)
    plaques = np.flatnonzero(oblong)
    if len(plaques) < ROW_PARTS:
        return np.zeros(len(centres), bool)
    first, second = (plaques[side] for side in ops.pairs_within(centres[plaques], ROW_STEP_MM))
    apart = centres[second] - centres[first]
    distance = np.linalg.norm(apart, axis=1)
    line = apart / np.maximum(distance, 1e-9)[:, None]
    turned = np.minimum(*(np.abs((line * way[end]).sum(axis=1)) for end in (first, second)))
    first, line, distance = (part[turned >= _cosine(ROW_ANGLE)] for part in (first, line, distance))
    along, across = _along_and_across(centres - centres[first, None], line[:, None])
    near = (along >= -ROW_STEP_MM) & (along <= distance[:, None] + ROW_STEP_MM)
    on_line = near & (across <= ROW_ASIDE_MM) & (long_mm <= PLAQUE_MM[1])
    along_it = oblong & (np.abs(line @ way.T) >= _cosine(ROW_ANGLE))
    rows: npt.NDArray[np.bool_] = on_line[(on_line & along_it).sum(axis=1) >= ROW_PARTS].any(axis=0)
    return rows


def tram_tracks(shapes: Shapes) -> npt.NDArray[np.bool_]:
    """Which regions are walls of a vessel; bool (n,)."""
    centres, long_mm, way = shapes.centres, shapes.long_mm, shapes.way
    walls = np.zeros(len(centres), bool)
    thin = np.flatnonzero((long_mm >= WALL_MM) & (shapes.slimness >= SLIM))
    if len(thin) < 2:
        return walls
    first, second = (thin[side] for side in ops.pairs_within(centres[thin], float(long_mm[thin].max())))
    along, across = _along_and_across(centres[second] - centres[first], way[first])
    parallel = np.abs((way[first] * way[second]).sum(axis=1)) >= _cosine(MAX_ANGLE)
    beside = np.abs(along) <= SHIFT * np.minimum(long_mm[first], long_mm[second])
    walls[first[parallel & beside & (across >= LUMEN_MM[0]) & (across <= LUMEN_MM[1])]] = True
    return walls


def _along_and_across(
    offsets: npt.NDArray[np.float64], way: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Signed length of offsets (..., 2) along unit vectors, and their distance from these."""
    along = (offsets * way).sum(axis=-1)
    return along, np.sqrt(np.maximum((offsets**2).sum(axis=-1) - along**2, 0))


def _cosine(degrees: float) -> float:
    return float(np.cos(np.radians(degrees)))
