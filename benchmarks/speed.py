"""Time a scan and its steps beside references in the same run, by film size and threads, with its memory.

    python benchmarks/speed.py [--quick] [--out speed.json]

Films are a synthetic chest of 0.5 to 50 megapixels, 12 bits. Figures are the least processor seconds of several runs,
which other load of the machine disturbs least, and wall seconds where threads are compared; quote ratios.
`speed_references.py` holds the references: a copy of the film, its JPEG 2000 decoding, the same filters written plainly
with scikit-image, `skimage.feature.blob_dog` and, where it is installed, torchxrayvision's network on the CPU.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import speed_references as references

from calcidetect import ops, pipeline
from calcidetect.anatomy import background, bone, zones
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.anatomy.thorax import find_thorax
from calcidetect.candidates import detect, mimics, score
from calcidetect.candidates.blobs import film_blobs
from calcidetect.candidates.features import candidate_features
from calcidetect.candidates.label_regions import centres
from calcidetect.config import Config
from calcidetect.drawing import overlay
from calcidetect.phantom import make_phantom
from calcidetect.types import Grid, Radiograph, Source

SHAPE = (2500, 3000)
QUICK_SHAPE = (500, 600)
MEGAPIXELS = (0.5, 2, 7.5, 17, 50)
"""Sizes of the film; the last shows growth alone."""

FIELD_WIDTH_MM = 420.0
RUNS = 5
START_UPS = {
    "python alone": ["-c", "pass"],
    "calcidetect --help": ["-m", "calcidetect", "--help"],
    "imports of a scan": ["-c", "from calcidetect import scan; import calcidetect.batch.film_task"],
    "with those of DICOM": ["-c", "import calcidetect.batch.film_task, calcidetect.reading.dicom_reader"],
}


def make_film(shape: tuple[int, int]) -> Radiograph:
    """A chest phantom enlarged to `shape`, with grain that enlarging does not make."""
    phantom = make_phantom("chest", seed=3, spacing_mm=0.4)
    pixels = ops.resize_linear(phantom.pixels.astype(np.float32), shape)
    pixels += 4 * np.random.default_rng(0).standard_normal(shape, np.float32)
    return _film(np.clip(pixels, 0, 4095).round())


def _film(pixels: np.ndarray) -> Radiograph:
    shape, mm = pixels.shape, FIELD_WIDTH_MM / max(pixels.shape)
    grid = Grid(shape=shape, source_shape=shape, spacing_mm=mm, spacing_source="given", nominal_mm=mm)
    return Radiograph(pixels=pixels, valid=np.ones(shape, bool), grid=grid, source=Source(path="speed", pixel_hash=""))


def least_seconds(call: Callable[[], object], runs: int) -> float:
    """Least processor time of several runs."""
    return least_of_both_clocks(call, runs)[0]


def least_of_both_clocks(call: Callable[[], object], runs: int) -> tuple[float, float]:
    """Least processor seconds and least wall seconds of several runs."""
    spent = []
    for _ in range(runs):
        started = time.process_time(), time.perf_counter()
        call()
        spent.append((time.process_time() - started[0], time.perf_counter() - started[1]))
    processor, wall = np.min(spent, axis=0).tolist()
    return processor, wall


def time_steps(film: Radiograph, runs: int) -> dict[str, float]:
    """Processor seconds of each step, of the whole scan and of the overlay."""
    config, seconds = Config(), {}

    def timed(name: str, call: Callable[[], object]) -> object:
        seconds[name] = least_seconds(call, runs)
        return call()

    seen = timed("field", lambda: pipeline.find_region(film, config))
    (working, field), place = seen.upright, seen.region
    planes = timed("planes", lambda: film_planes(working, field, pixel_mm=config.bone.pixel_mm))
    anatomy = timed("bone", lambda: bone.segment_bone(working, field, planes=planes, settings=config.bone))
    tissue = timed("background", lambda: background.estimate_background(working, anatomy, settings=config.background))
    blobs = timed("blobs", lambda: film_blobs(working, anatomy, settings=config.detect))
    labels = timed("detect", lambda: detect.find_candidates(working, anatomy, blobs=blobs, settings=config.detect))
    learnt = {"radiograph": working, "field": field, "planes": planes, "anatomy": anatomy}
    thorax = timed("thorax", lambda: find_thorax(anatomy, pixel_mm=working.grid.nominal_mm))
    learnt |= {"background": tissue, "blobs": blobs, "thorax": thorax}
    tables = score.tables_of("", place.name)
    features = timed("measure", lambda: candidate_features(labels, **learnt))
    features["score"] = timed("score", lambda: score.scores(features, tables))
    points, parts = centres(labels), {"field": field, "anatomy": anatomy}
    where = timed("zones", lambda: zones.find_zones(points, working, **parts, region=place.name, thorax=thorax))
    of_film = {"radiograph": working, **parts, "region": place, "areas": where.areas}
    timed("mimics", lambda: mimics.label_kinds(points, features, **of_film))
    scan = timed("whole scan", lambda: pipeline.scan(film, config=config))
    timed("overlay and its PNG", lambda: overlay.encode_png(overlay.draw_scan(scan)))
    return seconds


def time_references(film: Radiograph, runs: int) -> dict[str, float | str]:
    """Processor seconds of the references, or why there are none."""
    working = pipeline.to_working_grid(film, Config().grid)
    decode = references.jpeg2000_decoder(film.pixels)
    seconds: dict[str, float | str] = {
        "float32 copy": least_seconds(film.pixels.copy, runs),
        "JPEG 2000 decoding": least_seconds(decode, runs),
        "the filters in scikit-image": least_seconds(lambda: references.plain_filters(film), 1),
        "skimage.feature.blob_dog": least_seconds(lambda: references.blob_dog_of(working), 1),
    }
    network = references.xray_network(film.pixels)
    seconds["torchxrayvision"] = "not installed" if network is None else least_seconds(network, runs)
    return seconds


def time_sizes(sizes: tuple[float, ...], runs: int, *, folder: Path) -> list[dict[str, float | None]]:
    """Processor and wall seconds of a scan by one thread and two, and its memory, for films of so many megapixels."""
    found = []
    for megapixels in sizes:
        rows = round((megapixels * 1e6 / 1.2) ** 0.5)
        film = make_film((rows, round(1.2 * rows)))
        row: dict[str, float | None] = {"megapixels": megapixels, "film_mb": film.pixels.nbytes / 1e6}
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            seconds = least_of_both_clocks(lambda film=film: pipeline.scan(film), runs)
            row[f"processor_seconds_{threads}"], row[f"wall_seconds_{threads}"] = seconds
        cv2.setNumThreads(1)
        row["added_mb"] = added_memory_mb(film, folder / "film.npy")
        found.append(row)
    return found


def added_memory_mb(film: Radiograph, path: Path) -> float | None:
    """Peak memory of a scan in a process of its own, over what that process held with the film in it (Linux only)."""
    np.save(path, film.pixels)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_scan_and_weigh, (path,))


def _scan_and_weigh(path: Path) -> float | None:
    film = _film(np.load(path))
    pipeline.scan(make_film(QUICK_SHAPE))  # what any scan loads is not this one's
    before = _memory_mb("VmRSS")
    if before is None:
        return None
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    pipeline.scan(film)
    peak = _memory_mb("VmHWM")
    return None if peak is None else peak - before


def _memory_mb(name: str) -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    line = next(line for line in status.read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def time_start_up(runs: int) -> dict[str, float]:
    """Processor seconds, user and system, of starting the program once it is compiled, as an installed one is."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = folder
        for arguments in START_UPS.values():
            _child_seconds(arguments, environment)  # compiles
        return {
            name: min(_child_seconds(arguments, environment) for _ in range(runs))
            for name, arguments in START_UPS.items()
        }


