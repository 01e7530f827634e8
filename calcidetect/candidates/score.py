"""The second stage: how likely each candidate is calcification, by fitted tables on its features."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calcidetect.trees import contributions, load_tables, log_odds, probability

OPERATING_POINT = 0.65
"""Shipped least score of a mark; see benchmarks/README.md for the false marks a film that it costs."""


REASONS = 8
"""How many features a candidate's score is explained by."""


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


def reasons(features: dict[str, npt.NDArray[np.float32]]) -> tuple[dict[str, float], ...]:
    """Say why each candidate has its score.

    Parameters
    ----------
    features
        As for `scores`, of n candidates; more are not looked at.

    Returns
    -------
    tuple of dict
        For each candidate the `REASONS` features that moved its log-odds most, by falling weight, and how far: above 0
        towards calcification.
    """
    if not any(len(column) for column in features.values()):
        return ()
    tables = load_tables("score")
    moved, _ = contributions(tables, [features[name] for name in tables.names])
    strongest = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, :REASONS]
    return tuple(
        {tables.names[column]: round(float(row[column]), 4) for column in columns}
        for row, columns in zip(moved, strongest, strict=True)
    )
