"""Names of output files: short, distinct, and fit for every file system."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

_UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = {"run", "coco"}  # run.json and coco.json are of all films


def output_names(films: Sequence[str]) -> dict[str, str]:
    """First part of the names of each film's files: its stem, or its path where several films share a stem."""
    parts = {film: Path(os.path.abspath(film)).parts for film in films}
    levels = zip(*(folder for *folder, _ in parts.values()), strict=False)
    shared = sum(1 for _ in takewhile(lambda level: len(set(level)) == 1, levels))
    stems = Counter(_file_name(Path(film).stem) for film in films)
    names: dict[str, str] = {}
    taken = set(_RESERVED)
    for film in films:
        stem = _file_name(Path(film).stem)
        name = stem if stems[stem] == 1 else _file_name("_".join(parts[film][shared:]))
        names[film] = _untaken(name, taken)
        taken.add(names[film].casefold())
    return names


def _file_name(text: str) -> str:
    return _UNFIT.sub("_", text)


def _untaken(name: str, taken: set[str]) -> str:
    """The name itself, or with the first free number behind it; upper and lower case count as equal."""
    numbered = (f"{name}-{number}" for number in range(2, len(taken) + 3))
    return next(text for text in (name, *numbered) if text.casefold() not in taken)
