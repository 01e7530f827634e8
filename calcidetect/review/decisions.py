"""The audit trail: an SQLite file beside the journal that decisions are added to, and nothing is taken from.

Each decision is one transaction, on the disk before the reader is told so. It counts only if the reader has seen every
decision before it on that film: two pages can't decide past each other.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from calcidetect.batch.names import as_utf8
from calcidetect.errors import CalcidetectError, ConfigError, OutputError
from calcidetect.review.marks import Decision

DECISIONS_FILE = "decisions.sqlite"

_FORMAT = 1  # of the table below, kept as the file's user_version
_LOCK_WAIT_S = 3.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS decisions (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, film TEXT NOT NULL, path TEXT NOT NULL, reader TEXT NOT NULL,
    time TEXT NOT NULL, action TEXT NOT NULL, content TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS trail ON decisions (film, sequence);
CREATE TRIGGER IF NOT EXISTS no_change BEFORE UPDATE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are never changed'); END;
CREATE TRIGGER IF NOT EXISTS no_removal BEFORE DELETE ON decisions
BEGIN SELECT RAISE(ABORT, 'decisions are never removed'); END;
CREATE TRIGGER IF NOT EXISTS no_replacement BEFORE INSERT ON decisions
WHEN EXISTS (SELECT 1 FROM decisions WHERE sequence = NEW.sequence)
BEGIN SELECT RAISE(ABORT, 'decisions are never replaced'); END;
"""
_COLUMNS = "sequence, film, reader, time, action, content"


class OutOfDate(CalcidetectError):
    """The reader has not seen the newest decision on the film."""


class DecisionStore:
    """The audit trail of one folder of results.

    The file is opened for each use, so that a folder which vanished is noticed.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / DECISIONS_FILE

    def add(self, film: str, path: str, *, reader: str, action: str, content: Mapping[str, Any], last: int) -> None:
        """Put a decision on the disk.

        Parameters
        ----------
        film, path
            Hash of the film's pixels, and what the tables call it.
        reader, action, content
            See `Decision`.
        last
            Sequence number of the newest decision on this film that the reader knows of.

        Raises
        ------
        OutOfDate
            When there is a newer one.
        OutputError
            When the file can't be written.
        """
        row = (film, as_utf8(path), reader, _now(), action, json.dumps(content))
        with self._open("rwc") as connection, _transaction(connection):
            newest = connection.execute("SELECT max(sequence) FROM decisions WHERE film = ?", (film,)).fetchone()[0]
            if (newest or 0) != last:
                raise OutOfDate("Another page has decided something on this film; look at it again, then decide.")
            connection.execute(
                "INSERT INTO decisions (film, path, reader, time, action, content) VALUES (?, ?, ?, ?, ?, ?)", row
            )

    def of_film(self, film: str) -> tuple[Decision, ...]:
        """Decisions on a film, oldest first."""
        return self._read("WHERE film = ? ORDER BY sequence", (film,))

    def by_film(self) -> dict[str, list[Decision]]:
        """All decisions by the hash of their film, oldest first."""
        films: dict[str, list[Decision]] = {}
        for decision in self._read("ORDER BY sequence", ()):
            films.setdefault(decision.film, []).append(decision)
        return films

    def _read(self, which: str, values: tuple[str, ...]) -> tuple[Decision, ...]:
        if not self.path.exists():
            return ()
        # A read-only disk holds no log of writes beside the file, which SQLite looks for otherwise.
        mode = "rw" if os.access(self.path.parent, os.W_OK) else "ro&immutable=1"
        with self._open(mode) as connection:
            rows = connection.execute(f"SELECT {_COLUMNS} FROM decisions {which}", values).fetchall()
        return tuple(
            Decision(
                sequence=row[0], film=row[1], reader=row[2], time=row[3], action=row[4], content=json.loads(row[5])
            )
            for row in rows
        )

    @contextlib.contextmanager
    def _open(self, mode: str) -> Iterator[sqlite3.Connection]:
        with _plainly(self.path):
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=_LOCK_WAIT_S
            )
            with contextlib.closing(connection):
                _set_up(connection, self.path)
                yield connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, _FORMAT):
        raise ConfigError(f"{path} was written by another version of calcidetect; open it with that one.")
    connection.execute("PRAGMA synchronous = FULL")  # a power cut takes no decision that was acknowledged
    if version == 0:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_FORMAT}; COMMIT;")


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextlib.contextmanager
def _plainly(path: Path) -> Iterator[None]:
    """Say what SQLite complains of in plain words."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            text = f"{path} is locked by another program; the decision was not kept, try again."
        elif name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            text = f"{path} is damaged; move it away to go on without its decisions."
        elif name.startswith("SQLITE_READONLY"):
            text = f"{path} can't be written, so no decision is kept; make its folder writable."
        else:
            text = f"{path} can't be used ({error}); check that its folder is there and can be written."
        raise OutputError(text) from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
