"""How large a film of unknown pitch is: a second judgement, once its looks have been judged at a first one.

`region_model` tells a film's size by what it shows, and takes a close-up for the whole part. How much of a film's
signal lies in structures of so many millimetres says more: on a film taken for too large everything is coarse. Fitted
by ``benchmarks/fit_size.py``.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.anatomy.region_model import Look
from calcidetect.arrays import FloatImage, Mask
from calcidetect.trees import BoostedTables, load_tables, log_odds
from calcidetect.types import Field, Radiograph

BANDS_MM = (0.28, 0.56, 1.12, 2.24, 4.48, 8.96)
"""Gaussian sigmas, at the pitch assumed; a band lies between two neighbours, the first below the least."""

LEAST_SHARE = 1e-4
"""Of the body's standard deviation: what a band holds at least, so that its logarithm is finite."""

LARGEST_MM = 450.0
"""No film of the fit was taken for larger: beyond, tables draw whole legs of 870 mm to 500, and are not asked."""

MOST_CHANGE = 1.2
"""Greatest change of log size; close-ups of two fifths of a film need 0.9."""


def longer_side(field: Field) -> int:
    """Longer side of the box around the exposed field, in pixels of its grid."""
    return int(ops.bounding_box(field.mask)[1].max())


def judge_side_mm(radiograph: Radiograph, field: Field, *, look: Look, tables: BoostedTables | None = None) -> float:
    """Judge the longer side of the exposed field.

    Parameters
    ----------
    radiograph
        The film on the working grid, at the pitch assumed so far; bone bright.
    field
        Its exposed field; the body must hold at least one pixel.
    look
        What `region_model.look_at` made of it.
    tables
        Fitted on `size_features`; None for those shipped.

    Returns
    -------
    float
        In mm, > 0. Sizes operators, is never printed.
    """
    assumed_mm = longer_side(field) * radiograph.grid.nominal_mm
    if assumed_mm > LARGEST_MM:
        return assumed_mm
    tables = tables or load_tables("film_size")
    features = size_features(radiograph, field, look=look)
    change = log_odds(tables, [np.array([features[name]], np.float32) for name in tables.names])[0]
    return float(assumed_mm * np.exp(np.clip(change, -MOST_CHANGE, MOST_CHANGE)))


def size_features(radiograph: Radiograph, field: Field, *, look: Look) -> dict[str, float]:
    """Describe a film by what tells its size: looks, crop, pixels as read, and its signal by structures' size.

    Parameters
    ----------
    radiograph, field, look
        See `judge_side_mm`.

    Returns
    -------
    dict of float
        Names and values, none of which a gain or an offset changes.
    """
    rows, cols = field.body.shape
    features = {
        "log_side": float(np.log(longer_side(field) * radiograph.grid.nominal_mm)),
        "log_pixel": float(np.log(radiograph.grid.nominal_mm / radiograph.grid.step[0])),
        "tallness": float(np.log(rows / cols)),
        "air": 1 - float(field.body.mean()),
    }
    features |= {f"look_{name}": chance for name, chance in look.chances.items()}
    features |= {f"edge_{place}": share for place, share in enumerate(_edges(field.body))}
    return features | _bands(radiograph.pixels, field.body, pixel_mm=radiograph.grid.nominal_mm)


def _edges(body: Mask) -> list[float]:
    """Share of each of the four edges that the body reaches, rising."""
    return sorted(float(edge.mean()) for edge in (body[0], body[-1], body[:, 0], body[:, -1]))


def _bands(pixels: FloatImage, body: Mask, *, pixel_mm: float) -> dict[str, float]:
    """Log standard deviation in the body of each band against that of all."""
    levels = [pixels, *(ops.smooth(pixels, sigma / pixel_mm) for sigma in BANDS_MM)]
    whole = _deviation(pixels, body)
    shares = [_deviation(fine - coarse, body) / max(whole, 1e-9) for fine, coarse in pairwise(levels)]
    return {f"band_{k}": float(np.log(max(share, LEAST_SHARE))) for k, share in enumerate(shares)}


def _deviation(image: FloatImage, body: npt.NDArray[np.bool_]) -> float:
    return float(image[body].std(dtype=np.float64))
