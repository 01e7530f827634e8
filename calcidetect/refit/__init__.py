"""Fit the scorer's leaves anew on what readers have decided, and tell on films held out whether that is any better."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from calcidetect.candidates.score import tables_of
from calcidetect.refit.leaves import refitted
from calcidetect.refit.material import read_films
from calcidetect.refit.trial import Trial, held_out
from calcidetect.review.run_folder import RunFolder, is_run_folder
from calcidetect.trees import tables_json
from calcidetect.writers import write_bytes


def refit_scores(
    folders: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trial:
    """Fit the leaves of the scorer's tables on readers' decisions, and write tables for the setting ``score.tables``.

    Parameters
    ----------
    folders
        Results with decisions; films that are not marked as reviewed are left out. All of one run's settings.
    out
        JSON file for the tables.
    root
        Folder that the film names of the runs are relative to.
    progress
        Called after each film that was scanned again.

    Returns
    -------
    Trial
        Figures on held-out films, before and after.

    Raises
    ------
    EvaluationError
        When no film is reviewed, or nothing on them tells deposits from others.
    CalcidetectError
        When a folder can't be read, or the tables can't be written.
    """
    for folder in folders:
        if is_run_folder(Path(folder)):
            RunFolder(Path(folder), root=None if root is None else Path(root)).refuse_to_replace(Path(out))
    films, left_out, config = read_films([Path(folder) for folder in folders], root=root, progress=progress)
    shipped = tables_of(config.score.tables)
    trial = held_out(films, shipped, scored_by=partial(tables_of, config.score.tables), left_out=left_out)
    write_bytes(Path(out), tables_json(refitted(shipped, films)).encode("ascii"))
    return trial
