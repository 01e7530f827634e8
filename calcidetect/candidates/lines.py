"""Wires, tubes, leads and the lines of a grid: bright lines that run on past a candidate.

Deposits along a fascia or a vein may be lines, too, but gritty ones, far brighter in places than where they run out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage, Mask

RUN_MM = 20.0
"""A line is followed so far from the candidate's edge."""

BEND_MM = 5.0
"""It may bend aside by so much."""

FLANKS_MM = (1.6, 2.8)
"""A line is brighter than what lies so far to either side of it: wide enough for a drain, and for a wire."""

MARGIN_MM = 1.5
"""Following begins so far outside the candidate's own radius, of `LARGEST_MM` at most, …"""

LARGEST_MM = 12.0

START_MM = 2.0
"""… and no farther than this from the ray that leaves its middle."""

DIRECTIONS = 16
SAMPLE_MM = 0.5
SMOOTH_MM = 0.45

WEAKEST = 16
"""A line is as bright as this percentile of it; …"""

SIGMAS, SHARE = 1.5, 0.3
"""… so many sigmas of what other lines like it amount to, and this share of the candidate's own height."""

OWN = 90
"""A candidate is as bright as this percentile of it."""

WIDTH = 2 * round((BEND_MM + max(FLANKS_MM)) / SAMPLE_MM) + 1
"""Samples across a strip."""


def lie_on_lines(film: FloatImage, bone: Mask, labels: LabelImage, *, pixel_mm: float) -> npt.NDArray[np.bool_]:
    """Say which candidates are parts of lines that run on past them.

    Parameters
    ----------
    film
        float32 (rows, cols) on the working grid, bright = more attenuation.
    bone
        bool (rows, cols): no line is followed over it, for a cortex is one.
    labels
        int32 (rows, cols): candidates 1 … n, none missing.
    pixel_mm
        Pitch of all three.

    Returns
    -------
    bool (n,)
    """
    even = ops.gaussian(film, SMOOTH_MM / pixel_mm)
    found = []
    for number, box in enumerate(ops.label_boxes(labels), start=1):
        radius_mm = max(side.stop - side.start for side in box) / 2 * pixel_mm
        rows, cols = _strips(box, start_mm=min(radius_mm, LARGEST_MM) + MARGIN_MM, pixel_mm=pixel_mm)
        strips = ops.sample(even, rows, cols).reshape(DIRECTIONS, -1, WIDTH)
        height = np.percentile(even[box][labels[box] == number], OWN) - np.median(strips[:, 0])
        ridges = _ridges(strips)
        some = ridges[:, ::3, ::3]
        least = max(SHARE * height, SIGMAS * ops.normal_sigma(some - np.median(some)))
        bright = np.percentile(ridges.max(axis=2), WEAKEST, axis=1) >= least  # no path is brighter than that
        rows, cols = (_middle(index.reshape(strips.shape)[bright]).round().astype(int) for index in (rows, cols))
        inside = (np.clip(index, 0, size - 1) for index, size in zip((rows, cols), bone.shape, strict=True))
        ridges = np.where(bone[tuple(inside)], -np.ptp(strips), ridges[bright])
        found.append(_runs_on(ridges, radius_mm=radius_mm, least=least))
    return np.array(found, bool)


def _runs_on(ridges: FloatImage, *, radius_mm: float, least: float) -> bool:
    """Whether a line of this height or more runs along one of the strips of ridges, from the candidate on."""
    if not len(ridges):
        return False
    path = _paths(np.minimum(ridges, np.float32(least)), radius_mm=radius_mm)
    heights = np.take_along_axis(ridges, path[..., None], axis=2)
    return bool(np.percentile(heights, WEAKEST, axis=1).max() >= least)


def _strips(box: tuple[slice, slice], *, start_mm: float, pixel_mm: float) -> tuple[FloatImage, FloatImage]:
    """Rows and columns of strips that leave the middle of a box in all directions, (directions x length, width)."""
    middle = [(side.start + side.stop - 1) / 2 for side in box]
    along = np.arange(start_mm, start_mm + RUN_MM, SAMPLE_MM) / pixel_mm
    aside = (np.arange(WIDTH) - WIDTH // 2) * (SAMPLE_MM / pixel_mm)
    angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
    down, across = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    rows = middle[0] + along[:, None] * down + aside * across
    cols = middle[1] + along[:, None] * across - aside * down
    return rows.reshape(-1, WIDTH).astype(np.float32), cols.reshape(-1, WIDTH).astype(np.float32)


def _middle(strips: npt.NDArray[Any], shift: int = 0) -> npt.NDArray[Any]:
    """Strips without the flanks at either side, or what lies `shift` samples aside of that."""
    edge = round(max(FLANKS_MM) / SAMPLE_MM)
    return strips[..., edge + shift : strips.shape[-1] - edge + shift]


def _ridges(strips: FloatImage) -> FloatImage:
    """How much brighter the middle of strips is than both its flanks: negative on edges and in dips."""
    flanks = [round(flank / SAMPLE_MM) for flank in FLANKS_MM]
    lowest = np.minimum.reduce([np.maximum(_middle(strips, shift), _middle(strips, -shift)) for shift in flanks])
    ridges: FloatImage = _middle(strips) - lowest
    return ridges


def _paths(ridges: FloatImage, *, radius_mm: float) -> npt.NDArray[np.intp]:
    """Places across (directions, length) of the brightest path along each strip that begins behind the candidate."""
    aside_mm = np.abs(np.arange(ridges.shape[2]) - ridges.shape[2] // 2) * SAMPLE_MM
    beside = aside_mm > max(min(radius_mm, START_MM), SAMPLE_MM)
    return ops.brightest_paths(
        np.where(beside & (np.arange(ridges.shape[1]) == 0)[:, None], np.float32(-np.inf), ridges)
    )
