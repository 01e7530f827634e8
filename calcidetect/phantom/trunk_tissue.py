"""Soft tissue and air of the trunk: skin, fat, muscle bundles, lungs with vessels, heart, airways, bowel gas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage
from calcidetect.phantom.bones import inflate, outline_mask
from calcidetect.phantom.shapes import Canvas, Patch, Points, add_up, enlarge, power_noise, rod
from calcidetect.phantom.trunk import Build, girdle_place, side_place

LUNG_GAS_SHARE = 0.74
"""1 minus the density of inflated lung, relative to muscle."""
BODY_COARSENING = 2
HILUM_MM = (172.0, 27.0)
SMALLEST_VESSEL_MM = 0.4
MAX_VESSELS = 220
TORSO_SKIN = ((-120, 60), (-30, 56), (-6, 58), (8, 68), (20, 88), (31, 118), (40, 152), (51, 180),
              (66, 199), (90, 214), (118, 222), (155, 225), (190, 200), (218, 170), (260, 159),
              (310, 156), (360, 162), (640, 175))  # fmt: skip
LUNG = ((60, 36), (57, 48), (64, 62), (84, 78), (109, 94), (137, 109), (163, 119), (189, 126), (213, 131),
        (237, 135), (262, 136), (290, 135), (312, 127), (304, 98), (299, 70), (300, 40), (292, 18),
        (240, 12), (180, 12), (130, 16), (95, 20), (73, 25))  # fmt: skip
DOME = ((268, 62), (272, 30), (280, 5), (330, -10), (420, 0), (440, 90), (400, 150), (330, 146),
        (296, 122), (275, 92))  # fmt: skip
HEART = ((128, 18), (150, 26), (168, 33), (185, 40), (215, 62), (245, 80), (268, 84), (285, 70),
         (292, 20), (285, -25), (262, -38), (230, -42), (200, -35), (165, -24), (135, -22))  # fmt: skip
AORTIC_KNOB = ((112, 12), (112, 27), (124, 33), (138, 30), (142, 14), (126, 6))
MEDIASTINUM = ((20, -22), (20, 21), (60, 19), (88, 21), (112, 27), (128, 30), (142, 27), (165, 28),
               (200, 24), (260, 16), (330, 14), (330, -14), (260, -15), (200, -21), (170, -27),
               (140, -28), (115, -25), (88, -20), (60, -20))  # fmt: skip


def trunk_soft_tissue(canvas: Canvas, build: Build, *, rng: np.random.Generator) -> dict[str, FloatImage]:
    """Return mm of muscle and fat, lungs and airways taken out; broad bodies are laid out on a coarser view."""
    coarse = canvas.coarser(BODY_COARSENING)
    outer, lean, air = (ops.gaussian(layer, 1.5) for layer in _bodies(coarse, build))
    swap = 0.05 * lean * power_noise(coarse.shape, beta=2.8, rng=rng)  # Burgess 2001
    layers = {"muscle": lean - air + swap, "fat": outer - lean - swap, "air": air, "outer": outer}
    maps = enlarge(layers, coarse, canvas)
    air, outer = maps.pop("air"), maps.pop("outer")
    maps["muscle"] += _lung_detail(canvas, build, air, rng=rng)
    maps["muscle"] += add_up([*airways(canvas, build), *_bowel_gas(canvas, build, rng=rng)], canvas)["muscle"]
    swap = add_up(_muscles(canvas, build, rng=rng), canvas)["fat"] * np.clip(outer / 40, 0, 1)
    swap = np.minimum(swap, 0.5 * maps["muscle"])
    return {"muscle": np.maximum(maps["muscle"] - swap, 0), "fat": np.maximum(maps["fat"] + swap, 0)}


def _bodies(canvas: Canvas, build: Build) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Thickness of the patient, of what lies within the subcutaneous fat, and of lung gas."""
    outer, lean = _trunk_thickness(canvas, build)
    air = np.minimum(_lung_air(canvas, build), 0.8 * lean)
    if build.breasts_mm:
        breasts = add_up(_breasts(canvas, build), canvas)
        outer, lean = outer + breasts["muscle"] + breasts["fat"], lean + breasts["muscle"]
    return outer, lean, air


