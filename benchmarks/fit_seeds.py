"""Fit the first sieve of the candidate generator: which blobs are worth an outline.

    python benchmarks/fit_seeds.py FILMS --annotations annotations.json --masks MASKS --bone FOLDER --out FOLDER

Arguments as of fit_score.py, which fits the second stage on what this one lets through. A blob is right where its
centre lies in a deposit's box widened by `MARGIN_MM` and it is no more than `SIZES` times as wide or narrow. Writes
``seeds.json``; prints, of films left out, the share of deposits with a blob among the best of a film.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boosting
import numpy as np
from annotated import FOLDS, AnnotatedFilm, fit_parser, read_annotations, working_film
from fit_score import background_copy, bone_tables, film_copy, truths_of

from calcidetect.anatomy import bone
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.candidates import detect
from calcidetect.candidates.blobs import RADIUS_PER_SIGMA, film_blobs
from calcidetect.config import Config
from calcidetect.types import Radiograph

COPIES = 3
MARGIN_MM = 0.5
SIZES = 2.5
FALSE_SHARE = 0.15
"""Of the false blobs, drawn at random, a fit sees this share, with the weight of all."""

ROUNDS, DEPTH = 160, 6
KEPT = (600, 900, 1200, 1600, 2400)


@dataclass(frozen=True, kw_only=True)
class Blobs:
    """The blobs of one film: `features` float32 (n, m), which `deposit` each lies on (-1 none), out of `deposits`."""

    fold: int | None
    names: tuple[str, ...]
    features: np.ndarray
    deposit: np.ndarray
    deposits: int


def film_blobs_of(radiograph: Radiograph, film: AnnotatedFilm, bone_folder: Path, deposits: tuple, fold) -> Blobs:
    """Measure every blob of a film as the generator does."""
    config = Config()
    working, field = working_film(radiograph, config)
    planes = film_planes(working, field, pixel_mm=config.bone.pixel_mm)
    anatomy = bone.segment_bone(
        working, field, planes=planes, settings=config.bone, tables=bone_tables(bone_folder, film.fold)
    )
    blobs, pixel_mm = film_blobs(working, anatomy, settings=config.detect), working.grid.nominal_mm
    seeds = detect.find_seeds(blobs, anatomy, settings=config.detect, pixel_mm=pixel_mm)
    features = detect.measured_seeds(seeds, blobs, anatomy=anatomy, pixel_mm=pixel_mm)
    places = working.grid.to_source(np.stack([seeds.rows, seeds.cols], axis=1).astype(float))
    radius = seeds.sigma * RADIUS_PER_SIGMA / working.grid.step[0]
    truths = truths_of(deposits, film)
    return Blobs(
        fold=fold,
        names=tuple(features),
        features=np.stack(list(features.values()), axis=1).astype(np.float32),
        deposit=owners(places, radius, truths, margin=MARGIN_MM / film.mm_px),
        deposits=len(truths),
    )


def owners(places: np.ndarray, radius: np.ndarray, truths: list, *, margin: float) -> np.ndarray:
    """Which deposit each blob lies on, int (n,), -1 for none; all in source pixels."""
    owner = np.full(len(places), -1)
    for number, truth in enumerate(truths):
        x0, y0, x1, y1 = truth.box
        extent = max(x1 - x0, y1 - y0) / 2
        inside = (np.abs(places[:, 1] - (x0 + x1) / 2) <= (x1 - x0) / 2 + margin) & (
            np.abs(places[:, 0] - (y0 + y1) / 2) <= (y1 - y0) / 2 + margin
        )
        # granules of a cluster are far smaller than it: only wider blobs than the deposit are ruled out
        owner[inside & (radius <= SIZES * extent + margin)] = number
    return owner


def copy_blobs(job: tuple[int, int], *, films: list[AnnotatedFilm], bone_folder: Path, masks: Path) -> Blobs:
    radiograph, deposits = film_copy(job, films=films, masks=masks)
    film = films[job[0]]
    return film_blobs_of(radiograph, film, bone_folder, deposits, film.fold)


def background_blobs(job: tuple[int, AnnotatedFilm], *, bone_folder: Path) -> Blobs | None:
    copy = background_copy(job[1], bone_folder=bone_folder, rng=np.random.default_rng([job[0], 2]))
    return None if copy is None else film_blobs_of(copy[0], job[1], bone_folder, copy[1], None)


def fit(films: list[Blobs]):
    """Boosted tables for blobs on deposits against all others; each film's blobs weigh as much."""
    rng = np.random.default_rng(0)
    kept = [(film.deposit >= 0) | (rng.random(len(film.deposit)) < FALSE_SHARE) for film in films]
    features = np.concatenate([film.features[keep] for film, keep in zip(films, kept, strict=True)])
    truth = np.concatenate([film.deposit[keep] >= 0 for film, keep in zip(films, kept, strict=True)])
    weight = np.concatenate([_weight(film)[keep] for film, keep in zip(films, kept, strict=True)])
    return boosting.fit(features, truth, weight, rounds=ROUNDS, depth=DEPTH)


def _weight(film: Blobs) -> np.ndarray:
    """Each deposit weighs the same, however many blobs lie on it."""
    on = np.bincount(film.deposit[film.deposit >= 0], minlength=max(1, film.deposits))
    right = 50 / np.maximum(on[film.deposit], 1)
    return np.where(film.deposit >= 0, right, 1 / FALSE_SHARE * 1000 / max(1, len(film.deposit)))


def report(films: list[Blobs]) -> None:
    """Print, for films left out, the share of deposits with a blob among the best."""
    found = dict.fromkeys((*KEPT, "any"), 0)
    for fold in range(FOLDS):
        model = fit([film for film in films if film.fold != fold])
        for film in films:
            if film.fold == fold:
                order = np.argsort(-model.predict(film.features, prediction_type="RawFormulaVal"), kind="stable")
                for kept in found:
                    best = film.deposit[order[: None if kept == "any" else kept]]
                    found[kept] += len(set(best[best >= 0]))
    total = sum(film.deposits for film in films if film.fold is not None)
    print(f"of {total} deposits:", *(f"{kept} best: {count / max(1, total):.3f};" for kept, count in found.items()))


def main() -> None:
    parser = fit_parser(__doc__, phantoms=0)
    parser.add_argument("--bone", type=Path, required=True)
    given = parser.parse_args()
    everything = read_annotations(given.films, given.annotations)
    films = [film for film in everything if film.soft]
    backgrounds = list(enumerate(film for film in everything if not film.soft))
    jobs = [(index, copy) for index in range(len(films)) for copy in range(1, COPIES + 1)]
    with ProcessPoolExecutor(given.jobs) as pool:
        work = partial(copy_blobs, films=films, bone_folder=given.bone, masks=given.masks)
        blobs = list(pool.map(work, jobs, chunksize=4))
        blobs += [b for b in pool.map(partial(background_blobs, bone_folder=given.bone), backgrounds, chunksize=4) if b]
    report(blobs)
    (given.out / "seeds.json").write_text(boosting.tables_json(fit(blobs), list(blobs[0].names)))


if __name__ == "__main__":
    main()
