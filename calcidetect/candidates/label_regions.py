"""Counting over a label image: one entry per label, for all labels at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import LabelImage

Numbers = npt.NDArray[np.float64]
Values = npt.NDArray[Any]
"""One number per labelled pixel, shape (p,), in the order of `LabelRegions.flat`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelRegions:
    """The regions 1 … n of a label image.

    `flat` and `label` say for each of the p pixels of any region where it lies (flat index) and in which (0 … n - 1),
    region by region; `starts` where each region begins; `area` in pixels, `rows` and `cols` of the centres: (n,).
    """

    flat: npt.NDArray[np.intp]
    label: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    area: Numbers
    rows: Numbers
    cols: Numbers

    @property
    def radius(self) -> Numbers:
        """Radius in pixels of the disc of equal area, float64 (n,)."""
        return np.sqrt(self.area / np.pi)

    @property
    def centres(self) -> Numbers:
        """``(row, col)`` of the centres, float64 (n, 2)."""
        return np.stack([self.rows, self.cols], axis=1)

    def inside(self, image: Values) -> Values:
        """Values of an image (rows, cols) at every pixel of a region, (p,)."""
        return image.ravel()[self.flat]

    def mean(self, values: Values) -> Numbers:
        """Mean over each region, float64 (n,), of what `inside` gave."""
        return np.asarray(np.add.reduceat(values, self.starts, dtype=np.float64) / self.area)

    def highest(self, values: Values) -> Numbers:
        """Greatest value in each region, float64 (n,)."""
        return np.maximum.reduceat(values, self.starts).astype(np.float64)

    def lowest(self, values: Values) -> Numbers:
        """Least value in each region, float64 (n,)."""
        return np.minimum.reduceat(values, self.starts).astype(np.float64)


def label_regions(labels: LabelImage) -> LabelRegions:
    """Count over int32 (rows, cols) labels 1 … n, at least one, none of them missing."""
    flat = ops.labelled(labels)
    order = ops.by_label(labels.ravel()[flat])
    flat = flat[order]
    label = labels.ravel()[flat].astype(np.intp) - 1
    area = np.bincount(label)
    starts = np.cumsum(area) - area
    rows, cols = (np.add.reduceat(index, starts) / area for index in np.divmod(flat, labels.shape[1]))
    return LabelRegions(flat=flat, label=label, starts=starts, area=area.astype(float), rows=rows, cols=cols)


def axes(regions: LabelRegions, cols: int) -> tuple[Numbers, Numbers, Numbers]:
    """Standard deviations in pixels along each region's long and short axis, and the long axis' angle, (n,) each.

    A pixel's own extent counts, so that none is 0; the angle is in radians from the columns' to the rows' direction.
    `cols` is the label image's number of columns.
    """
    rows, columns = np.divmod(regions.flat, cols)
    down, across = rows - regions.rows[regions.label], columns - regions.cols[regions.label]
    var_r, var_c, cov = (regions.mean(product) for product in (down**2, across**2, down * across))
    mean, half = (var_r + var_c) / 2, np.hypot((var_r - var_c) / 2, cov)
    long, short = np.sqrt(mean + half + 1 / 12), np.sqrt(np.maximum(mean - half, 0) + 1 / 12)
    return long, short, np.arctan2(2 * cov, var_c - var_r) / 2


def centres(labels: LabelImage) -> Numbers:
    """``(row, col)`` of the centre of each label 1 … n on its own grid, shape (n, 2)."""
    flat = ops.labelled(labels)
    label = labels.ravel()[flat] - 1
    rows, cols = (np.bincount(label, index) for index in np.divmod(flat, labels.shape[1]))
    return np.stack([rows, cols], axis=1) / np.bincount(label)[:, None]
