"""What a scan wrote, read back, and each of its films beside what is known of it."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath

from calcidetect.batch.names import film_stem, output_names
from calcidetect.batch.run_files import CANDIDATES_TABLE, FILMS_TABLE, RUN_FILE
from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.errors import EvaluationError
from calcidetect.evaluation.truth import KnownFilm
from calcidetect.writers import CANDIDATE_COLUMNS, ENDINGS, FILM_COLUMNS, Row, read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedCandidate:
    """What ``candidates.csv`` says of a candidate, as far as it is judged; source pixels."""

    score: float
    label: str
    x0: int
    y0: int
    x1: int
    y1: int
    row: float
    col: float
    area_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedFilm:
    """A film of a scan: its path as scanned, the first part of its files' names, whether it worked, its candidates."""

    path: str
    name: str
    ok: bool
    candidates: tuple[ScannedCandidate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """A folder of results: its films, and the least score that was reported (None: not known)."""

    folder: Path
    films: tuple[ScannedFilm, ...]
    least_score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A scanned film and what is known of it."""

    scanned: ScannedFilm
    known: KnownFilm


def read_results(folder: Path) -> Results:
    """Read the tables of a scan.

    Raises
    ------
    EvaluationError
        When the folder holds no results, or a row can't be understood.
    ConfigError
        When a table is not one of calcidetect's.
    """
    if missing := [name for name in (FILMS_TABLE, CANDIDATES_TABLE) if not os.path.isfile(folder / name)]:
        raise EvaluationError(f"{folder} holds no {missing[0]}; give a folder that calcidetect scan wrote.")
    candidates: dict[str, list[ScannedCandidate]] = {}
    for number, row in enumerate(read_table(folder / CANDIDATES_TABLE, CANDIDATE_COLUMNS), start=2):
        candidates.setdefault(row["film"], []).append(_candidate(row, folder / CANDIDATES_TABLE, number))
    rows = read_table(folder / FILMS_TABLE, FILM_COLUMNS)
    names = output_names([row["film"] for row in rows], endings=ENDINGS)
    films = tuple(
        ScannedFilm(
            path=row["film"],
            name=names[row["film"]],
            ok=row["status"] == "ok",
            candidates=tuple(candidates.get(row["film"], ())),
        )
        for row in rows
    )
    return Results(folder=folder, films=films, least_score=_least_score(folder / RUN_FILE))


def _candidate(row: Row, path: Path, number: int) -> ScannedCandidate:
    try:
        x0, y0, x1, y1 = (int(row[name]) for name in ("x0", "y0", "x1", "y1"))
        score, middle_row, middle_col, area = (float(row[name]) for name in ("score", "row", "col", "area_px"))
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"{path}, line {number}, can't be understood ({error}); scan again.") from error
    return ScannedCandidate(
        score=score, label=row["label"], x0=x0, y0=y0, x1=x1, y1=y1, row=middle_row, col=middle_col, area_px=area
    )


def _least_score(path: Path) -> float | None:
    try:
        least = json.loads(path.read_text(encoding="ascii"))["min_score"]
        return OPERATING_POINT if least is None else float(least)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def pair_films(results: Results, truth: tuple[KnownFilm, ...]) -> tuple[Pair, ...]:
    """Put scanned films and known ones together by path or file name, or by its stem where only the suffix differs.

    Raises
    ------
    EvaluationError
        When they have no film in common, or several scanned films have the name of one known film.
    """
    by_name, stems = {film.name: film for film in truth}, Counter(film_stem(film.name) for film in truth)
    by_stem = {stem: film for film in truth if stems[stem := film_stem(film.name)] == 1}
    pairs = []
    for film in results.films:
        path = PurePath(film.path)
        if known := by_name.get(film.path) or by_name.get(path.name) or by_stem.get(film_stem(film.path)):
            pairs.append(Pair(scanned=film, known=known))
    if not pairs:
        raise EvaluationError(f"No film of {results.folder} has the name of a film in the truth; check both.")
    _check_single(pairs)
    return tuple(pairs)


def _check_single(pairs: list[Pair]) -> None:
    name, count = Counter(pair.known.name for pair in pairs).most_common(1)[0]
    if count > 1:
        paths = " and ".join(pair.scanned.path for pair in pairs if pair.known.name == name)
        raise EvaluationError(f"{paths} all match the film {name} of the truth; scan them into separate folders.")
