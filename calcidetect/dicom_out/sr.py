"""The structured report: Comprehensive 3D SR after template TID 1500.

A group about the whole film, then two for each mark: its outline with its sizes and contrast (TID 1410), and its centre
as a single point with the certainty (TID 1501), which OHIF draws as an arrow. The two have tracking UIDs of their own:
OHIF takes what shares one for a single outline. Each labelled kind that has a code gets one box around all of it, as it
gets a letter on the overlay: thirty rings of a trachea, each with its measurements beside it, hide the film.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.sr.coding import Code

from calcidetect.dicom_out import codes
from calcidetect.dicom_out.common import algorithm, identity, to_image, uid
from calcidetect.dicom_out.header import file_under, film_header, nameless
from calcidetect.drawing.plane import Points, directions
from calcidetect.reading.dicom_reader import OWN_MODEL
from calcidetect.types import MARK, Candidate, Grid, Report, Scan

_Region = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations
_Place = hd.sr.MeasurementsAndQualitativeEvaluations
Group = _Region | _Place

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
    report, header = scan.report, film_header(scan.report)
    # An outline runs through the middles of the working grid's outermost pixels; the halves beyond count.
    rim_px = report.grid.shape[0] / scan.working.grid.shape[0]
    groups: list[Group] = [film_group(report, header, remark=_REMARK)]
    for mark in report.marks:
        certainty = 100 * mark.score
        groups += [outline_group(report, mark, header=header, rim_px=rim_px)]
        groups += [point_group(report, mark, header=header, certainty_percent=certainty)]
    groups += kind_groups(report, header)
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(observer_device_context=device()),
        procedure_reported=codes.RADIOGRAPHY,
        imaging_measurements=groups,
    )
    result = hd.sr.Comprehensive3DSR(
        evidence=[nameless(header)],
        content=content,
        is_complete=True,
        **identity(report, "sr"),
    )
    file_under(result, header)
    return result


def device() -> hd.sr.ObserverContext:
    """Return the program as the observer."""
    return hd.sr.ObserverContext(
        observer_type=hd.sr.CodedConcept("121007", "DCM", "Device"),
        observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
            uid=_DEVICE_UID, name=OWN_MODEL, manufacturer_name=OWN_MODEL, model_name=OWN_MODEL
        ),
    )


def film_group(report: Report, header: Dataset, *, remark: str) -> _Region:
    """How many marks the film has, and their area; there even when it has none.

    It refers to the whole film as a region: OHIF 3.12 shows nothing of a report in which one group has none.
    """
    rows, cols = report.grid.source_shape
    measurements = [_measurement(codes.COUNT, len(report.marks), codes.NO_UNIT)]
    if report.burden_mm2 is not None:
        measurements.append(_measurement(codes.AREA, report.burden_mm2, codes.SQUARE_MM))
    group = _Region(
        referenced_region=_region(_rectangle((0, 0), (cols, rows)), header),
        measurements=measurements,
        **_about(report, "film", site=_sites(report, header)),
    )
    comment = hd.sr.TextContentItem(
        name=Code("121106", "DCM", "Comment"), value=remark, relationship_type=hd.sr.RelationshipTypeValues.CONTAINS
    )
    group[0].ContentSequence.append(comment)
    return group


def outline_group(report: Report, candidate: Candidate, *, header: Dataset, rim_px: float) -> _Region:
    """A mark's outline with its sizes; `rim_px` lies beyond the outline, on both sides together, in film pixels."""
    return _Region(
        referenced_region=_region(outline(candidate, report.grid), header),
        measurements=_measurements(report, candidate, rim_px),
        finding_category=codes.ABNORMAL_STRUCTURE,
        **_about(
            report,
            f"{candidate.label} {candidate.id}",
            finding=codes.FINDINGS[candidate.label],
            site=[hd.sr.FindingSite(codes.TISSUES[candidate.label]), *_sites(report, header)],
        ),
    )


def point_group(report: Report, candidate: Candidate, *, header: Dataset, certainty_percent: float) -> _Place:
    """A mark's centre, and how certain it is."""
    point = hd.sr.CoordinatesForMeasurement(
        graphic_type="POINT",
        graphic_data=_within(to_image((candidate.row, candidate.col)), report.grid),
        source_image=_film(header),
    )
    return _Place(
        measurements=[_measurement(codes.CERTAINTY, certainty_percent, codes.PERCENT, referenced_coordinates=[point])],
        finding_category=codes.ABNORMAL_STRUCTURE,
        **_about(report, f"arrow {candidate.id}", finding=codes.FINDINGS[candidate.label], site=_sites(report, header)),
    )


