"""Fit the scorer on deposits put into annotated films and into backgrounds.

    python benchmarks/fit_score.py FILMS --annotations annotations.json --masks MASKS --bone FOLDER --out FOLDER

FOLDER of --bone holds what fit_bone.py wrote: each film is scanned with bone tables that never saw it. Every film with
polygons of soft tissue is used once as it is and COPIES times with deposits in it and another gain, latitude, sharpness
and pitch; the film as it is and its first copies give the figures. Films without polygons are backgrounds, used
BACKGROUND_COPIES times each, with deposits where the program itself sees soft tissue. Phantoms join every fit.
Candidates that hit a deposit (or real calcification) are right, those in ``ignore`` boxes are left out, all others
wrong. Writes ``score.json``, calibrated on films left out, and prints the FROC of films left out.

Regions with tables of their own: ``--tables score_chest --regions chest`` and ``--tables score_girdle --regions
chest,shoulder,hip``, both with ``--background-weight 0.3 --phantoms 30 --phantom-weight 1.5``.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

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
    worn,
)
from sklearn.linear_model import LogisticRegression

from calcidetect import ops, pipeline
from calcidetect.anatomy import bone
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.anatomy.thorax import find_thorax
from calcidetect.candidates import score as scorer
from calcidetect.candidates.label_regions import centres
from calcidetect.config import Config
from calcidetect.evaluate import MARGIN_MM, Truth, froc, hits, inside_any, sensitivity_at
from calcidetect.phantom import KINDS
from calcidetect.simulation.simulate import insert_deposits
from calcidetect.trees import parse_tables
from calcidetect.types import MARK, Grid, Radiograph

DEPOSITS = (2, 6)
BACKGROUND_DEPOSITS = (3, 8)
CROWD_SHARE, CROWD, CROWD_MM = 0.5, (8, 20), (15.0, 40.0)
"""Of the copies this share has that many deposits within so many mm of one place: calcinosis comes in crowds."""

POSITIVE_WEIGHT = 3.0
"""A hit counts as much as this many false candidates, which are a hundred times as many."""

PLAIN_COPIES = 6
"""The first copies have no crowds; figures are told of them and of the film as it is."""

MILD_COPIES = 5
PITCH_ERRORS = (0.2, 0.3)
"""How far the assumed pitch is off (log-normal sigma): in the first copies of a film, and in the others."""

NO_BONE, NO_LUNG = 0.2, 0.2
BONE_GAP_MM = 0.8
"""Soft tissue of a background: less likely bone or lung than this, and this far from bone."""

MAY_BE_BONE, BESIDE_MM = 0.4, (0.2, 10.0)
"""Soft tissue beside bone: less likely bone than this, and no nearer and no farther than that; as first set."""

BACKGROUND_COPIES = 2
"""The shipped tables saw 1,408 copies of 806 backgrounds, four of each JSRT film, one or two of the others, without
regard to `HARD_CHANCE`; and one copy of 1,032 more, of which nothing but these candidates was chosen by a scorer."""

BACKGROUND_WEIGHT = 0.5
"""Of a background's candidates. The more they weigh, the better collections do that are left out (mean sensitivity
0.54 without, 0.60 at 1), and the worse the annotated films (0.64 without, 0.62 at 1; 0.64 at 0.5 with 18 copies). With
806 backgrounds 0.5 and 0.2 do equally well: annotated films left out 0.781 and 0.783, chest 0.52 and 0.55."""

PHANTOM_WEIGHT = 0.1
"""Of a phantom's candidates. Mean sensitivity on real films left out: 0.499 without any, 0.493 at 0.3, 0.454 at 1. For
the tables of chest films, ten phantoms among a thousand films: at 0.3 and 1.5, 19 and 32 marks on 37 deposits of two
other phantoms, and 0.554 and 0.573 on 22 real films that no fit saw."""

FALSE_SHARE = 0.22
"""Of the false candidates, drawn at random, a fit sees this share, with the weight of all."""

HARD_CHANCE, HARD_WEIGHT = 0.1, 2.0
"""Of a background's false candidates, all that the shipped tables give this probability are seen, with that weight."""

