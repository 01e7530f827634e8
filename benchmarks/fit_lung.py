"""Fit the lung tables on chest films with lung masks, and on other films that hold no lung.

    python benchmarks/fit_lung.py FILMS --annotations annotations.json --out FOLDER

A chest film takes part where its masks ``NAME.left_lung.png`` and ``NAME.right_lung.png`` lie beside it (those of
JSRT: van Ginneken 2006, doi:10.1016/j.media.2005.02.002), any other film where its region has no lung. Writes
``lung.json``; prints the share of pixels that are right on every fifth film, left out of a first fit.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import boosting
import cv2
import numpy as np
from annotated import FOLDS, AnnotatedFilm, fit_parser, load_film, read_annotations, vary, working_film

from calcidetect import ops
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.config import Config

WITH_LUNG = ("chest", "shoulder")
"""Regions whose films may hold lung; without masks they say nothing."""

BORDER_MM = 3.0
"""Nearer to a lung's outline than this, pixels are not used."""

PER_CLASS = {"chest": 1200, "other": 400}
OTHER_WEIGHT = 0.5
OTHERS = 90
VARIED = 0.6
ROUNDS, DEPTH = 80, 6
PITCH_ERROR = 0.15


def lung_masks(film: AnnotatedFilm) -> list[Path]:
    """Both masks of a film, or none."""
    paths = [film.path.with_suffix(f".{side}_lung.png") for side in ("left", "right")]
    return paths if all(path.exists() for path in paths) else []


def film_samples(job: tuple[int, AnnotatedFilm]):
    """Features (n, m), truth (n,) and names of pixels of one film."""
    number, film = job
    rng, radiograph = np.random.default_rng(number), load_film(film)
    if rng.random() < VARIED:
        radiograph = vary(radiograph, rng, pitch_error=PITCH_ERROR)
    working, field = working_film(radiograph, Config())
    planes = film_planes(working, field, pixel_mm=Config().bone.pixel_mm)
    lung = np.zeros(planes.body.shape, bool)
    for path in lung_masks(film):
        lung |= ops.resize_mask(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) > 127, lung.shape)
    border = BORDER_MM / planes.pixel_mm
    inside = planes.body & (ops.distance(~lung) > border)
    outside = planes.body & (ops.distance(lung) > border) if lung.any() else planes.body
    wanted = PER_CLASS.get(film.region, PER_CLASS["other"])
    chosen = [_some(np.flatnonzero(mask), wanted, rng) for mask in (inside, outside)]
    at = np.concatenate(chosen)
    values = np.stack([plane.ravel()[at] for plane in planes.values.values()], axis=1)
    return values, np.repeat([1, 0], [len(part) for part in chosen]), list(planes.values)


def _some(at: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.choice(at, min(count, len(at)), replace=False)


def main() -> None:
    given = fit_parser(__doc__, phantoms=0, masks=False).parse_args()
    films = read_annotations(given.films, given.annotations)
    chests = [film for film in films if lung_masks(film)]
    others = [film for film in films if film.region not in WITH_LUNG][:OTHERS]
    with ProcessPoolExecutor(given.jobs) as pool:
        samples = list(pool.map(film_samples, enumerate(chests + others), chunksize=4))
    features = np.concatenate([values for values, _, _ in samples])
    truth = np.concatenate([truth for _, truth, _ in samples])
    film = np.concatenate([np.full(len(truth), number) for number, (_, truth, _) in enumerate(samples)])
    chest = film < len(chests)
    weight = np.where(chest, 1.0, OTHER_WEIGHT)
    left_out = film % FOLDS == 0
    model = boosting.fit(features[~left_out], truth[~left_out], weight[~left_out], rounds=ROUNDS, depth=DEPTH)
    right = (model.predict_proba(features)[:, 1] > 0.5) == truth
    for name, here in (
        ("lung", chest & (truth == 1)),
        ("chest outside lung", chest & (truth == 0)),
        ("other films", ~chest),
    ):
        print(f"{name}: {right[here & left_out].mean():.3f} of pixels right, of films left out")
    model = boosting.fit(features, truth, weight, rounds=ROUNDS, depth=DEPTH)
    (given.out / "lung.json").write_text(boosting.tables_json(model, samples[0][2]))


if __name__ == "__main__":
    main()
