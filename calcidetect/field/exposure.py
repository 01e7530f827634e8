"""The exposed field: where the beam met film, and where it met the body.

Straight borders and boxes are found first (`borders`), then air around the body, then what is neither: text, marker
plates, metal (`markers`). All thresholds are shares of the film's own range or multiples of its own noise.
"""

from __future__ import annotations

import numpy as np

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask
from calcidetect.config import ExposureSettings
from calcidetect.errors import FieldError
from calcidetect.field import borders, markers
from calcidetect.types import Field, Radiograph

RANGE_PERCENTILES = (0.05, 99.95)  # the film's range, clear of single hot pixels
MIN_SIDE = 16  # px of the film's own matrix
MIN_WORKING_SIDE = 4  # px: borders are looked for in blocks of as many rows
HISTOGRAM_BINS = 256
MIN_PEAK_SHARE = 0.002  # of the flat pixels, in one bin of their smoothed histogram: a peak of air
VALLEY_SHARE = 0.5  # of the peak's height, below which the first minimum after it ends the peak
TAIL_SHARE = 0.03  # of the peak's height, below which the peak has ended anyway
MAX_AIR_WIDTH = 0.12  # of the film's range, from the peak of air to its end
MAX_AIR_LEVEL = 0.45  # of the film's range; air on 47 films: 0 to 0.4
FLATNESS_MM = 1.5  # Gaussian sigma at which slopes are judged
MAX_SLOPE_PER_MM = 0.004  # of the film's range; median slope on 47 films: air 0 to 0.0035, tissue 0.003 to 0.06
LEVEL_SLOPES = (np.inf, 0.0025, 0.002)  # the same, median of each level: the darkest; air beside a black margin, or …
# … of a second view; a level of both. On 216 films none up to these takes in tissue but one (a third of 0.0024)
MIN_FLAT_SHARE = 0.3  # of the pixels at a level of air
GAP_LEVEL = 0.01  # of the film's range above air at the border: the mean level of enclosed gaps that are air
GAP_SLOPE_PER_MM = 4 * MAX_SLOPE_PER_MM  # mean slope, at most, in a gap between limbs, which has noise and edges
MAX_HOLE_PX = 4  # in air, that are filled: grains of noise
RIM_MM = 8.0  # width of the field's rim that air reaches
MIN_WEIGHT = 0.05  # of the window's pixels that must be air for its level to count
ROUNDS = 5  # of learning the level of air and widening air to the skin, at most, …
SETTLED = 0.002  # … until no more of the air than this changes


def find_field(radiograph: Radiograph, settings: ExposureSettings) -> Field:
    """Find the exposed field, the air in it, and metal.

    Parameters
    ----------
    radiograph
        The film on the working grid.
    settings
        Sizes and thresholds.

    Returns
    -------
    Field
        On the film's grid. A flag names each kind of thing that was taken out.

    Raises
    ------
    FieldError
        When the film is too small or empty, or less of it than `settings.min_share` is exposed.

    Examples
    --------
    >>> from calcidetect.types import Grid, Source
    >>> pixels = np.full((64, 64), 10, np.float32)
    >>> pixels[16:, 16:48] = 100 + 20 * np.random.default_rng(0).random((48, 32))
    >>> film = Radiograph(
    ...     pixels=pixels,
    ...     valid=np.ones((64, 64), bool),
    ...     grid=Grid(shape=(64, 64), source_shape=(64, 64), spacing_mm=1, spacing_source="given", nominal_mm=1),
    ...     source=Source(path="film", pixel_hash=""),
    ... )
    >>> field = find_field(film, ExposureSettings())
    >>> bool(field.air[8, 32]), bool(field.body[40, 32])
    (True, True)
    """
    unit = _unit_range(radiograph)
    taken = _straight_parts(unit, radiograph.valid)
    inside = radiograph.valid & ~_union(taken, unit.shape)
    _check_share(inside, settings)
    pixel_mm = radiograph.grid.nominal_mm
    air = _find_air(unit, inside, pixel_mm=pixel_mm, settings=settings)
    found = markers.find_markers(unit, inside & ~air, air=air, pixel_mm=pixel_mm, settings=settings)
    air |= found.pop("air")
    taken |= found
    mask = radiograph.valid & ~_union(taken, unit.shape)
    _check_share(mask & ~air, settings)
    flags = tuple(sorted(name for name, part in taken.items() if part.any()))
    return Field(mask=mask, air=air & mask, metal=found["metal"], flags=flags)


