"""What is written of all films together: the two tables, the gallery, COCO, Parquet, and whom the films show."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from calcidetect.batch import coco, gallery
from calcidetect.batch.names import as_utf8
from calcidetect.batch.results import FilmResult
from calcidetect.writers import CANDIDATE_COLUMNS, FILM_COLUMNS, Row, whole_file, write_bytes, write_table

FILMS_TABLE = "films.csv"
CANDIDATES_TABLE = "candidates.csv"
IDENTIFIERS_TABLE = "identifiers.csv"
RUN_FILE = "run.json"
GALLERY_FILE = "index.html"
COCO_FILE = "coco.json"
PARQUET_FILES = ("films.parquet", "candidates.parquet")

TABLES = {FILMS_TABLE: FILM_COLUMNS, CANDIDATES_TABLE: CANDIDATE_COLUMNS}
"""The tables that every run writes, and their columns."""

RUN_FORMATS = {"coco": "", "parquet": "pyarrow"}
"""Output formats of all films together, and the extra library that each needs."""

_TEXT_COLUMNS = {"film", "status", "error", "region", "laterality", "spacing_source", "flags", "label", "zone"}
_WHOLE_COLUMNS = {"rows", "cols", "n_candidates", "id", "x0", "y0", "x1", "y1"}
_PARQUET_CHUNK = 10_000  # rows held in memory


def run_file_names(formats: Sequence[str], *, identified: bool) -> tuple[str, ...]:
    """Names of the files on all films that a run of these formats writes; `identified` when it tells patients."""
    return (
        *(*TABLES, RUN_FILE),
        *((IDENTIFIERS_TABLE,) if identified else ()),
        *((GALLERY_FILE,) if formats else ()),
        *((COCO_FILE,) if "coco" in formats else ()),
        *(PARQUET_FILES if "parquet" in formats else ()),
    )


def begin_run_files(folder: Path, recipe: Mapping[str, Any], *, before: Mapping[str, Any] | None) -> None:
    """Write the settings of a run, and replace what another has left of all films by empty tables.

    `before` is the recipe of that run, empty when there was none; None when it goes on.
    """
    if before is not None:
        for name in _left_by(before):
            (folder / name).unlink(missing_ok=True)
        _write_tables(folder, ())
    write_bytes(folder / RUN_FILE, (json.dumps(recipe, indent=2) + "\n").encode("ascii"))


def _left_by(recipe: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the files on all films that a run of this recipe has written: others in its folder are the user's."""
    return run_file_names(recipe["formats"], identified=recipe["keep_identifiers"]) if recipe else ()


def write_run_files(folder: Path, results: Sequence[FilmResult], *, formats: Sequence[str], identified: bool) -> None:
    """Write everything that the formats of a run ask for.

    Parameters
    ----------
    folder
        Of the results.
    results
        Of all films, in order; gone through several times.
    formats
        Of the run. The tables are always written, the gallery with any format.
    identified
        Write ``identifiers.csv``: whom each film shows.

    Raises
    ------
    OutputError
        When a file can't be written.
    """
    _write_tables(folder, results)
    if identified:
        rows = ({"film": result.film["film"], "patient": result.patient} for result in results)
        write_table(folder / IDENTIFIERS_TABLE, ("film", "patient"), rows=rows)
    if "parquet" in formats:
        films, candidates = (folder / name for name in PARQUET_FILES)
        _write_parquet(films, FILM_COLUMNS, (result.film for result in results))
        _write_parquet(candidates, CANDIDATE_COLUMNS, _candidates(results))
    if "coco" in formats:
        _write_pieces(folder / COCO_FILE, coco.pieces(results))
    if formats:
        _write_pieces(folder / GALLERY_FILE, gallery.pieces(results, overlays="png" in formats))


def _write_tables(folder: Path, results: Iterable[FilmResult]) -> None:
    write_table(folder / FILMS_TABLE, FILM_COLUMNS, rows=(result.film for result in results))
    write_table(folder / CANDIDATES_TABLE, CANDIDATE_COLUMNS, rows=_candidates(results))


def _candidates(results: Iterable[FilmResult]) -> Iterator[Row]:
    return (row for result in results for row in result.candidates)


def _write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    with whole_file(path) as file:
        file.writelines(pieces)


def _write_parquet(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows with numbers as numbers; what is empty in the CSV is null."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow.parquet import ParquetWriter  # noqa: PLC0415

    types = {"text": pa.string(), "whole": pa.int64(), "number": pa.float64()}
    schema = pa.schema([(name, types[_kind(name)]) for name in columns])
    with whole_file(path) as file, ParquetWriter(file, schema, compression="zstd") as table:
        waiting = iter(rows)
        while chunk := list(islice(waiting, _PARQUET_CHUNK)):
            values = [[_typed(row[name], _kind(name)) for row in chunk] for name in columns]
            table.write_table(pa.table(values, schema=schema))


def _kind(column: str) -> str:
    return "text" if column in _TEXT_COLUMNS else "whole" if column in _WHOLE_COLUMNS else "number"


def _typed(cell: str, kind: str) -> str | int | float | None:
    if kind == "text":
        return as_utf8(cell)  # Parquet holds UTF-8 alone
    if not cell:
        return None
    return int(cell) if kind == "whole" else float(cell)
