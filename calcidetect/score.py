"""The second stage: how likely each candidate is calcification, by fitted tables on its features."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from calcidetect.trees import load_tables, log_odds, probability
from calcidetect.types import Candidate

OPERATING_POINT = 0.5
"""Shipped least score of a mark; see benchmarks/README.md for the false marks a film that it costs."""


def scores(features: dict[str, npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Probability of calcification for each candidate.

    Parameters
    ----------
    features
        From `measure.candidate_features`: float32 (n,) each.

    Returns
    -------
    float32 (n,), 0 to 1
    """
    if not features:
        return np.zeros(0, np.float32)
    tables = load_tables("score")
    return probability(log_odds(tables, [features[name] for name in tables.names]))


def rank(candidates: Sequence[Candidate], chances: npt.NDArray[np.float32]) -> tuple[Candidate, ...]:
    """Candidates with their scores, numbered 1, 2, … by falling score."""
    order = np.argsort(-chances, kind="stable")
    return tuple(
        dataclasses.replace(candidates[i], id=number, score=float(chances[i]), label="calcification")
        for number, i in enumerate(order, start=1)
    )
