"""A scan in a cell of a notebook, with the viewer of the reading page: window, zoom, marks, lengths.

Needs the extra ``notebook``. Pixels go to the browser as bytes; no server is started, and no name of a file or patient
is passed.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Any

import anywidget
import traitlets

from calcidetect import writers
from calcidetect.config import Config
from calcidetect.drawing.captions import KINDS
from calcidetect.review.pictures import pyramid
from calcidetect.types import MARK, TRACHEAL, Candidate, Scan

_MODULES = (
    "painters.js",
    "mark_layer.js",
    "gestures.js",
    "viewer.js",
    "cell.js",
)  # each imports from earlier ones only
_IMPORT = re.compile(r"^import [^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default )", re.MULTILINE)
_HEIGHT_PX = 520


def module() -> str:
    """Return the viewer as one JavaScript module: a notebook loads its widget as a text, beside which nothing lies."""
    folder = resources.files("calcidetect").joinpath("data", "review")
    texts = (folder.joinpath(name).read_text(encoding="utf-8") for name in _MODULES)
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in texts)


class ScanView(anywidget.AnyWidget):
    """A film with its marks.

    Attributes
    ----------
    chosen
        Id of the candidate that was clicked, or None; may be set, too.
    """

    _esm = module()
    film = traitlets.Dict().tag(sync=True)
    levels: traitlets.List[Any] = traitlets.List().tag(sync=True)
    bone = traitlets.Bytes().tag(sync=True)
    marks: traitlets.List[Any] = traitlets.List().tag(sync=True)
    chosen = traitlets.Int(None, allow_none=True).tag(sync=True)
    height = traitlets.Int(_HEIGHT_PX).tag(sync=True)

    def __repr__(self) -> str:  # the inherited one holds all pixels
        return f"<ScanView: {len(self.marks)} marks>"


def view(scan: Scan, *, height: int = _HEIGHT_PX) -> ScanView:
    """Show a scan with its marks in a notebook.

    Parameters
    ----------
    scan
        From `calcidetect.scan`.
    height
        Of the film on the screen, in pixels of the browser.

    Returns
    -------
    ScanView
        A widget; its `chosen` is the id of the candidate that was clicked.

    Examples
    --------
    >>> view(cd.scan("film.dcm"))  # doctest: +SKIP
    """
    stored = pyramid(scan.radiograph, Config().replace(scan.report.settings))
    rows, cols = scan.radiograph.grid.source_shape
    grid = scan.radiograph.grid
    film = {"rows": rows, "cols": cols, "range": [stored.low, stored.high], "window": list(stored.window)}
    spacing = {"mm": grid.spacing_mm, "note": " (detector)" if grid.spacing_source == "detector" else ""}
    levels = [{"rows": level.shape[0], "cols": level.shape[1], "pixels": level.tobytes()} for level in stored.levels]
    shown = (item for item in scan.report.candidates if item.label in (MARK, TRACHEAL))
    return ScanView(
        film=film | {"spacing": spacing},
        levels=levels,
        bone=writers.FORMATS["bone"].encode(scan),
        marks=[_mark(item) for item in shown],
        height=height,
    )


def _mark(candidate: Candidate) -> dict[str, Any]:
    size = "" if candidate.diameter_mm is None else f"{candidate.diameter_mm:.1f} mm"
    words = (f"mark {candidate.id}", KINDS[candidate.label], candidate.zone, size, f"score {candidate.score:.2f}")
    return {
        "id": candidate.id,
        "x": candidate.col,
        "y": candidate.row,
        "contour": [[col, row] for row, col in candidate.contour],
        "label": candidate.label,
        "state": "undecided",
        "tag": str(candidate.id),
        "title": " · ".join(filter(None, words)),
    }
