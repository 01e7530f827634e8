"""What is bright and no deposit: labelled by where it lies and how it looks, so that no arrow points at it.

The trachea is looked for as a whole: its rings calcify in two of three men and a third of women (Folia Morphol 2008,
n = 209). Everything else stands in the files of the regions, as areas and bounds of features.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.anatomy.regions import Mimic, Region
from calcidetect.arrays import Column, FloatImage, Mask, Points
from calcidetect.types import MARK, TRACHEAL, Anatomy, Field, Radiograph

TRACHEA_SHARE = 0.42
"""The trachea ends at the carina, within this upper share of a chest film."""

SIDE_MM = 14.0
"""How far from the axis the column's bright sides are looked at."""

MIDLINE_MM = 30.0
"""How far the trachea's air column may lie from the middle of the body."""

HALVINGS = 2
"""How often the film is halved to look for the air column, which is wider than that."""

COLUMN_SIGMA_MM = 3.0
"""Gaussian sigma along and across the air column; it is 13 to 25 mm wide in adults."""

LUMEN_MM, WALL_MM = 5.0, 15.0
"""Rings lie this far from the column's axis: no nearer than its wall, no farther."""

PART_MM = 4.0
"""Where there are rings, one that is seen in part may have its middle this near to the axis."""

ENDPLATE_MM, ENDPLATE_PARTS = 1.5, 2
"""What lies this near to the row of so many bright things within the lumen is the end plate of a vertebra."""

MIN_DARKNESS = 0.034
"""Least darkness, in bone steps, that two fifths of the column must show for it to be a trachea."""

RING_SIGMAS = 1.8
"""Least drop from a calcified ring to three quarters of its surroundings, 2 mm off, in sigmas of structured noise. On
the wall that has fewer, 0 to 3 places reach it on 44 of 45 real chest films, 5 on one, 6 and 7 on phantoms."""

RINGS_A_SIDE = 4
"""Rings are a ladder of pairs: fewer on either wall are chance."""

METAL_MM = 1.0
"""A candidate nearer to metal than this is its glow or its edge. None of 583 candidates on deposits lay within 3 mm."""

HARD_STEPS_PER_MM, BRIGHT_STEPS, SCREW_MM = 3.4, 2.7, 3.0
"""Screws and clips rise by so many bone steps a mm, to so many bone steps or more, are no larger than this radius …"""

SATURATED = 1.0
"""… and reach this share of the body's range, from its darkest to its brightest: on films whose bone step is judged too
small, deposits may be as hard. On 310 films as they are two spots are all this, at 6 steps a mm and 1.09; with 2 steps
and 0.95 two deposits of 218 on 60 films were, too."""


def label_kinds(
    points: Points,
    features: dict[str, Column],
    *,
    radiograph: Radiograph,
    field: Field,
    anatomy: Anatomy,
    region: Region,
    areas: npt.NDArray[np.str_],
) -> npt.NDArray[np.str_]:
    """Say for each candidate what it is by its place and measures.

    Parameters
    ----------
    points, features
        Centres of n candidates on the working grid, ``(row, col)``, what `candidate_features` measured of them, and
        their ``score``.
    radiograph, field, anatomy
        The film on the working grid.
    region
        Its body region; the trachea is looked for on ``chest`` films.
    areas
        Where each candidate lies, str (n,); see `zones.Zones`.

    Returns
    -------
    str (n,)
        A label each: ``calcification`` where nothing else is known.
    """
    kinds = np.full(len(areas), MARK, "<U16")
    if not len(areas):
        return kinds
    for mimic in region.mimics:
        if _too_old(radiograph.age_years, mimic):
            continue
        kinds[(kinds == MARK) & _fits(mimic, areas, features)] = mimic.label
    kinds[_are_metal(features)] = "metal"
    if region.name == "chest":
        kinds[_rings(points, features, trachea_axis(radiograph, field, anatomy=anatomy), radiograph)] = TRACHEAL
    return kinds


def _too_old(age_years: float | None, mimic: Mimic) -> bool:
    return age_years is not None and mimic.max_age_years is not None and age_years > mimic.max_age_years


