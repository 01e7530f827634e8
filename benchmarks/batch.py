"""Measure the machinery of a batch: workers against serial work, what it costs a film, memory, and a long resume.

    python benchmarks/batch.py [--quick] [--part PART] [--films N] [--rows N] [--out batch.json]

The films are synthetic. `speed`: real scans of films of 600 x 400 pixels, in this process and in one and two workers
that start anew each time. `overhead`: films whose scan does nothing, so that what is left is the batch itself.
`long`: N small films through the whole command, see `long_run.py`. `resume`: a journal of N finished rows, resumed with
nothing left to do.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from long_run import long_run

from calcidetect import __version__, pipeline, writers
from calcidetect.batch import run as batch
from calcidetect.batch.film_task import Recipe, Task
from calcidetect.batch.inputs import given_films
from calcidetect.batch.journal import open_journal
from calcidetect.batch.names import output_names
from calcidetect.batch.results import FilmResult
from calcidetect.batch.run import scan_films
from calcidetect.batch.run_files import write_run_files
from calcidetect.batch.workers import Here

SPEED_SHAPE, SPEED_FILMS = (600, 400), 8
ROUNDS = 3  # in turns, the best counts: other work on the machine slows some of them
OVERHEAD_FILMS = 2000
NOTHING = hashlib.sha256().hexdigest()  # the hash of the empty films that are resumed
PIXEL_MM = 0.4

Figures = dict[str, Any]


def draw_film(shape: tuple[int, int], seed: int) -> np.ndarray:
    """A limb in grey: air, soft tissue, a long bone, a deposit, grain; uint8 (rows, cols)."""
    rows, cols = shape
    random = np.random.default_rng(seed)
    film = np.zeros(shape, np.float32)
    film[:, cols // 7 : -cols // 7] = 80
    film[:, int(0.42 * cols) : int(0.58 * cols)] = 170
    cv2.circle(film, (int(0.72 * cols), int(random.uniform(0.2, 0.8) * rows)), max(2, cols // 30), 170, -1)
    return np.clip(cv2.GaussianBlur(film, (0, 0), 1.0) + random.normal(20, 3, shape), 0, 255).astype(np.uint8)


def write_films(folder: Path, count: int, shape: tuple[int, int]) -> Path:
    folder.mkdir()
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:06}.png"), draw_film(shape, number))
    return folder


def idle_scan(task: Task) -> FilmResult:
    """Nothing at all: what is left is the batch."""
    return FilmResult(film=writers.failed_row(task.film.film, error="", seconds=0) | {"status": "ok"})


def _row(task: Task, number: int, box: np.ndarray, centre: np.ndarray) -> writers.Row:
    x, y, width, height, area = (int(value) for value in box)
    values = {"id": number, "score": 0.5, "x0": x, "y0": y, "x1": x + width, "y1": y + height, "area_px": area}
    values |= {"col": round(centre[0], 2), "row": round(centre[1], 2)}
    text = {name: str(value) for name, value in values.items()}
    return dict.fromkeys(writers.CANDIDATE_COLUMNS, "") | text | {"film": task.film.film, "label": "calcification"}


@contextmanager
def planted(scan: Callable[[Task], FilmResult]) -> Iterator[None]:
    """Let a batch scan by another function, which its workers import from this file."""
    import batch as this_script  # noqa: PLC0415 - under the name that a worker finds it by

    before, batch.scan_film = batch.scan_film, getattr(this_script, scan.__name__)
    try:
        yield
    finally:
        batch.scan_film = before


def timed(films: Path | list[Path], out: Path, **way: Any) -> tuple[float, int]:
    """Seconds of a run, and its number of films."""
    formats = way.pop("formats", ())
    started = time.monotonic()
    results = scan_films(films, out, recipe=Recipe(spacing_mm=PIXEL_MM, formats=formats), **way)
    assert all(result.ok for result in results)
    return time.monotonic() - started, len(results)


def speed(scratch: Path, count: int) -> Figures:
    films = write_films(scratch / "speed", count, SPEED_SHAPE)
    pipeline.scan(next(films.iterdir()), spacing_mm=PIXEL_MM)  # what is loaded on first use
    ways: dict[str, dict[str, Any]] = {
        "serial": {"executor": Here()},
        "one worker": {"time_out_s": 600.0},
        "two workers": {"jobs": 2},
    }
    rates: Figures = {name: {"films_per_s": 0.0, "cpu_s_per_film": float("inf")} for name in ways}
    for turn in range(ROUNDS):
        for name, way in ways.items():
            busy = _cpu_s()
            seconds, done = timed(films, scratch / f"speed {name} {turn}", formats=("png",), **way)
            best = rates[name]
            best["films_per_s"] = max(best["films_per_s"], done / seconds)
            best["cpu_s_per_film"] = min(best["cpu_s_per_film"], (_cpu_s() - busy) / done)
    return rates


def _cpu_s() -> float:
    """Processor seconds of this process and of its workers that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def overhead(scratch: Path, count: int) -> Figures:
    films = write_films(scratch / "overhead", count, (8, 8))
    figures = {}
    with planted(idle_scan):
        for name, way in {"serial": {"executor": Here()}, "two workers": {"jobs": 2}}.items():
            seconds, done = timed(films, scratch / f"overhead {name}", **way)
            figures[name] = {"ms_per_film": 1000 * seconds / done}
    return figures


