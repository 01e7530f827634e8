"""The figures of an evaluation: sensitivity by kind of deposit, false marks, wAFROC, generator, areas."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.evaluate import (
    FALSE_MARKS,
    Estimate,
    Outcome,
    area_error,
    case_weights,
    critical_scores,
    estimate,
    mean_false_marks,
    share_above,
    share_found,
    wafroc,
)
from calcidetect.evaluation.judged import JudgedDeposit, JudgedFilm, outcome

SIZES_MM = {"< 3 mm": (0, 3), "3-6 mm": (3, 6), "6-12 mm": (6, 12), ">= 12 mm": (12, np.inf)}
CONTRASTS = {"< 0.5 steps": (0, 0.5), "0.5-1 steps": (0.5, 1), ">= 1 step": (1, np.inf)}
"""Lower bound included, upper not; contrast in the film's bone steps."""

EASY = (3.0, 0.5)
GENERATED = (2.0, 0.5)
"""Least diameter (mm) and contrast (bone steps) of deposits that are easy to see, and that must have a candidate."""

Weights = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

CURVE_AT = 2.0 ** np.arange(-5, 4.01, 1 / 8)
"""False marks a film at which the drawn curve is computed: 1/32 to 16."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """FROC at `CURVE_AT` false marks a film: least scores, sensitivity and its 95 % band; float (n,)."""

    least_score: npt.NDArray[np.float64]
    sensitivity: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def all_figures(films: Sequence[JudgedFilm], *, draws: int, seed: int) -> tuple[dict[str, Any], Curve]:
    """Everything that scores and boxes say, as plain values for JSON, and the FROC with its band."""
    result = outcome(films)
    weights = case_weights([film.pair.known.source for film in films], draws=draws, seed=seed)
    figures = {
        "films": result.films,
        "lesion_free_films": int(result.lesion_free.sum()),
        "deposits": len(result.best),
        "froc": _froc_figures(films, result, weights),
        "operating_point": _at_operating_point(result, weights, _at_least(_deposits(films), EASY)),
        "generator": _generator(films, result, weights),
        "wafroc": {
            "false_marks_of": "lesion-free films" if result.lesion_free.any() else "all films",
            **_plain(wafroc(result, weights)),
        },
        "area_error": _area_errors(films),
        "each_deposit": [_deposit_line(deposit) for deposit in _deposits(films)],
        "each_film": [_film_line(film) for film in films],
    }
    return figures, _curve(result, weights)


def _plain(values: npt.ArrayLike) -> dict[str, float | None]:
    return dataclasses.asdict(estimate(values))


def _deposits(films: Iterable[JudgedFilm]) -> list[JudgedDeposit]:
    return [deposit for film in films for deposit in film.deposits]


def _froc_figures(
    films: Sequence[JudgedFilm], result: Outcome, weights: Weights
) -> dict[str, dict[str, dict[str, Any]]]:
    """Sensitivity at 1/8 … 8 false marks a film: of all, and of every kind of deposit or film."""
    critical = critical_scores(result, weights)
    figures = {
        title: {
            name: _sensitivities(share_above(result, weights, critical, counted=counted), counted)
            for name, counted in kinds.items()
        }
        for title, kinds in _kinds(_deposits(films)).items()
    }
    return {**figures, "region": _by_region(films, result, weights)}


def _kinds(deposits: Sequence[JudgedDeposit]) -> dict[str, dict[str, Flags]]:
    """Which deposits are of each kind; bool (m,)."""
    diameter, contrast = _sizes(deposits)
    morphology = np.array([item.deposit.morphology for item in deposits], str)
    return {
        "all": {"all": np.ones(len(deposits), bool), "easy": _at_least(deposits, EASY)},
        "size": {name: (diameter >= low) & (diameter < high) for name, (low, high) in SIZES_MM.items()},
        "contrast": {name: (contrast >= low) & (contrast < high) for name, (low, high) in CONTRASTS.items()},
        "morphology": {name: morphology == name for name in np.unique(morphology).tolist()},
    }


def _sizes(deposits: Sequence[JudgedDeposit]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Diameter (mm) and contrast (bone steps, NaN where unknown) of each deposit."""
    diameter = np.array([item.deposit.diameter_mm for item in deposits], float)
    return diameter, np.array([item.deposit.contrast for item in deposits], float)


def _at_least(deposits: Sequence[JudgedDeposit], least: tuple[float, float]) -> Flags:
    """Deposits of at least this diameter and contrast; those of unknown contrast are not among them."""
    diameter, contrast = _sizes(deposits)
    return (diameter >= least[0]) & (contrast >= least[1])


