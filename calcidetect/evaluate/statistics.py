"""What the scores of marks and deposits amount to: FROC, wAFROC, and how sure that is.

A bootstrap draw of films is a row of weights: how often each film was drawn. Every figure is a function of such rows,
shape (draws, films), so that one call gives the figure itself (each film once) and its spread. `scipy.stats.bootstrap`
would copy the marks of each draw instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Weights = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]

FALSE_MARKS = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)
"""False marks a film at which sensitivity is averaged (LUNA16)."""

DRAWS = 1000
LEVEL = 0.95
"""Share of draws that an interval holds (percentile bootstrap, Efron 1979, doi:10.1214/aos/1176344552)."""

_ROUNDING = 1e-9
_MARKS_ENOUGH = 4
"""So many times the false marks asked for nearly always hold those of a draw, whose films may repeat."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of every mark and every deposit of some films.

    Attributes
    ----------
    films
        Number of films, numbered from 0.
    false_film, false_score
        int and float (n,): film and score of each false mark, by falling score.
    deposit_film, best
        int and float (m,): film of each deposit, and the highest score of a mark that hits it, -inf without any.
    """

    films: int
    false_film: npt.NDArray[np.intp]
    false_score: Numbers
    deposit_film: npt.NDArray[np.intp]
    best: Numbers

    def __post_init__(self) -> None:
        if np.any(np.diff(self.false_score) > 0):
            raise ValueError("false marks must come by falling score")

    @property
    def lesion_free(self) -> npt.NDArray[np.bool_]:
        """Films without deposits, bool (films,)."""
        return np.bincount(self.deposit_film, minlength=self.films) == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its 95 % bootstrap interval; None where films or deposits are missing to compute it."""

    value: float | None
    low: float | None
    high: float | None


