"""What readers have decided, for other programs: table, audit trail, outlines, and verified DICOM reports."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import NamedTuple

from calcidetect import __version__
from calcidetect.batch import coco
from calcidetect.batch.results import FilmResult
from calcidetect.errors import ConfigError
from calcidetect.formats.shapes import flat_outline
from calcidetect.review.answers import DISCLAIMER, film_answer, state_of
from calcidetect.review.decisions import DecisionStore
from calcidetect.review.marks import FilmState, Mark
from calcidetect.review.run_folder import ReviewFilm, RunFolder
from calcidetect.writers import CANDIDATE_COLUMNS, Row, candidate_row, write_bytes

EXPORTS = {"csv": ".csv", "json": ".json", "coco": ".coco.json"}
"""What can be exported, and the suffixes of the files."""

REVIEW_COLUMNS = (*CANDIDATE_COLUMNS, "state", "origin", "reader", "time", "comment")
"""Of the table: those of ``candidates.csv``, then the decision."""

_KINDS = {"csv": "text/csv", "json": "application/json", "coco": "application/json"}


class Reviewed(NamedTuple):
    """A film and what has been decided on it."""

    film: ReviewFilm
    state: FilmState


def export(form: str, folder: RunFolder, decisions: DecisionStore) -> tuple[str, str, bytes]:
    """Name, media type and bytes of an export of all films of a run.

    Raises
    ------
    OutputError
        When the folder has vanished, or no film can be written this way.
    """
    films = reviewed_films(folder, decisions)
    make = {"csv": _csv, "json": _json, "coco": _coco}[form]
    return f"review{EXPORTS[form]}", _KINDS[form], make(films, decisions)


def write_export(form: str, folder: RunFolder, decisions: DecisionStore, to: Path) -> tuple[Path, ...]:
    """Write an export into a file, or under its usual name into a folder that is there; return what was written."""
    if form not in EXPORTS:
        raise ConfigError(f"There is no export {form!r}; choose from {', '.join(EXPORTS)}.")
    name, _, data = export(form, folder, decisions)
    path = to / name if to.is_dir() else to
    write_bytes(path, data)
    return (path,)


def reviewed_films(folder: RunFolder, decisions: DecisionStore) -> list[Reviewed]:
    """All films of a run that were scanned, with their marks."""
    run, by_film = folder.run(), decisions.by_film()
    return [
        Reviewed(film, state_of(film, run, by_film.get(film.result.pixel_hash, [])))
        for film in run.films.values()
        if film.result.ok
    ]


def _csv(films: list[Reviewed], _: DecisionStore) -> bytes:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, REVIEW_COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(_row(mark, film.name) for film, state in films for mark in state.marks)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _row(mark: Mark, film: str) -> Row:
    row = candidate_row(mark.candidate, film=film) | {"id": str(mark.id)}
    if mark.drawn:
        row |= {"score": ""}
    about = {"state": mark.state, "origin": str(mark.origin), "reader": mark.reader, "time": mark.time}
    return row | about | {"comment": mark.comment}


def _json(films: list[Reviewed], decisions: DecisionStore) -> bytes:
    """Marks of all films, and the whole trail of decisions that led to them."""
    trails = decisions.by_film()
    content = {
        "about": {"program": f"calcidetect {__version__}", "notice": DISCLAIMER},
        "films": [
            {key: value for key, value in film_answer(film, state).items() if key != "candidates"}
            | {"pixel_hash": film.result.pixel_hash}
            | {"decisions": [dataclasses.asdict(item) for item in trails.get(film.result.pixel_hash, [])]}
            for film, state in films
        ],
    }
    return (json.dumps(content, indent=1) + "\n").encode("ascii")


def _coco(films: list[Reviewed], _: DecisionStore) -> bytes:
    return b"".join(coco.pieces([_accepted(film, state) for film, state in films]))


def _accepted(film: ReviewFilm, state: FilmState) -> FilmResult:
    """The film's result as if the scan had found what readers accepted."""
    marks = accepted(state)
    return dataclasses.replace(
        film.result,
        candidates=tuple(candidate_row(mark.candidate, film=film.name) for mark in marks),
        outlines=tuple(flat_outline(mark.candidate) for mark in marks),
    )


def accepted(state: FilmState) -> tuple[Mark, ...]:
    """The marks that a reader has accepted or drawn."""
    return tuple(mark for mark in state.marks if mark.state == "accepted")
