"""Two hands and wrists, palms down on one plate: bones, thumb sesamoids, skin and soft tissue.

The template is a right hand seen from its back, in mm about the middle of the capitate: rows point to the elbow,
columns to the thumb. Its proportions were read off adult hand films.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask
from calcidetect.phantom.bones import BoneTissue, flat_bone, inflate, long_bone, outline_mask
from calcidetect.phantom.shapes import Canvas, Patch, Points, add_up, curve, place, power_noise, rod

Ray = tuple[tuple[tuple[float, float], tuple[float, float]], ...]

RAYS: dict[str, Ray] = {
    "thumb": (((4.5, 27), (-34, 52)), ((-34.4, 52.6), (-65, 64.5)), ((-65.5, 64.7), (-89, 72))),
    "index": (
        ((-13, 12.5), (-79, 23)),
        ((-79.4, 23.2), (-121, 31)),
        ((-121.4, 31.2), (-147, 36)),
        ((-147.4, 36.1), (-166, 39)),
    ),
    "middle": (
        ((-14, 1), (-80, 2)),
        ((-80.4, 2.1), (-127, 4)),
        ((-127.4, 4.1), (-158, 5.5)),
        ((-158.4, 5.6), (-178, 6.5)),
    ),
    "ring": (
        ((-12, -9), (-71, -16)),
        ((-71.4, -16.2), (-114, -24)),
        ((-114.4, -24.2), (-142, -30)),
        ((-142.4, -30.2), (-161, -34)),
    ),
    "little": (
        ((-9, -16.5), (-62, -32)),
        ((-62.4, -32.2), (-96, -46)),
        ((-96.3, -46.3), (-116, -55)),
        ((-116.2, -55.3), (-133, -63)),
    ),
}
"""Axes of metacarpal and phalanges of each finger, base to head."""

BONE_WIDTHS = (
    ((0, 6.4), (0.08, 6.4), (0.3, 4.5), (0.5, 4.0), (0.68, 4.5), (0.88, 7.3), (1, 7.0)),
    ((0, 7.9), (0.1, 7.4), (0.35, 5.0), (0.6, 4.5), (0.82, 5.4), (0.92, 5.9), (1, 5.6)),
    ((0, 6.6), (0.12, 6.0), (0.4, 4.1), (0.65, 3.8), (0.88, 4.8), (1, 4.6)),
    ((0, 5.4), (0.15, 4.6), (0.5, 2.5), (0.75, 2.7), (0.92, 4.3), (1, 3.8)),
)
"""Half widths in mm of metacarpal, proximal, middle and distal phalanx as knots along the bone."""

BONE_CORTEX = ((0, 0.5), (0.12, 0.8), (0.35, 1.9), (0.6, 1.9), (0.85, 0.8), (1, 0.5))
BONE_TRABECULAR = ((0, 0.30), (0.2, 0.2), (0.45, 0.05), (0.62, 0.05), (0.85, 0.22), (1, 0.30))
FINGER_SIZE = {"thumb": 1.12, "index": 1.02, "middle": 1.04, "ring": 0.92, "little": 0.84}

CARPALS = {
    "capitate": (
        (-12, -5),
        (-12.3, 5.5),
        (-6, 6.8),
        (0, 5.6),
        (5, 6),
        (10, 4.6),
        (11.6, 0),
        (9.5, -4.6),
        (2, -6),
        (-6, -6.2),
    ),
    "hamate": ((-10, -7.6), (-9.5, -16.5), (-4.5, -18.5), (3, -15), (9.5, -8), (7, -6.9), (-1, -7.2)),
    "trapezoid": ((-11, 8), (-11.5, 16), (-6, 17), (-1.5, 13.5), (-1, 8.2), (-6, 7.9)),
    "trapezium": ((-9.5, 18.5), (-5, 25), (2.5, 27.5), (6, 22.5), (3, 16), (0, 14.6), (-4.6, 17.9)),
    "scaphoid": ((1.5, 8.2), (1.5, 14), (5, 19), (10, 20.5), (16, 15), (18.7, 7.5), (15.5, 4.8), (11.5, 6.6), (6, 7.8)),
    "lunate": ((13.2, 4.2), (13, -1), (11.3, -5.2), (14, -9), (18.5, -8.8), (21, -4), (21.2, 1), (18.5, 4)),
    "triquetrum": ((6.5, -10.5), (3.3, -16), (6.5, -21), (12, -20.5), (15.5, -14), (12.6, -9.6)),
    "hook of the hamate": ((-3, -11), (-3.5, -14), (-0.5, -16), (2.5, -14.5), (2.5, -11.5), (0, -10)),
    "pisiform": ((6, -18), (8, -22), (13, -22.3), (15.5, -18.5), (12.5, -14.8), (8, -15)),
}
"""Outlines of the carpal bones."""

RADIUS = ((15.5, 25), (19, 20.5), (23, 14), (24.6, 7.5), (23.8, 4), (24.8, 0), (23.6, -5.8), (26, -7.8),
          (32, -6.8), (42, -4), (62, -1), (100, 0), (150, 1), (150, 15), (100, 15), (62, 16), (44, 19),
          (33, 23.5), (22, 26.6))  # fmt: skip
ULNA = ((26.5, -10.5), (25, -14.5), (26.8, -20), (20.5, -23.6), (21, -26), (29, -26.5), (38, -23.5),
        (60, -21), (150, -19), (150, -7), (60, -8.6), (42, -9.4), (33, -9.2))  # fmt: skip
FOREARM_SKIN = ((-12, 34), (6, 37), (24, 33.5), (50, 30), (100, 33), (175, 38), (175, -42), (100, -36),
                (50, -31), (24, -33), (0, -34), (-25, -38), (-46, -42), (-66, -41), (-74, -12), (-86, 6),
                (-88, 28), (-66, 33), (-30, 38))  # fmt: skip
THENAR_SKIN = ((8, 20), (8, 36), (-8, 46), (-28, 62), (-38, 60), (-44, 45), (-52, 30), (-50, 10), (-20, 5))
SESAMOIDS = ((-30.5, 42.6), (-28.0, 50.5))
"""Centres of the two sesamoids at the thumb's metacarpal head; the second lies before the bone."""

