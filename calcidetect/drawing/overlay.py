"""Draw the marks on a film, the way a case report prints its figure.

`layout` decides where everything goes, `shapes` makes polygons of it; here they become pixels.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, Mask
from calcidetect.drawing.layout import lay_out
from calcidetect.drawing.plane import Points
from calcidetect.drawing.shapes import layout_shapes
from calcidetect.drawing.strokes import DEFAULT_LETTERS, Layout, LayoutStyle, style_for
from calcidetect.drawing.view import (
    GreyPicture,
    View,
    display_window,
    in_view,
    obstacles,
    scale_bar,
    shown_part,
    sized,
    whole_film,
)
from calcidetect.ops import resize_mask
from calcidetect.types import Grid, Radiograph, Report, Scan

ColourPicture = npt.NDArray[np.uint8]
"""uint8 (rows, cols, 3), RGB."""

NOTICE = "calcidetect candidates, not for diagnosis"

_PNG_SUB = 1  # the filter of each line: differences from the pixel before
_PNG_COLOUR = {1: 0, 3: 2}  # colour type by channels: grey, RGB

_SUPERSAMPLING = 4
_FRACTION_BITS = 4  # of OpenCV's fixed-point polygon corners


def draw_scan(scan: Scan, *, letters: Iterable[str] = DEFAULT_LETTERS, longest_px: int | None = None) -> ColourPicture:
    """Draw the marks of `scan` on its film, not larger than `longest_px` on its longer side; see `draw`."""
    return draw(
        scan.radiograph,
        scan.report,
        field_mask=scan.field.mask,
        bone=scan.anatomy.bone,
        letters=letters,
        longest_px=longest_px,
    )


def draw(
    radiograph: Radiograph,
    report: Report,
    *,
    field_mask: Mask | None = None,
    bone: Mask | None = None,
    letters: Iterable[str] = DEFAULT_LETTERS,
    longest_px: int | None = None,
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
        Labels to be lettered, keys of `drawing.LETTERS`; the default is the trachea alone.
    longest_px
        Rows or columns that the picture may have; a larger film is reduced before the marks are drawn.

    Returns
    -------
    uint8 (rows, cols, 3)
        RGB, the matrix of `radiograph`, or less: for a film with oblong pixels the one with square pixels.
    """
    grid = radiograph.grid
    view = _view(grid.shape, longest_px)
    layout, style = _lay_out(report, grid, view, field_mask=field_mask, bone=bone, letters=letters)
    field = None if field_mask is None else resize_mask(field_mask, grid.shape)
    canvas = shown_part(display_window(radiograph, field), view)
    draw_layout(canvas, layout, style=style)
    return np.asarray(cv2.cvtColor(canvas, cv2.COLOR_GRAY2RGB), np.uint8).reshape(*view.shape, 3)


def lay_out_scan(scan: Scan) -> tuple[Layout, LayoutStyle]:
    """Where `draw_scan` puts arrows and print, and their sizes, in pixels of the film's square grid."""
    grid = scan.radiograph.grid
    view = whole_film(grid.shape)
    masks = {"field_mask": scan.field.mask, "bone": scan.anatomy.bone}
    return _lay_out(scan.report, grid, view, **masks, letters=DEFAULT_LETTERS)


def _lay_out(
    report: Report, grid: Grid, view: View, *, field_mask: Mask | None, bone: Mask | None, letters: Iterable[str]
) -> tuple[Layout, LayoutStyle]:
    style = style_for(view.shape, spacing_mm=grid.spacing_mm and grid.spacing_mm / view.zoom[1], letters=letters)
    layout = lay_out(
        in_view(report.candidates, grid, view=view),
        shape=view.shape,
        obstacles=obstacles(field_mask, bone),
        style=style,
        notice=NOTICE,
        scale=scale_bar(grid, view),
    )
    return layout, style


def _view(shape: tuple[int, int], longest_px: int | None) -> View:
    whole = whole_film(shape)
    if longest_px is None or max(shape) <= longest_px:
        return whole
    return sized(whole.part, rows=max(1, round(shape[0] * longest_px / max(shape))))


def encode_png(picture: ColourPicture | GreyPicture, *, effort: int = 1) -> bytes:
    """Compress a grey or RGB picture to PNG, fast (1) to small (9); RGB without colour is stored as grey.

    By libdeflate, which takes a quarter of the time of OpenCV's zlib at the same size.
    """
    pixels = picture[..., None] if picture.ndim == 2 else picture
    planes = cv2.split(pixels)  # compared and written in half of the time that interleaved colours take
    if all(np.array_equal(planes[0], other) for other in planes[1:]):
        pixels = planes[0].reshape(*picture.shape[:2], 1)
    rows, cols, channels = pixels.shape
    lines = np.empty((rows, 1 + cols * channels), np.uint8)
    lines[:, 0] = _PNG_SUB
    lines[:, 1 : 1 + channels] = pixels[:, 0]
    np.subtract(pixels[:, 1:], pixels[:, :-1], out=lines[:, 1 + channels :].reshape(rows, cols - 1, channels))
    header = struct.pack(">IIBBBBB", cols, rows, 8, _PNG_COLOUR[channels], 0, 0, 0)
    packed = bytes(imagecodecs.deflate_encode(lines.tobytes(), level=effort, raw=False))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file: length, kind, content and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))


def draw_layout(canvas: GreyPicture, layout: Layout, *, style: LayoutStyle) -> None:
    """Draw `layout` into `canvas`, uint8 (rows, cols), in place."""
    for shape in layout_shapes(layout, style):
        _draw(canvas, shape.polygons, rim=shape.rim_px)


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
