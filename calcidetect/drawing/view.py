"""What a picture of a film shows: which part of it, how large, in which greys, and what lies where in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, Mask
from calcidetect.drawing.lettering import scale_length
from calcidetect.drawing.strokes import Box
from calcidetect.ops import components, fill_holes, resize_area, resize_mask
from calcidetect.types import Candidate, Grid, Radiograph, Scan

GreyPicture = npt.NDArray[np.uint8]
"""uint8 (rows, cols)."""

_WINDOW_PERCENT = (0.5, 99.7)  # of the exposed field; leaves out dead pixels, pins and jewellery
_WINDOW_SAMPLES = 250_000  # pixels the window is learnt from: the thinnest tail still holds 750
_MIDDLE_GREY = 0.42  # brightness given to the field's median, chosen by eye on seven films
_GAMMA = (0.65, 1.5)  # bounds of the correction towards it
_LUT_STEPS = 4096
_ISLAND = 12.0  # burned-in text, plates and metal within the field: print over an R or L plate hides what side it is
_OUTSIDE_FIELD = 0.5  # an arrow had better not lie on shutters and frames, but rather there than on bone
_EXPOSED_LINE = 0.97  # lines of the film with less exposed than this are cropped: a tilted shutter's edge,
_MOST_TRIMMED = 0.08  # if no more than this share of the field's box from a side; round fields, labels stay
_KEPT_AROUND_MARKS = 0.02  # of the film's short side: no crop comes nearer to a candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A part of a film as a picture.

    Attributes
    ----------
    part
        Rows and columns of the film that are shown, half-open, in whole pixels of its own grid.
    shape
        Rows and columns of the picture.
    """

    part: Box
    shape: tuple[int, int]

    @property
    def zoom(self) -> tuple[float, float]:
        """Picture pixels per film pixel, along rows and columns."""
        row0, col0, row1, col1 = self.part
        return self.shape[0] / (row1 - row0), self.shape[1] / (col1 - col0)

    def points(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map ``(row, col)`` points of the film, shape (..., 2), into the picture."""
        return (np.asarray(points, float) - self.part[:2] + 0.5) * self.zoom - 0.5


def whole_film(shape: tuple[int, int]) -> View:
    """Return the view that shows a film as it is."""
    return View(part=Box(0, 0, *shape), shape=shape)


def sized(part: Box, *, rows: int) -> View:
    """Return the view of a part of a film that is `rows` high, with square pixels."""
    return View(part=part, shape=(rows, max(1, round(rows * (part.col1 - part.col0) / (part.row1 - part.row0)))))


def exposed_part(scan: Scan) -> Box:
    """Rows and columns of the film, half-open, within shutters and frames; no candidate is cut off.

    What is left of a tilted or round shutter in the corners stays.
    """
    shape = scan.radiograph.grid.shape
    box = _trimmed(fill_holes(scan.field.mask, np.inf))  # plates within the field are no shutters
    scale = np.array(shape) / scan.field.mask.shape
    low, high = np.floor(box[0] * scale), np.ceil(box[1] * scale)
    margin = _KEPT_AROUND_MARKS * min(shape)
    for candidate in in_view(scan.report.candidates, scan.radiograph.grid, view=whole_film(shape)):
        low = np.minimum(low, np.floor(np.array([candidate.y0, candidate.x0]) - margin))
        high = np.maximum(high, np.ceil(np.array([candidate.y1, candidate.x1]) + margin))
    low, high = np.maximum(low, 0), np.minimum(high, shape)
    return Box(*map(int, (*low, *high)))


def _trimmed(mask: Mask) -> npt.NDArray[np.float64]:
    """Corners (2, 2) of the box around `mask`, less the lines at its sides that are exposed in part only."""
    lines, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(lines):
        return np.array([(0, 0), mask.shape], float)
    box = mask[lines[0] : lines[-1] + 1, columns[0] : columns[-1] + 1]
    spans = [(_skipped(box.mean(axis)), _skipped(box.mean(axis)[::-1])) for axis in (1, 0)]
    first, last = np.array(spans).T
    low = np.array([lines[0], columns[0]]) + first
    return np.array([low, np.array([lines[-1], columns[-1]]) + 1 - last], float)


def _skipped(exposed: npt.NDArray[np.float64]) -> int:
    """How many of the first lines to leave out until one is exposed well; none where that is not soon."""
    most = int(_MOST_TRIMMED * len(exposed))
    good = np.flatnonzero(exposed[:most] >= _EXPOSED_LINE)
    return int(good[0]) if len(good) else 0


# --- greys ------------------------------------------------------------------------------------------------------------


def shown_part(picture: GreyPicture, view: View) -> GreyPicture:
    """Return the part of a film's picture that `view` shows, uint8 of the view's shape; a new array."""
    row0, col0, row1, col1 = map(int, view.part)
    part = picture[row0:row1, col0:col1]
    if view.shape == part.shape:
        return part.copy()
    return np.asarray(np.round(np.clip(resize_area(part.astype(np.float32), view.shape), 0, 255)), np.uint8)


def display_window(radiograph: Radiograph, field: Mask | None = None) -> GreyPicture:
    """Map a film to 8 bits so that soft tissue and bone are both seen.

    Black and white are robust percentiles of the exposed field, and a bounded gamma brings its median to a middle
    grey. A constant film becomes black, as does padding.

    Parameters
    ----------
    radiograph
        The film.
    field
        bool (rows, cols) of the film: what the window is learnt from; all valid pixels by default.

    Returns
    -------
    uint8 (rows, cols)
    """
    pixels = radiograph.pixels
    low, middle, high = grey_range(radiograph, field)
    if not high > low:
        return np.zeros(pixels.shape, np.uint8)
    share = pixels - np.float32(low)
    share *= np.float32((_LUT_STEPS - 1) / (high - low))
    np.clip(share, 0, _LUT_STEPS - 1, out=share)
    if not radiograph.valid.all():
        share[~radiograph.valid] = 0
    return np.asarray(_tone_curve((middle - low) / (high - low))[share.astype(np.uint16)])


def grey_range(radiograph: Radiograph, field: Mask | None) -> tuple[float, float, float]:
    """Signal to be shown black, its median, and signal to be shown white; zeros for a film without a valid pixel."""
    pixels, exposed = radiograph.pixels, radiograph.valid
    if field is not None and (field & exposed).any():
        exposed = field & exposed
    stride = max(1, int(np.sqrt(pixels.size / _WINDOW_SAMPLES)))
    sample = pixels[::stride, ::stride][exposed[::stride, ::stride]]
    if sample.size == 0:
        sample = pixels[exposed]  # a field of a few pixels, between the strides
    if sample.size == 0:
        return 0.0, 0.0, 0.0
    low, middle, high = np.percentile(sample, (_WINDOW_PERCENT[0], 50, _WINDOW_PERCENT[1]))
    return float(low), float(middle), float(high)


def _tone_curve(middle: float) -> GreyPicture:
    """Grey levels (4096,) of a gamma that brings `middle` of the range as near to _MIDDLE_GREY as its bounds let."""
    gamma = np.clip(np.log(_MIDDLE_GREY) / np.log(np.clip(middle, 0.01, 0.99)), *_GAMMA)
    curve: GreyPicture = np.round(255 * np.linspace(0, 1, _LUT_STEPS) ** gamma).astype(np.uint8)
    return curve


# --- what lies where --------------------------------------------------------------------------------------------------


def in_view(candidates: Iterable[Candidate], grid: Grid, *, view: View) -> tuple[Candidate, ...]:
    """Return candidates with boxes, centres and contours in pixels of the picture instead of the file's matrix."""
    if view == whole_film(grid.shape) and grid.shape == grid.source_shape:
        return tuple(candidates)
    return tuple(_moved(candidate, grid, view) for candidate in candidates)


def _moved(candidate: Candidate, grid: Grid, view: View) -> Candidate:
    def place(points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return view.points(grid.from_source(points))

    corners = [(candidate.y0 - 0.5, candidate.x0 - 0.5), (candidate.y1 - 0.5, candidate.x1 - 0.5)]
    (y0, x0), (y1, x1) = np.round(place(corners) + 0.5).astype(int).tolist()
    row, col = place((candidate.row, candidate.col)).tolist()
    contour = place(np.reshape(candidate.contour, (-1, 2))).tolist()
    return replace(
        candidate,
        x0=x0,
        y0=y0,
        x1=max(x1, x0 + 1),
        y1=max(y1, y0 + 1),
        row=row,
        col=col,
        contour=tuple((r, c) for r, c in contour),
    )


def obstacles(field_mask: Mask | None, bone: Mask | None) -> FloatImage:
    """Return where marks had better not lie, >= 0 with bone as 1, on the grid of the masks; one 0 without any."""
    grid = field_mask if bone is None else bone
    rows, cols = (1, 1) if grid is None else grid.shape
    cost = np.zeros((rows, cols), np.float32)
    if field_mask is not None:
        outside = ~resize_mask(field_mask, (rows, cols))
        cost[outside] = _OUTSIDE_FIELD
        cost[_islands(outside)] = _ISLAND
    if bone is not None:
        cost[bone] = np.maximum(cost[bone], 1)
    return cost


def part_of(picture: FloatImage, view: View, *, grid: Grid) -> FloatImage:
    """Return what `view` shows of an array that spans the film on any grid; at least a pixel."""
    scale = np.array(picture.shape) / grid.shape
    low = np.minimum(np.floor(view.part[:2] * scale).astype(int), np.array(picture.shape) - 1)
    high = np.maximum(np.ceil(view.part[2:] * scale).astype(int), low + 1)
    return picture[low[0] : high[0], low[1] : high[1]]


def _islands(mask: Mask) -> Mask:
    """The parts of `mask` that do not reach the array's edge."""
    labels, boxes, _ = components(mask)
    boxes = boxes.reshape(-1, 5)
    last = boxes[:, :2] + boxes[:, 2:4]
    inner = (boxes[:, :2] > 0).all(1) & (last < mask.shape[::-1]).all(1)
    return np.isin(labels, np.flatnonzero(inner) + 1)


def scale_bar(grid: Grid, view: View) -> tuple[float, str] | None:
    """Return length in pixels of the picture and text of the scale bar, None without spacing."""
    if not grid.spacing_mm:
        return None
    spacing_mm = grid.spacing_mm / view.zoom[1]
    length = scale_length(view.shape, spacing_mm)
    if length is None:
        return None
    plane = " at detector" if grid.spacing_source == "detector" else ""
    return length / spacing_mm, f"{length} mm{plane}"