ROUNDS, DEPTH, RATE = 700, 6, 0.055
"""The tables of chest films and of shoulder and hip films, which are fitted on fewer, are 600."""

FALSE, IGNORED = -1, -2
"""A candidate that hits no deposit, and one that counts for nothing."""

NOT_COUNTED = -1


class Place(NamedTuple):
    """Where a candidate lies, in source pixels, for `hits`."""

    row: float
    col: float
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One scanned copy of a film.

    `film` counts the annotated films, `NOT_COUNTED` for backgrounds and phantoms, which belong to no `fold`.
    `features` float32 (n, m) of its n candidates; `deposit` which deposit each hits, `FALSE` or `IGNORED`; `easy`
    whether each deposit is at least 3 mm wide and half a bone step bright, as real ones and those of phantoms count;
    `weight` of a candidate; `hard` which false ones the shipped tables are taken in by, bool (n,), where all of these
    were kept.
    """

    film: int
    fold: int | None
    names: tuple[str, ...]
    features: np.ndarray
    deposit: np.ndarray
    easy: np.ndarray
    weight: float = 1.0
    hard: np.ndarray | None = None


def film_copy(job: tuple[int, int], *, films: list[AnnotatedFilm], masks: Path) -> tuple[Radiograph, tuple]:
    """Copy `job[1]` of film `job[0]`, varied, and the deposits put into it; copy 0 is the film as it is."""
    index, copy = job
    film, rng = films[index], np.random.default_rng([index, copy])
    radiograph = load_film(film)
    if not copy:
        return radiograph, ()
    places, count = deposit_places(film, radiograph, masks, rng), int(rng.integers(*DEPOSITS))
    if copy > PLAIN_COPIES and rng.random() < CROWD_SHARE:
        places, count = crowded(places, film.mm_px, rng), int(rng.integers(*CROWD))
    step = bone_contrast(film, radiograph.pixels)
    pixels, _, deposits = insert_deposits(
        radiograph.pixels, places, count=count, bone_step=step, pixel_mm=film.mm_px, rng=rng
    )
    error = PITCH_ERRORS[copy > MILD_COPIES]
    return worn(vary(with_pixels(radiograph, pixels), rng, pitch_error=error), rng), deposits


def background_copy(
    film: AnnotatedFilm, *, bone_folder: Path, rng: np.random.Generator
) -> tuple[Radiograph, tuple] | None:
    """A film without polygons, varied, with deposits where the program sees soft tissue; None where it sees none."""
    radiograph = load_film(film)
    allowed, step = own_soft_tissue(radiograph, bone_tables(bone_folder, film.fold))
    if not allowed.any():
        return None
    count = int(rng.integers(*BACKGROUND_DEPOSITS))
    pixels, _, deposits = insert_deposits(
        radiograph.pixels, allowed, count=count, bone_step=step, pixel_mm=film.mm_px, rng=rng
    )
    varied = vary(with_pixels(radiograph, pixels), rng, pitch_error=float(np.mean(PITCH_ERRORS)))
    return worn(varied, rng), deposits


def truths_of(deposits: tuple, film: AnnotatedFilm) -> list[Truth]:
    """Deposits put in, and real calcification of the film."""
    truths = [Truth(box=d.box, row=d.row, col=d.col) for d in deposits]
    return truths + [Truth(box=tuple(b), row=(b[1] + b[3]) / 2, col=(b[0] + b[2]) / 2) for b in film.real]


def scan_copy(job: tuple[int, int], *, films: list[AnnotatedFilm], bone_folder: Path, masks: Path) -> Sample:
    """Scan a copy of a film; see `film_copy`."""
    film = films[job[0]]
    radiograph, deposits = film_copy(job, films=films, masks=masks)
    truths = truths_of(deposits, film)
    names, features, deposit = scan(radiograph, bone_tables(bone_folder, film.fold), truths, film.ignore, film.mm_px)
    easy = np.array([*map(is_easy, deposits), *(True for _ in film.real)], bool)
    return Sample(film=job[0], fold=film.fold, names=names, features=features, deposit=deposit, easy=easy)


def scan_background(
    job: tuple[int, int], *, films: list[AnnotatedFilm], bone_folder: Path, weight: float
) -> Sample | None:
    """Scan `background_copy` `job[1]`, counted from 1, of film `job[0]`."""
    film, rng = films[job[0]], np.random.default_rng(job)
    copy = background_copy(film, bone_folder=bone_folder, rng=rng)
    if copy is None:
        return None
    radiograph, deposits = copy
    tables = bone_tables(bone_folder, film.fold)
    names, features, deposit = scan(radiograph, tables, truths_of(deposits, film), film.ignore, film.mm_px)
    shipped = scorer.tables_of("", film.region)
    chance = scorer.scores(dict(zip(names, features.T, strict=True)), shipped)
    hard = (deposit == FALSE) & (chance > HARD_CHANCE)
    seen = thinned(deposit, rng) | hard
    return Sample(
        film=NOT_COUNTED,
        fold=None,
        names=names,
        features=features[seen],
        deposit=deposit[seen],
        easy=np.array([*map(is_easy, deposits), *(True for _ in film.real)], bool),
        weight=weight,
        hard=hard[seen],
    )


def thinned(deposit: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Candidates that a fit sees, bool (n,): all that hit, `FALSE_SHARE` of the false ones."""
    return (deposit >= 0) | ((deposit == FALSE) & (rng.random(len(deposit)) < FALSE_SHARE))


