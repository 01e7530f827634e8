"""What a film shows, in words for a reader: its region, where the marks are, what the letters mean.

Nothing here identifies a patient: file names, dates and identifiers stay out.
"""

from __future__ import annotations

from collections.abc import Iterable

from calcidetect.drawing.strokes import DEFAULT_LETTERS, LETTERS
from calcidetect.types import NOT_SEARCHED, TWO_LIMBS, Report

KINDS = {
    "calcification": "candidate calcification",
    "tracheal": "tracheal calcification",
    "vascular": "vascular calcification",
    "costal_cartilage": "calcified costal cartilage",
    "sesamoid": "sesamoid bone",
    "ossified": "ossification",
    "metal": "metal",
    "other": "other",
}
"""What the labels mean."""

_SIDES = {"R": "right {}", "L": "left {}", "B": "both {}s"}
_SIDELESS = ("chest", "other")
_MOST_ZONES = 4  # more make a list that nobody reads


def region_words(report: Report) -> str:
    """Return the region with its side, such as ``right shoulder``; ``film`` where it isn't known.

    Examples
    --------
    >>> region_words(report)  # doctest: +SKIP
    'both wrists'
    """
    if report.region in _SIDELESS:
        return "film" if report.region == "other" else report.region
    sideless = "{}s" if TWO_LIMBS in report.flags else "{}"  # of two views of one limb, or of both limbs: who knows
    words = _SIDES.get(report.laterality, sideless).format(report.region)
    return words.replace("foots", "feet")


def caption(report: Report, *, letters: Iterable[str] = DEFAULT_LETTERS) -> str:
    """Return one or two sentences on what is marked on a film, or that it was not searched.

    Parameters
    ----------
    report
        What was found.
    letters
        Labels that have their letter on the film.
    """
    if NOT_SEARCHED in report.flags:
        return "Not searched."
    region = region_words(report)
    shown = [kind for kind in LETTERS if kind in set(letters) & {c.label for c in report.candidates}]
    parts = [_marks(report), *(f"{LETTERS[kind]}, {KINDS[kind]}" for kind in shown)]
    return f"{region[0].upper()}{region[1:]}. {'; '.join(parts)}."


def _marks(report: Report) -> str:
    if not report.marks:
        return "No candidate calcification marked"
    zones = list(dict.fromkeys(mark.zone for mark in report.marks if mark.zone))
    places = ", ".join(zones[:_MOST_ZONES]) + (" and elsewhere" if len(zones) > _MOST_ZONES else "")
    plural = "s" * (len(report.marks) > 1)
    return f"Arrow{plural}, candidate calcification{': ' * bool(zones)}{places}"