def _are_metal(features: dict[str, Column]) -> npt.NDArray[np.bool_]:
    hard = (features["edge_steepness"] >= HARD_STEPS_PER_MM) & (features["contrast_highest"] >= BRIGHT_STEPS)
    hard &= (features["radius_mm"] <= SCREW_MM) & (features["film_share_highest"] >= SATURATED)
    metal: npt.NDArray[np.bool_] = hard | (features["metal_mm"] < METAL_MM)
    return metal


def _fits(mimic: Mimic, areas: npt.NDArray[np.str_], features: dict[str, Column]) -> npt.NDArray[np.bool_]:
    fits = np.isin(areas, mimic.areas)
    for name, (low, high) in mimic.bounds.items():
        fits &= (features[name] >= low) & (features[name] <= high)
    return fits


def _rings(
    centre: npt.NDArray[np.float64],
    features: dict[str, Column],
    axis: npt.NDArray[np.float64],
    radiograph: Radiograph,
) -> npt.NDArray[np.bool_]:
    """Which candidates are calcified rings of a trachea with this axis; none where there are few."""
    if not len(axis):
        return np.zeros(len(centre), bool)
    rows = np.minimum(centre[:, 0].round().astype(int), len(axis) - 1)
    aside_mm = (centre[:, 1] - axis[rows]) * radiograph.grid.nominal_mm
    bright = (centre[:, 0] < len(axis)) & (features["drop_quarter_plus2"] > RING_SIGMAS)
    within, wall = np.abs(aside_mm) < LUMEN_MM, (np.abs(aside_mm) >= LUMEN_MM) & (np.abs(aside_mm) < WALL_MM)
    apart_mm = np.abs(centre[:, :1] - centre[bright & within, 0]) * radiograph.grid.nominal_mm
    ring = bright & wall & ((apart_mm <= ENDPLATE_MM).sum(axis=1) < ENDPLATE_PARTS)
    enough = min((ring & (aside_mm < 0)).sum(), (ring & (aside_mm > 0)).sum()) >= RINGS_A_SIDE
    return (ring | (bright & (np.abs(aside_mm) >= PART_MM) & within)) & enough


def trachea_axis(radiograph: Radiograph, field: Field, *, anatomy: Anatomy) -> npt.NDArray[np.float64]:
    """Column of the trachea's axis for each row from the top down to the carina; empty where there is no air column."""
    even = radiograph.pixels / np.float32(anatomy.bone_step)
    share = field.body.astype(np.float32)
    for _ in range(HALVINGS):
        even, share = ops.halve(even), ops.halve(share)
    factor = 2**HALVINGS
    axis = _axis(even, share > 0.5, pixel_mm=factor * radiograph.grid.nominal_mm)
    if not len(axis):
        return axis
    rows = np.arange(len(axis) * factor)
    return (np.interp((rows + 0.5) / factor - 0.5, np.arange(len(axis)), axis) + 0.5) * factor - 0.5


def _axis(even: FloatImage, body: Mask, *, pixel_mm: float) -> npt.NDArray[np.float64]:
    """Column of the trachea's axis for each row of a film in bone steps; empty where there is no air column."""
    rows = np.flatnonzero(body.any(axis=1))
    if not len(rows):
        return np.empty(0)
    last = int(rows[0] + TRACHEA_SHARE * np.ptp(rows)) + 1
    body = body[:last]
    middle = float(np.median(np.nonzero(body)[1]))
    even = ops.smooth(even, COLUMN_SIGMA_MM / pixel_mm)
    aside = round(SIDE_MM / pixel_mm)
    left, right = np.roll(even, aside, axis=1), np.roll(even, -aside, axis=1)
    darkness = (np.minimum(left, right) - even)[:last]  # a lung is dark too, but not between two bright sides
    columns = np.arange(body.shape[1])
    allowed = body & (np.abs(columns - middle) < MIDLINE_MM / pixel_mm)
    (axis,) = ops.brightest_paths(np.where(allowed, darkness, np.float32(-10))[None])
    on_axis = darkness[np.arange(last), axis]
    return axis.astype(float) if np.percentile(on_axis[rows[0] :], 60) > MIN_DARKNESS else np.empty(0)
