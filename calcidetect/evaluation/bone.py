"""Bone masks of a scan beside annotated masks and points."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from calcidetect.arrays import Mask
from calcidetect.batch.names import film_stem
from calcidetect.errors import EvaluationError
from calcidetect.evaluate import boundary_distances, dice, share_right
from calcidetect.evaluate.agreement import BONE, NOT_BONE, UNKNOWN
from calcidetect.evaluation.results import Pair
from calcidetect.evaluation.truth import KnownFilm
from calcidetect.writers import FORMATS

ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmAgreement:
    """How bone found on one film agrees; None where nothing was annotated or nothing can be compared.

    `bone_points` and `soft_points` hold how many points are right and how many there are.
    """

    film: str
    region: str
    dice: float | None
    mean_mm: float | None
    hausdorff95_mm: float | None
    bone_points: tuple[int, int]
    soft_points: tuple[int, int]


def bone_figures(pairs: Iterable[Pair], results: Path, *, masks: Path | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Bone agreement by region and film, as plain values for JSON, and what could not be compared.

    Masks are ``NAME.png``, NAME the film's name (or that of the film it was made from) without suffix, of the size of
    the film: 255 bone and 0 not, or 0 unknown, 1 not bone, 2 bone.

    Raises
    ------
    EvaluationError
        When the folder of masks is not there, or a mask can't be understood.
    """
    paths = [(pair, _mask_path(masks, pair.known)) for pair in pairs]
    films, trouble, unmatched = [], [], 0
    if masks and not any(path for _, path in paths):
        trouble.append(f"No mask in {masks} has the name of a film; name them NAME.png, as the films.")
    for pair, path in paths:
        if path is None and not (pair.known.bone_points or pair.known.soft_points):
            continue
        found_path = results / f"{pair.scanned.name}{FORMATS['bone'].suffix}"
        if not os.path.isfile(found_path):
            unmatched += 1
            continue
        found, truth = read_png(found_path) > 0, None if path is None else read_bone_truth(path)
        if truth is not None and truth.shape != found.shape:
            trouble.append(f"{path} has {truth.shape} rows and columns, the film {found.shape}; it is left out.")
            truth = None
        films.append(_agreement(pair.known, found, truth))
    if unmatched:
        trouble.append(f"Bone of {unmatched} films can't be judged: scan with --format bone,calc to write its mask.")
    return summary(films), tuple(trouble)


def _mask_path(folder: Path | None, film: KnownFilm) -> Path | None:
    if folder is None:
        return None
    if not os.path.isdir(folder):
        raise EvaluationError(f"{folder} is not a folder; check the path given as --masks.")
    paths = (folder / f"{film_stem(name)}.png" for name in (film.name, film.source))
    return next((path for path in paths if os.path.isfile(path)), None)


def read_png(path: Path) -> npt.NDArray[np.uint8]:
    """Read a grey picture of 8 bits, uint8 (rows, cols); of a coloured one its first channel.

    Raises
    ------
    EvaluationError
        When it is none.
    """
    try:
        picture = imagecodecs.png_decode(path.read_bytes())
    except (OSError, ValueError, imagecodecs.PngError) as error:
        raise EvaluationError(f"{path} can't be read as PNG: {error}.") from error
    if picture.dtype != np.uint8:
        raise EvaluationError(f"{path} has values of type {picture.dtype}; a mask has 8 bits.")
    return picture if picture.ndim == 2 else picture[..., 0]


def read_bone_truth(path: Path) -> npt.NDArray[np.uint8]:
    """Read an annotated mask of either kind as uint8 (rows, cols): 0 unknown, 1 not bone, 2 bone.

    Raises
    ------
    EvaluationError
        When it holds other values than masks have.
    """
    picture = read_png(path)
    values = set(np.unique(picture).tolist())
    if values <= {UNKNOWN, NOT_BONE, BONE}:
        return picture
    if values <= {0, 255}:
        return np.where(picture == 255, BONE, NOT_BONE).astype(np.uint8)
    raise EvaluationError(f"{path} holds the values {sorted(values)[:5]}; a mask has 0 and 255, or 0, 1 and 2.")


def _agreement(film: KnownFilm, found: Mask, truth: npt.NDArray[np.uint8] | None) -> FilmAgreement:
    distances = None if truth is None else boundary_distances(found, truth, pixel_mm=film.mm_px)
    overlap = float("nan") if truth is None else dice(found, truth)
    return FilmAgreement(
        film=film.name,
        region=film.region,
        dice=overlap if np.isfinite(overlap) else None,
        mean_mm=distances.mean_mm if distances else None,
        hausdorff95_mm=distances.hausdorff95_mm if distances else None,
        bone_points=share_right(found, film.bone_points, bone=True),
        soft_points=share_right(found, film.soft_points, bone=False),
    )


def summary(films: Sequence[FilmAgreement]) -> dict[str, Any]:
    """Means by region, and each film, as plain values for JSON."""
    groups: dict[str, list[FilmAgreement]] = defaultdict(list)
    for film in films:
        groups[ALL].append(film)
    for film in sorted(films, key=lambda film: film.region):
        groups[film.region].append(film)
    by_region = {name: _means(group) for name, group in groups.items()}
    return {"regions": by_region, "each_film": [_line(film) for film in films]}


def _means(films: Sequence[FilmAgreement]) -> dict[str, Any]:
    """Means over films; points are counted over all of them."""
    bone, soft = (
        np.sum(points, axis=0) for points in zip(*((f.bone_points, f.soft_points) for f in films), strict=True)
    )
    return {
        "films": len(films),
        "masks": sum(film.dice is not None for film in films),
        "dice": _mean(film.dice for film in films),
        "mean_mm": _mean(film.mean_mm for film in films),
        "hausdorff95_mm": _mean(film.hausdorff95_mm for film in films),
        "bone_points": int(bone[1]),
        "bone_points_right": bone[0] / bone[1] if bone[1] else None,
        "soft_points": int(soft[1]),
        "soft_points_right": soft[0] / soft[1] if soft[1] else None,
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _line(film: FilmAgreement) -> dict[str, Any]:
    return {"film": film.film, **_means([film])}
