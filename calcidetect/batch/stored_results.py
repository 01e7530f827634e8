"""Results of a run as its journal holds them, read from the disk as they are asked for."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import overload

from calcidetect.batch.results import DUPLICATE, FilmResult
from calcidetect.errors import ConfigError, OutputError
from calcidetect.writers import CANDIDATE_COLUMNS, FILM_COLUMNS

LOCK_WAIT_S = 0.5
"""Patience with someone who is just looking into the journal."""

_BUSY = ("SQLITE_BUSY", "SQLITE_LOCKED")


class StoredResults(Sequence[FilmResult]):
    """Results of a run, read from its journal as they are asked for: a hundred thousand take no memory.

    Films whose pixels stand before them in the list get the flag ``duplicate``.
    """

    def __init__(self, path: Path, run: int, *, connection: sqlite3.Connection | None = None) -> None:
        self._path, self._run, self._connection = path, run, connection

    def __len__(self) -> int:
        with self._asking() as ask:
            return int(ask.execute("SELECT count(*) FROM films WHERE run = ?", (self._run,)).fetchone()[0])

    def __iter__(self) -> Iterator[FilmResult]:
        seen: set[str] = set()
        with self._asking() as ask:
            columns = "result, details, name, pixel_hash, patient, thumbnail"
            for row in ask.execute(f"SELECT {columns} FROM films WHERE run = ? ORDER BY position", (self._run,)):
                result = _unpacked(row[:2], *row[2:])
                yield _flagged(result, DUPLICATE) if result.pixel_hash in seen else result
                seen |= {result.pixel_hash} - {""}

    @overload
    def __getitem__(self, index: int) -> FilmResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[FilmResult, ...]: ...
    def __getitem__(self, index: int | slice) -> FilmResult | tuple[FilmResult, ...]:
        """Return one result or several; each call reads the run from its start, as far as it has to."""
        if isinstance(index, slice):
            return tuple(self)[index]
        number = index if index >= 0 else len(self) + index
        found = next(islice(self, number, None), None) if number >= 0 else None
        if found is None:
            raise IndexError(f"there is no result {index} of {len(self)}")
        return found

    def closed(self) -> StoredResults:
        """The same results, to be read after the journal was closed."""
        return StoredResults(self._path, self._run)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        with plainly(self._path):
            if self._connection:
                yield self._connection
                return
            with contextlib.closing(read_only(self._path)) as own:
                yield own


def read_only(path: Path) -> sqlite3.Connection:
    """Open a journal to read it."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCK_WAIT_S)
    connection.text_factory = as_text
    return connection


def packed(result: FilmResult) -> str:
    """Result as ASCII JSON, without what has a column of its own; file names that are no UTF-8 survive it."""
    rows = [[row[name] for name in CANDIDATE_COLUMNS] for row in result.candidates]
    return json.dumps([[result.film[name] for name in FILM_COLUMNS], rows])


def packed_details(result: FilmResult) -> bytes:
    """Outlines and reasons of a result, compressed: a fifth of their text."""
    return zlib.compress(json.dumps([result.outlines, [dict(item) for item in result.reasons]]).encode("ascii"))


def _unpacked(packed: tuple[str, bytes], name: str, pixel_hash: str, patient: str, thumbnail: bytes) -> FilmResult:
    (film, rows), (outlines, reasons) = json.loads(packed[0]), json.loads(zlib.decompress(packed[1]))
    return FilmResult(
        film=dict(zip(FILM_COLUMNS, film, strict=True)),
        candidates=tuple(dict(zip(CANDIDATE_COLUMNS, row, strict=True)) for row in rows),
        name=name,
        pixel_hash=pixel_hash,
        patient=patient,
        outlines=tuple(tuple(outline) for outline in outlines),
        reasons=tuple(reasons),
        thumbnail=thumbnail,
    )


def _flagged(result: FilmResult, flag: str) -> FilmResult:
    words = [*filter(None, result.film["flags"].split(";")), flag]
    return replace(result, film=result.film | {"flags": ";".join(words)})


def as_text(stored: bytes) -> str:
    """Text as SQLite keeps it; file names that are no UTF-8 come out as they went in."""
    return stored.decode("utf-8", "surrogateescape")


@contextlib.contextmanager
def plainly(path: Path) -> Iterator[None]:
    """Say what SQLite complains of in plain words."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(_BUSY):
            raise OutputError(
                f"Another run is writing into {path.parent}; wait for its end, or choose another folder."
            ) from error
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            raise ConfigError(f"{path} is damaged; move it away, or choose another folder.") from error
        raise OutputError(f"{path} can't be used: {error}.") from error
