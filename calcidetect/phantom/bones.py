"""Bones and rounded bodies: shells of cortex filled with trabeculae, along a curve or within an outline."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask
from calcidetect.phantom.shapes import EMPTY, Canvas, Patch, curve, end_factor, frame_tube, power_noise, round_chord

POISSON_UNKNOWNS = 400
"""Size of the grid on which a body is inflated: 20 times 20 nodes draw a ball's chord to about 4 %."""
TILE_PITCH_MM = 0.15


def trabecular_tile(rng: np.random.Generator, *, size: int = 512) -> FloatImage:
    """Texture of trabeculae: periodic noise with detail from 0.3 to 4 mm, unit sigma, `TILE_PITCH_MM` per pixel."""
    noise = power_noise((size, size), beta=1.8, rng=rng)
    noise = ops.gaussian(noise, 0.9) - ops.gaussian(noise, 4.0 / TILE_PITCH_MM)
    return noise / np.float32(noise.std())


def look_up(tile: FloatImage, rows_mm: npt.NDArray[np.floating], cols_mm: npt.NDArray[np.floating]) -> FloatImage:
    """Read a periodic tile at places in mm; nearest pixel."""
    size = tile.shape[0]
    rows, cols = ((mm / TILE_PITCH_MM).astype(np.intp) % size for mm in (rows_mm, cols_mm))
    texture: FloatImage = tile[rows, cols]
    return texture


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneTissue:
    """What a bone is made of.

    `cortex_mm` is the shell's thickness (a number, or knots along the axis of a tube), `end_cortex_mm` that of its
    ends; `trabecular` the volume share of bone in the cavity, again with knots; `texture` the relative sigma of
    trabeculae.
    """

    cortex_mm: float | tuple[tuple[float, float], ...] = 1.5
    end_cortex_mm: float = 0.6
    trabecular: float | tuple[tuple[float, float], ...] = 0.2
    texture: float = 0.25


def long_bone(
    canvas: Canvas,
    axis: npt.ArrayLike,
    *,
    half_width: Iterable[tuple[float, float]],
    tissue: BoneTissue,
    tile: FloatImage,
    flatness: float = 1.0,
    caps_mm: tuple[float, float] = (2.0, 2.0),
    cups_mm: tuple[float, float] = (0.0, 0.0),
    stretch: Iterable[tuple[float, float]] | None = None,
) -> Patch:
    """Hollow tube with a cortical shell and trabeculae along its axis.

    Parameters
    ----------
    canvas, axis
        Where, as points in mm.
    half_width
        ``(share of the length, mm)`` knots.
    tissue, tile
        Shell, cavity, and the texture of trabeculae.
    flatness
        Depth over width.
    caps_mm
        Lengths over which the two ends round off.
    cups_mm
        Depths of the hollow in each end, as in the base of a phalanx.
    stretch
        Knots of the factor by which the beam runs longer through a bone that points towards it.
    """
    knots = list(half_width)
    frame = frame_tube(canvas, curve(axis), reach_mm=max(v for _, v in knots) + 3.0, stride=4)
    if frame is None:
        return EMPTY
    factor = frame.profile(stretch) if stretch is not None else 1.0
    width = frame.profile(knots)
    cortex = frame.profile(tissue.cortex_mm)
    bowl = np.clip(1 - (frame.across / width) ** 2, 0, None)
    hollows = (cups_mm[0] * bowl, cups_mm[1] * bowl)
    outer_width = width * end_factor(frame.along, frame.length_mm, caps_mm, hollows)
    shrunk = frame.length_mm - 2 * tissue.end_cortex_mm
    inner_width = (width - cortex) * end_factor(frame.along - tissue.end_cortex_mm, shrunk, caps_mm, hollows)
    outer = round_chord(frame.across, outer_width, outer_width * flatness) * factor
    inner = np.minimum(round_chord(frame.across, inner_width, inner_width * flatness) * factor, outer)
    texture = look_up(tile, frame.along / 2.5, frame.across)
    return _bone_patch(
        frame.row,
        frame.col,
        outer=outer,
        inner=inner,
        share=frame.profile(tissue.trabecular),
        texture=tissue.texture * texture,
    )


def _bone_patch(
    row: int, col: int, *, outer: FloatImage, inner: FloatImage, share: FloatImage | float, texture: FloatImage
) -> Patch:
    """Shell of bone from `inner` to `outer` chord; trabeculae in marrow fat within."""
    trabecular = inner * share * np.clip(1 + texture, 0.1, 3)
    layers = {
        "bone": (outer - inner + trabecular).astype(np.float32),
        "fat": (inner - trabecular).astype(np.float32),
        "muscle": -outer.astype(np.float32),
    }
    return Patch(row=row, col=col, layers=layers, is_bone=True)


