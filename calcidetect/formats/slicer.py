"""Outlines as markups of 3D Slicer: a closed curve for each candidate.

Slicer places a film by the pixel pitch that its file states, with the centre of the first pixel at the origin, x to the
patient's left and y to the back (LPS). A pitch that the user gave is not in the file; there Slicer counts in pixels.
"""

from __future__ import annotations

import json
from typing import Any

from calcidetect.formats.shapes import polygon_from_centre
from calcidetect.types import MARK, Candidate, Grid, Scan

_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/"
    "markups-schema-v1.0.3.json#"
)
_NOT_IN_THE_FILE = ("given", "none")
_MARK_COLOUR, _OTHER_COLOUR = (1.0, 0.8, 0.0), (0.4, 1.0, 1.0)  # RGB, 0 to 1
_DIGITS = 4


def encode(scan: Scan) -> bytes:
    """Write every candidate of a scan as a closed curve; labelled kinds in another colour than marks."""
    unit_mm = _unit_mm(scan.report.grid)
    curves = [_curve(candidate, unit_mm) for candidate in scan.report.candidates]
    return (json.dumps({"@schema": _SCHEMA, "markups": curves}, indent=1) + "\n").encode("ascii")


def _unit_mm(grid: Grid) -> float:
    """Length that Slicer gives to a pixel of the film."""
    return 1.0 if grid.spacing_mm is None or grid.spacing_source in _NOT_IN_THE_FILE else grid.spacing_mm


def _curve(candidate: Candidate, unit_mm: float) -> dict[str, Any]:
    name = f"{candidate.label} {candidate.id}"
    colour = _MARK_COLOUR if candidate.label == MARK else _OTHER_COLOUR
    return {
        "type": "ClosedCurve",
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "labelFormat": "%N-%d",
        "controlPoints": [
            {
                "id": str(number),
                "label": f"{name}-{number}",
                "description": f"score {candidate.score:.2f}",
                "position": [round(x * unit_mm, _DIGITS), round(y * unit_mm, _DIGITS), 0.0],
                "positionStatus": "defined",
            }
            for number, (x, y) in enumerate(polygon_from_centre(candidate), start=1)
        ],
        "display": {"visibility": True, "color": colour, "selectedColor": colour, "pointLabelsVisibility": False},
    }
