"""Each film's marks told apart: those that hit a deposit, and false ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.evaluate import MARGIN_MM, Outcome, hit_table, inside_any
from calcidetect.evaluation.results import Pair, ScannedCandidate
from calcidetect.evaluation.truth import KnownDeposit, KnownFilm
from calcidetect.types import MARK


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedDeposit:
    """A deposit, the marks that hit it by falling score, and whether any candidate of any label does."""

    film: KnownFilm
    deposit: KnownDeposit
    marks: tuple[ScannedCandidate, ...]
    generated: bool

    @property
    def best(self) -> float:
        """Highest score of a mark that hits it; -inf without any."""
        return self.marks[0].score if self.marks else -np.inf

    @property
    def found(self) -> bool:
        """Whether it is hit at the shipped operating point."""
        return self.best >= OPERATING_POINT


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFilm:
    """A film with its deposits and its false marks, by falling score."""

    pair: Pair
    deposits: tuple[JudgedDeposit, ...]
    false_marks: tuple[ScannedCandidate, ...]


def judge_film(pair: Pair) -> JudgedFilm:
    """Say of every candidate of a film what it hits: a deposit, an ``ignore`` box, or nothing.

    Candidates labelled as mimics count neither way, except that the generator saw them.
    """
    known = pair.known
    candidates = sorted(pair.scanned.candidates, key=lambda candidate: -candidate.score)
    hit = hit_table(candidates, known.deposits, pixel_mm=known.mm_px)
    ignored = inside_any(candidates, known.ignore, margin=MARGIN_MM / known.mm_px)
    deposits = tuple(
        JudgedDeposit(
            film=known,
            deposit=deposit,
            marks=tuple(c for c, at in zip(candidates, hits_it, strict=True) if at and c.label == MARK),
            generated=bool(hits_it.any()),
        )
        for deposit, hits_it in zip(known.deposits, hit.T, strict=True)
    )
    wrong = ~hit.any(axis=1) & ~ignored
    false_marks = tuple(c for c, is_wrong in zip(candidates, wrong, strict=True) if is_wrong and c.label == MARK)
    return JudgedFilm(pair=pair, deposits=deposits, false_marks=false_marks)


def outcome(films: Sequence[JudgedFilm]) -> Outcome:
    """Scores of all false marks and deposits, by film number."""
    deposits = [(number, deposit.best) for number, film in enumerate(films) for deposit in film.deposits]
    false = sorted(
        ((number, mark.score) for number, film in enumerate(films) for mark in film.false_marks),
        key=lambda entry: -entry[1],
    )
    return Outcome(
        films=len(films),
        false_film=np.array([number for number, _ in false], np.intp),
        false_score=np.array([score for _, score in false], float),
        deposit_film=np.array([number for number, _ in deposits], np.intp),
        best=np.array([best for _, best in deposits], float),
    )
