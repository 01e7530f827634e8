"""Fit the recognition of body regions, and of the size of the exposed field.

    python benchmarks/fit_regions.py FILMS --annotations annotations.json --out FOLDER

The annotations are a JSON list of records with ``film`` (a path below FILMS), ``region`` (one of LOOKS; others are
left out), ``mm_px``, which for most films is an estimate from anatomy, and, if several films are of one patient,
``case``, which stays together. Every film joins as it is, mirrored, and turned, cropped, tilted and with other grey
levels; phantoms join at a small weight. Writes ``regions.npz`` and prints, for films left out, which regions were taken
for which, how far the size is off, and how far the usual size would be.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from annotated import FOLDS, PHANTOM_SEED, fold_of, phantom_film
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from calcidetect import pipeline
from calcidetect.anatomy import film_size, region_model, regions
from calcidetect.anatomy.region_model import RegionModel, Vector
from calcidetect.config import Config
from calcidetect.reading import readers
from calcidetect.types import Radiograph

LOOKS = ("chest", "shoulder", "hand", "wrist", "elbow", "forearm", "knee", "leg", "foot", "hip")
PHANTOMS = {"chest": "chest", "shoulder": "shoulder", "wrists": "wrist"}
PHANTOM_WEIGHT = 0.3
COPIES = 10
"""Regions of films left out: 0.887 right with 10, 0.876 with 16."""

PLAIN = 2
"""The first copies of a film: as it is, and mirrored. They alone count when films left out are judged."""

PLAIN_WEIGHT = 3.0
WORDS = 80
PATCHES_A_COPY = 6  # that words are learnt from
AXES = 64
LIKENESS_WIDTH = 1.0  # square root of the total variance of projected films
SLACK = 10.0
"""Inverse strength of the penalty on weights of the looks; regions of films left out: 0.855 right at 3 to 100."""

SIZE_PENALTY = 0.3
SIGNIFICANCE = 0.5
"""Features count by their share of variance between looks to this power; size within 25 %: 0.745 at 0, 0.772 at 0.5."""

TOLERANCE = np.log(1.25)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """n copies of films: features (n, f), look, log of the field's longer side in mm, film (< 0 a phantom) and copy."""

    features: Vector
    look: np.ndarray
    size: np.ndarray
    film: np.ndarray
    copy: np.ndarray

    def where(self, chosen: np.ndarray) -> Samples:
        return Samples(**{name: getattr(self, name)[chosen] for name in self.__dataclass_fields__})

    @property
    def weight(self) -> np.ndarray:
        """Rare looks count more, phantoms less, films as they are more than copies."""
        count = np.bincount(self.look, minlength=len(LOOKS))
        rarity = np.sqrt(count.max() / np.maximum(count, 1))[self.look]
        return rarity * np.where(self.film < 0, PHANTOM_WEIGHT, 1.0) * np.where(self.copy < PLAIN, PLAIN_WEIGHT, 1.0)


