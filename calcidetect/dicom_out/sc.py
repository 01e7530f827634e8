"""The overlay as a secondary capture in JPEG, which every PACS shows."""

from __future__ import annotations

import datetime

import highdicom as hd
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import JPEGBaseline8Bit
from pydicom.valuerep import DS

from calcidetect.dicom_out.common import DESCRIPTION, identity, uid
from calcidetect.dicom_out.header import file_under, film_header, side
from calcidetect.drawing.overlay import draw_scan
from calcidetect.types import Grid, Report, Scan

# Laterality must be there, even if empty, unless the body part is named and has no sides: so no side, no name.
_COPIED_WITHOUT_SIDE = ("PatientOrientation", "AnatomicalOrientationType")
_COPIED = ("BodyPartExamined", "AnatomicRegionSequence", *_COPIED_WITHOUT_SIDE)
_UNCALIBRATED = ("detector", "none")
_JPEG = "ISO_10918_1"


def secondary_capture(scan: Scan) -> Dataset:
    """Draw the marks of a scan on its film and wrap the picture as a secondary capture.

    Parameters
    ----------
    scan
        Of a DICOM film, whose file is still there; of any film with the setting ``dicom.make_study``.

    Raises
    ------
    OutputError
        When the film is no DICOM file, is gone, or lacks what a PACS files by.
    """
    report = scan.report
    header = _new_study(report) if _is_to_be_made(report) else film_header(report)
    picture = draw_scan(scan)
    capture = hd.sc.SCImage(
        pixel_array=picture,
        photometric_interpretation="YBR_FULL_422",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),  # must be one; replaced below by what the film says
        study_instance_uid=header.StudyInstanceUID,
        transfer_syntax_uid=JPEGBaseline8Bit,
        **identity(report, "sc"),
    )
    file_under(capture, header)
    _describe(capture, header, report=report, size=len(capture.PixelData), raw=picture.nbytes)
    _add_spacing(capture, report.grid)
    return capture


def _describe(capture: Dataset, header: Dataset, *, report: Report, size: int, raw: int) -> None:
    """Say that this is derived, from what and how, that it has print in it, and that it was compressed."""
    capture.ImageType = ["DERIVED", "SECONDARY"]
    capture.BurnedInAnnotation = "YES"
    capture.DerivationDescription = DESCRIPTION
    capture.LossyImageCompression = "01"
    capture.LossyImageCompressionRatio = DS(raw / size, auto_format=True)
    capture.LossyImageCompressionMethod = _JPEG
    capture.PatientOrientation = None
    capture.Laterality = side(report, header) or None
    for keyword in _COPIED if capture.Laterality else _COPIED_WITHOUT_SIDE:
        if keyword in header:
            capture[keyword] = header[keyword]
    if "SOPInstanceUID" in header:
        capture.SourceImageSequence = [_reference(header)]


def _reference(header: Dataset) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    purpose = Code("121322", "DCM", "Source of Image Processing Operation")
    item.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(purpose)]
    return item


def _add_spacing(capture: Dataset, grid: Grid) -> None:
    """State a pixel spacing unless it holds at the detector only: a capture has no place to say so."""
    if grid.spacing_mm is not None and grid.spacing_source not in _UNCALIBRATED:
        capture.PixelSpacing = [DS(grid.spacing_mm, auto_format=True)] * 2


def _is_to_be_made(report: Report) -> bool:
    return bool(report.settings.get("dicom.make_study")) and not report.source.sop_uid


def _new_study(report: Report) -> Dataset:
    """Header of a study of its own, for a picture that belongs to none; the patient is named by the pixels' hash."""
    header = Dataset()
    now = datetime.datetime.now()
    header.PatientID = f"picture-{report.source.pixel_hash[:16]}"
    header.PatientName = "Unknown^"
    header.PatientBirthDate = header.PatientSex = header.AccessionNumber = header.ReferringPhysicianName = None
    header.StudyID = "1"
    header.StudyDate, header.StudyTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    header.StudyInstanceUID = uid(report, "study")
    if report.laterality in ("R", "L"):
        header.Laterality = report.laterality
    return header
