"""Many films: the same scan of each, two tables of all, and no film that stops the others.

The journal in the folder of results holds what is done, film by film. Tables, gallery and the other files on all films
are made from it when the run ends or is interrupted; after a crash or a power cut, by resuming the run.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from calcidetect import writers
from calcidetect.batch.film_task import Recipe, Task, failed_result, hash_of_file, lacking, scan_film
from calcidetect.batch.inputs import GivenFilm, given_films, listed_paths
from calcidetect.batch.journal import JOURNAL_FILE, Footing, Journal, open_journal
from calcidetect.batch.names import output_names
from calcidetect.batch.results import Progress
from calcidetect.batch.run_files import TABLES, begin_run_files, run_file_names, write_run_files
from calcidetect.batch.stored_results import StoredResults
from calcidetect.batch.workers import check_limits, run_tasks, worker_processes
from calcidetect.config import Config
from calcidetect.errors import ConfigError

_DEFAULTS = Config()

StrPath = str | os.PathLike[str]

_UNKNOWN = -1  # of times


def scan_many(
    paths: StrPath | Iterable[StrPath],
    out: StrPath,
    *,
    config: Config = _DEFAULTS,
    region: str = "auto",
    spacing_mm: float | None = None,
    min_score: float | None = None,
    formats: Sequence[str] = ("png",),
    keep_identifiers: bool = False,
    root: StrPath | None = None,
    jobs: int = 1,
    executor: Executor | None = None,
    time_out_s: float | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> StoredResults:
    """Scan films and write tables, pictures and a gallery into a folder.

    A film that can't be scanned becomes a row with status ``failed`` and the reason, also when it crashes its worker
    or takes too long. Each finished film is kept whatever happens next.

    Parameters
    ----------
    paths
        Films, folders, DICOMDIR files, patterns and CSV manifests: see `calcidetect.batch.inputs`.
    out
        Folder for the results; made when missing. One run at a time can write into it.
    config, region, spacing_mm, min_score
        As for `calcidetect.scan`, the same for every film, unless a manifest tells otherwise of a film.
    formats
        What is written besides the tables: see `calcidetect.write`, and ``coco`` and ``parquet`` of all films
        together; may be empty. With any, the gallery ``index.html`` is written too.
    keep_identifiers
        Write ``identifiers.csv``: the patient of each film, by the manifest or else the DICOM header.
    root
        Folder that film names are relative to; None: films are named as given or found.
    jobs
        Number of worker processes. A single film has one too: what crashes it must not crash the caller.
    executor
        Who runs the scans instead: any `concurrent.futures.Executor`. It is not shut down.
    time_out_s
        Seconds that a film may take in a worker process; None for `workers.TIME_OUT_S`. No limit of an `executor`.
    resume
        Keep what an earlier run with the same settings into `out` has finished, and scan the others.
    progress
        Called after each film.

    Returns
    -------
    sequence of FilmResult
        One for each film, in the order of `paths`; sorted within a folder. Read from the folder when it is used.

    Raises
    ------
    ConfigError
        For an impossible option, or when `resume` meets results of other settings.
    ReadError
        When a folder holds no films, or a DICOMDIR or manifest can't be read.
    OutputError
        When another run is writing into `out`, or it can't be written.
    """
    recipe = Recipe(
        config=config,
        region=region,
        spacing_mm=spacing_mm,
        min_score=min_score,
        formats=tuple(dict.fromkeys(formats)),
        keep_identifiers=keep_identifiers,
    )
    return scan_films(
        paths,
        out,
        recipe=recipe,
        root=root,
        jobs=jobs,
        executor=executor,
        time_out_s=time_out_s,
        resume=resume,
        progress=progress,
    )


def scan_films(
    paths: StrPath | Iterable[StrPath],
    out: StrPath,
    *,
    recipe: Recipe,
    root: StrPath | None = None,
    jobs: int = 1,
    executor: Executor | None = None,
    time_out_s: float | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> StoredResults:
    """Scan many films into a folder, by a recipe.

    Parameters
    ----------
    paths, out, root, jobs, executor, time_out_s, resume, progress
        As for `scan_many`.
    recipe
        How each film is scanned, and what is written of it.

    Raises
    ------
    CalcidetectError
        As for `scan_many`.
    """
    check_limits(jobs, time_out_s)
    folder = named_folder(out)
    given = listed_paths(paths)
    films = given_films(given, root=root)
    check_folder(folder, given, films=films, recipe=recipe, resume=resume)
    writers.make_folder(folder)
    with open_journal(folder) as journal:
        tasks = _begin(journal, folder, films, recipe, resume=resume)
        try:
            with open_pool(executor, len(films), jobs=jobs, time_out_s=time_out_s) as pool:
                _scan_all(tasks, journal, executor=pool, total=len(films), progress=progress)
            journal.end()
        finally:  # also when interrupted: what is done is shown
            write_run_files(folder, journal.results(), formats=recipe.formats, identified=recipe.keep_identifiers)
        return journal.results().closed()


def named_folder(out: StrPath) -> Path:
    """The folder of results; ConfigError for an empty name, which would be the folder that one is in."""
    if not os.fspath(out):
        raise ConfigError("The folder for the results has no name; give one, or . for the present folder.")
    return Path(out)


def check_folder(
    folder: Path, given: Sequence[StrPath], *, films: Sequence[GivenFilm], recipe: Recipe, resume: bool
) -> None:
    """Raise ConfigError when a run into this folder would replace what it reads, or what no run has written."""
    written = _files_of_run(films, recipe)
    for path in (*(os.fspath(path) for path in given), *(film.path for film in films)):
        if os.path.basename(path) in written and os.path.realpath(os.path.dirname(path)) == os.path.realpath(folder):
            raise ConfigError(f"{path} would be replaced by a result; choose another folder for the results.")
    if not os.path.exists(folder / JOURNAL_FILE):
        _check_unknown_folder(folder, written, resume=resume)


def _files_of_run(films: Sequence[GivenFilm], recipe: Recipe) -> set[str]:
    names = output_names([film.film for film in films], endings=writers.ENDINGS).values()
    suffixes = [writers.FORMATS[name].suffix for name in recipe.film_formats]
    of_all = run_file_names(recipe.formats, identified=recipe.keep_identifiers)
    return {JOURNAL_FILE, *of_all, *(f"{name}{suffix}" for name in names for suffix in suffixes)}


def _check_unknown_folder(folder: Path, written: set[str], *, resume: bool) -> None:
    """Of a folder without a journal: its tables must be ours, and nothing else in the way of a run."""
    tables = [name for name in TABLES if os.path.exists(folder / name)]
    for name in tables:
        writers.read_table(folder / name, TABLES[name])
    if tables and resume:
        raise ConfigError(
            f"{folder} holds tables but no {JOURNAL_FILE}, so nothing tells how they were made; choose another folder."
        )
    if not tables and (others := [name for name in written if os.path.exists(folder / name)]):
        raise ConfigError(f"{folder} holds another {min(others)}, which a run would replace; choose another folder.")


def open_pool(
    executor: Executor | None, films: int, *, jobs: int, time_out_s: float | None
) -> contextlib.AbstractContextManager[Executor]:
    """The caller's executor, or worker processes that end with the block: for a single film too, which may crash."""
    if executor is not None:
        return contextlib.nullcontext(executor)
    return worker_processes(max(1, min(jobs, films)), time_out_s)


