"""The node's memory: folders on disk, in which every film and every result lies as a whole file or not at all.

A film goes ``films`` -> gone, its results ``outbox`` -> gone. What can't be analysed ends in ``failed``, what the PACS
will not have in ``refused``. Whatever is in ``films`` and ``outbox`` when the node is killed is gone on with when it is
started again. Doing a step twice does no harm, because the same film gives results with the same UIDs.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

from calcidetect.errors import ConfigError

FILMS, OUTBOX, FAILED, REFUSED, WORK = FOLDERS = ("films", "outbox", "failed", "refused", "work")
JOURNAL = "journal.jsonl"
_LOCK = "lock"
_PART = ".part"


@contextlib.contextmanager
def opened(root: Path) -> Iterator[None]:
    """Make the folders, readable for the owner alone, and keep other nodes out as long as the context lasts.

    Raises
    ------
    ConfigError
        When the folder can't be made, or another node works in it.
    """
    try:
        for name in FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
        root.chmod(0o700)  # films in here have names on them
        lock = (root / _LOCK).open("a")
    except OSError as error:
        raise ConfigError(f"The spool {root} can't be made: {error.strerror}; choose another folder.") from error
    with lock:
        if not _take(lock.fileno()):
            raise ConfigError(f"Another node works in {root}; stop it, or choose another folder.")
        for half in root.glob(f"*/*{_PART}"):
            half.unlink()  # never acknowledged to the sender, who has it still
        yield


def is_open(root: Path) -> bool:
    """Whether a node works in this spool."""
    if not (root / _LOCK).exists():
        return False
    with (root / _LOCK).open("a") as lock:
        return not _take(lock.fileno())


def _take(handle: int) -> bool:
    """Lock a file until its process ends, however it ends; True where files can't be locked."""
    try:
        import fcntl  # noqa: PLC0415 - not on Windows
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def put(path: Path, data: bytes) -> None:
    """Write a file so that it is whole on the disk before it has its name.

    Raises
    ------
    OSError
        When the disk is full or fails; then nothing is left of it.
    """
    part = path.with_name(path.name + _PART)
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Let the new name reach the disk too; systems without this call write names at once."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def waiting(root: Path, folder: str) -> list[Path]:
    """Files of a folder, longest waiting first."""
    found = []
    for path in (root / folder).glob("*.dcm"):
        with contextlib.suppress(FileNotFoundError):  # taken away in between
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def note(root: Path, event: str, **facts: object) -> None:
    """Add a line to the journal: UIDs, counts and errors, nothing about the patient.

    A journal that can't be written, as on a full disk, is no reason to stop.
    """
    line = json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S"), "event": event, **facts})
    with contextlib.suppress(OSError), (root / JOURNAL).open("a", encoding="ascii") as file:
        file.write(line + "\n")


def status(root: Path) -> dict[str, object]:
    """Tell what waits, what was done and what went wrong last; works beside a running node.

    Raises
    ------
    ConfigError
        When there is no spool.
    """
    if not (root / FILMS).is_dir():
        raise ConfigError(f"There is no spool in {root}; start a node with it first.")
    events = list(_events(root))
    names = [event.get("event") for event in events]
    troubles = [event for event in events if "error" in event]
    return {
        "node": "running" if is_open(root) else "not running",
        "films received": names.count("received"),
        "films waiting": len(waiting(root, FILMS)),
        "films analysed": names.count("analysed"),
        "films failed": len(waiting(root, FAILED)),
        "results waiting": len(waiting(root, OUTBOX)),
        "results sent": names.count("sent"),
        "results refused": len(waiting(root, REFUSED)),
        "last trouble": f"{troubles[-1]['time']} {troubles[-1]['error']}" if troubles else "",
    }


def _events(root: Path) -> Iterator[dict[str, object]]:
    if not (root / JOURNAL).exists():
        return
    for line in (root / JOURNAL).read_text(encoding="ascii", errors="replace").splitlines():
        with contextlib.suppress(ValueError):  # the last line of a node that was killed while writing it
            yield json.loads(line)
