"""The candidate generator: everything brighter than its surroundings, at every size of a deposit.

Sensitivity comes first here; `score` decides what is marked. Two-stage design after Bria 2016
(doi:10.1007/978-3-319-41546-8_52) and Marasinou 2021 (arXiv:2102.00754).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage
from calcidetect.blobs import CLUTTER_FLOOR_STEPS, blob_response, clutter
from calcidetect.config import DetectSettings
from calcidetect.types import Anatomy, Background, Radiograph

SCALE_RATIO = 1.4
"""Between one blob scale and the next."""

RADIUS_PER_SIGMA = 1.41421356
"""A disc of this many sigmas answers a Laplacian most strongly (Lindeberg 1998, doi:10.1023/A:1008045108935)."""

FINEST_SIGMA = 2.0
"""In pixels: a scale is searched on a film reduced until its sigma is about this."""

REACH = 2.5
"""A candidate may reach this many blob radii from its seed."""

UNBOUNDED = 0.5
"""A seed that fills this share of its reach has found no edge; a larger scale will."""

SAME_SIZE = 4.0
"""Two overlapping candidates whose areas differ by less than this factor are one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seeds:
    """Blob centres: int (n,) `rows` and `cols`, float32 (n,) `sigma` in pixels, `snr` over local clutter."""

    rows: npt.NDArray[np.intp]
    cols: npt.NDArray[np.intp]
    sigma: npt.NDArray[np.float32]
    snr: npt.NDArray[np.float32]


def find_candidates(
    radiograph: Radiograph, anatomy: Anatomy, background: Background, settings: DetectSettings
) -> LabelImage:
    """Label every region that stands out of its surroundings.

    Parameters
    ----------
    radiograph, anatomy, background
        The film, its bone and its soft tissue, on the working grid.
    settings
        See `DetectSettings`.

    Returns
    -------
    int32 (rows, cols)
        0 = nothing, 1 … n = candidates, strongest first. A small candidate inside a large one keeps its own label.
    """
    pixel_mm = radiograph.grid.nominal_mm
    signal = ops.gaussian(radiograph.pixels, settings.smoothing_mm / pixel_mm)
    seeds = find_seeds(signal, anatomy, settings, pixel_mm=pixel_mm)
    return _outline(signal, anatomy, seeds, max_radius=settings.max_diameter_mm / 2 / pixel_mm)


def blob_scales(settings: DetectSettings, pixel_mm: float) -> npt.NDArray[np.float64]:
    """Sigmas in pixels that answer discs from the least to the greatest diameter searched for."""
    smallest, largest = (
        diameter / 2 / RADIUS_PER_SIGMA / pixel_mm for diameter in (settings.min_diameter_mm, settings.max_diameter_mm)
    )
    count = max(1, int(np.ceil(np.log(largest / smallest) / np.log(SCALE_RATIO))) + 1)
    return smallest * SCALE_RATIO ** np.arange(count, dtype=float)


def find_seeds(signal: FloatImage, anatomy: Anatomy, settings: DetectSettings, *, pixel_mm: float) -> Seeds:
    """Find maxima of the difference of Gaussians in place and scale, inside the body."""
    found = [
        _scale_seeds(signal, anatomy, sigma, settings, pixel_mm=pixel_mm) for sigma in blob_scales(settings, pixel_mm)
    ]
    rows, cols, sigma, snr = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((cols, rows, -snr))
    return Seeds(
        rows=rows[order],
        cols=cols[order],
        sigma=sigma[order].astype(np.float32),
        snr=snr[order].astype(np.float32),
    )


def _scale_seeds(
    signal: FloatImage, anatomy: Anatomy, sigma: float, settings: DetectSettings, *, pixel_mm: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64], FloatImage]:
    """Rows, columns, sigma and signal-to-clutter of the strongest maxima at one scale.

    Wide scales are searched on a reduced film: nothing on it is finer than they are.
    """
    factor = max(1, int(sigma / FINEST_SIGMA))
    shape = (max(1, signal.shape[0] // factor), max(1, signal.shape[1] // factor))
    small, body = ops.resize_area(signal, shape), ops.resize_mask(anatomy.body, shape)
    own = sigma / factor
    finer, response, coarser = (blob_response(small, own * ratio) for ratio in (1 / SCALE_RATIO, 1.0, SCALE_RATIO))
    usual = clutter(response, body.astype(np.float32), own, pixel_mm=pixel_mm * factor)
    usual += np.float32(CLUTTER_FLOOR_STEPS * anatomy.bone_step)
    peak = (response >= ops.maximum(response, 2 * round(own) + 1)) & (response > settings.min_snr * usual) & body
    peak &= response >= settings.scale_slack * np.maximum(finer, coarser)
    rows, cols = np.nonzero(peak)
    snr = response[rows, cols] / usual[rows, cols]
    best = np.argsort(-snr, kind="stable")[: settings.max_per_scale]
    rows, cols = _enlarged(rows[best], factor, signal.shape[0]), _enlarged(cols[best], factor, signal.shape[1])
    return rows, cols, np.full(len(best), sigma), snr[best]


def _enlarged(index: npt.NDArray[np.intp], factor: int, size: int) -> npt.NDArray[np.intp]:
    return np.minimum(index * factor + factor // 2, size - 1)


def _outline(signal: FloatImage, anatomy: Anatomy, seeds: Seeds, *, max_radius: float) -> LabelImage:
    """Grow each seed down to half of its height above its surroundings; later, similar regions on the same spot go."""
    regions = []
    taken = np.zeros(signal.shape, np.int32)
    areas = [0]
    for row, col, sigma in zip(seeds.rows, seeds.cols, seeds.sigma, strict=True):
        radius = sigma * RADIUS_PER_SIGMA
        reach = min(REACH * radius, max_radius)
        rows, cols = ops.grow_to_half_height(signal, (row, col), radius=radius, reach=reach)
        if len(rows) > UNBOUNDED * np.pi * reach**2 and reach > 2:
            continue
        owner = np.bincount(taken[rows, cols]).argmax()
        if not owner or not 1 / SAME_SIZE < len(rows) / areas[owner] < SAME_SIZE:
            areas.append(len(rows))
            regions.append((rows, cols))
            taken[rows, cols] = len(regions)
    return ops.compact(np.where(anatomy.body, _paint(regions, signal.shape), 0))


def _paint(regions: list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]], shape: tuple[int, int]) -> LabelImage:
    """Label regions in order, painting small ones over large ones."""
    labels = np.zeros(shape, np.int32)
    for index in sorted(range(len(regions)), key=lambda i: -len(regions[i][0])):
        labels[regions[index]] = index + 1
    return labels
