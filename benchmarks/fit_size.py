"""Fit the second judgement of a film's size, for films whose pitch nobody states.

    python benchmarks/fit_size.py FILMS --annotations annotations.json --out FOLDER [--judge MORE.json]

Each annotated film joins as it is, and as close-ups of its parts with other grey levels and pixels; phantoms join at a
small weight. What is fitted is the log of the true size over the one that `region_model` assumes. Writes
``film_size.json``; prints how far both are off on films left out and, with ``--judge``, on the films of another file,
which take no part in the fit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import boosting
import numpy as np
from annotated import (
    PHANTOM_SEED,
    AnnotatedFilm,
    fit_parser,
    load_film,
    phantom_film,
    read_annotations,
    vary,
    with_pitch,
)

from calcidetect import ops, pipeline
from calcidetect.anatomy import film_size, region_model, regions
from calcidetect.config import Config
from calcidetect.errors import FieldError
from calcidetect.phantom import KINDS
from calcidetect.types import Radiograph

CLOSE_UPS = 6
SIDES = (0.35, 0.85)
"""Of a close-up, in shares of the film's."""

ELONGATION, OFF_MIDDLE = 0.2, 0.25
"""Spread of a close-up's log proportions and, in shares of what is left over, of its place."""

CLOSE_UP_WEIGHT = 0.15
COARSER_SHARE, MOST_COARSE, LEAST_PX = 0.5, 3.0, 250
ROUNDS, DEPTH, RATE = 300, 4, 0.05


