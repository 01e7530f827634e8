"""Many films: the same scan of each, two tables of all, and no film that stops the others.

A folder of results holds ``films.csv``, ``candidates.csv``, the files of each film, and ``run.json``: the settings that
made them, by which a later run knows whether it may go on where this one stopped.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

from calcidetect import __version__, pipeline, regions, writers
from calcidetect.config import Config
from calcidetect.errors import CalcidetectError, ConfigError, OutputError
from calcidetect.readers import find_films
from calcidetect.writers import Row

FILMS_TABLE = "films.csv"
CANDIDATES_TABLE = "candidates.csv"
RUN_FILE = "run.json"

# What a crash of the whole program may cost, in seconds of work; writing the tables of 10 000 films takes 0.1 s.
_SAVE_EVERY_S = 30.0
_MAX_ERROR_LENGTH = 400
# The same that the reader believes of a header: detectors have 0.05 to 0.2 mm, shrunk films up to 1.5 mm.
_MIN_SPACING_MM, _MAX_SPACING_MM = 0.02, 2.0
_DEFAULTS = Config()
_UNFIT_FOR_FILE_NAMES = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')

StrPath = str | os.PathLike[str]
T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmResult:
    """What one film adds to the tables.

    Attributes
    ----------
    film
        Its row of ``films.csv``, every value as text.
    candidates
        Its rows of ``candidates.csv``.
    """

    film: Row
    candidates: tuple[Row, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the film was scanned."""
        return self.film["status"] == "ok"