def _by_region(films: Sequence[JudgedFilm], result: Outcome, weights: Weights) -> dict[str, dict[str, Any]]:
    """The same within each region, by the false marks of its own films; a single case gives no interval."""
    regions = np.array([film.pair.known.region for film in films])
    cases = np.array([film.pair.known.source for film in films])
    figures = {}
    for region in sorted(set(regions.tolist())):
        several = len(set(cases[regions == region].tolist())) > 1
        within = (weights if several else weights[:1]) * (regions == region)
        shares = share_above(result, within, critical_scores(result, within))
        lesion_free = within * result.lesion_free
        figures[region] = {
            "films": int(within[0].sum()),
            **_sensitivities(shares, (regions == region)[result.deposit_film]),
            "false_marks": _plain(mean_false_marks(result, within, least=OPERATING_POINT)),
            "false_marks_lesion_free": _plain(mean_false_marks(result, lesion_free, least=OPERATING_POINT)),
        }
    return figures


def _sensitivities(shares: npt.NDArray[np.float64], counted: Flags) -> dict[str, Any]:
    """Figures of `shares` (draws, `FALSE_MARKS`)."""
    return {
        "deposits": int(counted.sum()),
        "mean": _plain(shares.mean(axis=1)),
        "at": [{"false_marks": at, **_plain(column)} for at, column in zip(FALSE_MARKS, shares.T, strict=True)],
    }


def _at_operating_point(result: Outcome, weights: Weights, easy: Flags) -> dict[str, Any]:
    """What the shipped least score costs and finds."""
    found = result.best >= OPERATING_POINT
    return {
        "least_score": OPERATING_POINT,
        "sensitivity": _plain(share_found(result, weights, found)),
        "sensitivity_easy": _plain(share_found(result, weights, found, counted=easy)),
        "false_marks": _plain(mean_false_marks(result, weights, least=OPERATING_POINT)),
        "false_marks_lesion_free": _plain(
            mean_false_marks(result, weights * result.lesion_free, least=OPERATING_POINT)
        ),
    }


def _generator(films: Sequence[JudgedFilm], result: Outcome, weights: Weights) -> dict[str, Any]:
    """Share of deposits that any candidate hits, whatever its label and score."""
    deposits = _deposits(films)
    generated = np.array([item.generated for item in deposits], bool)
    clear = _at_least(deposits, GENERATED)
    return {
        "candidates_a_film": float(np.mean([len(film.pair.scanned.candidates) for film in films])),
        "all": {"deposits": len(generated), **_plain(share_found(result, weights, generated))},
        "clear": {"deposits": int(clear.sum()), **_plain(share_found(result, weights, generated, counted=clear))},
    }


def _area_errors(films: Sequence[JudgedFilm]) -> dict[str, Any]:
    """Relative error of the area marked on each deposit found; marks don't overlap, so that their areas add up."""
    known = [item for item in _deposits(films) if item.deposit.area_px and item.found]
    marked = [sum(mark.area_px for mark in item.marks if mark.score >= OPERATING_POINT) for item in known]
    errors = area_error(marked, [item.deposit.area_px or 0 for item in known])
    quartiles = np.quantile(errors, [0.25, 0.5, 0.75]).tolist() if len(errors) else [None] * 3
    return {
        "deposits": len(errors),
        **dict(zip(("lower_quartile", "median", "upper_quartile"), quartiles, strict=True)),
    }


def _deposit_line(item: JudgedDeposit) -> dict[str, Any]:
    deposit = item.deposit
    return {
        "film": item.film.name,
        "id": deposit.id,
        "morphology": deposit.morphology,
        "diameter_mm": deposit.diameter_mm,
        "contrast": deposit.contrast,
        "best_score": item.best if item.marks else None,
        "generated": item.generated,
        "found": item.found,
    }


def _film_line(film: JudgedFilm) -> dict[str, Any]:
    return {
        "film": film.pair.known.name,
        "region": film.pair.known.region,
        "deposits": len(film.deposits),
        "found": sum(item.found for item in film.deposits),
        "false_marks": sum(mark.score >= OPERATING_POINT for mark in film.false_marks),
        "highest_false_score": film.false_marks[0].score if film.false_marks else None,
    }


def _curve(result: Outcome, weights: Weights) -> Curve:
    critical = critical_scores(result, weights, at=CURVE_AT.tolist())
    shares = share_above(result, weights, critical)
    estimates: list[Estimate] = [estimate(column) for column in shares.T]
    value, low, high = (
        np.array([getattr(item, name) for item in estimates], float) for name in ("value", "low", "high")
    )
    return Curve(least_score=critical[0], sensitivity=value, low=low, high=high)
