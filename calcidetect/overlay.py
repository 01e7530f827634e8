"""Draw the marks on a film, the way a case report prints its figure.

`layout` decides where everything goes; here it becomes pixels. Arrows, letters and print are all polygons, filled
white with a dark rim so that they read on black air and on white bone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, Mask
from calcidetect.layout import (
    DEFAULT_LETTERS,
    Box,
    Layout,
    LayoutStyle,
    Text,
    arrow_polygon,
    lay_out,
    scale_length,
    style_for,
)
from calcidetect.ops import components, resize_mask
from calcidetect.plane import Points
from calcidetect.types import Candidate, Grid, Radiograph, Report, Scan

GreyPicture = npt.NDArray[np.uint8]
"""uint8 (rows, cols)."""
ColourPicture = npt.NDArray[np.uint8]
"""uint8 (rows, cols, 3), RGB."""

NOTICE = "calcidetect candidates, not for diagnosis"

_WINDOW_PERCENT = (0.5, 99.7)  # of the exposed field; leaves out dead pixels, pins and jewellery
_WINDOW_SAMPLES = 250_000  # pixels the window is learnt from: the thinnest tail still holds 750
_MIDDLE_GREY = 0.42  # brightness given to the field's median, chosen by eye on seven films
_GAMMA = (0.65, 1.5)  # bounds of the correction towards it
_LUT_STEPS = 4096
_ISLAND = 4.0  # burned-in text, plates and metal within the field: worse than bone, print over print can't be read
_OUTSIDE_FIELD = 0.5  # an arrow had better not lie on shutters and frames, but rather there than on bone
_SUPERSAMPLING = 4
_LEAST_TEXT_RIM_PX = 0.9  # a thinner one leaves small print unread on white
_FRACTION_BITS = 4  # of OpenCV's fixed-point polygon corners
_FONT = "DejaVuSans-Bold.ttf"  # of those matplotlib ships, the one read best at 8 px
_CAPITALS = 0.729  # height of its capitals, in units of its em
_BASELINE = 0.35  # of the capitals' height, between a line's lower edge and its baseline


def draw_scan(scan: Scan, *, letters: Iterable[str] = DEFAULT_LETTERS) -> ColourPicture:
    """Draw the marks of `scan` on its film; see `draw`."""
    return draw(scan.radiograph, scan.report, field_mask=scan.field.mask, bone=scan.anatomy.bone, letters=letters)


def draw(
    radiograph: Radiograph,
    report: Report,
    *,
    field_mask: Mask | None = None,
    bone: Mask | None = None,
    letters: Iterable[str] = DEFAULT_LETTERS,
) -> ColourPicture:
    """Draw the marks of `report` on its film, in the film's matrix.

    An arrow points at each deposit labelled ``calcification`` or group of neighbouring ones, a letter stands beside
    each labelled kind that was asked for. A scale bar is drawn where the spacing is known, and NOTICE always.

    Parameters
    ----------
    radiograph
        The film as read.
    report
        Its candidates, in source pixels.
    field_mask, bone
        bool (rows, cols) on any grid that spans the film: the exposed field, from which the display window is
        learnt, and bone, over which marks are not laid where that can be helped.
    letters
        Labels to be lettered, keys of `layout.LETTERS`; the default is the trachea alone.

    Returns
    -------
    uint8 (rows, cols, 3)
        RGB, the matrix of `radiograph`: for a film with oblong pixels the one with square pixels.
    """
    grid = radiograph.grid
    layout, style = _lay_out(radiograph, report, field_mask=field_mask, bone=bone, letters=letters)
    field = None if field_mask is None else resize_mask(field_mask, grid.shape)
    canvas = display_window(radiograph, field)
    draw_layout(canvas, layout, style)
    return np.asarray(cv2.cvtColor(canvas, cv2.COLOR_GRAY2RGB), np.uint8).reshape(*grid.shape, 3)


def lay_out_scan(scan: Scan) -> tuple[Layout, LayoutStyle]:
    """Where `draw_scan` puts arrows and print, and their sizes, in pixels of the film's square grid."""
    return _lay_out(
        scan.radiograph, scan.report, field_mask=scan.field.mask, bone=scan.anatomy.bone, letters=DEFAULT_LETTERS
    )


