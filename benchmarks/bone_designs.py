"""Bone by several classical designs, judged on the same films in the same run.

    python benchmarks/bone_designs.py [FILMS --annotations FILE] [--ct DIR] [--phantoms N] [--half] --out DIR

The designs are those of `bone_rivals.py`, the program as shipped first. FILE says which points of its films are bone
and which are soft tissue (format: `annotated.py`), --ct names the folder of a chest CT (`ct_projection.py`), phantoms
come with exact masks. ``--half`` takes every second film and the phantoms of seeds from 100 on, on which constants
of the plain designs were chosen.

Writes ``bone_designs.json`` and ``bone_designs.png`` (a film of each region and kind); prints a table.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from annotated import load_film, phantom_film, read_annotations
from bone_rivals import DESIGNS

from calcidetect import ops, pipeline
from calcidetect.config import Config
from calcidetect.evaluate import dice, share_right
from calcidetect.evaluation.bone import ALL, FilmAgreement, summary
from calcidetect.phantom import KINDS
from calcidetect.types import Radiograph

NO_POINTS = np.zeros((0, 2), int)
SHOWN_SIDE = 300
BONE_TINT = np.array((255, 60, 40))
PICTURE_DPI = 100
"""The sheet: rows and columns of a film at most, colour of bone."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """A film and what is known of its bone: a `mask`, or points [x, y]."""

    part: str
    region: str
    film: Radiograph
    mask: np.ndarray | None = None
    bone_points: np.ndarray = field(default_factory=NO_POINTS.copy)
    soft_points: np.ndarray = field(default_factory=NO_POINTS.copy)


def cases(given: argparse.Namespace) -> Iterator[Case]:
    if given.films:
        for film in read_annotations(given.films, given.annotations)[:: 1 + given.half]:
            if len(film.bone_points) + len(film.soft_points):
                points = {"bone_points": film.bone_points, "soft_points": film.soft_points}
                yield Case(part="films", region=film.region, film=load_film(film), **points)
    for kind in sorted(KINDS):
        for seed in range(given.phantoms):
            film, phantom = phantom_film(kind, seed + 100 * given.half)
            yield Case(part="phantoms", region=kind, film=film, mask=phantom.bone)
    if given.ct:
        from ct_projection import project, read_volume  # noqa: PLC0415 - the other parts run without nibabel

        projection = project(read_volume(given.ct))
        yield Case(part="ct", region="chest", film=projection.radiograph, mask=projection.masks["bone"])


def judged(case: Case) -> dict[str, tuple[FilmAgreement, float, np.ndarray]]:
    """Of each design how well it agrees, its processor seconds, and its bone in the film's own matrix."""
    film = pipeline.find_region(case.film, Config())
    done = {}
    for name, design in DESIGNS.items():
        started = time.process_time()
        found = design(film.working, film.field)
        seconds = time.process_time() - started
        found = ops.resize_mask(found, case.film.grid.source_shape)
        done[name] = (agreement(case, found), seconds, found)
    return done


def agreement(case: Case, found: np.ndarray) -> FilmAgreement:
    truth = None if case.mask is None else np.where(case.mask, 2, 1).astype(np.uint8)
    return FilmAgreement(
        film=Path(case.film.source.path).name,
        region=case.region,
        dice=None if truth is None else dice(found, truth),
        mean_mm=None,
        hausdorff95_mm=None,
        bone_points=share_right(found, case.bone_points, bone=True),
        soft_points=share_right(found, case.soft_points, bone=False),
    )


def figures(agreements: dict[str, dict[str, list[FilmAgreement]]], seconds: dict[str, list[float]]) -> dict[str, Any]:
    """By design: `calcidetect.evaluation.bone.summary` of each part, and the median processor seconds of a film."""
    return {
        name: {part: summary(films)["regions"] for part, films in parts.items()}
        | {"seconds": float(np.median(seconds[name]))}
        for name, parts in agreements.items()
    }


