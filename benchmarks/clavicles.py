"""Fit clavicles on chest films with masks, and judge them on films left out.

    python benchmarks/clavicles.py FILMS [--final FILMS] [--pitch MM] --out DIR

FILMS holds ``NAME.png``, ``NAME.left_clavicle.png`` and ``NAME.right_clavicle.png`` (JSRT: van Ginneken 2006,
doi:10.1016/j.media.2005.02.002). --final names films that are judged once, by a fit on all of FILMS but those that
they hold, too.

Both sides are looked at as if they were the film's left one, in a window below the apex of the lung that the program
finds. A guess of each pixel gives a map, the usual outline that fits it best a frame along the bone; a revision knows
the guess around each pixel and its place in that frame (auto-context: Tu 2008, doi:10.1109/CVPR.2008.4587436). Each
film is judged by tables and shapes that never saw it. Beside it stands the program's bone within `NEAR_MM` of the true
clavicle. Writes ``clavicles.json`` and ``clavicles.png``: the worst films, truth green, found red.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import boosting
import cv2
import numpy as np
from clavicle_shape import Shapes, drawn, fitted, frame_of, largest_part, outline_of, usual_shapes
from clavicle_sides import COARSE_MM, PIXEL_MM, Side, around, film_sides, masked_films

from calcidetect import ops
from calcidetect.anatomy.pixel_features import context_features, table_probability
from calcidetect.evaluate.statistics import DRAWS
from calcidetect.trees import BoostedTables, parse_tables

JSRT_MM = 0.175
GUESS_AROUND_MM = (5.0, 10.0, 20.0, 40.0)
FOLDS = 3
"""Fits that each leave a third of the films out."""

PER_CLASS, NEAR_TRUTH_MM = 300, 12.0
"""Pixels of a clavicle and as many nearer to it than this; half as many from further off."""

ROUNDS, DEPTH = 120, 6
REACH_MM = 15.0
"""How far off the fitted outline the revision looks for bone."""

NEAR_MM = 15.0
SHOWN = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Guess:
    """What the first tables say of a side, coarse (rows, cols), and the outline fitted to it, in pixels of these."""

    chance: np.ndarray
    outline: np.ndarray


def coarse_values(side: Side) -> dict[str, np.ndarray]:
    planes = side.planes.astype(np.float32)
    return {name: ops.halve(plane) for name, plane in zip(side.names, planes, strict=True)}


def coarse_truth(side: Side) -> np.ndarray:
    return ops.resize_mask(side.truth, (side.truth.shape[0] // 4, side.truth.shape[1] // 4))


def guessed(side: Side, tables: BoostedTables, shapes: Shapes) -> Guess:
    values = coarse_values(side)
    chance = table_probability(values, np.ones(values["level"].shape, bool), tables=tables)
    return Guess(chance=chance, outline=fitted(chance, shapes))


def revised_values(side: Side, guess: Guess) -> dict[str, np.ndarray]:
    """Planes of a side, of the guess around each pixel, and of its place in the fitted outline's frame."""
    values = dict(zip(side.names, side.planes.astype(np.float32), strict=True))
    shape = side.planes.shape[1:]
    context = context_features(guess.chance, np.ones(guess.chance.shape, bool), pixel_mm=COARSE_MM)
    context |= around(context["guess_mean1.6"], GUESS_AROUND_MM, COARSE_MM, "guess")
    values |= {name: ops.resize_linear(plane, shape) for name, plane in context.items()}
    outline = _finer(guess.outline)
    centre, along, across = frame_of(outline)
    places = np.indices(shape, np.float32) - centre[:, None, None].astype(np.float32)
    values["along"], values["off"] = (np.tensordot(axis, places, 1) * PIXEL_MM for axis in (along, across))
    values["from_ends"] = np.minimum(values["along"] - outline[3] * PIXEL_MM, outline[4] * PIXEL_MM - values["along"])
    inside = drawn(outline, shape)
    values["depth"] = (ops.distance(~inside) - ops.distance(inside)) * PIXEL_MM
    return {name: plane.astype(np.float32) for name, plane in values.items()}


def _finer(outline: np.ndarray) -> np.ndarray:
    """An outline on coarse pixels as one on pixels half as wide."""
    finer = 2 * outline
    finer[:2] += 0.5
    finer[2] = outline[2]
    return finer


def found(side: Side, guess: Guess, tables: BoostedTables) -> np.ndarray:
    """The clavicle in the matrix of the masks: the largest part more likely than not, without holes."""
    values = revised_values(side, guess)
    chance = table_probability(values, values["depth"] > -REACH_MM, tables=tables)
    mask = ops.resize_linear(chance, side.truth.shape) > 0.5
    return ops.fill_holes(largest_part(mask), mask.size)


