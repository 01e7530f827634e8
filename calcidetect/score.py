"""The second stage: how likely each candidate is calcification, by fitted tables on its features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect.trees import load_tables, log_odds, probability

OPERATING_POINT = 0.6
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
