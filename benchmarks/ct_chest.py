"""How well the program reads the projection of a chest CT: bone against exact masks, and false marks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ct_projection import BONES, Projection, project, read_volume

from calcidetect import ops, pipeline
from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.evaluate import boundary_distances, dice
from calcidetect.types import Scan

FOUND, MISSED, FALSE = (0.2, 0.8, 0.2), (0.2, 0.4, 1.0), (1.0, 0.2, 0.1)
TINT = 0.35
"""Colours of the picture as red, green and blue, and their share in it."""


def ct_figures(folder: Path, picture: Path, *, seed: int) -> dict[str, Any]:
    """Project the CT of a folder, scan it, and compare; draws where bone agrees.

    Returns
    -------
    dict
        ``dice``, ``mean_mm`` (between the outlines) and ``precision`` (share of the bone found that is bone) of all
        bone, ``recall`` by part, and the false marks, as the CT is taken to hold no deposits.
    """
    projection = project(read_volume(folder), seed=seed)
    scan = pipeline.scan(projection.radiograph, min_score=0)
    found = ops.resize_mask(scan.anatomy.bone, projection.radiograph.grid.source_shape)
    _draw(projection, found, picture)
    return _bone(projection, found) | _false_marks(scan)


def _bone(projection: Projection, found: np.ndarray) -> dict[str, Any]:
    masks, bone = projection.masks, projection.masks["bone"]
    truth = np.where(bone, 2, 1).astype(np.uint8)
    edges = boundary_distances(found, truth, pixel_mm=projection.radiograph.grid.nominal_mm)
    return {
        "dice": dice(found, truth),
        "mean_mm": edges.mean_mm if edges else None,
        "precision": float(bone[found].mean()) if found.any() else None,
        "recall": {"bone": float(found[bone].mean())}
        | {name: float(found[masks[name]].mean()) for name in BONES if name in masks},
    }


def _false_marks(scan: Scan) -> dict[str, Any]:
    scores = [mark.score for mark in scan.report.marks]
    return {
        "false_marks": sum(score >= OPERATING_POINT for score in scores),
        "highest_false_score": max(scores, default=None),
    }


def _draw(projection: Projection, found: np.ndarray, path: Path) -> None:
    """The film, and beside it the same tinted where bone was found, missed or made up."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and only drawing needs it

    film, bone = projection.radiograph, projection.masks["bone"]
    grey = (film.pixels / max(float(film.pixels.max()), 1.0))[..., None].repeat(3, axis=2)
    tinted = grey.copy()
    for mask, colour in ((bone & found, FOUND), (bone & ~found, MISSED), (found & ~bone, FALSE)):
        tinted[mask] = (1 - TINT) * grey[mask] + TINT * np.array(colour)
    figure = Figure(figsize=(14, 6), dpi=110, layout="constrained")
    titles = ("Projection of the CT", "Bone: found green, missed blue, false red")
    for axes, picture, title in zip(figure.subplots(1, 2), (grey, tinted), titles, strict=True):
        axes.imshow(picture)
        axes.set_axis_off()
        axes.set_title(title)
    figure.savefig(path)