def _lay_out(
    radiograph: Radiograph, report: Report, *, field_mask: Mask | None, bone: Mask | None, letters: Iterable[str]
) -> tuple[Layout, LayoutStyle]:
    grid = radiograph.grid
    style = style_for(grid.shape, spacing_mm=grid.spacing_mm, letters=letters)
    layout = lay_out(
        _on_grid(report.candidates, grid),
        shape=grid.shape,
        obstacles=_obstacles(field_mask, bone),
        style=style,
        notice=NOTICE,
        scale=_scale(grid),
    )
    return layout, style


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
    low, middle, high = _grey_range(radiograph, field)
    if not high > low:
        return np.zeros(pixels.shape, np.uint8)
    share = np.clip((pixels - np.float32(low)) * np.float32((_LUT_STEPS - 1) / (high - low)), 0, _LUT_STEPS - 1)
    share[~radiograph.valid] = 0
    return np.asarray(_tone_curve((middle - low) / (high - low))[share.astype(np.uint16)])


def _grey_range(radiograph: Radiograph, field: Mask | None) -> tuple[float, float, float]:
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


def encode_png(picture: ColourPicture | GreyPicture) -> bytes:
    """Compress a grey or RGB picture to PNG, fast rather than small; RGB without colour is stored as grey."""
    pixels = picture
    if picture.ndim == 3:
        grey = np.ascontiguousarray(picture[..., 0])
        plain = all(np.array_equal(grey, picture[..., k]) for k in (1, 2))
        pixels = grey if plain else np.ascontiguousarray(picture[..., ::-1])
    _, encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return encoded.tobytes()


def _on_grid(candidates: Sequence[Candidate], grid: Grid) -> tuple[Candidate, ...]:
    """Candidates in pixels of `grid` instead of the file's matrix; the two differ for oblong pixels only."""
    if grid.shape == grid.source_shape:
        return tuple(candidates)
    return tuple(_moved(candidate, grid) for candidate in candidates)


def _moved(candidate: Candidate, grid: Grid) -> Candidate:
    corners = [(candidate.y0 - 0.5, candidate.x0 - 0.5), (candidate.y1 - 0.5, candidate.x1 - 0.5)]
    (y0, x0), (y1, x1) = (np.round(grid.from_source(corners) + 0.5)).astype(int)
    row, col = grid.from_source((candidate.row, candidate.col))
    contour = grid.from_source(np.reshape(candidate.contour, (-1, 2)))
    return replace(
        candidate,
        x0=int(x0),
        y0=int(y0),
        x1=max(int(x1), int(x0) + 1),
        y1=max(int(y1), int(y0) + 1),
        row=float(row),
        col=float(col),
        contour=tuple((float(r), float(c)) for r, c in contour),
    )


def _obstacles(field_mask: Mask | None, bone: Mask | None) -> FloatImage | None:
    """Where marks had better not lie, >= 0 with bone as 1, on the grid of the masks."""
    grid = field_mask if bone is None else bone
    if grid is None:
        return None
    rows, cols = grid.shape
    cost = np.zeros((rows, cols), np.float32)
    if field_mask is not None:
        outside = ~resize_mask(field_mask, (rows, cols))
        cost[outside] = _OUTSIDE_FIELD
        cost[_islands(outside)] = _ISLAND
    if bone is not None:
        cost[bone] = np.maximum(cost[bone], 1)
    return cost


def _islands(mask: Mask) -> Mask:
    """The parts of `mask` that do not reach the array's edge."""
    labels, boxes, _ = components(mask)
    boxes = boxes.reshape(-1, 5)
    last = boxes[:, :2] + boxes[:, 2:4]
    inner = (boxes[:, :2] > 0).all(1) & (last < mask.shape[::-1]).all(1)
    return np.isin(labels, np.flatnonzero(inner) + 1)


def _scale(grid: Grid) -> tuple[float, str] | None:
    """Length in pixels and text of the scale bar, None without spacing."""
    length = scale_length(grid.shape, grid.spacing_mm) if grid.spacing_mm else None
    if length is None or not grid.spacing_mm:
        return None
    plane = " at detector" if grid.spacing_source == "detector" else ""
    return length / grid.spacing_mm, f"{length} mm{plane}"


