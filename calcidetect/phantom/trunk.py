"""Chest and shoulder girdle from the front: the scene of the chest film and, seen closer, of the shoulder film.

Scene points are ``(row, col)`` in mm from the midline at the level of the lung apices less 60 mm; the patient's right
lies at negative columns, as films are hung. Templates of one side are given for positive columns and mirrored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage
from calcidetect.phantom.bones import BoneTissue, flat_bone, long_bone
from calcidetect.phantom.shapes import Canvas, Patch, Points, place, rod

RIB_REACH_MM = (66, 94, 111, 121, 128, 133, 137, 139, 138, 132)
"""Largest distance of ribs 1 to 10 from the midline, before scaling."""
RIB_DROP_MM = (34, 52, 64, 74, 82, 88, 92, 94, 92, 84)
"""How far the front end of each rib lies below its head."""
RIB_PITCH_MM = 21.5
FIRST_RIB_ROW_MM = 62.0
CHEST_HALF_DEPTH_MM = 80.0


GIRDLE_ORIGIN_MM = (100.0, 168.0)
"""Middle of the humeral head of the girdle templates, whose columns run towards the midline."""

HUMERUS = ((-21.5, -8), (-23, 0), (-20, 11.5), (-11.5, 20), (0, 23), (10, 20.8), (18, 15.2), (25, 9.5),
           (36, 3), (52, -2), (85, -11), (150, -29), (250, -57), (420, -105), (420, -129), (250, -80),
           (150, -51), (85, -33), (55, -26.5), (38, -25.5), (24, -27), (8, -29.5), (-4, -29),
           (-11.5, -26), (-15.5, -19.5))  # fmt: skip
GLENOID = ((-19, 32), (-17, 38), (-8, 41), (4, 41.5), (14, 43), (23, 42), (26, 36), (21, 29.5), (9, 26.8), (-6, 27.6))
TUBERCLE_LINES = (((-13, -13), (2, -15.5), (20, -15), (42, -13)), ((6, -24), (-4, -12), (-6, 2), (4, 15)))
"""Edge of the bicipital groove and the scar of the growth plate, seen through the humeral head."""
BLADE_HALF_DEPTH_MM = 2.8
LINE_WIDTH = ((0, 0.6), (0.4, 1.1), (1, 0.5))
BLADE = ((-14, 40), (-22, 60), (-32, 80), (-37, 90), (-30, 97), (0, 100), (40, 97), (80, 88), (112, 76),
         (126, 67), (122, 60), (95, 52), (62, 45), (36, 39), (22, 36), (0, 38))  # fmt: skip
NECK = ((-14, 36), (-18, 52), (-4, 64), (14, 56), (26, 42), (12, 33))
LATERAL_BORDER = ((20, 38), (45, 42), (75, 48), (105, 56), (123, 64))
SUPERIOR_BORDER = ((-18, 52), (-28, 74), (-36, 90))
SPINE_AND_ACROMION = ((-3, 97), (-13, 76), (-25, 52), (-36, 30), (-45, 21), (-46, 9), (-44, -5),
                      (-38, -13), (-32, -10), (-31, 2), (-31, 13), (-26, 30), (-15, 54), (-6, 78),
                      (1, 97))  # fmt: skip
CORACOID = ((-22, 40), (-22, 50), (-15, 54), (-8, 50), (-4, 40), (-4, 30), (-9, 27), (-15, 33))
CLAVICLE = ((-44, 25), (-50, 48), (-49, 78), (-37, 108), (-20, 134), (0, 154))


SHOULDER_SITES = ((-27, -14), (-20, -33), (6, -36), (27, -33), (34, 22), (-27, 30), (48, -34), (40, 30),
                  (-36, -22), (60, 16), (22, -38), (72, -31), (-56, 8))  # fmt: skip
"""Places round the joint where deposits settle: bursa, cuff, capsule, axillary pouch, deltoid; girdle template."""

VERTEBRA = {
    "body": (
        ((-9, -14), (-9.4, 0), (-9, 14), (-6, 14.6), (0, 13.4), (6, 14.6), (9, 14), (9.4, 0), (9, -14), (6, -14.6),
         (0, -13.4), (-6, -14.6)),
        0.5,
    ),
    "upper plate": (
        ((-9, -14.5), (-10.6, -8), (-11, 0), (-10.6, 8), (-9, 14.5), (-7.9, 8), (-7.6, 0), (-7.9, -8)),
        0.5,
    ),
    "lower plate": (((9, -14.5), (10.2, -8), (10.6, 0), (10.2, 8), (9, 14.5), (7.7, 8), (7.4, 0), (7.7, -8)), 0.5),
    "left pedicle": (((-5, -11.5), (-5, -7.5), (0, -6.5), (4, -8), (4, -11), (0, -12.5)), 0.8),
    "right pedicle": (((-5, 11.5), (-5, 7.5), (0, 6.5), (4, 8), (4, 11), (0, 12.5)), 0.8),
    "spinous process": (((3, -1.4), (3, 1.4), (12, 2.6), (18, 3), (20, 0), (18, -3), (12, -2.6)), 0.9),
    "left transverse process": (((-4, -13), (-7, -24), (-4, -28), (0, -26), (2, -14)), 0.45),
    "right transverse process": (((-4, 13), (-7, 24), (-4, 28), (0, 26), (2, 14)), 0.45),
}  # fmt: skip
"""Outline about the body's middle, and depth over width, of each part of a vertebra."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What differs between patients and exposures.

    Attributes
    ----------
    width, height
        Scale of the chest across and along.
    half_depth_mm
        Half the trunk's depth at its middle.
    fat_mm
        Thickness of subcutaneous fat.
    density
        Bone mineral relative to a healthy adult.
    breasts_mm
        Greatest depth of breast tissue, 0 for none.
    breath
        mm by which the diaphragm lies lower.
    shrug
        Angle of each shoulder girdle in radians, right then left.
    """

    width: float
    height: float
    half_depth_mm: float
    fat_mm: float
    density: float
    breasts_mm: float
    breath: float
    shrug: tuple[float, float]


def draw_build(rng: np.random.Generator) -> Build:
    """Draw a patient."""
    return Build(
        width=rng.uniform(0.94, 1.06),
        height=rng.uniform(0.95, 1.05),
        half_depth_mm=rng.uniform(85, 105),
        fat_mm=rng.uniform(7, 18),
        density=rng.uniform(0.8, 1.2),
        breasts_mm=float(rng.choice([0.0, rng.uniform(12, 34)])),
        breath=rng.uniform(-12, 10),
        shrug=(rng.normal(0, 0.03), rng.normal(0, 0.03)),
    )


def side_place(points: npt.ArrayLike, side: int, build: Build) -> Points:
    """Map template points of the left half of the body to the scene; `side` is -1 for the patient's right."""
    placed: Points = np.asarray(points, float) * (build.height, side * build.width)
    return placed


