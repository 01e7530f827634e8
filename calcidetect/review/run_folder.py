"""A folder of results as the reading page sees it: its films and their candidates, from the journal."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calcidetect.batch.journal import JOURNAL_FILE, JOURNAL_FORMAT
from calcidetect.batch.results import FilmResult, Outline
from calcidetect.batch.run_files import RUN_FORMATS, run_file_names
from calcidetect.batch.stored_results import StoredResults, plainly, read_only
from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.config import Config
from calcidetect.errors import ConfigError, OutputError, ReadError
from calcidetect.reading.readers import looks_like_film
from calcidetect.review.decisions import DECISIONS_FILE
from calcidetect.types import LOOKS, TRACHEAL, Candidate
from calcidetect.writers import FORMATS

MOST_CANDIDATES = 400
"""Candidates of a film that the page gets, by score; a run with ``--min-score 0`` has more than anyone looks at."""

VERIFIED = ".review.sr.dcm"
"""End of the name of a verified report, which a later one of the film may replace."""

_HALF_PX = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewFilm:
    """A film of a run: its number on the page, its result, and what the user told of it."""

    id: int
    result: FilmResult
    told: tuple[float | None, str, str]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Its best `MOST_CANDIDATES` and the trachea, made anew each time: those of all films would fill the memory."""
        result = self.result
        rows = enumerate(zip(result.candidates, result.outlines, result.reasons, strict=True))
        shown = (row for place, row in rows if place < MOST_CANDIDATES or row[0]["label"] == TRACHEAL)
        return tuple(_candidate(*row) for row in shown)

    @property
    def name(self) -> str:
        """What the tables call it."""
        return self.result.film["film"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What the journal holds of the last run."""

    recipe: dict[str, Any]
    films: dict[int, ReviewFilm]

    @property
    def config(self) -> Config:
        """Settings of the run."""
        return Config().replace(self.recipe["settings"])

    @property
    def min_score(self) -> float:
        """Least score of the candidates that the run kept."""
        least = self.recipe["min_score"]
        return OPERATING_POINT if least is None else float(least)

    @property
    def operating_point(self) -> float:
        """Least score of what is shown as a mark: the shipped one, or more where the run kept less."""
        return max(OPERATING_POINT, self.min_score)


class RunFolder:
    """The films of a folder of results, read again when its journal has changed."""

    def __init__(self, folder: Path, *, root: Path | None = None) -> None:
        self.folder, self._root = folder, root
        self._lock, self._state, self._run = threading.Lock(), (0, 0, 0), Run(recipe={}, films={})

    def run(self) -> Run:
        """The last run.

        Raises
        ------
        OutputError
            When the folder has vanished, or another run is writing into it.
        ConfigError
            When its journal is damaged, or of another version.
        """
        path = self.folder / JOURNAL_FILE
        try:
            found = path.stat()
        except OSError as error:
            raise OutputError(f"{path} is gone; bring the folder back, or scan the films again.") from error
        with self._lock:
            state = (found.st_ino, found.st_mtime_ns, found.st_size)
            if state != self._state:
                self._run, self._state = _read(path), state
            return self._run

    def film(self, number: int) -> ReviewFilm:
        """The film with this number.

        Raises
        ------
        ConfigError
            When there is none.
        """
        film = self.run().films.get(number)
        if film is None:
            raise ConfigError(f"The run has no film {number}; load the page again.")
        return film

    def path(self, film: ReviewFilm) -> Path:
        """Where a film is: as named from here, or below the folder given as root.

        Raises
        ------
        ReadError
            When it is not there.
        """
        path = Path(film.name) if self._root is None else self._root / film.name
        if not os.path.exists(path):
            raise ReadError(
                f"{film.name} is not there any more; bring it back, start the page where the scan was started, or "
                "give the folder that films are named from as --root DIR."
            )
        return path

    def refuse_to_replace(self, path: Path) -> None:
        """Raise ConfigError when a file to be written is a film, or holds results or decisions of this run."""
        real, own = os.path.realpath(path), os.path.realpath(self.folder)
        films = self.run().films.values()
        if os.path.dirname(real) == own and os.path.basename(real) in _names_of(films):
            raise ConfigError(f"{path} belongs to the run in {self.folder}; give another name.")
        if os.path.isfile(real) and looks_like_film(Path(real)) and not path.name.endswith(VERIFIED):
            raise ConfigError(f"{path} is a film; give another name.")


def _names_of(films: Iterable[ReviewFilm]) -> set[str]:
    """Names of all files that a scan and its readers may have left in a folder."""
    of_all = run_file_names(tuple(RUN_FORMATS), identified=True)
    journals = (f"{name}{ending}" for name in (JOURNAL_FILE, DECISIONS_FILE) for ending in ("", "-wal", "-shm"))
    of_films = (f"{film.result.name}{form.suffix}" for film in films for form in FORMATS.values())
    return {*of_all, *journals, *of_films}


def is_run_folder(path: Path) -> bool:
    """Whether a scan has left its journal in this folder."""
    return os.path.isfile(path / JOURNAL_FILE)


def _read(path: Path) -> Run:
    with plainly(path), contextlib.closing(read_only(path)) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] != JOURNAL_FORMAT:
            raise ConfigError(f"{path} was written by another version of calcidetect; scan the films again.")
        last = connection.execute("SELECT number, recipe FROM runs ORDER BY number DESC LIMIT 1").fetchone()
        if last is None:
            raise ConfigError(f"{path} holds no run; scan films into its folder first.")
        told = connection.execute("SELECT told FROM films WHERE run = ? ORDER BY position", (last[0],)).fetchall()
        results = list(StoredResults(path, last[0], connection=connection))
    films = (
        ReviewFilm(id=number, result=result, told=tuple(json.loads(words)))
        for number, (result, (words,)) in enumerate(zip(results, told, strict=True), start=1)
    )
    return Run(recipe=json.loads(last[1]), films={film.id: film for film in films})


def _candidate(row: dict[str, str], outline: Outline, reasons: Any) -> Candidate:
    """A candidate as the tables and the journal have it, to four digits after the point."""
    words = tuple(filter(None, row["flags"].split(";")))
    look = words[0] if words and words[0] in LOOKS else ""
    corners = zip(outline[::2], outline[1::2], strict=True)
    numbers: dict[str, Any] = {
        **{name: int(row[name]) for name in ("id", "x0", "y0", "x1", "y1")},
        **{name: float(row[name] or "nan") for name in ("score", "row", "col", "area_px")},
        **{name: float(row[name] or "nan") for name in ("contrast_noise", "contrast_bone")},
        **{name: float(row[name]) if row[name] else None for name in ("area_mm2", "diameter_mm", "bone_distance_mm")},
    }
    return Candidate(
        **numbers,
        label=row["label"],
        zone=row["zone"],
        look=look,
        flags=words[bool(look) :],
        contour=tuple((y - _HALF_PX, x - _HALF_PX) for x, y in corners),
        reasons=reasons,
    )
