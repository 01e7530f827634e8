"""Fit the scorer on deposits put into annotated films.

    python benchmarks/fit_score.py FILMS --annotations annotations.json --masks MASKS --bone FOLDER --out FOLDER

FOLDER of --bone holds what fit_bone.py wrote: each film is scanned with bone tables that never saw it. Every film is
used once as it is and COPIES times with deposits in its soft tissue and another gain, latitude, sharpness and pitch.
Phantoms join every fit.
Candidates that hit a deposit (or real calcification) are right, those in ``ignore`` boxes are left out, all others
wrong. Writes ``score.json``, calibrated on films left out, and prints the FROC of films left out.
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
    bone_contrast,
    fit_parser,
    load_film,
    phantom_film,
    read_annotations,
    soft_mask,
    vary,
    with_pixels,
    working_film,
)
from sklearn.linear_model import LogisticRegression

from calcidetect import background, bone, detect, measure, mimics, ops
from calcidetect.config import Config
from calcidetect.evaluate import MARGIN_MM, Truth, froc, hits, inside_any, sensitivity_at
from calcidetect.phantom import KINDS
from calcidetect.simulate import insert_deposits
from calcidetect.trees import parse_tables
from calcidetect.types import Radiograph

DEPOSITS = (2, 6)
POSITIVE_WEIGHT = 3.0
"""A hit counts as much as this many false candidates, which are a hundred times as many."""

MILD_COPIES = 5
PITCH_ERRORS = (0.2, 0.3)
"""How far the assumed pitch is off (log-normal sigma): in the first copies of a film, and in the others."""

PHANTOM_WEIGHT = 0.3
"""Of a phantom's candidates. Mean sensitivity on real films left out: 0.499 without any, 0.493 at 0.3, 0.454 at 1."""

ROUNDS, DEPTH = 200, 6
IGNORED = -2


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One scanned copy of a film.

    `features` float32 (n, m) of its n candidates; `deposit` which deposit each hits, -1 none, `IGNORED`; `easy` whether
    each deposit is at least 3 mm wide and half a bone step bright.
    """

    film: int
    names: tuple[str, ...]
    features: np.ndarray
    deposit: np.ndarray
    easy: np.ndarray


def scan_copy(job: tuple[int, int], *, films: list[AnnotatedFilm], bone_folder: Path, mask_folder: Path) -> Sample:
    """Scan copy `job[1]` of film `job[0]`; copy 0 is the film as it is."""
    index, copy = job
    film, rng = films[index], np.random.default_rng([index, copy])
    radiograph, deposits = load_film(film), ()
    if copy:
        pixels, _, deposits = insert_deposits(
            radiograph.pixels,
            deposit_places(film, radiograph, mask_folder, rng),
            count=int(rng.integers(*DEPOSITS)),
            bone_step=bone_contrast(film, radiograph.pixels),
            pixel_mm=film.mm_px,
            rng=rng,
        )
        error = PITCH_ERRORS[copy > MILD_COPIES]
        radiograph = vary(with_pixels(radiograph, pixels), rng, pitch_error=error)
    tables = (bone_folder / f"bone_{index % FOLDS}.json").read_text()
    truths = [Truth(box=d.box, row=d.row, col=d.col) for d in deposits]
    truths += [Truth(box=tuple(b), row=(b[1] + b[3]) / 2, col=(b[0] + b[2]) / 2) for b in film.real]
    easy = [d.diameter_mm >= 3 and d.contrast >= 0.5 for d in deposits] + [True] * len(film.real)
    return scan(radiograph, tables, truths, film.ignore, film=index, pixel_mm=film.mm_px, easy=easy)


def deposit_places(film: AnnotatedFilm, radiograph: Radiograph, masks: Path, rng: np.random.Generator) -> np.ndarray:
    """Where deposits may lie: the soft polygons or, every other time on limbs, all that is surely no bone."""
    path = masks / f"{film.path.stem}.png"
    if film.region in ("chest", "shoulder", "hip") or rng.random() < 0.5 or not path.exists():
        return soft_mask(film, radiograph.grid.shape)
    _, field = working_film(radiograph, Config())
    not_bone = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) == 1
    return not_bone & ops.resize_mask(field.body, radiograph.grid.shape)


def scan_phantom(seed: int, *, bone_folder: Path) -> Sample:
    """Scan a synthetic film, varied; its mimics are ignored."""
    radiograph, phantom = phantom_film(sorted(KINDS)[seed % len(KINDS)], PHANTOM_SEED + seed)
    marks = [d for d in phantom.deposits if d.label == "calcification"]
    truths = [Truth(box=(d.x0, d.y0, d.x1, d.y1), row=d.row, col=d.col) for d in marks]
    mimics = [(d.x0, d.y0, d.x1, d.y1) for d in phantom.deposits if d.label != "calcification"]
    varied = vary(radiograph, np.random.default_rng(seed))
    tables = (bone_folder / "bone.json").read_text()
    return scan(varied, tables, truths, mimics, film=-1, pixel_mm=phantom.spacing_mm, easy=[True] * len(marks))


def scan(radiograph, tables, truths, ignore, *, film: int, pixel_mm: float, easy: list[bool]) -> Sample:
    """Generate and measure candidates and say which deposit each hits."""
    config = Config()
    working, field = working_film(radiograph, config)
    anatomy = bone.segment_bone(working, field, config.bone, tables=parse_tables(tables))
    tissue = background.estimate_background(working, anatomy, config.background)
    labels = detect.find_candidates(working, anatomy, tissue, config.detect)
    features = measure.candidate_features(working, field, anatomy, tissue, labels)
    kinds = [mimics.MARK] * int(labels.max())
    candidates = measure.measure(working, labels, features=features, kinds=kinds)
    hit = hits(candidates, truths, pixel_mm=pixel_mm)
    ignored = inside_any(candidates, ignore, margin=MARGIN_MM / pixel_mm) & (hit < 0)
    return Sample(
        film=film,
        names=tuple(features),
        features=np.stack(list(features.values()), axis=1),
        deposit=np.where(ignored, IGNORED, hit),
        easy=np.array(easy, bool),
    )


def fit(samples: list[Sample]):
    """Boosted tables for candidates against everything else."""
    features = np.concatenate([sample.features[sample.deposit != IGNORED] for sample in samples])
    truth = np.concatenate([sample.deposit[sample.deposit != IGNORED] >= 0 for sample in samples])
    synthetic = np.concatenate([np.full((sample.deposit != IGNORED).sum(), sample.film < 0) for sample in samples])
    weight = np.where(truth, POSITIVE_WEIGHT, 1.0) * np.where(synthetic, PHANTOM_WEIGHT, 1.0)
    return boosting.fit(features, truth, weight, rounds=ROUNDS, depth=DEPTH)


def cross_validate(samples: list[Sample], phantoms: list[Sample]) -> list[np.ndarray]:
    """Log-odds of every sample's candidates by tables that never saw its film."""
    scores = {}
    for fold in range(FOLDS):
        model = fit([sample for sample in samples if sample.film % FOLDS != fold] + phantoms)
        scores |= {
            number: model.predict(sample.features, prediction_type="RawFormulaVal")
            for number, sample in enumerate(samples)
            if sample.film % FOLDS == fold
        }
    return [scores[number] for number in range(len(samples))]


