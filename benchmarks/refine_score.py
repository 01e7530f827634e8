"""Fit more tables on top of a region's shipped ones, on films that nobody has annotated.

    python benchmarks/refine_score.py gather FILMS --out SAMPLES [--doubtful FILE] [--spacing MM] [--copies N]
        [--beside-bone N] [...]
    python benchmarks/refine_score.py phantoms KIND --out SAMPLES [--count N]
    python benchmarks/refine_score.py fit SAMPLES [SAMPLES ...] --tables score_chest --regions chest --out FOLDER

``gather`` scans every film as it comes, where all that is found is false, and COPIES times with deposits where the
program sees soft tissue, `--share` of its bone step bright, once with bright ones or a crowd, and `--beside-bone` times
with deposits beside bone; so FILMS must be free of calcification but for what the JSON file `--doubtful` names: boxes
[x0, y0, x1, y1] by film, which count for nothing.
SAMPLES is a pickle of this project's own arrays: read none from elsewhere.

``phantoms`` scans synthetic films as they are and varied; what they were given besides deposits counts for nothing.

``fit`` starts from what the shipped tables say of each candidate and adds tables; it prints the FROC and the false
marks of films left out, before and after, and writes ``<tables>.json``. Films of other regions than `--regions` join at
`OTHERS_WEIGHT`. All false candidates that the shipped tables give `HARD_CHANCE` are kept, of the others a share.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pickle
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boosting
import numpy as np
from annotated import FOLDS, PHANTOM_SEED, fold_of, phantom_film, vary, with_pitch, with_pixels, working_film, worn
from fit_score import FALSE, FALSE_SHARE, candidate_places, crowded, is_easy, own_soft_tissue, sensitivities, thinned

from calcidetect import pipeline
from calcidetect.anatomy import regions, zones
from calcidetect.anatomy.regions import Region
from calcidetect.candidates import mimics
from calcidetect.candidates import score as scorer
from calcidetect.candidates.label_regions import centres
from calcidetect.config import Config
from calcidetect.errors import CalcidetectError
from calcidetect.evaluate import MARGIN_MM, Truth, hits, inside_any
from calcidetect.phantom import KINDS
from calcidetect.phantom import Deposit as PhantomDeposit
from calcidetect.reading import readers
from calcidetect.simulation.simulate import Deposit, insert_deposits
from calcidetect.trees import load_tables, log_odds, tables_json
from calcidetect.types import MARK, Field, Radiograph

Box = tuple[float, float, float, float]

DEPOSITS = (3, 8)
BRIGHT_SHARE = (0.6, 2.0)
CROWD_SHARE, CROWD = 0.6, (6, 18)
"""The deposits of the copy after `--copies` are as bright as that; this share of such copies holds so many near one
place."""

BESIDE_SHARE = (0.4, 1.6)
"""Deposits beside bone are as bright as that. With one and five such copies mean sensitivity to deposits beside bone
rose, on shoulder and hip films left out, from 0.49 to 0.53 and 0.56."""

VARIED_SHARE = 0.75
"""Of the copies; the others are the film as it is, but for the deposits."""

HARD_CHANCE = 0.05
POSITIVE_WEIGHT, HARD_WEIGHT = 3.0, 4.0
"""Mean sensitivity on 248 chest films that no fit has seen: 0.352 with all false candidates of one weight, 0.364
as here; with 800 tables 0.353 with hard ones at 3, 0.362 at 8, then with fewer deposits found at many false marks."""

ROUNDS, DEPTH, RATE = 1500, 6, 0.08

LAST = -99.0
"""Log-odds of what gets a label of its own: behind all others."""

PHANTOM_WEIGHT = 3.0
"""Of a phantom's candidates: without any, marks on 37 deposits of two other chest phantoms were 18 instead of 28."""

