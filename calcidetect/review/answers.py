"""What the page is told of a run and of a film, as JSON knows it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from calcidetect.batch.names import as_utf8
from calcidetect.review.marks import Decision, FilmState, Mark, film_state
from calcidetect.review.requests import Film
from calcidetect.review.run_folder import ReviewFilm, Run
from calcidetect.types import LABELS, LOOKS, MARK, Candidate

DISCLAIMER = "Candidates for a human reader; not for diagnosis. No mark does not mean no calcification."


def size_of(film: ReviewFilm) -> Film:
    """Rows, columns and pitch of a film that was scanned."""
    row = film.result.film
    return Film(int(row["rows"]), int(row["cols"]), float(row["spacing_mm"]) if row["spacing_mm"] else None)


def state_of(film: ReviewFilm, run: Run, *, decisions: Sequence[Decision]) -> FilmState:
    """Marks of a film of a run."""
    size = size_of(film)
    return film_state(film.candidates, decisions, least=run.operating_point, shape=(size.rows, size.cols))


def run_answer(run: Run, decisions: dict[str, list[Decision]], *, reader: str, folder: str) -> dict[str, Any]:
    """The list of films, each with its counts."""
    films = []
    for film in run.films.values():
        trail = decisions.get(film.result.pixel_hash)
        films.append(_film(film) | (_counts(state_of(film, run, decisions=trail)) if trail else _untouched(film, run)))
    return {
        "films": films,
        "folder": folder,
        "operating_point": run.operating_point,
        "min_score": run.min_score,
        "min_score_help": _threshold_help(run),
        "reader": reader,
        "labels": list(LABELS),
        "looks": list(LOOKS),
        "disclaimer": DISCLAIMER,
    }


def _threshold_help(run: Run) -> str:
    if run.min_score < run.operating_point:
        return ""
    return (
        f"This run kept no candidates below {run.min_score:g}; scan again with --min-score 0.05 to see them, or let "
        "calcidetect review scan the films itself."
    )


def film_answer(film: ReviewFilm, state: FilmState) -> dict[str, Any]:
    """A film, its candidates, and its marks after all decisions."""
    about = {"comment": state.comment, "reviewed_by": state.reader, "reviewed_at": state.time}
    return {
        **_film(film),
        **_counts(state),
        **about,
        "candidates": [_candidate(item) | {"reasons": list(item.reasons.items())} for item in film.candidates],
        "marks": [_mark(mark) for mark in state.marks],
        "last": state.last,
        "can_undo": state.undoable > 0,
        "can_redo": state.redoable > 0,
    }


def _film(film: ReviewFilm) -> dict[str, Any]:
    row = film.result.film
    scanned = film.result.ok
    return {
        "id": film.id,
        "film": as_utf8(row["film"]),
        "status": row["status"],
        "error": as_utf8(row["error"]),
        "region": row["region"],
        "laterality": row["laterality"],
        "rows": int(row["rows"]) if scanned else 0,
        "cols": int(row["cols"]) if scanned else 0,
        "spacing_mm": float(row["spacing_mm"]) if row["spacing_mm"] else None,
        "spacing_source": row["spacing_source"],
        "flags": [word for word in row["flags"].split(";") if word],
        "burden_mm2": float(row["burden_mm2"]) if row["burden_mm2"] else None,
        "thumbnail": bool(film.result.thumbnail),
    }


def _counts(state: FilmState) -> dict[str, Any]:
    """Of marks for calcification; the labelled kinds are no marks until a reader says so."""
    marks = [mark for mark in state.marks if mark.candidate.label == MARK or mark.state != "undecided"]
    number = {name: sum(mark.state == name for mark in marks) for name in ("undecided", "accepted", "rejected")}
    return _numbers(**number, reviewed=state.reviewed)


def _untouched(film: ReviewFilm, run: Run) -> dict[str, Any]:
    """The same of a film without decisions, from its rows alone: a run may have ten thousand."""
    rows = film.result.candidates
    marks = sum(row["label"] == MARK and float(row["score"]) >= run.operating_point for row in rows)
    return _numbers(undecided=marks, accepted=0, rejected=0, reviewed=False)


def _numbers(*, undecided: int, accepted: int, rejected: int, reviewed: bool) -> dict[str, Any]:
    decided = accepted + rejected
    return {
        "n_marks": undecided + decided,
        "decided": decided,
        "undecided": undecided,
        "accepted": accepted,
        "rejected": rejected,
        "reviewed": reviewed,
    }


def _mark(mark: Mark) -> dict[str, Any]:
    return _candidate(mark.candidate) | {
        "id": mark.id,
        "origin": mark.origin,
        "state": mark.state,
        "score": None if mark.drawn else mark.candidate.score,
        "comment": mark.comment,
        "author": mark.reader,
        "time": mark.time,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    scalars = {
        item.name: _finite(getattr(candidate, item.name))
        for item in dataclasses.fields(candidate)
        if item.name not in {"x0", "y0", "x1", "y1", "contour", "features", "reasons"}
    }
    return scalars | {
        "flags": list(candidate.flags),
        "box": [candidate.x0, candidate.y0, candidate.x1, candidate.y1],
        "contour": [[col, row] for row, col in candidate.contour],
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
