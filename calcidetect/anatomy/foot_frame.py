"""Where a place lies on a film of foot or ankle: by the fan of metatarsals seen from above, or by the bent ankle.

Seen from above, three bones or more leave the tarsus side by side, towards the toes; the thicker of the outermost ones
is that of the great toe. Seen from the side the tibia rises from the talus and the foot leaves it at an angle. A
straight film of the ankle alone shows neither, and its places have no part.
"""

from __future__ import annotations

import numpy as np

from calcidetect import ops
from calcidetect.anatomy.joint_frame import JointFrame, Sheaf
from calcidetect.arrays import Mask, Points, Words

METATARSALS = 3
"""So many bones side by side are a forefoot: outer ones are often one in the bone mask, five are seldom all apart."""

THICKER = 1.15
"""The first metatarsal is so many times as thick as the fifth, at least, where it is told from it."""

MIDFOOT_FROM, METATARSUS_FROM, TOES_FROM = 0.1, 0.35, 0.68
"""Shares of the way from the joint to the tip of the toes at which these begin; by eye on films from above."""

GREAT_TOE_SHARE = 0.33
"""The great toe's ray is this share of the forefoot's width."""

JOINT_SHARES = (0.58, 0.72)
"""The great toe's metatarsophalangeal joint, with the sesamoids, lies between these shares of that way."""

SIDE_SHARE = 0.2
"""Medial and lateral side begin so far from the middle, in half widths of the forefoot."""

ANKLE_MM, MIDFOOT_MM, FOREFOOT_MM = 40.0, 35.0, 75.0
"""From the side: the ankle reaches so far from the talus, and these begin so far before it."""

HEEL_BEHIND_MM, HEEL_BELOW_MM = 10.0, 10.0
"""The heel lies farther than this behind and below the middle of the talus."""


def shows_metatarsals(joint: JointFrame) -> bool:
    """Whether a foot is seen from above or below."""
    return max(joint.upper.bones, joint.lower.bones) >= METATARSALS


def foot_areas_from_above(points: Points, bone: Mask, *, joint: JointFrame) -> tuple[Words, Words]:
    """Name area and side of each point of a foot seen from above.

    Parameters
    ----------
    points
        ``(row, col)`` on the working grid, shape (n, 2).
    bone
        bool (rows, cols): bone of this foot alone.
    joint
        Its ankle or tarsus, of which one sheaf is the fan of metatarsals.

    Returns
    -------
    areas : str (n,)
        ``great toe``, ``base of the great toe``, ``toes``, ``metatarsus``, ``midfoot``, ``hindfoot``.
    parts : str (n,)
        ``medial side``, ``lateral side`` of metatarsus and midfoot; nothing where the great toe is not known.
    """
    fan = _fan(joint)
    across = np.array([-fan.way[1], fan.way[0]])
    places = np.argwhere(bone)
    bones_up, bones_aside = (places - joint.centre) @ fan.way, (places - joint.centre) @ across
    length = max(float(np.percentile(bones_up, 99.5)), 1.0)
    fore = bones_up > METATARSUS_FROM * length
    low, high = np.percentile(bones_aside[fore], [1, 99]) if fore.any() else (-1.0, 1.0)
    up = (points - joint.centre) @ fan.way / length
    medial = great_toe_side(bone, joint, across=across) * (
        2 * ((points - joint.centre) @ across - low) / max(high - low, 1.0) - 1
    )
    great = medial > 1 - 2 * GREAT_TOE_SHARE
    at_joint = great & (up > JOINT_SHARES[0]) & (up < JOINT_SHARES[1])
    tests = [at_joint, great & (up > TOES_FROM), up > TOES_FROM, up > METATARSUS_FROM, up > MIDFOOT_FROM]
    areas = np.select(tests, ["base of the great toe", "great toe", "toes", "metatarsus", "midfoot"], "hindfoot")
    sided = np.isin(areas, ("metatarsus", "midfoot"))
    tests = [sided & (medial > SIDE_SHARE), sided & (medial < -SIDE_SHARE)]
    return areas, np.select(tests, ["medial side", "lateral side"], "")


def _fan(joint: JointFrame) -> Sheaf:
    """The side of the joint with more bones: the forefoot."""
    return joint.upper if joint.upper.bones >= joint.lower.bones else joint.lower


def great_toe_side(bone: Mask, joint: JointFrame, *, across: Points) -> int:
    """1 where the great toe lies `across`, -1 on the other side, 0 where neither outer bone is the thicker one."""
    rows, cols = np.indices(bone.shape)
    away = np.stack([rows, cols], axis=-1) - joint.centre
    fan = _fan(joint)
    far_mm = np.hypot(away[..., 0], away[..., 1]) * joint.pixel_mm
    labels, boxes, centres = ops.components(bone & (far_mm > ANKLE_MM) & (far_mm < FOREFOOT_MM) & (away @ fan.way > 0))
    long = np.flatnonzero(boxes[:, 2:4].max(axis=1) * joint.pixel_mm > (FOREFOOT_MM - ANKLE_MM) / 2)
    if len(long) < METATARSALS:
        return 0
    aside = (centres[long] - joint.centre) @ across
    first, last = long[aside.argmin()], long[aside.argmax()]
    inset = ops.distance(~bone)
    thick = [float(np.percentile(inset[labels == number + 1], 90)) for number in (first, last)]
    if max(thick) < THICKER * min(thick):
        return 0
    return 1 if thick[1] > thick[0] else -1


def foot_areas_from_the_side(points: Points, joint: JointFrame) -> Words:
    """Name the area of each point of a bent ankle.

    Parameters
    ----------
    points
        ``(row, col)`` on the working grid, shape (n, 2).
    joint
        The ankle: its upper sheaf is the lower leg, its lower one the foot.

    Returns
    -------
    str (n,)
        ``lower leg``, ``ankle``, ``back of the ankle``, ``heel``, ``midfoot``, ``forefoot``.
    """
    leg = joint.upper.way
    forward = joint.lower.way - (joint.lower.way @ leg) * leg
    forward = forward / max(float(np.hypot(*forward)), 1e-6)
    from_talus = (points - joint.centre) * joint.pixel_mm
    up, fore = from_talus @ leg, from_talus @ forward
    behind = fore < -HEEL_BEHIND_MM
    tests = [up > ANKLE_MM, behind & (up < -HEEL_BELOW_MM), behind, fore > FOREFOOT_MM, fore > MIDFOOT_MM]
    return np.select(tests, ["lower leg", "heel", "back of the ankle", "forefoot", "midfoot"], "ankle")