def inflate(mask: Mask, spacing_mm: float, *, unknowns: int = POISSON_UNKNOWNS) -> FloatImage:
    """Half depth in mm of a rounded body with the outline of `mask`: a disc becomes a ball, a strip an elliptic rod.

    The root of the solution of Poisson's equation with zero on the outline; unlike a distance transform it has no
    creases along the middle.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.float32)
    step = max(int(np.sqrt(mask.sum() / unknowns)), 1)
    rows, cols = mask.shape
    padded = np.pad(mask, ((step, step + -rows % step), (step, step + -cols % step)))
    edge = ops.distance(~padded, exact=True)
    coarse_shape = (padded.shape[0] // step, padded.shape[1] // step)
    height = _solve_poisson(ops.resize_mask(padded, coarse_shape)) * np.float32((step * spacing_mm) ** 2)
    coarse_edge = ops.resize_area(edge, coarse_shape)
    slope = ops.masked_gaussian((height / np.maximum(coarse_edge, 1)).astype(np.float32), coarse_edge > step, 3.0)
    # Near the outline the distance is exact and the coarse solution is not; deep inside it is the other way round.
    weight = np.clip(edge / (4 * step) - 0.25, 0, 1)
    height = weight * ops.resize_area(height, padded.shape) + (1 - weight) * ops.resize_area(slope, padded.shape) * edge
    height = np.where(mask, height[step : step + rows, step : step + cols], 0)
    half_depth: FloatImage = np.sqrt(np.maximum(height, 0)).astype(np.float32)
    return half_depth


def _solve_poisson(mask: Mask) -> FloatImage:
    """Solve laplace(h) = -4 inside `mask`, h = 0 outside, on a grid of unit pitch."""
    index = np.full(mask.shape, -1)
    index[mask] = np.arange(mask.sum())
    here = index[mask]
    rows, cols, values = [here], [here], [np.full(here.size, 4.0)]
    for shift, axis in ((1, 0), (-1, 0), (1, 1), (-1, 1)):
        there = np.roll(index, shift, axis)[mask]
        inside = there >= 0
        rows.append(here[inside])
        cols.append(there[inside])
        values.append(np.full(inside.sum(), -1.0))
    system = coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(cols))))
    height = np.zeros(mask.shape, np.float32)
    height[mask] = spsolve(system.tocsc(), np.full(here.size, 4.0), permc_spec="MMD_AT_PLUS_A")
    return height


def outline_mask(canvas: Canvas, outline: npt.ArrayLike, *, margin_px: int = 3) -> tuple[int, int, Mask]:
    """Rasterise a closed outline in mm in its own window, clipped only far off the canvas; returns row, col, mask."""
    corners = canvas.to_pixels(curve(outline, closed=True))
    low = np.floor(corners.min(axis=0)).astype(int) - margin_px
    high = np.ceil(corners.max(axis=0)).astype(int) + margin_px
    rows, cols = (int(n) for n in high - low)
    return int(low[0]), int(low[1]), ops.fill_polygon((rows, cols), corners - low)


def _on_canvas(canvas: Canvas, row: int, col: int, shape: tuple[int, int]) -> bool:
    return row < canvas.shape[0] and col < canvas.shape[1] and row + shape[0] > 0 and col + shape[1] > 0


def flat_bone(
    canvas: Canvas,
    outline: npt.ArrayLike,
    *,
    tissue: BoneTissue,
    tile: FloatImage,
    depth: float = 1.0,
    max_depth_mm: float = np.inf,
    cortex_at: Callable[[FloatImage], FloatImage] | None = None,
    unknowns: int = POISSON_UNKNOWNS,
) -> Patch:
    """Bone with a free outline: a rounded shell filled with trabeculae.

    Parameters
    ----------
    canvas, outline
        Where, as a closed smooth outline in mm.
    tissue, tile
        Shell, cavity, and the texture of trabeculae.
    depth
        Depth over width of the rounded body.
    max_depth_mm
        Half depth above which the body is flat: a plate.
    cortex_at
        Cortex thickness in mm as a function of the scene's row in mm, instead of the tissue's.
    unknowns
        Size of the grid for `inflate`; a long bone with a narrow cavity needs more.
    """
    row, col, mask = outline_mask(canvas, outline)
    if not _on_canvas(canvas, row, col, mask.shape):
        return EMPTY
    rows_mm, cols_mm = (
        canvas.to_scene(np.stack([np.arange(n) + start] * 2, axis=1))[:, k]
        for k, (n, start) in enumerate(zip(mask.shape, (row, col), strict=True))
    )
    cortex = cortex_at(rows_mm[:, None].astype(np.float32)) if cortex_at else tissue.cortex_mm
    cavity = ops.distance(~mask, exact=True) * np.float32(canvas.spacing_mm) > cortex
    shell = np.float32(min(tissue.end_cortex_mm, max_depth_mm / 2))
    half = np.minimum(depth * inflate(mask, canvas.spacing_mm, unknowns=unknowns), max_depth_mm)
    hollow = np.minimum(
        depth * inflate(cavity & mask, canvas.spacing_mm, unknowns=unknowns), np.maximum(half - shell, 0)
    )
    turned = look_up(tile, (rows_mm[:, None] + 0.4 * cols_mm) / 1.8, cols_mm - 0.4 * rows_mm[:, None])
    share = tissue.trabecular
    if isinstance(share, tuple):
        raise ValueError("a bone with a free outline has no axis for knots of its trabecular share")
    return _bone_patch(row, col, outer=2 * half, inner=2 * hollow, share=share, texture=tissue.texture * turned)