def is_easy(deposit) -> bool:
    """Whether a reader should see it: at least 3 mm wide and half a bone step bright."""
    return deposit.diameter_mm >= 3 and deposit.contrast >= 0.5


@cache
def bone_tables(folder: Path, fold: int | None) -> bone.BoneTables:
    """Tables that never saw the films of a fold, or (None) that saw all."""
    suffix = "" if fold is None else f"_{fold}"
    guess, revised = (parse_tables((folder / f"{name}{suffix}.json").read_text()) for name in ("bone_guess", "bone"))
    return bone.BoneTables(guess=guess, revised=revised)


def deposit_places(film: AnnotatedFilm, radiograph: Radiograph, masks: Path, rng: np.random.Generator) -> np.ndarray:
    """Where deposits may lie: the soft polygons or, every other time on limbs, all that is surely no bone."""
    path = masks / f"{film.path.stem}.png"
    if film.region in ("chest", "shoulder", "hip") or rng.random() < 0.5 or not path.exists():
        return soft_mask(film, radiograph.grid.shape)
    _, field = working_film(radiograph, Config())
    not_bone = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) == 1
    return not_bone & ops.resize_mask(field.body, radiograph.grid.shape)


def crowded(places: np.ndarray, pixel_mm: float, rng: np.random.Generator) -> np.ndarray:
    """The part of bool (rows, cols) `places` that lies near one of them, drawn at random."""
    row, col = divmod(int(rng.choice(np.flatnonzero(places))), places.shape[1])
    reach = rng.uniform(*CROWD_MM) / pixel_mm
    rows, cols = np.ogrid[: places.shape[0], : places.shape[1]]
    return places & ((rows - row) ** 2 + (cols - col) ** 2 <= reach**2)


def own_soft_tissue(
    radiograph: Radiograph, tables: bone.BoneTables, *, beside_bone: bool = False
) -> tuple[np.ndarray, float]:
    """What the program takes for soft tissue outside lung, on the film's own grid, and its bone step.

    With `beside_bone` what lies 0.2 to 10 mm from bone, as calcification about joints does.

    On a frontal chest film nothing inside the rib cage or below it is taken: no deposit is searched there, and one put
    there taught the scorer to mark heart and ribs.
    """
    config = Config()
    working, field = working_film(radiograph, config)
    if not field.body.any():
        return np.zeros(radiograph.grid.shape, bool), 1.0
    planes = film_planes(working, field, pixel_mm=config.bone.pixel_mm)
    anatomy = bone.segment_bone(working, field, planes=planes, settings=config.bone, tables=tables)
    pixel_mm = working.grid.nominal_mm
    to_bone = anatomy.bone_distance_px * pixel_mm
    nearest, farthest = BESIDE_MM if beside_bone else (BONE_GAP_MM, np.inf)
    no_bone = anatomy.bone_probability < (MAY_BE_BONE if beside_bone else NO_BONE)
    clear = no_bone & (anatomy.lung_probability < NO_LUNG)
    apart = (to_bone > nearest) & (to_bone < farthest) & (anatomy.skin_distance_px * pixel_mm > 1)
    thorax = find_thorax(anatomy, pixel_mm=pixel_mm)
    if thorax is not None:
        clear &= ~ops.resize_mask(np.maximum.accumulate(thorax.cage, axis=0), clear.shape)
    return ops.resize_mask(clear & apart & field.body, radiograph.grid.shape), anatomy.bone_step


