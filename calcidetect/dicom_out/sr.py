"""The structured report: Comprehensive 3D SR after template TID 1500.

A group about the whole film, then two for each mark: its outline with its sizes and contrast (TID 1410), and its centre
as a single point with the certainty (TID 1501), which OHIF draws as an arrow. Labelled kinds that have a code get an
outline, no arrow. The two groups have tracking UIDs of their own: OHIF takes what shares one for a single outline.
"""

from __future__ import annotations

import uuid
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.sr.coding import Code

from calcidetect.dicom_out import codes
from calcidetect.dicom_out.common import algorithm, identity, to_image, uid
from calcidetect.dicom_out.header import file_under, film_header, nameless, side
from calcidetect.dicom_reader import OWN_MODEL
from calcidetect.plane import Points, directions
from calcidetect.types import MARK, Candidate, Grid, Report, Scan

_Region = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations
_Place = hd.sr.MeasurementsAndQualitativeEvaluations

_REMARK = "Candidates for a human reader, unverified, not for diagnosis. No mark does not mean no calcification."
_DEVICE_UID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, OWN_MODEL).int}"
_LONG_AXIS_DIRECTIONS = 128  # the longest of them falls short of the longest distance by 0.03 % at most
_LEAST_CORNERS = 3


def structured_report(scan: Scan) -> Dataset:
    """Report the candidates of a scan as a structured report.

    Parameters
    ----------
    scan
        Of a DICOM film, whose file is still there.

    Returns
    -------
    Dataset
        Comprehensive 3D SR: complete, preliminary, unverified.

    Raises
    ------
    OutputError
        When the film is no DICOM file, is gone, or lacks what a PACS files by.
    """
    header = film_header(scan.report)
    groups: list[_Region | _Place] = [_film_group(scan.report, header)]
    for candidate in scan.report.candidates:
        if candidate.label in codes.FINDINGS:
            groups.append(_outline_group(scan, candidate, header))
        if candidate.label == MARK:
            groups.append(_point_group(scan.report, candidate, header))
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=_observer()),
        procedure_reported=codes.RADIOGRAPHY,
        imaging_measurements=groups,
    )
    report = hd.sr.Comprehensive3DSR(
        evidence=[nameless(header)],
        content=content,
        is_complete=True,
        **identity(scan.report, "sr"),
    )
    file_under(report, header)
    return report


def _observer() -> hd.sr.ObserverContext:
    return hd.sr.ObserverContext(
        observer_type=hd.sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=_DEVICE_UID, name=OWN_MODEL, manufacturer_name=OWN_MODEL, model_name=OWN_MODEL
        ),
    )


def _film_group(report: Report, header: Dataset) -> _Region:
    """How many marks the film has, and their area; there even when it has none.

    It refers to the whole film as a region: OHIF 3.12 shows nothing of a report in which one group has none.
    """
    rows, cols = report.grid.source_shape
    border = np.array([(0, 0), (cols, 0), (cols, rows), (0, rows), (0, 0)], np.float64)
    measurements = [_measurement(codes.COUNT, len(report.marks), codes.NO_UNIT)]
    if report.burden_mm2 is not None:
        measurements.append(_measurement(codes.AREA, report.burden_mm2, codes.SQUARE_MM))
    group = _Region(
        referenced_region=hd.sr.ImageRegion(graphic_type="POLYLINE", graphic_data=border, source_image=_film(header)),
        measurements=measurements,
        **_about(report, "film", site=_sites(report, header)),
    )
    remark = hd.sr.TextContentItem(
        name=Code("121106", "DCM", "Comment"), value=_REMARK, relationship_type=hd.sr.RelationshipTypeValues.CONTAINS
    )
    group[0].ContentSequence.append(remark)
    return group


def _outline_group(scan: Scan, candidate: Candidate, header: Dataset) -> _Region:
    report = scan.report
    region = hd.sr.ImageRegion(
        graphic_type="POLYLINE", graphic_data=outline(candidate, report.grid), source_image=_film(header)
    )
    return _Region(
        referenced_region=region,
        measurements=_measurements(scan, candidate),
        finding_category=codes.ABNORMAL_STRUCTURE,
        **_about(
            report,
            f"{candidate.label} {candidate.id}",
            finding=codes.FINDINGS[candidate.label],
            site=[hd.sr.FindingSite(codes.TISSUES[candidate.label]), *_sites(report, header)],
        ),
    )


