"""Calcification that is not what is looked for: labelled by where it lies, so that no arrow points at it.

So far the trachea alone: its rings calcify in two of three men and a third of women (Folia Morphol 2008, n = 209).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage
from calcidetect.types import Anatomy, Candidate, Field, Radiograph

TRACHEA_SHARE = 0.42
"""The trachea ends at the carina, within this upper share of a chest film."""

SIDE_MM = 14.0
"""How far from the axis the column's bright sides are looked at."""

MIDLINE_MM = 30.0
"""How far the trachea's air column may lie from the middle of the body."""

COLUMN_SIGMA_MM = 3.0
"""Gaussian sigma along and across the air column; it is 13 to 25 mm wide in adults."""

WALL_MM = 15.0
"""Rings lie within this of the column's axis."""

MIN_DARKNESS = 0.05
"""Least darkness, in bone steps, that two fifths of the column must show for it to be a trachea."""


def label_mimics(
    candidates: Sequence[Candidate], radiograph: Radiograph, field: Field, anatomy: Anatomy, *, region: str
) -> tuple[Candidate, ...]:
    """Label candidates that are known mimics by their place.

    Parameters
    ----------
    candidates
        In source pixels.
    radiograph, field, anatomy
        The film on the working grid.
    region
        Its body region; the trachea is looked for on ``chest`` films.

    Returns
    -------
    tuple of Candidate
        The same candidates in the same order, some with another label.
    """
    axis = trachea_axis(radiograph, field, anatomy) if region == "chest" and candidates else np.empty(0)
    if not len(axis):
        return tuple(candidates)
    places = radiograph.grid.from_source([(c.row, c.col) for c in candidates])
    rows = np.clip(places[:, 0].round().astype(int), 0, len(axis) - 1)
    aside_mm = np.abs(places[:, 1] - axis[rows]) * radiograph.grid.nominal_mm
    tracheal = (places[:, 0] < len(axis)) & (aside_mm < WALL_MM)
    return tuple(
        dataclasses.replace(candidate, label="tracheal") if ring else candidate
        for candidate, ring in zip(candidates, tracheal, strict=True)
    )


def trachea_axis(radiograph: Radiograph, field: Field, anatomy: Anatomy) -> npt.NDArray[np.float64]:
    """Column of the trachea's axis for each row from the top down to the carina; empty where there is no air column."""
    pixel_mm = radiograph.grid.nominal_mm
    rows = np.flatnonzero(field.body.any(axis=1))
    if not len(rows):
        return np.empty(0)
    last = int(rows[0] + TRACHEA_SHARE * np.ptp(rows)) + 1
    body = field.body[:last]
    middle = float(np.median(np.nonzero(body)[1]))
    sigma = COLUMN_SIGMA_MM / pixel_mm
    even = radiograph.pixels / np.float32(anatomy.bone_step)
    even = ops.smooth(even, sigma)
    aside = round(SIDE_MM / pixel_mm)
    left, right = np.roll(even, aside, axis=1), np.roll(even, -aside, axis=1)
    darkness = (np.minimum(left, right) - even)[:last]  # a lung is dark too, but not between two bright sides
    columns = np.arange(body.shape[1])
    allowed = body & (np.abs(columns - middle) < MIDLINE_MM / pixel_mm)
    axis = _darkest_path(np.where(allowed, darkness, np.float32(-10)))
    on_axis = darkness[np.arange(last), axis]
    return axis.astype(float) if np.percentile(on_axis[rows[0] :], 60) > MIN_DARKNESS else np.empty(0)


def _darkest_path(darkness: FloatImage) -> npt.NDArray[np.intp]:
    """Column per row of the path from top to bottom with the greatest sum, moving at most one column a row."""
    total, came_from = darkness[0].copy(), []
    steps = np.array([-1, 0, 1])
    for row in darkness[1:]:
        shifted = np.stack([np.roll(total, -step) for step in steps])
        best = shifted.argmax(axis=0)
        came_from.append(np.clip(np.arange(len(total)) + steps[best], 0, len(total) - 1))
        total = row + shifted[best, np.arange(len(total))]
    path = [int(total.argmax())]
    for origin in reversed(came_from):
        path.append(int(origin[path[-1]]))
    return np.array(path[::-1])
