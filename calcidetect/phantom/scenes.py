"""The patients: what lies on the canvas of each kind of film, and where deposits may settle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from calcidetect.arrays import FloatImage
from calcidetect.phantom import trunk, wrists
from calcidetect.phantom.bones import trabecular_tile
from calcidetect.phantom.lumps import Lump, Site
from calcidetect.phantom.shapes import Canvas, Patch, Points, add_up, enlarge, rod
from calcidetect.phantom.trunk_tissue import trunk_soft_tissue

SOFT_COARSENING = 2
"""Soft tissue is laid out on pixels this many times as wide as the film's."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """A patient on the canvas.

    Attributes
    ----------
    bones
        Every bone.
    soft
        float32 (rows, cols): mm of muscle and fat, before bones and deposits take their room.
    sites
        Where deposits settle; `count` says how many, at least and at most.
    mimics
        What a reader should not mark; may share patches with `bones`.
    marker
        Letter of the side marker and its place.
    """

    bones: list[Patch]
    soft: dict[str, FloatImage]
    sites: list[Site]
    count: tuple[int, int]
    mimics: list[Lump]
    marker: tuple[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmKind:
    """A kind of film: size and place on the scene, default pitch, what builds the patient.

    `range_compression` is the share of coarse structure that the tone takes away, `contrast_bone` the range of a
    deposit's mineral in units of the film's median bone step.
    """

    size_mm: tuple[float, float]
    origin_mm: tuple[float, float]
    spacing_mm: float
    range_compression: tuple[float, float]
    contrast_bone: tuple[float, float]
    build: Callable[[Canvas, np.random.Generator], Scene]

    def canvas(self, spacing_mm: float | None) -> Canvas:
        """Return the film's pixel grid."""
        pitch = spacing_mm or self.spacing_mm
        rows, cols = (round(size / pitch) for size in self.size_mm)
        return Canvas(shape=(rows, cols), spacing_mm=pitch, origin_mm=self.origin_mm)


def _build_trunk(canvas: Canvas, rng: np.random.Generator, *, sides: tuple[int, ...], count: tuple[int, int]) -> Scene:
    build = trunk.draw_build(rng)
    tile = trabecular_tile(rng)
    coarse = canvas.coarser(SOFT_COARSENING)
    sites = [
        Site(at=tuple(trunk.girdle_place([point], side, build)[0]), jitter_mm=5.0, max_size_mm=25.0)
        for side in sides
        for point in trunk.SHOULDER_SITES
    ]
    has_rings = len(sides) > 1
    rings = (
        [Lump(morphology="rings", label="tracheal", patches=tuple(tracheal_rings(canvas, build, rng=rng)))]
        if has_rings
        else []
    )
    low, high = canvas.to_scene([(0, 0), canvas.shape])
    marker = ("L", (low[0] + 24, high[1] - 24)) if has_rings else ("R", (low[0] + 20, low[1] + 22))
    return Scene(
        bones=trunk.trunk_bones(canvas, build, rng=rng, tile=tile),
        soft=enlarge(trunk_soft_tissue(coarse, build, rng=rng), coarse, canvas),
        sites=sites,
        count=count,
        mimics=rings,
        marker=marker,
    )


def tracheal_rings(canvas: Canvas, build: trunk.Build, *, rng: np.random.Generator) -> list[Patch]:
    """Return calcified tracheal cartilages: short bright bars on both walls, joined by faint arcs."""
    patches = []
    for row in np.arange(48, 128, rng.uniform(5.0, 6.2)):
        for side in (-1, 1):
            if rng.random() < 0.85:
                wall = np.array([(row, side * 8.4), (row + 2.6, side * 8.9)]) + rng.normal(0, 0.25, (2, 2))
                half = rng.uniform(0.5, 0.85)
                share = rng.uniform(0.35, 0.8)
                patches.append(_mineral_rod(canvas, wall * (build.height, build.width), half, share, 3.2))
        arc = np.array([(row + 1, -8.0), (row + 3, 0.0), (row + 1, 8.0)]) * (build.height, build.width)
        patches.append(_mineral_rod(canvas, arc, 0.8, rng.uniform(0.0, 0.25), 1.0))
    return patches


def _mineral_rod(canvas: Canvas, axis: Points, half_width: float, share: float, flatness: float) -> Patch:
    return rod(canvas, axis, half_width=half_width, add={"apatite": share, "muscle": -share}, flatness=flatness,
               caps_mm=(1.0, 1.0), stride=1)  # fmt: skip


def _build_chest(canvas: Canvas, rng: np.random.Generator) -> Scene:
    return _build_trunk(canvas, rng, sides=(-1, 1), count=(14, 24))


def _build_shoulder(canvas: Canvas, rng: np.random.Generator) -> Scene:
    return _build_trunk(canvas, rng, sides=(-1,), count=(3, 6))


def _build_wrists(canvas: Canvas, rng: np.random.Generator) -> Scene:
    tile = trabecular_tile(rng)
    poses = wrists.pose_hands(rng, size_mm=KINDS["wrists"].size_mm)
    bones = [bone for pose in poses for bone in wrists.hand_bones(canvas, pose, rng=rng, tile=tile)]
    beads = [bead for pose in poses for bead in wrists.sesamoids(canvas, pose, rng=rng, tile=tile)]
    coarse = canvas.coarser(SOFT_COARSENING)
    sites = [
        Site(at=tuple(pose.place([point])[0]), jitter_mm=2.5, max_size_mm=12.0)
        for pose in poses
        for point in wrists.JOINTS
    ]
    return Scene(
        bones=bones + beads,
        soft=enlarge(add_up(wrists.soft_tissue(coarse, poses, rng=rng), coarse), coarse, canvas),
        sites=sites,
        count=(1, 4),
        mimics=[Lump(morphology="corticated", label="sesamoid", patches=(bead,)) for bead in beads],
        marker=("R", (26.0, 163.0)),
    )


KINDS = {
    "chest": FilmKind(
        size_mm=(350.0, 420.0),
        origin_mm=(2.0, -210.0),
        spacing_mm=0.2,
        range_compression=(0.35, 0.5),
        contrast_bone=(0.8, 3.2),
        build=_build_chest,
    ),
    "shoulder": FilmKind(
        size_mm=(230.0, 200.0),
        origin_mm=(18.0, -245.0),
        spacing_mm=0.16,
        range_compression=(0.3, 0.45),
        contrast_bone=(0.5, 2.0),
        build=_build_shoulder,
    ),
    "wrists": FilmKind(
        size_mm=(240.0, 300.0),
        origin_mm=(0.0, 0.0),
        spacing_mm=0.15,
        range_compression=(0.05, 0.25),
        contrast_bone=(0.5, 1.7),
        build=_build_wrists,
    ),
}
"""The kinds of film that can be made."""
