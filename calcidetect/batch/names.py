"""Names of output files: short, distinct, and fit for every file system."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain, count, takewhile
from pathlib import Path

_UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_UID = re.compile(r"(?=.{1,64}\Z)[0-9]+(\.[0-9]+)*")
_RESERVED = {"run", "coco"}  # run.json and coco.json are of all films
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}

MOST_BYTES = 200
"""A name is cut to this, so that endings find room in the 255 bytes that file systems allow."""


def film_stem(film: str | os.PathLike[str]) -> str:
    """Name of a film's file without folders and suffix; digits after a point are part of it, as in the UID ``1.2.77``.

    Examples
    --------
    >>> film_stem("films/knee.dcm"), film_stem("films/1.2.77")
    ('knee', '1.2.77')
    """
    name = os.path.basename(film)
    stem, suffix = os.path.splitext(name)
    return name if suffix[1:].isdecimal() else stem


def as_utf8(text: str) -> str:
    """A text with names in it that need not be UTF-8, for where nothing else is taken."""
    return text.encode("utf-8", "replace").decode()


def is_uid(text: str) -> bool:
    """Whether a text from elsewhere, about to name a file, is a DICOM UID; leading zeros are let pass."""
    return _UID.fullmatch(text) is not None


def output_names(films: Sequence[str], *, endings: Sequence[str] = ("",)) -> dict[str, str]:
    """First part of the names of each film's files: its stem, or its path where several films share a stem.

    `endings` are what is put behind it to tell several files of one film apart: no two films share any of these names.
    """
    stems = {film: _file_name(film_stem(film)) for film in films}
    often = {stem for stem, times in Counter(stems.values()).items() if times > 1}
    shared = _shared_folders(films) if often else 0
    names: dict[str, str] = {}
    taken = _RESERVED | _DEVICES
    for film, stem in stems.items():
        name = stem if stem not in often else _file_name("_".join(_parts(film)[shared:]))
        names[film] = _untaken(name, taken, endings)
        taken |= _ended(names[film], endings)
    return names


def _parts(film: str) -> tuple[str, ...]:
    return Path(os.path.abspath(film)).parts


def _shared_folders(films: Sequence[str]) -> int:
    """Number of folders, from the root on, that all films lie in."""
    levels = zip(*(_parts(film)[:-1] for film in films), strict=False)
    return sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))


def _file_name(text: str) -> str:
    """A text as a name; of one that is too long the beginning, and a hash that tells it from others."""
    name = os.fsencode(_UNFIT.sub("_", text))
    if len(name) > MOST_BYTES:
        mark = f"-{hashlib.sha256(name).hexdigest()[:10]}"
        name = name[: MOST_BYTES - len(mark)].decode("utf-8", "ignore").encode() + mark.encode()
    return os.fsdecode(name)


def _untaken(name: str, taken: set[str], endings: Sequence[str] = ("",)) -> str:
    """The name itself, or with the first free number behind it; upper and lower case count as equal."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(text for text in chain([name], numbered) if taken.isdisjoint(_ended(text, endings)))


def _ended(name: str, endings: Sequence[str] = ("",)) -> set[str]:
    return {f"{name}{ending}".casefold() for ending in endings}