def _lung_detail(canvas: Canvas, build: Build, air: FloatImage, *, rng: np.random.Generator) -> FloatImage:
    """Return mm of muscle in vessels and lung texture, where `air` leaves room for them."""
    vessels = [vessel for side in (-1, 1) for vessel in lung_vessels(canvas, build, side, rng=rng)]
    thickness = 16 * np.tanh(add_up(vessels, canvas)["muscle"] / 16)  # vessels that cross at the hilum lie side by side
    texture = 0.03 * air * power_noise(canvas.shape, beta=2.2, rng=rng)
    detail: FloatImage = np.minimum(thickness, 0.8 * air) * np.clip(air / 25, 0, 1) + texture
    return detail


def _thickness(canvas: Canvas, outline: npt.ArrayLike, depth: float, *, shrink_mm: float = 0.0) -> FloatImage:
    row, col, mask = outline_mask(canvas, outline)
    if shrink_mm:
        mask = ops.distance(~mask, exact=True) * canvas.spacing_mm > shrink_mm
    thickness = 2 * np.float32(depth) * inflate(mask, canvas.spacing_mm, unknowns=6000)
    return add_up([Patch(row=row, col=col, layers={"muscle": thickness})], canvas)["muscle"]


def _trunk_thickness(canvas: Canvas, build: Build) -> tuple[FloatImage, FloatImage]:
    """Thickness of the trunk and arms, and that within their subcutaneous fat."""
    right, left = side_place(TORSO_SKIN, -1, build), side_place(TORSO_SKIN, 1, build)
    torso = np.vstack([right, left[::-1]])
    depth = build.half_depth_mm / (1.41 * 158)
    outer, lean = _thickness(canvas, torso, depth), _thickness(canvas, torso, depth, shrink_mm=build.fat_mm)
    for side in (-1, 1):
        arm = girdle_place(((-16, -12), (40, -15), (150, -42), (340, -96)), side, build)
        for shrink, maps in ((0.0, outer), (build.fat_mm * 0.8, lean)):
            width = ((0, 42 - shrink), (0.3, 43 - shrink), (1, 38 - shrink))
            tube = rod(canvas, arm, half_width=width, add={"muscle": 1.0}, caps_mm=(45 - shrink, 10))
            np.maximum(maps, add_up([tube], canvas)["muscle"], out=maps)
    return outer, np.minimum(lean, outer)


def _lung_air(canvas: Canvas, build: Build) -> FloatImage:
    """Return mm of soft tissue that lung gas stands in for: lungs less heart, mediastinum and diaphragm."""
    solid = _mediastinum(canvas, build)
    total = np.zeros(canvas.shape, np.float32)
    for side in (-1, 1):
        lung = 145 * np.tanh(_thickness(canvas, side_place(LUNG, side, build), 1.0) / 125)
        shift = (build.breath + (-10.0 if side < 0 else 2.0), 0.0)  # the liver lifts the right dome
        dome = _thickness(canvas, side_place(np.asarray(DOME) + shift, side, build), 0.85)
        total += np.maximum(lung - solid - dome, 0) * np.float32(LUNG_GAS_SHARE)
    return total


def _mediastinum(canvas: Canvas, build: Build) -> FloatImage:
    heart = _thickness(canvas, np.asarray(HEART) * (build.height, build.width), 0.85)
    knob = _thickness(canvas, np.asarray(AORTIC_KNOB) * (build.height, build.width), 1.6)
    middle = _thickness(canvas, np.asarray(MEDIASTINUM) * (build.height, build.width), 2.2)
    return np.maximum(np.maximum(heart, knob), middle)


def lung_vessels(canvas: Canvas, build: Build, side: int, *, rng: np.random.Generator) -> list[Patch]:
    """Return the branching arteries and veins of one lung, thinning from the hilum to the pleura."""
    stems = [
        Vessel(at=HILUM_MM + rng.normal(0, 6, 2), heading=heading, radius_mm=rng.uniform(2.6, 4.6))
        for heading in np.linspace(-1.4, 1.35, 13) + rng.normal(0, 0.08, 13)
    ]
    vessels: list[Patch] = []
    while stems and len(vessels) < MAX_VESSELS:
        stem = stems.pop(0)
        path, radii, twigs = _grow(stem, rng=rng)
        stems += [twig for twig in twigs if twig.radius_mm > SMALLEST_VESSEL_MM]
        knots = list(zip(np.linspace(0, 1, len(radii)), radii, strict=True))
        axis = side_place(path, side, build)
        vessels.append(
            rod(canvas, axis, half_width=knots, add={"muscle": LUNG_GAS_SHARE}, flatness=1.5, caps_mm=(0.5, 0.5))
        )
    return vessels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vessel:
    """The root of a vessel: ``(row, col)`` in mm of one side, heading in radians from outwards, radius."""

    at: Points
    heading: float
    radius_mm: float


