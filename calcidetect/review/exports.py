"""What readers have decided, for other programs: table, audit trail, outlines, and verified DICOM reports."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

from calcidetect import __version__, dicom_out, pipeline
from calcidetect.anatomy import regions
from calcidetect.batch import coco
from calcidetect.batch.results import FilmResult
from calcidetect.candidates import measure
from calcidetect.errors import ConfigError, OutputError
from calcidetect.formats.shapes import flat_outline
from calcidetect.review.answers import DISCLAIMER, film_answer, state_of
from calcidetect.review.decisions import DecisionStore
from calcidetect.review.marks import FilmState, Mark
from calcidetect.review.pictures import load_scanned
from calcidetect.review.run_folder import VERIFIED, ReviewFilm, RunFolder
from calcidetect.types import Radiograph, Report
from calcidetect.writers import CANDIDATE_COLUMNS, FORMATS, Row, candidate_row, check_formats, make_folder, write_bytes

EXPORTS = {"csv": ".csv", "json": ".json", "coco": ".coco.json", "sr": ".sr.zip"}
"""What can be exported, and the suffixes of the files."""

REVIEW_COLUMNS = (*CANDIDATE_COLUMNS, "state", "origin", "reader", "time", "comment")
"""Of the table: those of ``candidates.csv``, then the decision."""

_KINDS = {"csv": "text/csv", "json": "application/json", "coco": "application/json", "sr": "application/zip"}


class Reviewed(NamedTuple):
    """A film and what has been decided on it."""

    film: ReviewFilm
    state: FilmState


def export(form: str, folder: RunFolder, *, decisions: DecisionStore) -> tuple[str, str, bytes]:
    """Name, media type and bytes of an export of all films of a run.

    Raises
    ------
    OutputError
        When the folder has vanished, or no film can be written this way.
    """
    films = reviewed_films(folder, decisions)
    if form == "sr":
        data = _zipped(verified_reports(films, folder))
    else:
        data = {"csv": _csv, "json": _json, "coco": _coco}[form](films, decisions)
    return f"review{EXPORTS[form]}", _KINDS[form], data


def write_export(form: str, folder: RunFolder, *, decisions: DecisionStore, to: Path) -> tuple[Path, ...]:
    """Write an export into a file, or under its usual name into a folder that is there; return what was written.

    DICOM reports become a file for each film in a folder that is made when missing, or one archive where `to` ends in
    ``.zip``.

    Raises
    ------
    ConfigError
        For an unknown export, or one whose library is not installed; where a film or the run's own files would be
        replaced.
    OutputError
        When nothing can be written.
    """
    if form not in EXPORTS:
        raise ConfigError(f"There is no export {form!r}; choose from {', '.join(EXPORTS)}.")
    if form == "sr" and to.suffix.lower() != ".zip":
        reports = verified_reports(reviewed_films(folder, decisions), folder)
        for name in reports:
            folder.refuse_to_replace(to / name)
        return _write_reports(reports, to)
    name, _, data = export(form, folder, decisions=decisions)
    path = to / name if os.path.isdir(to) else to
    folder.refuse_to_replace(path)
    write_bytes(path, data)
    return (path,)


def reviewed_films(folder: RunFolder, decisions: DecisionStore) -> list[Reviewed]:
    """All films of a run that were scanned, with their marks."""
    run, by_film = folder.run(), decisions.by_film()
    return [
        Reviewed(film, state_of(film, run, decisions=by_film.get(film.result.pixel_hash, [])))
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


# --- DICOM ------------------------------------------------------------------------------------------------------------


def verified_reports(films: list[Reviewed], folder: RunFolder) -> dict[str, bytes]:
    """File names and bytes of a verified report for each DICOM film that a reader has marked as reviewed.

    Raises
    ------
    ConfigError
        When highdicom is not installed.
    OutputError
        When no such film is reviewed, or one can't be reported.
    """
    check_formats(["sr"])
    done = [item for item in films if item.state.reviewed]
    reports = {}
    for film, state in done:
        radiograph = load_scanned(film, folder)
        if radiograph.source.sop_uid:
            reading = _reading(film, state, radiograph, folder)
            reports[f"{film.result.name or film.id}{VERIFIED}"] = dicom_out.encode_reading(reading)
    if not reports:
        raise OutputError(
            f"{len(done)} films are marked as reviewed, none of them DICOM; a verified report is made of DICOM films "
            "that a reader is done with."
        )
    return reports


def _reading(film: ReviewFilm, state: FilmState, radiograph: Radiograph, folder: RunFolder) -> dicom_out.Reading:
    """What was accepted, in the place of the candidates of the scan's own report."""
    run, marks = folder.run(), accepted(state)
    given = regions.get(film.result.film["region"])
    working = pipeline.find_region(radiograph, run.config, given=given).working  # on whose grid the marks were measured
    comments = (state.comment, *(mark.comment for mark in marks))
    report = Report(
        source=radiograph.source,
        grid=radiograph.grid,
        region=film.result.film["region"],
        laterality=film.result.film["laterality"],
        candidates=tuple(dataclasses.replace(mark.candidate, id=mark.id) for mark in marks),
        min_score=run.min_score,
        burden_mm2=measure.burden_mm2((mark.candidate for mark in marks), radiograph.grid),
        bone_step=1.0,  # of the film's signal; no report states it
        bone_confidence=0.0,
        flags=(),
        settings=run.config.flat(),
        settings_hash=run.recipe["settings_hash"],
    )
    return dicom_out.Reading(
        report=report,
        reader=state.reader,
        time=state.time,
        revision=state.last,
        rim_px=radiograph.grid.shape[0] / working.grid.shape[0],
        comments=tuple(filter(None, comments)),
        previous=str(folder.folder / f"{film.result.name}{FORMATS['sr'].suffix}"),
    )


def _zipped(reports: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in reports.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def _write_reports(reports: dict[str, bytes], folder: Path) -> tuple[Path, ...]:
    make_folder(folder)
    for name, data in reports.items():
        write_bytes(folder / name, data)
    return tuple(folder / name for name in reports)
