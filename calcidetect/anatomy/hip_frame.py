"""Where a place lies on a frontal film of one hip: by the thickest bone, about the joint, and the side with air."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect.anatomy.joint_frame import JointFrame
from calcidetect.arrays import Points

HIP_MM = 25.0
"""The joint itself; beyond it lie four quarters."""

THIGH_MM = 90.0
"""The thigh begins so far below the joint."""


def hip_areas(points: Points, joint: JointFrame, *, lateral: str) -> npt.NDArray[np.str_]:
    """Name the area of each point.

    Parameters
    ----------
    points
        ``(row, col)``, shape (n, 2).
    joint
        See `joint_frame.find_joint`.
    lateral
        ``left`` or ``right``: see `shoulder_frame.lateral_side`.

    Returns
    -------
    str (n,)
        ``hip``, ``greater trochanter``, ``buttock``, ``groin``, ``pelvis``, ``thigh``.
    """
    down, right = ((points - joint.centre) * joint.pixel_mm).T
    outer = right > 0 if lateral == "right" else right < 0
    tests = [down > THIGH_MM, joint.far_mm(points) < HIP_MM, outer & (down > 0), outer, down > 0]
    return np.select(tests, ["thigh", "hip", "greater trochanter", "buttock", "groin"], "pelvis")
