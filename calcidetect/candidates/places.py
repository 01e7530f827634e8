"""Where candidates lie, and what images show there and on rings around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage
from calcidetect.candidates.label_regions import LabelRegions

DIRECTIONS = 16
"""Points on a ring."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridPoints:
    """Places on the working grid: float32 (n, m) `rows` and `cols`, pixel centres at integers."""

    rows: FloatImage
    cols: FloatImage

    def ask(self, image: FloatImage, factor: float | tuple[float, float] = 1) -> FloatImage:
        """Values (n, m) of an image whose pixels are `factor` pixels of the working grid wide (down, across)."""
        both = factor if isinstance(factor, tuple) else (factor, factor)
        return ops.sample_on(image, self.rows, self.cols, both)

    def ask_all(self, images: Sequence[FloatImage], factor: tuple[float, float]) -> list[FloatImage]:
        """Values (n, m) of each of many images of one size."""
        return ops.sample_all(images, *ops.on_grid(self.rows, self.cols, factor))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Places:
    """Centres and radii of n candidates on the working grid of `pixel_mm`: float64 (n,) each, in pixels."""

    rows: npt.NDArray[np.float64]
    cols: npt.NDArray[np.float64]
    radius: npt.NDArray[np.float64]
    pixel_mm: float

    def ask(self, image: FloatImage, factor: float | tuple[float, float] = 1) -> FloatImage:
        """Values (n,) at the centres; as for `GridPoints`."""
        return self.centres.ask(image, factor)[:, 0]

    @property
    def centres(self) -> GridPoints:
        """The centres as `GridPoints` (n, 1)."""
        rows, cols = (index[:, None].astype(np.float32) for index in (self.rows, self.cols))
        return GridPoints(rows=rows, cols=cols)

    def ring(self, distance: npt.NDArray[np.float64]) -> GridPoints:
        """`DIRECTIONS` points around each centre, `distance` (n,) pixels off."""
        angle = np.arange(DIRECTIONS) * (2 * np.pi / DIRECTIONS)
        rows = self.rows[:, None] + distance[:, None] * np.sin(angle)
        cols = self.cols[:, None] + distance[:, None] * np.cos(angle)
        return GridPoints(rows=rows.astype(np.float32), cols=cols.astype(np.float32))

    def ring_outside(self, margin_mm: float) -> GridPoints:
        """A ring `margin_mm` outside each candidate's own radius."""
        return self.ring(self.radius + margin_mm / self.pixel_mm)

    def ring_at(self, radius_mm: float) -> GridPoints:
        """A ring of fixed radius around each centre."""
        return self.ring(np.full(len(self.rows), radius_mm / self.pixel_mm))


def places(regions: LabelRegions, pixel_mm: float) -> Places:
    """Where the regions of a label image lie."""
    return Places(rows=regions.rows, cols=regions.cols, radius=regions.radius, pixel_mm=pixel_mm)
