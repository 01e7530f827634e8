"""Fit the bone tables on annotated films.

    python benchmarks/fit_bone.py FILMS --annotations annotations.json --masks MASKS --out FOLDER [--teacher TABLES]
        [--ct FOLDER_OF_CT]

MASKS holds PNGs named after the films: 0 unknown, 1 surely no bone, 2 surely bone. A film without one gives its
labelled points, polygons of soft tissue, what masks of its clavicles ``NAME.left_clavicle.png`` … beside it show, and,
with --teacher, what earlier tables (TABLES/bone_guess.json, bone.json) are sure of; on chest films without masks of
clavicles only in the lungs, as no table so far told bone from heart, abdomen and the muscles of the shoulder girdle.
--ct adds views of a chest CT from random sides (`ct_projection.py`), with exact masks.

Two sets of tables are fitted: a guess from each pixel's own features, and a revised answer that also knows the guess
around it; the revised ones learn from guesses on films that the guessing tables never saw.
Writes ``bone_guess.json`` and ``bone.json`` (all films) and ``bone_guess_0.json``, ``bone_0.json`` … (each without
every fifth film, for honest figures and for fitting the scorer); prints the accuracy on films left out.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
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
    soft_mask,
    vary,
    working_film,
)
from ct_projection import Volume, project, read_volume
from scipy import ndimage

from calcidetect import ops
from calcidetect.anatomy.bone import BoneTables, bone_probability, lung_probability
from calcidetect.anatomy.pixel_features import Planes, context_features, film_planes, table_probability
from calcidetect.config import Config
from calcidetect.phantom import KINDS
from calcidetect.trees import parse_tables
from calcidetect.types import Radiograph

VARIATIONS = 3
PER_CLASS = 700
SURE = 0.3
"""How far from a toss-up an earlier table's answer must lie to be learnt from."""

CT_VIEWS, CT_TURN_DEGREES, CT_SCALE = 36, 14.0, (0.82, 1.15)
TEACHER_WEIGHT = 40.0
"""Like `MASK_WEIGHT`, of what earlier tables are sure of."""

MASK_WEIGHT = 60.0
"""Weight of all mask samples of one class and film, against 1 for each of its 13 or so labelled points."""

POLYGON_WEIGHT = 30.0
"""Likewise, of the polygons of soft tissue and of the clavicles' masks."""

NEAR_BONE_MM = 8.0
ROUNDS, DEPTH = 200, 6
PHANTOM = -1


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One variation of a film, with what is known of some of its pixels.

    `film` counts the films, `PHANTOM` for synthetic ones, which belong to no `fold`; `planes` (m, rows, cols) is
    float16 to save memory. For each of n samples: flat index `at`, `truth` (1 bone), `weight`, whether it is a `point`
    that was labelled by hand.
    """

    film: int
    fold: int | None
    variation: int
    names: tuple[str, ...]
    planes: np.ndarray
    body: np.ndarray
    at: np.ndarray
    truth: np.ndarray
    weight: np.ndarray
    point: np.ndarray

    def samples(self, planes: np.ndarray) -> np.ndarray:
        """Values of (m, rows, cols) planes at the samples, float32 (n, m)."""
        return planes.reshape(len(planes), -1)[:, self.at].T.astype(np.float32)


def film_scene(job: tuple[int, int], *, films: list[AnnotatedFilm], masks: Path, teacher: Path | None) -> Scene:
    """Variation `job[1]` of film `job[0]`; variation 0 is the film as it is."""
    index, variation = job
    film, rng = films[index], np.random.default_rng([variation, index])
    radiograph = load_film(film) if variation == 0 else vary(load_film(film), rng)
    planes, grid = _planes(radiograph)
    parts = [_point_samples(grid, film.bone_points, planes.body.shape, truth=1)]
    parts.append(_point_samples(grid, film.soft_points, planes.body.shape, truth=0))
    clavicles = clavicle_mask(film.path, radiograph.grid.shape)
    parts += mask_samples(planes.body, np.where(clavicles, 2, 0).astype(np.uint8), rng, weight=POLYGON_WEIGHT)
    soft = soft_mask(film, radiograph.grid.shape)
    parts += mask_samples(planes.body, soft.astype(np.uint8), rng, weight=POLYGON_WEIGHT)
    path = masks / f"{film.path.stem}.png"
    if path.exists():
        parts += mask_samples(planes.body, cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), rng)
    elif teacher:
        parts += mask_samples(planes.body, taught(planes, clavicles, film, teacher), rng, weight=TEACHER_WEIGHT)
    return _scene(index, film.fold, variation, planes, parts)


def clavicle_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Union of the clavicles' masks beside a film, bool of `shape`; empty where there are none."""
    found = np.zeros(shape, bool)
    for side in ("left", "right"):
        mask = path.with_suffix(f".{side}_clavicle.png")
        if mask.exists():
            found |= ops.resize_mask(cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 127, shape)
    return found


