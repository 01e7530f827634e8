"""What a film looks like: body region and size of the exposed field, from the picture alone.

Slopes of small patches are binned by direction (Dalal & Triggs, CVPR 2005, DOI 10.1109/CVPR.2005.177) and each patch
is given to the nearest of a few dozen typical ones, the words; what share each word has in the body and in its upper,
middle and lower third (Lazebnik, CVPR 2006, DOI 10.1109/CVPR.2006.68) describes a film, together with thumbnails and
proportions. None of this depends on the film's scale. Films are compared with prototypes by a Gaussian kernel; weighted
sums of the likeness are log-odds of each look and the logarithm of the size (Williams & Seeger, NIPS 2000). Fitted by
``benchmarks/fit_regions.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask
from calcidetect.types import Field, Radiograph

LONGER_SIDE_PX = 256
"""A film is looked at with its exposed field reduced to this."""

BODY_SHARE = 0.99
"""The box around the body leaves out this little of its rows and columns, so that a stray letter does not widen it."""

PATCH_SIDES = (64, 128)  # px, the longer side of the body's box when patches of CELLS x CELLS cells are looked at
CELL = 8  # px
CELLS = 3
DIRECTIONS = 8  # of slopes, over 180 degrees
FLAT = 0.02  # slope per pixel, in shares of the range, below which a patch counts as flat
NEARNESS = 0.5  # squared distance to a patch at which a word's claim on it falls to 1/e of the nearest word's
BANDS = 3  # from top to bottom
THUMBNAIL, EVEN_THUMBNAIL = 12, 8  # px
PROFILE = 8  # shares of body along each side
QUANTILES = 65  # that even grey levels out
RANGE_QUANTILES = (0.02, 0.98)  # of the body, black to white of a thumbnail
STRANGE = (0.6, 147.0)
STRANGE_ALONE = 0.95
"""From these on, in kernel widths from the nearest prototype and in features off the model's axes, a picture is no film
that the model knows. Of 51 films set apart and 239 others none is so far; noise, gravel, grass, coins and a ramp are, a
portrait and a cat are not."""

CHEST = "chest"

UPRIGHT = 0.35
"""A film this near to a prototype, in kernel widths, stands as that does: it is not looked at another way up. Of 399
chest films six in ten are, of those turned by hand none."""

TURN_GAIN = 0.05
"""By so much, in kernel widths, turning brings a film that lies nearer to a prototype. With these bounds none of 399
chest films is turned as it lies, 98 % are on either side and 97 % upside down; of 388 others, whose parts may be laid
down any way round, none."""

MIN_CHANCE_LYING, MIN_CHANCE_UPRIGHT = 0.02, 0.5
"""Least chance of being a chest, before and after a film is turned."""

BODY_BLACK = 0.1  # least level of the body where air is 0

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a picture looks like.

    Attributes
    ----------
    chances
        Probability of each look, 0 to 1, summing to 1: every region but ``other``, and besides ``forearm`` and ``leg``.
    field_mm
        Estimated longer side of the exposed field in mm, > 0. Sizes operators, is never printed.
    strange
        Whether it looks like none of the films that the model was fitted on.
    turns
        Quarter turns counter-clockwise that bring a chest film upright, 0 to 3; 0 for every other film.
    """

    chances: Mapping[str, float]
    field_mm: float
    strange: bool
    turns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionModel:
    """Prototypes and their weights.

    Attributes
    ----------
    looks
        Names of the k looks.
    words
        float32 (w, p) for each of `PATCH_SIDES`: typical patches.
    centre
        float32 (f,): subtracted from features.
    axes
        float32 (f, d): onto which features are projected.
    prototypes
        float32 (n, d): projected films.
    width
        Distance, in projected units, at which likeness falls to 1/e.
    weights
        float32 (n + 1, k + 1): log-odds of each look and log of the field's longer side in mm; the last row is added to
        every film's.
    size_range
        Least and greatest log of the longer side, met while fitting.
    """

    looks: tuple[str, ...]
    words: tuple[Vector, ...]
    centre: Vector
    axes: Vector
    prototypes: Vector
    width: float
    weights: Vector
    size_range: tuple[float, float]

    def projected(self, films: Vector) -> Vector:
        """Places, float32 (m, d), of m films' `features`, float32 (m, f), among the prototypes."""
        return ((films - self.centre) @ self.axes).astype(np.float32, copy=False)


