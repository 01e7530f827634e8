"""Wires, tubes, leads and the lines of a grid: bright lines that run on past a candidate.

Deposits along a fascia or a vein may be lines, too, but gritty ones, far brighter in places than where they run out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Column, FloatImage, LabelImage, Mask

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

EVEN = 3.0
"""Its bright parts are so many times as bright as its weak ones, at most: a row of deposits is uneven."""

OWN = 90
"""A candidate is as bright as this percentile of it."""

HALO_MM = 0.8
"""No line is followed over other candidates and so far around them: deposits lie in rows and crowds."""

WIDTH = 2 * round((BEND_MM + max(FLANKS_MM)) / SAMPLE_MM) + 1
"""Samples across a strip."""


def lie_on_lines(film: FloatImage, bone: Mask, *, labels: LabelImage, pixel_mm: float) -> npt.NDArray[np.bool_]:
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
    boxes = ops.label_boxes(labels)
    if not boxes:
        return np.zeros(0, bool)
    own = ((box, labels[box] == number) for number, box in enumerate(boxes, start=1))
    even = ops.gaussian(film, SMOOTH_MM / pixel_mm)
    barred = bone | ops.dilate(labels > 0, round(HALO_MM / pixel_mm))
    return np.array([_lies_on_line(even, barred, box, part, pixel_mm=pixel_mm) for box, part in own], bool)


def _lies_on_line(even: FloatImage, barred: Mask, box: tuple[slice, slice], own: Mask, *, pixel_mm: float) -> bool:
    """Whether a line runs on past a candidate, with pixels of its `own` in its box, over nothing barred."""
    radius_mm = max(own.shape) / 2 * pixel_mm
    rows, cols = _strips(box, start_mm=min(radius_mm, LARGEST_MM) + MARGIN_MM, pixel_mm=pixel_mm)
    strips = ops.sample(even, rows, cols).reshape(DIRECTIONS, -1, WIDTH)
    ridges = _ridges(strips)
    height = float(np.percentile(even[box][own], OWN) - np.median(strips[:, 0]))
    some = ridges[:, ::3, ::3]
    least = max(SHARE * height, SIGMAS * ops.normal_sigma(some - np.median(some)))
    bright = np.percentile(ridges.max(axis=2), WEAKEST, axis=1) >= least  # no path is brighter than that
    if least <= 0 or not bright.any():
        return False
    rows, cols = (_middle(index.reshape(strips.shape)[bright]).round().astype(int) for index in (rows, cols))
    over_others = barred[rows.clip(0, barred.shape[0] - 1), cols.clip(0, barred.shape[1] - 1)]
    ridges = np.where(over_others, -np.ptp(strips), ridges[bright])
    weakest, _ = _along(ridges, np.minimum(ridges, np.float32(least)), radius_mm=radius_mm)
    low, high = _along(ridges, ridges, radius_mm=radius_mm)
    return bool(((weakest >= least) & (high <= EVEN * low)).any())


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


def _along(ridges: FloatImage, gain: FloatImage, *, radius_mm: float) -> tuple[Column, Column]:
    """Height of the ridge along each strip's path of the greatest gain that begins behind the candidate.

    Its `WEAKEST` percentile and the one as far from the top, (directions,) each.
    """
    aside_mm = np.abs(np.arange(gain.shape[2]) - gain.shape[2] // 2) * SAMPLE_MM
    allowed = gain.copy()
    allowed[:, 0, aside_mm > max(min(radius_mm, START_MM), SAMPLE_MM)] = -np.inf
    heights = np.take_along_axis(ridges, ops.brightest_paths(allowed)[..., None], axis=2)[..., 0]
    low, high = np.percentile(heights, (WEAKEST, 100 - WEAKEST), axis=1)
    return low, high
