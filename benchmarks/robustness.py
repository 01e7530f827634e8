"""Whether a film gives the same marks when it comes in another way: gain, gamma, 8 bits, turned, inverted, halved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from detectors import GivenFilm

from calcidetect import ops, pipeline
from calcidetect.evaluate import MARGIN_MM
from calcidetect.reading import readers

Places = npt.NDArray[np.float64]
PNG_LEVEL = 1


def _same_places(places: Places, _: tuple[int, int]) -> Places:
    return places


@dataclass(frozen=True, kw_only=True)
class Variation:
    """Another way for a film to come in.

    Attributes
    ----------
    change
        Of float32 (rows, cols), 0 to 1, to float32 (rows, cols), 0 to 1.
    back
        Of ``(row, col)``, float (n, 2), on the changed film, and the shape of the film, to places on the film.
    zoom
        Pixel pitch of the changed film over that of the film.
    bits
        Of the changed film's file.
    stated
        Whether its pixel pitch is stated.
    """

    change: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] = np.copy
    back: Callable[[Places, tuple[int, int]], Places] = _same_places
    zoom: int = 1
    bits: int = 16
    stated: bool = True


def _halved(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    rows, cols = (side // 2 for side in pixels.shape)
    return ops.resize_area(pixels[: 2 * rows, : 2 * cols], (rows, cols))


VARIATIONS = {
    "gain and offset": Variation(change=lambda pixels: 0.5 * pixels + 0.2),
    "gamma 0.7": Variation(change=lambda pixels: pixels**0.7),
    "gamma 1.4": Variation(change=lambda pixels: pixels**1.4),
    "8 bits": Variation(bits=8),
    "mirrored": Variation(
        change=lambda pixels: pixels[:, ::-1],
        back=lambda places, shape: np.column_stack([places[:, 0], shape[1] - 1 - places[:, 1]]),
    ),
    "turned by 90 degrees": Variation(
        change=np.rot90,
        back=lambda places, shape: np.column_stack([places[:, 1], shape[1] - 1 - places[:, 0]]),
    ),
    "inverted": Variation(change=lambda pixels: 1 - pixels),
    "half the resolution": Variation(change=_halved, back=lambda places, _: 2 * places + 0.5, zoom=2),
    "pitch unknown": Variation(stated=False),
}


def stability(films: Sequence[GivenFilm], scratch: Path) -> dict[str, dict[str, Any]]:
    """Scan films at the operating point as they are and varied, through PNG files below `scratch`.

    Returns
    -------
    dict
        For each variation ``marks``, those of the films as they are, ``kept``, the share of these with a mark of the
        varied film within `MARGIN_MM` (None without marks), and ``new``, marks a film without such a counterpart.
    """
    scratch.mkdir(parents=True)
    counts = {name: np.zeros(3, int) for name in VARIATIONS}
    for film in films:
        for name, count in _counts(film, scratch / "varied.png").items():
            counts[name] += count
    return {name: _line(*count.tolist(), films=len(films)) for name, count in counts.items()}


def _line(marks: int, kept: int, new: int, *, films: int) -> dict[str, Any]:
    return {"marks": marks, "kept": kept / marks if marks else None, "new": new / films}


def _counts(film: GivenFilm, path: Path) -> dict[str, tuple[int, int, int]]:
    """For each variation: marks of the film as it is, how many of them are kept, and new ones."""
    radiograph = readers.load(film.path, spacing_mm=film.spacing_mm)
    low, high = float(radiograph.pixels.min()), float(radiograph.pixels.max())
    pixels = (radiograph.pixels - np.float32(low)) / np.float32(max(high - low, 1e-6))
    mm = radiograph.grid.spacing_mm
    before = _marks(pixels, Variation(), mm, path)
    reach = MARGIN_MM / radiograph.grid.nominal_mm
    return {
        name: _compared(before, variation.back(_marks(pixels, variation, mm, path), pixels.shape), reach)
        for name, variation in VARIATIONS.items()
    }


def _marks(pixels: npt.NDArray[np.float32], variation: Variation, mm: float | None, path: Path) -> Places:
    """Centres of the marks on a varied film, in its own pixels, (n, 2)."""
    kind = np.uint8 if variation.bits == 8 else np.uint16
    values = np.round(variation.change(pixels) * np.iinfo(kind).max).astype(kind)
    path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(values), level=PNG_LEVEL))
    stated = None if mm is None or not variation.stated else mm * variation.zoom
    marks = pipeline.scan(path, spacing_mm=stated).report.marks
    return np.array([(mark.row, mark.col) for mark in marks], float).reshape(-1, 2)


def _compared(before: Places, after: Places, reach: float) -> tuple[int, int, int]:
    near = np.hypot(*np.moveaxis(before[:, None] - after[None], -1, 0)) <= reach
    return len(before), int(near.any(axis=1).sum()), int((~near.any(axis=0)).sum())