def look_at(radiograph: Radiograph, field: Field, *, model: RegionModel | None = None) -> Look:
    """Say what a film looks like.

    Parameters
    ----------
    radiograph
        The film on the working grid of any scale, bone bright.
    field
        Its exposed field.
    model
        Fitted on `features`; None for the one shipped.

    Returns
    -------
    Look
        Of a chest film on its side or upside down what it looks like upright, and how it gets there.
    """
    model = model or load_model()
    picture = _picture(*reduced(radiograph, field))
    look, distance = _look(model, picture)
    if look.chances[CHEST] < MIN_CHANCE_LYING or distance < UPRIGHT:
        return look
    others = [_look(model, _turned(picture, turns), turns) for turns in (1, 2, 3)]
    nearest, least = min(others, key=lambda other: other[1])
    lies = nearest.chances[CHEST] >= MIN_CHANCE_UPRIGHT and least < distance - TURN_GAIN
    return nearest if lies else look


def _look(model: RegionModel, picture: _Picture, turns: int = 0) -> tuple[Look, float]:
    """What a picture that was turned so often looks like, and how far it lies from the nearest prototype."""
    films = np.stack([_described(each, model.words) for each in (picture, _mirrored(picture))])  # left and right alike
    answers = evaluate(model, films).mean(axis=0)
    chances = np.exp(answers[:-1] - answers[:-1].max())
    chances /= chances.sum()
    distance, off_axes = _distances(model, films[0])
    (near, off), farthest = STRANGE, STRANGE_ALONE
    look = Look(
        chances=dict(zip(model.looks, chances.tolist(), strict=True)),
        field_mm=float(np.exp(np.clip(answers[-1], *model.size_range))),
        strange=distance > farthest or (distance > near and off_axes > off),
        turns=turns,
    )
    return look, distance


def _distances(model: RegionModel, film: Vector) -> tuple[float, float]:
    """How far the features (f,) of a film lie from the nearest prototype, in kernel widths, and off all axes."""
    centred = film - model.centre
    projected = centred @ model.axes
    nearest = float(np.sqrt(((model.prototypes - projected) ** 2).sum(axis=1).min())) / model.width
    return nearest, float(np.linalg.norm(centred - projected @ model.axes.T))


def evaluate(model: RegionModel, films: Vector) -> Vector:
    """Log-odds and log size, float32 (m, k + 1), of m films' `features`, float32 (m, f)."""
    return likeness(model.projected(films), model.prototypes, width=model.width) @ model.weights


def likeness(films: Vector, prototypes: Vector, *, width: float) -> Vector:
    """Gaussian likeness of each film to each prototype, float32 (m, n + 1); the last column is 1."""
    square = (films**2).sum(axis=1)[:, None] + (prototypes**2).sum(axis=1) - 2 * films @ prototypes.T
    kernel = np.exp(-np.maximum(square, 0) / np.float32(width**2))
    return np.hstack([kernel, np.ones((len(films), 1), np.float32)])


@cache
def load_model() -> RegionModel:
    """Read the shipped model ``calcidetect/data/regions.npz``."""
    with resources.files("calcidetect").joinpath("data", "regions.npz").open("rb") as file:
        stored = dict(np.load(file))
    low, high = stored["size_range"]
    return RegionModel(
        looks=tuple(stored["looks"].tolist()),
        words=tuple(stored["words"] * stored["words_step"]),
        centre=stored["centre"].astype(np.float32),
        axes=stored["axes"] * stored["axes_step"],
        prototypes=stored["prototypes"] * stored["prototypes_step"],
        width=float(stored["width"]),
        weights=stored["weights"].astype(np.float32),
        size_range=(float(low), float(high)),
    )


def reduced(radiograph: Radiograph, field: Field) -> tuple[FloatImage, Mask]:
    """Pixels and body of the exposed field, its longer side `LONGER_SIDE_PX` at most."""
    box = _box(field.mask, share=1.0)
    pixels, body = radiograph.pixels[box], field.body[box]
    factor = min(1.0, LONGER_SIDE_PX / max(pixels.shape))
    shape = (max(1, round(pixels.shape[0] * factor)), max(1, round(pixels.shape[1] * factor)))
    return ops.resize_area(np.ascontiguousarray(pixels), shape), ops.resize_mask(body, shape)


