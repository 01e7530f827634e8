"""Both sides of chest films with masks of the clavicles, each in a window about the apex of its lung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from annotated import with_pitch

from calcidetect import ops, pipeline
from calcidetect.anatomy import bone
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.config import Config
from calcidetect.reading import readers

PIXEL_MM = 0.7
COARSE_MM = 2 * PIXEL_MM
"""Pixel pitch of the revision, half that of the masks; of the guess."""

UP_MM, DOWN_MM, IN_MM, OUT_MM = 40.0, 100.0, 12.0, 136.0
"""The window about the lung's apex and the middle between the lungs: 12 mm wider than any of 162 clavicles needs."""

TRACHEA_MM = 12.0
"""Radius of a disc that fits into lungs, not into the trachea, which looks like them."""

LUNG_SHARE, OUTER_SHARES, APEX_SHARE = 0.15, (0.01, 0.99), 0.01
"""Least share of the lungs that a part must have; of their columns and rows, where their borders are."""

EVEN_MM, EVEN_FLOOR = 10.0, 0.02
"""Gaussian sigma by whose mean and spread local contrast is evened out; least spread, in ranges of the body."""

SLOPES_MM = (0.7, 1.6, 3.2)
AROUND_MM = (4.0, 8.0, 16.0, 30.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Side:
    """One clavicle in its window: planes (m, rows, cols) of `PIXEL_MM`, its mask and the program's bone at half of it.

    `lost` counts pixels of the mask outside the window.
    """

    film: str
    names: tuple[str, ...]
    planes: np.ndarray
    truth: np.ndarray
    bone: np.ndarray
    lost: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """Where a side lies on a film of `PIXEL_MM`, turned so that the shoulder is on the right."""

    mirrored: bool
    top: int
    left: int

    def of(self, image: np.ndarray, scale: int = 1) -> np.ndarray:
        """The part of an image `scale` times as fine that lies in the window; beyond the film its border goes on."""
        image = image[:, ::-1] if self.mirrored else image
        sizes = (round((UP_MM + DOWN_MM) / COARSE_MM) * 2, round((IN_MM + OUT_MM) / COARSE_MM) * 2)
        rows, cols = (
            np.clip(np.arange(scale * start, scale * (start + size)), 0, limit - 1)
            for start, size, limit in zip((self.top, self.left), sizes, image.shape, strict=True)
        )
        return image[np.ix_(rows, cols)]


def clavicle_paths(film: Path) -> list[Path]:
    """Masks of the clavicles on the left and on the right of a postero-anterior film."""
    return [film.with_suffix(f".{side}_clavicle.png") for side in ("right", "left")]


def masked_films(folder: Path) -> list[Path]:
    return sorted(film for film in folder.glob("*.png") if all(path.exists() for path in clavicle_paths(film)))


def lung_frame(lung: np.ndarray, pixel_mm: float) -> tuple[list[float], float, float]:
    """Rows of both apexes, column midway between the lungs' outer borders, and their distance; pixels."""
    radius = round(TRACHEA_MM / pixel_mm)
    labels, boxes, _ = ops.components(ops.dilate(ops.erode(lung > 0.5, radius), radius))
    if not len(boxes):
        raise SystemExit("no lung is found on a film; are all of them frontal chest films?")
    large = np.concatenate([[False], boxes[:, 4] >= LUNG_SHARE * boxes[:, 4].sum()])[labels]
    left, right = (_quantile(large.sum(axis=0), share) for share in OUTER_SHARES)
    middle = (left + right) / 2
    halves = large[:, : round(middle)], large[:, round(middle) :]
    return [_quantile(half.sum(axis=1), APEX_SHARE) for half in halves], middle, right - left


def _quantile(counts: np.ndarray, share: float) -> float:
    return float(np.searchsorted(np.cumsum(counts), share * counts.sum()))


def film_sides(path: Path, pitch_mm: float) -> list[Side]:
    """Both sides of a film."""
    seen = pipeline.find_region(with_pitch(readers.load(path), pitch_mm), Config())
    working, field = seen.working, seen.field
    settings = Config().bone
    coarse = film_planes(working, field, pixel_mm=settings.pixel_mm)
    anatomy = bone.segment_bone(working, field, planes=coarse, settings=settings)
    lung = bone.lung_probability(coarse)
    apexes, middle, width = lung_frame(lung, coarse.pixel_mm)
    fine = film_planes(working, field, pixel_mm=PIXEL_MM)
    shape, scale = fine.body.shape, coarse.pixel_mm / PIXEL_MM
    values = {**fine.values, "lung": ops.resize_linear(lung, shape)}
    halved = (2 * shape[0], 2 * shape[1])
    sides = []
    for mirrored, apex, mask in zip((True, False), apexes, clavicle_paths(path), strict=True):
        column = shape[1] - 1 - middle * scale if mirrored else middle * scale
        window = Window(
            mirrored=mirrored, top=round(apex * scale - UP_MM / PIXEL_MM), left=round(column - IN_MM / PIXEL_MM)
        )
        truth = ops.resize_mask(cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE) > 127, halved)
        seen = {name: window.of(plane) for name, plane in values.items()}
        seen |= _seen_here(seen["level"], width * coarse.pixel_mm)
        sides.append(
            Side(
                film=path.stem,
                names=tuple(seen),
                planes=np.stack(list(seen.values())).astype(np.float16),
                truth=window.of(truth, 2),
                bone=window.of(ops.resize_mask(anatomy.bone, halved), 2),
                lost=int(truth.sum()) - int(window.of(truth, 2).sum()),
            )
        )
    return sides


def _seen_here(level: np.ndarray, width_mm: float) -> dict[str, np.ndarray]:
    """Planes of a window beside those of the film: place, local contrast, its slopes, and what is around."""
    rows, cols = np.indices(level.shape, np.float32)
    down, across = rows * PIXEL_MM - UP_MM, cols * PIXEL_MM - IN_MM
    planes = {"down": down, "across": across, "across_share": across / np.float32(width_mm)}
    sigma = EVEN_MM / PIXEL_MM
    flat = level - ops.smooth(level, sigma)
    even = flat / (np.sqrt(ops.smooth(flat * flat, sigma)) + np.float32(EVEN_FLOOR))
    planes["even"] = even
    for scale in SLOPES_MM:
        slopes = ops.gradient(ops.smooth(even, scale / PIXEL_MM))
        planes |= {f"slope_{way}{scale}": slope for way, slope in zip(("down", "across"), slopes, strict=True)}
    return planes | around(ops.smooth(even, 1.6 / PIXEL_MM), AROUND_MM, PIXEL_MM, "even")


def around(image: np.ndarray, reaches_mm: Sequence[float], pixel_mm: float, name: str) -> dict[str, np.ndarray]:
    """The image as seen from each pixel in eight directions."""
    return {
        f"{name}_{reach:g}_{way}": seen
        for reach in reaches_mm
        for way, seen in enumerate(ops.shifted_around(image, reach / pixel_mm))
    }
