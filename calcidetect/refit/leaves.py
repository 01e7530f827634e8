"""The fit: the questions of the shipped tables stay, their leaves move as far as decisions speak for it.

Ridge-penalised logistic regression on which leaves a candidate reaches, with the shipped leaves as the prior's mean:
without decisions nothing moves, and a leaf that no candidate reaches stays as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import optimize, sparse
from scipy.special import expit, log_expit

from calcidetect.refit.material import JudgedCandidates
from calcidetect.trees import BoostedTables, leaf_indices

PRIOR_LOG_ODDS = 1.0
"""How far a fit lets one candidate's log-odds stray from the shipped ones, as a standard deviation of the prior."""

_MOST_STEPS = 200


def refitted(tables: BoostedTables, films: Sequence[JudgedCandidates]) -> BoostedTables:
    """Fit the leaves of tables on candidates that hit a deposit against those that hit none.

    Parameters
    ----------
    tables
        The questions, and the leaves to start from.
    films
        Candidates of films; ignored ones are not looked at.
    """
    design = sparse.vstack([_design(tables, film) for film in films], format="csr")
    truth = np.concatenate([film.deposit[film.counted] >= 0 for film in films])
    prior = tables.leaf.astype(np.float64).ravel()
    sign = np.where(truth, 1.0, -1.0)
    # All leaves that a candidate reaches add up: their prior variances sum to the square of PRIOR_LOG_ODDS.
    stiffness = len(tables.feature) / PRIOR_LOG_ODDS**2
    start = design @ prior + tables.bias

    def loss(moved: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = sign * (start + design @ moved)
        value = -log_expit(margin).sum() + stiffness / 2 * (moved @ moved)
        return value, stiffness * moved - design.T @ (sign * expit(-margin))

    fit = optimize.minimize(loss, np.zeros_like(prior), jac=True, method="L-BFGS-B", options={"maxiter": _MOST_STEPS})
    leaf = (prior + fit.x).reshape(tables.leaf.shape).astype(np.float32)
    return dataclasses.replace(tables, leaf=leaf)


def _design(tables: BoostedTables, film: JudgedCandidates) -> sparse.csr_array:
    """Which leaves the counted candidates reach: 1 in as many of (candidates, leaves) as there are tables."""
    counted = film.counted
    if not counted.any():
        return sparse.csr_array((0, tables.leaf.size))
    index = leaf_indices(tables, [film.features[name][counted] for name in tables.names]).astype(np.int32)
    columns = index + np.arange(index.shape[1], dtype=np.int32) * tables.leaf.shape[1]
    rows = np.arange(len(index) + 1) * index.shape[1]
    return sparse.csr_array((np.ones(columns.size), columns.ravel(), rows), shape=(len(index), tables.leaf.size))