def kind_groups(report: Report, header: Dataset) -> list[_Region]:
    """A group for each labelled kind that has a code."""
    kinds = {kind: [item for item in report.candidates if item.label == kind] for kind in codes.FINDINGS}
    return [_kind_group(report, own, header) for kind, own in kinds.items() if own and kind != MARK]


def _kind_group(report: Report, candidates: Sequence[Candidate], header: Dataset) -> _Region:
    """How many candidates of one labelled kind the film has, and the box around them."""
    kind = candidates[0].label
    low = min(item.x0 for item in candidates), min(item.y0 for item in candidates)
    high = max(item.x1 for item in candidates), max(item.y1 for item in candidates)
    return _Region(
        referenced_region=_region(_rectangle(low, high), header),
        measurements=[_measurement(codes.COUNT, len(candidates), codes.NO_UNIT)],
        **_about(report, kind, finding=codes.FINDINGS[kind], site=[hd.sr.FindingSite(codes.TISSUES[kind])]),
    )


def _rectangle(low: tuple[int, int], high: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Closed outline ``(column, row)`` of the box from `low` to `high`, ``(column, row)`` of pixels' corners."""
    (x0, y0), (x1, y1) = low, high
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], np.float64)


def _region(outline: npt.NDArray[np.float64], header: Dataset) -> hd.sr.ImageRegion:
    return hd.sr.ImageRegion(graphic_type="POLYLINE", graphic_data=outline, source_image=_film(header))


def _about(report: Report, name: str, *, site: list[hd.sr.FindingSite], finding: Code | None = None) -> dict[str, Any]:
    """What every group says: its tracking name and UID, the algorithm, what was found and where.

    The algorithm's parameters stand at the group on the whole film alone: they are a third of a report's items, and
    highdicom takes 60 ms a mark as it is.
    """
    how = algorithm(report) if finding is None else algorithm(report) | {"parameters": None}
    return {
        "tracking_identifier": hd.sr.TrackingIdentifier(uid=uid(report, name), identifier=name),
        "algorithm_id": hd.sr.AlgorithmIdentification(**how),
        "finding_type": finding,
        "finding_sites": site or None,
    }


def _sites(report: Report, header: Dataset) -> list[hd.sr.FindingSite]:
    if report.region not in codes.REGIONS:
        return []
    laterality = codes.SIDES.get(report.laterality) if report.region != "chest" else None
    return [hd.sr.FindingSite(codes.REGIONS[report.region], laterality=laterality)]


def _measurements(report: Report, candidate: Candidate, rim_px: float) -> list[hd.sr.Measurement]:
    """Area, long axis and, where it was measured, contrast; sizes in film pixels where the spacing is unknown."""
    spacing = report.grid.spacing_mm
    pixel = 1.0 if spacing is None else spacing
    length = pixel * long_axis(candidate, report.grid, rim_px=rim_px)
    area = candidate.area_px if candidate.area_mm2 is None else candidate.area_mm2
    sizes = [
        _measurement(codes.AREA, area, codes.PIXELS if candidate.area_mm2 is None else codes.SQUARE_MM),
        _measurement(codes.LONG_AXIS, length, codes.PIXELS if spacing is None else codes.MM),
    ]
    if np.isnan(candidate.contrast_noise):
        return sizes
    return [*sizes, _measurement(codes.CONTRAST, candidate.contrast_noise, codes.NO_UNIT)]


def _measurement(name: Code, value: float, unit: Code, **how: Any) -> hd.sr.Measurement:
    return hd.sr.Measurement(name=name, value=float(f"{value:.6g}"), unit=unit, **how)


def long_axis(candidate: Candidate, grid: Grid, *, rim_px: float) -> float:
    """Greatest distance across a candidate, in pixels of the film's square grid, `rim_px` beyond its outline."""
    outline = grid.from_source(np.reshape(candidate.contour or [(candidate.row, candidate.col)], (-1, 2)))
    across: Points = outline @ directions(_LONG_AXIS_DIRECTIONS).T
    return float(np.ptp(across, axis=0).max() + rim_px)


def outline(candidate: Candidate, grid: Grid) -> npt.NDArray[np.float64]:
    """Closed outline ``(column, row)`` in DICOM's coordinates; the box where the contour is a point or a line."""
    points = to_image(candidate.contour)
    if len(np.unique(points, axis=0)) < _LEAST_CORNERS:
        points = _rectangle((candidate.x0, candidate.y0), (candidate.x1, candidate.y1))
    if (points[0] != points[-1]).any():
        points = np.vstack([points, points[:1]])
    return _within(points, grid)


def _within(points: npt.NDArray[np.float64], grid: Grid) -> npt.NDArray[np.float64]:
    """Keep ``(column, row)`` on the film, as the standard demands."""
    return np.clip(points, 0, grid.source_shape[::-1])


def _film(header: Dataset) -> hd.sr.SourceImageForRegion:
    return hd.sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID)