def _begin(
    journal: Journal, folder: Path, films: Sequence[GivenFilm], recipe: Recipe, *, resume: bool
) -> tuple[Task, ...]:
    """Open the run in the journal, clear away what is of another, and return what is to be done."""
    record = recipe.record()
    before, dropped = journal.begin(record, resume=resume)
    _remove_files(folder, dropped, before.get("formats", ()))
    begin_run_files(folder, record, before=None if resume else before)
    tasks, kept = plan(films, folder, recipe=recipe, finished=journal.finished() if resume else {})
    journal.keep((task.position, task.film.film, task.footing) for task in kept)
    if recipe.film_formats:
        journal.hand_over({task.film.film: task.footing.name for task in tasks})
    return tasks


def _remove_files(folder: Path, names: Iterable[str], formats: Iterable[str]) -> None:
    suffixes = [writers.FORMATS[name].suffix for name in formats if name in writers.FORMATS]
    for name in names:
        for suffix in suffixes:
            with contextlib.suppress(OSError):  # none there, or none can be: its name is too long
                (folder / f"{name}{suffix}").unlink()


def plan(
    films: Sequence[GivenFilm], folder: Path, *, recipe: Recipe, finished: Mapping[str, Footing]
) -> tuple[tuple[Task, ...], tuple[Task, ...]]:
    """What is to be done, and what is done and stays.

    To be done are films whose result is not known, or rests on something that has changed, or has lost a file. What
    could not be made of a film is not missed.
    """
    names = output_names([film.film for film in films], endings=writers.ENDINGS)
    tasks: list[Task] = []
    kept: list[Task] = []
    out = os.path.abspath(folder)
    for position, film in enumerate(films):
        footing = footing_of(film, names[film.film])
        task = Task(film=film, position=position, footing=footing, out=out, recipe=recipe)
        before = finished.get(film.film)
        stays = _holds(before, task) and all(map(os.path.exists, _files(before, task)))
        (kept if stays else tasks).append(task)
    return tuple(tasks), tuple(kept)