def sensitivities(samples: list[Sample], scores: list[np.ndarray], *, easy: bool = False) -> np.ndarray:
    """Sensitivity at 1/8 … 8 false marks a film; of deposits that are easy to see, if asked."""
    score, deposit, total = [], [], 0
    for sample, values in zip(samples, scores, strict=True):
        counted = sample.easy if easy else np.ones(len(sample.easy), bool)
        number = np.append(np.where(counted, total + np.cumsum(counted) - 1, IGNORED), [IGNORED, -1])[sample.deposit]
        score.append(values[number != IGNORED])
        deposit.append(number[number != IGNORED])
        total += int(counted.sum())
    curve = froc(np.concatenate(score), np.concatenate(deposit), deposits=max(total, 1), films=len(samples))
    return sensitivity_at(*curve)


def report(samples: list[Sample], scores: list[np.ndarray], films: list[AnnotatedFilm]) -> None:
    """Print sensitivity by region, and for deposits that are easy to see."""
    for name in ["all", "easy", *sorted({film.region for film in films})]:
        chosen = [i for i, sample in enumerate(samples) if name in ("all", "easy", films[sample.film].region)]
        if chosen:
            curve = sensitivities([samples[i] for i in chosen], [scores[i] for i in chosen], easy=name == "easy")
            print(f"{name:10} mean {curve.mean():.3f} at 1/8 to 8:", *(f"{value:.2f}" for value in curve))


def calibration(samples: list[Sample], scores: list[np.ndarray]) -> tuple[float, float]:
    """Slope and offset that make log-odds of films left out a probability (Platt 1999)."""
    used = [sample.deposit != IGNORED for sample in samples]
    values = np.concatenate([score[keep] for score, keep in zip(scores, used, strict=True)])
    truth = np.concatenate([sample.deposit[keep] >= 0 for sample, keep in zip(samples, used, strict=True)])
    model = LogisticRegression(C=1e6).fit(values[:, None], truth)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def operating_points(samples: list[Sample], scores: list[np.ndarray], slope: float, offset: float) -> None:
    """Print the false marks a film and the sensitivity of each least score."""
    chance = [1 / (1 + np.exp(-(slope * score + offset))) for score in scores]
    for least in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        wrong = [int(((c >= least) & (s.deposit == -1)).sum()) for c, s in zip(chance, samples, strict=True)]
        found = [len(set(s.deposit[(c >= least) & (s.deposit >= 0)])) for c, s in zip(chance, samples, strict=True)]
        share = sum(found) / max(1, sum(len(s.easy) for s in samples))
        clean = [w for w, s in zip(wrong, samples, strict=True) if not len(s.easy)]
        print(f"score {least:.2f}: {np.mean(wrong):.2f} false marks, {np.mean(clean):.2f} if clean, finds {share:.2f}")


def main() -> None:
    parser = fit_parser(__doc__, phantoms=45)
    parser.add_argument("--bone", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=13)
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    films = read_annotations(given.films, given.annotations)
    jobs = [(index, copy) for index in range(len(films)) for copy in range(given.copies + 1)]
    with ProcessPoolExecutor(given.jobs) as pool:
        samples = list(
            pool.map(
                partial(scan_copy, films=films, bone_folder=given.bone, mask_folder=given.masks), jobs, chunksize=4
            )
        )
        phantoms = list(pool.map(partial(scan_phantom, bone_folder=given.bone), range(given.phantoms)))
    reached = sum(len(set(sample.deposit[sample.deposit >= 0])) for sample in samples)
    candidates = np.mean([len(sample.deposit) for sample in samples])
    print(f"generator: {reached} of {sum(len(s.easy) for s in samples)} deposits, {candidates:.0f} candidates a film")
    scores = cross_validate(samples, phantoms)
    report(samples, scores, films)
    slope, offset = calibration(samples, scores)
    operating_points(samples, scores, slope, offset)
    (given.out / "score.json").write_text(
        boosting.tables_json(fit(samples + phantoms), list(samples[0].names), slope, offset)
    )


if __name__ == "__main__":
    main()