def _grow(root: Vessel, *, rng: np.random.Generator) -> tuple[Points, Points, list[Vessel]]:
    """Wander outwards from `root`, thinning; twigs leave on alternating sides."""
    steps = 9
    heading = root.heading + np.cumsum(rng.normal(0, 0.13, steps))
    radii = root.radius_mm * np.linspace(1, 0.35, steps)
    length = 3.2 + 1.6 * root.radius_mm
    moves = length * np.stack([np.sin(heading), np.cos(heading)], axis=1)
    path = np.asarray(root.at) + np.vstack([np.zeros(2), np.cumsum(moves, axis=0)[:-1]])
    sides = np.where(np.arange(steps) % 2, 1, -1) * rng.uniform(0.4, 0.95, steps)
    twigs = [
        Vessel(at=path[k], heading=heading[k] + sides[k], radius_mm=radii[k] * rng.uniform(0.4, 0.65))
        for k in range(1, steps)
    ]
    return path, radii, twigs


def airways(canvas: Canvas, build: Build) -> list[Patch]:
    """Return trachea and main bronchi: muscle taken out of a column left of nothing, right of the aorta."""
    scale = (build.height, build.width)
    tubes = (
        (((-60, 0), (0, 0), (60, -1), (110, -3), (136, -4)), ((0, 8.2), (1, 8.8)), 1.0),
        (((134, -5), (148, -14), (162, -26)), ((0, 6.8), (1, 6.0)), 0.9),
        (((134, -3), (148, 10), (160, 30)), ((0, 6.2), (1, 5.4)), 0.9),
    )
    return [
        rod(canvas, np.asarray(axis, float) * scale, half_width=width, add={"muscle": -share}, caps_mm=(4, 6), stride=1)
        for axis, width, share in tubes
    ]


def _bowel_gas(canvas: Canvas, build: Build, *, rng: np.random.Generator) -> list[Patch]:
    start = np.array([305 + build.breath, 55.0]) + rng.normal(0, 8, 2)
    axis = start + np.cumsum(rng.normal((6, 12), 6, (4, 2)), axis=0)
    return [rod(canvas, axis, half_width=rng.uniform(10, 17), add={"muscle": -1.0}, caps_mm=(14, 14), stride=1)]


def _breasts(canvas: Canvas, build: Build) -> list[Patch]:
    angles = np.linspace(0, 2 * np.pi, 13)[:-1]
    sag = np.where(np.sin(angles) > 0, 52, 70)
    outline = np.stack([225 + sag * np.sin(angles), 88 + 58 * np.cos(angles)], axis=1)
    patches = []
    for side in (-1, 1):
        thickness = _thickness(canvas, side_place(outline, side, build), build.breasts_mm / 62)
        patches.append(Patch(row=0, col=0, layers={"muscle": 0.4 * thickness, "fat": 0.6 * thickness}))
    return patches


def _muscles(canvas: Canvas, build: Build, *, rng: np.random.Generator) -> list[Patch]:
    """Fat planes between the bundles of deltoid, pectoral, trapezius and arm: thin sheets of fat."""
    fans = (
        ((-30, -22), (95, -24), 9, 7.0),
        ((10, -2), (25, 95), 8, 26.0),
        ((-60, 40), (-70, 110), 6, 7.0),
        ((70, -36), (230, -32), 6, 7.0),
        ((75, 10), (210, 6), 6, 7.0),
        ((40, 60), (110, 40), 5, 12.0),
    )
    planes = []
    for side in (-1, 1):
        for start, end, count, spread in fans:
            for _ in range(count):
                ends = np.array([start, end]) + rng.normal(0, spread, (2, 2)) * (0.6, 1)
                bend = ends.mean(axis=0) + rng.normal(0, 5, 2)
                axis = girdle_place([ends[0], bend, ends[1]], side, build)
                width = ((0, 0.8), (0.5, rng.uniform(1.0, 3.2)), (1, 0.7))
                swap = rng.uniform(0.5, 1.0)
                planes.append(rod(canvas, axis, half_width=width, add={"fat": swap},
                                  flatness=rng.uniform(2, 5), caps_mm=(15, 15)))  # fmt: skip
    return planes
