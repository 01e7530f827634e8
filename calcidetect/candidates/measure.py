"""Turn labelled regions and what was measured of them into candidates in the film's own pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Column, LabelImage, Mask
from calcidetect.candidates.looks import look
from calcidetect.types import MARK, Candidate, Grid, Radiograph

TOUCHING_PX = 1.5
"""A candidate nearer to bone than this touches it."""


def measure(
    radiograph: Radiograph,
    labels: LabelImage,
    *,
    features: Mapping[str, Column],
    kinds: Sequence[str],
    zones: Sequence[str] = (),
    whole: Mapping[str, Column] | None = None,
    reasons: Sequence[Mapping[str, float]] = (),
) -> tuple[Candidate, ...]:
    """Turn labelled regions into candidates in source pixels.

    Parameters
    ----------
    radiograph
        The film on the working grid.
    labels
        int32 (rows, cols): candidates 1 … n, each of one part or several.
    features
        From `candidate_features`, for the same labels, each (n,); a column ``score`` becomes the candidates' score, 0
        without.
    kinds
        Label of each, one of `LABELS`, n of them.
    zones
        Where each is, in words, n of them; none where left out.
    whole
        Columns of `features`, each (n,), that are other for the whole candidate than for the part behind its score.
    reasons
        Of each score, see `score.reasons`, n of them; none where left out.

    Returns
    -------
    tuple of Candidate
        Candidates 1 … n in the order of their labels, in source pixels.
    """
    places, why = zones or [""] * len(kinds), reasons or [{}] * len(kinds)
    seen = dict(features) | dict(whole or {})
    return tuple(
        Candidate(
            id=number,
            label=kind,
            zone=str(place),
            reasons=reason,
            **_score_and_features(features, number - 1),
            **_surroundings(seen, number - 1, radiograph.grid),
            **_geometry(
                labels[box] == number,
                np.array([box[0].start, box[1].start]),
                radiograph.grid,
                bone_distance_px=seen["bone_distance_mm"][number - 1] / radiograph.grid.nominal_mm,
            ),
        )
        for number, (box, kind, place, reason) in enumerate(
            zip(ops.label_boxes(labels), kinds, places, why, strict=True), start=1
        )
    )


def burden_mm2(candidates: Iterable[Candidate], grid: Grid) -> float | None:
    """Summed area of `calcification`; None on a film of unknown spacing."""
    if grid.spacing_mm is None:
        return None
    return sum((c.area_mm2 or 0.0 for c in candidates if c.label == MARK), start=0.0)


def _score_and_features(features: Mapping[str, Column], index: int) -> dict[str, Any]:
    own = {name: float(column[index]) for name, column in features.items()}
    return {"score": own.pop("score", 0.0), "features": own}


def _surroundings(features: Mapping[str, Column], index: int, grid: Grid) -> dict[str, Any]:
    distance = float(features["bone_distance_mm"][index])
    return {
        "contrast_noise": float(features["sigmas_mean"][index]),
        "contrast_bone": float(features["contrast_mean"][index]),
        "bone_distance_mm": distance if grid.spacing_mm else None,
    }


def _geometry(inside: Mask, corner: npt.NDArray[np.intp], grid: Grid, *, bone_distance_px: float) -> dict[str, Any]:
    """Box, centre, area, outline, look and flags of the pixels `inside` a window at `corner`."""
    parts = len(ops.components(inside)[1])
    outline = ops.contour(inside if parts == 1 else ops.convex_hull(inside))
    rows, cols = np.nonzero(inside)
    corners = np.array([corner, corner + inside.shape]) - 0.5
    row, col = grid.to_source((rows.mean() + corner[0], cols.mean() + corner[1]))
    low, high = (grid.to_source(corners) + 0.5).round().astype(int)
    low = np.where(high > low, low, np.floor(np.array([row, col]) + 0.5).astype(int))  # less than a pixel of the film
    (y0, x0), (y1, x1) = low, np.maximum(high, low + 1)
    area_mm2 = len(rows) * grid.spacing_mm**2 if grid.spacing_mm else None
    return {
        "x0": int(x0),
        "y0": int(y0),
        "x1": int(x1),
        "y1": int(y1),
        "row": float(row),
        "col": float(col),
        "area_px": float(len(rows) * grid.step[0] * grid.step[1]),
        "area_mm2": area_mm2,
        "diameter_mm": 2 * float(np.sqrt(area_mm2 / np.pi)) if area_mm2 else None,
        "contour": tuple((r, c) for r, c in grid.to_source(outline + corner).tolist()),
        "look": look(inside, pixel_mm=grid.nominal_mm),
        "flags": ("touches_bone",) * bool(bone_distance_px < TOUCHING_PX) + ("several_parts",) * (parts > 1),
    }
