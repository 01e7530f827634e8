"""Judge what a scan wrote against what is known of its films: numbers, tables and pictures."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calcidetect.evaluate.statistics import DRAWS
from calcidetect.evaluation.bone import bone_figures
from calcidetect.evaluation.decided import is_decisions, read_decided
from calcidetect.evaluation.figures import CURVE_AT, Curve, all_figures
from calcidetect.evaluation.judged import JudgedFilm, judge_film
from calcidetect.evaluation.pictures import draw_froc, draw_gallery, false_marks, misses
from calcidetect.evaluation.results import Pair, Results, pair_films, read_results
from calcidetect.evaluation.text import table
from calcidetect.evaluation.truth import KnownFilm, read_truth
from calcidetect.writers import make_folder, write_bytes

__all__ = ["evaluate_results", "table"]

VERSION = 1
StrPath = str | os.PathLike[str]


def evaluate_results(
    results: StrPath,
    truth: StrPath,
    *,
    out: StrPath,
    masks: StrPath | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Judge the results of a scan, and write ``evaluation.json``, ``froc.csv`` and pictures.

    Parameters
    ----------
    results
        Folder that a scan wrote, best with ``min_score=0``.
    truth
        JSON: ``truth.json`` of simulated films, or a list of annotated films; or the ``decisions.sqlite`` of readers,
        beside the journal of the run that they read.
    out
        Folder for the evaluation; made when missing.
    masks
        Folder of bone masks: see `calcidetect.evaluation.bone.bone_figures`.
    draws, seed
        Bootstrap draws of films, and their seed.

    Returns
    -------
    dict
        What ``evaluation.json`` holds.

    Raises
    ------
    EvaluationError
        When results, truth or masks can't be read or have no film in common.
    OutputError
        When a file can't be written.
    """
    scanned, folder = read_results(Path(results)), Path(out)
    known, unread = read_decided(Path(truth)) if is_decisions(Path(truth)) else (read_truth(Path(truth)), 0)
    pairs = pair_films(scanned, known)
    films = [judge_film(pair) for pair in pairs]
    bone, bone_trouble = bone_figures(pairs, scanned.folder, masks=None if masks is None else Path(masks))
    figures, curve = all_figures(films, draws=draws, seed=seed)
    make_folder(folder)
    picture_trouble = _draw(films, figures, curve, folder, moved_to=Path(truth).parent)
    left_out = [f"{unread} films are not marked as reviewed and are left out."] * bool(unread)
    warnings = [*left_out, *_warnings(scanned, known, pairs), *bone_trouble, *picture_trouble]
    result = {"version": VERSION, "draws": draws, "seed": seed, "warnings": warnings, **figures, "bone": bone}
    write_bytes(folder / "evaluation.json", (json.dumps(result, indent=1, allow_nan=False) + "\n").encode("ascii"))
    write_bytes(folder / "froc.csv", _curve_table(curve))
    return result


def _draw(
    films: Sequence[JudgedFilm], figures: dict[str, Any], curve: Curve, folder: Path, *, moved_to: Path
) -> list[str]:
    """Draw the curve and the galleries; say what they lack."""
    found, false = (figures["operating_point"][name]["value"] for name in ("sensitivity", "false_marks"))
    draw_froc(curve, false_marks=false, sensitivity=found, path=folder / "froc.png")
    trouble = []
    for name, tiles, title in (
        ("gallery_misses.png", misses(films), "Deposits missed at the operating point, largest and brightest first"),
        ("gallery_false.png", false_marks(films), "False marks of the highest scores"),
    ):
        if unread := draw_gallery(tiles, folder / name, title=title, moved_to=moved_to):
            trouble.append(f"{name} lacks {unread} films that can't be read where they were scanned.")
    return trouble


def _warnings(results: Results, truth: tuple[KnownFilm, ...], pairs: tuple[Pair, ...]) -> list[str]:
    failed = sum(not pair.scanned.ok for pair in pairs)
    unknown, unscanned = len(results.films) - len(pairs), len(truth) - len(pairs)
    least = results.least_score
    lines = {
        f"{failed} films could not be scanned; their deposits count as missed.": failed,
        f"{unknown} scanned films are not in the truth and are left out.": unknown,
        f"{unscanned} films of the truth were not scanned and are left out.": unscanned,
        f"The scan reported scores from {least} on, so the curve ends early; scan with --min-score 0.": least,
        "Nothing tells which scores the scan reported (no run.json); the curve may end early.": least is None,
    }
    return [line for line, holds in lines.items() if holds]


def _curve_table(curve: Curve) -> bytes:
    """Rows of ``froc.csv``: marks that score more than `score_above` keep to so many false marks a film."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["false_marks", "score_above", "sensitivity", "low", "high"])
    for values in zip(CURVE_AT, curve.least_score, curve.sensitivity, curve.low, curve.high, strict=True):
        rows.writerow([format(value, ".6g") if abs(value) < float("inf") else "" for value in values])
    return text.getvalue().encode("ascii")
