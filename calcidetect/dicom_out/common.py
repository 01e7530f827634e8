"""What all DICOM results share: who made them, their UIDs, and coordinates as DICOM counts them."""

from __future__ import annotations

import io
import uuid
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

from calcidetect import __version__
from calcidetect.reading.dicom_reader import OWN_MODEL
from calcidetect.types import Report

# High, so that viewers list them below the films; one for each kind, always the same.
_SERIES_NUMBERS = {"sr": 901, "sc": 902, "seg": 903, "gsps": 904, "reading": 905}
_SERIES_DESCRIPTIONS = {
    "sr": "calcidetect report (unverified) NOT FOR DIAGNOSIS",
    "sc": "calcidetect overlay (unverified) NOT FOR DIAGNOSIS",
    "seg": "calcidetect masks (unverified) NOT FOR DIAGNOSIS",
    "gsps": "calcidetect arrows (unverified) NOT FOR DIAGNOSIS",
    "reading": "calcidetect marks, read and verified",
}
DESCRIPTION = "Candidate calcification, unverified, not for diagnosis"
CREATOR = "calcidetect^"
"""As a person's name; the caret says that it has no given name."""


def uid(report: Report, *words: str) -> str:
    """UID that depends on the film, the program's version, how it was set, and `words`; below the root for UUIDs."""
    recipe = (
        report.source.sop_uid,
        report.source.pixel_hash,
        __version__,
        report.settings_hash,
        report.region,
        f"{report.min_score:.9g}",
        f"{report.grid.spacing_mm}",
        *words,
    )
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '|'.join(recipe)).int}"


def identity(report: Report, kind: str, *words: str) -> dict[str, Any]:
    """Arguments that every constructor of highdicom takes: series, instance (by `words` too), and who made it."""
    return {
        "series_instance_uid": uid(report, kind, "series"),
        "series_number": _SERIES_NUMBERS[kind],
        "sop_instance_uid": uid(report, kind, *words),
        "instance_number": 1,
        "series_description": _SERIES_DESCRIPTIONS[kind],
        "manufacturer": OWN_MODEL,
        "manufacturer_model_name": OWN_MODEL,
        "software_versions": __version__,
    }


def algorithm(report: Report) -> dict[str, Any]:
    """Name, version and the settings that decided the result, as text."""
    return {
        "name": OWN_MODEL,
        "version": __version__,
        "parameters": [
            f"region {report.region}",
            f"lowest score {report.min_score:.4g}",
            f"pixel spacing {report.grid.spacing_source}",
            f"settings {report.settings_hash}",
        ],
    }


def to_image(points: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Turn ``(row, col)`` with pixel centres at integers to DICOM's ``(column, row)`` from the first pixel's corner."""
    return np.asarray(points, np.float64).reshape(-1, 2)[:, ::-1] + 0.5


def to_bytes(dataset: Dataset) -> bytes:
    """The dataset as a file."""
    dataset.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    dataset.file_meta.ImplementationVersionName = f"{OWN_MODEL} {__version__}"[:16]
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
