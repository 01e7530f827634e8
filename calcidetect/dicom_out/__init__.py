"""Results as DICOM objects that a PACS files in the film's own study: the one importer of highdicom.

`sr` makes the structured report, `sc` the overlay as secondary capture, `seg` the masks, `gsps` the arrows and letters
as a presentation state. All are marked as unverified and not for diagnosis. The same scan gives the same UIDs, so that
a rerun replaces instead of multiplying.
"""

from __future__ import annotations

import warnings

from calcidetect.errors import OutputError
from calcidetect.types import Scan

KINDS = ("sr", "sc", "seg", "gsps")
"""Structured report, secondary capture, segmentation, grayscale softcopy presentation state."""


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on odd values of the film's header, which are taken over as they are
            return common.to_bytes(make(scan))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise OutputError(
            f"{scan.report.source.path} has a header of which no {kind} can be made ({reason}); leave this format out."
        ) from error
