"""Films as plain pictures: PNG, JPEG, TIFF, WebP and BMP of 8 or 16 bits, grey or tinted, with or without alpha.

The matrix is taken as stored: an EXIF orientation is not applied, so that coordinates hold for the file's own matrix.
Resolution tags are not read: they tell the printer's dots, not millimetres on the patient.
"""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import numpy.typing as npt

from calcidetect.arrays import FloatImage, Mask
from calcidetect.errors import UnreadableFile, UnsupportedFilm
from calcidetect.reading.stored import COLOURED, StoredFilm, is_coloured, to_grey
from calcidetect.reading.streams import DAMAGE, check_pixel_count, jpeg_size
from calcidetect.types import Source

_CMYK = "is CMYK, colours mixed for a printer; save it as a grey or RGB picture."

SHOWN_TURNED = "shown_turned"
"""Flag of a picture that asks its viewers to turn it; it is read as it is stored."""

_EXIF_MARKS = ((b"Exif\0\0", 0), (b"eXIf", 0), (b"EXIF", 4))  # of JPEG, PNG and WebP; what stands behind each
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
_ORIENTATION = 274

MOST_EXPONENT, FAR_EXPONENT = 50, 60
"""Of two: greatest one of the usual values of a film in floating-point numbers, and one that none has. Squares of these
are within float32."""

_Pixels = npt.NDArray[Any]


class _Header(NamedTuple):
    rows: int
    cols: int
    bits: int
    pages: int = 1
    white_is_zero: bool = False
    as_rgb: bool = False  # palettes and other colour spaces must be resolved by the decoder


def _png_header(data: bytes) -> _Header:
    cols, rows, bits = struct.unpack_from(">IIB", data, 16)
    animated = b"acTL" in data[: data.find(b"IDAT")]
    return _Header(rows, cols, bits, pages=2 if animated else 1)


def _jpeg_header(data: bytes) -> _Header:
    return _Header(*jpeg_size(data))


def _bmp_header(data: bytes) -> _Header:
    cols, rows = struct.unpack_from("<ii", data, 18)
    return _Header(abs(rows), cols, 8)  # a negative height tells rows from top to bottom