def taught(planes: Planes, clavicles: np.ndarray, film: AnnotatedFilm, teacher: Path) -> np.ndarray:
    """What earlier tables are sure of, uint8 like a mask, on the grid of `planes`; nothing near known clavicles."""
    texts = [(teacher / f"{name}.json").read_text() for name in ("bone_guess", "bone")]
    chance = bone_probability(planes, BoneTables(guess=parse_tables(texts[0]), revised=parse_tables(texts[1])))
    known = (np.abs(chance - 0.5) > SURE) & planes.body & (ops.distance(ops.resize_mask(clavicles, chance.shape)) > 2)
    if film.region == "chest" and not clavicles.any():
        known &= lung_probability(planes) > 0.5
    return np.where(known, 1 + (chance > 0.5), 0).astype(np.uint8)


def ct_scene(number: int, *, volume: Volume) -> Scene:
    """One view of a chest CT, turned, stretched and varied, with its exact bone mask; known to every fold."""
    rng = np.random.default_rng(number)
    turn = rng.uniform(-CT_TURN_DEGREES, CT_TURN_DEGREES)
    hu = ndimage.rotate(volume.hu, turn, axes=(0, 1), reshape=False, order=1, cval=-1000)
    labels = ndimage.rotate(volume.labels, turn, axes=(0, 1), reshape=False, order=0)
    sides = tuple(side * stretch for side, stretch in zip(volume.voxel_mm, rng.uniform(*CT_SCALE, 3), strict=True))
    seen = project(Volume(hu=hu, labels=labels, names=volume.names, voxel_mm=sides), seed=number)
    planes, _ = _planes(vary(seen.radiograph, rng))
    return _scene(PHANTOM, None, 1, planes, mask_samples(planes.body, 1 + seen.masks["bone"].astype(np.uint8), rng))


def phantom_scene(number: int) -> Scene:
    """Like `film_scene`, of a synthetic film with its exact bone mask."""
    rng = np.random.default_rng(PHANTOM_SEED + number)
    radiograph, phantom = phantom_film(sorted(KINDS)[number % len(KINDS)], PHANTOM_SEED + number)
    planes, _ = _planes(vary(radiograph, rng))
    return _scene(PHANTOM, None, 1, planes, mask_samples(planes.body, 1 + phantom.bone.astype(np.uint8), rng))


def _planes(radiograph: Radiograph):
    working, field = working_film(radiograph, Config())
    return film_planes(working, field, pixel_mm=Config().bone.pixel_mm), working.grid


def _scene(film: int, fold: int | None, variation: int, planes: Planes, parts: list) -> Scene:
    at, truth, weight, point = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Scene(
        film=film,
        fold=fold,
        variation=variation,
        names=tuple(planes.values),
        planes=np.stack(list(planes.values.values())).astype(np.float16),
        body=planes.body,
        at=at.astype(int),
        truth=truth,
        weight=weight,
        point=point,
    )


def _point_samples(grid, points: np.ndarray, shape: tuple[int, int], *, truth: int):
    """Flat index, truth, weight and kind of [x, y] points of the source matrix on a reduced grid of `shape`."""
    rows = np.clip(((points[:, 1] + 0.5) * shape[0] / grid.source_shape[0]).astype(int), 0, shape[0] - 1)
    cols = np.clip(((points[:, 0] + 0.5) * shape[1] / grid.source_shape[1]).astype(int), 0, shape[1] - 1)
    return rows * shape[1] + cols, np.full(len(rows), truth), np.ones(len(rows)), np.ones(len(rows), bool)


def mask_samples(body: np.ndarray, mask: np.ndarray, rng: np.random.Generator, *, weight: float = MASK_WEIGHT) -> list:
    """Pixels of each class, of one `weight` in all; soft tissue near bone is drawn three times as often as the rest."""
    bone_distance = ops.distance(ops.resize_mask(mask == 2, body.shape)).ravel()
    samples = []
    for value, truth in ((2, 1), (1, 0)):
        at = np.flatnonzero(ops.resize_mask(mask == value, body.shape, share=0.9) & body)
        if not len(at):
            continue
        chance = np.where(bone_distance[at] < NEAR_BONE_MM / Config().bone.pixel_mm, 3.0, 1.0)
        chosen = rng.choice(at, min(PER_CLASS, len(at)), replace=False, p=chance / chance.sum())
        each = np.full(len(chosen), weight / PER_CLASS)
        samples.append((chosen, np.full(len(chosen), truth), each, np.zeros(len(chosen), bool)))
    return samples