Progress = Callable[[FilmResult, int, int], None]
"""Called after each film with its result, the number of films done and the number of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """How each film of a run is scanned, and what is written of it."""

    config: Config
    region: str
    spacing_mm: float | None
    min_score: float | None
    formats: tuple[str, ...]

    def __post_init__(self) -> None:
        writers.check_formats(self.formats)
        if self.region != "auto":
            regions.get(self.region)
        if self.spacing_mm is not None and not _MIN_SPACING_MM <= self.spacing_mm <= _MAX_SPACING_MM:
            bounds = f"{_MIN_SPACING_MM} and {_MAX_SPACING_MM} mm"
            raise ConfigError(f"The spacing must lie between {bounds}, got {self.spacing_mm}.")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise ConfigError(f"The lowest score must lie between 0 and 1, got {self.min_score}.")

    def record(self) -> dict[str, Any]:
        """Everything that decides the results, as JSON knows it."""
        return {
            "version": __version__,
            "region": self.region,
            "spacing_mm": self.spacing_mm,
            "min_score": self.min_score,
            "formats": list(self.formats),
            "settings_hash": self.config.hash,
            "settings": self.config.flat(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    film: str
    name: str
    out: Path
    recipe: _Recipe


def scan_many(
    paths: StrPath | Iterable[StrPath],
    out: StrPath,
    *,
    config: Config = _DEFAULTS,
    region: str = "auto",
    spacing_mm: float | None = None,
    min_score: float | None = None,
    formats: Sequence[str] = ("png",),
    jobs: int = 1,
    resume: bool = False,
    progress: Progress | None = None,
) -> tuple[FilmResult, ...]:
    """Scan films and write tables and pictures into a folder.

    A film that can't be scanned becomes a row with status ``failed`` and the reason. With more than one job, call this
    below ``if __name__ == "__main__":`` in a script, as for any use of worker processes.

    Parameters
    ----------
    paths
        Films, folders and DICOMDIR files.
    out
        Folder for the results; made when missing.
    config, region, spacing_mm, min_score
        As for `calcidetect.scan`, the same for every film.
    formats
        What is written of each film besides the tables: see `calcidetect.write`; may be empty.
    jobs
        Number of worker processes; 1 works in this process.
    resume
        Keep the rows of films that an earlier run into `out` has finished, and scan the others.
    progress
        Called after each film.

    Returns
    -------
    tuple of FilmResult
        One for each film, in the order of `paths`; sorted within a folder.

    Raises
    ------
    ConfigError
        For an impossible option, or when `resume` meets results of other settings.
    ReadError
        When a folder holds no films, or a DICOMDIR can't be read.
    OutputError
        When the tables can't be written.
    """
    recipe = _Recipe(
        config=config, region=region, spacing_mm=spacing_mm, min_score=min_score, formats=tuple(dict.fromkeys(formats))
    )
    if jobs < 1:
        raise ConfigError(f"The number of jobs must be 1 or more, got {jobs}.")
    films = [os.fspath(film) for film in find_films([paths] if isinstance(paths, str | os.PathLike) else paths)]
    folder = Path(out)
    finished = _finished(folder, recipe) if resume else {}
    results = {film: finished[film] for film in films if film in finished}
    _begin(folder, recipe, films, results)
    names = output_names(films)
    tasks = [_Task(film=film, name=names[film], out=folder, recipe=recipe) for film in films if film not in results]
    try:
        _scan_all(tasks, films, results, jobs=jobs, progress=progress)
    finally:  # also when interrupted: what is done is kept
        _write_tables(folder, films, results)
    return tuple(results[film] for film in films)


def _scan_all(
    tasks: Sequence[_Task],
    films: Sequence[str],
    results: dict[str, FilmResult],
    *,
    jobs: int,
    progress: Progress | None,
) -> None:
    """Add the result of every task to `results`, and write the tables now and then."""
    saved = time.monotonic()
    for task, result in run_tasks(_scan_film, tasks, jobs=jobs):
        results[task.film] = result or _failed(task.film, "The worker process died while scanning this film.")
        if progress:
            progress(results[task.film], len(results), len(films))
        if time.monotonic() - saved > _SAVE_EVERY_S:
            _write_tables(task.out, films, results)
            saved = time.monotonic()


def _scan_film(task: _Task) -> FilmResult:
    started = time.perf_counter()
    recipe = task.recipe
    try:
        scan = pipeline.scan(
            task.film,
            config=recipe.config,
            region=recipe.region,
            spacing_mm=recipe.spacing_mm,
            min_score=recipe.min_score,
        )
        writers.write(scan, task.out, formats=recipe.formats, name=task.name)
        return FilmResult(
            film=writers.film_row(scan.report, film=task.film, seconds=time.perf_counter() - started),
            candidates=tuple(writers.candidate_row(item, film=task.film) for item in scan.report.candidates),
        )
    except Exception as error:  # the one place that may: a film must not stop the others
        return _failed(task.film, _sentence(error), seconds=time.perf_counter() - started)


def _failed(film: str, error: str, *, seconds: float = 0.0) -> FilmResult:
    return FilmResult(film=writers.failed_row(film, error=error, seconds=seconds))


def _sentence(error: Exception) -> str:
    """One line on what went wrong; for an error that nobody foresaw, with its place."""
    if isinstance(error, CalcidetectError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "The film needs more memory than there is."
    else:
        frames = traceback.extract_tb(error.__traceback__)
        place = [frame for frame in frames if Path(__file__).parent in Path(frame.filename).parents][-1]
        text = f"Unexpected {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {error}"
    return " ".join(text.split())[:_MAX_ERROR_LENGTH]


def run_tasks(function: Callable[[T], R], tasks: Sequence[T], *, jobs: int) -> Iterator[tuple[T, R | None]]:
    """Yield each task with what `function` returns for it, as they get done.

    Parameters
    ----------
    function
        Of one task; importable by name when `jobs` is more than 1.
    tasks
        What to work on.
    jobs
        Number of worker processes; with 1 the function runs here.

    Yields
    ------
    tuple
        A task and its result; None when the worker process died of the task.
    """
    if jobs == 1:
        yield from ((task, function(task)) for task in tasks)
        return
    waiting = deque(tasks)
    while waiting:
        suspects = yield from _run_until_death(function, waiting, jobs=min(jobs, len(waiting)))
        for task in suspects:  # each alone in a new process: only the guilty one dies again
            guilty = yield from _run_until_death(function, deque([task]), jobs=1)
            yield from ((lost, None) for lost in guilty)


def _run_until_death(
    function: Callable[[T], R], waiting: deque[T], *, jobs: int
) -> Generator[tuple[T, R], None, list[T]]:
    """Work through `waiting` in a pool of processes; when one dies, return the tasks that were under way."""
    running: dict[Future[R], T] = {}
    spawn = multiprocessing.get_context("spawn")  # forking a process with threads of OpenCV may hang
    pool = ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_ignore_interrupts)
    try:
        while waiting or running:
            while waiting and len(running) < 2 * jobs:
                running[pool.submit(function, waiting[0])] = waiting[0]
                waiting.popleft()
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                yield running.pop(future), result
    except BrokenProcessPool:
        return list(running.values())
    finally:
        pool.shutdown(cancel_futures=True)
    return []


def _ignore_interrupts() -> None:
    # Ctrl-C reaches every process of a terminal; the first one stops the others in good order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def output_names(films: Sequence[str]) -> dict[str, str]:
    """First part of the names of each film's files: its stem, or its path where several films share a stem."""
    parts = {film: Path(os.path.abspath(film)).parts for film in films}
    levels = zip(*(folder for *folder, _ in parts.values()), strict=False)
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    stems = Counter(_file_name(Path(film).stem) for film in films)
    names: dict[str, str] = {}
    taken: set[str] = set()
    for film in films:
        stem = _file_name(Path(film).stem)
        name = stem if stems[stem] == 1 else _file_name("_".join(parts[film][shared:]))
        names[film] = _untaken(name, taken)
        taken.add(names[film].casefold())
    return names


