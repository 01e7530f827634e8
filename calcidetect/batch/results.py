"""What one film adds to the results of a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from calcidetect.writers import Row

DUPLICATE = "duplicate"
"""Flag of a film that holds the very pixels of one before it."""

Outline = tuple[float, ...]
"""x, y, x, y, … of a closed polygon; see `calcidetect.formats.shapes`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmResult:
    """What one film adds to the tables, to the gallery and to the files on all films.

    Attributes
    ----------
    film
        Its row of ``films.csv``, every value as text.
    candidates
        Its rows of ``candidates.csv``.
    name
        First part of the names of its files; empty when it has none.
    pixel_hash
        SHA-256 of the decoded pixels, hexadecimal; empty when they could not be read.
    file_hash
        SHA-256 of the file that was scanned, hexadecimal; known to the journal alone, empty in results read from it.
    patient
        Whom it shows: empty unless identifiers are kept.
    outlines, reasons
        Of each candidate: its outline, and what moved its score, see `Candidate.reasons`.
    thumbnail
        JPEG of the film, without marks; empty when there is none.
    """

    film: Row
    candidates: tuple[Row, ...] = ()
    name: str = ""
    pixel_hash: str = ""
    file_hash: str = ""
    patient: str = ""
    outlines: tuple[Outline, ...] = ()
    reasons: tuple[Mapping[str, float], ...] = ()
    thumbnail: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the film was scanned."""
        return self.film["status"] == "ok"


Progress = Callable[[FilmResult, int, int], None]
"""Called after each film with its result, the number of films done and the number of all."""
