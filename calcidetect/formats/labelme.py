"""Outlines as a LabelMe file, to be put beside the picture that it is of."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from calcidetect.formats.shapes import polygon_from_corner
from calcidetect.types import Candidate, Scan

_VERSION = "5.5.0"  # of LabelMe, whose keys these are


def encode(scan: Scan) -> bytes:
    """Write every candidate of a scan as a polygon with its label; number and score stand in its description."""
    rows, cols = scan.report.grid.source_shape
    content: dict[str, Any] = {
        "version": _VERSION,
        "flags": {},
        "shapes": [_shape(candidate) for candidate in scan.report.candidates],
        "imagePath": PurePath(scan.report.source.path).name,
        "imageData": None,
        "imageHeight": rows,
        "imageWidth": cols,
    }
    return (json.dumps(content, indent=2) + "\n").encode("ascii")


def _shape(candidate: Candidate) -> dict[str, Any]:
    return {
        "label": candidate.label,
        "points": polygon_from_corner(candidate),
        "group_id": None,
        "description": f"candidate {candidate.id}, score {candidate.score:.2f}",
        "shape_type": "polygon",
        "flags": {},
        "mask": None,
    }
