"""What a batch would do, found out without doing it: every film is read, none is scanned, nothing is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from calcidetect.batch.film_task import Recipe, Task, in_words
from calcidetect.batch.inputs import given_films, listed_paths
from calcidetect.batch.journal import look_into_journal
from calcidetect.batch.run import check_folder, named_folder, open_pool, plan
from calcidetect.batch.workers import check_limits, run_tasks
from calcidetect.reading import readers
from calcidetect.types import Radiograph

StrPath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What would become of one film.

    Attributes
    ----------
    film
        Its name in the tables.
    fate
        ``scan``, ``done`` (by the run that would be resumed) or ``unreadable``.
    note
        Size, pixel pitch, and of which film it is a duplicate; or what is wrong with it.
    pixel_hash
        SHA-256 of its pixels; empty where they were not read.
    """

    film: str
    fate: str
    note: str = ""
    pixel_hash: str = ""


def look_at_many(
    paths: StrPath | Iterable[StrPath],
    out: StrPath,
    *,
    recipe: Recipe,
    root: StrPath | None = None,
    jobs: int = 1,
    time_out_s: float | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Look, ...]:
    """Read every film that `calcidetect.scan_many` would scan, and write nothing.

    Parameters
    ----------
    paths, out, root, jobs, time_out_s, resume
        As for `calcidetect.scan_many`.
    recipe
        How the films would be scanned.
    progress
        Called after each film with the number of films done and of all.

    Returns
    -------
    tuple of Look
        One for each film, in order.

    Raises
    ------
    ConfigError, ReadError
        As `calcidetect.scan_many` would.
    """
    check_limits(jobs, time_out_s)
    folder = named_folder(out)
    given = listed_paths(paths)
    films = given_films(given, root=root)
    check_folder(folder, given, films=films, recipe=recipe, resume=resume)
    finished = look_into_journal(folder, recipe.record()) if resume else {}
    tasks, _ = plan(films, folder, recipe=recipe, finished=finished)
    looks = {film.film: Look(film=film.film, fate="done") for film in films}
    with open_pool(None, len(films), jobs=jobs, time_out_s=time_out_s) as pool:
        for number, (task, look, trouble) in enumerate(run_tasks(_look, tasks, executor=pool), start=1):
            looks[task.film.film] = look or Look(film=task.film.film, fate="unreadable", note=trouble)
            if progress:
                progress(number, len(tasks))
    return _with_duplicates(looks.values())


def _look(task: Task) -> Look:
    film, path = task.film, os.path.abspath(task.film.path)
    try:
        radiograph = readers.load(path, spacing_mm=film.spacing_mm or task.recipe.spacing_mm)
    except Exception as error:  # as `scan_film`: what would be a row of the table ends no run
        return Look(film=film.film, fate="unreadable", note=in_words(error).replace(path, film.film))
    return Look(film=film.film, fate="scan", note=_described(radiograph), pixel_hash=radiograph.source.pixel_hash)


def _described(film: Radiograph) -> str:
    rows, cols = film.grid.source_shape
    spacing = film.grid.spacing_mm
    pitch = "no pixel spacing" if spacing is None else f"{spacing:.4g} mm ({film.grid.spacing_source})"
    return f"{rows} x {cols}, {pitch}"


def _with_duplicates(looks: Iterable[Look]) -> tuple[Look, ...]:
    first: dict[str, str] = {}
    told: list[Look] = []
    for look in looks:
        original = first.setdefault(look.pixel_hash, look.film) if look.pixel_hash else look.film
        same = original != look.film
        told.append(replace(look, note=f"{look.note}; same pixels as {original}") if same else look)
    return tuple(told)
