"""Fit the bone tables on annotated films.

    python benchmarks/fit_bone.py FILMS --annotations annotations.json --masks MASKS --out FOLDER

MASKS holds PNGs named after the films: 0 unknown, 1 surely no bone, 2 surely bone. Films without one give their
labelled points alone. Writes ``bone.json`` (all films) and ``bone_0.json`` … (each without every fifth film, for honest
figures and for fitting the scorer), prints the point accuracy of films left out.
"""

from __future__ import annotations

from pathlib import Path

import boosting
import cv2
import numpy as np
from annotated import (
    FOLDS,
    PHANTOM_SEED,
    AnnotatedFilm,
    fit_parser,
    load_film,
    phantom_film,
    read_annotations,
    vary,
    working_film,
)

from calcidetect import bone, ops
from calcidetect.config import Config
from calcidetect.phantom import KINDS
from calcidetect.types import Radiograph

VARIATIONS = 3
PER_CLASS = 1500
MASK_WEIGHT = 60.0
"""Weight of all mask samples of one class and film, against 1 for each of its 13 or so labelled points."""

NEAR_BONE_MM = 8.0
ROUNDS, DEPTH = 150, 6


def points_on(grid, points: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns on a reduced grid of `shape` of [x, y] points of the source matrix."""
    rows = (points[:, 1] + 0.5) * shape[0] / grid.source_shape[0]
    cols = (points[:, 0] + 0.5) * shape[1] / grid.source_shape[1]
    return np.clip(rows.astype(int), 0, shape[0] - 1), np.clip(cols.astype(int), 0, shape[1] - 1)


def film_samples(film: AnnotatedFilm, radiograph: Radiograph, mask_path: Path, rng: np.random.Generator):
    """Features, truth, weight and whether each sample is a labelled point, of one film."""
    config = Config()
    working, field = working_film(radiograph, config)
    planes, body = bone.reduced_features(working, field, pixel_mm=config.bone.pixel_mm)
    stack = np.stack(list(planes.values()))
    samples = []
    for points, truth in ((film.bone_points, 1), (film.soft_points, 0)):
        rows, cols = points_on(working.grid, points, body.shape)
        samples.append(
            (stack[:, rows, cols].T, np.full(len(rows), truth), np.ones(len(rows)), np.ones(len(rows), bool))
        )
    if mask_path.exists():
        samples += mask_samples(stack, body, cv2.imread(str(mask_path), cv2.IMREAD_GRAYSCALE), rng)
    return [np.concatenate(column) for column in zip(*samples, strict=True)], list(planes)


def phantom_samples(kind: str, seed: int):
    """Like `film_samples`, of a synthetic film with its exact bone mask."""
    rng = np.random.default_rng(seed)
    radiograph, phantom = phantom_film(kind, seed)
    working, field = working_film(vary(radiograph, rng), Config())
    planes, body = bone.reduced_features(working, field, pixel_mm=Config().bone.pixel_mm)
    samples = mask_samples(np.stack(list(planes.values())), body, 1 + phantom.bone.astype(np.uint8), rng)
    return [np.concatenate(column) for column in zip(*samples, strict=True)], list(planes)


def mask_samples(stack: np.ndarray, body: np.ndarray, mask: np.ndarray, rng: np.random.Generator) -> list:
    """Pixels of each class; soft tissue near bone is drawn three times as often as the rest."""
    bone_distance = ops.distance(ops.resize_mask(mask == 2, body.shape))
    samples = []
    for value, truth in ((2, 1), (1, 0)):
        rows, cols = np.nonzero(ops.resize_mask(mask == value, body.shape, share=0.9) & body)
        if not len(rows):
            continue
        chance = np.where(bone_distance[rows, cols] < NEAR_BONE_MM / Config().bone.pixel_mm, 3.0, 1.0)
        chosen = rng.choice(len(rows), min(PER_CLASS, len(rows)), replace=False, p=chance / chance.sum())
        weight = np.full(len(chosen), MASK_WEIGHT / PER_CLASS)
        values = stack[:, rows[chosen], cols[chosen]].T
        samples.append((values, np.full(len(chosen), truth), weight, np.zeros(len(chosen), bool)))
    return samples


def main() -> None:
    parser = fit_parser(__doc__, phantoms=24)
    given = parser.parse_args()
    films = read_annotations(given.films, given.annotations)
    columns, owners, varied = [], [], []
    for index, film in enumerate(films):
        for variation in range(VARIATIONS):
            rng = np.random.default_rng([variation, index])
            radiograph = load_film(film) if variation == 0 else vary(load_film(film), rng)
            sample, names = film_samples(film, radiograph, given.masks / f"{film.path.stem}.png", rng)
            columns.append(sample)
            owners.append(np.full(len(sample[1]), index))
            varied.append(np.full(len(sample[1]), variation > 0))
    for number in range(given.phantoms):
        sample, names = phantom_samples(sorted(KINDS)[number % len(KINDS)], PHANTOM_SEED + number)
        columns.append(sample)
        owners.append(np.full(len(sample[1]), -1))
        varied.append(np.ones(len(sample[1]), bool))
    features, truth, weight, is_point = (np.concatenate(column) for column in zip(*columns, strict=True))
    owner, is_varied = np.concatenate(owners), np.concatenate(varied)
    chance = np.zeros(len(truth))
    for fold in range(FOLDS):
        left_out = (owner % FOLDS == fold) & (owner >= 0)
        model = boosting.fit(features[~left_out], truth[~left_out], weight[~left_out], rounds=ROUNDS, depth=DEPTH)
        chance[left_out] = model.predict_proba(features[left_out])[:, 1]
        (given.out / f"bone_{fold}.json").write_text(boosting.tables_json(model, names))
    report(chance, truth, is_point & ~is_varied, np.array([films[i].region if i >= 0 else "phantom" for i in owner]))
    model = boosting.fit(features, truth, weight, rounds=ROUNDS, depth=DEPTH)
    (given.out / "bone.json").write_text(boosting.tables_json(model, names))


def report(chance: np.ndarray, truth: np.ndarray, counted: np.ndarray, region: np.ndarray) -> None:
    """Share of labelled points of films left out that are right."""
    for name in ["all", *sorted(set(region) - {"phantom"})]:
        here = counted & ((region == name) | (name == "all"))
        right = (chance > 0.5) == truth
        bone_right, soft_right = right[here & (truth == 1)].mean(), right[here & (truth == 0)].mean()
        print(f"{name:10} bone {bone_right:.3f} soft {soft_right:.3f} of {here.sum()} points")


if __name__ == "__main__":
    main()
