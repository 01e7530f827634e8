"""Turn labelled regions and what was measured of them into candidates in the film's own pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import LabelImage
from calcidetect.types import Candidate, Grid, Radiograph


def measure(
    radiograph: Radiograph,
    labels: LabelImage,
    *,
    features: Mapping[str, npt.NDArray[np.float32]],
    kinds: Sequence[str],
    reasons: Sequence[Mapping[str, float]] = (),
) -> tuple[Candidate, ...]:
    """Turn labelled regions into candidates in source pixels.

    Parameters
    ----------
    radiograph
        The film on the working grid.
    labels
        int32 (rows, cols): candidates 1 … n.
    features
        From `candidate_features`, for the same labels; a column ``score`` becomes the candidates' score, 0 without.
    kinds
        Label of each, one of `LABELS`.
    reasons
        Of each score, see `score.reasons`; none where left out.
    """
    why = reasons or [{}] * len(kinds)
    return tuple(
        _candidate(number, box, kind, grid=radiograph.grid, labels=labels, features=features, reasons=reason)
        for number, (box, kind, reason) in enumerate(zip(ops.label_boxes(labels), kinds, why, strict=True), start=1)
    )


def _candidate(
    number: int,
    box: tuple[slice, slice],
    kind: str,
    *,
    grid: Grid,
    labels: LabelImage,
    features: Mapping[str, npt.NDArray[np.float32]],
    reasons: Mapping[str, float],
) -> Candidate:
    own = {name: float(column[number - 1]) for name, column in features.items()}
    score = own.pop("score", 0.0)
    inside = labels[box] == number
    corner = np.array([box[0].start, box[1].start])
    rows, cols = np.nonzero(inside)
    corners = np.array([[box[0].start, box[1].start], [box[0].stop, box[1].stop]]) - 0.5
    (y0, x0), (y1, x1) = (grid.to_source(corners) + 0.5).round().astype(int)
    y1, x1 = max(y1, y0 + 1), max(x1, x0 + 1)
    row, col = grid.to_source((rows.mean() + box[0].start, cols.mean() + box[1].start))
    area_px = len(rows) * grid.step[0] * grid.step[1]
    area_mm2 = len(rows) * grid.spacing_mm**2 if grid.spacing_mm else None
    touching = bool(own["bone_distance_mm"] < 1.5 * grid.nominal_mm)
    return Candidate(
        id=number,
        score=score,
        label=kind,
        zone="",
        x0=int(x0),
        y0=int(y0),
        x1=int(x1),
        y1=int(y1),
        row=float(row),
        col=float(col),
        area_px=float(area_px),
        area_mm2=area_mm2,
        diameter_mm=2 * float(np.sqrt(area_mm2 / np.pi)) if area_mm2 else None,
        contrast_noise=own["sigmas_mean"],
        contrast_bone=own["contrast_mean"],
        bone_distance_mm=own["bone_distance_mm"] if grid.spacing_mm else None,
        contour=tuple((r, c) for r, c in grid.to_source(ops.contour(inside) + corner).tolist()),
        features=own,
        reasons=reasons,
        flags=("touches_bone",) * touching,
    )
