"""Readers' decisions as what is known of films: what they accepted or drew are deposits, what they rejected is none.

Only films that a reader has marked as reviewed count. A mark that was left undecided on such a film is neither right
nor wrong. Bear in mind that readers saw the program's marks: what both missed is in no number.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from pathlib import Path, PurePath

from calcidetect.config import GridSettings
from calcidetect.errors import EvaluationError
from calcidetect.evaluation.truth import REAL, KnownDeposit, KnownFilm
from calcidetect.review.decisions import DECISIONS_FILE, DecisionStore
from calcidetect.review.exports import Reviewed, reviewed_films
from calcidetect.review.marks import Mark
from calcidetect.review.run_folder import RunFolder
from calcidetect.types import MARK


def is_decisions(path: Path) -> bool:
    """Whether a file of truth is the audit trail of a reading page."""
    return path.name == DECISIONS_FILE


def read_decided(path: Path) -> tuple[tuple[KnownFilm, ...], int]:
    """Read what readers decided, beside the journal of the run that they read.

    Returns
    -------
    films, left_out
        Films that are marked as reviewed, and the number of those that are not.

    Raises
    ------
    EvaluationError
        When the file is missing, or no film is marked as reviewed.
    CalcidetectError
        When it or the journal can't be read.
    """
    if not os.path.isfile(path):
        raise EvaluationError(f"{path} is not there; decide on films with calcidetect review {path.parent} first.")
    films = reviewed_films(RunFolder(path.parent), DecisionStore(path.parent))
    done = [item for item in films if item.state.reviewed]
    if not done:
        raise EvaluationError(f"{path}: no film is marked as reviewed; mark those that are read to their end.")
    often = Counter(PurePath(item.film.name).name for item in done)
    known = (known_film(item, alone=often[PurePath(item.film.name).name] == 1) for item in done)
    return tuple(known), len(films) - len(done)


def known_film(item: Reviewed, *, alone: bool = True) -> KnownFilm:
    """What a reader made of a film, under its file name or, where that is not `alone`, under its whole path."""
    row = item.film.result.film
    nominal_mm = GridSettings().field_width_mm / max(int(row["rows"]), int(row["cols"]))
    mm_px = float(row["spacing_mm"] or nominal_mm)
    marks = [mark for mark in item.state.marks if mark.candidate.label == MARK]
    deposits = [mark for mark in marks if mark.state == "accepted"]
    name = PurePath(item.film.name).name if alone else item.film.name
    return KnownFilm(
        name=name,
        source=name,
        region=row["region"],
        mm_px=mm_px,
        deposits=tuple(_deposit(mark, number, mm_px) for number, mark in enumerate(deposits, start=1)),
        ignore=tuple(_box(mark) for mark in marks if mark.state == "undecided"),
        bone_points=(),
        soft_points=(),
    )


def _deposit(mark: Mark, number: int, mm_px: float) -> KnownDeposit:
    found = mark.candidate
    drawn = math.isnan(found.contrast_bone)  # nobody measured it; the area of the others is the program's own
    return KnownDeposit(
        id=number,
        morphology=found.look or REAL,
        diameter_mm=found.diameter_mm or max(found.x1 - found.x0, found.y1 - found.y0) * mm_px,
        contrast=None if drawn else found.contrast_bone,
        area_px=(found.area_px or None) if drawn else None,
        box=_box(mark),
        row=found.row,
        col=found.col,
    )


def _box(mark: Mark) -> tuple[int, int, int, int]:
    found = mark.candidate
    return found.x0, found.y0, found.x1, found.y1
