"""Counting over a label image: one entry per label, for all labels at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, LabelImage, Mask

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelRegions:
    """The regions 1 … n of a label image.

    `flat` and `label` say for each pixel of any region where it lies (flat index) and in which (0 … n - 1); `area` in
    pixels, `rows` and `cols` of the centres: float64 (n,).
    """

    flat: npt.NDArray[np.intp]
    label: npt.NDArray[np.intp]
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

    def mean(self, image: FloatImage) -> Numbers:
        """Mean of an image over each region, float64 (n,)."""
        return np.bincount(self.label, image.ravel()[self.flat], len(self.area)) / self.area

    def highest(self, image: FloatImage) -> Numbers:
        """Greatest value of an image in each region, float64 (n,)."""
        order = np.argsort(self.label, kind="stable")
        starts = np.searchsorted(self.label[order], np.arange(len(self.area)))
        return np.maximum.reduceat(image.ravel()[self.flat][order], starts).astype(np.float64)

    def lowest(self, image: FloatImage) -> Numbers:
        """Least value of an image in each region, float64 (n,)."""
        return -self.highest(-image)


def label_regions(labels: LabelImage) -> LabelRegions:
    """Count over int32 (rows, cols) labels 1 … n, none of them missing."""
    flat = np.flatnonzero(labels)
    label = labels.ravel()[flat].astype(np.intp) - 1
    area = np.bincount(label).astype(float)
    rows, cols = np.divmod(flat, labels.shape[1])
    return LabelRegions(
        flat=flat,
        label=label,
        area=area,
        rows=np.bincount(label, rows) / area,
        cols=np.bincount(label, cols) / area,
    )


def centres(labels: LabelImage) -> Numbers:
    """``(row, col)`` of the centre of each label 1 … n on its own grid, shape (n, 2)."""
    return label_regions(labels).centres


def bounding_box(mask: Mask) -> tuple[Numbers, Numbers]:
    """First row and column of a mask, and its height and width; the whole array where the mask is empty."""
    spans = [np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0)]
    if not len(spans[0]):
        return np.zeros(2), np.array(mask.shape, float)
    return np.array([span[0] for span in spans], float), np.array([np.ptp(span) + 1 for span in spans], float)