def froc(
    score: npt.ArrayLike, deposit: npt.ArrayLike, *, deposits: int, films: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Free-response curve.

    Parameters
    ----------
    score
        Score of every mark of every film, shape (n,).
    deposit
        Number of the deposit that each mark hits, unique over films, or -1 for a false mark, shape (n,).
    deposits, films
        How many there are in all, >= 1.

    Returns
    -------
    false_marks, sensitivity : float (m,)
        At every threshold from the strictest on: false marks a film, share of deposits hit at least once.
    """
    score, deposit = np.asarray(score, float), np.asarray(deposit, int)
    order = np.argsort(-score, kind="stable")
    ordered = deposit[order]
    first = np.zeros(len(ordered), bool)
    real = np.flatnonzero(ordered >= 0)
    first[real[np.unique(ordered[real], return_index=True)[1]]] = True
    last_of_tie = np.append(np.diff(score[order]) != 0, True)[: len(order)]
    false_marks, found = np.cumsum(ordered < 0) / films, np.cumsum(first) / deposits
    return false_marks[last_of_tie], found[last_of_tie]


def sensitivity_at(
    false_marks: npt.NDArray[np.float64], sensitivity: npt.NDArray[np.float64], at: Sequence[float] = FALSE_MARKS
) -> npt.NDArray[np.float64]:
    """Highest sensitivity with at most each of `at` false marks a film; their mean is the usual single figure."""
    reached = np.searchsorted(false_marks, np.asarray(at) + 1e-12, side="right")
    return np.concatenate([[0.0], sensitivity])[reached]


def case_weights(cases: Sequence[str], *, draws: int = DRAWS, seed: int = 0) -> Weights:
    """How often each film is drawn when cases are drawn with replacement.

    Parameters
    ----------
    cases
        The case that each film belongs to; films of one case are drawn together, as they are alike.
    draws, seed
        Number of draws, and seed of the draws.

    Returns
    -------
    int (1 + draws, films)
        Row 0 holds every film once.
    """
    names, number = np.unique(np.asarray(cases, str), return_inverse=True)
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)
    return np.vstack([np.ones((1, len(number)), np.int64), drawn[:, number]])


def critical_scores(outcome: Outcome, weights: Weights, *, at: Sequence[float] = FALSE_MARKS) -> Numbers:
    """Scores that a mark must exceed for a draw to keep to each of `at` false marks a film; float (draws, len(at)).

    Marks of equal score stand or fall together, as in `froc`.
    """
    scores = np.append(outcome.false_score, -np.inf)
    enough = int(_MARKS_ENOUGH * max(at) * outcome.films)
    rows = []
    for drawn in weights:  # one draw at a time: all at once would take draws x marks of memory
        allowed = np.asarray(at) * drawn.sum() + _ROUNDING
        count = np.cumsum(drawn[outcome.false_film[:enough]])
        if not len(count) or count[-1] <= allowed.max():
            count = np.cumsum(drawn[outcome.false_film])
        rows.append(scores[np.searchsorted(count, allowed, side="right")])
    return np.array(rows)


def share_above(
    outcome: Outcome, weights: Weights, critical: Numbers, *, counted: npt.NDArray[np.bool_] | None = None
) -> Numbers:
    """Share of deposits whose best mark scores above a critical score.

    Parameters
    ----------
    outcome
        Of m deposits.
    weights
        int (draws, films).
    critical
        float (draws, k), see `critical_scores`.
    counted
        bool (m,): the deposits that count, all without it.

    Returns
    -------
    float (draws, k)
        NaN where a draw holds no deposit that counts.
    """
    weight = weights[:, outcome.deposit_film] * (1 if counted is None else counted)
    found = [np.sum(weight * (outcome.best > level[:, None]), axis=1) for level in critical.T]
    return _ratio(np.stack(found, axis=1), weight.sum(axis=1)[:, None])


def share_found(
    outcome: Outcome,
    weights: Weights,
    found: npt.NDArray[np.bool_],
    *,
    counted: npt.NDArray[np.bool_] | None = None,
) -> Numbers:
    """Share of deposits that are `found`, bool (m,), among those `counted`; float (draws,), NaN without any."""
    weight = weights[:, outcome.deposit_film] * (1 if counted is None else counted)
    return _ratio(weight @ found, weight.sum(axis=1))


def mean_false_marks(outcome: Outcome, weights: Weights, *, least: float) -> Numbers:
    """False marks a film that score `least` or more; float (draws,), NaN where a draw holds no film."""
    counts = np.bincount(outcome.false_film[outcome.false_score >= least], minlength=outcome.films)
    return _ratio(weights @ counts, weights.sum(axis=1))


def wafroc(outcome: Outcome, weights: Weights) -> Numbers:
    """Area under the weighted alternative free-response curve.

    Lesion localisation fraction, deposits weighted equally within a film and films equally, against the share of
    lesion-free films with a false mark: the chance that a deposit is rated above the highest false mark of a film
    (Chakraborty and Zhai 2016, doi:10.1118/1.4947125). Ties, also of a missed deposit with a film that has no false
    mark, count one half, which is the straight line to (1, 1). Where no film is lesion-free, the highest false marks of
    all films stand in for theirs (Chakraborty's wAFROC1).

    Parameters
    ----------
    outcome
        Marks and deposits.
    weights
        int (draws, films).

    Returns
    -------
    float (draws,)
        0 to 1; NaN where a draw holds no deposit or no film to take false marks from.
    """
    rivals = np.flatnonzero(outcome.lesion_free) if outcome.lesion_free.any() else np.arange(outcome.films)
    highest = np.full(outcome.films, -np.inf)
    np.maximum.at(highest, outcome.false_film, outcome.false_score)
    rivals = rivals[np.argsort(highest[rivals])]
    drawn = np.pad(np.cumsum(weights[:, rivals], axis=1), ((0, 0), (1, 0)))
    below, up_to = (drawn[:, np.searchsorted(highest[rivals], outcome.best, side=side)] for side in ("left", "right"))
    share = 1 / np.bincount(outcome.deposit_film, minlength=outcome.films)[outcome.deposit_film]
    weight = weights[:, outcome.deposit_film] * share
    return _ratio(np.sum(weight * (below + up_to) / 2, axis=1), weight.sum(axis=1) * drawn[:, -1])


def estimate(values: npt.ArrayLike) -> Estimate:
    """The figure, first of `values` (1 + draws,), and the interval of the others; draws without a figure left out."""
    figure, *drawn = np.asarray(values, float)
    usable = np.array(drawn)[np.isfinite(drawn)]
    if not np.isfinite(figure):
        return Estimate(value=None, low=None, high=None)
    if len(usable) == 0:
        return Estimate(value=float(figure), low=None, high=None)
    low, high = np.quantile(usable, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=float(figure), low=float(low), high=float(high))


def _ratio(above: npt.ArrayLike, below: npt.ArrayLike) -> Numbers:
    """Quotient, NaN where `below` is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, float), np.asarray(below, float))
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)
