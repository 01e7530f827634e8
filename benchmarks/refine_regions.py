"""Teach the recognition of regions a kind of film that it takes for another, on top of what it knows.

    python benchmarks/refine_regions.py FILMS --look leg --spacing MM --others FOLDER [FOLDER ...] --out FOLDER

FILMS, all of one pitch, become prototypes of a look of their true size; what the model says of its own prototypes and
of the OTHERS, films that nobody has annotated, shall stay. Prints what a model of three fifths of them (by a hash of
their names) says of the rest, and writes ``regions.npz`` fitted on all.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from annotated import fold_of
from fit_regions import LOOKS, Film, Samples, gather, print_error, reduced_film, write_model

from calcidetect.anatomy import region_model
from calcidetect.anatomy.region_model import RegionModel
from calcidetect.errors import CalcidetectError
from calcidetect.reading import readers

COPIES, OTHERS_COPIES = 6, 2
LEAD = 4.0
"""Log-odds by which the look is to lead over the others."""

PENALTY, STAY = 0.3, 100.0
"""How rough the change may be, and what an answer that shall stay weighs. Sizes of whole legs left out are off by 0.14,
0.16 and 0.17 (rms of the log) at a weight of 1, 10 and 100, those of other films change by 0.042, 0.024 and 0.020."""


def read(path: Path, *, look: str, spacing_mm: float) -> Film | None:
    """What is looked at of a film; None of one that can't be read."""
    try:
        return reduced_film(readers.load(path), look, mm_px=spacing_mm, number=0)
    except CalcidetectError as error:
        print(error, file=sys.stderr)
        return None


def samples_of(folders: list[Path], *, look: str, spacing_mm: float, copies: int) -> Samples:
    """Copies of all films; `film` is 0 or 1, by a hash of the name."""
    paths = sorted(Path(path) for path in readers.find_films(folders))
    with ProcessPoolExecutor(2) as pool:
        films = pool.map(partial(read, look=look, spacing_mm=spacing_mm), paths, chunksize=4)
        numbered = [dataclasses.replace(film, number=number) for number, film in enumerate(films) if film is not None]
    samples = gather(numbered, region_model.load_model().words, copies=copies)
    half = np.array([fold_of(path.name) % 2 for path in paths])
    return dataclasses.replace(samples, film=half[samples.film])


def taught(model: RegionModel, films: Samples, others: Samples) -> RegionModel:
    """The model with `films` as they are among its prototypes, its answers changed at `films` alone."""
    own, stay = (model.projected(known.features) for known in (films, others))
    most = np.abs(model.prototypes).max(axis=0)  # within it the old prototypes are stored in the steps of before
    prototypes = np.concatenate([model.prototypes, np.clip(own[films.copy == 0], -most, most)])
    said = region_model.evaluate(model, films.features)
    change, look = np.zeros_like(said), films.look[0]
    rivals = np.delete(said[:, :-1], look, axis=1).max(axis=1)
    change[:, look] = np.maximum(rivals + LEAD - said[:, look], 0)
    change[:, -1] = films.size - said[:, -1]
    alike, alike_stay, rough = (
        region_model.likeness(known, prototypes, width=model.width)[:, :-1].astype(float)
        for known in (own, np.concatenate([stay, model.prototypes]), prototypes)
    )
    known = alike.T @ alike + STAY * alike_stay.T @ alike_stay + PENALTY * rough
    weights = np.linalg.solve(known + 1e-6 * np.eye(len(known)), alike.T @ change)
    weights[: len(model.prototypes)] += model.weights[:-1]
    low, high = model.size_range
    return dataclasses.replace(
        model,
        prototypes=prototypes,
        weights=np.vstack([weights, model.weights[-1:]]).astype(np.float32),
        size_range=(min(low, float(films.size.min())), max(high, float(films.size.max()))),
    )


def report(title: str, model: RegionModel, films: Samples) -> None:
    answers = region_model.evaluate(model, films.features)
    print(f"{title}: {np.mean(answers[:, :-1].argmax(axis=1) == films.look):.2f} of the looks right")
    print_error(title, answers[:, -1] - films.size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path)
    parser.add_argument("--look", choices=LOOKS, required=True)
    parser.add_argument("--spacing", type=float, required=True, help="pitch of FILMS in mm")
    parser.add_argument("--others", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    films = samples_of([given.films], look=given.look, spacing_mm=given.spacing, copies=COPIES)
    others = samples_of(given.others, look=given.look, spacing_mm=1.0, copies=OTHERS_COPIES)
    model = region_model.load_model()
    seen, unseen = (films.where(films.film == half) for half in (0, 1))
    far = others.where(others.film == 1)
    half = taught(model, seen, others.where(others.film == 0))
    plain = unseen.where(unseen.copy < OTHERS_COPIES)
    report("before", model, plain)
    report("after", half, plain)
    before, after = (region_model.evaluate(each, far.features) for each in (model, half))
    changed = np.mean(before[:, :-1].argmax(axis=1) != after[:, :-1].argmax(axis=1))
    print(f"others: {changed:.3f} of the looks changed")
    print_error("others, after and before", after[:, -1] - before[:, -1])
    write_model(taught(model, films, others), given.out)


if __name__ == "__main__":
    main()
