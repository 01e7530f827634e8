"""What is marked on films as they are: regions named, marks on real calcification, on mimics and elsewhere, letters.

    python benchmarks/marks.py FILMS --annotations FILE --out marks.json [--jobs N] [--apart WORD ...]

FILMS is a folder, FILE says what is on its films (format: `annotated.py`). Nothing is put into the films: what is
marked beside ``real`` and ``ignore`` boxes is wrong. Each film is scanned at the shipped operating point, with its
annotated pixel pitch and, unless its file states one, as a picture whose pitch nobody knows. Films with a WORD in their
name, children's hands for one, are counted apart, too. `accuracy.py` judges films with deposits put in.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from calcidetect import __version__, pipeline
from calcidetect.anatomy import regions
from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.config import Config
from calcidetect.errors import CalcidetectError
from calcidetect.evaluate import MARGIN_MM, hit_table, inside_any
from calcidetect.evaluation.truth import KnownFilm, read_truth
from calcidetect.types import MARK, Candidate, Report, Source

PITCHES = {"pitch given": True, "pitch unknown": False}
RIGHT, OTHER, WRONG = "right", "other", "wrong"


@dataclass(frozen=True, kw_only=True)
class FilmMarks:
    """What one film got: its region and how right that is, marks by where they lie, and other labels with counts."""

    film: str
    annotated: str
    named: str
    region: str
    real: int
    found: int
    mimics: tuple[dict[str, Any], ...]
    wrong: tuple[dict[str, Any], ...]
    labels: Mapping[str, int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("films", type=Path, metavar="FILMS")
    parser.add_argument("--annotations", type=Path, required=True, metavar="FILE")
    parser.add_argument("--out", type=Path, required=True, metavar="JSON")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="worker processes (1)")
    parser.add_argument("--apart", nargs="*", default=(), metavar="WORD", help="count films of this name apart, too")
    given = parser.parse_args()
    result = marks_on(given.films, read_truth(given.annotations), jobs=given.jobs, apart=given.apart)
    given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


def marks_on(films: Path, known: Sequence[KnownFilm], *, jobs: int = 1, apart: Sequence[str] = ()) -> dict[str, Any]:
    """Scan films of a folder that are known, and say of both `PITCHES` what was marked; films named so `apart`, too."""
    there = [film for film in known if (films / film.name).is_file()]
    result: dict[str, Any] = {
        "version": __version__,
        "settings_hash": Config().hash,
        "operating_point": OPERATING_POINT,
        "films": len(there),
    }
    with ProcessPoolExecutor(jobs) as pool:
        for title, stated in PITCHES.items():
            done = list(pool.map(partial(_scanned, films, stated=stated), there))
            judged = [film for film in done if isinstance(film, FilmMarks)]
            result[title] = _summed(judged) | {
                "each_film": [dataclasses.asdict(film) for film in judged],
                "failed": [text for text in done if isinstance(text, str)],
                "apart": {word: _summed([film for film in judged if word in film.film]) for word in apart},
            }
    return result


def _scanned(films: Path, known: KnownFilm, *, stated: bool) -> FilmMarks | str:
    """The film's marks, or why it could not be scanned."""
    try:
        scan = pipeline.scan(films / known.name, spacing_mm=known.mm_px if stated else None)
    except CalcidetectError as error:
        return f"{known.name}: {error}".replace(str(films / known.name), "it")
    return judge(scan.report, known)


def judge(report: Report, known: KnownFilm) -> FilmMarks:
    """Say where the marks of one film lie: on real calcification, on mimics, or where nothing is."""
    marks = report.marks
    hit = hit_table(marks, known.deposits, pixel_mm=known.mm_px)
    ignored = inside_any(marks, known.ignore, margin=MARGIN_MM / known.mm_px)
    places = list(zip(marks, ~hit.any(axis=1), ignored, strict=True))
    return FilmMarks(
        film=known.name,
        annotated=known.region,
        named=report.region,
        region=region_is(report.region, known.region),
        real=len(known.deposits),
        found=int(hit.any(axis=0).sum()),
        mimics=tuple(_mark(mark) for mark, misses, mimic in places if misses and mimic),
        wrong=tuple(_mark(mark) for mark, misses, mimic in places if misses and not mimic),
        labels=dict(Counter(c.label for c in report.candidates if c.label != MARK)),
    )


def region_is(named: str, annotated: str) -> str:
    """Whether a film's region is right, `OTHER` (nothing is claimed) or wrong.

    Legs and forearms have no region of their own: ``other`` is right, and any that such films may be taken for.
    """
    own = annotated in regions.NAMES
    if named == "other":
        return OTHER if own and annotated != "other" else RIGHT
    said = regions.recognise(Source(path="", pixel_hash="", body_part=annotated)).name
    return RIGHT if named == said or (not own and annotated in regions.get(named).looks) else WRONG


def _mark(mark: Candidate) -> dict[str, Any]:
    box = [mark.x0, mark.y0, mark.x1, mark.y1]
    return {"score": round(mark.score, 3), "zone": mark.zone, "look": mark.look, "box": box}


def _summed(films: Sequence[FilmMarks]) -> dict[str, Any]:
    return {
        "films": len(films),
        "regions": Counter(film.region for film in films),
        "real": sum(film.real for film in films),
        "found": sum(film.found for film in films),
        "marks_on_mimics": sum(len(film.mimics) for film in films),
        "wrong_marks": sum(len(film.wrong) for film in films),
        "labels": sum((Counter(film.labels) for film in films), Counter()),
    }


def table(result: Mapping[str, Any]) -> str:
    """Lines of text: for both pitches the counts, then each film with a doubtful region or a mark that is not right."""
    lines = [
        f"calcidetect {result['version']}, settings {result['settings_hash']}, {result['films']} films as they are"
    ]
    for title in PITCHES:
        part = result[title]
        lines += ["", *_group_lines(title, part)]
        for word, group in part["apart"].items():
            lines += [f"  {line}" for line in _group_lines(f"{group['films']} films named {word}", group)]
        lines += [line for film in part["each_film"] for line in _film_lines(film)]
        lines += [f"  failed: {text}" for text in part["failed"]]
    return "\n".join(lines)


def _group_lines(title: str, group: Mapping[str, Any]) -> list[str]:
    return [
        f"{title}: regions " + _counts(group["regions"]),
        f"  real calcification marked {group['found']} of {group['real']}",
        f"  marks on mimics {group['marks_on_mimics']}, elsewhere {group['wrong_marks']}",
        "  labelled, no mark: " + _counts(group["labels"]),
    ]


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"


def _film_lines(film: Mapping[str, Any]) -> list[str]:
    lines = [] if film["region"] == RIGHT else [f"  {film['film']}: {film['annotated']} named {film['named']}"]
    for word, marks in (("mimic", film["mimics"]), ("wrong", film["wrong"])):
        lines += [f"  {film['film']}: {word} {m['score']:.2f} {m['zone']}, {m['look']}, {m['box']}" for m in marks]
    return lines


if __name__ == "__main__":
    main()
