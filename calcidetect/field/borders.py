"""Straight borders of the exposed field: shutters, collimator edges, frames and redaction boxes.

Works on `unit` films: float32 (rows, cols), the film's own range stretched to 0 … 1, bright = more attenuation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calcidetect import ops
from calcidetect.arrays import FloatImage, Mask

MAX_SLOPE = 0.06  # of a border against the matrix; steeper frames are found as bright structures
SLOPES = np.linspace(-MAX_SLOPE, MAX_SLOPE, 13)
GAPS = (1, 4)  # px from an edge to the pixels compared across it: sharp edges, and edges with a penumbra
BLOCKS = 100  # of rows, about, whose means are compared; longer ones blur what lies oblique
MIN_SHARE = 0.9  # of its length along which a border's step must be seen
LIKELY_SHARE = 0.6  # the same, of every fourth block: what no border with `MIN_SHARE` of all falls below
UP, DOWN = 1 << 8, 1 << 16  # fewer than 256 blocks are counted
MIN_SEEN = 0.6  # of its length along which a border must lie inside what other borders left
MIN_STEP = 0.012  # of the film's range; 3 grey levels of 255
MAX_DEPTH = 0.45  # of the film, how far in a border may lie
STRIP = 0.02  # of the film: a band this narrow need not be flat
STRIP_STEP = 0.03  # of the film's range, median step at such a band
FRAME_STEP = 0.1  # of the film's range, median step at a narrow band that lies further in
MIN_SHARPNESS = 0.7  # of the step across `WIDE_GAP` that a dark band's edge makes at once; skin lines make less
WIDE_GAP = 8  # px
MAX_DARK_RANGE = 0.08  # of the film's range, 10th to 90th percentile of a dark band
MAX_OUTSIDE_TEXTURE = 0.02  # of the film's range, 90th percentile of steps along the border outside it
MAX_ROUNDS = 4  # frames within margins within screenshots
BOX_FLATNESS = 0.002  # of the film's range; less than one grey level of 255
MIN_BOX_SIDE = 6  # px
MIN_BOX_FILL = 0.97  # of a box's bounding rectangle
MAX_BOX_SHARE = 0.1  # of the film
CORNER_LEVEL = 0.75  # of the film's range, at least, in an unexposed corner
CORNER_GAP = 5  # px: notches in an unexposed corner, as text makes them, that are bridged
CORNER_ROOM = 12  # px around a corner that its tests look at
CORNER_DROP = 0.2  # of the film's range, across its edge
MIN_CORNER_SHARE = 0.001  # of the film
MIN_CORNER_SIDE = 0.1  # of the film's shorter side, length of the straight edge
MIN_LINE_POINTS = 3  # through fewer there is always one
LINE_TOLERANCE = 2.0  # px
LINE_SHARE = 0.85  # of the edge's points


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """A straight border near the left side of a film seen from one of its four sides.

    `column` is where it crosses the middle row, `slope` its shift in columns per row, `step` the mean rise across it
    towards the inside, negative where the outside is brighter.
    """

    column: float
    slope: float
    step: float

    @property
    def bright(self) -> bool:
        """Whether the outside is the brighter side."""
        return self.step < 0


def outside_borders(unit: FloatImage, valid: Mask) -> dict[str, Mask]:
    """Find what lies beyond straight borders along the four sides.

    Parameters
    ----------
    unit
        float32 (rows, cols), the film's own range stretched to 0 … 1; at least 4 rows and 4 columns.
    valid
        bool (rows, cols): pixels that are looked at.

    Returns
    -------
    dict
        ``shutter`` (bright outside) and ``edge`` (dark outside): bool (rows, cols).
    """
    found = {"shutter": np.zeros(unit.shape, bool), "edge": np.zeros(unit.shape, bool)}
    inside = valid.copy()
    for turned in (False, True):
        means = _in_blocks(unit.T if turned else unit).mean(axis=1)
        for step in (1, -1):
            view = _view(turned=turned, step=step)
            for _ in range(MAX_ROUNDS):
                border = _find_border(means[:, ::step], view(inside))
                if border is None:
                    break
                outside = _beyond(border, view(inside).shape)
                near = np.s_[:, : outside.shape[1]]
                view(found["shutter" if border.bright else "edge"])[near] |= outside & view(inside)[near]
                view(inside)[near] &= ~outside
    return found


def _view(*, turned: bool, step: int) -> Callable[[Mask], Mask]:
    """A way to look at a film such that one of its four sides is the left one; what it returns is a view."""
    return lambda mask: (mask.T if turned else mask)[:, ::step]


def _beyond(border: Border, shape: tuple[int, int]) -> Mask:
    """What lies outside a border, as far as any of it reaches: bool (rows, some columns)."""
    columns = border.column + border.slope * (np.arange(shape[0])[:, None] - shape[0] / 2)
    return np.arange(min(shape[1], int(columns.max()) + 1)) < columns


def _find_border(means: FloatImage, inside: Mask) -> Border | None:
    """Find the strongest border near the left side that has nothing but flat film outside it.

    `means` are those of the film in blocks of rows (`_in_blocks`).
    """
    rows, width = inside.shape
    reach = int(width * MAX_DEPTH)
    margin = int(MAX_SLOPE * rows / 2) + 1  # no block is shifted farther
    seen = reach + 2 * WIDE_GAP + margin  # nothing farther in is ever asked
    whole = _in_blocks(inside[:, :seen])
    blocks = np.where(whole.all(axis=1), means[:, :seen], np.float32(np.nan))
    centres = (np.arange(len(blocks)) + 0.5) * whole.shape[1] - rows / 2
    steps = [_steps(blocks, gap, margin) for gap in GAPS]
    shifts = np.rint(SLOPES[:, None] * centres).astype(int)
    found = [
        border
        for step in steps
        for slope, shift, likely in zip(SLOPES.tolist(), shifts, _likely(step, shifts, reach), strict=True)
        if likely.any()
        for border in _candidates(step, shift, np.flatnonzero(likely), slope=slope)
    ]
    film = _Sheared.of(blocks, margin)
    for border in sorted(found, key=lambda border: -abs(border.step)):
        sheared = film.along(np.rint(border.slope * centres).astype(int), np.arange(reach + 2 * WIDE_GAP))
        if _is_outside(sheared, border, strip=STRIP * width):
            return border
    return None


def _in_blocks(film: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The film in blocks of a few rows, (blocks, rows of one, columns)."""
    size = max(4, film.shape[0] // BLOCKS)
    count = film.shape[0] // size
    return film[: count * size].reshape(count, size, -1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sheared:
    """Rows (flat, `width` each) that can be read along oblique lines; `margin` columns lie to the left of the first."""

    flat: npt.NDArray[Any]
    width: int
    margin: int

    @classmethod
    def of(cls, rows: npt.NDArray[Any], margin: int) -> _Sheared:
        """Rows widened by what no line sees: NaN, or 0 of counts."""
        width = rows.shape[1] + 2 * (margin + WIDE_GAP)
        wide = np.full((len(rows), width), np.nan if rows.dtype.kind == "f" else 0, rows.dtype)
        wide[:, margin : margin + rows.shape[1]] = rows
        return cls(flat=wide.ravel(), width=width, margin=margin)

    def along(self, shifts: npt.NDArray[np.int_], columns: npt.NDArray[np.int_], *, every: int = 1) -> npt.NDArray[Any]:
        """Some columns of every few rows, each row moved by its `shifts` (…, rows): (…, rows, columns)."""
        rows = np.arange(0, shifts.shape[-1], every)
        starts = rows * self.width + self.margin + shifts[..., rows]
        return self.flat.take(starts[..., None] + columns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Steps:
    """What lies `gap` columns to either side of each place, compared: `height` of the step, NaN where it is not seen.

    `votes` are 1 where a step is seen, `UP` and `DOWN` added where it is one, so that one sum over rows counts all.
    """

    gap: int
    height: _Sheared
    votes: _Sheared


def _steps(blocks: FloatImage, gap: int, margin: int) -> _Steps:
    height = blocks[:, 2 * gap :] - blocks[:, : -2 * gap]
    seen, up, down = (test.astype(np.int32) for test in (np.isfinite(height), height > MIN_STEP, height < -MIN_STEP))
    return _Steps(gap=gap, height=_Sheared.of(height, margin), votes=_Sheared.of(seen + UP * up + DOWN * down, margin))


def _likely(step: _Steps, shifts: npt.NDArray[np.int_], reach: int) -> npt.NDArray[np.bool_]:
    """Where a border may cross the middle row, bool (slopes, columns): by every fourth block, at a lower share."""
    seen, up, down = _count(step, shifts, np.arange(reach - 2 * step.gap), every=4)
    return np.asarray((seen > 0) & (np.maximum(up, down) >= LIKELY_SHARE * seen))


def _candidates(
    step: _Steps, shifts: npt.NDArray[np.int_], columns: npt.NDArray[np.intp], *, slope: float
) -> Iterator[Border]:
    """Yield the strongest consistent step up and the strongest consistent step down among these columns."""
    seen, up, down = _count(step, shifts, columns)
    for sign, agreeing in ((1, up), (-1, down)):
        found = np.flatnonzero((seen >= MIN_SEEN * len(shifts)) & (agreeing >= MIN_SHARE * seen))
        if len(found):
            mean = np.nansum(step.height.along(shifts, columns[found]), axis=0) / seen[found]
            best = int(np.argmax(sign * mean))
            inner = 0 if sign > 0 else step.gap
            yield Border(column=int(columns[found][best]) + step.gap + inner + 0.5, slope=slope, step=float(mean[best]))


def _count(
    step: _Steps, shifts: npt.NDArray[np.int_], columns: npt.NDArray[np.int_], *, every: int = 1
) -> tuple[npt.NDArray[np.int_], npt.NDArray[np.int_], npt.NDArray[np.int_]]:
    """Steps seen, up and down, int (…, columns) each, along every line of each slope; `shifts` (…, rows)."""
    votes = step.votes.along(shifts, columns, every=every).sum(axis=-2, dtype=np.int32)
    return votes % UP, votes % DOWN // UP, votes // DOWN


def _is_outside(sheared: FloatImage, border: Border, *, strip: float) -> bool:
    """Tell a border of the exposed field from a straight line of anatomy, by what lies outside."""
    column = int(border.column)
    outside, inner = sheared[:, : max(1, column - 2)], _finite(sheared[:, column + 2 :])
    if border.column <= strip:
        return abs(border.step) >= STRIP_STEP
    if np.isfinite(outside).sum(axis=1).mean() <= strip and abs(border.step) >= FRAME_STEP:
        return True
    roughness = _finite(np.abs(np.diff(outside, axis=0)))
    if not (roughness.size and inner.size) or np.percentile(roughness, 90) > MAX_OUTSIDE_TEXTURE:
        return False
    low, level, high = np.percentile(_finite(outside), (10, 50, 90))
    if border.bright:
        return bool(level >= np.percentile(inner, 90))
    dark = level <= np.percentile(inner, 30) and high - low <= MAX_DARK_RANGE
    return bool(dark) and _is_sharp(sheared, border)


def _is_sharp(sheared: FloatImage, border: Border) -> bool:
    column = int(border.column)
    outer, inner = max(0, column - WIDE_GAP), min(sheared.shape[1] - 1, column + WIDE_GAP)
    wide = _finite(sheared[:, inner] - sheared[:, outer])
    return wide.size == 0 or bool(border.step >= MIN_SHARPNESS * wide.mean())


def _finite(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return values[np.isfinite(values)]


def redaction_boxes(unit: FloatImage, valid: Mask) -> Mask:
    """Find black boxes drawn over a film: rectangles, axis-parallel, of one level, the darkest."""
    found = np.zeros(unit.shape, bool)
    dark = valid & (unit <= unit.min(where=valid, initial=np.inf) + BOX_FLATNESS)
    if dark.sum() < MIN_BOX_SIDE**2:
        return found
    constant = ops.maximum(unit, 3) - ops.minimum(unit, 3) <= BOX_FLATNESS
    _, boxes, _ = ops.components(constant & dark)
    for x0, y0, width, height, area in boxes:
        large = min(width, height) >= MIN_BOX_SIDE and area < MAX_BOX_SHARE * unit.size
        if large and area >= MIN_BOX_FILL * width * height:
            found[max(0, y0 - 2) : y0 + height + 2, max(0, x0 - 2) : x0 + width + 2] = True
    return found & valid


def bright_corners(unit: FloatImage, inside: Mask) -> Mask:
    """Find unexposed corners and wedges: saturated, reaching the border, cut off by one straight line."""
    found = np.zeros(unit.shape, bool)
    bright = inside & (unit >= CORNER_LEVEL)
    if bright.sum() < MIN_CORNER_SHARE * unit.size:
        return found
    labels, boxes, _ = ops.components(bright)
    core = ops.erode(inside, 4)
    for label in np.flatnonzero(boxes[:, 4] >= MIN_CORNER_SHARE * unit.size) + 1:
        x0, y0, width, height, _ = boxes[label - 1]
        near = np.s_[
            max(0, y0 - CORNER_ROOM) : y0 + height + CORNER_ROOM, max(0, x0 - CORNER_ROOM) : x0 + width + CORNER_ROOM
        ]
        part = ops.erode(ops.dilate(labels[near] == label, CORNER_GAP), CORNER_GAP) & inside[near]
        rows, cols = np.nonzero(ops.dilate(part, 2) & ~part & core[near])
        long = len(rows) >= MIN_CORNER_SIDE * min(unit.shape)
        if long and _is_line(rows, cols) and _is_cliff(unit[near], part, inside[near]):
            found[near] |= ops.dilate(part, 3) & inside[near]
    return found


def _is_line(rows: npt.NDArray[np.intp], cols: npt.NDArray[np.intp]) -> bool:
    """Whether most points lie on one straight line, by a fit that drops its worst points twice."""
    points = np.stack([rows, cols], axis=1).astype(float)
    keep = points
    for _ in range(3):
        if len(keep) < MIN_LINE_POINTS:
            return False
        centre = keep.mean(axis=0)
        normal = np.linalg.svd(keep - centre, full_matrices=False)[2][1]
        off = np.abs((points - centre) @ normal)
        keep = points[off <= np.quantile(off, 0.8)]
    return bool((off <= LINE_TOLERANCE).mean() >= LINE_SHARE)


def _is_cliff(unit: FloatImage, part: Mask, inside: Mask) -> bool:
    ring = ops.dilate(part, 6) & ~ops.dilate(part, 4) & inside
    return bool(ring.any()) and float(np.median(unit[ring])) <= CORNER_LEVEL - CORNER_DROP