def draw_layout(canvas: GreyPicture, layout: Layout, style: LayoutStyle) -> None:
    """Draw `layout` into `canvas`, uint8 (rows, cols), in place."""
    thin = max(style.outline_px / 2, _LEAST_TEXT_RIM_PX)
    _draw_text(canvas, layout.notice, rim=thin)
    if layout.scale:
        _draw(canvas, [_corners(layout.scale.bar)], rim=thin)
        _draw_text(canvas, layout.scale.text, rim=thin)
    for arrow in layout.arrows:
        _draw(canvas, [arrow_polygon(arrow, style)], rim=style.outline_px)
    for letter in layout.letters:
        _draw_text(canvas, letter, rim=style.outline_px)


def _corners(box: Box) -> Points:
    return np.array([(box.row0, box.col0), (box.row0, box.col1), (box.row1, box.col1), (box.row1, box.col0)])


def _draw(canvas: GreyPicture, polygons: Sequence[Points], *, rim: float) -> None:
    """Fill `polygons` white with a black rim, anti-aliased by supersampling; what lies beyond the canvas is cut off."""
    points = np.vstack([np.empty((0, 2)), *polygons])
    if len(points) == 0:
        return
    low = np.maximum(np.floor(points.min(0) - rim - 1), 0).astype(int)
    high = np.minimum(np.ceil(points.max(0) + rim + 2), canvas.shape).astype(int)
    if (high <= low).any():
        return
    patch = canvas[low[0] : high[0], low[1] : high[1]]
    corners = [_fixed_point(polygon - low) for polygon in polygons]
    white = np.zeros(_SUPERSAMPLING * (high - low), np.uint8)
    cv2.fillPoly(white, corners, 255, shift=_FRACTION_BITS)
    dark = white.copy()
    cv2.polylines(dark, corners, True, 255, max(1, round(2 * rim * _SUPERSAMPLING)), shift=_FRACTION_BITS)
    opacity, ink = (_coverage(fine, patch.shape) for fine in (dark, white))
    patch[:] = np.round(patch * (1 - np.maximum(opacity, ink)) + 255 * ink)


def _coverage(fine: GreyPicture, shape: tuple[int, ...]) -> FloatImage:
    reduced = cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.divide(reduced.reshape(shape), 255, dtype=np.float32)


def _fixed_point(points: Points) -> npt.NDArray[np.int32]:
    """``(row, col)`` in pixels to OpenCV's ``(x, y)`` on the supersampled patch, in fixed point."""
    fine = (points[:, ::-1] + 0.5) * _SUPERSAMPLING - 0.5
    return np.asarray(np.round(fine * 2**_FRACTION_BITS), np.int32)


def _draw_text(canvas: GreyPicture, text: Text, *, rim: float) -> None:
    """Draw a line of text centred in its box; a letter's box is as high as the letter, a line's has room below."""
    glyphs, width = _glyphs(text.text)
    box = text.box
    below = _BASELINE * text.size_px if box.row1 - box.row0 > 1.2 * text.size_px else 0.0
    left = (box.col0 + box.col1 - width * text.size_px) / 2
    origin = np.array([box.row1 - below, left])
    _draw(canvas, [origin + text.size_px * glyph for glyph in glyphs], rim=rim)


@lru_cache(maxsize=64)
def _glyphs(text: str) -> tuple[tuple[Points, ...], float]:
    """Outlines of `text` as polygons ``(row, col)`` from the baseline's start, and its width; capitals are 1 high.

    The font is the one that matplotlib ships. Its outlines are read with matplotlib's FreeType binding alone: the
    font manager would search the machine for fonts on first use, which takes seconds.
    """
    import matplotlib  # noqa: PLC0415 - costs a quarter of a second, and not every run draws
    from matplotlib.ft2font import FT2Font  # noqa: PLC0415
    from matplotlib.path import Path as Outline  # noqa: PLC0415

    font = FT2Font(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / _FONT))
    font.set_size(1000, 72)  # 1000 px to the em: outlines and advances in thousandths
    polygons, advance = [], 0.0
    for character in text:
        glyph = font.load_char(ord(character))
        vertices, codes = font.get_path()
        for corners in Outline(vertices, codes).to_polygons() if len(vertices) else ():
            x, y = np.asarray(corners, np.float64).T
            polygons.append(np.stack([-y, x + advance], axis=-1) / (1000 * _CAPITALS))
        advance += glyph.linearHoriAdvance / 65536
    return tuple(polygons), advance / (1000 * _CAPITALS)