OTHERS_WEIGHT = 0.5
"""Of a candidate on a film of another region. 25 shoulder and hip films left out of a fit on 55: mean 0.506 before,
0.570 without others, 0.596 with 320 of limbs and 190 chest films."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One scan of a film: `copy` 0 is the film as it comes.

    `features` float32 (n, m) of its n candidates that were kept; `deposit` which deposit each hits, or `FALSE`; `hard`
    which false ones were all kept, `shown` which would be marks (no mimics), bool (n,); `easy` for each deposit whether
    a reader should see it; `weight` of all its candidates.
    """

    film: str
    copy: int
    region: str
    names: tuple[str, ...]
    features: np.ndarray
    deposit: np.ndarray
    hard: np.ndarray
    shown: np.ndarray
    easy: np.ndarray
    weight: float = 1.0

    @property
    def fold(self) -> int:
        return fold_of(Path(self.film).name)

    @property
    def weights(self) -> np.ndarray:
        """Of each candidate in a fit, float (n,)."""
        false = np.where(self.hard, HARD_WEIGHT, 1 / FALSE_SHARE)
        return self.weight * np.where(self.deposit >= 0, POSITIVE_WEIGHT, false)


def samples_of(
    path: Path,
    *,
    spacing_mm: float | None,
    copies: int,
    share: tuple[float, float],
    beside_bone: int,
    doubtful: dict[str, list[Box]],
) -> list[Sample]:
    """Scan a film as it comes, and with deposits; none of a film that can't be searched."""
    seed = zlib.crc32(path.name.encode())
    try:
        radiograph = readers.load(path)
        seen = pipeline.find_region(radiograph, Config())
    except CalcidetectError as error:
        print(error, file=sys.stderr)
        return []
    if seen.turns:
        print(f"{path} lies on its side or upside down; turn it first", file=sys.stderr)
        return []
    working, field, region = seen.working, seen.field, seen.region
    name, ignore = str(path), [tuple(box) for box in doubtful.get(path.name, ())]
    found = [_measured((name, 0), (working, field, region), (), pixel_mm=1.0, ignore=ignore)]
    mm = spacing_mm or working.grid.nominal_mm * working.grid.shape[0] / radiograph.grid.shape[0]
    radiograph = with_pitch(radiograph, mm)
    kinds = ["plain"] * copies + ["bright"] + ["beside"] * beside_bone
    shares = {"plain": share, "bright": BRIGHT_SHARE, "beside": BESIDE_SHARE}
    anywhere = own_soft_tissue(radiograph, None)
    beside = own_soft_tissue(radiograph, None, beside_bone=True) if beside_bone else anywhere
    for copy, kind in enumerate(kinds, start=1):
        allowed, step = beside if kind == "beside" else anywhere
        if not allowed.any():
            continue
        rng = np.random.default_rng([seed, copy])
        crowd = kind == "bright" and rng.random() < CROWD_SHARE
        pixels, _, deposits = insert_deposits(
            radiograph.pixels,
            crowded(allowed, mm, rng) if crowd else allowed,
            count=int(rng.integers(*(CROWD if crowd else DEPOSITS))),
            bone_step=step * float(np.exp(rng.uniform(*np.log(shares[kind])))),
            pixel_mm=mm,
            rng=rng,
        )
        film = with_pixels(radiograph, pixels)
        if rng.random() < VARIED_SHARE:
            film = worn(vary(film, rng), rng)
        found.append(
            _measured((name, copy), (*working_film(film, Config()), region), deposits, pixel_mm=mm, ignore=ignore)
        )
    return [sample for sample in found if sample is not None]


def phantom_samples(seed: int, *, kind: str) -> list[Sample]:
    """Scan a synthetic film as it is and varied."""
    radiograph, phantom = phantom_film(kind, PHANTOM_SEED + seed)
    marks, others = ([d for d in phantom.deposits if (d.label == MARK) is want] for want in (True, False))
    ignore = [(d.x0, d.y0, d.x1, d.y1) for d in others]
    rng, found = np.random.default_rng(seed), []
    for copy, film in enumerate((radiograph, worn(vary(radiograph, rng), rng)), start=1):
        place = (*working_film(film, Config()), regions.get(kind.removesuffix("s")))
        sample = _measured((f"{kind} {seed}", copy), place, marks, pixel_mm=phantom.spacing_mm, ignore=ignore)
        found += [] if sample is None else [dataclasses.replace(sample, weight=PHANTOM_WEIGHT)]
    return found


def _truth(deposit: Deposit | PhantomDeposit) -> Truth:
    box = deposit.box if isinstance(deposit, Deposit) else (deposit.x0, deposit.y0, deposit.x1, deposit.y1)
    return Truth(box=box, row=deposit.row, col=deposit.col)


def _is_easy(deposit: Deposit | PhantomDeposit) -> bool:
    return not isinstance(deposit, Deposit) or is_easy(deposit)


