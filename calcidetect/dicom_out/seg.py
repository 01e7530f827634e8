"""Bone and calcification as a binary segmentation in the film's own matrix."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from calcidetect import ops
from calcidetect.dicom_out import codes
from calcidetect.dicom_out.common import CREATOR, algorithm, identity, uid
from calcidetect.dicom_out.header import file_under, film_header, nameless
from calcidetect.types import Grid, Report, Scan

_SLICE_MM = 1.0  # highdicom can't read back what states none; a film has no slices
_SPACINGS = {"PixelSpacing", "ImagerPixelSpacing", "SliceThickness", "SpacingBetweenSlices"}
_BONE_COLOUR, _MARK_COLOUR = (168, 196, 224), (255, 64, 64)  # RGB


def segmentation(scan: Scan) -> Dataset:
    """Write the masks of bone and of the marks as a segmentation with these two segments.

    With the setting ``dicom.seg_geometry`` the film gets a made-up plane in space: viewers built on slices refuse
    segmentations without one.

    Parameters
    ----------
    scan
        Of a DICOM film, whose file is still there.

    Raises
    ------
    OutputError
        When the film is no DICOM file, is gone, or lacks what a PACS files by.
    """
    report = scan.report
    header = film_header(report)
    film = nameless(header)
    for keyword in _SPACINGS & set(film.dir()):
        delattr(film, keyword)  # highdicom would copy it, zeros and all
    result = hd.seg.Segmentation(
        source_images=[film],
        pixel_array=_masks(scan),
        segmentation_type="BINARY",
        segment_descriptions=_segments(report),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        pixel_measures=_pixel_measures(report.grid),
        omit_empty_frames=False,
        content_label="CALCIDETECT",
        content_creator_name=CREATOR,
        device_serial_number="0",
        **identity(report, "seg"),
    )
    file_under(result, header)
    if "PatientOrientation" in header:
        result.PatientOrientation = header.PatientOrientation
    if report.settings.get("dicom.seg_geometry", 1):
        _add_plane(result, report)
    return result


def _masks(scan: Scan) -> npt.NDArray[np.uint8]:
    """Bone and marks, uint8 (1, rows, cols, 2), 0 or 1."""
    shape = scan.report.grid.source_shape
    marks = np.isin(scan.labels, [mark.id for mark in scan.report.marks])
    masks = [ops.resize_mask(mask, shape) for mask in (scan.anatomy.bone, marks)]
    return np.stack(masks, axis=-1)[None].astype(np.uint8)


def _segments(report: Report) -> list[hd.seg.SegmentDescription]:
    return [
        _segment(report, 1, "Bone", codes.ANATOMY, codes.BONE, colour=_BONE_COLOUR),
        _segment(report, 2, "Calcification", codes.ABNORMAL_STRUCTURE, codes.CALCIFICATION, colour=_MARK_COLOUR),
    ]


def _segment(
    report: Report, number: int, label: str, category: Code, kind: Code, *, colour: tuple[int, int, int]
) -> hd.seg.SegmentDescription:
    how = algorithm(report)
    parameters = {f"parameter {n}": text for n, text in enumerate(how.pop("parameters"), start=1)}
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=f"{label} (unverified)",
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(family=codes.FAMILY, parameters=parameters, **how),
        tracking_uid=uid(report, "segment", label),
        tracking_id=label,
        display_color=hd.color.CIELabColor.from_rgb(*colour),
    )


def _pixel_measures(grid: Grid) -> hd.PixelMeasuresSequence | None:
    """Height and width of a pixel of the film's own matrix, which may be oblong; None without spacing."""
    if grid.spacing_mm is None:
        return None
    rows, cols = (grid.spacing_mm * square / own for square, own in zip(grid.shape, grid.source_shape, strict=True))
    return hd.PixelMeasuresSequence(pixel_spacing=(rows, cols), slice_thickness=_SLICE_MM)


def _add_plane(result: Dataset, report: Report) -> None:
    orientation, position = Dataset(), Dataset()
    orientation.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    position.ImagePositionPatient = [0, 0, 0]
    result.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence = [orientation]
    for frame in result.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence = [position]
    result.FrameOfReferenceUID = uid(report, "frame of reference")
    result.PositionReferenceIndicator = None
