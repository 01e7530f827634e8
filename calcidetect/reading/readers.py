"""Films from files: what a file is is told by its content, and one pixel meaning is settled here.

The way of a film: bytes, the stored matrix (`dicom_reader`, `picture_reader`), then polarity, spacing, square pixels.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calcidetect import ops
from calcidetect.config import GridSettings
from calcidetect.errors import ConfigError, ReadError, UnreadableFile, UnsupportedFilm
from calcidetect.reading.dicom_spacing import MAX_PITCH_MM, MIN_PITCH_MM
from calcidetect.reading.picture_reader import picture_format, read_picture
from calcidetect.reading.polarity import INVERTED_FROM, inversion_log_odds
from calcidetect.reading.stored import StoredFilm
from calcidetect.reading.streams import is_dicom
from calcidetect.types import Grid, Radiograph

if TYPE_CHECKING:
    import pydicom

StrPath = str | os.PathLike[str]

_HEAD_LENGTH = 256
_MAX_FILE_BYTES = 1 << 29

_DIRECTORY_FILE = "DICOMDIR"
_FILM_SUFFIXES = {".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"}
_RESULT_SUFFIXES = (
    *(".overlay.png", ".bone.png", ".calc.png", ".truth.png", ".figure.png", ".review.png"),
    *(".sr.dcm", ".sc.dcm", ".seg.dcm", ".gsps.dcm"),
)
_EVALUATION_PICTURES = {"froc.png", "gallery_misses.png", "gallery_false.png"}


def load(path: StrPath, *, spacing_mm: float | None = None) -> Radiograph:
    """Read one film.

    Parameters
    ----------
    path
        A DICOM, PNG, JPEG, TIFF, WebP or BMP file; its content decides, not its name.
    spacing_mm
        Pixel pitch in mm, used only where the file has none.

    Returns
    -------
    Radiograph
        Pixels float32 (rows, cols), bigger = more attenuation, on the file's own matrix unless its pixels are oblong.

    Raises
    ------
    UnreadableFile
        When the file is missing, empty, damaged, cut short or of no known format.
    UnsupportedFilm
        When the file is something other than one plain radiograph.
    ConfigError
        When `spacing_mm` is no pitch that a film can have.

    Examples
    --------
    >>> from calcidetect.errors import ReadError
    >>> try:
    ...     load("missing.dcm")
    ... except ReadError as error:
    ...     print(error)
    missing.dcm can't be opened: no such file; check the path.
    """
    check_spacing(spacing_mm)
    return _radiograph(_read(path), spacing_mm=spacing_mm)


def describe(path: StrPath, *, spacing_mm: float | None = None) -> dict[str, Any]:
    """Tell what the reader understood of a file, without patient identifiers.

    Parameters
    ----------
    path, spacing_mm
        As for `load`.

    Returns
    -------
    dict
        Names in words, values as text, numbers or None.
    """
    check_spacing(spacing_mm)
    stored = _read(path)
    film = _radiograph(stored, spacing_mm=spacing_mm)
    source, grid = film.source, film.grid
    return {
        "film": source.path,
        **stored.facts,
        "rows": grid.source_shape[0],
        "cols": grid.source_shape[1],
        "bits": source.bits,
        "polarity": film.polarity,
        "tone": film.tone,
        "spacing_mm": grid.spacing_mm,
        "spacing_source": grid.spacing_source,
        "modality": source.modality,
        "body_part": source.body_part,
        "laterality": source.laterality,
        "view": source.view,
        "valid_share": round(float(film.valid.mean()), 4),
        "flags": " ".join(film.flags),
        "pixel_hash": source.pixel_hash,
    }


def patient_of(path: StrPath) -> str:
    """Patient ID that a DICOM header states: a patient identifier; empty for pictures and where it states none.

    Raises
    ------
    UnreadableFile
        When the file is missing or damaged.
    """
    with _naming(path):
        data = _read_bytes(Path(path))
        if not is_dicom(data[:_HEAD_LENGTH]):
            return ""
        from calcidetect.reading.dicom_reader import read_patient  # noqa: PLC0415 - pydicom

        return read_patient(data)


def read_header(path: StrPath) -> pydicom.Dataset:
    """Read the header of a DICOM film, patient and study included, without its pixels.

    Raises
    ------
    UnreadableFile
        When the file is missing or damaged.
    UnsupportedFilm
        When it is no DICOM file.
    """
    with _naming(path):
        data = _read_bytes(Path(path))
        if not is_dicom(data[:_HEAD_LENGTH]):
            raise UnsupportedFilm("is no DICOM file, so it belongs to no patient and no study.")
        from calcidetect.reading.dicom_reader import read_header as parse_header  # noqa: PLC0415 - pydicom

        return parse_header(data)


def find_films(paths: Iterable[StrPath]) -> Iterator[Path]:
    """List the films among files, folders and DICOMDIRs.

    Parameters
    ----------
    paths
        Files are passed on as they are. Folders are searched through, in order of name, without hidden files and this
        program's own results; those behind symbolic links come last, and each one once. A DICOMDIR stands for the
        images it lists.

    Yields
    ------
    Path
        Each film once.

    Raises
    ------
    ReadError
        When a folder holds no films.
    """
    seen: set[Path] = set()
    for path in map(Path, paths):
        for film in _films_of(path):
            if film not in seen:
                seen.add(film)
                yield film


def _films_of(path: Path) -> list[Path]:
    if os.path.isdir(path):  # False, where Path.is_dir raises: for a name too long, or below a closed folder
        films = list(_walk(path, set()))
    elif path.name.upper() == _DIRECTORY_FILE:
        films = _listed_films(path)
    else:
        return [path]
    if not films:
        raise ReadError(f"{path} holds no films; give a folder with DICOM, PNG, JPEG or TIFF files.")
    return films


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Films below a folder, then those behind links to other folders: a film keeps the name of its own folder."""
    barred: list[Path] = []
    links: list[Path] = []
    for name, folders, files in os.walk(folder, onerror=lambda error: barred.append(Path(error.filename))):
        place = os.stat(name)
        if (place.st_dev, place.st_ino) in seen:  # by another name, or in a loop of links
            folders.clear()
            continue
        seen.add((place.st_dev, place.st_ino))
        folders[:] = sorted(sub for sub in folders if not sub.startswith("."))
        links += (Path(name, sub) for sub in folders if os.path.islink(os.path.join(name, sub)))
        found = (Path(name, file) for file in sorted(files) if not file.startswith("."))
        yield from filter(looks_like_film, found)
    for link in links:
        yield from _walk(link, seen)
    yield from barred  # not passed over: a folder that can't be listed may hold films


