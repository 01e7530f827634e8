"""Candidates of reviewed films, measured again, and which of them readers took for calcification."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calcidetect import ops, pipeline
from calcidetect.anatomy import regions
from calcidetect.arrays import LabelImage
from calcidetect.candidates.label_regions import centres
from calcidetect.config import Config
from calcidetect.errors import ConfigError, EvaluationError, FieldError, ReadError
from calcidetect.evaluate import MARGIN_MM, hits, inside_any
from calcidetect.evaluation.decided import known_film
from calcidetect.review.decisions import DecisionStore
from calcidetect.review.exports import Reviewed, reviewed_films
from calcidetect.review.pictures import load_scanned
from calcidetect.review.run_folder import RunFolder, is_run_folder
from calcidetect.types import Grid

IGNORED = -2
"""Deposit of a candidate that is neither right nor wrong; -1 stands for none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JudgedCandidates:
    """The candidates of a film.

    Attributes
    ----------
    case
        Patient where the run kept it, else the film: cases are held out whole.
    region
        By whose tables the scan scored it.
    features
        Name to float32 (n,).
    deposit
        int (n,): number of the deposit on this film that each hits, -1 or `IGNORED`.
    deposits
        How many the film has.
    """

    case: str
    region: str
    features: dict[str, npt.NDArray[np.float32]]
    deposit: npt.NDArray[np.intp]
    deposits: int

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """Candidates that are right or wrong, bool (n,)."""
        return self.deposit != IGNORED


class _Place(NamedTuple):
    """Centre and box of a candidate in source pixels."""

    row: float
    col: float
    x0: int
    y0: int
    x1: int
    y1: int


def read_films(
    folders: Sequence[Path], *, root: str | os.PathLike[str] | None, progress: Callable[[int, int], None] | None
) -> tuple[list[JudgedCandidates], list[str], Config]:
    """Scan the reviewed films of runs again.

    Returns
    -------
    films, left_out, config
        Candidates of each; sentences on films that are left out; the settings of the runs.

    Raises
    ------
    ConfigError
        When the runs have different settings.
    EvaluationError
        When a folder holds no results, or no reviewed film can be scanned.
    """
    folders = list({os.path.realpath(folder): folder for folder in folders}.values())
    for folder in folders:
        if not is_run_folder(folder):
            raise EvaluationError(f"{folder} holds no results of calcidetect scan; give a folder of reviewed films.")
    runs = [RunFolder(folder, root=None if root is None else Path(root)) for folder in folders]
    config = runs[0].run().config
    if any(run.run().config != config for run in runs):
        raise ConfigError("The folders hold runs of different settings; scan the films again with the same ones.")
    read = [(run, item) for run in runs for item in reviewed_films(run, DecisionStore(run.folder))]
    done = [(run, item) for run, item in read if item.state.reviewed]
    trouble = [f"{len(read) - len(done)} films are not marked as reviewed and are left out."] * (len(read) > len(done))
    films = []
    for number, (run, item) in enumerate(done, start=1):
        try:
            films.append(_judged(run, item, config))
        except (ReadError, FieldError) as error:
            trouble.append(f"Left out: {error}")
        if progress:
            progress(number, len(done))
    if not films:
        why = trouble[-1] if done else "No film is marked as reviewed; decide on films with calcidetect review."
        raise EvaluationError(f"No reviewed film can be used. {why}")
    return films, trouble, config


def _judged(run: RunFolder, item: Reviewed, config: Config) -> JudgedCandidates:
    known, region = known_film(item), item.film.told[2] or run.run().recipe["region"]
    given = None if region == "auto" else regions.get(region)
    seen = pipeline.find_region(load_scanned(item.film, run), config, given=given)
    found = pipeline.find(*seen.upright, config=config).turned(-seen.turns)
    places = _places(found.labels, seen.working.grid)
    hit = hits(places, known.deposits, pixel_mm=known.mm_px)
    ignored = (hit < 0) & inside_any(places, known.ignore, margin=MARGIN_MM / known.mm_px)
    return JudgedCandidates(
        case=item.film.result.patient or item.film.result.pixel_hash,
        region=seen.region.name,
        features=found.features,
        deposit=np.where(ignored, IGNORED, hit),
        deposits=len(known.deposits),
    )


def _places(labels: LabelImage, grid: Grid) -> list[_Place]:
    places = []
    for (rows, cols), centre in zip(ops.label_boxes(labels), centres(labels), strict=True):
        corners = np.array([(rows.start, cols.start), (rows.stop, cols.stop)]) - 0.5
        (y0, x0), (y1, x1) = (grid.to_source(corners) + 0.5).round().astype(int).tolist()
        row, col = grid.to_source(centre).tolist()
        places.append(_Place(row, col, x0, y0, x1, y1))
    return places
