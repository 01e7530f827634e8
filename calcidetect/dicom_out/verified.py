"""The verified report: what a reader accepted and drew, as the successor of the program's own structured report.

Groups are those of `sr`; a mark that the program made keeps its tracking UIDs. A drawn arrow is a point without an
outline.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import highdicom as hd
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.valuerep import DT

from calcidetect.dicom_out import Reading, codes
from calcidetect.dicom_out.common import identity, uid
from calcidetect.dicom_out.header import file_under, film_header, nameless
from calcidetect.dicom_out.sr import Group, device, film_group, kind_groups, outline_group, point_group

_REMARK = "Marks that a reader has accepted or drawn, on candidates of calcidetect."
_NO_ORGANIZATION = "not stated"
_SURE_PERCENT = 100.0  # of what a reader accepted
_LONGEST_NAME = 63


def verified_report(reading: Reading) -> Dataset:
    """Report what a reader made of a film.

    Returns
    -------
    Dataset
        Comprehensive 3D SR: complete, final, verified.

    Raises
    ------
    OutputError
        When the film is no DICOM file, is gone, or lacks what a PACS files by.
    """
    report, header = reading.report, film_header(reading.report)
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_person_context=_person(reading.reader), observer_device_context=device()
        ),
        procedure_reported=codes.RADIOGRAPHY,
        imaging_measurements=_groups(reading, header),
    )
    result = hd.sr.Comprehensive3DSR(
        evidence=[nameless(header)],
        content=content,
        is_complete=True,
        is_final=True,
        is_verified=True,
        verifying_observer_name=person_name(reading.reader),
        verifying_organization=str(header.get("InstitutionName") or "") or _NO_ORGANIZATION,
        **identity(report, "reading", str(reading.revision), reading.time),
    )
    verified = datetime.fromisoformat(reading.time).strftime("%Y%m%d%H%M%S.%f%z")
    result.VerifyingObserverSequence[0].VerificationDateTime = DT(verified)
    _name_predecessor(result, reading)
    file_under(result, header)
    result.SpecificCharacterSet = "ISO_IR 192"  # UTF-8: the reader's words need not fit the film's own
    return result


def _groups(reading: Reading, header: Dataset) -> list[Group]:
    report = reading.report
    groups: list[Group] = [film_group(report, header, remark=" ".join((_REMARK, *reading.comments)))]
    for mark in report.marks:
        if mark.contour:
            rim_px = 0.0 if math.isnan(mark.contrast_noise) else reading.rim_px  # nothing was measured of what is drawn
            groups.append(outline_group(report, mark, header=header, rim_px=rim_px))
        groups.append(point_group(report, mark, header=header, certainty_percent=_SURE_PERCENT))
    return groups + kind_groups(report, header)


def _person(name: str) -> hd.sr.ObserverContext:
    return hd.sr.ObserverContext(
        observer_type=hd.sr.CodedConcept("121006", "DCM", "Person"),
        observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(name=person_name(name)),
    )


def person_name(name: str) -> str:
    """A reader's name as DICOM writes it; with a caret, for one that is not given in parts."""
    plain = "".join(" " if letter in "\\=" or not letter.isprintable() else letter for letter in name)
    return plain if "^" in plain else f"{plain[:_LONGEST_NAME].strip()}^"


def _name_predecessor(result: Dataset, reading: Reading) -> None:
    """Refer to the program's own report, if it was written and is of this scan."""
    before = _program_report(reading)
    if before is None:
        return
    series, study, instance = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID, instance.ReferencedSOPInstanceUID = before.SOPClassUID, before.SOPInstanceUID
    series.SeriesInstanceUID, series.ReferencedSOPSequence = before.SeriesInstanceUID, [instance]
    study.StudyInstanceUID, study.ReferencedSeriesSequence = before.StudyInstanceUID, [series]
    result.PredecessorDocumentsSequence = [study]


def _program_report(reading: Reading) -> Any:
    try:
        before = dcmread(reading.previous, stop_before_pixels=True)
    except (OSError, InvalidDicomError):
        return None
    return before if before.get("SOPInstanceUID") == uid(reading.report, "sr") else None
