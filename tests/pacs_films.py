"""Small DX and CR films that are valid DICOM, and scans of them made by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from small_scans import COLS, ROWS, small_scan

CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def _code(value, scheme, meaning):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def film_dataset(pixels, *, sop_class=DX, photometric="MONOCHROME2", spacing_mm=None, uid="1.2.826.0.1.1", **tags):
    """A valid DX or CR film of 12-bit `pixels`, uint16 (rows, cols); `tags` are set last, None deletes."""
    film = Dataset()
    film.file_meta = FileMetaDataset()
    film.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film.file_meta.MediaStorageSOPClassUID = film.SOPClassUID = sop_class
    film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID = uid
    film.SpecificCharacterSet = "ISO_IR 192"
    film.PatientName, film.PatientID = "Müller^Jörg", "SYN001"
    film.PatientBirthDate, film.PatientSex, film.PatientAge = "19600101", "M", "066Y"
    film.StudyInstanceUID, film.SeriesInstanceUID = "1.2.826.0.1.2", f"{uid}.3"
    film.StudyDate, film.StudyTime, film.StudyID = "20261101", "101500", "77"
    film.StudyDescription, film.AccessionNumber = "Shoulder", "A1"
    film.ReferringPhysicianName = "Doe^Jane"
    film.SeriesNumber, film.InstanceNumber = 1, 1
    film.Manufacturer, film.BodyPartExamined = "Maker", "SHOULDER"
    film.ContentDate = film.AcquisitionDate = "20261101"
    film.ContentTime = film.AcquisitionTime = "101500"
    film.ImageType = ["ORIGINAL", "PRIMARY"]
    film.PatientOrientation = ["L", "F"]
    film.Rows, film.Columns = pixels.shape
    film.SamplesPerPixel, film.PhotometricInterpretation = 1, photometric
    film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
    (_make_dx if sop_class == DX else _make_cr)(film, spacing_mm)
    film.PixelData = pixels.astype("<u2").tobytes()
    film["PixelData"].VR = "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(film, keyword)
        else:
            setattr(film, keyword, value)
    return film


def _make_cr(film, spacing_mm):
    film.Modality, film.ViewPosition, film.Laterality = "CR", "AP", "R"
    film.CassetteOrientation = film.PlateType = None
    film.KVP = film.PlateID = None
    if spacing_mm:
        film.ImagerPixelSpacing = [spacing_mm, spacing_mm]


def _make_dx(film, spacing_mm):
    film.Modality, film.PresentationIntentType = "DX", "FOR PRESENTATION"
    film.ImageType = ["ORIGINAL", "PRIMARY", ""]
    film.ImageLaterality = "R"
    film.AnatomicRegionSequence = [_code("16982005", "SCT", "Shoulder")]
    film.ViewCodeSequence = [_code("399348003", "SCT", "antero-posterior")]
    film.ViewCodeSequence[0].ViewModifierCodeSequence = []
    film.PatientOrientation = ["L", "F"]
    film.PixelIntensityRelationship = "LOG"
    film.PixelIntensityRelationshipSign = -1 if film.PhotometricInterpretation == "MONOCHROME2" else 1
    film.RescaleIntercept, film.RescaleSlope, film.RescaleType = 0, 1, "US"
    film.PresentationLUTShape = "IDENTITY" if film.PhotometricInterpretation == "MONOCHROME2" else "INVERSE"
    film.WindowCenter, film.WindowWidth = 2048, 4096
    film.LossyImageCompression, film.BurnedInAnnotation = "00", "NO"
    film.AcquisitionContextSequence = []
    film.DetectorType = film.PositionerType = None
    spacing = spacing_mm or 0.15
    film.ImagerPixelSpacing = [spacing, spacing]
    if spacing_mm:
        film.PixelSpacing, film.PixelSpacingCalibrationType = [spacing_mm, spacing_mm], "GEOMETRY"
        film.PixelSpacingCalibrationDescription = "known geometry"
    else:
        del film.ImagerPixelSpacing


def scan_of(path, *, spacing_mm=0.5, uid="1.2.826.0.1.1", **changes):
    """The small scan as if it came from the DICOM film at `path`."""
    scan = small_scan(str(path), spacing_mm=spacing_mm, **changes)
    source = dataclasses.replace(scan.report.source, sop_uid=uid, modality="DX", laterality="R")
    report = dataclasses.replace(scan.report, source=source, laterality="R")
    return dataclasses.replace(scan, report=report)


def small_film(**options):
    """A ramp in the matrix of `small_scan`."""
    return film_dataset(np.tile(np.arange(COLS, dtype=np.uint16) * 100, (ROWS, 1)), **options)


def write_film(folder, name="film.dcm", **options):
    path = folder / name
    small_film(**options).save_as(path, enforce_file_format=True)
    return path