def features(pixels: FloatImage, body: Mask, *, words: tuple[Vector, ...]) -> Vector:
    """Describe a body by numbers that no scale, gain or offset changes.

    Parameters
    ----------
    pixels, body
        The exposed field, bone bright; `body` must hold at least one pixel.
    words
        See `RegionModel`.

    Returns
    -------
    float32 (f,)
    """
    return _described(_picture(pixels, body), words)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Picture:
    """What `features` are made of: patches for each of `PATCH_SIDES`, thumbnails, and the body in the box around it.

    `share` is the body's share of the field, of `field_shape`.
    """

    patches: tuple[Vector, ...]
    thumbnail: FloatImage
    even_thumbnail: FloatImage
    inside: Mask
    field_shape: tuple[int, int]
    share: float


def _picture(pixels: FloatImage, body: Mask) -> _Picture:
    box = _box(body, share=BODY_SHARE)
    inside = body[box]
    even = _with_black_air(_even_levels(pixels[box], inside), inside)
    plain = _with_black_air(_stretched(pixels[box], inside), inside)
    return _Picture(
        patches=tuple(patches(even, side) for side in PATCH_SIDES),
        thumbnail=ops.resize_area(plain, (THUMBNAIL, THUMBNAIL)),
        even_thumbnail=ops.resize_area(even, (EVEN_THUMBNAIL, EVEN_THUMBNAIL)),
        inside=inside,
        field_shape=(body.shape[0], body.shape[1]),
        share=float(body.mean()),
    )


def _mirrored(picture: _Picture) -> _Picture:
    """The same picture, left for right, in half the time of looking at it once more."""
    return dataclasses.replace(
        picture,
        patches=tuple(_mirrored_patches(each) for each in picture.patches),
        thumbnail=picture.thumbnail[:, ::-1],
        even_thumbnail=picture.even_thumbnail[:, ::-1],
        inside=picture.inside[:, ::-1],
    )


def _turned(picture: _Picture, turns: int) -> _Picture:
    """The same picture after so many quarter turns counter-clockwise."""
    rows, cols = picture.field_shape
    return dataclasses.replace(
        picture,
        patches=tuple(_turned_patches(each, turns) for each in picture.patches),
        thumbnail=np.rot90(picture.thumbnail, turns),
        even_thumbnail=np.rot90(picture.even_thumbnail, turns),
        inside=np.rot90(picture.inside, turns),
        field_shape=(cols, rows) if turns % 2 else (rows, cols),
    )


def _mirrored_patches(patches: Vector) -> Vector:
    """Patches with their cells in reverse; a direction becomes its counterpart on the other side of the vertical."""
    slopes, levels = _cells(patches[:, ::-1])
    other_way = -np.arange(DIRECTIONS) % DIRECTIONS
    return _joined(slopes[..., ::-1, other_way], levels[..., ::-1])


