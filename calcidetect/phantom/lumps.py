"""Lumps of mineral in a film: placed off bone and apart, then written down as truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, LabelImage, Mask
from calcidetect.phantom.shapes import Canvas, Patch, add_up, crop
from calcidetect.simulation.deposits import deposit
from calcidetect.simulation.physics import DETECTOR_BLUR_MM, Beam
from calcidetect.types import LABELS, MARK

EDGE_SHARE = 0.22
"""A deposit's truth ends where its attenuation falls below this share of its peak."""
MAX_ON_BONE = 0.35
"""Largest share of a deposit's area that may lie over bone."""
GAP_MM = 1.5
"""Least distance between two deposits."""
MIN_TISSUE_MM = 8.0
"""Least thickness of the patient where a deposit may lie."""
MORPHOLOGY_SHARES = {"nodular": 0.3, "cluster": 0.22, "amorphous": 0.17, "linear": 0.13, "tumoral": 0.11, "sheet": 0.07}
MIN_SIZE_MM = {"nodular": 2.0, "cluster": 3.0, "amorphous": 4.0, "linear": 5.0, "tumoral": 12.0, "sheet": 10.0}
TRIES_PER_DEPOSIT = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lump:
    """Something of known place and kind: the patches that make it up, morphology and label as in `Deposit`."""

    morphology: str
    label: str
    patches: tuple[Patch, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deposit:
    """One thing put into a film whose place is known.

    Attributes
    ----------
    id
        Its number in `Phantom.truth_labels`, from 1.
    morphology
        ``nodular``, ``cluster``, ``amorphous``, ``linear``, ``tumoral``, ``sheet``; of mimics ``rings``,
        ``corticated``.
    label
        ``calcification``, or the label of the mimic it is; one of `calcidetect.types.LABELS`.
    x0, y0, x1, y1
        Bounding box in pixels: columns and rows, half-open.
    row, col
        Centroid in pixels.
    area_px
        Area in pixels.
    contrast_bone
        Peak attenuation over soft tissue, in units of the film's median bone step.
    """

    id: int
    morphology: str
    label: str
    x0: int
    y0: int
    x1: int
    y1: int
    row: float
    col: float
    area_px: int
    contrast_bone: float

    def __post_init__(self) -> None:
        if self.label not in LABELS:
            raise ValueError(f"label must be one of {', '.join(LABELS)}, got {self.label!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A place where deposits settle: ``(row, col)`` of the scene in mm, jitter about it, largest deposit."""

    at: tuple[float, float]
    jitter_mm: float
    max_size_mm: float


def place_lumps(
    canvas: Canvas,
    *,
    sites: Sequence[Site],
    count: int,
    allowed: Mask,
    bone: Mask,
    mineral_mm: float,
    contrast: tuple[float, float],
    rng: np.random.Generator,
) -> list[Lump]:
    """Draw up to `count` deposits at `sites`, on `allowed` pixels, mostly off `bone` and apart from each other.

    `mineral_mm` is the thickness of hydroxyapatite that attenuates like the film's median bone; a deposit gets that
    times a number from the range `contrast`.
    """
    taken = np.zeros(bone.shape, bool)
    lumps: list[Lump] = []
    for _ in range(TRIES_PER_DEPOSIT * count):
        if len(lumps) == count:
            break
        site = sites[int(rng.integers(len(sites)))]
        lump = _draw_lump(canvas, site, mineral_mm=mineral_mm * rng.uniform(*contrast), rng=rng)
        if _claim(lump, canvas, allowed=allowed, bone=bone, taken=taken):
            lumps.append(lump)
    return lumps


def _draw_lump(canvas: Canvas, site: Site, *, mineral_mm: float, rng: np.random.Generator) -> Lump:
    """Draw form and size; small lumps are commoner than large ones."""
    morphology = str(rng.choice(list(MORPHOLOGY_SHARES), p=list(MORPHOLOGY_SHARES.values())))
    least = min(MIN_SIZE_MM[morphology], 0.7 * site.max_size_mm)
    size_mm = least + (site.max_size_mm - least) * rng.beta(1.3, 2.2)
    shape = deposit(morphology, diameter_mm=size_mm, pixel_mm=canvas.spacing_mm, blur_mm=0.05, rng=rng)
    mineral = (shape * mineral_mm).astype(np.float32)
    at = canvas.to_pixels(np.asarray(site.at) + rng.normal(0, site.jitter_mm, 2))
    row, col = (round(float(place) - size / 2) for place, size in zip(at, mineral.shape, strict=True))
    patch = Patch(row=row, col=col, layers={"apatite": mineral, "muscle": -mineral})
    return Lump(morphology=morphology, label=MARK, patches=(patch,))


def _claim(lump: Lump, canvas: Canvas, *, allowed: Mask, bone: Mask, taken: Mask) -> bool:
    """Mark a lump's pixels and a gap in `taken`, unless it lies off `allowed`, on another lump or much on bone."""
    gap = max(round(GAP_MM / canvas.spacing_mm), 1)
    window, view, patches = crop(lump.patches, canvas, margin_px=gap + 1)
    if not min(view.shape):
        return False
    mineral = add_up(patches, view)["apatite"]
    area = mineral > EDGE_SHARE * mineral.max()
    if not area.any() or not allowed[window][area].all() or taken[window][area].any():
        return False
    if bone[window][area].mean() > MAX_ON_BONE:
        return False
    taken[window] |= ops.dilate(area, gap)
    return True


def relative_attenuation(patches: Sequence[Patch], canvas: Canvas, beam: Beam) -> FloatImage:
    """What patches add to the attenuation exponent, over the soft tissue they displace."""
    total = np.zeros(canvas.shape, np.float32)
    for material, layer in add_up(patches, canvas).items():
        total += np.float32(beam.attenuation(material)) * layer
    return total


def record_truth(
    lumps: Sequence[Lump], canvas: Canvas, *, beam: Beam, bone_step: float
) -> tuple[tuple[Deposit, ...], LabelImage]:
    """Write down place, size and contrast of each lump as the detector sees it.

    Parameters
    ----------
    lumps
        Deposits and mimics, none wholly off the canvas.
    canvas, beam
        The film.
    bone_step
        Median attenuation of bone over soft tissue.

    Returns
    -------
    deposits : tuple of Deposit
        In the order of `lumps`.
    labels : int32 (rows, cols)
        0 = nothing, k = the deposit with id k; a later one hides an earlier.
    """
    labels = np.zeros(canvas.shape, np.int32)
    records: list[Deposit] = []
    for lump in lumps:
        window, view, patches = crop(lump.patches, canvas, margin_px=3)
        extra = ops.gaussian(relative_attenuation(patches, view, beam), DETECTOR_BLUR_MM / canvas.spacing_mm)
        area = extra > EDGE_SHARE * extra.max()
        records.append(_record(lump, len(records) + 1, area, window, contrast=float(extra.max()) / bone_step))
        labels[window][area] = len(records)
    return tuple(records), labels


def _record(lump: Lump, number: int, area: Mask, window: tuple[slice, slice], *, contrast: float) -> Deposit:
    rows, cols = (axis + side.start for axis, side in zip(np.nonzero(area), window, strict=True))
    return Deposit(
        id=number,
        morphology=lump.morphology,
        label=lump.label,
        x0=int(cols.min()),
        y0=int(rows.min()),
        x1=int(cols.max()) + 1,
        y1=int(rows.max()) + 1,
        row=float(rows.mean()),
        col=float(cols.mean()),
        area_px=int(rows.size),
        contrast_bone=contrast,
    )