def _child_seconds(arguments: list[str], environment: dict[str, str]) -> float:
    before = os.times()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def machine() -> str:
    """CPU model and number of cores."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores"


def show(result: dict) -> None:
    """Print the tables."""
    steps, others = result["steps"], result["references"]
    whole, decode = steps["whole scan"], others["JPEG 2000 decoding"]
    print(f"{result['machine']}; {result['shape'][1]} x {result['shape'][0]} pixels, one thread, processor seconds")
    for name, value in (steps | others).items():
        if isinstance(value, str):
            print(f"{name:32} {value}")
        else:
            print(f"{name:32} {value:7.3f} s  {value / whole:7.1%} of the scan  {value / decode:6.2f} of the decoding")
    print(f"\n{'MP':>5} {'film MB':>8} {'added MB':>9} {'cpu 1':>7} {'wall 1':>7} {'cpu 2':>7} {'wall 2':>7}  s")
    for row in result["sizes"]:
        added = "-" if row["added_mb"] is None else f"{row['added_mb']:.0f}"
        seconds = (row[f"{clock}_seconds_{threads}"] for threads in (1, 2) for clock in ("processor", "wall"))
        print(f"{row['megapixels']:5g} {row['film_mb']:8.1f} {added:>9}", *(f"{value:7.3f}" for value in seconds))
    print()
    for name, value in result["start_up"].items():
        print(f"{name:32} {value:7.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small film once: only to see that it still runs")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    runs, shape = (1, QUICK_SHAPE) if given.quick else (RUNS, SHAPE)
    film = make_film(shape)
    result = {
        "machine": machine(),
        "shape": shape,
        "steps": time_steps(film, runs),
        "references": time_references(film, runs),
        "start_up": time_start_up(runs),
    }
    with tempfile.TemporaryDirectory() as folder:
        sizes = (0.5,) if given.quick else MEGAPIXELS
        result["sizes"] = time_sizes(sizes, min(runs, 2), folder=Path(folder))
    show(result)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
