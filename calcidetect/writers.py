"""What is written of a scan: a table of output formats, and the rows of ``films.csv`` and ``candidates.csv``.

A format is a line of `FORMATS`: its name, the suffix of its file and a function from a scan to the file's bytes.
Nothing is measured here.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import importlib.util
import io
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calcidetect import dicom_out, ops
from calcidetect.arrays import Mask
from calcidetect.errors import ConfigError, OutputError
from calcidetect.overlay import draw_scan, encode_png
from calcidetect.types import Candidate, Report, Scan

Row = dict[str, str]

FILM_COLUMNS = (
    "film",
    "status",
    "error",
    "region",
    "laterality",
    "rows",
    "cols",
    "spacing_mm",
    "spacing_source",
    "n_candidates",
    "burden_mm2",
    "seconds",
    "flags",
)
CANDIDATE_COLUMNS = (
    "film",
    "id",
    "score",
    "label",
    "zone",
    "x0",
    "y0",
    "x1",
    "y1",
    "row",
    "col",
    "area_px",
    "area_mm2",
    "diameter_mm",
    "contrast_noise",
    "contrast_bone",
    "bone_distance_mm",
    "flags",
)


class Format(NamedTuple):
    """An output format: the suffix of its file, the file's bytes of a scan, and the package that it takes."""

    suffix: str
    encode: Callable[[Scan], bytes]
    package: str = ""


def write(
    scan: Scan, out: str | os.PathLike[str], *, formats: Sequence[str] = ("png",), name: str | None = None
) -> tuple[Path, ...]:
    """Write a scan into the folder `out`, one file for each format.

    Parameters
    ----------
    scan
        What `calcidetect.scan` returned.
    out
        An existing folder.
    formats
        Names out of `FORMATS`: ``png`` (the film with arrows), ``bone`` and ``calc`` (masks, uint8 0/255 in the
        film's own matrix), ``json`` (the report); as DICOM, with the extra ``dicom``: ``sr`` (structured report),
        ``sc`` (the film with arrows), ``seg`` (masks), ``gsps`` (arrows as a presentation state).
    name
        First part of the file names; without it the film's name less its suffix.

    Returns
    -------
    tuple of Path
        The files written, in the order of `formats`.

    Raises
    ------
    ConfigError
        For an unknown format, or one whose package isn't installed.
    OutputError
        When a file can't be written; for a DICOM format also when the film's own file lacks what it takes.
    """
    check_formats(formats)
    stem = Path(scan.report.source.path).stem if name is None else name
    paths = tuple(Path(out) / f"{stem}{FORMATS[form].suffix}" for form in formats)
    for form, path in zip(formats, paths, strict=True):
        write_bytes(path, FORMATS[form].encode(scan))
    return paths


def check_formats(formats: Iterable[str]) -> None:
    """Raise ConfigError for the first name that is no format, or whose package isn't installed."""
    formats = tuple(formats)
    if unknown := [name for name in formats if name not in FORMATS]:
        raise ConfigError(f"There is no output format {unknown[0]!r}; choose from {', '.join(FORMATS)}, none.")
    for name in formats:
        package = FORMATS[name].package
        if package and importlib.util.find_spec(package) is None:
            raise ConfigError(f"The format {name} takes {package}; install it with pip install 'calcidetect[dicom]'.")


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a reader never meets half of it.

    Raises
    ------
    OutputError
        When the file can't be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink()
        raise OutputError(f"{path} can't be written: {error.strerror}.") from error


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows as a CSV file with a header line, in UTF-8."""
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    # File names that are no UTF-8 come out of the table byte for byte as they went in.
    write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))


def read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """Read the rows of a table written by `write_table`.

    Raises
    ------
    ConfigError
        When it is no such table.
    """
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            table = csv.DictReader(file, strict=True)
            if tuple(table.fieldnames or ()) != tuple(columns):
                raise ConfigError(f"{path} is no table of calcidetect; choose another folder for the results.")
            return list(table)
    except (OSError, csv.Error) as error:
        raise ConfigError(f"{path} can't be read as a table: {error}.") from error


def film_row(report: Report, *, film: str, seconds: float) -> Row:
    """Row of ``films.csv`` of a film that was scanned."""
    rows, cols = report.grid.source_shape
    return _row(
        FILM_COLUMNS,
        film=film,
        status="ok",
        region=report.region,
        laterality=report.laterality,
        rows=rows,
        cols=cols,
        spacing_mm=report.grid.spacing_mm,
        spacing_source=report.grid.spacing_source,
        n_candidates=len(report.candidates),
        burden_mm2=report.burden_mm2,
        seconds=seconds,
        flags=report.flags,
    )


def failed_row(film: str, *, error: str, seconds: float) -> Row:
    """Row of ``films.csv`` of a film that could not be scanned."""
    return _row(FILM_COLUMNS, film=film, status="failed", error=error, seconds=seconds)


def candidate_row(candidate: Candidate, *, film: str) -> Row:
    """Row of ``candidates.csv`` of one candidate."""
    values = {name: getattr(candidate, name) for name in CANDIDATE_COLUMNS if name != "film"}
    return _row(CANDIDATE_COLUMNS, film=film, **values)


def _row(columns: Sequence[str], **values: Any) -> Row:
    return {column: _cell(values.get(column)) for column in columns}


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float | np.floating) and not math.isfinite(value)):
        return ""
    if isinstance(value, float | np.floating):
        return format(round(float(value), 4), ".12g")
    if isinstance(value, tuple):
        return ";".join(value)
    return str(value)


def _encode_overlay(scan: Scan) -> bytes:
    return encode_png(draw_scan(scan))


def _encode_bone(scan: Scan) -> bytes:
    return _encode_mask(scan, scan.anatomy.bone)


def _encode_marks(scan: Scan) -> bytes:
    return _encode_mask(scan, np.isin(scan.labels, [mark.id for mark in scan.report.marks]))


def _encode_mask(scan: Scan, mask: Mask) -> bytes:
    in_source = ops.resize_mask(mask, scan.radiograph.grid.source_shape)
    return _png(np.where(in_source, 255, 0).astype(np.uint8))


def _encode_report(scan: Scan) -> bytes:
    return (json.dumps(_plain(scan.report), indent=2) + "\n").encode("ascii")


def _png(image: npt.NDArray[np.uint8]) -> bytes:
    done, data = cv2.imencode(".png", image)
    if not done:
        raise OutputError(f"A picture of {image.shape[0]} x {image.shape[1]} pixels can't be written as PNG.")
    return data.tobytes()


def _plain(value: Any) -> Any:
    """Records, mappings, tuples and NumPy scalars as JSON knows them; numbers that are not finite as null."""
    if dataclasses.is_dataclass(value):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else None  # as many digits as the film's float32 has
    return value


FORMATS: Mapping[str, Format] = {
    "png": Format(".overlay.png", _encode_overlay),
    "bone": Format(".bone.png", _encode_bone),
    "calc": Format(".calc.png", _encode_marks),
    "json": Format(".json", _encode_report),
    "sr": Format(".sr.dcm", partial(dicom_out.encode, "sr"), "highdicom"),
    "sc": Format(".sc.dcm", partial(dicom_out.encode, "sc"), "highdicom"),
    "seg": Format(".seg.dcm", partial(dicom_out.encode, "seg"), "highdicom"),
    "gsps": Format(".gsps.dcm", partial(dicom_out.encode, "gsps"), "highdicom"),
}
