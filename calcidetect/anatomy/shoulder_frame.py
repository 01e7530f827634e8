"""Where a place lies on a frontal film of one shoulder: by its distance from the upper and the lateral skin."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Mask, Points
from calcidetect.types import Field

JOINT_MM = 130.0
"""The shoulder reaches this far below the upper skin; below it follow arm, axilla and chest."""

ARM_MM, AXILLA_MM = 100.0, 160.0
"""The arm, and then the axilla, reach this far from the lateral skin; seven films and two phantoms, by eye."""

NECK_MM = 70.0
"""Medial to a shoulder the neck reaches this far below the upper skin, then comes the chest."""

LEAST_AIR = 0.01
"""A shoulder's lateral side is known where air fills at least this share of the field …"""

AIR_APART = 0.1
"""… and its middle lies this share of the field's width from that of the body."""


def lateral_side(body: Mask, field: Field) -> str:
    """The side of the picture on which a shoulder's skin is: ``left``, ``right``, or empty where air does not tell."""
    air = field.air
    if air.sum() < LEAST_AIR * field.mask.sum() or not body.any():
        return ""
    apart = np.nonzero(air)[1].mean() - np.nonzero(body)[1].mean()
    if abs(apart) < AIR_APART * ops.bounding_box(field.mask)[1][1]:
        return ""
    return "left" if apart < 0 else "right"


def shoulder_areas(
    points: Points, body: Mask, *, in_lung: npt.NDArray[np.bool_], lateral: str, pixel_mm: float
) -> npt.NDArray[np.str_]:
    """Name the area of each point.

    Parameters
    ----------
    points
        ``(row, col)`` on the grid of `body`, shape (n, 2).
    body
        bool (rows, cols).
    in_lung
        bool (n,): whether each point looks like lung.
    lateral
        ``left`` or ``right``: see `lateral_side`.
    pixel_mm
        Pitch of the grid.

    Returns
    -------
    str (n,)
        ``shoulder``, ``upper arm``, ``axilla``, ``neck``, ``chest`` or ``lung``.
    """
    (top, left), (_, width) = ops.bounding_box(body)
    down = (points[:, 0] - top) * pixel_mm
    inward = ((points[:, 1] - left) if lateral == "left" else (left + width - points[:, 1])) * pixel_mm
    medial = inward > AXILLA_MM
    tests = [medial & in_lung, medial & (down < NECK_MM), medial, down < JOINT_MM, inward < ARM_MM]
    return np.select(tests, ["lung", "neck", "chest", "shoulder", "upper arm"], "axilla")
