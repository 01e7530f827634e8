"""The first sieve: which blobs are worth an outline and three hundred measures, by a few answers at their centres.

A chest film has ten times as many bright blobs as a film can be searched for in time, most of them ribs and vessels of
the lung; the strongest are not those that matter. A cascade of a cheap and a dear classifier after Viola and Jones 2001
(doi:10.1109/CVPR.2001.990517). Fitted by ``benchmarks/fit_seeds.py``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import Column
from calcidetect.candidates.blobs import BlobScale
from calcidetect.candidates.places import Places
from calcidetect.candidates.surroundings import Features, blob_answers
from calcidetect.trees import BoostedTables, log_odds
from calcidetect.types import Anatomy

NEAR_MM = 4.0
"""Gaussian sigma of bone and lung near a blob."""

SKIN_LIMIT_MM = 20.0
"""Distances from the skin count no further than this."""


def seed_features(places: Places, blobs: tuple[BlobScale, ...], *, anatomy: Anatomy, snr: Column) -> Features:
    """Measure blobs at their centres.

    Parameters
    ----------
    places
        Of n blobs; their radius is that of the disc that their filter answers most strongly.
    blobs
        What `film_blobs` found on the film.
    anatomy
        The film's bone, lung and body.
    snr
        (n,): answer of each blob's own filter over local clutter.

    Returns
    -------
    dict
        Feature name to (n,); see `surroundings.blob_answers`.
    """
    bone, lung = anatomy.bone_probability, anatomy.lung_probability
    sigma = NEAR_MM / places.pixel_mm
    near = {name: places.ask(*ops.smooth_small(plane, sigma)) for name, plane in (("bone", bone), ("lung", lung))}
    skin_mm = places.ask(anatomy.skin_distance_px) * places.pixel_mm
    return blob_answers(places, blobs) | {
        "snr": snr,
        "radius_mm": places.radius * places.pixel_mm,
        "bone": places.ask(bone),
        "bone_near": near["bone"],
        "lung_near": near["lung"],
        "skin_mm": np.minimum(skin_mm, SKIN_LIMIT_MM),
    }


def promise(features: Features, tables: BoostedTables) -> npt.NDArray[np.float32]:
    """Log-odds, float32 (n,), that a blob lies on a deposit."""
    return log_odds(tables, [np.asarray(features[name], np.float32) for name in tables.names])