def _point_group(report: Report, candidate: Candidate, header: Dataset) -> _Place:
    point = hd.sr.CoordinatesForMeasurement(
        graphic_type="POINT",
        graphic_data=_within(to_image((candidate.row, candidate.col)), report.grid),
        source_image=_film(header),
    )
    return _Place(
        measurements=[
            _measurement(codes.CERTAINTY, 100 * candidate.score, codes.PERCENT, referenced_coordinates=[point])
        ],
        finding_category=codes.ABNORMAL_STRUCTURE,
        **_about(report, f"arrow {candidate.id}", finding=codes.FINDINGS[candidate.label], site=_sites(report, header)),
    )


def _about(report: Report, name: str, *, site: list[hd.sr.FindingSite], finding: Code | None = None) -> dict[str, Any]:
    """What every group says: its tracking name and UID, the algorithm, what was found and where."""
    return {
        "tracking_identifier": hd.sr.TrackingIdentifier(uid=uid(report, name), identifier=name),
        "algorithm_id": hd.sr.AlgorithmIdentification(family=codes.FAMILY, **algorithm(report)),
        "finding_type": finding,
        "finding_sites": site or None,
    }


def _sites(report: Report, header: Dataset) -> list[hd.sr.FindingSite]:
    if report.region not in codes.REGIONS:
        return []
    laterality = codes.SIDES.get(side(header)) if report.region != "chest" else None
    return [hd.sr.FindingSite(codes.REGIONS[report.region], laterality=laterality)]


def _measurements(scan: Scan, candidate: Candidate) -> list[hd.sr.Measurement]:
    """Area, long axis and contrast; sizes in pixels of the film where the spacing is unknown."""
    spacing = scan.report.grid.spacing_mm
    pixel = 1.0 if spacing is None else spacing
    length = pixel * long_axis(candidate, scan.working.grid, scan.report.grid)
    area = candidate.area_px if candidate.area_mm2 is None else candidate.area_mm2
    return [
        _measurement(codes.AREA, area, codes.PIXELS if candidate.area_mm2 is None else codes.SQUARE_MM),
        _measurement(codes.LONG_AXIS, length, codes.PIXELS if spacing is None else codes.MM),
        _measurement(codes.CONTRAST, candidate.contrast_noise, codes.NO_UNIT),
    ]


def _measurement(name: Code, value: float, unit: Code, **how: Any) -> hd.sr.Measurement:
    return hd.sr.Measurement(name=name, value=float(f"{value:.6g}"), unit=unit, **how)


def long_axis(candidate: Candidate, working: Grid, grid: Grid) -> float:
    """Greatest distance across a candidate, in pixels of the film's square grid.

    Its outline runs through the middles of the working grid's outermost pixels; the halves beyond count.
    """
    outline = grid.from_source(np.reshape(candidate.contour or [(candidate.row, candidate.col)], (-1, 2)))
    across: Points = outline @ directions(_LONG_AXIS_DIRECTIONS).T
    return float(np.ptp(across, axis=0).max() + grid.shape[0] / working.shape[0])


def outline(candidate: Candidate, grid: Grid) -> npt.NDArray[np.float64]:
    """Closed outline ``(column, row)`` in DICOM's coordinates; the box where the contour is a point or a line."""
    points = to_image(candidate.contour)
    if len(np.unique(points, axis=0)) < _LEAST_CORNERS:
        x0, y0, x1, y1 = candidate.x0, candidate.y0, candidate.x1, candidate.y1
        points = np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float64)
    if (points[0] != points[-1]).any():
        points = np.vstack([points, points[:1]])
    return _within(points, grid)


def _within(points: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    """Keep ``(column, row)`` on the film, as the standard demands."""
    return np.clip(points, 0, grid.source_shape[::-1])


def _film(header: Dataset) -> hd.sr.SourceImageForRegion:
    return hd.sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID)