def resume(scratch: Path, count: int) -> Figures:
    """Seconds of a resumed run with nothing left to do; with all films hashed; of tables and gallery alone."""
    films, out = scratch / "resume", scratch / "resume out"
    films.mkdir()
    out.mkdir()
    for number in range(count):
        (films / f"{number:06}.png").touch()
    recipe = Recipe(spacing_mm=PIXEL_MM, formats=())
    _record_all(films, out, recipe)
    clocks = [(time.monotonic(), time.process_time())]
    results = scan_films(films, out, recipe=recipe, resume=True, jobs=2)
    clocks.append((time.monotonic(), time.process_time()))
    for film in films.iterdir():
        os.utime(film, (0, 0))
    clocks.append((time.monotonic(), time.process_time()))
    assert len(scan_films(films, out, recipe=recipe, resume=True, jobs=2)) == count
    clocks.append((time.monotonic(), time.process_time()))
    write_run_files(out, results, formats=("png",), identified=False)
    clocks.append((time.monotonic(), time.process_time()))
    (resume_s, resume_cpu_s), _, (hashed_s, hashed_cpu_s), (gallery_s, gallery_cpu_s) = np.diff(clocks, axis=0).tolist()
    return {
        "rows": len(results),
        "resume_s": resume_s,
        "resume_cpu_s": resume_cpu_s,
        "resume_with_hashes_s": hashed_s,
        "resume_with_hashes_cpu_s": hashed_cpu_s,
        "tables_and_gallery_s": gallery_s,
        "tables_and_gallery_cpu_s": gallery_cpu_s,
        "journal_mb": (out / "journal.sqlite").stat().st_size / 1e6,
    }


def _record_all(films: Path, out: Path, recipe: Recipe) -> None:
    """A run whose scans take no time: three candidates for each film."""
    given = given_films(films)
    names = output_names([film.film for film in given])
    with open_journal(out) as journal:
        journal.begin(recipe.record(), resume=False)
        journal._connection.execute("PRAGMA synchronous = OFF")  # 100 000 waits for the disk would show nothing here
        for position, film in enumerate(given):
            footing = batch.footing_of(film, names[film.film])
            task = Task(film=film, position=position, footing=footing, out="", recipe=recipe)
            found = (_row(task, 1, np.array([1, 2, 3, 4, 5]), np.array([2.0, 4.0])),) * 3
            row = idle_scan(task).film | {"rows": "96", "cols": "64"}
            result = FilmResult(film=row, candidates=found, file_hash=NOTHING)
            journal.record(result, position=position, footing=footing)


PARTS = {"speed": speed, "overhead": overhead, "long": long_run, "resume": resume}
QUICK = {"speed": 2, "overhead": 20, "long": 20, "resume": 100}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few films: only to see that it still runs")
    parser.add_argument("--films", type=int, default=10_000, help="of the one large run (10000)")
    parser.add_argument("--rows", type=int, default=100_000, help="of the journal that is resumed (100000)")
    parser.add_argument("--part", choices=PARTS, action="append", help="measure this alone; may be repeated")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    counts = {"speed": SPEED_FILMS, "overhead": OVERHEAD_FILMS, "long": given.films, "resume": given.rows}
    figures: Figures = {"version": __version__}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.part or PARTS:
            figures[name] = PARTS[name](Path(folder), QUICK[name] if given.quick else counts[name])
    print(json.dumps(figures, indent=1))
    if given.out:
        given.out.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
