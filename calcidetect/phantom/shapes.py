"""Solid bodies seen by a parallel beam: how many mm of each material a ray meets.

Points are ``(row, col)`` in mm of the scene, rows downwards. A shape returns a `Patch`: the thickness it adds to each
material in a window of the canvas. Patches add up, so a bone's patch also takes away the muscle it displaces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial import cKDTree

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask

Points = npt.NDArray[np.float64]
"""float64 (n, 2): ``(row, col)`` in mm."""

FAR_MM = np.float32(1e3)
MATERIALS = ("muscle", "fat", "bone", "apatite")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """A pixel grid laid over the scene; `origin_mm` is the scene's ``(row, col)`` at the grid's upper left corner."""

    shape: tuple[int, int]
    spacing_mm: float
    origin_mm: tuple[float, float] = (0.0, 0.0)

    def coarser(self, factor: int) -> Canvas:
        """Return the same view with pixels `factor` times as wide."""
        rows, cols = (-(-size // factor) for size in self.shape)
        return Canvas(shape=(rows, cols), spacing_mm=self.spacing_mm * factor, origin_mm=self.origin_mm)

    def to_pixels(self, points: npt.ArrayLike) -> Points:
        """Map scene points in mm to pixels of this grid."""
        return (np.asarray(points, float) - self.origin_mm) / self.spacing_mm - 0.5

    def to_scene(self, pixels: npt.ArrayLike) -> Points:
        """Map pixels of this grid to scene points in mm."""
        return (np.asarray(pixels, float) + 0.5) * self.spacing_mm + self.origin_mm


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Patch:
    """Thickness in mm that a shape adds to each material, in a window whose upper left pixel is (`row`, `col`)."""

    row: int
    col: int
    layers: Mapping[str, FloatImage]
    is_bone: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the window; (0, 0) without layers."""
        return next((layer.shape for layer in self.layers.values()), (0, 0))


EMPTY = Patch(row=0, col=0, layers={})


def add_up(patches: Iterable[Patch], canvas: Canvas) -> dict[str, FloatImage]:
    """Sum patches into one thickness map per material, float32 (rows, cols) in mm; what lies off the canvas is lost."""
    maps = {material: np.zeros(canvas.shape, np.float32) for material in MATERIALS}
    for patch in patches:
        target, source = _overlap(patch, canvas)
        for material, layer in patch.layers.items():
            maps[material][target] += layer[source]
    return maps


def crop(
    patches: Sequence[Patch], canvas: Canvas, *, margin_px: int
) -> tuple[tuple[slice, slice], Canvas, list[Patch]]:
    """Return the smallest window of the canvas that holds `patches`, its canvas, and the patches moved into it."""
    corners = [(p.row, p.col, p.row + p.shape[0], p.col + p.shape[1]) for p in patches if p.layers]
    bounds = np.array(corners or [(0, 0, 0, 0)])
    low = np.clip(bounds[:, :2].min(axis=0) - margin_px, 0, canvas.shape)
    high = np.clip(bounds[:, 2:].max(axis=0) + margin_px, low, canvas.shape)
    rows, cols = (int(n) for n in high - low)
    view = replace(canvas, shape=(rows, cols), origin_mm=tuple(canvas.to_scene(low - 0.5)))
    moved = [replace(p, row=p.row - int(low[0]), col=p.col - int(low[1])) for p in patches]
    window = (slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1])))
    return window, view, moved


def enlarge(maps: Mapping[str, FloatImage], source: Canvas, target: Canvas) -> dict[str, FloatImage]:
    """Interpolate thickness maps from a coarser view of the same scene."""
    factor = round(source.spacing_mm / target.spacing_mm)
    full = (source.shape[0] * factor, source.shape[1] * factor)
    rows, cols = target.shape
    return {material: ops.resize_area(layer, full)[:rows, :cols] for material, layer in maps.items()}


