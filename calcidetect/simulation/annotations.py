"""Annotations of films: where soft tissue surely is, how large a pixel is, what is known to lie on the film.

The file is a JSON list of records ``{"film": name, "soft": [[[x, y], ...], ...]}`` with, if known, ``mm_px``,
``region``, ``step_pairs`` ([[bone x, y], [soft tissue beside it x, y]]) and boxes ``real`` and ``ignore``; or a mapping
of film names to polygons. Coordinates are columns, then rows, of the film's own matrix. Further keys are not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask, Points
from calcidetect.errors import ConfigError

STEP_SIGMA_MM = 0.5
"""Gaussian sigma that evens the film out before it is read at `Annotation.step_pairs`."""

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Annotation:
    """What is known of one film; everything in pixels of the film's own matrix.

    Attributes
    ----------
    film
        Name of its file, without folders.
    soft
        Polygons (n, 2) of ``(row, col)``: soft tissue free of bone, text and metal.
    mm_px
        Pixel pitch in mm, or None.
    region
        Body region; empty when unknown.
    step_pairs
        (n, 2, 2): ``(row, col)`` of a point on bone and of one on soft tissue beside it.
    real, ignore
        Boxes ``x0, y0, x1, y1`` of calcification, and of what counts neither way.
    """

    film: str
    soft: tuple[Points, ...] = ()
    mm_px: float | None = None
    region: str = ""
    step_pairs: Points
    real: tuple[Box, ...] = ()
    ignore: tuple[Box, ...] = ()


def read_annotations(path: Path | str) -> dict[str, Annotation]:
    """Read an annotation file.

    Returns
    -------
    dict
        An annotation for each film's name, in the order of the file.

    Raises
    ------
    ConfigError
        When the file can't be read or a record is not as described; the message names the film.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read as JSON annotations: {error}.") from error
    if isinstance(content, dict):
        content = [{"film": film, "soft": polygons} for film, polygons in content.items()]
    if not isinstance(content, list):
        raise ConfigError(f'{path} must hold a list of records or a mapping {{"film.png": [polygons]}}.')
    annotations = [_annotation(record, path, number) for number, record in enumerate(content, start=1)]
    return {annotation.film: annotation for annotation in annotations}


def _annotation(record: Any, path: Path | str, number: int) -> Annotation:
    if not isinstance(record, dict) or not isinstance(record.get("film"), str):
        raise ConfigError(f'{path}: record {number} names no film; write {{"film": "name.png", "soft": [...]}}.')
    name = Path(record["film"]).name
    try:
        return Annotation(
            film=name,
            soft=tuple(_points(outline, (-1, 2)) for outline in record.get("soft") or ()),
            mm_px=_pitch(record.get("mm_px")),
            region=str(record.get("region") or ""),
            step_pairs=_points(record.get("step_pairs") or (), (-1, 2, 2)),
            real=_boxes(record.get("real") or ()),
            ignore=_boxes(record.get("ignore") or ()),
        )
    except (TypeError, ValueError, OverflowError, KeyError) as error:
        raise ConfigError(
            f"{path}: the record of {name} is not as it should be ({error}); polygons and pairs are lists of [x, y], "
            "boxes [x0, y0, x1, y1], mm_px a number above 0."
        ) from error


def _points(corners: Any, shape: tuple[int, ...]) -> Points:
    """[x, y] turned to ``(row, col)``."""
    if len(corners) and np.shape(corners)[-1:] != (2,):
        raise ValueError("a point is not [x, y]")
    points = _finite(corners).reshape(shape)[..., ::-1]
    if len(shape) == 2 and len(points) < 3:
        raise ValueError("a polygon has fewer than three corners")
    return points


def _finite(numbers: Any) -> Points:
    values = np.asarray(numbers, float)
    if not np.isfinite(values).all():
        raise ValueError("a coordinate is not finite")
    return values


def _pitch(mm: Any) -> float | None:
    if mm is None:
        return None
    if not 0 < float(mm) < np.inf:
        raise ValueError(f"mm_px is {mm}")
    return float(mm)


def _boxes(entries: Sequence[Any]) -> tuple[Box, ...]:
    """Boxes given as lists, or as records with a ``box``."""
    sides = [entry["box"] if isinstance(entry, Mapping) else entry for entry in entries]
    boxes = _finite(sides).reshape(-1, 4)
    return tuple((int(x0), int(y0), int(np.ceil(x1)), int(np.ceil(y1))) for x0, y0, x1, y1 in boxes)


def polygon_mask(shape: tuple[int, int], polygons: Sequence[npt.ArrayLike]) -> Mask:
    """Pixels inside any of the polygons, each (n, 2) of ``(row, col)``: bool (rows, cols)."""
    mask = np.zeros(shape, bool)
    for corners in polygons:
        mask |= ops.fill_polygon(shape, corners)
    return mask


def annotated_step(pixels: FloatImage, pairs: Points, *, pixel_mm: float) -> float:
    """Bone step by pairs of points: the median difference of bone and soft tissue, in signal units.

    Parameters
    ----------
    pixels
        float32 (rows, cols), bigger = more attenuation.
    pairs
        (n, 2, 2) of ``(row, col)`` on `pixels`, n > 0; points beyond its edge are moved to it.
    pixel_mm
        Pixel pitch in mm.
    """
    even = ops.gaussian(pixels, max(0.5, STEP_SIGMA_MM / pixel_mm))
    places = np.clip(np.round(pairs), 0, np.array(pixels.shape) - 1).astype(int)
    values = even[places[..., 0], places[..., 1]]
    return float(np.median(values[:, 0] - values[:, 1]))