def varied(pixels: np.ndarray, body: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float]:
    """Another film of the same part: mirrored, turned, cropped, tilted, other grey levels; and its longer side against
    the given one's."""
    film = np.dstack([pixels, body]).astype(np.float32)
    film = film[:, ::-1] if rng.random() < 0.5 else film
    film = np.rot90(film, rng.choice(4, p=(0.76, 0.08, 0.08, 0.08)))
    rows, cols = film.shape[:2]
    cut = rng.uniform(0, 0.18, 4) * (rng.random(4) < 0.4) * (rows, rows, cols, cols)
    top, bottom, left, right = cut.astype(int)
    film = np.ascontiguousarray(film[top : rows - bottom, left : cols - right])
    height, width = film.shape[:2]
    if rng.random() < 0.5:
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-12, 12), 1)
        film = cv2.warpAffine(film, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return other_levels(film[..., 0], rng), film[..., 1] > 0.5, max(height, width) / max(rows, cols)


def other_levels(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another gamma; at times blurred, sharpened or noisy."""
    low, high = np.percentile(pixels, [0.5, 99.5])
    pixels = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1) ** np.exp(rng.uniform(-0.5, 0.5))
    if rng.random() < 0.4:
        pixels = cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.2))
    if rng.random() < 0.3:
        pixels = pixels + rng.uniform(0.3, 1) * (pixels - cv2.GaussianBlur(pixels, (0, 0), rng.uniform(2, 6)))
    if rng.random() < 0.3:
        pixels = pixels + rng.normal(0, rng.uniform(0.005, 0.03), pixels.shape)
    return pixels.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Film:
    """A film reduced to what is looked at, log of its field's longer side in mm, and its number (< 0 a phantom)."""

    pixels: np.ndarray
    body: np.ndarray
    look: str
    size: float
    number: int


def reduced_film(radiograph: Radiograph, look: str, *, mm_px: float, number: int) -> Film:
    working, field = pipeline.first_field(radiograph, Config(), field_width_mm=Config().grid.field_width_mm)
    pixels, body = region_model.reduced(working, field)
    side_mm = film_size.longer_side(field) * working.grid.step[0] * mm_px
    return Film(pixels=pixels, body=body, look=look, size=float(np.log(side_mm)), number=number)


def copies_of(film: Film, copies: int) -> Iterator[tuple[int, np.ndarray, np.ndarray, float]]:
    """Number, pixels, body and log size of a film as it is, mirrored, and varied."""
    mirrored = np.ascontiguousarray(film.pixels[:, ::-1]), film.body[:, ::-1]
    yield from ((0, film.pixels, film.body, film.size), (1, *mirrored, film.size))
    for copy in range(PLAIN, copies):
        pixels, body, ratio = varied(film.pixels, film.body, np.random.default_rng([abs(film.number), copy]))
        if body.any():
            yield copy, pixels, body, film.size + np.log(ratio)


def learn_words(films: list[Film], *, copies: int = 4) -> tuple[Vector, ...]:
    """Typical patches of the films at each of the sides looked at. They know neither look nor size."""
    rng, words = np.random.default_rng(0), []
    for side in region_model.PATCH_SIDES:
        drawn = []
        for _, pixels, body, _ in (copy for film in films for copy in copies_of(film, copies)):
            found = region_model.body_patches(pixels, body, side=side)
            found = found.reshape(-1, found.shape[-1])
            drawn.append(found[rng.choice(len(found), PATCHES_A_COPY)])
        model = MiniBatchKMeans(WORDS, random_state=0, n_init=1, batch_size=2048).fit(np.concatenate(drawn))
        words.append(model.cluster_centers_.astype(np.float32))
    return tuple(words)


def gather(films: list[Film], words: tuple[Vector, ...], *, copies: int) -> Samples:
    """Features of every copy of every film."""
    rows = [
        (region_model.features(pixels, body, words=words), LOOKS.index(film.look), size, film.number, copy)
        for film in films
        for copy, pixels, body, size in copies_of(film, copies)
    ]
    features, look, sizes, number, copy = zip(*rows, strict=True)
    return Samples(
        features=np.stack(features),
        look=np.array(look),
        size=np.array(sizes),
        film=np.array(number),
        copy=np.array(copy),
    )


def read_films(folder: Path, annotations: Path) -> tuple[list[Film], np.ndarray]:
    """Every annotated film with a known look, and the fold of each."""
    films, folds = [], []
    for record in json.loads(annotations.read_text()):
        if record["region"] in LOOKS and (folder / record["film"]).exists():
            film = readers.load(folder / record["film"])
            films.append(reduced_film(film, record["region"], mm_px=record["mm_px"], number=len(films)))
            folds.append(fold_of(record.get("case") or record["film"]))
    return films, np.array(folds)


def phantom_films(count: int) -> list[Film]:
    """`count` synthetic films of each kind."""
    films = []
    for seed in range(PHANTOM_SEED, PHANTOM_SEED + count):
        for kind, look in PHANTOMS.items():
            film, phantom = phantom_film(kind, seed)
            films.append(reduced_film(film, look, mm_px=phantom.spacing_mm, number=-1 - seed))
    return films


def fit(samples: Samples, words: tuple[Vector, ...]) -> RegionModel:
    """Projection, prototypes (the films as they are) and weights."""
    centre, axes = projection(samples)
    films = (samples.features - centre) @ axes
    prototypes = films[samples.copy == 0]
    width = float(LIKENESS_WIDTH * np.sqrt(films.var(axis=0).sum()))
    basis = whitening(prototypes, width)
    alike = region_model.likeness(films, prototypes, width=width)[:, :-1] @ basis
    looks = LogisticRegression(C=SLACK, max_iter=200).fit(alike, samples.look, sample_weight=samples.weight)
    mean_size = np.average(samples.size, weights=samples.weight)
    size = ridge(alike, samples.size - mean_size, samples.weight / samples.weight.mean())
    weights = np.column_stack([basis @ looks.coef_.T, basis @ size])
    return RegionModel(
        looks=LOOKS,
        words=words,
        centre=centre,
        axes=axes,
        prototypes=prototypes,
        width=width,
        weights=np.vstack([weights, np.append(looks.intercept_, mean_size)]).astype(np.float32),
        size_range=tuple(np.percentile(samples.size[samples.copy == 0], [0.5, 99.5])),
    )


def projection(samples: Samples) -> tuple[Vector, Vector]:
    """Centre and principal axes of features, each weighted by how well it parts the looks."""
    centre, spread = samples.features.mean(axis=0), samples.features.std(axis=0) + 1e-3
    present = np.unique(samples.look)
    share = [(samples.look == look).mean() for look in present]
    means = np.stack([samples.features[samples.look == look].mean(axis=0) for look in present])
    between = np.average((means - centre) ** 2, axis=0, weights=share)
    factor = (between / spread**2 + 0.02) ** SIGNIFICANCE / spread
    model = PCA(AXES, svd_solver="randomized", random_state=0).fit((samples.features - centre) * factor)
    return centre, (model.components_ * factor).T.astype(np.float32)


def whitening(prototypes: Vector, width: float) -> np.ndarray:
    """Combinations of the likenesses to prototypes that make a penalty on weights one on the function's roughness."""
    values, vectors = np.linalg.eigh(region_model.likeness(prototypes, prototypes, width=width)[:, :-1])
    kept = values > 1e-4
    return vectors[:, kept] / np.sqrt(values[kept])


def ridge(inputs: np.ndarray, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
    weighted = inputs * weight[:, None]
    return np.linalg.solve(inputs.T @ weighted + SIZE_PENALTY * np.eye(inputs.shape[1]), weighted.T @ target)


def cross_validate(samples: Samples, folds: np.ndarray, phantoms: Samples) -> np.ndarray:
    """Answers for every film by models that never saw its case; float32 (films, looks + 1)."""
    answers = np.zeros((len(folds), len(LOOKS) + 1), np.float32)
    for fold in range(FOLDS):
        left_out = folds[samples.film] == fold
        model = fit(joined(samples.where(~left_out), phantoms), words=())
        judged = samples.where(left_out & (samples.copy < PLAIN))
        np.add.at(answers, judged.film, region_model.evaluate(model, judged.features) / PLAIN)
    return answers


def joined(one: Samples, other: Samples) -> Samples:
    names = one.__dataclass_fields__
    return Samples(**{name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names})


def region_of(look: str) -> str:
    return look if look in regions.NAMES else "other"


def report(films: Samples, answers: np.ndarray, folds: np.ndarray) -> None:
    """Print which regions were taken for which, and how far sizes are off; `films` holds one sample of each film."""
    true = np.array([region_of(LOOKS[look]) for look in films.look])
    taken = np.array([region_of(LOOKS[look]) for look in answers[:, :-1].argmax(axis=1)])
    print(f"{np.mean(true == taken):.3f} of {len(true)} regions right; rows true, columns taken")
    print(" " * 9, *(f"{name[:5]:>5}" for name in regions.NAMES))
    for name in regions.NAMES:
        print(f"{name:9}", *(f"{((true == name) & (taken == other)).sum():5}" for other in regions.NAMES))
    print_error("picture", answers[:, -1] - films.size)
    print_error("usual size of the true look", usual_size(films, films.look, folds) - films.size)
    print_error("usual size of all films", usual_size(films, np.zeros_like(films.look), folds) - films.size)


def print_error(name: str, error: np.ndarray) -> None:
    within = np.mean(np.abs(error) < TOLERANCE)
    print(f"log size by {name}: rms {np.sqrt(np.mean(error**2)):.3f}, {within:.2f} within 25 %")


def usual_size(films: Samples, group: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Median log size of the films of the same group in other folds."""
    usual = np.zeros(len(group))
    for name, fold in {*zip(group.tolist(), folds.tolist(), strict=True)}:
        usual[(group == name) & (folds == fold)] = np.median(films.size[(group == name) & (folds != fold)])
    return usual


def write_model(model: RegionModel, folder: Path) -> None:
    """Words, axes and prototypes in steps of 1/127 of their greatest value, the rest in half precision."""
    words, words_step = in_steps(np.stack(model.words))
    axes, axes_step = in_steps(model.axes)
    prototypes, prototypes_step = in_steps(model.prototypes)
    np.savez_compressed(
        folder / "regions.npz",
        words=words,
        words_step=words_step,
        looks=np.array(model.looks),
        centre=model.centre.astype(np.float16),
        axes=axes,
        axes_step=axes_step,
        prototypes=prototypes,
        prototypes_step=prototypes_step,
        width=np.float32(model.width),
        weights=model.weights.astype(np.float16),
        size_range=np.array(model.size_range, np.float32),
    )


def in_steps(values: Vector) -> tuple[np.ndarray, Vector]:
    """Columns as int8, and the step of each column."""
    step = np.maximum(np.abs(values).max(axis=0), 1e-6) / 127
    return np.round(values / step).astype(np.int8), step.astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path)
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--phantoms", type=int, default=10, help="of each kind")
    parser.add_argument("--copies", type=int, default=COPIES)
    given = parser.parse_args()
    films, folds = read_films(given.films, given.annotations)
    if missing := set(LOOKS) - {film.look for film in films}:
        parser.error(f"no film of {', '.join(sorted(missing))}; every look needs some, in two folds at least")
    write_model(fit_and_report(films, folds, phantom_films(given.phantoms), copies=given.copies), given.out)


def fit_and_report(films: list[Film], folds: np.ndarray, phantoms: list[Film], *, copies: int) -> RegionModel:
    """The model of all films, after the figures for films left out."""
    words = learn_words(films)
    samples, synthetic = gather(films, words, copies=copies), gather(phantoms, words, copies=PLAIN)
    report(samples.where(samples.copy == 0), cross_validate(samples, folds, synthetic), folds)
    return fit(joined(samples, synthetic), words)


if __name__ == "__main__":
    main()
