"""Candidate soft-tissue calcification on plain radiographs, for a human reader. Not for diagnosis.

Examples
--------
>>> import calcidetect as cd
>>> scan = cd.scan("film.dcm")  # doctest: +SKIP
>>> [(mark.row, mark.col, mark.score) for mark in scan.report.marks]  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calcidetect.batch.run import scan_many
    from calcidetect.config import Config
    from calcidetect.pipeline import scan
    from calcidetect.reading.readers import load
    from calcidetect.types import Candidate, Radiograph, Report
    from calcidetect.writers import write

__version__ = "0.1.0"
__all__ = ["Candidate", "Config", "Radiograph", "Report", "load", "scan", "scan_many", "write"]

_HOMES = {
    "Candidate": "types",
    "Config": "config",
    "Radiograph": "types",
    "Report": "types",
    "load": "reading.readers",
    "scan": "pipeline",
    "scan_many": "batch.run",
    "write": "writers",
}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `calcidetect --help` waits for no image library.
    if name not in _HOMES:
        raise AttributeError(f"module 'calcidetect' has no attribute {name!r}")
    return getattr(importlib.import_module(f"calcidetect.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