def guess(scene: Scene, tables_text: str) -> np.ndarray:
    """What the guessing tables make of a scene: float32 (rows, cols)."""
    values = dict(zip(scene.names, scene.planes.astype(np.float32), strict=True))
    return table_probability(values, scene.body, tables=parse_tables(tables_text))


def context_samples(scene: Scene, tables_text: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Context features of a scene's samples, float32 (n, m), and their names."""
    context = context_features(guess(scene, tables_text), scene.body, pixel_mm=Config().bone.pixel_mm)
    return scene.samples(np.stack(list(context.values()))), tuple(context)


def fit_folds(features: np.ndarray, scenes: list[Scene], names: tuple[str, ...]) -> tuple[dict, np.ndarray]:
    """Tables as JSON for every fold and for None (all films), and each sample's chance by tables that left it out."""
    truth, weight = (np.concatenate([getattr(s, name) for s in scenes]) for name in ("truth", "weight"))
    chance, tables = np.zeros(len(truth)), {}
    for fold in (*range(FOLDS), None):
        out = np.concatenate([np.full(len(s.at), fold is not None and s.fold == fold) for s in scenes])
        model = boosting.fit(features[~out], truth[~out], weight[~out], rounds=ROUNDS, depth=DEPTH)
        tables[fold] = boosting.tables_json(model, list(names))
        if fold is not None:
            chance[out] = model.predict_proba(features[out])[:, 1]
    return tables, chance


def report(title: str, chance: np.ndarray, scenes: list[Scene], films: list[AnnotatedFilm]) -> None:
    """Share of labelled points and of mask pixels that are right, on films left out."""
    print(title)
    truth, point = (np.concatenate([getattr(s, name) for s in scenes]) for name in ("truth", "point"))
    owner = np.concatenate([np.full(len(s.at), s.film) for s in scenes])
    plain = np.concatenate([np.full(len(s.at), s.variation == 0) for s in scenes])
    region = np.array([*(film.region for film in films), "phantom"])[owner]
    right = (chance > 0.5) == truth
    for name in ["all", *sorted(set(region) - {"phantom"})]:
        here = plain & (owner >= 0) & ((region == name) | (name == "all"))
        shares = [right[here & (point == kind) & (truth == value)] for kind in (True, False) for value in (1, 0)]
        texts = [f"{share.mean():.3f}" if len(share) else "    -" for share in shares]
        print(f"{name:10} points: bone {texts[0]} soft {texts[1]}; masks: bone {texts[2]} soft {texts[3]}")


def main() -> None:
    parser = fit_parser(__doc__, phantoms=24)
    parser.add_argument("--teacher", type=Path, metavar="TABLES")
    parser.add_argument("--ct", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    films = [
        film
        for film in read_annotations(given.films, given.annotations)
        if given.teacher or len(film.bone_points) or (given.masks / f"{film.path.stem}.png").exists()
    ]
    jobs = [(index, variation) for index in range(len(films)) for variation in range(VARIATIONS)]
    with ProcessPoolExecutor(given.jobs) as pool:
        work = partial(film_scene, films=films, masks=given.masks, teacher=given.teacher)
        scenes = list(pool.map(work, jobs, chunksize=3))
        scenes += pool.map(phantom_scene, range(given.phantoms))
    if given.ct:
        volume = read_volume(given.ct)
        scenes += [ct_scene(number, volume=volume) for number in range(CT_VIEWS)]
    features = np.concatenate([scene.samples(scene.planes) for scene in scenes])
    guessing, chance = fit_folds(features, scenes, scenes[0].names)
    report("guess", chance, scenes, films)
    texts = [guessing[scene.fold] for scene in scenes]
    contexts = [context_samples(scene, text) for scene, text in zip(scenes, texts, strict=True)]
    features = np.concatenate([features, np.concatenate([values for values, _ in contexts])], axis=1)
    revised, chance = fit_folds(features, scenes, scenes[0].names + contexts[0][1])
    report("revised", chance, scenes, films)
    for name, tables in (("bone_guess", guessing), ("bone", revised)):
        for fold, text in tables.items():
            (given.out / f"{name}{'' if fold is None else f'_{fold}'}.json").write_text(text)


if __name__ == "__main__":
    main()
