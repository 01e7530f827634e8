"""The reading page: a local server for one run's films, on which readers accept, reject, move and draw marks.

`run_folder` is the run as the journal has it, `decisions` the audit trail beside it, `marks` what both amount to;
`pictures` are the films. `guard` lets in this machine's browser alone, `app` answers it, `exports` writes what was
decided.
"""

from __future__ import annotations

import glob
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from calcidetect.batch.film_task import Recipe
from calcidetect.batch.run import scan_films
from calcidetect.config import Config
from calcidetect.errors import ConfigError, ReadError
from calcidetect.review.run_folder import RunFolder, is_run_folder

DEFAULT_OUT = "review-results"
"""Folder, below the one that the command was started in, that films are scanned into when none is given."""

SCAN_MIN_SCORE = 0.05
"""Least score of candidates that are kept for the page's threshold, when it scans films itself: 20 to 60 a film."""

StrPath = str | os.PathLike[str]


def opened_run(
    paths: Sequence[StrPath],
    *,
    out: StrPath | None = None,
    root: StrPath | None = None,
    config: Config | None = None,
    **way: Any,
) -> RunFolder:
    """The run that a page is to show: a folder of results as it is, or films, which are scanned first.

    Parameters
    ----------
    paths
        One folder that `scan_many` has written; or films, folders, DICOMDIRs, patterns and manifests.
    out
        Folder that films are scanned into; None for `DEFAULT_OUT`. What it holds of the same films is kept.
    root
        Folder that the film names of a run are relative to.
    config
        Settings of a scan.
    way
        Of a scan: ``jobs`` and ``progress`` of `scan_many`.

    Raises
    ------
    ConfigError
        When `out` is given with a folder of results, or holds results of other settings, or a path is not there.
    ReadError
        When no film could be scanned.
    CalcidetectError
        When the films can't be scanned for another reason, such as a full disk.
    """
    check_library()
    runs = [path for path in map(Path, paths) if is_run_folder(path)]
    below = None if root is None else Path(root)
    if not runs:
        _check_there(paths)
        folder = Path(DEFAULT_OUT if out is None else out)
        recipe = Recipe(config=config or Config(), min_score=SCAN_MIN_SCORE, formats=("bone",))
        results = scan_films(list(paths), folder, recipe=recipe, root=root, resume=is_run_folder(folder), **way)
        if not any(result.ok for result in results):
            raise ReadError(" ".join(["No film could be scanned:", *(result.film["error"] for result in results[:1])]))
        return RunFolder(folder, root=below)
    if len(paths) > 1:
        raise ConfigError(f"{runs[0]} holds results; open one folder of results at a time, or films alone.")
    if out is not None:
        raise ConfigError(f"{runs[0]} holds results, so nothing is scanned; leave --out away.")
    return RunFolder(runs[0], root=below)


def _check_there(paths: Sequence[StrPath]) -> None:
    """A mistyped folder would be taken for a film that can't be read."""
    for path in [os.fspath(path) for path in paths]:
        if not os.path.lexists(path) and not glob.has_magic(path):
            raise ConfigError(f"{path} is not there; give a folder that calcidetect scan wrote, or films.")


def check_library() -> None:
    """Raise ConfigError when the libraries of the extra ``review`` are not installed."""
    missing = [name for name in ("starlette", "uvicorn") if not importlib.util.find_spec(name)]
    if missing:
        raise ConfigError(
            f"The reading page needs {missing[0]}, which is not installed; install it with: "
            "pip install 'calcidetect[review]'."
        )
