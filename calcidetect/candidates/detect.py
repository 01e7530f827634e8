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
from calcidetect.candidates.blobs import RADIUS_PER_SIGMA, SCALE_RATIO, BlobScale
from calcidetect.candidates.places import GridPoints, Places
from calcidetect.candidates.promise import promise, seed_features
from calcidetect.candidates.surroundings import Features
from calcidetect.config import DetectSettings
from calcidetect.trees import load_tables
from calcidetect.types import Anatomy, Radiograph

REACH = 2.5
"""A candidate may reach this many blob radii from its seed."""

UNBOUNDED = 0.5
"""A seed that fills this share of its reach has found no edge; a larger scale will."""

STRONGEST_OF_A_SIZE = 20
"""So many blobs of each size are kept, whatever they promise: what the fit has not met must not be lost."""

SAME_SIZE = 4.0
"""Two overlapping candidates whose areas differ by less than this factor are one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seeds:
    """Blob centres: int (n,) `rows` and `cols`, float32 (n,) `sigma` in pixels, `snr` over local clutter."""

    rows: npt.NDArray[np.intp]
    cols: npt.NDArray[np.intp]
    sigma: npt.NDArray[np.float32]
    snr: npt.NDArray[np.float32]

    def chosen(self, which: npt.NDArray[np.intp]) -> Seeds:
        """The seeds of these indices, in their order."""
        return Seeds(rows=self.rows[which], cols=self.cols[which], sigma=self.sigma[which], snr=self.snr[which])


def find_candidates(
    radiograph: Radiograph, anatomy: Anatomy, *, blobs: tuple[BlobScale, ...], settings: DetectSettings
) -> LabelImage:
    """Label every region that stands out of its surroundings.

    Parameters
    ----------
    radiograph, anatomy
        The film and its bone, on the working grid.
    blobs
        What `film_blobs` found on it.
    settings
        See `DetectSettings`.

    Returns
    -------
    int32 (rows, cols)
        0 = nothing, 1 … n = candidates, strongest first. A small candidate inside a large one keeps its own label.
    """
    pixel_mm = radiograph.grid.nominal_mm
    signal = ops.gaussian(radiograph.pixels, settings.smoothing_mm / pixel_mm)
    seeds = find_seeds(blobs, anatomy, settings=settings, pixel_mm=pixel_mm)
    seeds = _most_promising(seeds, blobs, anatomy, pixel_mm=pixel_mm, count=settings.max_seeds)
    return _outline(signal, anatomy, seeds, max_radius=settings.max_diameter_mm / 2 / pixel_mm)


def find_seeds(blobs: tuple[BlobScale, ...], anatomy: Anatomy, *, settings: DetectSettings, pixel_mm: float) -> Seeds:
    """Find maxima of the blob responses in place and scale, inside the body, strongest first."""
    half_step = SCALE_RATIO**0.5
    low, high = settings.min_diameter_mm / half_step, settings.max_diameter_mm * half_step
    wanted = [scale for scale in blobs if low <= scale.diameter_mm <= high]
    found = [_scale_seeds(scale, anatomy, settings, pixel_mm=pixel_mm) for scale in wanted]
    rows, cols, sigma, snr = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((cols, rows, -snr))
    return Seeds(rows=rows[order], cols=cols[order], sigma=sigma[order], snr=snr[order])


def measured_seeds(seeds: Seeds, blobs: tuple[BlobScale, ...], *, anatomy: Anatomy, pixel_mm: float) -> Features:
    """What `promise` is judged by: feature name to (n,)."""
    radius = seeds.sigma.astype(float) * RADIUS_PER_SIGMA
    where = Places(rows=seeds.rows.astype(float), cols=seeds.cols.astype(float), radius=radius, pixel_mm=pixel_mm)
    return seed_features(where, blobs, anatomy=anatomy, snr=seeds.snr)


def _most_promising(
    seeds: Seeds, blobs: tuple[BlobScale, ...], anatomy: Anatomy, *, pixel_mm: float, count: int
) -> Seeds:
    """The `count` seeds that most likely lie on a deposit and the strongest of each size, in the order given."""
    hope = promise(measured_seeds(seeds, blobs, anatomy=anatomy, pixel_mm=pixel_mm), load_tables("seeds"))
    kept = np.zeros(len(hope), bool)
    kept[np.argsort(-hope, kind="stable")[:count]] = True
    for sigma in np.unique(seeds.sigma):
        kept[np.flatnonzero(seeds.sigma == sigma)[:STRONGEST_OF_A_SIZE]] = True  # given strongest first
    return seeds.chosen(np.flatnonzero(kept))


def _scale_seeds(
    scale: BlobScale, anatomy: Anatomy, settings: DetectSettings, *, pixel_mm: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], FloatImage, FloatImage]:
    """Rows, columns, sigma and signal-to-clutter of the strongest maxima at one scale."""
    response, sigma = scale.response, scale.sigma_mm / pixel_mm
    peaks = np.flatnonzero((response >= ops.maximum(response, 2 * round(sigma / scale.factor) + 1)) & (response > 0))
    strength, finer, coarser = (plane.ravel()[peaks] for plane in (response, scale.finer, scale.coarser))
    peaks = peaks[strength >= settings.scale_slack * np.maximum(finer, coarser)]
    rows, cols = (index * scale.factor + scale.factor // 2 for index in np.divmod(peaks, response.shape[1]))
    inside = anatomy.body[rows, cols]
    peaks, rows, cols = peaks[inside], rows[inside], cols[inside]
    places = GridPoints(rows=rows[:, None].astype(np.float32), cols=cols[:, None].astype(np.float32))
    snr = response.ravel()[peaks] / places.ask(*scale.clutter)[:, 0]
    kept = np.flatnonzero(snr > settings.min_snr)
    best = kept[np.argsort(-snr[kept], kind="stable")[: settings.max_per_scale]]
    return rows[best], cols[best], np.full(len(best), sigma, np.float32), snr[best]


def _outline(signal: FloatImage, anatomy: Anatomy, seeds: Seeds, *, max_radius: float) -> LabelImage:
    """Grow each seed down to half of its height above its surroundings; later, similar regions on the same spot go."""
    regions: list[npt.NDArray[np.intp]] = []
    taken = np.zeros(signal.size, np.int32)
    areas = [0]
    for region in _grown(signal, seeds, max_radius=max_radius):
        owner = np.bincount(taken[region]).argmax() if len(region) else 0
        if len(region) and (not owner or not 1 / SAME_SIZE < len(region) / areas[owner] < SAME_SIZE):
            areas.append(len(region))
            regions.append(region)
            taken[region] = len(regions)
    return ops.compact(np.where(anatomy.body, _paint(regions, signal.shape), 0))


def _grown(signal: FloatImage, seeds: Seeds, *, max_radius: float) -> list[npt.NDArray[np.intp]]:
    """Flat indices of each seed's region, none of one that found no edge."""
    radius, levels = RADIUS_PER_SIGMA * seeds.sigma.astype(float), np.empty(len(seeds.sigma), np.float32)
    for wide in np.unique(radius).tolist():
        own = np.flatnonzero(radius == wide)
        levels[own] = ops.half_heights(signal, seeds.rows[own], seeds.cols[own], wide)
    reach = np.minimum(REACH * radius, max_radius)
    largest = np.where(reach <= 2, np.inf, UNBOUNDED * np.pi * reach**2)
    regions = ops.grow(signal, seeds.rows, seeds.cols, levels=levels, reach=reach)
    return [region if len(region) <= most else region[:0] for region, most in zip(regions, largest, strict=True)]


def _paint(regions: list[npt.NDArray[np.intp]], shape: tuple[int, int]) -> LabelImage:
    """Label regions (flat indices) in order, painting small ones over large ones."""
    labels = np.zeros(shape, np.int32)
    flat = labels.ravel()
    for index in sorted(range(len(regions)), key=lambda i: -len(regions[i])):
        flat[regions[index]] = index + 1
    return labels