def girdle_place(points: npt.ArrayLike, side: int, build: Build) -> Points:
    """Map girdle template points (columns towards the midline) to the scene; `side` is -1 for the patient's right."""
    at = (GIRDLE_ORIGIN_MM[0] * build.height, side * GIRDLE_ORIGIN_MM[1] * build.width)
    turn = -side * build.shrug[side > 0]
    return place(points, at=at, scale=0.5 * (build.width + build.height), turn=turn, mirror=side > 0)


def trunk_bones(canvas: Canvas, build: Build, *, rng: np.random.Generator, tile: FloatImage) -> list[Patch]:
    """Return spine, ribs and both shoulder girdles."""
    bones = spine(canvas, build, tile=tile)
    for side in (-1, 1):
        bones += ribs(canvas, build, side, rng=rng, tile=tile)
        bones += girdle(canvas, build, side, tile=tile)
    return bones


def girdle(canvas: Canvas, build: Build, side: int, *, tile: FloatImage) -> list[Patch]:
    """Return humerus, scapula and clavicle of one side."""

    def at(points: npt.ArrayLike) -> Points:
        return girdle_place(points, side, build)

    scapula = _scapula(canvas, at, build.density, tile=tile)
    return [_humerus(canvas, at, build.density, tile=tile), *scapula, _clavicle(canvas, at, build.density, tile=tile)]


Placing = Callable[[npt.ArrayLike], Points]
"""Maps template points to the scene."""


def _humerus(canvas: Canvas, at: Placing, dense: float, *, tile: FloatImage) -> Patch:
    tissue = BoneTissue(cortex_mm=1.2, end_cortex_mm=0.7, trabecular=0.24 * dense, texture=0.13)
    neck_row = at([(30, 0)])[0, 0]

    def cortex(row: FloatImage) -> FloatImage:
        thickness: FloatImage = dense * np.interp(row - neck_row, [-25, 0, 50, 110], [0.9, 1.4, 4.2, 5.2])
        return thickness

    return flat_bone(canvas, at(HUMERUS), tissue=tissue, tile=tile, depth=0.8, cortex_at=cortex, unknowns=4000)