def looks_like_film(path: Path) -> bool:
    """Whether a file that nobody named may be a film, by its name or else its content; our own pictures are none."""
    ours = path.name.endswith(_RESULT_SUFFIXES) or path.name in _EVALUATION_PICTURES
    if ours or path.name.upper() == _DIRECTORY_FILE:
        return False
    if os.path.isdir(path):
        return True
    if path.suffix.lower() in _FILM_SUFFIXES:
        return True  # even when damaged: then its row says so
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_LENGTH)
    except OSError:
        return False
    return is_dicom(head) or picture_format(head) is not None


def _listed_films(path: Path) -> list[Path]:
    from calcidetect.reading.dicom_reader import listed_files  # noqa: PLC0415 - pydicom

    with _naming(path):
        return sorted(path.parent.joinpath(*parts) for parts in listed_files(_read_bytes(path)))


def _read(path: StrPath) -> StoredFilm:
    with _naming(path):
        data = _read_bytes(Path(path))
        if not is_dicom(data[:_HEAD_LENGTH]):
            return read_picture(data, os.fspath(path))
        from calcidetect.reading.dicom_reader import read_dicom  # noqa: PLC0415 - pydicom loads longest of all

        return read_dicom(data, os.fspath(path))


@contextlib.contextmanager
def _naming(path: StrPath) -> Iterator[None]:
    """Put the file's name before messages on it."""
    try:
        yield
    except ReadError as error:
        raise type(error)(f"{os.fspath(path)} {error}") from error.__cause__


