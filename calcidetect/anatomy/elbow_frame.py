"""Where a place lies on a film of the elbow: by its joint, its bend, and the number of bones on either side of it."""

from __future__ import annotations

import numpy as np

from calcidetect.anatomy.joint_frame import JointFrame
from calcidetect.arrays import Points, Words

ELBOW_MM = 50.0
"""The elbow reaches this far from its joint; the annotated elbows, by eye."""

SIDE_MM = 5.0
"""Sides begin this far from the joint's middle."""


def elbow_areas(points: Points, joint: JointFrame) -> tuple[Words, Words]:
    """Name the area of each point, and on a bent elbow the side of it.

    Parameters
    ----------
    points
        ``(row, col)``, shape (n, 2).
    joint
        See `joint_frame.find_joint`.

    Returns
    -------
    areas : str (n,)
        ``elbow``, ``upper arm``, ``forearm``; ``arm`` where the bones do not tell which half is which.
    parts : str (n,)
        ``front`` or ``olecranon side`` of a bent elbow, or nothing.
    """
    upper, lower = {None: ("arm", "arm"), True: ("upper arm", "forearm"), False: ("forearm", "upper arm")}[
        forearm_is_lower(joint)
    ]
    near, inward = joint.far_mm(points) < ELBOW_MM, joint.inward_mm(points)
    areas = np.select([near, joint.below(points)], ["elbow", lower], upper)
    return areas, np.select([near & (inward > SIDE_MM), near & (inward < -SIDE_MM)], ["front", "olecranon side"], "")


def forearm_is_lower(joint: JointFrame) -> bool | None:
    """Whether the half with radius and ulna is the lower one; None on a straight elbow or where no count tells.

    Of five bent elbows three were told, all right; of straight ones hardware and faint bone turned one over.
    """
    halves = (joint.upper.bones, joint.lower.bones)
    return {(1, 2): True, (2, 1): False}.get(halves) if joint.bent else None
