"""Writes synthetic films as the files a clinic would send, each with its truth beside it.

Chest films are DICOM DX, shoulders DICOM CR of the other polarity, wrists PNG without a pixel spacing.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    JPEGLSLossless,
    generate_uid,
)

from calcidetect.errors import ConfigError, OutputError
from calcidetect.phantom import KINDS, Phantom, make_phantom

SAMPLE_SPACING_MM = {"chest": 0.25, "shoulder": 0.2, "wrists": 0.18}
"""Coarser than a clinic's films, to keep the files small; far below the smallest deposit all the same."""
FULL_SCALE = 4095
CONTENT_DATE = "20000101"
"""Fixed, so that the same seed writes the same bytes."""
PATIENT = "Phantom"
"""Made-up family name and identifier."""


def write_samples(
    out_dir: Path | str, *, kinds: Iterable[str], seed: int = 0, count: int = 1, bone_masks: bool = False
) -> tuple[Path, ...]:
    """Write `count` films of each kind, and a ``<name>.truth.json`` for each.

    Parameters
    ----------
    out_dir
        Folder, made if it does not exist.
    kinds
        ``chest``, ``shoulder``, ``wrists``.
    seed
        Seed of the first film of each kind; the next film has the next seed.
    count
        Films per kind.
    bone_masks
        Write ``<name>.bone.png`` too: uint8, 255 where the beam met bone.

    Returns
    -------
    tuple of Path
        The films written.

    Raises
    ------
    OutputError
        When the folder can't be made or a file can't be written.
    ConfigError
        For an unknown kind, or a count below 1, before anything is written.
    """
    folder = Path(out_dir)
    kinds = tuple(kinds)
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise ConfigError(f"A film's kind must be one of {', '.join(KINDS)}, got {unknown[0]!r}.")
    if count < 1:
        raise ConfigError(f"The number of films of each kind must be 1 or more, got {count}.")
    films = []
    for kind in kinds:
        for number in range(count):
            film = make_phantom(kind, seed=seed + number, spacing_mm=SAMPLE_SPACING_MM[kind])
            films.append(_write_film(film, folder, f"{kind}_{number + 1:02d}", bone_masks=bone_masks))
    return tuple(films)


def _write_film(film: Phantom, folder: Path, name: str, *, bone_masks: bool) -> Path:
    path = folder / f"{name}{'.png' if film.kind == 'wrists' else '.dcm'}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if film.kind == "wrists":
            path.write_bytes(_png(np.round(film.pixels * (255 / FULL_SCALE)).astype(np.uint8)))
        else:
            dicom_film(film).save_as(path, enforce_file_format=True)
        (folder / f"{name}.truth.json").write_text(
            json.dumps(truth(film, path.name), indent=1) + "\n", encoding="utf-8"
        )
        if bone_masks:
            (folder / f"{name}.bone.png").write_bytes(_png(film.bone.astype(np.uint8) * 255))
    except OSError as error:
        raise OutputError(
            f"{error.filename or path} can't be written: {error.strerror}; choose another folder."
        ) from error
    return path


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    return bytes(imagecodecs.png_encode(pixels, level=9))


def truth(film: Phantom, file_name: str) -> dict[str, Any]:
    """Return what is known of a film as plain values for JSON; boxes and centres are in pixels of the file."""
    rows, cols = film.pixels.shape
    return {
        "film": file_name,
        "kind": film.kind,
        "seed": film.seed,
        "rows": rows,
        "cols": cols,
        "spacing_mm": film.spacing_mm,
        "deposits": [_rounded(dataclasses.asdict(deposit)) for deposit in film.deposits],
    }


def _rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 3) if isinstance(value, float) else value for key, value in values.items()}


