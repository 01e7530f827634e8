"""A detector tried on films of known truth: its marks, and what the rules of ``calcidetect evaluate`` say of them."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectors import GivenFilm, run
from material import Material

from calcidetect.evaluation import evaluate_results
from calcidetect.evaluation.figures import CURVE_AT, all_figures
from calcidetect.evaluation.judged import judge_film
from calcidetect.evaluation.results import pair_films, read_results
from calcidetect.evaluation.truth import read_truth

PROGRAM = "calcidetect"
OF_THE_PROGRAM = ("operating_point", "area_error")
"""Figures that mean nothing of a baseline, whose scores are no probabilities."""

SINGLY = ("version", "warnings", "each_deposit", "each_film")
"""What only the evaluation's own file holds."""

BASELINE_DRAWS = 100
"""Bootstrap draws for baselines, whose many marks make each draw slow and whose intervals are not shown."""

Curve = dict[str, Sequence[float]]
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A detector, the films as it is given them, and a folder for numbers and pictures (None: for a baseline)."""

    name: str
    detector: str
    films: tuple[GivenFilm, ...]
    out: Path | None = None


def judged(trial: Trial, material: Material, results: Path, *, jobs: int, draws: int) -> tuple[Figures, Curve]:
    """Run a trial into the folder `results`, to be made, and return its figures and its FROC.

    `draws` are the bootstrap draws of the program's figures; baselines get `BASELINE_DRAWS` at most.
    """
    started = time.monotonic()
    run(trial.detector, trial.films, results, jobs=jobs)
    print(f"{results.name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    if trial.out is None:
        return _judged_baseline(results, material.truth, draws=min(draws, BASELINE_DRAWS))
    evaluation = evaluate_results(results, material.truth, out=trial.out, masks=material.masks, draws=draws)
    figures = _without(evaluation, SINGLY) | {"bone": evaluation["bone"]["regions"]}
    return figures, _read_curve(trial.out / "froc.csv")


def _judged_baseline(results: Path, truth: Path, *, draws: int) -> tuple[Figures, Curve]:
    """By the same rules; nothing is drawn of a baseline alone."""
    films = [judge_film(pair) for pair in pair_films(read_results(results), read_truth(truth))]
    figures, curve = all_figures(films, draws=draws, seed=0)
    shape = {"false_marks": CURVE_AT, "sensitivity": curve.sensitivity, "low": curve.low, "high": curve.high}
    return _without(figures, (*SINGLY, *OF_THE_PROGRAM)), shape


def _without(figures: Figures, names: Sequence[str]) -> Figures:
    return {name: value for name, value in figures.items() if name not in names}


def _read_curve(path: Path) -> Curve:
    with path.open(newline="", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    return {name: [float(row[name] or "nan") for row in rows] for name in rows[0]}
