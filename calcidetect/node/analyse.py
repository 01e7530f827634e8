"""The analysing side: each film of the spool becomes results in the outbox, or a failure with its reason."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from calcidetect import dicom_out
from calcidetect.anatomy import regions
from calcidetect.batch import run as batch
from calcidetect.candidates.score import check_min_score, tables_of
from calcidetect.config import Config
from calcidetect.errors import CalcidetectError, ConfigError
from calcidetect.node import spool
from calcidetect.writers import FORMATS

MAX_TRIES = 3
"""A film in whose analysis the node died this often is put aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How films are scanned, as for `calcidetect.scan_many`, and which results are sent back."""

    config: Config = Config()
    region: str = "auto"
    min_score: float | None = None
    formats: Sequence[str] = ("sr", "sc")

    def __post_init__(self) -> None:
        if self.region != "auto":
            regions.get(self.region)
        check_min_score(self.min_score)
        if self.config.score.tables:
            tables_of(self.config.score.tables)
        strays = [name for name in self.formats if name not in dicom_out.KINDS]
        if strays or not self.formats:
            given = ", ".join(strays) or "nothing"
            raise ConfigError(f"A node sends {', '.join(dicom_out.KINDS)}, not {given}; choose from these.")


def analyse_next(root: Path, recipe: Recipe, *, executor: Executor | None = None) -> str:
    """Analyse the film that waits longest.

    The results lie in the outbox before the film is removed: killed in between, the node makes them once more.

    Parameters
    ----------
    root
        The spool.
    recipe
        How it is scanned, and what is made of it.
    executor
        Who scans it; None for a process of its own, which takes longer to start than a film to scan.

    Returns
    -------
    str
        What happened, in a sentence; empty when no film waits.

    Raises
    ------
    CalcidetectError, OSError
        When results can't be written. The film stays.
    """
    films = spool.waiting(root, spool.FILMS)
    if not films:
        return ""
    film = films[0]
    if _count_try(film) > MAX_TRIES:
        return _give_up(root, film, f"the node died {MAX_TRIES} times while analysing it")
    try:
        return _analyse(root, film, recipe, executor)
    except (CalcidetectError, OSError):  # such as a full disk: no fault of the film
        _tally(film).unlink(missing_ok=True)
        raise


def _analyse(root: Path, film: Path, recipe: Recipe, executor: Executor | None) -> str:
    work = root / spool.WORK / film.stem
    (result,) = batch.scan_many(
        film,
        work,
        config=recipe.config,
        region=recipe.region,
        min_score=recipe.min_score,
        formats=tuple(recipe.formats),
        executor=executor,
    )
    if not result.ok:
        return _give_up(root, film, result.film["error"])
    made = [path for name in recipe.formats if (path := work / f"{result.name}{FORMATS[name].suffix}").exists()]
    if not made:
        return _give_up(root, film, result.film["error"])
    for path in made:
        spool.put(root / spool.OUTBOX / path.name, path.read_bytes())
    spool.note(root, "analysed", film=film.stem, candidates=len(result.candidates))
    _remove(root, film)
    trouble = f". {result.film['error']}" if result.film["error"] else ""
    return f"{film.stem}: {len(result.candidates)} candidates{trouble}"


def _count_try(film: Path) -> int:
    """Count the tries at a film beside it, so that the count outlives the node."""
    tally = _tally(film)
    tries = len(tally.read_text()) + 1 if tally.exists() else 1
    tally.write_text("x" * tries)
    return tries


def _tally(film: Path) -> Path:
    return film.with_suffix(".tries")


def _give_up(root: Path, film: Path, reason: str) -> str:
    """Put a film aside, with the reason in a text file beside it."""
    spool.put(root / spool.FAILED / f"{film.stem}.txt", (reason + "\n").encode("utf-8"))
    spool.note(root, "failed", film=film.stem, error=reason)
    film.replace(root / spool.FAILED / film.name)
    _remove(root, film)
    return f"{film.stem}: failed. {reason}"


def _remove(root: Path, film: Path) -> None:
    film.unlink(missing_ok=True)
    _tally(film).unlink(missing_ok=True)
    shutil.rmtree(root / spool.WORK / film.stem, ignore_errors=True)
