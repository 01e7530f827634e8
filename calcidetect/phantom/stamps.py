"""What lies between patient and film: the collimator's edge and the lead letter on its plate."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage
from calcidetect.phantom.shapes import Canvas, Points

STROKE_MM = 1.1
LETTER_MM = 15.0

_BOWL = [(-0.5 + 0.25 * (1 - np.cos(a)), 0.15 + 0.22 * np.sin(a)) for a in np.linspace(0, np.pi, 9)]
LETTERS: dict[str, tuple[tuple[tuple[float, float], ...], ...]] = {
    "L": (((-0.5, -0.25), (0.5, -0.25), (0.5, 0.3)),),
    "R": (((0.5, -0.25), (-0.5, -0.25), *_BOWL, (0.0, -0.25)), ((0.0, 0.05), (0.5, 0.35))),
}
"""Strokes of each letter, ``(row, col)`` in letter heights about its middle."""


def letter(canvas: Canvas, name: str, at: Points) -> FloatImage:
    """Coverage 0 to 1 of a lead letter whose middle is at scene point `at`; float32 (rows, cols)."""
    rows, cols = (np.arange(n) for n in canvas.shape)
    middle = canvas.to_pixels(at)
    reach = LETTER_MM / canvas.spacing_mm
    window = tuple(
        slice(*np.searchsorted(axis, (m - reach, m + reach))) for axis, m in zip((rows, cols), middle, strict=True)
    )
    points = canvas.to_scene(np.stack(np.meshgrid(rows[window[0]], cols[window[1]], indexing="ij"), axis=-1)) - at
    gap = np.full(points.shape[:2], np.inf)
    for stroke in LETTERS[name]:
        for start, end in pairwise(stroke):
            gap = np.minimum(
                gap, _distance_to_segment(points, np.multiply(start, LETTER_MM), np.multiply(end, LETTER_MM))
            )
    coverage = np.zeros(canvas.shape, np.float32)
    coverage[window] = np.clip((STROKE_MM - gap) / canvas.spacing_mm + 0.5, 0, 1)
    return coverage


def _distance_to_segment(points: Points, start: Points, end: Points) -> Points:
    way = end - start
    share = np.clip(((points - start) @ way) / max(float(way @ way), 1e-9), 0, 1)
    gap: Points = np.linalg.norm(points - start - share[..., None] * way, axis=-1)
    return gap


def shutter(canvas: Canvas, margins_mm: tuple[float, float, float, float], *, turn: float) -> FloatImage:
    """Coverage 0 to 1 by the collimator's leaves: `margins_mm` at top, right, bottom and left, turned by radians."""
    rows, cols = canvas.shape
    top, right, bottom, left = (margin / canvas.spacing_mm for margin in margins_mm)
    corners = np.array([(top, left), (top, cols - right), (rows - bottom, cols - right), (rows - bottom, left)]) - 0.5
    middle = np.array([rows, cols]) / 2
    c, s = np.cos(turn), np.sin(turn)
    corners = (corners - middle) @ np.array([[c, s], [-s, c]]) + middle
    leaf = (~ops.fill_polygon(canvas.shape, corners)).astype(np.float32)
    return ops.gaussian(leaf, 0.35 / canvas.spacing_mm)  # penumbra of the leaves