def _unit_range(radiograph: Radiograph) -> FloatImage:
    """Stretch the film's own range to 0 … 1."""
    rows, cols = radiograph.grid.source_shape
    if min(rows, cols) < MIN_SIDE:
        raise FieldError(f"The film has {rows} x {cols} pixels; at least {MIN_SIDE} x {MIN_SIDE} are needed.")
    if min(radiograph.grid.shape) < MIN_WORKING_SIDE:
        raise FieldError(
            f"The film of {rows} x {cols} pixels is too thin a strip to search at "
            f"{radiograph.grid.nominal_mm:.2g} mm a pixel; give its pixel spacing, or more of the film."
        )
    values = radiograph.pixels[radiograph.valid]
    low, high = np.percentile(values[:: max(1, values.size // 100_000)], RANGE_PERCENTILES) if values.size else (0, 0)
    if not high > low:
        raise FieldError("The film shows one grey level only, so nothing on it is exposed; check the file.")
    return np.clip((radiograph.pixels - float(low)) / float(high - low), 0, 1)


def _straight_parts(unit: FloatImage, valid: Mask) -> dict[str, Mask]:
    boxes = borders.redaction_boxes(unit, valid)
    taken = borders.outside_borders(unit, valid & ~boxes)
    corners = borders.bright_corners(unit, valid & ~boxes & ~_union(taken, unit.shape))
    return {"redaction": boxes, "edge": taken["edge"], "shutter": taken["shutter"] | corners}


def _union(parts: dict[str, Mask], shape: tuple[int, int]) -> Mask:
    union = np.zeros(shape, bool)
    for part in parts.values():
        union |= part
    return union


def _check_share(mask: Mask, settings: ExposureSettings) -> None:
    if mask.mean() < settings.min_share:
        raise FieldError(
            f"Only {mask.mean():.1%} of the film is exposed body; check that it is a radiograph and not inverted."
        )


def _find_air(unit: FloatImage, inside: Mask, *, pixel_mm: float, settings: ExposureSettings) -> Mask:
    """Find direct exposure: dark, flat, and reaching the field's border; then widen it to the skin line.

    All but the skin line itself is looked for on a film of half the size.
    """
    smooth = ops.gaussian(unit, max(0.6, settings.smoothing_mm / pixel_mm))
    least, window = settings.min_gap_mm2 / pixel_mm**2, settings.air_window_mm / pixel_mm
    small, small_inside = ops.halve(smooth), ops.halve_mask(inside)
    slope = ops.steepness(ops.smooth(ops.halve(unit), FLATNESS_MM / pixel_mm / 2)) / np.float32(2 * pixel_mm)
    core = _air_cores(small, slope, small_inside, rim_px=RIM_MM / pixel_mm / 2, least_area=least / 4)
    if not core.any():
        return np.zeros(inside.shape, bool)
    air = core
    for _ in range(ROUNDS - 1):
        level, near = _air_level(air, small, window=window / 2)
        before, air = air, small_inside & near & (small < level + _skin_step(small, air, level, settings))
        if (air ^ before).sum() <= SETTLED * before.sum():
            break
    level, near = _air_level(air, small, window=window / 2)
    step = _skin_step(small, air, level, settings)
    limit: FloatImage = np.where(near, level + step, -1).astype(np.float32)
    return _joined_to_cores(inside & (smooth < ops.enlarge(limit, 2, inside.shape)), slope, core, least_area=least)


def _air_cores(smooth: FloatImage, slope: FloatImage, inside: Mask, *, rim_px: float, least_area: float) -> Mask:
    """Flat, dark areas at the field's border, level by level from the darkest."""
    cores = np.zeros(inside.shape, bool)
    rest = inside & (smooth <= MAX_AIR_LEVEL)
    rim = inside & (ops.distance(np.pad(~inside, 1, constant_values=True))[1:-1, 1:-1] <= rim_px)
    for limit in LEVEL_SLOPES:
        flat = rest & (slope <= MAX_SLOPE_PER_MM)
        if flat.sum() < least_area:
            break
        level = rest & (smooth < _end_of_darkest_peak(smooth[flat]))
        if level.sum() >= least_area and np.median(slope[level]) <= limit and flat[level].mean() >= MIN_FLAT_SHARE:
            cores |= _touching(level & flat, smooth, rim, least_area=least_area)
        rest &= ~level
    return cores


def _touching(mask: Mask, smooth: FloatImage, rim: Mask, *, least_area: float) -> Mask:
    """Keep large parts that touch the rim, and large enclosed parts that are as dark."""
    labels, boxes, _ = ops.components(mask)
    areas = np.concatenate([[0], boxes[:, 4]])
    large = (areas >= least_area) & (np.arange(len(areas)) > 0)
    touching = large & (np.bincount(labels[rim], minlength=len(areas)) > 0)
    if not touching.any():
        return np.zeros(mask.shape, bool)
    own = np.flatnonzero(mask)
    sums = np.bincount(labels.ravel()[own], smooth.ravel()[own], len(areas))
    limit = sums[touching].sum() / areas[touching].sum() + GAP_LEVEL
    chosen: Mask = (touching | (large & (sums <= limit * areas)))[labels]
    return chosen


def _end_of_darkest_peak(values: FloatImage) -> float:
    """Grey level that ends the darkest peak of the histogram of `values`."""
    counts = np.histogram(values, HISTOGRAM_BINS, (0, 1))[0].astype(np.float32)
    share = ops.gaussian(np.tile(counts / counts.sum(), (3, 1)), 1.5)[1]
    rising = np.diff(share, append=0) > 0
    peaks = np.flatnonzero(~rising & (share >= MIN_PEAK_SHARE))
    peak = int(peaks[0]) if peaks.size else 0
    after = share[peak:]
    valley = (after < VALLEY_SHARE * share[peak]) & rising[peak:]
    ends = np.flatnonzero(valley | (after < TAIL_SHARE * share[peak]))
    width = int(ends[0]) if ends.size else MAX_AIR_WIDTH * HISTOGRAM_BINS
    return float(peak + min(width, MAX_AIR_WIDTH * HISTOGRAM_BINS) + 1) / HISTOGRAM_BINS


def _air_level(air: Mask, smooth: FloatImage, *, window: float) -> tuple[FloatImage, Mask]:
    """Level of air around each pixel, and where enough of it is near."""
    weight, factor = ops.smooth_small(air.astype(np.float32), window)
    level = (ops.smooth_small(smooth * air, window)[0] / np.maximum(weight, 1e-6)).astype(np.float32, copy=False)
    return ops.enlarge(level, factor, air.shape), ops.enlarge(weight, factor, air.shape) > MIN_WEIGHT


def _skin_step(smooth: FloatImage, air: Mask, level: FloatImage, settings: ExposureSettings) -> np.float32:
    """How far above the level of air the skin line lies, by the noise of air."""
    flat = np.flatnonzero(air)
    some = flat[:: max(1, flat.size // 100_000)]
    noise = ops.normal_sigma(smooth.ravel()[some] - level.ravel()[some])
    return np.float32(min(max(settings.skin_sigmas * noise, settings.min_skin_step), settings.max_skin_step))


def _joined_to_cores(air: Mask, slope: FloatImage, core: Mask, *, least_area: float) -> Mask:
    """Keep air joined to its cores, and gaps that are nearly as flat; `slope` and `core` are of half the size."""
    labels, boxes, _ = ops.components(air)
    below = labels[1 : 2 * core.shape[0] : 2, 1 : 2 * core.shape[1] : 2]
    keep = np.bincount(below[core], minlength=len(boxes) + 1) > 0
    for label in np.flatnonzero(~keep[1:] & (boxes[:, 4] >= least_area)) + 1:
        own = below == label
        keep[label] = own.any() and float(slope[own].mean()) <= GAP_SLOPE_PER_MM
    keep[0] = False
    return ops.fill_holes(keep[labels], MAX_HOLE_PX)
