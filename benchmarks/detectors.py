"""The program and the two baselines behind one table: each turns films into the tables that an evaluation reads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import baselines

from calcidetect import pipeline, writers
from calcidetect.batch.names import output_names
from calcidetect.batch.results import FilmResult
from calcidetect.batch.run_files import CANDIDATES_TABLE, FILMS_TABLE, RUN_FILE
from calcidetect.batch.workers import Here, ProcessExecutor, run_tasks
from calcidetect.errors import CalcidetectError
from calcidetect.evaluation.results import ScannedCandidate
from calcidetect.reading import readers
from calcidetect.writers import CANDIDATE_COLUMNS, FILM_COLUMNS, Row


@dataclass(frozen=True, kw_only=True)
class GivenFilm:
    """A film and the pixel pitch that its user states, for files that state none."""

    path: Path
    spacing_mm: float | None


@dataclass(frozen=True, kw_only=True)
class _Task:
    film: GivenFilm
    detector: str
    out: Path
    name: str


def run(detector: str, films: Sequence[GivenFilm], out: Path, *, jobs: int) -> None:
    """Write what a detector of `DETECTORS` marks on films, from score 0 on, as ``calcidetect scan`` would."""
    out.mkdir(parents=True)
    names = output_names([str(film.path) for film in films])
    tasks = [_Task(film=film, detector=detector, out=out, name=names[str(film.path)]) for film in films]
    with Here() if jobs == 1 else ProcessExecutor(jobs) as executor:
        done = {
            task.name: result or _failed(task, trouble)
            for task, result, trouble in run_tasks(_mark, tasks, executor=executor)
        }
    results = [done[task.name] for task in tasks]
    writers.write_table(out / FILMS_TABLE, FILM_COLUMNS, rows=[result.film for result in results])
    writers.write_table(out / CANDIDATES_TABLE, CANDIDATE_COLUMNS, rows=[row for r in results for row in r.candidates])
    (out / RUN_FILE).write_text(json.dumps({"min_score": 0}), encoding="ascii")


def _mark(task: _Task) -> FilmResult:
    try:
        return DETECTORS[task.detector](task)
    except CalcidetectError as error:
        return _failed(task, str(error))


def _failed(task: _Task, error: str) -> FilmResult:
    return FilmResult(film=writers.failed_row(str(task.film.path), error=error, seconds=0))


def _program(task: _Task) -> FilmResult:
    started, path = time.perf_counter(), str(task.film.path)
    scan = pipeline.scan(path, spacing_mm=task.film.spacing_mm, min_score=0)
    writers.write(scan, task.out, formats=("bone",), name=task.name)
    return FilmResult(
        film=writers.film_row(scan.report, film=path, seconds=time.perf_counter() - started),
        candidates=tuple(writers.candidate_row(item, film=path) for item in scan.report.candidates),
    )


def _top_hat(task: _Task) -> FilmResult:
    return _baseline(task, baselines.top_hat)


def _blob_dog(task: _Task) -> FilmResult:
    return _baseline(task, baselines.difference_of_gaussians)


def _baseline(task: _Task, find: Callable[..., list[ScannedCandidate]]) -> FilmResult:
    path = str(task.film.path)
    marks = find(readers.load(path, spacing_mm=task.film.spacing_mm))
    rows = [_mark_row(mark, number, path) for number, mark in enumerate(marks, start=1)]
    return FilmResult(
        film=dict.fromkeys(FILM_COLUMNS, "") | {"film": path, "status": "ok", "n_candidates": str(len(rows))},
        candidates=tuple(rows),
    )


def _mark_row(mark: ScannedCandidate, number: int, path: str) -> Row:
    places = ("score", "x0", "y0", "x1", "y1", "row", "col", "area_px")
    values = {name: format(getattr(mark, name), ".12g") for name in places}
    return dict.fromkeys(CANDIDATE_COLUMNS, "") | values | {"film": path, "id": str(number), "label": mark.label}


DETECTORS = {"calcidetect": _program, "top-hat": _top_hat, "blob_dog": _blob_dog}