def _measured(
    key: tuple[str, int],
    film: tuple[Radiograph, Field, Region],
    deposits: Sequence[Deposit | PhantomDeposit],
    *,
    pixel_mm: float,
    ignore: Sequence[Box] = (),
) -> Sample | None:
    working, field, region = film
    found = pipeline.find(working, field, config=Config())
    if not found.features or not len(next(iter(found.features.values()))):
        return None
    measured = found.scored(scorer.tables_of("", region.name)).features
    score, points = measured["score"], centres(found.labels)
    where = zones.find_zones(
        points, working, field=field, anatomy=found.anatomy, region=region.name, thorax=found.thorax
    )
    kinds = mimics.label_kinds(
        points, measured, radiograph=working, field=field, anatomy=found.anatomy, region=region, areas=where.areas
    )
    truths = [_truth(deposit) for deposit in deposits]
    places = candidate_places(found.labels, working.grid)
    deposit = hits(places, truths, pixel_mm=pixel_mm) if truths else np.full(len(score), FALSE)
    hard = (deposit == FALSE) & (score > HARD_CHANCE)
    kept = thinned(deposit, np.random.default_rng([zlib.crc32(key[0].encode()), key[1]])) | hard
    kept &= (deposit >= 0) | ~inside_any(places, ignore, margin=MARGIN_MM / pixel_mm)
    return Sample(
        film=key[0],
        copy=key[1],
        region=region.name,
        names=tuple(found.features),
        features=np.stack(list(found.features.values()), axis=1)[kept],
        deposit=deposit[kept],
        hard=hard[kept],
        shown=(kinds == MARK)[kept],
        easy=np.array([_is_easy(deposit) for deposit in deposits], bool),
    )


def shipped_scores(sample: Sample, tables: str) -> np.ndarray:
    """Log-odds by the shipped tables, float32 (n,)."""
    shipped = load_tables(tables)
    return log_odds(shipped, [sample.features[:, sample.names.index(name)] for name in shipped.names])


def fit(samples: Sequence[Sample], shipped: Sequence[np.ndarray], *, rounds: int) -> boosting.Model:
    """Tables whose log-odds are added to the `shipped` ones of each sample."""
    return boosting.fit(
        np.concatenate([sample.features for sample in samples]),
        np.concatenate([sample.deposit >= 0 for sample in samples]),
        np.concatenate([sample.weights for sample in samples]),
        rounds=rounds,
        depth=DEPTH,
        rate=RATE,
        baseline=np.concatenate(shipped),
    )


def both(shipped: dict, more: dict) -> dict:
    """The JSON content of two sums of tables as one."""
    names = list(dict.fromkeys(shipped["names"] + more["names"]))
    depth = max(len(content["feature"][0]) for content in (shipped, more))
    rows = [row for content in (shipped, more) for row in _padded(content, names, depth)]
    feature, threshold, leaf = (list(column) for column in zip(*rows, strict=True))
    return {
        "names": names,
        "feature": feature,
        "threshold": threshold,
        "leaf": leaf,
        "bias": shipped["bias"] + more["bias"],
    }


def _padded(content: dict, names: list[str], depth: int) -> Iterator[tuple[list[int], list[float], list[float]]]:
    """Questions by the place of their feature in `names`, as many as `depth`, and the leaves."""
    for feature, threshold, leaf in zip(content["feature"], content["threshold"], content["leaf"], strict=True):
        lacking = depth - len(feature)
        asked = [names.index(content["names"][index]) for index in feature]
        yield asked + [0] * lacking, threshold + [boosting.NEVER] * lacking, leaf * 2**lacking


def report(title: str, samples: Sequence[Sample], scores: Sequence[np.ndarray]) -> None:
    """Print the FROC of copies with deposits, and what reaches the operating point."""
    least = float(np.log(scorer.OPERATING_POINT / (1 - scorer.OPERATING_POINT)))
    done = list(zip(samples, (np.where(s.shown, v, LAST) for s, v in zip(samples, scores, strict=True)), strict=True))
    clean = [(sample, values) for sample, values in done if not sample.copy]
    marked = [(sample, values) for sample, values in done if sample.copy]
    for easy in (False, True):
        curve = sensitivities([s for s, _ in marked], [v for _, v in marked], easy=easy)
        print(f"{title} {'easy' if easy else 'all'}: mean {curve.mean():.3f};", *(f"{value:.2f}" for value in curve))
    wrong = np.mean([(values >= least).sum() for _, values in clean])
    found = sum(len({*sample.deposit[(values >= least) & (sample.deposit >= 0)]}) for sample, values in marked)
    share = found / sum(len(sample.easy) for sample, _ in marked)
    print(f"{title}: {wrong:.2f} false candidates on a film as it comes, before joining; {share:.2f} found")


