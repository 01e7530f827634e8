"""Outlines of all films as one COCO file: images, categories and annotations with polygon, box, area and score."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from calcidetect.batch.results import FilmResult, Outline
from calcidetect.types import LABELS
from calcidetect.writers import Row

_CATEGORIES = {label: number for number, label in enumerate(LABELS, start=1)}
_HEAD = {
    "info": {"description": "calcidetect candidates, for a human reader; not for diagnosis"},
    "licenses": [],
    "categories": [{"id": number, "name": label, "supercategory": ""} for label, number in _CATEGORIES.items()],
}


def pieces(results: Iterable[FilmResult]) -> Iterator[bytes]:
    """Yield a COCO file piece by piece; `results` is gone through twice. Failed films are left out."""
    yield json.dumps(_HEAD, indent=1).removesuffix("\n}").encode() + b',\n "images": [\n  '
    yield from _list(_images(results))
    yield b'\n ],\n "annotations": [\n  '
    yield from _list(_annotations(results))
    yield b"\n ]\n}\n"


def _list(items: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    for number, item in enumerate(items):
        yield (",\n  " if number else "").encode() + json.dumps(item).encode()


def _numbered(results: Iterable[FilmResult]) -> Iterator[tuple[int, FilmResult]]:
    return enumerate((result for result in results if result.ok), start=1)


def _images(results: Iterable[FilmResult]) -> Iterator[dict[str, Any]]:
    for number, result in _numbered(results):
        film = result.film
        yield {"id": number, "file_name": film["film"], "height": int(film["rows"]), "width": int(film["cols"])}


def _annotations(results: Iterable[FilmResult]) -> Iterator[dict[str, Any]]:
    number = 0
    for image, result in _numbered(results):
        for row, outline in zip(result.candidates, result.outlines, strict=True):
            number += 1
            yield _annotation(row, outline) | {"id": number, "image_id": image}


def _annotation(row: Row, outline: Outline) -> dict[str, Any]:
    x0, y0, x1, y1 = (int(row[name]) for name in ("x0", "y0", "x1", "y1"))
    return {
        "category_id": _CATEGORIES[row["label"]],
        "segmentation": [list(outline)],
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": float(row["area_px"]),
        "iscrowd": 0,
        "score": float(row["score"]),
    }
