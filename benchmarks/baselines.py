"""Two detectors that anyone would try first, to stand beside the program's figures in the same run.

Both look at the working grid inside the exposed field, know nothing of bone, and return marks in source pixels.
"""

from __future__ import annotations

import numpy as np
from skimage.feature import blob_dog
from skimage.morphology import disk, white_tophat

from calcidetect import ops, pipeline
from calcidetect.config import Config
from calcidetect.evaluation.results import ScannedCandidate
from calcidetect.types import MARK, Field, Grid, Radiograph

TOP_HAT_RADIUS_MM = 10.0
TOP_HAT_SIGMAS = 2.0
"""Threshold in robust sigmas of the top-hat over the field: of 2, 3, 4 and 6 the one that hit most (15, 9, 7 and 5 of
30 deposits on eight films)."""

MIN_AREA_MM2 = 1.0
REDUCED_MM = 0.8
"""Pixel pitch of the opening: a disc of 10 mm on 0.4 mm pixels costs sixteen times as much and finds the same."""

DIAMETERS_MM = (1.5, 20.0)
"""Blobs that the difference of Gaussians looks for; a disc answers at sigma = radius / sqrt(2)."""

DOG_RATIO = 1.6
DOG_THRESHOLD = 0.02
"""Of the field's range (1st to 99th percentile)."""

ROBUST_SIGMA = 1.4826


def top_hat(radiograph: Radiograph) -> list[ScannedCandidate]:
    """White top-hat with a disc of `TOP_HAT_RADIUS_MM`, thresholded; score in robust sigmas, by falling score."""
    working, field = _working(radiograph)
    pixels, mask = _filled(working, field), field.mask
    pitch = working.grid.nominal_mm
    small = tuple(max(1, round(side * pitch / REDUCED_MM)) for side in pixels.shape)
    reduced = ops.resize_area(pixels, small)
    radius = max(1, round(TOP_HAT_RADIUS_MM / REDUCED_MM))
    opened = reduced - white_tophat(reduced, disk(radius, decomposition="sequence"))
    residue = pixels - ops.resize_linear(opened.astype(np.float32), pixels.shape)
    middle = np.median(residue[mask])
    sigma = max(ROBUST_SIGMA * float(np.median(np.abs(residue[mask] - middle))), 1e-6)
    strength = np.where(mask, (residue - middle) / sigma, 0)
    return _parts(strength, working.grid, min_area=MIN_AREA_MM2 / pitch**2)


def difference_of_gaussians(radiograph: Radiograph) -> list[ScannedCandidate]:
    """`skimage.feature.blob_dog` over `DIAMETERS_MM`; score in the field's range, by falling score."""
    working, field = _working(radiograph)
    pixels, pitch = _filled(working, field), working.grid.nominal_mm
    low, high = np.percentile(pixels[field.mask], [1, 99])
    image = (pixels - low) / max(high - low, 1e-6)
    smallest, largest = (diameter / 2 / np.sqrt(2) / pitch for diameter in DIAMETERS_MM)
    blobs = blob_dog(
        image, min_sigma=smallest, max_sigma=largest, sigma_ratio=DOG_RATIO, threshold=DOG_THRESHOLD, overlap=0.5
    )
    marks = [
        _disc_mark(row, col, sigma, image, working.grid) for row, col, sigma in blobs if field.mask[int(row), int(col)]
    ]
    return sorted(marks, key=lambda mark: -mark.score)


def _working(radiograph: Radiograph) -> tuple[Radiograph, Field]:
    seen = pipeline.find_region(radiograph, Config())
    return seen.working, seen.field


def _filled(working: Radiograph, field: Field) -> np.ndarray:
    """The film with its lowest level outside the field, so that nothing there is bright."""
    return np.where(field.mask, working.pixels, working.pixels[field.mask].min())


def _parts(strength: np.ndarray, grid: Grid, *, min_area: float) -> list[ScannedCandidate]:
    labels, boxes, centres = ops.components(strength > TOP_HAT_SIGMAS)
    peaks = np.zeros(len(boxes) + 1)
    np.maximum.at(peaks, labels.ravel(), strength.ravel())
    marks = [
        _mark(centre, (x, y, x + width, y + height), peak, grid)
        for (x, y, width, height, area), centre, peak in zip(boxes.tolist(), centres, peaks[1:], strict=True)
        if area >= min_area
    ]
    return sorted(marks, key=lambda mark: -mark.score)


def _disc_mark(row: float, col: float, sigma: float, image: np.ndarray, grid: Grid) -> ScannedCandidate:
    """A blob's box is that of its disc, its strength its centre over the ring around that."""
    radius = sigma * np.sqrt(2)
    half = int(np.ceil(1.5 * radius)) + 1
    top, left = max(0, int(row) - half), max(0, int(col) - half)
    window = image[top : int(row) + half + 1, left : int(col) + half + 1]
    down, across = np.ogrid[: window.shape[0], : window.shape[1]]
    far = np.hypot(down + top - row, across + left - col)
    ring = window[(far > radius) & (far <= 1.5 * radius + 1)]
    strength = float(window[far <= max(1, radius / 2)].mean() - np.median(ring))
    box = (col - radius, row - radius, col + radius + 1, row + radius + 1)
    return _mark((row, col), box, strength, grid)


def _mark(centre, box: tuple[float, float, float, float], score: float, grid: Grid) -> ScannedCandidate:
    """Carry a centre and a box of the working grid to source pixels."""
    (y0, x0), (y1, x1) = grid.to_source([(box[1] - 0.5, box[0] - 0.5), (box[3] - 0.5, box[2] - 0.5)]) + 0.5
    row, col = grid.to_source(centre)
    rows, cols = grid.source_shape
    left, top = int(np.clip(np.floor(x0), 0, cols - 1)), int(np.clip(np.floor(y0), 0, rows - 1))
    right, bottom = int(np.clip(np.ceil(x1), left + 1, cols)), int(np.clip(np.ceil(y1), top + 1, rows))
    return ScannedCandidate(
        score=float(score),
        label=MARK,
        x0=left,
        y0=top,
        x1=right,
        y1=bottom,
        row=float(row),
        col=float(col),
        area_px=(right - left) * (bottom - top),
    )