JOINTS = (
    (18, 30),
    (10, -30),
    (-34, 66),
    (-80, 31),
    (-80, 11.5),
    (-70, -25),
    (-62, -44),
    (40, -27),
    (-124, 35),
    (2, 36),
    (28, -31),
)
"""Places beside joints where calcinosis settles: wrist, thumb, knuckles, ulnar border."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandPose:
    """Where one hand lies: the capitate's ``(row, col)`` in mm, size, turn in radians, mirrored for a left hand."""

    at: tuple[float, float]
    scale: float
    turn: float
    mirror: bool

    def place(self, points: npt.ArrayLike) -> Points:
        """Map template points to the scene."""
        return place(points, at=self.at, scale=self.scale, turn=self.turn, mirror=self.mirror)


def pose_hands(rng: np.random.Generator, *, size_mm: tuple[float, float]) -> tuple[HandPose, HandPose]:
    """Lay the left hand left and the right hand right, thumbs inwards, on a plate of `size_mm`."""
    scale = rng.uniform(0.9, 1.02)
    base_row = size_mm[0] - rng.uniform(52, 66)

    def pose(side: int) -> HandPose:
        centre = size_mm[1] / 2 + side * rng.uniform(77, 81)
        turn = side * rng.uniform(-0.08, 0.06)
        return HandPose(at=(base_row + rng.uniform(-6, 6), centre), scale=scale, turn=turn, mirror=side > 0)

    return pose(-1), pose(1)


def hand_bones(canvas: Canvas, pose: HandPose, *, rng: np.random.Generator, tile: FloatImage) -> list[Patch]:
    """Return all bones of one hand, wrist and forearm end; sesamoids apart."""
    density = rng.uniform(0.8, 1.2)
    bones = [
        _ray_bone(canvas, pose, finger, k, rng=rng, tile=tile, density=density)
        for finger, axes in RAYS.items()
        for k in range(len(axes))
    ]
    for outline in CARPALS.values():
        tissue = BoneTissue(cortex_mm=0.75, trabecular=0.26 * density, texture=0.22)
        bones.append(flat_bone(canvas, _jittered(pose, outline, rng), tissue=tissue, tile=tile, depth=0.85))
    bones += [
        _forearm_bone(canvas, pose, np.subtract(outline, (2.2, 0)), tile=tile, density=density)
        for outline in (RADIUS, ULNA)
    ]
    return bones


