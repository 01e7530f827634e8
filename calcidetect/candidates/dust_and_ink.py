"""What lies on the film and not in the patient: dust, scratches, letters and arrows; told by the film's own pixels.

On the working grid they are as blurred as a small deposit. In the film's own pixels they are not: a deposit is drawn
out by detector, focal spot and its own extent of a millimetre or more, and its mineral is gritty.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage, Mask

FINE_MM = 0.25
"""On films of larger pixels a speck of one pixel is as large as a small deposit."""

SPECK_MM = 0.5
"""Diameter of the disc of equal area above half its height, of the largest part of a speck: 0.34 to 0.48 mm for five
annotated specks of dust, 0.59 mm and more for 213 deposits of 1 to 30 mm put into 23 films."""

SPECK_NOISE = 6.0
"""A speck rises so many sigmas of the film's grain above its surroundings: the grain of a faint deposit does not."""

INK_TOP, INK_FLAT, INK_PX = 0.9, 0.6, 12
"""Of what rises half-way, this share of a letter's pixels, at least so many, comes this near to its top: 1.0 of a
letter's, 0.5 of deposits' at the 99th percentile of 329 …"""

INK_EDGE, INK_EDGE_HEIGHTS = 1.0, (0.15, 0.85)
"""… and pixels between these heights are fewer than those along its rim: none at a letter, 1.2 to a pixel of the rim
and more at the same deposits, where the beam's blur widens the edge."""

EDGE_REACH_PX = 2

MARGIN_MM = 1.5
"""Surroundings reach this far around a candidate's box."""


def lie_on_film(film: FloatImage, labels: LabelImage, *, pixel_mm: float) -> npt.NDArray[np.bool_]:
    """Say which candidates are nothing but specks, or strokes that were drawn.

    Parameters
    ----------
    film
        float32 (rows, cols): the film in its own matrix.
    labels
        int32 (rows, cols) on the working grid: candidates 1 … n, none missing.
    pixel_mm
        Pitch of `labels`.

    Returns
    -------
    bool (n,)
    """
    boxes = ops.label_boxes(labels)
    factor = np.divide(film.shape, labels.shape)
    film_mm = pixel_mm / float(factor[0])
    largest_px = np.pi / 4 * (SPECK_MM / film_mm) ** 2 if film_mm <= FINE_MM else 0.0
    windows = (_window(film, box, factor, margin=round(MARGIN_MM / film_mm)) for box in boxes)
    return np.array([_lies_on_film(window, inside, largest_px=largest_px) for window, inside in windows], bool)


def _window(
    film: FloatImage, box: tuple[slice, slice], factor: npt.NDArray[np.float64], *, margin: int
) -> tuple[FloatImage, Mask]:
    """The film around a box of the working grid, whose pixels are `factor` of its own, and what is in that box."""
    low = np.floor([side.start for side in box] * factor).astype(int)
    high = np.ceil([side.stop for side in box] * factor).astype(int)
    corner = np.maximum(low - margin, 0)
    window = film[corner[0] : high[0] + margin, corner[1] : high[1] + margin]
    inside = np.zeros(window.shape, bool)
    inside[low[0] - corner[0] : high[0] - corner[0], low[1] - corner[1] : high[1] - corner[1]] = True
    return window, inside


def _lies_on_film(window: FloatImage, inside: Mask, *, largest_px: float) -> bool:
    """Whether what rises half-way to the top of what is `inside` is a speck of `largest_px` at most, or drawn."""
    around = window[~inside]
    if not len(around):
        return False
    level = np.median(around)
    height = window[inside].max() - level
    if height <= 0:
        return False
    labels, boxes, _ = ops.components(window >= level + height / 2)
    parts = np.unique(labels[inside])
    parts = parts[parts > 0]
    is_speck = (
        height >= SPECK_NOISE * ops.normal_sigma(around - level) and boxes[parts - 1, 4].max(initial=0) <= largest_px
    )
    return bool(is_speck or _is_ink((window - level) / height, np.isin(labels, parts)))


def _is_ink(share: FloatImage, part: Mask) -> bool:
    """Whether a part, whose brightness is given in shares of its height, is of one grey and rises within a pixel."""
    if part.sum() < INK_PX or np.mean(share[part] > INK_TOP) < INK_FLAT:
        return False
    low, high = INK_EDGE_HEIGHTS
    edge = ops.dilate(part, EDGE_REACH_PX) & (share > low) & (share < high)
    return bool(edge.sum() < INK_EDGE * (part & ~ops.erode(part, 1)).sum())