def _file_name(text: str) -> str:
    return _UNFIT_FOR_FILE_NAMES.sub("_", text)


def _untaken(name: str, taken: set[str]) -> str:
    """The name itself, or with the first free number behind it; upper and lower case count as equal."""
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return next(text for text in (name, *numbered) if text.casefold() not in taken)


def _begin(out: Path, recipe: _Recipe, films: Sequence[str], results: Mapping[str, FilmResult]) -> None:
    """Make the folder and write the first tables, then the settings: never old rows beside new settings."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {out} can't be made: {error.strerror}; choose another.") from error
    _write_tables(out, films, results)
    writers.write_bytes(out / RUN_FILE, (json.dumps(recipe.record(), indent=2) + "\n").encode("ascii"))


def _write_tables(out: Path, films: Sequence[str], results: Mapping[str, FilmResult]) -> None:
    done = [results[film] for film in films if film in results]
    writers.write_table(out / FILMS_TABLE, writers.FILM_COLUMNS, [result.film for result in done])
    rows = [row for result in done for row in result.candidates]
    writers.write_table(out / CANDIDATES_TABLE, writers.CANDIDATE_COLUMNS, rows)


def _finished(out: Path, recipe: _Recipe) -> dict[str, FilmResult]:
    """Films that an earlier run with the same recipe has scanned."""
    if not (out / FILMS_TABLE).exists():
        return {}
    before = _read_run(out / RUN_FILE)
    if changed := [key for key, value in recipe.record().items() if before.get(key) != value]:
        raise ConfigError(
            f"The results in {out} were made with another {changed[0]}; run without --resume, or choose another folder."
        )
    candidates: dict[str, list[Row]] = {}
    for row in writers.read_table(out / CANDIDATES_TABLE, writers.CANDIDATE_COLUMNS):
        candidates.setdefault(row["film"], []).append(row)
    return {
        row["film"]: FilmResult(film=row, candidates=tuple(candidates.get(row["film"], ())))
        for row in writers.read_table(out / FILMS_TABLE, writers.FILM_COLUMNS)
        if row["status"] == "ok"
    }


def _read_run(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} can't be read, so nothing tells how these results were made: {error}.") from error
    return record if isinstance(record, dict) else {}