def dicom_film(film: Phantom) -> FileDataset:
    """Return a phantom as DICOM: DX, MONOCHROME2 for a chest; CR, MONOCHROME1 for anything else. JPEG-LS lossless."""
    is_chest = film.kind == "chest"
    data = _file_frame(film, DigitalXRayImageStorageForPresentation if is_chest else ComputedRadiographyImageStorage)
    _add_patient_and_study(data, film)
    _add_pixels(data, film.pixels if is_chest else FULL_SCALE - film.pixels, inverted=not is_chest)
    if is_chest:
        _add_chest_view(data, film)
    else:
        _add_shoulder_view(data, film)
    return data


def _uid(film: Phantom, level: str) -> UID:
    return generate_uid(entropy_srcs=["calcidetect phantom", film.kind, str(film.seed), str(film.spacing_mm), level])


def _file_frame(film: Phantom, sop_class: UID) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = _uid(film, "image")
    meta.TransferSyntaxUID = JPEGLSLossless
    data = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID = sop_class
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    return data


def _add_patient_and_study(data: Dataset, film: Phantom) -> None:
    data.PatientName = f"{PATIENT}^{film.kind.capitalize()}"
    data.PatientID = f"{PATIENT.upper()}-{film.kind.upper()}-{film.seed}"
    data.PatientBirthDate = ""
    data.PatientSex = "O"
    data.StudyInstanceUID = _uid(film, "study")
    data.SeriesInstanceUID = _uid(film, "series")
    data.StudyDate = data.SeriesDate = data.AcquisitionDate = data.ContentDate = CONTENT_DATE
    data.StudyTime = data.SeriesTime = data.AcquisitionTime = data.ContentTime = "120000"
    data.StudyID = "1"
    data.SeriesNumber = data.InstanceNumber = 1
    data.AccessionNumber = data.ReferringPhysicianName = ""
    data.Manufacturer = "calcidetect"
    data.ManufacturerModelName = "synthetic film"
    data.SeriesDescription = f"Synthetic {film.kind}, not a patient"
    data.BurnedInAnnotation = "NO"
    data.ImageType = ["DERIVED", "PRIMARY"]


def _add_pixels(data: Dataset, pixels: npt.NDArray[np.uint16], *, inverted: bool) -> None:
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel = 1
    data.PhotometricInterpretation = "MONOCHROME1" if inverted else "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.PixelIntensityRelationship = "LOG"
    data.PixelIntensityRelationshipSign = 1 if inverted else -1
    data.PresentationLUTShape = "INVERSE" if inverted else "IDENTITY"
    data.RescaleIntercept, data.RescaleSlope, data.RescaleType = "0", "1", "US"
    data.WindowCenter, data.WindowWidth = "2048", "4096"
    data.LossyImageCompression = "00"
    data.PixelData = encapsulate([bytes(imagecodecs.jpegls_encode(np.ascontiguousarray(pixels)))])
    data["PixelData"].is_undefined_length = True
    data["PixelData"].VR = "OB"


def _add_chest_view(data: Dataset, film: Phantom) -> None:
    region = Dataset()
    region.CodeValue, region.CodingSchemeDesignator, region.CodeMeaning = "51185008", "SCT", "Chest"
    data.AnatomicRegionSequence = [region]
    data.AcquisitionContextSequence = []
    data.Modality = "DX"
    data.PresentationIntentType = "FOR PRESENTATION"
    data.BodyPartExamined, data.ViewPosition, data.ImageLaterality = "CHEST", "PA", "U"
    data.PatientOrientation = ["L", "F"]
    data.ImagerPixelSpacing = [film.spacing_mm, film.spacing_mm]
    data.DetectorType = "SCINTILLATOR"
    data.KVP = "120"


def _add_shoulder_view(data: Dataset, film: Phantom) -> None:
    data.Modality = "CR"
    data.BodyPartExamined, data.ViewPosition, data.Laterality = "SHOULDER", "AP", "R"
    data.PatientOrientation = ["L", "F"]
    data.PixelSpacing = [film.spacing_mm, film.spacing_mm]
    data.KVP = "75"
    data.CassetteOrientation = "PORTRAIT"
