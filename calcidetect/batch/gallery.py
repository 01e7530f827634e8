"""The gallery of a batch: one HTML file with a table of all films, to be opened from the disk.

Script, style, thumbnails and marks are in the file; the large overlays lie beside it. Its template is
``data/gallery.html``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from importlib import resources
from typing import Any
from urllib.parse import quote

from calcidetect.batch.results import FilmResult
from calcidetect.types import MARK
from calcidetect.writers import FORMATS, Row

_PLACE = "@FILMS@"  # in the template
_PLAIN = ("film", "status", "error", "region", "laterality", "flags")


def pieces(results: Iterable[FilmResult], *, overlays: bool) -> Iterator[bytes]:
    """Yield the gallery piece by piece.

    Parameters
    ----------
    results
        Of all films, in order.
    overlays
        Whether a film with arrows lies beside the gallery for each film that was scanned.
    """
    template = resources.files("calcidetect").joinpath("data", "gallery.html").read_text(encoding="utf-8")
    before, after = template.split(_PLACE)
    yield before.encode("utf-8")
    for number, result in enumerate(results):
        # What closes a script element must not stand in one; "<" may be written so in any JSON text.
        text = json.dumps(_entry(result, overlays=overlays), separators=(",", ":")).replace("<", "\\u003c")
        yield (",\n" if number else "").encode() + text.encode("ascii")
    yield after.encode("utf-8")


def _entry(result: FilmResult, *, overlays: bool) -> dict[str, Any]:
    film = result.film
    marks = [row for row in result.candidates if row["label"] == MARK]
    numbers = {name: _number(film[name]) for name in ("rows", "cols", "spacing_mm", "burden_mm2", "seconds")}
    return {name: film[name] for name in _PLAIN} | {
        **numbers,
        "patient": result.patient,
        "marks": len(marks) if result.ok else None,
        "candidates": len(result.candidates) if result.ok else None,
        "score": max((float(row["score"]) for row in marks), default=None),
        "places": [_place(row, film) for row in marks],
        "thumbnail": base64.b64encode(result.thumbnail).decode("ascii"),
        "overlay": _link(result.name) if overlays and result.ok else "",
    }


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _place(row: Row, film: Row) -> list[float]:
    """Centre as shares of width and height, and the longer half of its box as a share of the width."""
    width, height = float(film["cols"]), float(film["rows"])
    reach = max(int(row["x1"]) - int(row["x0"]), int(row["y1"]) - int(row["y0"])) / 2
    x, y = (float(row["col"]) + 0.5) / width, (float(row["row"]) + 0.5) / height
    return [round(x, 4), round(y, 4), round(reach / width, 4)]


def _link(name: str) -> str:
    return quote((name + FORMATS["png"].suffix).encode("utf-8", "surrogateescape"))
