"""Other classical designs of bone segmentation, to stand beside the program's fitted tables in the same run.

Each takes a film on the working grid and its exposed field, and returns bone inside the body, bool (rows, cols).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from skimage.filters import rank, threshold_otsu
from skimage.morphology import area_opening, disk
from skimage.segmentation import morphological_chan_vese, random_walker

from calcidetect import ops
from calcidetect.anatomy import bone
from calcidetect.anatomy.pixel_features import film_planes, in_body_ranges, table_probability
from calcidetect.config import Config
from calcidetect.types import Field, Radiograph

REDUCED_MM = 1.6
"""Pixel pitch of all designs, that of the program's own tables."""

LEVELS = 255
TREND_MM, TREND_SHARE = 40.0, 0.3
"""Soft tissue is this quantile of the body within such a radius. Best of seven pairs of 12 to 40 mm and 0.1 to 0.5 on
24 films (every second of the 47 annotated ones) and six phantoms, by points right and Dice; so are the next two."""

COMPETITION_STEPS = 30
EDGE_MM = 1.6
PAIR_MM = (5.0, 8.0, 13.0)
"""Gaussian sigma of an edge, and the widths of bone between two of them; with 20 and 32 mm limbs and lungs are bone."""

BRIGHT_SHARE = 0.35
"""Bright parts of less than this share of the body are bone; best of 0.01 to 0.35."""

SEED_SHARES = (0.4, 0.85)
"""Quantiles of the film above its trend: below soft tissue is sure, above bone; not tuned, nor are the rest."""

WALK_BETA = 300.0
CUT_ROUNDS = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Reduced:
    """A film on pixels of `REDUCED_MM`: signal in ranges of the body, above its soft-tissue trend, and the body."""

    level: np.ndarray
    above: np.ndarray
    body: np.ndarray


def reduced(working: Radiograph, field: Field) -> Reduced:
    shape = tuple(max(1, round(side * working.grid.nominal_mm / REDUCED_MM)) for side in working.grid.shape)
    pixels, body = ops.resize_area(working.pixels, shape), ops.resize_mask(field.body, shape)
    level = in_body_ranges(pixels, body)
    radius = disk(max(1, round(TREND_MM / REDUCED_MM)))
    trend = rank.percentile(_bytes(level, body), radius, mask=body.astype(np.uint8), p0=TREND_SHARE)
    low, high = _ends(level, body)
    return Reduced(level=level, above=level - (low + (high - low) * trend.astype(np.float32) / LEVELS), body=body)


def _ends(values: np.ndarray, body: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values[body], [0.5, 99.5]).tolist()
    return low, max(high, low + 1e-6)


def _bytes(values: np.ndarray, body: np.ndarray) -> np.ndarray:
    """The body's values as uint8, 0 to `LEVELS`; outside it what is nearest to them."""
    low, high = _ends(values, body)
    return np.round(np.clip((values - low) / (high - low), 0, 1) * LEVELS).astype(np.uint8)


def above_trend(film: Reduced) -> np.ndarray:
    """What stands out of the soft-tissue trend (Otsu 1979, doi:10.1109/TSMC.1979.4310076)."""
    return film.above > threshold_otsu(film.above[film.body])


def region_competition(film: Reduced) -> np.ndarray:
    """Two regions of even brightness above the trend, begun at `above_trend` (Marquez-Neila 2014,
    doi:10.1109/TPAMI.2013.106).
    """
    inside = np.where(film.body, film.above, np.median(film.above[film.body]))
    return morphological_chan_vese(inside, COMPETITION_STEPS, init_level_set=above_trend(film), smoothing=1) > 0


def edge_pairs(film: Reduced) -> np.ndarray:
    """What lies between a rise and a fall of like height, in any of four directions and of any of `PAIR_MM`.

    A place is as much a middle of bone as the weaker of its two edges (medialness: Pizer 1998,
    doi:10.1006/cviu.1998.0645); middles are widened to their edges.
    """
    down, across = ops.gradient(ops.smooth(film.level, EDGE_MM / REDUCED_MM))
    strengths = {width: _between_edges(down, across, width / REDUCED_MM) for width in PAIR_MM}
    strongest = np.max(list(strengths.values()), axis=0)
    middles = strongest > threshold_otsu(strongest[film.body])
    found = np.zeros_like(film.body)
    for width, strength in strengths.items():
        found |= ops.dilate(middles & (strength == strongest), round(width / REDUCED_MM / 2))
    return found


