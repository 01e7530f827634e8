"""The outline of a clavicle as a few numbers, and the outline of a usual shape that fits a map of probability best.

A clavicle lies along an axis: `STATIONS` across it say where its upper and lower edges are. Principal components of
these, of the axis' place, turn and ends, make the shapes (active shape models: Cootes 1995,
doi:10.1006/cviu.1995.1004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import minimize

from calcidetect import ops

STATIONS = 20
TURN_PX = 30.0
"""A radian of turn counts like so many pixels: about half the length of a clavicle at 1.4 mm."""

END_PERCENTILES, EDGE_PERCENTILES = (0.3, 99.7), (3, 97)
KEPT = 0.985
"""Share of variance that the components keep: ten of them, by which true masks are drawn at a Dice of 0.96."""

LIMIT_SIGMAS = 3.5
PRIOR = 5.0
"""What a sigma off the usual shape costs, in pixels of log-odds 1; better than a quarter of it."""

CERTAIN = 0.03
ROUNDS = 4
LEAST_PX = 50
"""Chances nearer to 0 and 1 than `CERTAIN` count as this; rounds of the search; smaller parts give no start."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Shapes:
    """Mean outline (5 + 2 `STATIONS`,), components (n, 5 + 2 `STATIONS`) and their sigmas (n,)."""

    mean: np.ndarray
    components: np.ndarray
    sigmas: np.ndarray

    def outline(self, weights: np.ndarray) -> np.ndarray:
        return self.mean + (weights * self.sigmas) @ self.components


def outline_of(mask: np.ndarray) -> np.ndarray:
    """Outline of a mask: its centre (row, col), turn, ends along the axis, upper and lower edges; pixels."""
    places = np.argwhere(mask).astype(float)
    centre = places.mean(axis=0)
    along, across = _axes(np.linalg.eigh(np.cov((places - centre).T))[1][:, 1])
    u, v = ((places - centre) @ axis for axis in (along, across))
    first, last = np.percentile(u, END_PERCENTILES)
    station = np.clip(((u - first) / (last - first) * STATIONS).astype(int), 0, STATIONS - 1)
    edges = np.full((2, STATIONS), np.nan)
    for number in np.unique(station):
        edges[:, number] = np.percentile(v[station == number], EDGE_PERCENTILES)
    known = np.flatnonzero(np.isfinite(edges[0]))
    upper, lower = (np.interp(np.arange(STATIONS), known, edge[known]) for edge in edges)
    turn = TURN_PX * np.arctan2(along[0], along[1])
    return np.concatenate([centre, [turn, first, last], upper, lower])


def _axes(along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The axis pointing to larger columns, and the one a quarter turn down from it."""
    along = along if along[1] >= 0 else -along
    return along, np.array([along[1], -along[0]])


def usual_shapes(outlines: Sequence[np.ndarray]) -> Shapes:
    stacked = np.array(outlines)
    mean = stacked.mean(axis=0)
    _, singular, components = np.linalg.svd(stacked - mean, full_matrices=False)
    variance = singular**2 / max(len(stacked) - 1, 1)
    count = 1 + int(np.searchsorted(np.cumsum(variance), KEPT * variance.sum()))
    return Shapes(mean=mean, components=components[:count], sigmas=np.sqrt(variance[:count]))


def frame_of(outline: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre, axis along and axis across of an outline."""
    turn = outline[2] / TURN_PX
    return outline[:2], *_axes(np.array([np.sin(turn), np.cos(turn)]))


def drawn(outline: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The inside of an outline, bool of `shape`."""
    centre, along, across = frame_of(outline)
    u = outline[3] + (np.arange(STATIONS) + 0.5) / STATIONS * (outline[4] - outline[3])
    u[0], u[-1] = outline[3:5]
    edges = [u[:, None] * along + edge[:, None] * across for edge in np.split(outline[5:], 2)]
    return ops.fill_polygon(shape, np.concatenate([edges[0], edges[1][::-1]]) + centre)


def fitted(chance: np.ndarray, shapes: Shapes) -> np.ndarray:
    """The outline that holds most of what is likely and least of what is not, float32 (rows, cols) of chances."""
    odds = np.clip(chance, CERTAIN, 1 - CERTAIN)
    odds = np.log(odds / (1 - odds))

    def cost(weights: np.ndarray) -> float:
        inside = drawn(shapes.outline(weights), chance.shape)
        return PRIOR * float(weights @ weights) - cv2.sumElems(cv2.copyTo(odds, inside.view(np.uint8)))[0]

    start = _start(chance, shapes)
    bounds = [(-LIMIT_SIGMAS, LIMIT_SIGMAS)] * len(shapes.sigmas)
    found = minimize(cost, start, method="Powell", bounds=bounds, options={"maxiter": ROUNDS, "xtol": 0.02})
    return shapes.outline(found.x)


def _start(chance: np.ndarray, shapes: Shapes) -> np.ndarray:
    """Weights of the outline of the largest likely part; the usual shape's where there is none."""
    part = largest_part(chance > 0.5)
    if np.count_nonzero(part) < LEAST_PX:
        return np.zeros(len(shapes.sigmas))
    return np.clip((outline_of(part) - shapes.mean) @ shapes.components.T / shapes.sigmas, -2.5, 2.5)


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest of a mask's parts; the mask as it is where it has none."""
    labels, boxes, _ = ops.components(mask)
    return labels == 1 + int(np.argmax(boxes[:, 4])) if len(boxes) else mask
