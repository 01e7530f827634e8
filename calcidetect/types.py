"""The records that travel between the steps.

Frozen, slotted, keyword-only. Coordinates are ``(row, col)`` with pixel centres at integers, unless a
name says ``x``/``y``. Arrays in records are read-only.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, LabelImage, Mask

Tone = Literal["log", "linear", "display", "unknown"]
"""How pixel values relate to attenuation: its logarithm of exposure, linear exposure, display values, not known."""

MARK = "calcification"
"""The label of what the program marks; the others are letters or nothing."""

TRACHEAL = "tracheal"
"""The label of calcified rings of the trachea: one letter for all of them, whatever they score."""

TWO_LIMBS = "two_limbs"
"""The flag of a film that shows two limbs, or one in two views."""

NOT_SEARCHED = "not_searched"
"""The flag of a picture that is none of a radiograph, or without bone, and whose region nobody named."""

LABELS = (
    MARK,
    TRACHEAL,
    "vascular",
    "costal_cartilage",
    "sesamoid",
    "ossified",
    "metal",
    "other",
)
"""The closed set of candidate labels."""

LOOKS = ("punctate", "nodular", "amorphous", "linear", "sheet", "tumoral")
"""The closed set of words for what a candidate looks like."""


def _read_only(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _shown(how: str, record: Any) -> Any:
    """Let `calcidetect.notebook` show a record; by name, as records import nothing that draws."""
    return getattr(importlib.import_module("calcidetect.notebook"), how)(record)


def _freeze_arrays(record: Any, *names: str) -> None:
    for name in names:
        object.__setattr__(record, name, _read_only(getattr(record, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A pixel grid, its size on the patient and the way back to the file's own matrix.

    Attributes
    ----------
    shape
        Rows and columns of this grid.
    source_shape
        Rows and columns of the matrix in the file; equal to `shape` for a film as read.
    spacing_mm
        Pixel pitch of *this* grid in mm, or None where the file has no usable spacing. Both axes are equal:
        the reader resamples the rare non-square film.
    spacing_source
        Where `spacing_mm` comes from: ``calibrated``, ``pixel_spacing``, ``demagnified``, ``detector``,
        ``given``, ``none``.
    nominal_mm
        Pixel pitch assumed when sizing operators, > 0. Equal to `spacing_mm` where that is known. Never printed.
    """

    shape: tuple[int, int]
    source_shape: tuple[int, int]
    spacing_mm: float | None
    spacing_source: str
    nominal_mm: float

    def __post_init__(self) -> None:
        if min(self.shape) < 1 or min(self.source_shape) < 1:
            raise ValueError(f"a grid needs at least one pixel, got {self.shape}")
        if not self.nominal_mm > 0:
            raise ValueError(f"nominal_mm must be positive, got {self.nominal_mm}")

    @property
    def step(self) -> tuple[float, float]:
        """Source pixels per pixel of this grid, along rows and columns."""
        return self.source_shape[0] / self.shape[0], self.source_shape[1] / self.shape[1]

    def to_source(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map ``(row, col)`` points of this grid, shape (..., 2), to ``(row, col)`` of the source matrix."""
        return (np.asarray(points, float) + 0.5) * self.step - 0.5

    def from_source(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map ``(row, col)`` points of the source matrix, shape (..., 2), to ``(row, col)`` of this grid."""
        return (np.asarray(points, float) + 0.5) / self.step - 0.5

    def pixels(self, size_mm: float) -> float:
        """Length of `size_mm` in pixels of this grid, by `nominal_mm`."""
        return size_mm / self.nominal_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a film came from and what its header says; no patient identifiers.

    Attributes
    ----------
    path
        The path as given or found.
    pixel_hash
        SHA-256 of the decoded pixels in the file's own matrix, hexadecimal.
    sop_uid, modality, body_part, laterality, view
        From the DICOM header; empty where absent. `laterality` is ``R``, ``L``, ``B`` or empty.
    bits
        Significant bits a stored value has.
    """

    path: str
    pixel_hash: str
    sop_uid: str = ""
    modality: str = ""
    body_part: str = ""
    laterality: str = ""
    view: str = ""
    bits: int = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Radiograph:
    """A film with one declared pixel meaning.

    Attributes
    ----------
    pixels
        float32 (rows, cols): after the modality LUT, before any display window, bigger = more attenuation
        (bone bright). No fixed range, never rescaled.
    valid
        bool (rows, cols): False for padding values and transparent pixels.
    grid
        Size, spacing and the map to the file's matrix.
    tone
        How pixel values relate to attenuation.
    polarity
        How the polarity was decided: ``photometric``, ``presentation_lut``, ``picture`` or ``assumed``; followed by
        ``, inverted`` when the stored values were turned over.
    source
        Where the film came from.
    age_years
        Patient's age by the header, None where it says nothing: tells growing bone from a deposit. It is in no report.
    flags
        Words on trouble with this film, e.g. ``no_spacing``.
    """

    pixels: FloatImage
    valid: Mask
    grid: Grid
    tone: Tone = "unknown"
    polarity: str = "assumed"
    source: Source
    age_years: float | None = None
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.float32 or self.pixels.ndim != 2:
            raise ValueError(f"pixels must be float32 (rows, cols), got {self.pixels.dtype} {self.pixels.shape}")
        if self.pixels.shape != self.grid.shape or self.valid.shape != self.grid.shape:
            raise ValueError(f"pixels {self.pixels.shape}, valid {self.valid.shape} and grid {self.grid.shape} differ")
        _freeze_arrays(self, "pixels", "valid")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """The exposed field of view.

    Attributes
    ----------
    mask
        bool (rows, cols): exposed and free of shutters, frames, redaction, text, markers and metal.
    air
        bool (rows, cols): inside `mask`, but the beam met no body there.
    metal
        bool (rows, cols): metal on or in the body; not in `mask`.
    flags
        What was taken out: ``shutter``, ``redaction``, ``frame``, ``text``, ``marker``, ``metal``, ``edge``.
    """

    mask: Mask
    air: Mask
    metal: Mask
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _freeze_arrays(self, "mask", "air", "metal")

    @property
    def body(self) -> Mask:
        """Exposed body, the place to look for anything: bool (rows, cols)."""
        return self.mask & ~self.air


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Anatomy:
    """Bone and what surrounds it.

    Attributes
    ----------
    bone
        bool (rows, cols).
    bone_probability, lung_probability
        float32 (rows, cols), 0 to 1.
    body
        bool (rows, cols): exposed body, bone included.
    bone_distance_px, skin_distance_px
        float32 (rows, cols): pixels to the nearest bone pixel (0 inside) and to the nearest air or field edge.
    bone_step
        The film's own bone contrast: signal of bone minus that of soft tissue beside it where its borders are clear
        (upper quartile along them), in signal units, > 0. Without such borders a share of the body's range.
    confidence
        0 to 1: how clearly bone and soft tissue part on this film.
    """

    bone: Mask
    bone_probability: FloatImage
    lung_probability: FloatImage
    body: Mask
    bone_distance_px: FloatImage
    skin_distance_px: FloatImage
    bone_step: float
    confidence: float

    def __post_init__(self) -> None:
        if not self.bone_step > 0:
            raise ValueError(f"bone_step must be positive, got {self.bone_step}")
        _freeze_arrays(
            self, "bone", "bone_probability", "lung_probability", "body", "bone_distance_px", "skin_distance_px"
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """Soft-tissue level and structured noise.

    Attributes
    ----------
    level
        float32 (rows, cols): expected soft-tissue signal, in signal units.
    noise
        float32 (rows, cols): 1 sigma of structured noise about `level`, in signal units, > 0.
    usable
        bool (rows, cols): where both were learnt from enough soft tissue.
    """

    level: FloatImage
    noise: FloatImage
    usable: Mask

    def __post_init__(self) -> None:
        _freeze_arrays(self, "level", "noise", "usable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One place that may be soft-tissue calcification. No arrays.

    Attributes
    ----------
    id
        1, 2, … by falling score.
    score
        0 to 1: probability of `calcification`.
    label
        One of `LABELS`.
    zone
        Where on the patient, in words; empty when unknown.
    look
        One of `LOOKS`; empty when not judged.
    x0, y0, x1, y1
        Bounding box in source pixels: columns and rows, half-open.
    row, col
        Centre in source pixels.
    area_px, area_mm2
        Area in source pixels, and in mm2 or None without spacing.
    diameter_mm
        Diameter of the disc of equal area, or None without spacing.
    contrast_noise, contrast_bone
        Signal above soft tissue, in sigmas of structured noise and in units of the film's own bone step.
    bone_distance_mm
        From edge to nearest bone, 0 when touching; None without spacing.
    contour
        Closed outline, ``(row, col)`` in source pixels; of several parts, of the hull around them.
    features
        The numbers behind the score; of a cluster, those of its best granule.
    reasons
        The features that moved the score most, and how far each moved its log-odds.
    flags
        Words such as ``touches_bone``, ``several_parts``.
    """

    id: int
    score: float
    label: str
    zone: str
    x0: int
    y0: int
    x1: int
    y1: int
    row: float
    col: float
    area_px: float
    area_mm2: float | None
    diameter_mm: float | None
    contrast_noise: float
    contrast_bone: float
    bone_distance_mm: float | None
    contour: tuple[tuple[float, float], ...] = ()
    look: str = ""
    features: Mapping[str, float] = field(default_factory=dict)
    reasons: Mapping[str, float] = field(default_factory=dict)
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise ValueError(f"label must be one of {', '.join(LABELS)}, got {self.label!r}")
        if self.look not in ("", *LOOKS):
            raise ValueError(f"look must be one of {', '.join(LOOKS)} or empty, got {self.look!r}")
        if not 0 <= self.score <= 1:
            raise ValueError(f"score must lie in 0..1, got {self.score}")
        if not (self.x0 < self.x1 and self.y0 < self.y1):
            raise ValueError(f"empty box {self.x0, self.y0, self.x1, self.y1}")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Report:
    """What a scan says of one film, without arrays.

    Attributes
    ----------
    source, grid
        The film as read.
    region, laterality
        Recognised body region (``other`` when unknown) and side (``R``, ``L``, ``B`` or empty).
    candidates
        Marks and labelled kinds of at least `min_score`, and tracheal rings whatever they score, by falling score.
    min_score
        Least score that is reported: the shipped operating point unless the caller gave another.
    burden_mm2
        Summed area of `calcification` candidates, or None without spacing.
    bone_step, bone_confidence
        See `Anatomy`.
    flags
        Words on trouble with this film.
    settings, settings_hash
        Resolved settings as a flat mapping, and their hash.
    volatile
        Versions, times: everything that may differ between two equal runs.
    """

    source: Source
    grid: Grid
    region: str
    laterality: str
    candidates: tuple[Candidate, ...]
    min_score: float
    burden_mm2: float | None
    bone_step: float
    bone_confidence: float
    flags: tuple[str, ...]
    settings: Mapping[str, Any]
    settings_hash: str
    volatile: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def marks(self) -> tuple[Candidate, ...]:
        """The candidates labelled ``calcification``: what the arrows point at."""
        return tuple(c for c in self.candidates if c.label == MARK)

    def __repr__(self) -> str:  # the generated one fills pages, and a saved notebook would keep the path
        where = " ".join(word for word in (self.region, self.laterality) if word)
        return f"<Report: {where}, {len(self.marks)} marks, {len(self.candidates)} candidates>"

    def _repr_html_(self) -> str:
        return str(_shown("report_html", self))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Scan:
    """Everything known about one film: arrays for overlays, masks and notebooks, and the report.

    `radiograph` is the film in its own matrix. `working` is the same film on the working grid, on which `field`,
    `anatomy`, `background` and `labels` live; `working.grid.to_source` leads back. `labels` is int32 (rows, cols),
    0 = nothing, k = `report.candidates` with id k.
    """

    radiograph: Radiograph
    working: Radiograph
    field: Field
    anatomy: Anatomy
    background: Background
    labels: LabelImage
    report: Report

    def __repr__(self) -> str:
        rows, cols = self.radiograph.grid.shape
        return f"<Scan: film of {rows} x {cols}, {self.report!r}>"

    def _repr_png_(self) -> bytes:
        return bytes(_shown("scan_png", self))