PHANTOM = "phantom"
PHANTOM_WEIGHT = 0.3


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A film or a part of it: its region, fold (None for phantoms, which join every fit) and whether it is whole;
    features; log of its size over the assumed one."""

    region: str
    fold: int | None
    whole: bool
    features: dict[str, float]
    change: float


def samples_of(job: tuple[int, AnnotatedFilm]) -> list[Sample]:
    """The film as it is, and its close-ups."""
    number, film = job
    return _samples(load_film(film), np.random.default_rng(number), region=film.region, fold=film.fold)


def phantom_samples(seed: int) -> list[Sample]:
    """A synthetic film as it is, and its close-ups."""
    radiograph, _ = phantom_film(sorted(KINDS)[seed % len(KINDS)], PHANTOM_SEED + seed)
    return _samples(radiograph, np.random.default_rng(seed), region=PHANTOM, fold=None)


def _samples(radiograph: Radiograph, rng: np.random.Generator, **known) -> list[Sample]:
    each = (sample_of(view, whole=whole, **known) for view, whole in _views(radiograph, rng))
    return [sample for sample in each if sample]


def _views(radiograph: Radiograph, rng: np.random.Generator) -> Iterator[tuple[Radiograph, bool]]:
    yield radiograph, True
    for _ in range(CLOSE_UPS):
        yield coarser(vary(close_up(radiograph, rng), rng, pitch_error=0), rng), False


def close_up(radiograph: Radiograph, rng: np.random.Generator) -> Radiograph:
    """A part of the film, oftener of its middle."""
    share, elongation = rng.uniform(*SIDES), np.exp(rng.normal(0, ELONGATION))
    whole = np.array(radiograph.grid.shape)
    height, width = np.clip(whole * share * (elongation, 1 / elongation), 1, whole).astype(int).tolist()
    left_over = whole - (height, width)
    top, left = (left_over * np.clip(rng.normal(0.5, OFF_MIDDLE, 2), 0, 1)).astype(int).tolist()
    part = slice(top, top + height), slice(left, left + width)
    shape = (height, width)
    return dataclasses.replace(
        radiograph,
        pixels=np.ascontiguousarray(radiograph.pixels[part]),
        valid=np.ascontiguousarray(radiograph.valid[part]),
        grid=dataclasses.replace(radiograph.grid, shape=shape, source_shape=shape),
    )


def coarser(radiograph: Radiograph, rng: np.random.Generator) -> Radiograph:
    """The film at a lower resolution, as often as `COARSER_SHARE`; smaller than `LEAST_PX` it is not made."""
    most = min(MOST_COARSE, min(radiograph.grid.shape) / LEAST_PX)
    if rng.random() >= COARSER_SHARE or most <= 1:
        return radiograph
    factor = np.exp(rng.uniform(0, np.log(most)))
    shape = (round(radiograph.grid.shape[0] / factor), round(radiograph.grid.shape[1] / factor))
    mm = radiograph.grid.nominal_mm * radiograph.grid.shape[0] / shape[0]
    grid = dataclasses.replace(radiograph.grid, shape=shape, source_shape=shape, spacing_mm=mm, nominal_mm=mm)
    valid, pixels = ops.resize_mask(radiograph.valid, shape), ops.resize_area(radiograph.pixels, shape)
    return dataclasses.replace(radiograph, pixels=pixels, valid=valid, grid=grid)


def sample_of(radiograph: Radiograph, *, region: str, fold: int | None, whole: bool) -> Sample | None:
    """What is measured where nobody states the pitch; None where there is no exposed field."""
    config, true_mm = Config(), radiograph.grid.nominal_mm
    try:
        stated = pipeline.first_field(radiograph, config, field_width_mm=config.grid.field_width_mm)
        look = region_model.look_at(*stated)
        place, _ = regions.decide(regions.recognise(radiograph.source), look)
        side_mm = regions.field_width_mm(place, look)
        assumed_mm = side_mm / film_size.longer_side(stated[1]) / stated[0].grid.step[0]
        working, field = pipeline.first_field(with_pitch(radiograph, assumed_mm), config, field_width_mm=side_mm)
    except FieldError:
        return None
    return Sample(
        region=region,
        fold=fold,
        whole=whole,
        features=film_size.size_features(working, field, look=look),
        change=float(np.log(true_mm / assumed_mm)),
    )


def fitted(samples: list[Sample]):
    features, change = as_arrays(samples)
    weight = np.array([1.0 if sample.whole else CLOSE_UP_WEIGHT for sample in samples])
    weight[[sample.region == PHANTOM for sample in samples]] *= PHANTOM_WEIGHT
    return boosting.fit_value(features, change, weight, rounds=ROUNDS, depth=DEPTH, rate=RATE)


def as_arrays(samples: list[Sample]) -> tuple[np.ndarray, np.ndarray]:
    features = np.array([list(sample.features.values()) for sample in samples], np.float32)
    return features, np.array([sample.change for sample in samples])


def print_errors(title: str, samples: list[Sample], told: np.ndarray) -> None:
    """Root mean square of log size, before and after, of whole films by region and of close-ups."""
    change, whole = as_arrays(samples)[1], np.array([sample.whole for sample in samples])
    region = np.array([sample.region for sample in samples])
    kinds = {"whole films": whole, "close-ups": ~whole}
    kinds |= {f"  {name}": whole & (region == name) for name in sorted(set(region))}
    for name, here in kinds.items():
        before, after = (np.sqrt(np.mean(error[here] ** 2)) for error in (change, change - told))
        print(f"{title}, {name}: {here.sum()}, off by {before:.3f} before, {after:.3f} after")


def main() -> None:
    parser = fit_parser(__doc__, phantoms=24, masks=False)
    parser.add_argument("--judge", type=Path, metavar="FILE", help="annotations of films to judge the fit on")
    given = parser.parse_args()
    samples = film_samples(given.films, given.annotations, jobs=given.jobs)
    with ProcessPoolExecutor(given.jobs) as pool:
        samples += [sample for several in pool.map(phantom_samples, range(given.phantoms)) for sample in several]
    told = np.zeros(len(samples))
    for left_out in {sample.fold for sample in samples}:
        here = np.array([sample.fold == left_out for sample in samples])
        without = fitted([sample for sample in samples if sample.fold != left_out])
        told[here] = without.predict(as_arrays(samples)[0][here])
    print_errors("left out", samples, told)
    model = fitted(samples)
    if given.judge:
        others = film_samples(given.films, given.judge, jobs=given.jobs)
        print_errors("judged", others, model.predict(as_arrays(others)[0]))
    tables = boosting.tables_json(model, list(samples[0].features))
    (given.out / "film_size.json").write_text(tables, encoding="utf-8")


def film_samples(films: Path, annotations: Path, *, jobs: int) -> list[Sample]:
    with ProcessPoolExecutor(jobs) as pool:
        each = pool.map(samples_of, enumerate(read_annotations(films, annotations)), chunksize=2)
        return [sample for several in each for sample in several]


if __name__ == "__main__":
    main()
