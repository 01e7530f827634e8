"""How far a bone mask, its outline and the area of deposits agree with the truth.

An annotated mask is uint8 (rows, cols): 0 unknown, 1 not bone, 2 bone. Measures as Metrics Reloaded defines them
(Maier-Hein 2024, doi:10.1038/s41592-023-02151-z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Mask

UNKNOWN, NOT_BONE, BONE = 0, 1, 2

EDGE_REACH_MM = 2.0
"""How far from known bone and known other tissue an edge may lie; four pixels of the coarsest films."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryDistances:
    """Mean distance between two outlines, both ways, and the larger 95th percentile of either way; mm."""

    mean_mm: float
    hausdorff95_mm: float


def dice(found: Mask, truth: npt.NDArray[np.uint8]) -> float:
    """Dice coefficient over the pixels known; 0 to 1, NaN where neither has any bone.

    Parameters
    ----------
    found
        bool (rows, cols): bone by the program.
    truth
        uint8 (rows, cols): 0 unknown, 1 not bone, 2 bone.
    """
    both = np.count_nonzero(found & (truth == BONE))
    total = np.count_nonzero(found & (truth != UNKNOWN)) + np.count_nonzero(truth == BONE)
    return 2 * both / total if total else float("nan")


def boundary_distances(found: Mask, truth: npt.NDArray[np.uint8], *, pixel_mm: float) -> BoundaryDistances | None:
    """Distance between the outline of bone found and of bone annotated.

    Annotators leave a band unknown along an edge: the annotated outline runs midway in it, and counts where known bone
    and known other tissue are both within `EDGE_REACH_MM`. The outline of bone found counts where no other unknown
    pixel is within that reach, as an edge that nobody drew may lie there. The border of the film is no outline.

    Parameters
    ----------
    found
        bool (rows, cols).
    truth
        uint8 (rows, cols): 0 unknown, 1 not bone, 2 bone.
    pixel_mm
        Pixel pitch in mm.

    Returns
    -------
    BoundaryDistances or None
        None where either has no outline that counts.
    """
    if not all((truth == value).any() for value in (NOT_BONE, BONE)):
        return None
    to_bone, to_other = ops.distance(truth == BONE, exact=True), ops.distance(truth == NOT_BONE, exact=True)
    reach = EDGE_REACH_MM / pixel_mm
    outline, edge = _outline(found), _outline(to_bone <= to_other)
    counted_edge = edge & (np.maximum(to_bone, to_other) <= reach)
    unknown = (truth == UNKNOWN) & (ops.distance(counted_edge, exact=True) > reach)
    counted_outline = outline & (ops.distance(unknown, exact=True) > reach)
    if not counted_outline.any() or not counted_edge.any():
        return None
    there, back = ops.distance(edge, exact=True)[counted_outline], ops.distance(outline, exact=True)[counted_edge]
    return BoundaryDistances(
        mean_mm=pixel_mm * float(np.concatenate([there, back]).mean()),
        hausdorff95_mm=pixel_mm * float(max(np.quantile(there, 0.95), np.quantile(back, 0.95))),
    )


def _outline(mask: Mask) -> Mask:
    return ops.rim(mask.astype(np.int32))


def share_right(found: Mask, points: Sequence[Sequence[float]], *, bone: bool) -> tuple[int, int]:
    """How many of `points` ``x, y`` lie in bone (or, with `bone` False, outside it), and how many lie on the film."""
    x, y = np.round(np.asarray(points, float).reshape(-1, 2)).astype(int).T
    on_film = (x >= 0) & (y >= 0) & (x < found.shape[1]) & (y < found.shape[0])
    return int(np.count_nonzero(found[y[on_film], x[on_film]] == bone)), int(on_film.sum())


def area_error(found_px: npt.ArrayLike, true_px: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Relative error of areas: 0 right, -1 nothing found, 1 twice too large; shape (n,)."""
    true = np.asarray(true_px, float)
    return (np.asarray(found_px, float) - true) / true