def table(result: dict[str, Any]) -> str:
    """Lines of text: designs one below another, then by region the points of bone and of soft tissue that are right."""
    lines = [f"{'':20}{'bone':>7}{'soft':>7}{'mean':>7}{'phant.':>8}{'CT':>7}{'s':>7}"]
    for name, parts in result.items():
        films, phantoms, ct = (parts.get(part, {}).get(ALL, {}) for part in ("films", "phantoms", "ct"))
        bone, soft = films.get("bone_points_right"), films.get("soft_points_right")
        mean = None if bone is None or soft is None else (bone + soft) / 2
        cells = (bone, soft, mean, phantoms.get("dice"), ct.get("dice"), parts["seconds"])
        widths = (7, 7, 7, 8, 7, 7)
        lines.append(f"{name:20}" + "".join(f"{_number(c):>{w}}" for c, w in zip(cells, widths, strict=True)))
    lines.append("  points right, Dice of phantoms and of the projected CT, processor seconds")
    regions = [region for region in next(iter(result.values())).get("films", {}) if region != ALL]
    if regions:
        lines += ["", " " * 20 + "".join(f"{region[:10]:>11}" for region in regions)]
        lines += [f"{name:20}" + "".join(_points(parts["films"][r]) for r in regions) for name, parts in result.items()]
    return "\n".join(lines)


def _points(line: dict[str, Any]) -> str:
    return f"{_number(line['bone_points_right']):>6},{_number(line['soft_points_right']):>4}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def picture(case: Case, done: dict[str, tuple[FilmAgreement, float, np.ndarray]]) -> list[np.ndarray]:
    """The film as it is, then tinted where each design found bone, uint8 (rows, cols, 3)."""
    factor = SHOWN_SIDE / max(case.film.grid.source_shape)
    shape = tuple(max(1, round(side * factor)) for side in case.film.grid.source_shape)
    pixels = ops.resize_area(case.film.pixels, case.film.grid.source_shape)
    low, high = np.percentile(pixels, [1, 99])
    shown = np.clip((ops.resize_area(pixels, shape) - low) / max(high - low, 1e-6), 0, 1)
    grey = (255 * shown).astype(np.uint8)[..., None].repeat(3, axis=2)
    masks = [ops.resize_mask(found, shape)[..., None] for _, _, found in done.values()]
    return [grey, *(np.where(mask, (0.65 * grey + 0.35 * BONE_TINT).astype(np.uint8), grey) for mask in masks)]


def draw(rows: list[list[np.ndarray]], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415 - heavy, and only drawing needs it

    figure = Figure(figsize=(2 * len(rows[0]), 2.1 * len(rows)), dpi=PICTURE_DPI, layout="constrained")
    grid = figure.subplots(len(rows), len(rows[0]), squeeze=False)
    for axes, title in zip(grid[0], ("film", *DESIGNS), strict=True):
        axes.set_title(title, fontsize="small")
    for line, pictures in zip(grid, rows, strict=True):
        for axes, shown in zip(line, pictures, strict=True):
            axes.imshow(shown)
            axes.set_axis_off()
    figure.savefig(path)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path, nargs="?", metavar="FILMS")
    parser.add_argument("--annotations", type=Path, metavar="FILE")
    parser.add_argument("--ct", type=Path, metavar="DIR")
    parser.add_argument("--phantoms", type=int, default=2, metavar="N", help="of each kind (2)")
    parser.add_argument("--half", action="store_true", help="every second film, other phantoms")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    if (given.films is None) != (given.annotations is None):
        parser.error("FILMS and --annotations belong together")
    return given


def main() -> None:
    given = _arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    agreements: dict[str, dict[str, list[FilmAgreement]]] = {name: {} for name in DESIGNS}
    seconds: dict[str, list[float]] = {name: [] for name in DESIGNS}
    rows: dict[tuple[str, str], list[np.ndarray]] = {}
    for case in cases(given):
        done = judged(case)
        for name, (agreed, spent, _) in done.items():
            agreements[name].setdefault(case.part, []).append(agreed)
            seconds[name].append(spent)
        if (case.part, case.region) not in rows:
            rows[case.part, case.region] = picture(case, done)
    result = figures(agreements, seconds)
    (given.out / "bone_designs.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(list(rows.values()), given.out / "bone_designs.png")
    print(table(result))


if __name__ == "__main__":
    main()