def _jittered(pose: HandPose, outline: npt.ArrayLike, rng: np.random.Generator) -> Points:
    """Place an outline, a little larger and irregular, so that neighbours overlap as they do in projection."""
    points = np.asarray(outline, float)
    centre = points.mean(axis=0)
    return pose.place(centre + rng.uniform(1.05, 1.12) * (points - centre) + rng.normal(0, 0.3, points.shape))


def _ray_bone(
    canvas: Canvas, pose: HandPose, finger: str, k: int, *, rng: np.random.Generator, tile: FloatImage, density: float
) -> Patch:
    base, head = (np.array(end, float) for end in RAYS[finger][k])
    template = min(k + (finger == "thumb" and k > 0), 3) if k else 0
    size = FINGER_SIZE[finger] * pose.scale * rng.uniform(0.97, 1.03)
    side = np.array([head[1] - base[1], base[0] - head[0]]) / np.linalg.norm(head - base)
    axis = pose.place([base, (base + head) / 2 + side * rng.normal(0, 0.5), head])
    widths = [(place_, w * size) for place_, w in BONE_WIDTHS[template]]
    tissue = BoneTissue(
        cortex_mm=tuple((p, c * (1 - 0.16 * template) * density) for p, c in BONE_CORTEX),
        end_cortex_mm=0.5,
        trabecular=tuple((p, t * density) for p, t in BONE_TRABECULAR),
        texture=0.28,
    )
    is_tip = k == len(RAYS[finger]) - 1
    return long_bone(
        canvas,
        axis,
        half_width=widths,
        tissue=tissue,
        tile=tile,
        flatness=0.85,
        caps_mm=(2.5, 5.5) if k == 0 else (2.0, 2.2),
        cups_mm=(0.0, 0.0) if k == 0 else (1.3, 0.0 if is_tip else 0.9),
    )


def _forearm_bone(canvas: Canvas, pose: HandPose, outline: npt.ArrayLike, *, tile: FloatImage, density: float) -> Patch:
    tissue = BoneTissue(cortex_mm=1.0, trabecular=0.2 * density, texture=0.22, end_cortex_mm=0.7)
    joint_row = pose.at[0] + 26 * pose.scale

    def cortex(row: FloatImage) -> FloatImage:
        thickness: FloatImage = np.interp(row - joint_row, [0, 8, 35, 70], [0.9, 0.8, 2.4, 3.2]).astype(np.float32)
        return thickness

    return flat_bone(canvas, pose.place(outline), tissue=tissue, tile=tile, depth=0.5, cortex_at=cortex)


def sesamoids(canvas: Canvas, pose: HandPose, *, rng: np.random.Generator, tile: FloatImage) -> list[Patch]:
    """Return the two thumb sesamoids: small corticated ovals."""
    tissue = BoneTissue(cortex_mm=0.5, trabecular=0.3, end_cortex_mm=0.3)
    angles = np.linspace(0, 2 * np.pi, 9)[:-1]
    patches = []
    for centre in SESAMOIDS:
        radii = rng.uniform(2.0, 2.9) * (1 + rng.normal(0, 0.05, angles.size))
        points = centre + np.stack([1.25 * radii * np.sin(angles), radii * np.cos(angles)], axis=1)
        patches.append(flat_bone(canvas, pose.place(points), tissue=tissue, tile=tile, depth=0.8))
    return patches


def soft_tissue(canvas: Canvas, poses: tuple[HandPose, ...], *, rng: np.random.Generator) -> list[Patch]:
    """Return skin, subcutaneous fat and muscle of the hands, on a canvas that may be coarser than the film's."""
    fat_mm = rng.uniform(1.6, 3.5)
    thickness = rng.uniform(15.0, 19.0)
    patches = []
    for pose in poses:
        skin = _skin_mask(canvas, pose, rng=rng)
        outer = _rounded(skin, canvas.spacing_mm, thickness)
        depth_mm = ops.distance(~skin, exact=True) * np.float32(canvas.spacing_mm)
        inner = _rounded(depth_mm > fat_mm, canvas.spacing_mm, thickness - fat_mm)
        muscle = 0.85 * np.minimum(inner, outer)
        skin_line = np.where(skin & (depth_mm < 1.2), 0.5 * (outer - muscle), 0)
        layers = {
            "muscle": (muscle + skin_line).astype(np.float32),
            "fat": (outer - muscle - skin_line).astype(np.float32),
        }
        patches.append(Patch(row=0, col=0, layers=layers))
        patches += _fat_planes(canvas, pose, rng=rng)
    patches.append(_clutter(canvas, add_up(patches, canvas)["muscle"], rng=rng))
    return patches