def _turned_patches(patches: Vector, turns: int) -> Vector:
    """Patches, their cells and the directions in these turned; two quarter turns leave a direction as it is."""
    slopes, levels = (np.rot90(np.rot90(side, turns), turns, axes=(2, 3)) for side in _cells(patches))
    return _joined(np.roll(slopes, turns * DIRECTIONS // 2, axis=-1), levels)


def _cells(patches: Vector) -> tuple[Vector, Vector]:
    """Slopes, (rows, cols, `CELLS`, `CELLS`, `DIRECTIONS`), and levels without the last axis, of patches' cells."""
    slopes, levels = np.split(patches, [CELLS**2 * DIRECTIONS], axis=-1)
    cells = (*patches.shape[:2], CELLS, CELLS)
    return slopes.reshape(*cells, DIRECTIONS), levels.reshape(cells)


def _joined(slopes: Vector, levels: Vector) -> Vector:
    return np.concatenate([side.reshape(*side.shape[:2], -1) for side in (slopes, levels)], axis=-1)


def _described(picture: _Picture, words: tuple[Vector, ...]) -> Vector:
    parts = (
        *(word_shares(own, known) for own, known in zip(picture.patches, words, strict=True)),
        picture.thumbnail,
        picture.even_thumbnail,
        *_profiles(picture.inside),
        _proportions(picture.inside, picture.field_shape, picture.share),
    )
    return np.concatenate([np.ravel(part) for part in parts]).astype(np.float32)


def body_patches(pixels: FloatImage, body: Mask, *, side: int) -> Vector:
    """`patches` of a body as `features` sees it."""
    box = _box(body, share=BODY_SHARE)
    return patches(_with_black_air(_even_levels(pixels[box], body[box]), body[box]), side)


def patches(image: FloatImage, side: int) -> Vector:
    """Every patch of an image whose longer side is made `side` pixels: directions of slopes and levels of its cells.

    Returns
    -------
    float32 (rows, cols, p)
    """
    factor = side / max(image.shape) / CELL
    rows, cols = (max(CELLS, round(length * factor)) for length in image.shape)
    image = ops.resize_area(image, (rows * CELL, cols * CELL))
    slopes = _windows(_directions(image, (rows, cols)))
    length = np.sqrt((slopes**2).sum(axis=-1, keepdims=True))
    levels = _windows(ops.resize_area(image, (rows, cols))[..., None])
    return np.concatenate([np.sqrt(slopes / (length + FLAT)), levels], axis=-1)


def _directions(image: FloatImage, cells: tuple[int, int]) -> FloatImage:
    """Mean slope of each cell by direction, float32 (rows, cols, `DIRECTIONS`)."""
    down, across = ops.gradient(image)
    length = np.hypot(down, across)
    turn = (np.arctan2(down, across) / np.pi % 1) * DIRECTIONS
    away = [np.abs((turn - k + DIRECTIONS / 2) % DIRECTIONS - DIRECTIONS / 2) for k in range(DIRECTIONS)]
    return np.stack([ops.resize_area(length * np.clip(1 - far, 0, 1), cells) for far in away], axis=-1)


def _windows(cells: FloatImage) -> FloatImage:
    """Values of each cell and those to the right and below, (rows - `CELLS` + 1, cols - `CELLS` + 1, all)."""
    rows, cols = cells.shape[0] - CELLS + 1, cells.shape[1] - CELLS + 1
    return np.concatenate([cells[i : i + rows, j : j + cols] for i, j in np.ndindex(CELLS, CELLS)], axis=-1)


def word_shares(patches: Vector, words: Vector) -> Vector:
    """Square root of each word's share in all patches and in those of each band; float32 ((1 + `BANDS`) w,)."""
    square = (patches**2).sum(axis=-1, keepdims=True) + (words**2).sum(axis=1) - 2 * patches @ words.T
    claim = np.exp((square.min(axis=-1, keepdims=True) - square) / NEARNESS)
    claim /= claim.sum(axis=-1, keepdims=True)
    rows = len(claim)
    ends = [(rows * k // BANDS, max(rows * k // BANDS + 1, rows * (k + 1) // BANDS)) for k in range(BANDS)]
    return np.sqrt(np.concatenate([claim[first:last].mean(axis=(0, 1)) for first, last in [(0, rows), *ends]]))


def _box(mask: Mask, *, share: float) -> tuple[slice, slice]:
    """Rows and columns that hold `share` of a mask."""
    return _span(mask.sum(axis=1), share), _span(mask.sum(axis=0), share)


def _span(counts: npt.NDArray[np.intp], share: float) -> slice:
    rising = np.cumsum(counts)
    tail = (1 - share) / 2 * rising[-1]
    first = int(np.searchsorted(rising, tail, side="right"))
    last = int(np.searchsorted(rising, rising[-1] - tail))
    return slice(min(first, last), last + 1)


def _even_levels(pixels: FloatImage, body: Mask) -> FloatImage:
    """Grey levels by their rank in the body, 0 to 1."""
    levels = np.quantile(pixels[body], np.linspace(0, 1, QUANTILES))
    return np.interp(pixels, levels, np.linspace(0, 1, QUANTILES)).astype(np.float32)


def _stretched(pixels: FloatImage, body: Mask) -> FloatImage:
    low, high = np.quantile(pixels[body], RANGE_QUANTILES)
    return np.clip((pixels - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def _with_black_air(levels: FloatImage, body: Mask) -> FloatImage:
    return np.where(body, BODY_BLACK + (1 - BODY_BLACK) * levels, 0).astype(np.float32)


def _profiles(body: Mask) -> tuple[FloatImage, FloatImage]:
    """Share of body along rows and along columns of its box."""
    share = body.astype(np.float32)
    return ops.resize_area(share, (PROFILE, 1)), ops.resize_area(share, (1, PROFILE))


def _proportions(inside: Mask, field_shape: tuple[int, int], share: float) -> Vector:
    """Elongation of body and field, shares of air, and which edges of its box the body reaches."""
    (rows, cols), (field_rows, field_cols) = inside.shape, field_shape
    tallness = np.log(rows / cols)
    edges = (inside[0].mean(), inside[-1].mean(), inside[:, 0].mean(), inside[:, -1].mean())
    reach = np.log(max(rows, cols) / max(field_rows, field_cols))
    sizes = (tallness, abs(tallness), np.log(field_rows / field_cols), reach)
    return np.array((*sizes, 1 - share, 1 - inside.mean(), *edges), np.float32)
