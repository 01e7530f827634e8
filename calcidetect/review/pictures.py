"""Films and bone masks as the reading page draws them: 16-bit pixels at several sizes, and an 8-bit mask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect import ops, pipeline, writers
from calcidetect.config import Config
from calcidetect.drawing.view import grey_range
from calcidetect.errors import FieldError, ReadError
from calcidetect.reading import readers
from calcidetect.review.run_folder import ReviewFilm, RunFolder
from calcidetect.types import Radiograph

_FULL = 65535  # the greatest stored value
_SMALLEST_PX = 384  # longer side of the coarsest level: a thumbnail on a fine screen
_FILMS_KEPT = 3  # in memory, 20 MB each: the one being read, and its neighbours
_MASKS_KEPT = 32  # a few kB each


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pyramid:
    """A film's signal as 16-bit levels.

    Attributes
    ----------
    levels
        uint16 (rows, cols) each, little-endian, bone bright: first the film's own matrix, each next one half as wide.
    low, high
        Signal that is stored as 0 and as 65535.
    window
        Signal to be shown black and white so that soft tissue and bone are seen: percentiles of the exposed field.
    """

    levels: tuple[npt.NDArray[np.uint16], ...]
    low: float
    high: float
    window: tuple[float, float]


class Pictures:
    """Pyramids and masks of a run's films, the last few kept in memory."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._pyramids, self._masks = _Recent(_FILMS_KEPT), _Recent(_MASKS_KEPT)

    def pyramid(self, film: ReviewFilm) -> Pyramid:
        """The film's pixels.

        Raises
        ------
        ReadError
            When the film is gone, can't be decoded, or is another one than was scanned.
        """
        path = self._folder.path(film)
        state = path.stat()
        key = (film.id, film.result.pixel_hash, state.st_mtime_ns, state.st_size)
        return self._pyramids.get(key, lambda: pyramid(load_scanned(film, self._folder), self._folder.run().config))

    def bone(self, film: ReviewFilm) -> bytes:
        """PNG of the film's bone mask, uint8 0 and 255 in its own matrix: the run's, else computed now.

        Raises
        ------
        CalcidetectError
            When the film can't be scanned any more.
        """
        kept = self._folder.folder / f"{film.result.name}{writers.FORMATS['bone'].suffix}"
        if kept.is_file():
            return kept.read_bytes()
        return self._masks.get((film.id, film.result.pixel_hash), lambda: self._segmented(film))

    def _segmented(self, film: ReviewFilm) -> bytes:
        run, radiograph = self._folder.run(), load_scanned(film, self._folder)
        scan = pipeline.scan(radiograph, config=run.config, region=film.told[2] or run.recipe["region"])
        return writers.FORMATS["bone"].encode(scan)


def load_scanned(film: ReviewFilm, folder: RunFolder) -> Radiograph:
    """Read a film again, as it was scanned.

    Raises
    ------
    ReadError
        When it is gone, can't be decoded, or holds other pixels than were scanned.
    """
    radiograph = readers.load(folder.path(film), spacing_mm=film.told[0] or folder.run().recipe["spacing_mm"])
    if film.result.pixel_hash not in ("", radiograph.source.pixel_hash):
        raise ReadError(f"{film.name} is another film than the one that was scanned; scan it again.")
    return radiograph


def pyramid(radiograph: Radiograph, config: Config) -> Pyramid:
    """Store a film's signal in 16 bits, in the film's own matrix and halved until it is small."""
    signal = radiograph.pixels
    if signal.shape != radiograph.grid.source_shape:
        signal = ops.resize_area(signal, radiograph.grid.source_shape)
    seen = radiograph.pixels[radiograph.valid] if radiograph.valid.any() else radiograph.pixels
    low, high = float(seen.min()), float(seen.max())
    scale = np.float32(_FULL / (high - low) if high > low else 0)
    signal = np.clip((signal - np.float32(low)) * scale, 0, _FULL)
    levels = [_stored(signal)]
    while max(signal.shape) >= 2 * _SMALLEST_PX:
        rows, cols = signal.shape
        signal = ops.resize_area(signal, (max(1, rows // 2), max(1, cols // 2)))
        levels.append(_stored(signal))
    return Pyramid(levels=tuple(levels), low=low, high=high, window=_window(radiograph, config, (low, high)))


def _stored(signal: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    return np.round(signal).astype("<u2")


def _window(radiograph: Radiograph, config: Config, span: tuple[float, float]) -> tuple[float, float]:
    try:
        working, field = pipeline.first_field(radiograph, config, field_width_mm=config.grid.field_width_mm)
        low, _, high = grey_range(working, field.mask)
    except FieldError:
        low, _, high = grey_range(radiograph, None)
    return (low, high) if high > low else span


class _Recent:
    """The last few things that were made; two that ask for one at the same time wait for a single making."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._made, self._making = OrderedDict[Hashable, Any](), dict[Hashable, threading.Lock]()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with self._lock:
            own = self._making.setdefault(key, threading.Lock())
        with own:  # others, that ask for something else, are not held up
            with self._lock:
                if key in self._made:
                    self._made.move_to_end(key)
                    return self._made[key]
            try:
                made = make()
            except BaseException:
                with self._lock:
                    self._making.pop(key, None)
                raise
            with self._lock:
                self._made[key] = made
                self._making.pop(key, None)
                if len(self._made) > self._most:
                    self._made.popitem(last=False)
            return made