def scan_phantom(seed: int, *, bone_folder: Path, weight: float) -> Sample:
    """Scan a synthetic film, varied; its mimics are ignored."""
    radiograph, phantom = phantom_film(phantom_kind(seed), PHANTOM_SEED + seed)
    marks = [d for d in phantom.deposits if d.label == MARK]
    truths = [Truth(box=(d.x0, d.y0, d.x1, d.y1), row=d.row, col=d.col) for d in marks]
    mimics = [(d.x0, d.y0, d.x1, d.y1) for d in phantom.deposits if d.label != MARK]
    rng = np.random.default_rng(seed)
    varied = vary(radiograph, rng)
    names, features, deposit = scan(varied, bone_tables(bone_folder, None), truths, mimics, phantom.spacing_mm)
    seen = thinned(deposit, rng)
    return Sample(
        film=NOT_COUNTED,
        fold=None,
        names=names,
        features=features[seen],
        deposit=deposit[seen],
        easy=np.ones(len(marks), bool),
        weight=weight,
    )


def phantom_kind(seed: int) -> str:
    return sorted(KINDS)[seed % len(KINDS)]


def scan(radiograph: Radiograph, tables: bone.BoneTables, truths, ignore, pixel_mm: float):
    """Generate and measure candidates: feature names, features, and which deposit each hits."""
    config = Config()
    working, field = working_film(radiograph, config)
    found = pipeline.find(working, field, config=config, tables=tables)
    labels, features = found.labels, found.features
    places = candidate_places(labels, working.grid)
    hit = hits(places, truths, pixel_mm=pixel_mm)
    ignored = inside_any(places, ignore, margin=MARGIN_MM / pixel_mm) & (hit < 0)
    return tuple(features), np.stack(list(features.values()), axis=1), np.where(ignored, IGNORED, hit)


def candidate_places(labels: np.ndarray, grid: Grid) -> list[Place]:
    """Centre and box of each candidate in source pixels."""
    corners = np.array([[[box[i].start, box[i].stop] for i in (0, 1)] for box in ops.label_boxes(labels)])
    low, high = (grid.to_source(corners[:, :, end] - 0.5) + 0.5 for end in (0, 1))
    middle = grid.to_source(centres(labels))
    return [Place(*m, x0=a[1], y0=a[0], x1=b[1], y1=b[0]) for m, a, b in zip(middle, low, high, strict=True)]


def fit(samples: list[Sample]):
    """Boosted tables for candidates against everything else."""
    rng = np.random.default_rng(0)
    kept = [np.ones(len(s.deposit), bool) if s.fold is None else thinned(s.deposit, rng) for s in samples]
    features = np.concatenate([s.features[keep] for s, keep in zip(samples, kept, strict=True)])
    truth = np.concatenate([s.deposit[keep] >= 0 for s, keep in zip(samples, kept, strict=True)])
    weight = np.concatenate([candidate_weights(s)[keep] for s, keep in zip(samples, kept, strict=True)])
    return boosting.fit(features, truth, weight, rounds=ROUNDS, depth=DEPTH, rate=RATE)


def candidate_weights(sample: Sample) -> np.ndarray:
    """Weight of each candidate in a fit, float (n,)."""
    weight = np.where(sample.deposit >= 0, POSITIVE_WEIGHT, 1 / FALSE_SHARE)
    if sample.hard is not None:
        weight[sample.hard] = HARD_WEIGHT
    return sample.weight * weight


