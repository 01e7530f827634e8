"""Time each step of a scan on one core, beside a plain copy of the film and its JPEG 2000 decoding in the same run.

    python benchmarks/speed.py [--quick] [--out speed.json]

The film is a synthetic chest of 3000 x 2500 pixels, 12 bits. Figures are medians of processor seconds; quote ratios.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np

from calcidetect import ops, pipeline
from calcidetect.anatomy import background, bone
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.candidates import detect, score
from calcidetect.candidates.blobs import film_blobs
from calcidetect.candidates.features import candidate_features
from calcidetect.config import Config
from calcidetect.drawing import overlay
from calcidetect.phantom import make_phantom
from calcidetect.types import Grid, Radiograph, Source

SHAPE = (2500, 3000)
FIELD_WIDTH_MM = 420.0


def make_film(shape: tuple[int, int]) -> Radiograph:
    """A chest phantom enlarged to `shape`, with grain that enlarging does not make."""
    phantom = make_phantom("chest", seed=3, spacing_mm=0.4)
    pixels = ops.resize_linear(phantom.pixels.astype(np.float32), shape)
    pixels += np.random.default_rng(0).normal(0, 4, shape).astype(np.float32)
    mm = FIELD_WIDTH_MM / max(shape)
    grid = Grid(shape=shape, source_shape=shape, spacing_mm=mm, spacing_source="given", nominal_mm=mm)
    source = Source(path="speed", pixel_hash="")
    return Radiograph(pixels=np.clip(pixels, 0, 4095).round(), valid=np.ones(shape, bool), grid=grid, source=source)


def measure_steps(film: Radiograph, runs: int) -> dict[str, float]:
    """Median processor seconds of each step, of the whole scan and of the references."""
    config, seconds = Config(), {}

    def timed(name: str, call: Callable[[], object]) -> object:
        spent = []
        for _ in range(runs):
            started = time.process_time()
            result = call()
            spent.append(time.process_time() - started)
        seconds[name] = statistics.median(spent)
        return result

    encoded = imagecodecs.jpeg2k_encode(film.pixels.astype(np.uint16), level=0, reversible=True)
    timed("reference: float32 copy", film.pixels.copy)
    timed("reference: JPEG 2000 decode", lambda: imagecodecs.jpeg2k_decode(encoded))
    working, field, _, _ = timed("field", lambda: pipeline.find_region(film, config))
    planes = timed("planes", lambda: film_planes(working, field, pixel_mm=config.bone.pixel_mm))
    anatomy = timed("bone", lambda: bone.segment_bone(working, field, planes, config.bone))
    tissue = timed("background", lambda: background.estimate_background(working, anatomy, config.background))
    blobs = timed("blobs", lambda: film_blobs(working, anatomy, config.detect))
    labels = timed("detect", lambda: detect.find_candidates(working, anatomy, blobs, config.detect))
    learnt = {"radiograph": working, "field": field, "planes": planes, "anatomy": anatomy}
    learnt |= {"background": tissue, "blobs": blobs}
    features = timed("measure", lambda: candidate_features(labels, **learnt))
    timed("score", lambda: score.scores(features))
    scan = timed("whole scan", lambda: pipeline.scan(film, config=config))
    timed("overlay", lambda: overlay.encode_png(overlay.draw_scan(scan)))
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small film once: only to see that it still runs")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    film = make_film((625, 750) if given.quick else SHAPE)
    seconds = measure_steps(film, 1 if given.quick else 5)
    whole, decode = seconds["whole scan"], seconds["reference: JPEG 2000 decode"]
    for name, value in seconds.items():
        print(f"{name:28} {value:7.3f} s  {value / whole:6.1%} of the scan  {value / decode:6.2f} of the decoding")
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"peak memory of the process {peak_mb:.0f} MB, of which the film as float32 {film.pixels.nbytes / 1e6:.0f} MB"
    )
    if given.out:
        given.out.write_text(json.dumps({"shape": film.grid.shape, "seconds": seconds, "peak_mb": peak_mb}, indent=1))


if __name__ == "__main__":
    main()
