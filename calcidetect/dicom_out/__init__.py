"""Results as DICOM objects that a PACS files in the film's own study: the one importer of highdicom.

`sr` makes the structured report, `verified` that of a reader, `sc` the overlay as secondary capture, `seg` the masks,
`gsps` the arrows and letters as a presentation state. All but a reader's are marked as unverified and not for
diagnosis. The same scan gives the same UIDs, so that a rerun replaces instead of multiplying.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from calcidetect.errors import NotForDicom
from calcidetect.types import Report, Scan

KINDS = ("sr", "sc", "seg", "gsps")
"""Structured report, secondary capture, segmentation, grayscale softcopy presentation state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader has made of a film.

    Attributes
    ----------
    report
        Of the scan, with the candidates that the reader accepted or drew in the place of its own. Those without an
        outline are points.
    reader, time
        Who verified it, and when (UTC, ISO 8601).
    revision
        Number of the newest decision: another one makes another report.
    comments
        The reader's, on the film and on its marks.
    rim_px
        Film pixels that a candidate reaches beyond its outline, on both sides together: one of the working grid. What
        a reader drew ends with its outline.
    previous
        Path of the program's own structured report of the film; empty where none was written.
    """

    report: Report
    reader: str
    time: str
    revision: int
    rim_px: float
    comments: tuple[str, ...] = ()
    previous: str = ""


def encode(kind: str, scan: Scan) -> bytes:
    """Make the DICOM file of one of `KINDS` of a scan.

    Raises
    ------
    OutputError
        When the film is no DICOM file, is gone, or has a header of which no such object can be made.
    """
    from calcidetect.dicom_out import common, gsps, sc, seg, sr  # noqa: PLC0415 - highdicom takes half a second

    make = {
        "sr": sr.structured_report,
        "sc": sc.secondary_capture,
        "seg": seg.segmentation,
        "gsps": gsps.presentation_state,
    }[kind]
    with _plainly(scan.report.source.path, kind):
        return common.to_bytes(make(scan))


def encode_reading(reading: Reading) -> bytes:
    """Make the DICOM file of a verified report.

    Raises
    ------
    OutputError
        As for `encode`.
    """
    from calcidetect.dicom_out import common, verified  # noqa: PLC0415 - highdicom takes half a second

    with _plainly(reading.report.source.path, "verified report"):
        return common.to_bytes(verified.verified_report(reading))


@contextlib.contextmanager
def _plainly(path: str, kind: str) -> Iterator[None]:
    """Say in plain words what highdicom or pydicom has against a film's header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd values of the film's header, which are taken over as they are
            yield
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise NotForDicom(
            f"{path} has a header of which no {kind} can be made ({reason}); leave this format out."
        ) from error