def _between_edges(down: np.ndarray, across: np.ndarray, width: float) -> np.ndarray:
    """Strongest pair of opposite edges `width` pixels apart around each pixel."""
    angles = np.arange(8) * np.pi / 4
    slopes = [ops.shifted_around(slope.astype(np.float32), width / 2) for slope in (down, across)]
    inward = [-(np.sin(angle) * rows + np.cos(angle) * cols) for angle, rows, cols in zip(angles, *slopes, strict=True)]
    pairs = [np.minimum(inward[index], inward[index + 4]) for index in range(4)]
    return np.maximum(np.max(pairs, axis=0), 0)


def bright_parts(film: Reduced) -> np.ndarray:
    """Bright parts of the film that are small, by the tree of its bright parts (Salembier 1998,
    doi:10.1109/83.663500).
    """
    grey = np.where(film.body, _bytes(film.level, film.body), 0)
    height = grey - area_opening(grey, BRIGHT_SHARE * film.body.sum()).astype(np.float32)
    return height > threshold_otsu(height[film.body])


def _seeds(film: Reduced) -> np.ndarray:
    """-1 outside the body, 1 sure soft tissue, 2 sure bone, 0 between."""
    low, high = np.quantile(film.above[film.body], SEED_SHARES)
    return np.where(film.body, np.where(film.above <= low, 1, np.where(film.above >= high, 2, 0)), -1)


def walked(film: Reduced) -> np.ndarray:
    """To whose seeds a random walk leads first (Grady 2006, doi:10.1109/TPAMI.2006.233)."""
    return random_walker(film.level, _seeds(film), beta=WALK_BETA, mode="cg_j", tol=1e-3, prob_tol=1) == 2


def cut(film: Reduced) -> np.ndarray:
    """Graph cut from the same seeds (Rother 2004, doi:10.1145/1015706.1015720), in level, height over the trend and
    steepness.
    """
    planes = (film.level, film.above, ops.smooth(ops.steepness(film.level), EDGE_MM / REDUCED_MM))
    colours = cv2.merge([_bytes(plane, film.body) for plane in planes])
    seeds, likely = _seeds(film), above_trend(film)
    known = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    known[seeds == 1], known[seeds == 2], known[seeds == -1] = cv2.GC_BGD, cv2.GC_FGD, cv2.GC_BGD
    cv2.setRNGSeed(0)
    known, _, _ = cv2.grabCut(colours, known, None, None, None, CUT_ROUNDS, cv2.GC_INIT_WITH_MASK)
    return (known == cv2.GC_FGD) | (known == cv2.GC_PR_FGD)


def shipped(working: Radiograph, field: Field) -> np.ndarray:
    settings = Config().bone
    return bone.segment_bone(
        working, field, planes=film_planes(working, field, pixel_mm=settings.pixel_mm), settings=settings
    ).bone


def first_guess(working: Radiograph, field: Field) -> np.ndarray:
    """The program's pixel classifier without revision."""
    planes = film_planes(working, field, pixel_mm=Config().bone.pixel_mm)
    chance = table_probability(planes.values, planes.body, tables=bone.shipped_tables().guess)
    return _tidied(ops.resize_linear(chance, working.grid.shape) > 0.5, working, field)


def _tidied(found: np.ndarray, working: Radiograph, field: Field) -> np.ndarray:
    """Without specks and holes, by the program's own bounds."""
    settings, pixel_mm2 = Config().bone, working.grid.nominal_mm**2
    labels, boxes, _ = ops.components(found & field.body)
    large = np.concatenate([[False], boxes[:, 4] * pixel_mm2 >= settings.min_area_mm2])
    return ops.fill_holes(large[labels], settings.max_hole_mm2 / pixel_mm2) & field.body


def _plain(design: Callable[[Reduced], np.ndarray]) -> Callable[[Radiograph, Field], np.ndarray]:
    """A design of reduced films as one of working films."""

    def found(working: Radiograph, field: Field) -> np.ndarray:
        mask = design(reduced(working, field))
        return _tidied(ops.resize_linear(mask.astype(np.float32), working.grid.shape) > 0.5, working, field)

    return found


DESIGNS: dict[str, Callable[[Radiograph, Field], np.ndarray]] = {
    "calcidetect": shipped,
    "first guess": first_guess,
    "trend, Otsu": _plain(above_trend),
    "region competition": _plain(region_competition),
    "edge pairs": _plain(edge_pairs),
    "bright parts": _plain(bright_parts),
    "random walker": _plain(walked),
    "graph cut": _plain(cut),
}
