"""The second stage: how likely each candidate is calcification, by fitted tables on its features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from calcidetect.config import unpinned
from calcidetect.errors import ConfigError
from calcidetect.trees import BoostedTables, contributions, load_tables, log_odds, parse_tables, probability

OPERATING_POINT = 0.6
"""Shipped least score of a mark; see benchmarks/README.md for the false marks a film that it costs."""


OWN_TABLES = {"chest": "score_chest", "shoulder": "score_girdle", "hip": "score_girdle"}
"""Shipped tables of regions that have their own. Those of chest films were fitted on chest films and phantoms alone: on
three groups of films left out, yet without phantoms, mean sensitivity 0.53, 0.56 and 0.56, by the tables of all regions
0.52, 0.51 and 0.50. Those of the girdles were fitted on chest, shoulder and hip films: on 49 copies of seven shoulder
films left out 0.77 instead of 0.74, on 28 of four hip films 0.76 instead of 0.72 (on chest films 0.54, their own 0.55).
"""

REASONS = 8
"""How many features a candidate's score is explained by."""


def tables_of(setting: str, region: str = "") -> BoostedTables:
    """Tables that score candidates: the shipped ones of a region, or those of the setting ``score.tables`` for all.

    Parameters
    ----------
    setting
        Value of ``score.tables``; empty for the shipped ones.
    region
        A name of `regions.NAMES`; empty, as most names, for the tables of all regions.

    Raises
    ------
    ConfigError
        When the file is no such tables, asks for what is not measured, or has changed.
    """
    return _read_tables(unpinned(setting)) if setting else load_tables(OWN_TABLES.get(region, "score"))


def _read_tables(path: str) -> BoostedTables:
    try:
        tables = parse_tables(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} holds no tables of the scorer ({error}); give a file of calcidetect fit.") from error
    measured = {name for shipped in ("score", *OWN_TABLES.values()) for name in load_tables(shipped).names}
    strange = set(tables.names) - measured
    if strange:
        raise ConfigError(f"{path} asks for {min(strange)}, which this version does not measure; fit it again.")
    return tables


def check_min_score(value: float | None) -> None:
    """Raise ConfigError unless a least score is one, or None."""
    if value is not None and not 0 <= value <= 1:
        raise ConfigError(f"The lowest score must lie between 0 and 1, got {value}.")


def scores(
    features: dict[str, npt.NDArray[np.float32]], tables: BoostedTables | None = None
) -> npt.NDArray[np.float32]:
    """Probability of calcification for each candidate.

    Parameters
    ----------
    features
        From `features.candidate_features`: float32 (n,) each.
    tables
        From `tables_of`; None for the shipped ones.

    Returns
    -------
    float32 (n,), 0 to 1
    """
    if not features:
        return np.zeros(0, np.float32)
    tables = tables or load_tables("score")
    return probability(log_odds(tables, [features[name] for name in tables.names]))


def reasons(
    features: dict[str, npt.NDArray[np.float32]], tables: BoostedTables | None = None
) -> tuple[dict[str, float], ...]:
    """Say why each candidate has its score.

    Parameters
    ----------
    features, tables
        As for `scores`, of n candidates; more are not looked at.

    Returns
    -------
    tuple of dict
        For each candidate the `REASONS` features that moved its log-odds most, by falling weight, and how far: above 0
        towards calcification.
    """
    if not any(len(column) for column in features.values()):
        return ()
    tables = tables or load_tables("score")
    moved, _ = contributions(tables, [features[name] for name in tables.names])
    strongest = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, :REASONS]
    return tuple(
        {tables.names[column]: round(float(row[column]), 4) for column in columns}
        for row, columns in zip(moved, strongest, strict=True)
    )
