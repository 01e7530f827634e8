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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from calcidetect import dicom_out, ops
from calcidetect.arrays import Mask
from calcidetect.batch.names import film_stem
from calcidetect.drawing.overlay import draw_scan, encode_png
from calcidetect.drawing.view import display_window
from calcidetect.errors import ConfigError, OutputError
from calcidetect.formats import imagej, labelme, slicer
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


_THUMBNAIL_PX = 144  # longer side; twice the height of a row of the gallery, for fine screens
_THUMBNAIL_QUALITY = 70  # of JPEG: 3 kB


_EXTRAS = dict.fromkeys(dicom_out.KINDS, "dicom")  # of the package, where it isn't named as the format


class Format(NamedTuple):
    """An output format: the suffix of its file, the file's bytes of a scan, and the extra library that it needs."""

    suffix: str
    encode: Callable[[Scan], bytes]
    library: str = ""


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
        film's own matrix), ``json`` (the report), ``slicer``, ``imagej``, ``labelme`` (outlines of candidates); as
        DICOM, with the extra ``dicom``: ``sr`` (structured report), ``sc`` (the film with arrows), ``seg`` (masks),
        ``gsps`` (arrows as a presentation state).
    name
        First part of the file names; without it the film's name less its suffix (a UID is left whole).

    Returns
    -------
    tuple of Path
        The files written, in the order of `formats`.

    Raises
    ------
    ConfigError
        For an unknown format, or one whose library is not installed.
    OutputError
        When a file can't be written; for a DICOM format also when the film's own file lacks what it takes.
    """
    check_formats(formats)
    stem = film_stem(scan.report.source.path) if name is None else name
    paths = tuple(Path(out) / f"{stem}{FORMATS[form].suffix}" for form in formats)
    for form, path in zip(formats, paths, strict=True):
        write_bytes(path, FORMATS[form].encode(scan))
    return paths


def check_formats(formats: Iterable[str], *, also: Mapping[str, str] = {}) -> None:
    """Raise ConfigError for the first name that is no format, or whose library is not installed.

    `also` holds the names of formats that are written elsewhere, and their libraries.
    """
    libraries = {name: form.library for name, form in FORMATS.items()} | dict(also)
    for name in formats:
        if name not in libraries:
            raise ConfigError(f"There is no output format {name!r}; choose from {', '.join(libraries)}, none.")
        library = libraries[name]
        if library and not importlib.util.find_spec(library):
            raise ConfigError(
                f"The output format {name} needs {library}, which is not installed; "
                f"install it with: pip install 'calcidetect[{_EXTRAS.get(name, name)}]'."
            )


def make_folder(folder: Path) -> None:
    """Make a folder for results unless it is there.

    Raises
    ------
    OutputError
        When it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} can't be made: {error.strerror}; choose another.") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: a reader never meets half of it.

    Raises
    ------
    OutputError
        When the file can't be written.
    """
    with whole_file(path) as file:
        file.write(data)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of an old one when it is complete and on the disk, and not before.

    Raises
    ------
    OutputError
        When the file can't be written, or something else than a file has its name.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise OutputError(f"{path} is no file and can't be replaced; give the name of one.")
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave an empty file under the new name
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path} can't be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_table(path: Path, columns: Sequence[str], *, rows: Iterable[Row]) -> None:
    """Write rows as a CSV file with a header line, in UTF-8."""
    # File names that are no UTF-8 come out of the table byte for byte as they went in.
    with whole_file(path) as file:
        text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(columns)
        table.writerows([row[column] for column in columns] for row in rows)
        text.detach()


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
    values["flags"] = (*((candidate.look,) if candidate.look else ()), *candidate.flags)
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


def thumbnail(scan: Scan) -> bytes:
    """Return the film without marks as a small JPEG of the display window, for a table of films."""
    grey = display_window(scan.working, scan.field.mask)
    factor = min(1.0, _THUMBNAIL_PX / max(grey.shape))
    shape = (max(1, round(grey.shape[0] * factor)), max(1, round(grey.shape[1] * factor)))
    small = ops.resize_area(grey.astype(np.float32), shape).round().astype(np.uint8)
    _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, _THUMBNAIL_QUALITY])
    return data.tobytes()


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
    """Compress a mask by OpenCV: in 0.6 of the time of `encode_png` and 0.8 of its size, unlike pictures of films."""
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
    "slicer": Format(".mrk.json", slicer.encode),
    "imagej": Format(".roi.zip", imagej.encode, "roifile"),
    "labelme": Format(".labelme.json", labelme.encode),
    "sr": Format(".sr.dcm", partial(dicom_out.encode, "sr"), "highdicom"),
    "sc": Format(".sc.dcm", partial(dicom_out.encode, "sc"), "highdicom"),
    "seg": Format(".seg.dcm", partial(dicom_out.encode, "seg"), "highdicom"),
    "gsps": Format(".gsps.dcm", partial(dicom_out.encode, "gsps"), "highdicom"),
}

ENDINGS = ("", *(form.suffix for form in FORMATS.values()))
"""Behind the first part of the names of a film's files, in whatever formats: for `output_names`."""
