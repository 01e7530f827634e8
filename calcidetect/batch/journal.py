"""What a batch has done, film by film: an SQLite file in the folder of results, from which all tables are made.

Each film is one transaction, on the disk before the next one counts. A row is keyed by film, pixel hash, settings hash
and version. The process that writes holds the file locked: no second run gets into the same folder.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calcidetect.batch.results import FilmResult
from calcidetect.batch.stored_results import (
    LOCK_WAIT_S,
    StoredResults,
    as_text,
    packed,
    packed_details,
    plainly,
    read_only,
)
from calcidetect.errors import ConfigError
from calcidetect.writers import FILM_COLUMNS

JOURNAL_FILE = "journal.sqlite"

JOURNAL_FORMAT = 3
"""Of the tables below, kept as the file's user_version."""

_ANY_TEXT = ("film", "name", "patient")  # file names need not be UTF-8; SQLite keeps their bytes
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY, version TEXT, settings_hash TEXT, recipe TEXT, started TEXT, ended TEXT);
CREATE TABLE IF NOT EXISTS films (
    film TEXT, pixel_hash TEXT, settings_hash TEXT, version TEXT,
    run INTEGER, position INTEGER, bytes INTEGER, written_ns INTEGER, touched_ns INTEGER,
    file_hash TEXT, told TEXT, name TEXT, status TEXT, result TEXT, details BLOB, patient TEXT, thumbnail BLOB,
    PRIMARY KEY (film, pixel_hash, settings_hash, version));
CREATE INDEX IF NOT EXISTS order_of_run ON films (run, position);
"""
_FOOTING = ("bytes", "written_ns", "touched_ns", "told", "name", "file_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Footing:
    """What a result rests on besides the settings: it holds as long as these stay.

    Attributes
    ----------
    bytes
        Size of the film's file; -1 for one that is not there.
    written_ns, touched_ns
        When its content was last written, which programs may set back, and when anything of it last changed, which none
        can; nanoseconds, -1 where unknown.
    told
        What the user told of this film alone, as JSON.
    name
        First part of the names of its output files.
    file_hash
        SHA-256 of the file's content, once the film was scanned; empty before.
    flags
        Of the result, once there is one; not compared.
    """

    bytes: int
    written_ns: int
    touched_ns: int
    told: str
    name: str
    file_hash: str = ""
    flags: tuple[str, ...] = field(default=(), compare=False)


class Journal:
    """The open journal of one folder; see `open_journal`."""

    def __init__(self, connection: sqlite3.Connection, folder: Path) -> None:
        self._connection, self._folder = connection, folder
        self._run, self._settings_hash, self._version = 0, "", ""

    def begin(self, recipe: Mapping[str, Any], *, resume: bool) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Go on with the last run, or start a new one.

        Parameters
        ----------
        recipe
            Everything that decides the results, as JSON knows it; with its ``version``.
        resume
            Keep what the last run has done. Without it, results of the same recipe are replaced one by one, those of
            another are dropped at once.

        Returns
        -------
        recipe, names
            Of results that were dropped: what made them, and the first parts of the names of their files.

        Raises
        ------
        ConfigError
            When the last run had another recipe and `resume` is set.
        """
        with self._transaction() as change:
            number, before = self._last_run()
            changed = self._settle(recipe, before, resume=resume)
            self._run = number + (not resume or not number)
            names = [name for (name,) in change.execute("SELECT name FROM films WHERE ?", (changed,)) if name]
            change.execute("DELETE FROM films WHERE ?", (changed,))
            change.execute(
                "INSERT OR IGNORE INTO runs VALUES (?, ?, ?, ?, ?, NULL)",
                (self._run, self._version, self._settings_hash, json.dumps(recipe), _now()),
            )
        return before, tuple(names)

    def look(self, recipe: Mapping[str, Any]) -> dict[str, Footing]:
        """Return what `finished` would, were the last run resumed, and change nothing.

        Raises
        ------
        ConfigError
            When the last run had another recipe.
        """
        with self._speaking():
            self._settle(recipe, self._last_run()[1], resume=True)
        return self.finished()

    def _last_run(self) -> tuple[int, dict[str, Any]]:
        """Number and recipe of the last run, 0 and empty when there is none."""
        last = self._connection.execute("SELECT number, recipe FROM runs ORDER BY number DESC LIMIT 1").fetchone()
        return (last[0], json.loads(last[1])) if last else (0, {})

    def _settle(self, recipe: Mapping[str, Any], before: Mapping[str, Any], *, resume: bool) -> bool:
        """Take on a recipe, and say whether it differs from the one before."""
        self._version, self._settings_hash = str(recipe["version"]), recipe_hash(recipe)
        changed = [key for key in {**recipe, **before} if before and before.get(key) != recipe.get(key)]
        if resume and changed:
            what = changed[0].replace("_", " ")
            raise ConfigError(
                f"The results in {self._folder} were made with {'other' if what.endswith('s') else 'another'} {what}; "
                "run without --resume, or choose another folder."
            )
        return bool(changed)

    def finished(self) -> dict[str, Footing]:
        """Films that were scanned with this recipe, and what their results rest on."""
        with self._speaking() as ask:
            flags = f"json_extract(result, '$[0][{FILM_COLUMNS.index('flags')}]')"
            rows = ask.execute(
                f"SELECT film, {flags}, {', '.join(_FOOTING)} FROM films "
                "WHERE status = 'ok' AND settings_hash = ? AND version = ?",
                (self._settings_hash, self._version),
            )
            return {
                film: Footing(**dict(zip(_FOOTING, values, strict=True)), flags=tuple(filter(None, words.split(";"))))
                for film, words, *values in rows
            }

    def keep(self, films: Iterable[tuple[int, str, Footing]]) -> None:
        """Take finished films into this run: position, name and present footing of each, in one transaction."""
        with self._transaction() as change:
            change.execute("UPDATE films SET run = -1 WHERE run = ?", (self._run,))
            change.executemany(
                "UPDATE films SET run = ?, position = ?, written_ns = ?, touched_ns = ? WHERE film = CAST(? AS TEXT)",
                (
                    (self._run, position, footing.written_ns, footing.touched_ns, _bytes(film))
                    for position, film, footing in films
                ),
            )

    def hand_over(self, names: Mapping[str, str]) -> None:
        """Forget other films whose files films of this run are about to replace; `names` are of its output files.

        Not only once such a film is done: a run that is killed has perhaps replaced a file that it never noted.
        """
        owners = {name.casefold(): film for film, name in names.items()}  # some file systems know no upper case
        with self._transaction() as change:
            rows = change.execute("SELECT film, name FROM films").fetchall()
            lost = [(_bytes(film),) for film, name in rows if owners.get(name.casefold(), film) != film]
            change.executemany("DELETE FROM films WHERE film = CAST(? AS TEXT)", lost)

    def record(self, result: FilmResult, *, position: int, footing: Footing) -> None:
        """Put a film's result on the disk, in one transaction, in the place of any before it."""
        row = {
            "film": _bytes(result.film["film"]),
            "pixel_hash": result.pixel_hash,
            "settings_hash": self._settings_hash,
            "version": self._version,
            "run": self._run,
            "position": position,
            "bytes": footing.bytes,
            "written_ns": footing.written_ns,
            "touched_ns": footing.touched_ns,
            "file_hash": result.file_hash,
            "told": footing.told,
            "name": _bytes(footing.name),
            "status": result.film["status"],
            "result": packed(result),
            "details": packed_details(result),
            "patient": _bytes(result.patient),
            "thumbnail": result.thumbnail,
        }
        values = ", ".join(f"CAST(:{name} AS TEXT)" if name in _ANY_TEXT else f":{name}" for name in row)
        with self._transaction() as change:
            change.execute("DELETE FROM films WHERE film = CAST(:film AS TEXT)", row)
            change.execute(f"INSERT INTO films ({', '.join(row)}) VALUES ({values})", row)

    def results(self) -> StoredResults:
        """Results of this run, in the order of its films."""
        return StoredResults(self._folder / JOURNAL_FILE, self._run, connection=self._connection)

    def end(self) -> None:
        """Note that the run has come to its end."""
        with self._transaction() as change:
            change.execute("UPDATE runs SET ended = ? WHERE number = ?", (_now(), self._run))

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._speaking() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _speaking(self) -> Iterator[sqlite3.Connection]:
        with plainly(self._folder / JOURNAL_FILE):
            yield self._connection