def samples(truth: np.ndarray, pixel_mm: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices of pixels to learn from and their weights, by which each class counts as its area does."""
    near = ops.distance(truth) * pixel_mm < NEAR_TRUTH_MM
    chosen, weights = [], []
    for part, wanted in ((truth, PER_CLASS), (near & ~truth, PER_CLASS), (~near, PER_CLASS // 2)):
        at = np.flatnonzero(part)
        chosen.append(rng.choice(at, min(wanted, len(at)), replace=False))
        weights.append(np.full(len(chosen[-1]), len(at) / max(len(chosen[-1]), 1)))
    weight = np.concatenate(weights)
    return np.concatenate(chosen), weight / weight.sum()


@dataclass(frozen=True, kw_only=True, eq=False)
class Learnt:
    """Samples of a side: features (n, m), their names, truth (n,) and weight (n,)."""

    features: np.ndarray
    names: tuple[str, ...]
    truth: np.ndarray
    weight: np.ndarray


def learnt(values: dict[str, np.ndarray], truth: np.ndarray, pixel_mm: float, rng: np.random.Generator) -> Learnt:
    at, weight = samples(truth, pixel_mm, rng)
    features = np.stack([plane.ravel()[at] for plane in values.values()], axis=1)
    return Learnt(features=features, names=tuple(values), truth=truth.ravel()[at], weight=weight)


def fit_tables(material: Sequence[Learnt]) -> BoostedTables:
    features, truth, weight = (
        np.concatenate([getattr(m, name) for m in material]) for name in ("features", "truth", "weight")
    )
    model = boosting.fit(features, truth, weight * len(truth) / weight.sum(), rounds=ROUNDS, depth=DEPTH)
    return parse_tables(boosting.tables_json(model, list(material[0].names)))


def fit_folds(sides: Sequence[Side]) -> tuple[list[np.ndarray], list[Guess], Callable[[Side], np.ndarray]]:
    """Masks and guesses of every side by fits without its film, and what a fit on all of them finds on another side."""
    films = sorted({side.film for side in sides})
    fold = np.array([films.index(side.film) % FOLDS for side in sides])
    guesses, guess = _guess_folds(sides, fold)
    masks, revised = _revise_folds(sides, guesses, fold)
    return masks, guesses, lambda side: found(side, guess(side), revised)


def _guess_folds(sides: Sequence[Side], fold: np.ndarray) -> tuple[list[Guess], Callable[[Side], Guess]]:
    rng = np.random.default_rng(0)
    material = [learnt(coarse_values(side), coarse_truth(side), COARSE_MM, rng) for side in sides]
    outlines = [outline_of(coarse_truth(side)) for side in sides]

    def fit(own: Sequence[int]) -> Callable[[Side], Guess]:
        tables, shapes = fit_tables([material[i] for i in own]), usual_shapes([outlines[i] for i in own])
        return lambda side: guessed(side, tables, shapes)

    guesses = {}
    for left_out in range(FOLDS):
        guess = fit(np.flatnonzero(fold != left_out).tolist())
        guesses |= {i: guess(sides[i]) for i in np.flatnonzero(fold == left_out).tolist()}
    return [guesses[i] for i in range(len(sides))], fit(range(len(sides)))


def _revise_folds(
    sides: Sequence[Side], guesses: Sequence[Guess], fold: np.ndarray
) -> tuple[list[np.ndarray], BoostedTables]:
    rng, shape = np.random.default_rng(1), sides[0].planes.shape[1:]
    material = [
        learnt(revised_values(side, guess), ops.resize_mask(side.truth, shape), PIXEL_MM, rng)
        for side, guess in zip(sides, guesses, strict=True)
    ]
    masks = {}
    for left_out in range(FOLDS):
        tables = fit_tables([material[i] for i in np.flatnonzero(fold != left_out).tolist()])
        masks |= {i: found(sides[i], guesses[i], tables) for i in np.flatnonzero(fold == left_out).tolist()}
    return [masks[i] for i in range(len(sides))], fit_tables(material)


def figures(sides: Sequence[Side], masks: Sequence[np.ndarray]) -> dict[str, float]:
    """Dice of each film, both clavicles together."""
    counts: dict[str, np.ndarray] = {}
    for side, mask in zip(sides, masks, strict=True):
        both = np.array([2 * np.count_nonzero(mask & side.truth), mask.sum() + side.truth.sum() + side.lost])
        counts[side.film] = counts.get(side.film, 0) + both
    return {film: float(both / total) for film, (both, total) in counts.items()}


def plain_answer(side: Side) -> np.ndarray:
    """The program's bone near the true clavicle."""
    return side.bone & (ops.distance(side.truth) * PIXEL_MM / 2 < NEAR_MM)


def told(values: dict[str, float]) -> dict[str, object]:
    """Mean with its 95 % bootstrap interval over films, median, worst and each film's."""
    dices = np.array(list(values.values()))
    means = np.random.default_rng(0).choice(dices, (DRAWS, len(dices))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5]).tolist()
    summary = {"mean": float(dices.mean()), "low": low, "high": high}
    return summary | {"median": float(np.median(dices)), "worst": float(dices.min()), "films": values}


