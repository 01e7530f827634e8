"""How a scan and a report show themselves in a notebook: the film with its arrows, and the marks as a small table.

`types.Scan._repr_png_` and `types.Report._repr_html_` hand over to this module, which they load by name on first use:
records lie below everything that draws, and what needs no notebook loads no drawing code.
"""

from __future__ import annotations

from html import escape

from calcidetect.drawing.captions import KINDS, region_words
from calcidetect.drawing.overlay import NOTICE, draw_scan, encode_png
from calcidetect.types import Candidate, Report, Scan

_LONGEST_PX = 480  # of a film in a notebook: arrows are legible, and a saved notebook stays below 200 kB
_MOST_ROWS = 20
_COLUMNS = ("", "score", "what", "where", "size", "contrast", "bone distance")


def scan_png(scan: Scan) -> bytes:
    """Return the film with its arrows as PNG, at most 480 pixels long."""
    return encode_png(draw_scan(scan, longest_px=_LONGEST_PX), effort=9)


def report_html(report: Report) -> str:
    """Return region, burden and candidates as HTML; no path, identifier or date of the film."""
    shown = report.candidates[:_MOST_ROWS]
    left_out = len(report.candidates) - len(shown)
    head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
    rows = "".join(_row(_cells(candidate)) for candidate in shown)
    more = f"<p>… and {left_out} more</p>" if left_out else ""
    return (
        f"<p><b>{escape(_summary(report))}</b></p>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"
        f"<p><small>{escape(NOTICE)}</small></p>"
    )


def _summary(report: Report) -> str:
    region = region_words(report)
    burden = "" if report.burden_mm2 is None else f", {report.burden_mm2:.0f} mm²"
    flags = f"; {', '.join(report.flags)}" if report.flags else ""
    return f"{region[0].upper()}{region[1:]}: {_count(len(report.marks), 'mark')}{burden}{flags}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _row(cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _cells(candidate: Candidate) -> tuple[str, ...]:
    return (
        str(candidate.id),
        f"{candidate.score:.2f}",
        ", ".join(filter(None, (KINDS[candidate.label], candidate.look))),
        candidate.zone,
        _mm(candidate.diameter_mm),
        f"{candidate.contrast_bone:.2f} of bone",
        _mm(candidate.bone_distance_mm),
    )


def _mm(length: float | None) -> str:
    return "" if length is None else f"{length:.1f} mm"