def cross_validate(samples: list[Sample], others: list[Sample]) -> list[np.ndarray]:
    """Log-odds of every sample's candidates by tables that never saw its film; `others` help to fit."""
    scores = {}
    for fold in range(FOLDS):
        model = fit([sample for sample in samples + others if sample.fold != fold])
        scores |= {
            number: model.predict(sample.features, prediction_type="RawFormulaVal")
            for number, sample in enumerate(samples)
            if sample.fold == fold
        }
    return [scores[number] for number in range(len(samples))]


def sensitivities(samples: list[Sample], scores: list[np.ndarray], *, easy: bool = False) -> np.ndarray:
    """Sensitivity at 1/8 … 8 false marks a film; of deposits that are easy to see, if asked."""
    score, deposit, total = [], [], 0
    for sample, values in zip(samples, scores, strict=True):
        counted = sample.easy if easy else np.ones(len(sample.easy), bool)
        number = np.append(np.where(counted, total + np.cumsum(counted) - 1, IGNORED), [IGNORED, FALSE])[sample.deposit]
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
    """Print the false marks a film and the sensitivity of each least score, before clusters and mimics."""
    chance = [1 / (1 + np.exp(-(slope * score + offset))) for score in scores]
    for least in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7):
        wrong = [int(((c >= least) & (s.deposit == FALSE)).sum()) for c, s in zip(chance, samples, strict=True)]
        found = [len(set(s.deposit[(c >= least) & (s.deposit >= 0)])) for c, s in zip(chance, samples, strict=True)]
        share = sum(found) / max(1, sum(len(s.easy) for s in samples))
        clean = [w for w, s in zip(wrong, samples, strict=True) if not len(s.easy)]
        print(f"score {least:.2f}: {np.mean(wrong):.2f} false marks, {np.mean(clean):.2f} if clean, finds {share:.2f}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def main() -> None:
    parser = fit_parser(__doc__, phantoms=45)
    parser.add_argument("--bone", type=Path, required=True)
    parser.add_argument("--copies", type=int, default=9)
    parser.add_argument("--regions", type=_names, help="fit on films of these regions alone, such as shoulder,hip")
    parser.add_argument("--tables", default="score", help="name of the file that is written, without its suffix")
    parser.add_argument("--background-weight", type=float, default=BACKGROUND_WEIGHT)
    parser.add_argument("--phantom-weight", type=float, default=PHANTOM_WEIGHT)
    given = parser.parse_args()
    everything = read_annotations(given.films, given.annotations)
    everything = [film for film in everything if given.regions is None or film.region in given.regions]
    films = [film for film in everything if film.soft]
    backgrounds = [film for film in everything if not film.soft]
    copies = range(given.copies + 1)
    plain, more = (
        [(i, copy) for i in range(len(films)) for copy in copies if (copy > PLAIN_COPIES) == extra]
        for extra in (False, True)
    )
    with ProcessPoolExecutor(given.jobs) as pool:
        work = partial(scan_copy, films=films, bone_folder=given.bone, masks=given.masks)
        samples = list(pool.map(work, plain, chunksize=4))
        others = list(pool.map(work, more, chunksize=4))
        work = partial(scan_background, films=backgrounds, bone_folder=given.bone, weight=given.background_weight)
        jobs = [(i, copy) for i in range(len(backgrounds)) for copy in range(1, BACKGROUND_COPIES + 1)]
        others += pool.map(work, jobs, chunksize=4)
        work = partial(scan_phantom, bone_folder=given.bone, weight=given.phantom_weight)
        wanted = (n for n in range(given.phantoms) if given.regions is None or phantom_kind(n) in given.regions)
        others += pool.map(work, wanted)
    others = [sample for sample in others if sample is not None]
    reached = sum(len(set(sample.deposit[sample.deposit >= 0])) for sample in samples)
    candidates = np.mean([len(sample.deposit) for sample in samples])
    print(f"generator: {reached} of {sum(len(s.easy) for s in samples)} deposits, {candidates:.0f} candidates a film")
    scores = cross_validate(samples, others)
    report(samples, scores, films)
    slope, offset = calibration(samples, scores)
    operating_points(samples, scores, slope, offset)
    model = fit(samples + others)
    (given.out / f"{given.tables}.json").write_text(boosting.tables_json(model, list(samples[0].names), slope, offset))


if __name__ == "__main__":
    main()