def _files(before: Footing | None, task: Task) -> Iterator[str]:
    """The files that a film has, but for those that could not be made of it."""
    for form in task.recipe.film_formats:
        if before is None or lacking(form) not in before.flags:
            yield os.path.join(task.out, f"{task.footing.name}{writers.FORMATS[form].suffix}")


def _holds(before: Footing | None, task: Task) -> bool:
    """Whether a result still rests on what it did.

    Reading a hundred thousand films to hash them takes hours, looking at their times seconds. So a file is hashed only
    when its times differ: when it was changed, but also when it was copied or restored with its content as it was.
    """
    now = task.footing
    if before is None or (before.bytes, before.told, before.name) != (now.bytes, now.told, now.name):
        return False
    if now.touched_ns != _UNKNOWN and before == replace(now, file_hash=before.file_hash):
        return True
    return before.file_hash != "" and before.file_hash == hash_of_file(task.film.path)


def footing_of(film: GivenFilm, name: str) -> Footing:
    """State of a film's file, and what else its result will rest on."""
    told = json.dumps(film.told)
    try:
        state = os.stat(film.path)
    except (OSError, ValueError):  # a missing file, or a name that can't be one: its row will say so
        return Footing(bytes=-1, written_ns=_UNKNOWN, touched_ns=_UNKNOWN, told=told, name=name)
    touched_ns = _UNKNOWN if os.name == "nt" else state.st_ctime_ns  # there it is the time of creation
    return Footing(bytes=state.st_size, written_ns=state.st_mtime_ns, touched_ns=touched_ns, told=told, name=name)


def _scan_all(
    tasks: Sequence[Task], journal: Journal, *, executor: Executor, total: int, progress: Progress | None
) -> None:
    done = total - len(tasks)
    for task, scanned, trouble in run_tasks(scan_film, tasks, executor=executor):
        result = scanned or failed_result(task, trouble)
        if not result.ok:  # what it had written, or a run before, when the film was sound
            _remove_files(Path(task.out), (task.footing.name,), task.recipe.formats)
        journal.record(result, position=task.position, footing=task.footing)
        done += 1
        if progress:
            progress(result, done, total)