def judged(sides: Sequence[Side], answers: dict[str, Sequence[np.ndarray]]) -> dict[str, dict[str, object]]:
    return {name: told(figures(sides, masks)) for name, masks in answers.items()}


def table(result: dict[str, dict[str, dict]]) -> str:
    lines = [f"{'Dice of clavicles':34}{'mean':>7}{'95 %':>15}{'median':>8}{'worst':>7}"]
    for part, answers in result.items():
        for name, line in answers.items():
            interval = f"{line['low']:.3f} to {line['high']:.3f}"
            title = f"{part}, {name}"
            lines.append(f"{title:34}{line['mean']:>7.3f}{interval:>15}{line['median']:>8.3f}{line['worst']:>7.3f}")
    return "\n".join(lines)


def draw(sides: Sequence[Side], masks: Sequence[np.ndarray], path: Path) -> None:
    """The worst films with the outlines of truth (green) and of what was found (red)."""
    dices = figures(sides, masks)
    worst = sorted(dices, key=dices.__getitem__)[:SHOWN]
    tiles = []
    for film in worst:
        pair = [_outlined(side, mask) for side, mask in zip(sides, masks, strict=True) if side.film == film]
        tile = np.ascontiguousarray(np.hstack([pair[0][:, ::-1], pair[1]]))
        cv2.putText(tile, f"{film} {dices[film]:.2f}", (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 255, 255))
        tiles.append(tile)
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % 3)
    cv2.imwrite(str(path), np.vstack([np.hstack(tiles[at : at + 3]) for at in range(0, len(tiles), 3)]))


def _outlined(side: Side, mask: np.ndarray) -> np.ndarray:
    level = side.planes[side.names.index("level")].astype(np.float32)
    low, high = np.percentile(level, [2, 98])
    grey = np.clip((ops.resize_linear(level, side.truth.shape) - low) / max(high - low, 1e-6), 0, 1)
    picture = (255 * grey).astype(np.uint8)[..., None].repeat(3, axis=2)
    for shown, colour in ((side.truth, (0, 255, 0)), (mask, (0, 0, 255))):
        outlines, _ = cv2.findContours(shown.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colour, 1)
    return picture


def _is_held(film: str, final: Sequence[Path]) -> bool:
    """Whether a film of this name is one of the final ones, whose names may go on before it."""
    return any(path.stem.endswith(film) for path in final)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path, metavar="FILMS")
    parser.add_argument("--final", type=Path, metavar="FILMS")
    parser.add_argument("--pitch", type=float, default=JSRT_MM, metavar="MM", help=f"of a film's pixel ({JSRT_MM})")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    final = masked_films(given.final) if given.final else []
    films = [film for film in masked_films(given.films) if not _is_held(film.stem, final)]
    if len(films) < FOLDS:
        raise SystemExit(f"{given.films} holds {len(films)} films with masks of both clavicles; {FOLDS} are needed.")
    sides = [side for film in films for side in film_sides(film, given.pitch)]
    masks, guesses, find = fit_folds(sides)
    shapes = [
        drawn(_finer(_finer(guess.outline)), side.truth.shape) for side, guess in zip(sides, guesses, strict=True)
    ]
    answers = {"fitted": masks, "outline of the guess": shapes, "bone as shipped": [plain_answer(s) for s in sides]}
    result = {"left out": judged(sides, answers)}
    draw(sides, masks, given.out / "clavicles.png")
    if final:
        last = [side for film in final for side in film_sides(film, given.pitch)]
        answers = {"fitted": [find(side) for side in last], "bone as shipped": [plain_answer(side) for side in last]}
        result["final"] = judged(last, answers)
        draw(last, answers["fitted"], given.out / "clavicles_final.png")
    (given.out / "clavicles.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
