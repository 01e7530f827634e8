"""One film of a batch: what a worker is told, what it does, and what it answers."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calcidetect import __version__, dicom_out, pipeline, writers
from calcidetect.anatomy import regions
from calcidetect.batch.inputs import GivenFilm
from calcidetect.batch.journal import Footing
from calcidetect.batch.results import FilmResult
from calcidetect.batch.run_files import RUN_FORMATS
from calcidetect.candidates.score import check_min_score, tables_of
from calcidetect.config import Config
from calcidetect.errors import CalcidetectError, ConfigError, NotForDicom
from calcidetect.formats.shapes import flat_outline
from calcidetect.reading import readers
from calcidetect.types import Scan

_MAX_ERROR_LENGTH = 400
_OPENCV_NO_MEMORY = -4  # code of OpenCV's errors


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How each film of a run is scanned, and what is written of it."""

    config: Config = Config()
    region: str = "auto"
    spacing_mm: float | None = None
    min_score: float | None = None
    formats: tuple[str, ...] = ("png",)
    keep_identifiers: bool = False

    def __post_init__(self) -> None:
        writers.check_formats(self.formats, also=RUN_FORMATS)
        if self.region != "auto":
            regions.get(self.region)
        readers.check_spacing(self.spacing_mm)
        check_min_score(self.min_score)
        if self.config.score.tables:  # told once, before anything is done, and not of each film
            tables_of(self.config.score.tables)

    def record(self) -> dict[str, Any]:
        """Everything that decides the results, as JSON knows it."""
        return {
            "version": __version__,
            "region": self.region,
            "spacing_mm": self.spacing_mm,
            "min_score": self.min_score,
            "formats": list(self.formats),
            "keep_identifiers": self.keep_identifiers,
            "settings_hash": self.config.hash,
            "settings": self.config.flat(),
        }

    @property
    def film_formats(self) -> tuple[str, ...]:
        """The formats that are written of each film alone."""
        return tuple(name for name in self.formats if name in writers.FORMATS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One film of a run, as a worker needs to know it."""

    film: GivenFilm
    position: int
    footing: Footing
    out: str
    recipe: Recipe
    version: str = __version__


def scan_film(task: Task) -> FilmResult:
    """Scan one film and write its files, in whatever process this is; trouble becomes a failed row."""
    started = time.perf_counter()
    film, recipe, path = task.film, task.recipe, os.path.abspath(task.film.path)
    try:
        _check_version(task.version)
        file_hash = hash_of_file(path)  # before it is read: what changes in between is noticed by the next resumed run
        scan = pipeline.scan(
            path,
            config=recipe.config,
            region=film.region or recipe.region,
            laterality=film.laterality,
            spacing_mm=film.spacing_mm or recipe.spacing_mm,
            min_score=recipe.min_score,
        )
        source = dataclasses.replace(scan.report.source, path=film.film)
        scan = dataclasses.replace(scan, report=dataclasses.replace(scan.report, source=source))
        scan, missing = _write(scan, task, path)
        result = _result(scan, task, file_hash=file_hash, seconds=time.perf_counter() - started)
        return dataclasses.replace(result, film=result.film | {"error": _in_a_line(missing.values(), film, path)})
    except Exception as error:  # the one place that may: a film must not stop the others
        sentence = _in_a_line([in_words(error)], film, path)
        return failed_result(task, sentence, seconds=time.perf_counter() - started)


def _in_a_line(sentences: Iterable[str], film: GivenFilm, path: str) -> str:
    """Each sentence once, naming the film as the tables do."""
    return " ".join(" ".join(dict.fromkeys(sentences)).replace(path, film.film).split())[:_MAX_ERROR_LENGTH]


def lacking(form: str) -> str:
    """Flag of a film of which a DICOM format can't be made."""
    return f"no_{form}"


def _write(scan: Scan, task: Task, path: str) -> tuple[Scan, dict[str, str]]:
    """Write the film's files; those that are DICOM take patient and study from the film itself, at `path`.

    Returns
    -------
    scan
        With flags for the DICOM formats that can't be made of this film.
    missing
        These formats, and why.
    """
    formats, missing = task.recipe.film_formats, {}
    source = dataclasses.replace(scan.report.source, path=path)
    there = dataclasses.replace(scan, report=dataclasses.replace(scan.report, source=source))
    for kind in (form for form in formats if form in dicom_out.KINDS):
        try:
            writers.write(there, task.out, formats=[kind], name=task.footing.name)
        except NotForDicom as error:
            missing[kind] = str(error)
            of_before = Path(task.out, f"{task.footing.name}{writers.FORMATS[kind].suffix}")
            of_before.unlink(missing_ok=True)
    flags = scan.report.flags + tuple(map(lacking, missing))
    scan = dataclasses.replace(scan, report=dataclasses.replace(scan.report, flags=flags))
    others = [form for form in formats if form not in dicom_out.KINDS]
    writers.write(scan, task.out, formats=others, name=task.footing.name)
    return scan, missing


def _check_version(wanted: str) -> None:
    if wanted != __version__:
        raise ConfigError(f"This worker has calcidetect {__version__}, the run {wanted}; install the same everywhere.")


def hash_of_file(path: str) -> str:
    """SHA-256 of a file's content, hexadecimal, at a gigabyte a second; empty when it can't be read."""
    if not os.path.isfile(path):  # a pipe or a device may never end
        return ""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # the reader says what is wrong with it
        return ""


def _result(scan: Scan, task: Task, *, file_hash: str, seconds: float) -> FilmResult:
    film, report, formats = task.film.film, scan.report, task.recipe.formats
    return FilmResult(
        film=writers.film_row(report, film=film, seconds=seconds),
        candidates=tuple(writers.candidate_row(item, film=film) for item in report.candidates),
        name=task.footing.name,
        pixel_hash=report.source.pixel_hash,
        file_hash=file_hash,
        patient=_patient(task),
        outlines=tuple(flat_outline(item) for item in report.candidates),
        reasons=tuple(item.reasons for item in report.candidates),
        thumbnail=writers.thumbnail(scan) if formats else b"",
    )


def _patient(task: Task) -> str:
    if not task.recipe.keep_identifiers:
        return ""
    return task.film.patient or readers.patient_of(task.film.path)


def failed_result(task: Task, error: str, *, seconds: float = 0.0) -> FilmResult:
    """Result of a film that was not scanned, and why."""
    return FilmResult(
        film=writers.failed_row(task.film.film, error=error, seconds=seconds),
        patient=task.film.patient if task.recipe.keep_identifiers else "",
    )


def in_words(error: Exception) -> str:
    """What went wrong; for an error that nobody foresaw, with its place."""
    if isinstance(error, CalcidetectError):
        return str(error)
    if isinstance(error, MemoryError) or getattr(error, "code", None) == _OPENCV_NO_MEMORY:
        return "The film needs more memory than there is."
    frames = traceback.extract_tb(error.__traceback__)
    place = [frame for frame in frames if Path(__file__).parents[1] in Path(frame.filename).parents][-1]
    told = str(error).partition("Traceback (most recent")[0]  # a library may put it in its words
    return f"Unexpected {type(error).__name__} in {Path(place.filename).name}, line {place.lineno}: {told}"