def _webp_header(data: bytes) -> _Header:
    kind = data[12:16]
    if kind == b"VP8X":
        cols, rows = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return _Header(rows, cols, 8, pages=2 if data[20] & 0x02 else 1)
    if kind == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return _Header((packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1, 8)
    cols, rows = struct.unpack_from("<HH", data, 26)
    return _Header(rows & 0x3FFF, cols & 0x3FFF, 8)


def _tiff_header(data: bytes) -> _Header:
    import tifffile  # noqa: PLC0415 - heavy, and only TIFF needs it

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        page = tiff.pages.first
        pages = sum(not getattr(other, "is_reduced", False) for other in tiff.pages)
        photometric = tifffile.PHOTOMETRIC(page.photometric)
        if photometric is tifffile.PHOTOMETRIC.SEPARATED and page.bitspersample != 8:
            raise UnsupportedFilm(_CMYK)  # of 8 bits libtiff makes RGB, of 16 nothing
        if page.imagedepth > 1:
            pages *= page.imagedepth
        return _Header(
            page.imagelength,
            page.imagewidth,
            page.bitspersample,
            pages=pages,
            white_is_zero=photometric is tifffile.PHOTOMETRIC.MINISWHITE,
            as_rgb=photometric in (tifffile.PHOTOMETRIC.PALETTE, tifffile.PHOTOMETRIC.YCBCR),
        )


def _decode_jpeg(data: bytes, _: _Header) -> _Pixels:
    stored = imagecodecs.jpeg8_decode(data)
    if stored.shape[2:] == (4,):  # JPEG knows no alpha; libjpeg doesn't turn inks, of either polarity, into RGB
        raise UnsupportedFilm(_CMYK)
    return stored


class _Format(NamedTuple):
    name: str
    header: Callable[[bytes], _Header]
    decode: Callable[[bytes, _Header], _Pixels]


_PNG = _Format("PNG", _png_header, lambda data, _: imagecodecs.png_decode(data))
_JPEG = _Format("JPEG", _jpeg_header, _decode_jpeg)
_BMP = _Format("BMP", _bmp_header, lambda data, _: imagecodecs.bmp_decode(data))
_WEBP = _Format("WebP", _webp_header, lambda data, _: imagecodecs.webp_decode(data))
_TIFF = _Format("TIFF", _tiff_header, lambda data, header: imagecodecs.tiff_decode(data, asrgb=header.as_rgb))

_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def picture_format(head: bytes) -> str | None:
    """Name the picture format that a file starting with `head` (16 bytes or more) is in, or None."""
    found = _sniff(head)
    return found.name if found else None


def _sniff(head: bytes) -> _Format | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _PNG
    if head.startswith(b"\xff\xd8\xff"):
        return _JPEG
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _WEBP
    if head.startswith(_TIFF_STARTS):
        return _TIFF
    return _BMP if head.startswith(b"BM") and head[6:10] == bytes(4) else None


def read_picture(data: bytes, path: str) -> StoredFilm:
    """Read a film from the bytes of a picture file.

    Parameters
    ----------
    data
        The whole file.
    path
        Where it came from, for the record.

    Raises
    ------
    UnreadableFile
        When the file is of no known format or damaged.
    UnsupportedFilm
        When it holds several pictures, or one of impossible size or in CMYK.
    """
    form = _sniff(data)
    if form is None:
        raise UnreadableFile("is no DICOM, PNG, JPEG, TIFF, WebP or BMP file; export the film in one of these.")
    header, stored = _decode(form, data)
    colours, valid = _split_alpha(_as_single(stored) if stored.dtype == np.float64 else stored)
    grey, valid = _drop_non_finite(to_grey(colours), valid)
    if stored.dtype.kind == "f":
        grey, valid = _within_reach(grey, valid)
    span = _span(stored.dtype, header.bits, grey)
    if header.white_is_zero:
        grey = np.float32(sum(span)) - grey
    digest = hashlib.sha256(repr(stored.shape).encode() + np.ascontiguousarray(stored).tobytes())
    return StoredFilm(
        pixels=grey,
        span=span,
        valid=valid,
        tone="display",
        source=Source(path=path, pixel_hash=digest.hexdigest(), bits=header.bits),
        facts={
            "format": form.name,
            "stored_type": str(stored.dtype),
            "samples": 1 if stored.ndim == 2 else stored.shape[2],
        },
        flags=(COLOURED,) * is_coloured(colours) + (SHOWN_TURNED,) * (_exif_orientation(form, data) > 1),
    )


def _decode(form: _Format, data: bytes) -> tuple[_Header, _Pixels]:
    try:
        header = form.header(data)
        check_pixel_count(header.rows, header.cols)
        if header.pages != 1:
            raise UnsupportedFilm(f"holds more than one picture; save the film by itself as a {form.name} file.")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            stored = form.decode(data, header)
    except (*DAMAGE, Warning) as error:
        raise UnreadableFile(
            f"is damaged or cut short: its {form.name} data can't be decoded ({error}); fetch the file again."
        ) from error
    if stored.ndim == 3 and stored.shape[1:] == (header.rows, header.cols):
        stored = np.moveaxis(stored, 0, -1)  # colours one after the other
    if stored.shape[:2] != (header.rows, header.cols) or stored.ndim > 3 or stored.dtype.kind not in "buif":
        raise UnsupportedFilm(
            f"holds a {stored.shape} array of {stored.dtype}; save it as a grey 8- or 16-bit picture."
        )
    return header, stored


def _exif_orientation(form: _Format, data: bytes) -> int:
    """How viewers turn the picture, 1 for as stored: by the TIFF header that the file is, or that it holds."""
    held = (at + len(mark) + room for mark, room in _EXIF_MARKS if (at := data.find(mark)) >= 0)
    places = (0,) if form is _TIFF else held
    start = next((place for place in places if data[place : place + 4] in _BYTE_ORDERS), None)
    if start is None:
        return 1
    order = _BYTE_ORDERS[data[start : start + 4]]
    try:
        at = start + int(struct.unpack_from(f"{order}I", data, start + 4)[0])
        count = struct.unpack_from(f"{order}H", data, at)[0]
        tags = (struct.unpack_from(f"{order}HHIH", data, at + 2 + 12 * number) for number in range(count))
        return next((int(value) for tag, _, _, value in tags if tag == _ORIENTATION), 1)
    except struct.error:  # cut short: nothing is told
        return 1


def _split_alpha(stored: _Pixels) -> tuple[_Pixels, npt.NDArray[np.bool_]]:
    """Part grey or RGB from alpha; transparent pixels are not valid."""
    samples = 1 if stored.ndim == 2 else stored.shape[2]
    opaque = np.ones(stored.shape[:2], bool)
    if samples in (2, 4):
        opaque = stored[..., -1] > 0
        stored = stored[..., :-1]
    elif samples not in (1, 3):
        raise UnsupportedFilm(f"has {samples} values a pixel; save it as a grey or RGB picture.")
    return (stored[..., 0] if stored.ndim == 3 and stored.shape[2] == 1 else stored), opaque


def _drop_non_finite(grey: FloatImage, valid: Mask) -> tuple[FloatImage, Mask]:
    finite = np.isfinite(grey)
    if finite.all():
        return grey, valid
    if not finite.any():
        raise UnreadableFile("holds no finite pixel value; export the film again.")
    return np.where(finite, grey, grey[finite].min()), valid & finite


def _as_single(stored: _Pixels) -> _Pixels:
    """64-bit values as float32, times a power of two where that can't hold them."""
    scale = -_exponent(stored[np.isfinite(stored)])
    with np.errstate(over="ignore"):
        return (np.ldexp(stored, scale) if abs(scale) > MOST_EXPONENT else stored).astype(np.float32)


def _exponent(values: _Pixels) -> int:
    """Power of two of the median absolute value, zeros apart."""
    usual = np.abs(values[values != 0])
    return int(np.frexp(np.median(usual))[1]) if len(usual) else 0


def _within_reach(grey: FloatImage, valid: Mask) -> tuple[FloatImage, Mask]:
    """Bring values whose squares float32 can't hold within reach, by a power of two, which changes nothing else.

    The median counts: what lies far beyond all others is no value of a film, but stands for none.
    """
    exponent = _exponent(grey[valid])
    if abs(exponent) > MOST_EXPONENT:
        with np.errstate(over="ignore"):
            grey = np.ldexp(grey, -exponent)
    near = np.abs(grey) < 2.0**FAR_EXPONENT
    return (grey, valid) if near.all() else (np.where(near, grey, grey[near].min()), valid & near)


def _span(dtype: np.dtype[np.generic], bits: int, grey: npt.NDArray[np.float32]) -> tuple[float, float]:
    if dtype.kind == "u":
        return 0.0, float(2 ** max(bits, 8) - 1)  # 1-, 2- and 4-bit pictures are decoded to 8 bits
    return float(grey.min()), float(grey.max())
