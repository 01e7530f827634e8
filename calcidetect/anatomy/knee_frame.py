"""Where a place lies on a film of the knee or leg: by the row with the most bone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.anatomy.joint_frame import JointFrame
from calcidetect.arrays import Mask, Points

KNEE_MM = 60.0
"""A knee reaches this far above and below the widest row of its bones."""

EVEN_MM = 10.0
"""Gaussian sigma that evens the bone's width out along the limb."""


def knee_areas(points: Points, limb: Mask, *, bone: Mask, pixel_mm: float) -> npt.NDArray[np.str_]:
    """Name the area of each point of an upright leg: ``thigh``, ``knee`` or ``lower leg``.

    Parameters
    ----------
    points
        ``(row, col)``, shape (n, 2).
    limb, bone
        bool (rows, cols): one leg, and the bone in it. A leg that is wider than long is all knee.
    pixel_mm
        Pitch of the grid.
    """
    height, width = ops.bounding_box(limb)[1]
    if not bone.any() or height <= width:
        return np.full(len(points), "knee")
    below = (points[:, 0] - _widest_row(limb, bone, pixel_mm)) * pixel_mm
    return np.select([below < -KNEE_MM, below > KNEE_MM], ["thigh", "lower leg"], "knee")


def _widest_row(limb: Mask, bone: Mask, pixel_mm: float) -> int:
    """Row in the middle half of a limb with the most bone; beyond it lie hip, foot, and what is mistaken for bone."""
    (top, _), (height, _) = ops.bounding_box(limb)
    first, last = int(top + height / 4), int(top + 3 * height / 4) + 1
    width = ops.gaussian(bone.sum(axis=1, dtype=np.float32)[:, None], EVEN_MM / pixel_mm)
    return first + int(width[first:last].argmax())


def left_of_bone(points: Points, bone: Mask) -> npt.NDArray[np.bool_]:
    """Whether points lie on image left of the middle of the bone in their row; of all bone where the row has none."""
    columns, count = np.arange(bone.shape[1]), bone.sum(axis=1)
    everywhere = float(bone.sum(axis=0) @ columns / max(int(count.sum()), 1))
    middle = np.where(count > 0, bone @ columns / np.maximum(count, 1), everywhere)
    rows = np.clip(points[:, 0].round().astype(int), 0, len(middle) - 1)
    return np.asarray(points[:, 1] < middle[rows])


POPLITEAL_MM = 12.0
"""From the middle of a bent knee the popliteal fossa begins so far behind, and its front so far before."""

SUPRAPATELLAR_MM = 30.0
"""Before the femur, farther than this above the joint."""


def bent_knee_areas(points: Points, joint: JointFrame) -> npt.NDArray[np.str_]:
    """Name the area of each point of a knee seen from the side, whose bend shows its back.

    Parameters
    ----------
    points
        ``(row, col)``, shape (n, 2).
    joint
        Bent; see `joint_frame.find_joint`.

    Returns
    -------
    str (n,)
        ``thigh``, ``lower leg``, ``popliteal fossa``, ``suprapatellar region``, ``front of the knee``, ``knee``.
    """
    far, below, inward = joint.far_mm(points), joint.below(points), joint.inward_mm(points)
    above_mm = (points - joint.centre) @ joint.upper.way * joint.pixel_mm
    front = inward < -POPLITEAL_MM
    tests = [
        (far > KNEE_MM) & below,
        (far > KNEE_MM + SUPRAPATELLAR_MM) | ((far > KNEE_MM) & ~front),
        inward > POPLITEAL_MM,
        front & (above_mm > SUPRAPATELLAR_MM),
        front,
    ]
    return np.select(
        tests, ["lower leg", "thigh", "popliteal fossa", "suprapatellar region", "front of the knee"], "knee"
    )
