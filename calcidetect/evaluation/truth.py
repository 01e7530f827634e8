"""What is known of films: the file that ``calcidetect simulate`` writes, or a list of annotated films.

Both hold one record per film with ``film``, ``region`` and ``mm_px``. Simulated films have ``deposits``, annotated ones
``real`` boxes of calcification, and ``bone_points`` and ``soft_points``; both may have ``ignore`` boxes, where a mark
is neither right nor wrong. Boxes are ``x0, y0, x1, y1``, points ``x, y``, in the film's own matrix.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from calcidetect.errors import EvaluationError
from calcidetect.evaluate import Truth

Box = tuple[int, int, int, int]
Point = tuple[float, float]

REAL = "real"
"""Morphology of a calcification that was annotated, not put in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownDeposit(Truth):
    """A deposit and what is known of it.

    `contrast` in the film's bone steps and `area_px` in source pixels are None for annotated calcification, whose
    `diameter_mm` is the longer side of its box, and `area_px` for marks that a reader accepted as they were.
    """

    id: int
    morphology: str
    diameter_mm: float
    contrast: float | None
    area_px: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFilm:
    """What is known of a film: its file name (and that of the film it was made from), region, pitch, deposits, places.

    `bone_points` and `soft_points` are ``x, y`` of places known to be bone and to be none.
    """

    name: str
    source: str
    region: str
    mm_px: float
    deposits: tuple[KnownDeposit, ...]
    ignore: tuple[Box, ...]
    bone_points: tuple[Point, ...]
    soft_points: tuple[Point, ...]

    def __post_init__(self) -> None:
        if not self.mm_px > 0:
            raise ValueError(f"mm_px must be positive, got {self.mm_px}")


def read_truth(path: Path) -> tuple[KnownFilm, ...]:
    """Read what is known of films.

    Raises
    ------
    EvaluationError
        When the file can't be read, a record can't be understood, or two records share a film's name.
    """
    films = tuple(_film(item, path, number) for number, item in enumerate(_items(path), start=1))
    name, count = Counter(film.name for film in films).most_common(1)[0] if films else ("", 0)
    if count > 1:
        raise EvaluationError(f"{path} holds {count} records of {name}; give each film a name of its own.")
    return films


def _items(path: Path) -> list[Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvaluationError(f"{path} can't be opened: {error.strerror}; check the path given as --truth.") from error
    except ValueError as error:
        raise EvaluationError(f"{path} is no JSON: {error}; give the truth.json of simulate.") from error
    items = data.get("films") if isinstance(data, dict) else data
    if not isinstance(items, list):
        raise EvaluationError(f"{path} holds no list of films; give the truth.json of simulate, or annotations.")
    return items


def _film(item: Any, path: Path, number: int) -> KnownFilm:
    if not isinstance(item, dict):
        raise EvaluationError(f"{path}: {_called(item, number)} is no object with film and mm_px; see README.md.")
    try:
        mm_px = _number(item["mm_px"])
        put_in = [_deposit(entry) for entry in item.get("deposits", ())]
        real = [_real(entry, len(put_in) + i, mm_px) for i, entry in enumerate(item.get("real", ()), start=1)]
        return KnownFilm(
            name=PurePath(item["film"]).name,
            source=PurePath(item.get("source") or item["film"]).name,
            region=str(item.get("region") or "other"),
            mm_px=mm_px,
            deposits=(*put_in, *real),
            ignore=tuple(_box(entry) for entry in item.get("ignore", ())),
            bone_points=_points(item.get("bone_points", ())),
            soft_points=_points(item.get("soft_points", ())),
        )
    except KeyError as error:
        raise EvaluationError(
            f"{path}: {_called(item, number)} has no {error}; every film and deposit needs it."
        ) from error
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise EvaluationError(
            f"{path}: {_called(item, number)} can't be understood ({error}); see README.md."
        ) from error


def _called(item: Any, number: int) -> str:
    """A record in words, with the film's name where it has one."""
    name = item.get("film") if isinstance(item, dict) else None
    return f"record {number} ({name})" if isinstance(name, str) else f"record {number}"


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{number} is not finite")
    return number


def _deposit(entry: Any) -> KnownDeposit:
    return KnownDeposit(
        id=int(entry["id"]),
        morphology=str(entry["morphology"]),
        diameter_mm=_number(entry["diameter_mm"]),
        contrast=_number(entry["contrast"]),
        area_px=_number(entry["area_px"]),
        box=_box(entry),
        row=_number(entry["row"]),
        col=_number(entry["col"]),
    )


def _real(entry: Any, number: int, mm_px: float) -> KnownDeposit:
    x0, y0, x1, y1 = box = _box(entry)
    return KnownDeposit(
        id=number,
        morphology=REAL,
        diameter_mm=max(x1 - x0, y1 - y0) * mm_px,
        contrast=None,
        area_px=None,
        box=box,
        row=(y0 + y1 - 1) / 2,
        col=(x0 + x1 - 1) / 2,
    )


def _box(entry: Any) -> Box:
    """A box, either by itself or as ``box`` of a record."""
    x0, y0, x1, y1 = (round(_number(value)) for value in (entry["box"] if isinstance(entry, dict) else entry))
    if not (x0 < x1 and y0 < y1):
        raise ValueError(f"empty box {[x0, y0, x1, y1]}")
    return x0, y0, x1, y1


def _points(entries: Any) -> tuple[Point, ...]:
    return tuple((_number(x), _number(y)) for x, y in entries)
