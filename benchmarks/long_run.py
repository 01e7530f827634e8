"""One long run of the command, measured from outside: rate, memory, a kill in its midst, resuming it.

Films are synthetic: phantoms of one wrist or a shoulder on a coarse grid, each film with its own gain and grain, so
that no two have the same pixels. They go through the real pipeline. At each tenth the run is stopped for a moment and
a few of its films are scanned in this process, so that rates with and without workers are of the same minutes.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calcidetect.batch.film_task import Recipe
from calcidetect.batch.run import scan_films
from calcidetect.batch.workers import Here
from calcidetect.phantom import make_phantom

PHANTOM_MM, FULL_SCALE = 2.0, 4095  # of the phantoms as they are drawn
PIXEL_MM = 0.4  # as the command is told: a smaller patient, and the working grid without enlarging
MIN_SCORE = 0.05  # some candidates on most films
TENTHS = 10
JOBS = 2
SERIAL_FILMS = 12  # at each tenth, in this process

Figures = dict[str, Any]


def write_phantoms(folder: Path, count: int, *, kinds: int) -> Path:
    """Write `count` films, drawn from `kinds` phantoms of each sort by turns."""
    folder.mkdir()
    drawn = [film for seed in range(kinds) for film in _phantoms(seed)]
    for number in range(count):
        random = np.random.default_rng(number)
        drawing = drawn[number % len(drawn)]
        film = drawing * random.uniform(0.8, 1.0) + random.normal(0, 1, drawing.shape)
        cv2.imwrite(str(folder / f"{number:06}.png"), np.clip(film, 0, 255).astype(np.uint8))
    return folder


def _phantoms(seed: int) -> Iterator[npt.NDArray[np.float32]]:
    wrists, shoulder = (
        make_phantom(kind, seed=seed, spacing_mm=PHANTOM_MM).pixels * np.float32(255 / FULL_SCALE)
        for kind in ("wrists", "shoulder")
    )
    yield from (*np.array_split(wrists, 2, axis=1), shoulder)


@dataclass(slots=True)
class Run:
    """A command under way: what it has said, and what it has cost so far."""

    process: subprocess.Popen[str]
    paused_s: float = 0.0
    started: float = field(default_factory=time.monotonic)

    def done(self) -> Iterator[int]:
        """Number of films done, each time it grows."""
        assert self.process.stderr
        for line in self.process.stderr:
            if said := re.match(r"\[(\d+)/\d+\]", line):
                yield int(said[1])

    def state(self) -> Figures:
        """Seconds, memory and processor time, of the command and of its workers."""
        workers = _children(self.process.pid)
        return {
            "s": time.monotonic() - self.started - self.paused_s,
            "parent_mb": _resident_mb(self.process.pid),
            "workers_mb": [_resident_mb(worker) for worker in workers],
            "cpu_s": sum(map(_cpu_s, [self.process.pid, *workers])),
        }

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop command and workers while the block runs."""
        since, stopped = time.monotonic(), [self.process.pid, *_children(self.process.pid)]
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            for process in reversed(stopped):
                os.kill(process, signal.SIGCONT)
            self.paused_s += time.monotonic() - since


def long_run(scratch: Path, count: int) -> Figures:
    """Scan `count` films by the command; kill it once; resume it; resume it once more with nothing left to do."""
    films, out = write_phantoms(scratch / "long", count, kinds=2 if count < 1000 else 20), scratch / "long out"
    serial = _Serial(sorted(films.iterdir()), scratch / "serial")
    serial.rate()  # what is loaded on first use
    with _command(films, out) as run:
        before = _watch(run, serial, until=count // 2, total=count)
        run.process.kill()
        run.process.wait()
    kept = _journal_rows(out)
    with _command(films, out, "--resume") as run:
        after = _watch(run, serial, until=count, total=count)
        rest_s = time.monotonic() - run.started - run.paused_s
    again = time.monotonic()
    with _command(films, out, "--resume") as run:
        redone = sum(1 for _ in run.done())
    return {
        "films": count,
        "before_the_kill": before,
        "kept_by_the_kill": kept,
        "after_it": after,
        "rest_s": rest_s,
        "resumed_with_nothing_to_do_s": time.monotonic() - again,
        "redone": redone,
        "result": _result(out, films),
        "files_mb": {path.name: path.stat().st_size / 1e6 for path in out.iterdir() if "overlay" not in path.name},
    }


@contextlib.contextmanager
def _command(films: Path, out: Path, *options: str) -> Iterator[Run]:
    words = ["scan", str(films), "--out", str(out), "--jobs", str(JOBS), "--format", "png,coco"]
    words += ["--spacing", str(PIXEL_MM), "--min-score", str(MIN_SCORE), *options]
    command = [sys.executable, "-m", "calcidetect", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        yield Run(process)


def _watch(run: Run, serial: _Serial, *, until: int, total: int) -> list[Figures]:
    """Follow a run up to a number of films; its state at each tenth, with the rate of serial work at that moment."""
    seen: list[Figures] = []
    tenth = max(1, total // TENTHS)
    for done in run.done():
        if done < total and (not seen or done % tenth == 0 or done == total - 2 * JOBS):  # at the end workers are gone
            state = {"films": done} | run.state()
            with run.paused():
                seen.append(state | serial.rate())
            print(json.dumps(seen[-1]), file=sys.stderr, flush=True)  # a long run may not come to its end
        if done == until < total:
            break
    return seen


class _Serial:
    """The same work in this process, a few films at a time."""

    def __init__(self, films: list[Path], scratch: Path) -> None:
        self._films, self._scratch = films, scratch
        cv2.setNumThreads(1)  # as in a worker

    def rate(self) -> Figures:
        some = self._films[:: max(1, len(self._films) // SERIAL_FILMS)][:SERIAL_FILMS]
        clock, busy = time.monotonic(), time.process_time()
        scan_films(some, self._scratch, recipe=Recipe(spacing_mm=PIXEL_MM, min_score=MIN_SCORE), executor=Here())
        seconds, cpu_s = time.monotonic() - clock, time.process_time() - busy
        return {"serial_films_per_s": len(some) / seconds, "serial_cpu_s_per_film": cpu_s / len(some)}


def _children(process: int) -> list[int]:
    listed = subprocess.run(["ps", "--ppid", str(process), "-o", "pid="], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def _resident_mb(process: int) -> float:
    fields = Path(f"/proc/{process}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # user and system


def _journal_rows(out: Path) -> int:
    with contextlib.closing(sqlite3.connect(out / "journal.sqlite")) as journal:
        return int(journal.execute("SELECT count(*) FROM films WHERE status = 'ok'").fetchone()[0])


def _result(out: Path, films: Path) -> Figures:
    """What the tables hold, and whether a film is missing, doubled or without its picture."""
    rows, candidates = (_rows(out / name) for name in ("films.csv", "candidates.csv"))
    wanted = sorted(map(str, films.iterdir()))
    return {
        "rows": len(rows),
        "each_film_once_in_order": [row["film"] for row in rows] == wanted,
        "failed": sum(row["status"] != "ok" for row in rows),
        "duplicates": sum("duplicate" in row["flags"] for row in rows),
        "candidates": len(candidates),
        "candidates_agree": len(candidates) == sum(int(row["n_candidates"]) for row in rows),
        "pictures": sum(1 for _ in out.glob("*.overlay.png")),
    }


def _rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