def bone_mask(patches: Iterable[Patch], canvas: Canvas, *, min_mm: float = 0.3) -> Mask:
    """Pixels where a ray meets at least `min_mm` of mineralised bone of any single bone."""
    mask = np.zeros(canvas.shape, bool)
    for patch in patches:
        if patch.is_bone:
            target, source = _overlap(patch, canvas)
            mask[target] |= patch.layers["bone"][source] >= min_mm
    return mask


def _overlap(patch: Patch, canvas: Canvas) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    starts = (patch.row, patch.col)
    low = [max(start, 0) for start in starts]
    high = [min(start + n, size) for start, n, size in zip(starts, patch.shape, canvas.shape, strict=True)]
    high = [max(a, b) for a, b in zip(low, high, strict=True)]
    target = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    source = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, starts, strict=True))
    return target, source  # type: ignore[return-value]


# ------------------------------------------------------------------------------------------------ curves and noise


def curve(points: npt.ArrayLike, *, step_mm: float = 1.0, closed: bool = False) -> Points:
    """Smooth curve through `points`, shape (n, d), sampled about every `step_mm`."""
    knots = np.asarray(points, float)
    if closed:
        knots = np.vstack([knots, knots[:1]])
    chord = np.r_[0, np.cumsum(np.maximum(np.linalg.norm(np.diff(knots[:, :2], axis=0), axis=1), 1e-3))]
    samples = np.linspace(0, chord[-1], max(int(chord[-1] / step_mm), 8) + 1)
    if len(knots) == 2:
        return np.stack([np.interp(samples, chord, column) for column in knots.T], axis=1)
    smooth: Points = CubicSpline(chord, knots, bc_type="periodic" if closed else "not-a-knot")(samples)
    return smooth


def place(
    points: npt.ArrayLike, *, at: npt.ArrayLike, scale: float = 1.0, turn: float = 0.0, mirror: bool = False
) -> Points:
    """Scale, mirror (columns), turn (radians, rows towards columns) and move template points to `at`."""
    p = np.asarray(points, float) * scale
    if mirror:
        p = p * (1, -1)
    c, s = np.cos(turn), np.sin(turn)
    placed: Points = p @ np.array([[c, s], [-s, c]]) + np.asarray(at, float)
    return placed


def power_noise(shape: tuple[int, int], *, beta: float, rng: np.random.Generator) -> FloatImage:
    """Periodic noise of power spectrum 1/f^`beta`, zero mean, unit standard deviation; float32 (rows, cols)."""
    spectrum = np.fft.rfft2(rng.standard_normal(shape, dtype=np.float32))
    radius = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :])
    radius[0, 0] = np.inf
    noise: FloatImage = np.fft.irfft2(spectrum * radius ** (-beta / 2), s=shape).astype(np.float32)
    noise = (noise - noise.mean()) / noise.std()
    return noise


# ------------------------------------------------------------------------------------------------ tubes along a curve


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TubeFrame:
    """Where each pixel of a window lies in a tube's own coordinates: mm along its axis and mm across (left > 0)."""

    row: int
    col: int
    along: FloatImage
    across: FloatImage
    length_mm: float

    def profile(self, knots: float | Iterable[tuple[float, float]]) -> FloatImage | float:
        """Interpolate ``(share of the length, value)`` knots along the axis, monotone between knots."""
        if isinstance(knots, int | float):
            return float(knots)
        places, values = np.array(list(knots), float).T
        table = PchipInterpolator(places, values)(np.linspace(0, 1, 257))
        values_here: FloatImage = np.interp(self.along / self.length_mm, np.linspace(0, 1, 257), table).astype(
            np.float32
        )
        return values_here


