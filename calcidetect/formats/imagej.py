"""Outlines as a ZIP of regions of interest for the ROI Manager of ImageJ and Fiji; needs the extra ``imagej``."""

from __future__ import annotations

import io
import zipfile

from calcidetect.formats.shapes import polygon_from_corner
from calcidetect.types import Candidate, Scan

_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every entry: equal scans give equal files


def encode(scan: Scan) -> bytes:
    """Write every candidate of a scan as a polygon with sub-pixel corners, named by number, label and score."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as entries:
        for candidate in scan.report.candidates:
            name = f"{candidate.id:04d} {candidate.label} {candidate.score:.2f}"
            entries.writestr(zipfile.ZipInfo(f"{name}.roi", _EPOCH), _roi(candidate, name))
    return archive.getvalue()


def _roi(candidate: Candidate, name: str) -> bytes:
    from roifile import ROI_TYPE, ImagejRoi  # noqa: PLC0415 - an extra

    roi = ImagejRoi.frompoints(polygon_from_corner(candidate), name=name)
    roi.roitype = ROI_TYPE.POLYGON
    data: bytes = roi.tobytes()
    return data