def _rounded(mask: Mask, spacing_mm: float, half_mm: float) -> FloatImage:
    """Thickness in mm of a body as deep as it is wide in the fingers, levelling off at `half_mm` in the palm."""
    thickness = 2 * half_mm * np.tanh(0.72 * inflate(mask, spacing_mm) / half_mm)
    return ops.gaussian(thickness.astype(np.float32), 0.4 / spacing_mm)


def _skin_mask(canvas: Canvas, pose: HandPose, *, rng: np.random.Generator) -> Mask:
    mask = np.zeros(canvas.shape, bool)
    for outline in (FOREARM_SKIN, THENAR_SKIN):
        _paint(mask, canvas, pose.place(outline))
    fatness = rng.uniform(0.95, 1.12)
    for finger, axes in RAYS.items():
        _paint(mask, canvas, pose.place(_finger_outline(axes, 8.7 * FINGER_SIZE[finger] * fatness)))
    radius = max(round(1.4 / canvas.spacing_mm), 1)
    closed = ops.erode(ops.dilate(mask, radius), radius)
    return ops.gaussian(closed.astype(np.float32), 1.6 / canvas.spacing_mm) > 0.5


def _finger_outline(axes: Ray, half_width: float) -> Points:
    """Outline of a finger round the axes of its bones, from mid-metacarpal to 4 mm beyond the tip."""
    bones = np.array(axes, float)
    tip = bones[-1, 1] + 3.5 * _unit(bones[-1, 1] - bones[-1, 0])
    axis = curve(np.vstack([bones[0].mean(axis=0), bones[1:].reshape(-1, 2)[::2], bones[-1, 1], tip]), step_mm=4.0)
    tangent = np.gradient(axis, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1) / np.linalg.norm(tangent, axis=1, keepdims=True)
    share = np.linspace(0, 1, len(axis))
    width = half_width * np.interp(share, [0, 0.45, 0.55, 0.8, 0.93, 0.985, 1], [1.1, 1.05, 0.98, 0.92, 0.8, 0.5, 0.25])
    side = normal * width[:, None]
    return np.vstack([axis + side, (axis - side)[::-1]])


def _unit(vector: Points) -> Points:
    return vector / np.linalg.norm(vector)


def _paint(mask: Mask, canvas: Canvas, outline: Points) -> None:
    row, col, patch = outline_mask(canvas, outline)
    maps = add_up([Patch(row=row, col=col, layers={"muscle": patch.astype(np.float32)})], canvas)
    mask |= maps["muscle"] > 0


def _fat_planes(canvas: Canvas, pose: HandPose, *, rng: np.random.Generator) -> list[Patch]:
    """Fat between muscles and tendons: thin curved sheets along the hand."""
    planes = []
    for _ in range(40):
        start = np.array([rng.uniform(-70, 110), rng.uniform(-28, 30)])
        if start[0] < -20 and rng.random() < 0.5:
            start[1] = rng.uniform(28, 45)
        length = rng.uniform(14, 45)
        angle = rng.normal(0, 0.22) + (0.6 if start[1] > 28 else 0)
        end = start + length * np.array([-np.cos(angle), np.sin(angle)])
        bend = (start + end) / 2 + rng.normal(0, 2.0, 2)
        swap = rng.uniform(0.4, 0.9)
        width = ((0, 0.6), (0.5, rng.uniform(0.7, 2.2)), (1, 0.5))
        planes.append(rod(canvas, pose.place([start, bend, end]), half_width=width, add={"fat": swap, "muscle": -swap},
                          flatness=rng.uniform(1.5, 3), caps_mm=(6, 6), stride=1))  # fmt: skip
    return planes


def _clutter(canvas: Canvas, muscle: FloatImage, *, rng: np.random.Generator) -> Patch:
    """Swap fat for muscle by 1/f^2.8 noise (Burgess 2001), 8 % of the local thickness."""
    swap = 0.08 * muscle * power_noise(canvas.shape, beta=2.8, rng=rng)
    return Patch(row=0, col=0, layers={"muscle": swap, "fat": -swap})