def frame_tube(canvas: Canvas, axis: Points, *, reach_mm: float, stride: int = 3) -> TubeFrame | None:
    """Find every pixel's place along and across a curve, within `reach_mm` of it; None when off the canvas.

    Coordinates are smooth, so they are found on every `stride`-th pixel and interpolated.
    """
    low = np.floor(canvas.to_pixels(axis.min(axis=0) - reach_mm)).astype(int)
    high = np.ceil(canvas.to_pixels(axis.max(axis=0) + reach_mm)).astype(int)
    low = np.maximum(low, -stride)
    high = np.minimum(high, np.array(canvas.shape) + stride)
    if (high - low < 2).any():
        return None
    rows, cols = (int(n) for n in -(-(high - low) // stride))
    nodes = np.stack(np.meshgrid(np.arange(rows), np.arange(cols), indexing="ij"), axis=-1) * stride
    points = canvas.to_scene(low + nodes + (stride - 1) / 2)
    shape = (rows * stride, cols * stride)
    along, across, distance = (
        ops.resize_area(values.reshape(rows, cols), shape) if stride > 1 else values.reshape(rows, cols)
        for values in _tube_coordinates(axis, points.reshape(-1, 2), reach_mm)
    )
    return TubeFrame(
        row=int(low[0]),
        col=int(low[1]),
        along=along,
        # Between two bends of a curve the side flips; interpolated, it would pass through 0 far from the axis.
        across=np.where(distance > reach_mm, FAR_MM, across),
        length_mm=float(np.linalg.norm(np.diff(axis, axis=0), axis=1).sum()),
    )


def _tube_coordinates(axis: Points, points: Points, reach_mm: float) -> tuple[FloatImage, FloatImage, FloatImage]:
    """Place along the axis, signed offset from it and distance to it, in mm; float32 (n,) each."""
    tangent = np.gradient(axis, axis=0)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    arc = np.r_[0, np.cumsum(np.linalg.norm(np.diff(axis, axis=0), axis=1))]
    distance, nearest = cKDTree(axis).query(points, distance_upper_bound=2 * reach_mm + 5)
    nearest = np.minimum(nearest, len(axis) - 1)
    offset = points - axis[nearest]
    along = arc[nearest] + (offset * tangent[nearest]).sum(axis=1)
    normal = np.stack([-tangent[nearest, 1], tangent[nearest, 0]], axis=1)
    across = (offset * normal).sum(axis=1)
    return along.astype(np.float32), across.astype(np.float32), np.minimum(distance, FAR_MM).astype(np.float32)


def end_factor(
    along: FloatImage,
    length_mm: float,
    caps_mm: tuple[float, float],
    hollows: tuple[FloatImage | float, ...] = (0.0, 0.0),
) -> FloatImage:
    """Width factor that rounds both ends of a tube: 1 in the middle, 0 beyond the ends, which are hollowed by mm."""
    start = np.clip(1 - (along - hollows[0]) / caps_mm[0], 0, None)
    end = np.clip(1 - (length_mm - along - hollows[1]) / caps_mm[1], 0, None)
    factor: FloatImage = np.sqrt(np.clip(1 - np.maximum(start, end) ** 2, 0, None))
    return factor


def round_chord(across: FloatImage, half_width: FloatImage | float, half_depth: FloatImage | float) -> FloatImage:
    """Chord in mm through an ellipse, `across` its middle; 0 outside."""
    share = across / np.maximum(half_width, 1e-3)
    chord: FloatImage = 2 * np.maximum(half_depth, 0) * np.sqrt(np.clip(1 - share * share, 0, None))
    return chord.astype(np.float32)


def rod(
    canvas: Canvas,
    axis: npt.ArrayLike,
    *,
    half_width: float | Iterable[tuple[float, float]],
    add: Mapping[str, float],
    flatness: float = 1.0,
    caps_mm: tuple[float, float] = (2.0, 2.0),
    stride: int = 3,
) -> Patch:
    """Solid tube: chord in mm times the share `add` gives each material (negative: displaced).

    `half_width` in mm, or knots along the axis; `flatness` is depth over width.
    """
    knots = list(half_width) if not isinstance(half_width, int | float) else half_width
    reach = (max(v for _, v in knots) if isinstance(knots, list) else knots) + 1.0
    frame = frame_tube(canvas, curve(axis), reach_mm=reach, stride=stride)
    if frame is None:
        return EMPTY
    width = frame.profile(knots) * end_factor(frame.along, frame.length_mm, caps_mm)
    chord = round_chord(frame.across, width, width * flatness)
    return Patch(row=frame.row, col=frame.col, layers={m: chord * np.float32(share) for m, share in add.items()})