def _read_bytes(path: Path) -> bytes:
    try:
        _check_file(path)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise UnreadableFile("can't be opened: no such file; check the path.") from error
    except OSError as error:
        what = "permissions" if isinstance(error, PermissionError) else "path"
        raise UnreadableFile(f"can't be opened: {(error.strerror or 'failed').lower()}; check its {what}.") from error


def _check_file(path: Path) -> None:
    """Raise ReadError unless it is a file of a film's size, and OSError when it can't be reached."""
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        if not os.access(path, os.R_OK | os.X_OK):
            raise UnreadableFile("is a folder that can't be listed; check its permissions.")
        if next(_walk(path, set()), None) is None:
            raise UnreadableFile("is a folder without films; give one with DICOM, PNG, JPEG or TIFF files.")
        raise UnreadableFile("is a folder; name a file in it, or scan the folder.")
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableFile("is no regular file; copy the film to one.")
    if found.st_size == 0:
        raise UnreadableFile("is empty; fetch the file again.")
    if found.st_size > _MAX_FILE_BYTES:
        raise UnsupportedFilm(f"has {found.st_size >> 20} MB, more than one film takes; export a single image.")


def check_spacing(spacing_mm: float | None) -> None:
    """Raise ConfigError unless a pixel pitch in mm is None or one that a film can have."""
    if spacing_mm is not None and not MIN_PITCH_MM <= spacing_mm <= MAX_PITCH_MM:
        bounds = f"{MIN_PITCH_MM} and {MAX_PITCH_MM} mm"
        raise ConfigError(f"The pixel spacing must lie between {bounds}, got {spacing_mm}.")


def _radiograph(stored: StoredFilm, *, spacing_mm: float | None) -> Radiograph:
    """Settle polarity, spacing and square pixels."""
    odds = inversion_log_odds(stored.pixels)
    inverted = odds >= INVERTED_FROM if stored.inverted is None else stored.inverted
    flags = stored.flags
    if stored.inverted is not None and (-odds if inverted else odds) >= INVERTED_FROM:
        flags += ("polarity_doubtful",)
    pixels = np.float32(sum(stored.span)) - stored.pixels if inverted else stored.pixels
    grid, spacing_flags = _grid(stored, spacing_mm)
    resampled = grid.shape != grid.source_shape
    return Radiograph(
        pixels=ops.resize_area(pixels, grid.shape) if resampled else pixels,
        valid=ops.resize_mask(stored.valid, grid.shape) if resampled else stored.valid,
        grid=grid,
        tone=stored.tone,
        polarity=f"{stored.polarity}, inverted" if inverted else stored.polarity,
        source=stored.source,
        age_years=stored.age_years,
        flags=flags + spacing_flags,
    )


def _grid(stored: StoredFilm, given_mm: float | None) -> tuple[Grid, tuple[str, ...]]:
    rows, cols = stored.pixels.shape
    # The finer axis keeps its pixels: resampling loses none.
    shape = (round(rows * max(stored.aspect, 1)), round(cols * max(1 / stored.aspect, 1)))
    spacing, source = (min(stored.pitch_mm), stored.pitch_source) if stored.pitch_mm else (None, "none")
    flags: tuple[str, ...] = ("resampled_to_square",) if shape != (rows, cols) else ()
    if spacing is None and given_mm is not None:
        spacing, source = given_mm, "given"
    elif given_mm is not None:
        flags += ("given_spacing_unused",)
    if spacing is None:
        flags += ("no_spacing",)
    nominal = spacing or GridSettings().field_width_mm / max(shape)
    grid = Grid(shape=shape, source_shape=(rows, cols), spacing_mm=spacing, spacing_source=source, nominal_mm=nominal)
    return grid, flags
