"""What results take from the header of their film: patient and study to be filed under, and what a viewer must know.

The film is read again for it, because records hold no patient identifiers.
"""

from __future__ import annotations

import copy
import re

from pydicom import Dataset
from pydicom.uid import UID

from calcidetect.errors import NotForDicom, OutputError, ReadError
from calcidetect.reading.readers import read_header
from calcidetect.types import Report

# Patient, General Study and Patient Study modules of PS3.3, without what describes the visit.
_EMPTY_WHERE_UNKNOWN = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_ABSENT_WHERE_UNKNOWN = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "PatientBirthTime",
    "OtherPatientIDs",
    "OtherPatientIDsSequence",
    "OtherPatientNames",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "PatientSpeciesDescription",
    "PatientSpeciesCodeSequence",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "ProcedureCodeSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
)
_NEEDED_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")  # leading zeros, which some anonymisers write, are let through
_MAX_UID_LENGTH = 64
_EXTENSION = "ISO 2022"
"""Character sets that only stand behind another, if an empty one."""

_FILM_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.1",  # computed radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # digital X-ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # digital X-ray, for processing
    "1.2.840.10008.5.1.4.1.1.1.2",  # mammography
    "1.2.840.10008.5.1.4.1.1.1.2.1",
    "1.2.840.10008.5.1.4.1.1.1.3",  # intra-oral
    "1.2.840.10008.5.1.4.1.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.7",  # secondary capture
    "1.2.840.10008.5.1.4.1.1.12.1",  # angiography
    "1.2.840.10008.5.1.4.1.1.12.2",  # fluoroscopy
}


_UNPAIRED = {"ABDOMEN", "CHEST", "CSPINE", "HEAD", "LSPINE", "PELVIS", "SKULL", "SSPINE", "TSPINE"}


def film_header(report: Report) -> Dataset:
    """Read the header of the film that a report is about, without pixels.

    Raises
    ------
    NotForDicom
        When the film is no DICOM file, is gone, or lacks what a PACS files by.
    OutputError
        When it is another one by now.
    """
    path = report.source.path
    try:
        header = read_header(path)
    except ReadError as error:
        raise NotForDicom(
            f"{error} Results can't be filed in a PACS; choose other formats, or sc with --make-study."
        ) from error
    if str(header.get("SOPInstanceUID", "")) != report.source.sop_uid:
        raise OutputError(f"{path} is another film than the one that was scanned; scan it again.")
    for keyword in _NEEDED_UIDS:
        value = str(header.get(keyword) or "")
        if not _UID.fullmatch(value) or len(value) > _MAX_UID_LENGTH:
            found = f"the {keyword} {value!r}" if value else f"no {keyword}"
            raise NotForDicom(f"{path} has {found}, so nothing can refer to it in a PACS; export it again from there.")
    if header.SOPClassUID not in _FILM_CLASSES:
        raise NotForDicom(f"{path} is of the class {UID(header.SOPClassUID).name}; no DICOM results are made of these.")
    return header


def nameless(header: Dataset) -> Dataset:
    """Copy a film's header without its patient.

    highdicom refuses names, dates and sexes that break the standard's rules. What it makes is filed with `file_under`
    afterwards, which takes them over as they stand: the results must match what the PACS has.
    """
    bare = copy.deepcopy(header)
    for keyword in _ABSENT_WHERE_UNKNOWN:
        if keyword in bare:
            delattr(bare, keyword)
    for keyword in _EMPTY_WHERE_UNKNOWN:
        setattr(bare, keyword, None)
    return bare


def file_under(result: Dataset, header: Dataset) -> None:
    """Give a result the patient and the study of a film's header, value for value."""
    for keyword in (*_EMPTY_WHERE_UNKNOWN, *_ABSENT_WHERE_UNKNOWN):
        if keyword in header:
            result[keyword] = copy.deepcopy(header[keyword])
        elif keyword in _EMPTY_WHERE_UNKNOWN:
            setattr(result, keyword, None)
    result.StudyInstanceUID = header.StudyInstanceUID
    sets = result.get("SpecificCharacterSet")
    if isinstance(sets, str) and sets.startswith(
        _EXTENSION
    ):  # as some systems write it; pydicom wants the first one, too
        result.SpecificCharacterSet = ["", sets]


def side(report: Report, header: Dataset) -> str:
    """``R`` or ``L`` where the report, and so the user, or else the film's header says so; else empty.

    Of a body part that is not paired only what the header says: a side of its own would break the standard's rules.
    """
    told = "" if header.get("BodyPartExamined") in _UNPAIRED else report.laterality
    words = (told, str(header.get("ImageLaterality") or header.get("Laterality") or ""))
    return next((word for word in words if word in ("R", "L")), "")