def _scapula(canvas: Canvas, at: Placing, dense: float, *, tile: FloatImage) -> list[Patch]:
    """Blade with its borders, neck and socket, spine with acromion, coracoid; and the lines across the humeral head."""
    spongy = BoneTissue(cortex_mm=1.2, end_cortex_mm=0.7, trabecular=0.24 * dense, texture=0.13)
    thin = BoneTissue(cortex_mm=0.9, end_cortex_mm=0.7, trabecular=0.2 * dense, texture=0.18)
    bare = BoneTissue(cortex_mm=0.0, end_cortex_mm=0.0, trabecular=0.3 * dense, texture=0.2)
    rim = BoneTissue(cortex_mm=1.2, trabecular=0.35 * dense, texture=0.3)
    plates = (
        (BLADE, thin, 0.25, BLADE_HALF_DEPTH_MM),
        (NECK, bare, 0.45, np.inf),
        (GLENOID, spongy, 0.9, np.inf),
        (SPINE_AND_ACROMION, thin, 0.9, np.inf),
        (CORACOID, spongy, 0.9, np.inf),
    )
    borders = ((LATERAL_BORDER, ((0, 5), (0.4, 3.0), (1, 3.2))), (SUPERIOR_BORDER, ((0, 2.2), (1, 1.4))))
    lines = [
        rod(canvas, at(line), half_width=LINE_WIDTH, add={"bone": 0.55, "muscle": -0.55}, flatness=1.6)
        for line in TUBERCLE_LINES
    ]
    return [
        *lines,
        *(
            flat_bone(canvas, at(outline), tissue=tissue, tile=tile, depth=depth, max_depth_mm=limit)
            for outline, tissue, depth, limit in plates
        ),
        *(
            long_bone(canvas, at(axis), half_width=width, tissue=rim, tile=tile, flatness=0.8, caps_mm=(4, 4))
            for axis, width in borders
        ),
    ]


def _clavicle(canvas: Canvas, at: Placing, dense: float, *, tile: FloatImage) -> Patch:
    cortex = ((0, 0.9), (0.3, 2.0 * dense), (0.7, 2.1 * dense), (1, 1.0))
    return long_bone(
        canvas,
        at(CLAVICLE),
        half_width=((0, 6.4), (0.12, 6.8), (0.35, 5.4), (0.65, 5.8), (0.9, 9.2), (1, 9.5)),
        tissue=BoneTissue(cortex_mm=cortex, trabecular=0.14 * dense),
        tile=tile,
        caps_mm=(4, 6),
    )


def rib_axis(number: int, side: int, build: Build) -> Points:
    """Axis of rib `number` (1 to 10) from spine to cartilage: ``(row, col, depth)`` in mm, 40 points."""
    reach, drop = RIB_REACH_MM[number - 1], RIB_DROP_MM[number - 1]
    sweep = np.linspace(0.1, 2.35 if number > 1 else 2.5, 40)
    across = 12 + (reach - 12) * np.sin(sweep)
    down = (
        FIRST_RIB_ROW_MM + RIB_PITCH_MM * (number - 1) - 5 * np.sin(2 * sweep).clip(0) + drop * (1 - np.cos(sweep)) / 2
    )
    depth = -CHEST_HALF_DEPTH_MM * np.cos(sweep)
    return np.column_stack([side_place(np.column_stack([down, across]), side, build), depth])


def ribs(canvas: Canvas, build: Build, side: int, *, rng: np.random.Generator, tile: FloatImage) -> list[Patch]:
    """Return ten ribs of one side; each is a flat oval turned with the chest wall."""
    tissue = BoneTissue(cortex_mm=1.25 * build.density, end_cortex_mm=0.4, trabecular=0.2 * build.density, texture=0.3)
    patches = []
    for number in range(1, 11):
        axis = rib_axis(number, side, build)
        axis[:, 0] += rng.normal(0, 1.2) + np.linspace(0, 1, len(axis)) * rng.normal(0, 3)
        step = np.gradient(axis, axis=0)
        stretch = np.linalg.norm(step, axis=1) / np.linalg.norm(step[:, :2], axis=1)
        share = np.linspace(0, 1, len(axis))
        stretch = np.minimum(stretch, 3.0) * np.interp(share, [0, 0.75, 0.9, 1], [1, 1, 0.7, 0.35])
        facing = np.abs(np.cos(np.linspace(0.1, 2.35, len(axis))))
        width = np.hypot(6.6 * facing, 4.2 * np.sqrt(1 - facing**2)) * np.interp(share, [0, 0.15, 1], [0.85, 1, 1.1])
        patches.append(
            long_bone(
                canvas,
                axis[:, :2],
                half_width=list(zip(share, width, strict=True)),
                tissue=tissue,
                tile=tile,
                flatness=0.55,
                caps_mm=(3, 6),
                stretch=list(zip(share, stretch, strict=True)),
            )
        )
    return patches


def spine(canvas: Canvas, build: Build, *, tile: FloatImage) -> list[Patch]:
    """Return vertebrae from the neck to the diaphragm: body, end plates, pedicles, processes."""
    tissue = BoneTissue(cortex_mm=0.8, end_cortex_mm=0.7, trabecular=0.13 * build.density)
    patches = []
    for k in range(-4, 13):
        row = FIRST_RIB_ROW_MM + 4 + RIB_PITCH_MM * k * (1 if k > 0 else 0.85)
        for outline, depth in VERTEBRA.values():
            points = (np.asarray(outline) * (1 + 0.022 * k) + (row, 0)) * (build.height, build.width)
            patches.append(flat_bone(canvas, points, tissue=tissue, tile=tile, depth=depth, max_depth_mm=14.0))
    return patches
