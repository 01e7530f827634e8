"""How brightness goes up and down on rings around a candidate: edges, ridges and crossings, and which way they lie.

A bright edge beside a candidate is one wave on a ring around it, a ridge through it two, a crossing of ribs four.
"""

from __future__ import annotations

import numpy as np

from calcidetect.arrays import Column, FloatImage
from calcidetect.candidates.places import DIRECTIONS, Places
from calcidetect.candidates.surroundings import Evened, Features

HIGHEST = 6
"""Angular harmonics that are measured."""

FAR_RING_MM = 26.0
OWN_RINGS = (1.0, 1.5, 2.2, 3.2)
"""Rings at these multiples of a candidate's own radius."""

SPREAD_FLOOR_STEPS = 0.02
"""Rings that vary by less than this many bone steps are even."""


def angular_harmonics(places: Places, film: Evened, *, rings: dict[str, FloatImage], outwards: Column) -> Features:
    """Angular harmonics on rings of fixed radii, on one farther out, and on rings of each candidate's size.

    Parameters
    ----------
    places
        Of n candidates.
    film
        In bone steps.
    rings
        Name to float32 (n, `DIRECTIONS`), from `fixed_rings`.
    outwards
        (n,): 1 where larger columns lie farther from the midline, else -1, so that both sides count alike.

    Returns
    -------
    dict
        Feature name to (n,).
    """
    far = {f"{FAR_RING_MM:g}mm": places.ring_at(FAR_RING_MM).ask(film.smooth)}
    own = {f"x{factor:g}": places.ring(factor * places.radius).ask(film.fine) for factor in OWN_RINGS}
    return _harmonics(rings | far, outwards) | _harmonics(own, outwards)


def _harmonics(rings: dict[str, FloatImage], outwards: Column) -> Features:
    """Strength of each harmonic in spreads of all these rings, and direction of the first two."""
    spread = np.concatenate(list(rings.values()), axis=1).std(axis=1) + SPREAD_FLOOR_STEPS
    features: Features = {}
    for name, ring in rings.items():
        harmonics = np.fft.rfft(ring, axis=1)[:, 1 : HIGHEST + 1].T / (DIRECTIONS * spread)
        features |= {f"harmonic{order}_{name}": np.abs(harmonic) for order, harmonic in enumerate(harmonics, start=1)}
        edge, ridge = harmonics[:2]
        features |= {
            f"brighter_below_{name}": -edge.imag,
            f"brighter_outwards_{name}": edge.real * outwards,
            f"ridge_across_{name}": ridge.real,
            f"ridge_slanting_{name}": ridge.imag * outwards,
        }
    return features
