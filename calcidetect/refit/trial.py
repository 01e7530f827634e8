"""Before and after, on films held out: each is scored by tables fitted without its case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from calcidetect.errors import EvaluationError
from calcidetect.evaluate import froc, sensitivity_at
from calcidetect.refit.leaves import refitted
from calcidetect.refit.material import JudgedCandidates
from calcidetect.trees import BoostedTables, log_odds

FOLDS = 5
FEW_CASES, FEW_DEPOSITS = 20, 40
"""Below these the figures are mostly chance: with 40 deposits, a sensitivity of one half is good to 0.15 either way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How well scores tell deposits from other candidates: mean sensitivity at 1/8 to 8 false marks, AUC, log-loss.

    `sensitivity` counts candidates before neighbours are joined and mimics told apart.
    """

    sensitivity: float
    auc: float
    log_loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Figures on held-out films with the tables as they were and fitted anew; None where there is a single case."""

    films: int
    cases: int
    deposits: int
    candidates: int
    before: Figures | None
    after: Figures | None
    left_out: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """What a user should know, in words."""
        head = (
            *self.left_out,
            f"{self.films} films of {self.cases} cases, {self.deposits} deposits, {self.candidates} candidates",
        )
        if self.before is None or self.after is None:
            return (*head, "Nothing could be held out: deposits on at least two cases are needed to tell any gain.")
        return (*head, *_table(self.before, self.after), *self._advice(self.before, self.after))

    def _advice(self, before: Figures, after: Figures) -> tuple[str, ...]:
        few = self.cases < FEW_CASES or self.deposits < FEW_DEPOSITS
        chance = f"Too few to tell: below {FEW_CASES} cases or {FEW_DEPOSITS} deposits these figures are mostly chance."
        worse = "On held-out films the new tables are no better; keep those that you have."
        gained = after.log_loss < before.log_loss and after.sensitivity >= before.sensitivity
        return (*(chance,) * few, *(worse,) * (not gained))


def _table(before: Figures, after: Figures) -> tuple[str, ...]:
    rows = {
        "mean sensitivity, 1/8 to 8 false marks a film": (before.sensitivity, after.sensitivity),
        "AUC of candidates": (before.auc, after.auc),
        "log-loss of candidates": (before.log_loss, after.log_loss),
    }
    head = f"{'on held-out films':<48}{'before':>8}{'after':>8}"
    return (head, *(f"{name:<48}{old:>8.4f}{new:>8.4f}" for name, (old, new) in rows.items()))


def held_out(
    films: Sequence[JudgedCandidates],
    tables: BoostedTables,
    *,
    scored_by: Callable[[str], BoostedTables] | None = None,
    left_out: Sequence[str] = (),
) -> Trial:
    """Try a fit: cases in turn are held out, and scored by tables fitted on the others.

    Parameters
    ----------
    films
        What readers decided on.
    tables
        What a fit starts from.
    scored_by
        Gives the tables by which films of a region were scored before, where these are not `tables`.
    left_out
        Sentences on films that are not among these.

    Raises
    ------
    EvaluationError
        When no candidate hits a deposit, or all do: there is nothing to be learnt.
    """
    scored_by = scored_by or (lambda _: tables)
    hit = np.concatenate([film.deposit[film.counted] >= 0 for film in films])
    if not hit.any() or hit.all():
        raise EvaluationError(
            "No candidate of the reviewed films hits a deposit; accept or draw marks on films that show some."
            if not hit.any()
            else "Every candidate of the reviewed films is a deposit; films with false candidates are needed too."
        )
    cases = sorted({film.case for film in films})
    with_deposits = {film.case for film in films if (film.deposit >= 0).any()}
    several = len(with_deposits) > 1
    return Trial(
        films=len(films),
        cases=len(cases),
        deposits=sum(film.deposits for film in films),
        candidates=len(hit),
        before=_figures(films, [_scores(scored_by(film.region), film) for film in films]) if several else None,
        after=_figures(films, _by_others(films, tables, cases)) if several else None,
        left_out=tuple(left_out),
    )


def _by_others(
    films: Sequence[JudgedCandidates], tables: BoostedTables, cases: Sequence[str]
) -> list[npt.NDArray[np.float32]]:
    """Log-odds of each film's candidates by tables that were fitted without its case."""
    fold = {case: number % FOLDS for number, case in enumerate(cases)}  # by hash or name: as good as at random
    fitted = {
        number: refitted(tables, [film for film in films if fold[film.case] != number]) for number in set(fold.values())
    }
    return [_scores(fitted[fold[film.case]], film) for film in films]


def _scores(tables: BoostedTables, film: JudgedCandidates) -> npt.NDArray[np.float32]:
    return (
        log_odds(tables, [film.features[name] for name in tables.names]) if film.features else np.zeros(0, np.float32)
    )


def _figures(films: Sequence[JudgedCandidates], scores: Sequence[npt.NDArray[np.float32]]) -> Figures:
    score = np.concatenate([values[film.counted] for film, values in zip(films, scores, strict=True)]).astype(float)
    first = np.cumsum([0, *(film.deposits for film in films)])
    deposit = np.concatenate(
        [
            np.where(film.deposit >= 0, film.deposit + start, -1)[film.counted]
            for film, start in zip(films, first, strict=False)
        ]
    )
    hit = deposit >= 0
    curve = froc(score, deposit, deposits=int(first[-1]), films=len(films))
    return Figures(
        sensitivity=float(sensitivity_at(*curve).mean()),
        auc=_auc(score, hit),
        log_loss=float(np.logaddexp(0, np.where(hit, -score, score)).mean()),
    )


def _auc(score: npt.NDArray[np.float64], hit: npt.NDArray[np.bool_]) -> float:
    """Chance that a candidate which hits a deposit outranks one that hits none (Mann and Whitney)."""
    above = rankdata(score)[hit].sum() - hit.sum() * (hit.sum() + 1) / 2
    return float(above / (hit.sum() * (~hit).sum()))