def look_into_journal(folder: Path, recipe: Mapping[str, Any]) -> dict[str, Footing]:
    """Films that a resumed run would keep, and what their results rest on; nothing is written.

    Raises
    ------
    ConfigError
        When the last run had another recipe.
    """
    path = folder / JOURNAL_FILE
    if not os.path.exists(path):
        return {}
    with plainly(path), contextlib.closing(read_only(path)) as connection:
        return Journal(connection, folder).look(recipe)


@contextlib.contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """Open the journal of a folder, or start one; nobody else can write into it meanwhile.

    Raises
    ------
    OutputError
        When another run holds it, or it can't be written.
    ConfigError
        When it is damaged, or of another version of its tables.
    """
    path = folder / JOURNAL_FILE
    with plainly(path):
        connection = sqlite3.connect(path, isolation_level=None, timeout=LOCK_WAIT_S)
    connection.text_factory = as_text
    with contextlib.closing(connection):
        with plainly(path):
            _set_up(connection, path)
        try:
            yield Journal(connection, folder)
        finally:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("PRAGMA journal_mode = DELETE")  # leaves one file, that opens on read-only disks too


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # a power cut takes no film that was reported done
    connection.execute("PRAGMA secure_delete = ON")  # dropped rows may name patients
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, JOURNAL_FORMAT):
        raise ConfigError(f"{path} was written by another version of calcidetect; choose another folder.")
    connection.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA} PRAGMA user_version = {JOURNAL_FORMAT}; COMMIT;")


def recipe_hash(recipe: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that change with any part of a recipe but its version."""
    parts = {key: value for key, value in recipe.items() if key != "version"}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def _bytes(film: str) -> bytes:
    return film.encode("utf-8", "surrogateescape")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