def gather(given: argparse.Namespace) -> None:
    paths = [Path(path) for path in readers.find_films([given.films])]
    doubtful = json.loads(given.doubtful.read_text()) if given.doubtful else {}
    work = partial(
        samples_of,
        spacing_mm=given.spacing,
        copies=given.copies,
        share=tuple(given.share),
        beside_bone=given.beside_bone,
        doubtful=doubtful,
    )
    with ProcessPoolExecutor(given.jobs) as pool:
        samples = [sample for done in pool.map(work, paths, chunksize=2) for sample in done]
    given.out.write_bytes(pickle.dumps(samples))


def gather_phantoms(given: argparse.Namespace) -> None:
    with ProcessPoolExecutor(given.jobs) as pool:
        done = pool.map(partial(phantom_samples, kind=given.kind), range(given.count))
        given.out.write_bytes(pickle.dumps([sample for samples in done for sample in samples]))


def fit_all(given: argparse.Namespace) -> None:
    found = [sample for path in given.samples for sample in pickle.loads(path.read_bytes())]
    judged = [sample.region in given.regions.split(",") for sample in found]
    samples = [
        sample if own else dataclasses.replace(sample, weight=OTHERS_WEIGHT * sample.weight)
        for sample, own in zip(found, judged, strict=True)
    ]
    before = [shipped_scores(sample, given.tables) for sample in samples]
    after = list(before)
    for fold in range(FOLDS):
        seen = [number for number, sample in enumerate(samples) if sample.fold != fold]
        model = fit([samples[number] for number in seen], [before[number] for number in seen], rounds=given.rounds)
        for number, sample in enumerate(samples):
            if sample.fold == fold and judged[number]:
                more = model.predict(sample.features, prediction_type="RawFormulaVal")
                after[number] = before[number] + more + given.offset
    own = [number for number, counts in enumerate(judged) if counts]
    for title, scores in (("before", before), ("after", after)):
        report(title, [samples[number] for number in own], [scores[number] for number in own])
    more = json.loads(
        boosting.tables_json(fit(samples, before, rounds=given.rounds), list(samples[0].names), offset=given.offset)
    )
    shipped = json.loads(tables_json(load_tables(given.tables)))
    text = json.dumps(both(shipped, more), separators=(",", ":"))
    (given.out / f"{given.tables}.json").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("gather")
    part.add_argument("films", type=Path)
    part.add_argument("--out", type=Path, required=True)
    part.add_argument("--doubtful", type=Path, metavar="FILE")
    part.add_argument("--spacing", type=float, help="pitch of all films in mm; without it the program's own guess")
    part.add_argument("--copies", type=int, default=2)
    part.add_argument("--beside-bone", type=int, default=0, metavar="N")
    part.add_argument("--share", type=float, nargs=2, default=(0.4, 1.1), metavar=("LOW", "HIGH"))
    part.add_argument("--jobs", type=int, default=2)
    part.set_defaults(work=gather)
    part = parts.add_parser("phantoms")
    part.add_argument("kind", choices=KINDS)
    part.add_argument("--out", type=Path, required=True)
    part.add_argument("--count", type=int, default=50)
    part.add_argument("--jobs", type=int, default=2)
    part.set_defaults(work=gather_phantoms)
    part = parts.add_parser("fit")
    part.add_argument("samples", type=Path, nargs="+")
    part.add_argument("--tables", required=True)
    part.add_argument("--regions", required=True, help="names, with commas between")
    part.add_argument("--offset", type=float, default=0.0, help="of the log-odds; -0.4 in fit 12, -0.7 since")
    part.add_argument("--rounds", type=int, default=ROUNDS, help="tables that are added")
    part.add_argument("--out", type=Path, required=True)
    part.set_defaults(work=fit_all)
    given = parser.parse_args()
    given.work(given)


if __name__ == "__main__":
    main()
