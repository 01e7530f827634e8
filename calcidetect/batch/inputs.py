"""The films of a batch: files, folders, DICOMDIRs, patterns such as ``films/*.dcm``, and CSV manifests.

A manifest is a CSV file with a header line and a column ``path``, relative to its own folder. The columns ``spacing``
(mm), ``laterality``, ``region`` and ``patient`` may follow and tell more of each film; other columns are ignored.
"""

from __future__ import annotations

import codecs
import csv
import glob
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from calcidetect.anatomy import regions
from calcidetect.errors import ConfigError, ReadError
from calcidetect.reading.dicom_spacing import MAX_PITCH_MM, MIN_PITCH_MM
from calcidetect.reading.readers import find_films, looks_like_film

StrPath = str | os.PathLike[str]
T = TypeVar("T")

_MANIFEST_SUFFIXES = {".csv", ".tsv"}
_DELIMITERS = ",;\t"
_SIDES = {"r": "R", "right": "R", "l": "L", "left": "L", "b": "B", "both": "B", "": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFilm:
    """A film, and what its user tells of it.

    Attributes
    ----------
    path
        Where the file is.
    film
        How the tables name it: the path as given or found, or relative to a root.
    spacing_mm
        Pixel pitch, used only where the file has none; None when not told.
    laterality, region, patient
        ``R``, ``L`` or ``B``; a name of `regions.NAMES`; whom the film shows. Empty when not told.
    """

    path: str
    film: str
    spacing_mm: float | None = None
    laterality: str = ""
    region: str = ""
    patient: str = ""

    @property
    def told(self) -> tuple[float | None, str, str]:
        """What decides the results besides the file and the settings."""
        return self.spacing_mm, self.laterality, self.region


def given_films(paths: StrPath | Iterable[StrPath], *, root: StrPath | None = None) -> tuple[GivenFilm, ...]:
    """List the films of a batch, each file once.

    Parameters
    ----------
    paths
        Files, folders, DICOMDIRs, patterns (``*``, ``?``, ``[…]``, ``**`` for any depth) and manifests.
    root
        Folder that film names are relative to; None: films are named as given or found.

    Raises
    ------
    ReadError
        When a pattern or manifest holds no films or can't be read; for a folder without films only where nothing else
        is given, else it becomes a failed row.
    ConfigError
        When a film does not lie below `root`.

    Examples
    --------
    >>> [film.film for film in given_films(["films/a.dcm", "films/b.png", "films/a.dcm"], root="films")]
    ['a.dcm', 'b.png']
    """
    films: dict[str, GivenFilm] = {}
    empty: dict[str, ReadError] = {}
    for path in listed_paths(paths):
        try:
            found = tuple(_films_of(Path(path)))
        except ReadError as error:
            if not os.path.isdir(path):
                raise
            empty[os.path.abspath(path)] = error
            found = (GivenFilm(path=os.fspath(path), film=os.fspath(path)),)  # a failed row; the others are scanned
        for film in found:
            films.setdefault(os.path.abspath(film.path), film)
    if empty and empty.keys() == films.keys():
        raise next(iter(empty.values()))
    return tuple(films.values()) if root is None else tuple(_below(Path(root), film) for film in films.values())


def listed_paths(paths: StrPath | Iterable[StrPath]) -> tuple[StrPath, ...]:
    """One path or several as a sequence."""
    return (paths,) if isinstance(paths, str | os.PathLike) else tuple(paths)


def _films_of(path: Path) -> Iterator[GivenFilm]:
    if path.suffix.lower() in _MANIFEST_SUFFIXES and not os.path.isdir(path):
        yield from _listed(path)
        return
    for film in find_films(_matches(path)):
        yield GivenFilm(path=os.fspath(film), film=os.fspath(film))


def _matches(path: Path) -> list[StrPath]:
    """The path itself, or what it matches when it is a pattern that no shell has expanded."""
    if not glob.has_magic(os.fspath(path)) or os.path.lexists(path):
        return [path]
    found = sorted(glob.glob(os.fspath(path), recursive=True))
    matches = [match for match in found if looks_like_film(Path(match))]
    if not matches:
        raise ReadError(f"{path} matches no film; check the pattern.")
    return [*matches]


def _below(root: Path, film: GivenFilm) -> GivenFilm:
    absolute, top = Path(os.path.abspath(film.path)), Path(os.path.abspath(root))
    if not absolute.is_relative_to(top):
        raise ConfigError(f"{film.path} does not lie below {root}; give a --root that holds every film.")
    return replace(film, film=absolute.relative_to(top).as_posix())


# --- manifests --------------------------------------------------------------------------------------------------------


def _listed(path: Path) -> Iterator[GivenFilm]:
    try:
        with path.open(encoding=_encoding(path), errors="surrogateescape", newline="") as file:
            rows = list(_rows(file))
    except (OSError, UnicodeError, csv.Error) as error:
        raise ReadError(f"{path} can't be read as a manifest: {getattr(error, 'strerror', None) or error}.") from error
    if not rows or "path" not in rows[0][1]:
        raise ReadError(f"{path} is no manifest of films; its first line must name a column 'path', with films below.")
    seen: dict[str, GivenFilm] = {}
    for line, cells in rows:
        film = _manifest_film(cells, place=f"{path}, line {line}", folder=path.parent)
        if seen.setdefault(film.path, film) != film:
            raise ReadError(f"{path}, line {line}, tells something else of {film.path} than a line before; keep one.")
        yield film


def _encoding(path: Path) -> str:
    """UTF-8, or UTF-16 where the file begins as a spreadsheet's Unicode text does."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"


def _rows(file: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column of the lines that hold something; column names in lower case."""
    lines = iter(file)
    header = next(lines, "")
    delimiter = max(_DELIMITERS, key=header.count)
    names = [name.strip().lower().removesuffix("_mm") for name in next(csv.reader([header], delimiter=delimiter), [])]
    table = csv.reader(lines, delimiter=delimiter, strict=True)
    for cells in table:
        if any(cell.strip() for cell in cells):
            yield table.line_num + 1, dict(zip(names, (cell.strip() for cell in cells), strict=False))


def _manifest_film(cells: dict[str, str], *, place: str, folder: Path) -> GivenFilm:
    if not cells.get("path"):
        raise ReadError(f"{place}, names no film; fill in its path or take the line out.")
    if "\0" in cells["path"]:
        raise ReadError(f"{place}, names a film with a NUL in its path; save the manifest again as text.")
    path = os.fspath(folder / cells["path"])
    return GivenFilm(
        path=path,
        film=path,
        spacing_mm=_cell(cells, "spacing", place, _spacing, f"a pixel pitch of {MIN_PITCH_MM} to {MAX_PITCH_MM} mm"),
        laterality=_cell(cells, "laterality", place, _side, "R, L or B") or "",
        region=_cell(cells, "region", place, _region, ", ".join(regions.NAMES)) or "",
        patient=cells.get("patient", ""),
    )


def _cell(cells: dict[str, str], column: str, place: str, understand: Callable[[str], T], wanted: str) -> T:
    text = cells.get(column, "")
    try:
        return understand(text)
    except (KeyError, ValueError) as error:
        raise ReadError(f"{place}: {column} {text!r} is not understood; give {wanted}, or nothing.") from error


def _spacing(text: str) -> float | None:
    if not text:
        return None
    spacing = float(text.replace(",", "."))
    if not MIN_PITCH_MM <= spacing <= MAX_PITCH_MM:
        raise ValueError(text)
    return spacing


def _side(text: str) -> str:
    return _SIDES[text.lower()]


def _region(text: str) -> str:
    name = text.lower().removesuffix("auto")
    if name and name not in regions.NAMES:
        raise ValueError(text)
    return name
