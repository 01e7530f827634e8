"""What a deposit looks like: one of a closed set of words, by the extent, slimness and filling of its outline.

The words are those of radiologists for calcinosis (punctate, nodular, amorphous, linear, sheet-like, tumoral). Bounds
were chosen on 251 deposits put into 47 films and found there, of which often no more than the denser half is seen;
``benchmarks/HISTORY.md`` has the table of confusions.
"""

from __future__ import annotations

import numpy as np

from calcidetect import ops
from calcidetect.arrays import Mask
from calcidetect.candidates.label_regions import axes, label_regions

POINT_MM = 2.5
"""What is no longer than this is punctate."""

SLIM, LINE_MM = 2.5, 3.0
"""A line is so many times as long as it is wide, and at least this long."""

TUMOR_MM = 6.5
"""Diameter of the disc of equal area from which a compact deposit is tumoral."""

SHEET_MM, SPARSE = 7.5, 0.75
"""A sheet is at least this long and fills less than this share of its hull."""

COMPACT = 0.7
"""A tumoral deposit fills at least this share of its hull; its lobules leave bays."""

ROUND = 0.95
"""A nodule fills at least this share of its hull."""


def look(mask: Mask, *, pixel_mm: float) -> str:
    """Name the look of one deposit.

    Parameters
    ----------
    mask
        bool (rows, cols): its pixels, one or several parts; not empty.
    pixel_mm
        Pitch of the mask.

    Returns
    -------
    str
        One of `types.LOOKS`.
    """
    long_mm, short_mm = axes_mm(mask, pixel_mm)
    area = int(mask.sum())
    filling = area / max(int(ops.convex_hull(mask).sum()), area)
    if long_mm <= POINT_MM:
        return "punctate"
    if long_mm >= LINE_MM and long_mm >= SLIM * short_mm:
        return "linear"
    if 2 * np.sqrt(area / np.pi) * pixel_mm >= TUMOR_MM and filling >= COMPACT:
        return "tumoral"
    if long_mm >= SHEET_MM and filling < SPARSE:
        return "sheet"
    return "nodular" if filling >= ROUND else "amorphous"


def axes_mm(mask: Mask, pixel_mm: float) -> tuple[float, float]:
    """Long and short axis of the ellipse with the second moments of a mask, in mm."""
    long, short, _ = axes(label_regions(mask.astype(np.int32)), mask.shape[1])
    return 4 * float(long[0]) * pixel_mm, 4 * float(short[0]) * pixel_mm
