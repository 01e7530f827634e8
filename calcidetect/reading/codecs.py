"""Decoders of compressed pixel data: a pydicom plugin around imagecodecs, and the size a stream claims for itself.

pydicom alone, with Pillow, can't decode JPEG lossless, JPEG-LS, HTJ2K and 12-bit JPEG, all of which digital radiographs
come in. imagecodecs decodes every one of them. Some of its decoders fill what is missing from a stream that was cut
short, and all of them believe the size written in the stream; both are checked here first.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

from calcidetect.errors import UnsupportedFilm

PLUGIN = "calcidetect"
"""Name under which the decoder stands in pydicom's tables."""

MAX_PIXELS = 100_000_000
"""Pixels a film may have. The largest plain radiographs, scanned long-leg films, have some 60 million."""

DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What decoders and parsers raise on damaged bytes; found by feeding them some."""

_JPEG_START, _JPEG_END, _JPEG_SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_JPEG_BARE = {0x01, *range(0xD0, 0xDA)}  # markers without a length
_JPEG_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # 0xF7 is JPEG-LS
_J2K_START = b"\xff\x4f\xff\x51"

_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_J2K = (uid.JPEG2000Lossless, uid.JPEG2000)
_HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)

DECODER_DEPENDENCIES = dict.fromkeys((*_JPEG, *_JPEG_LS, *_J2K, *_HTJ2K, uid.RLELossless), ("imagecodecs",))


class StreamSize(NamedTuple):
    """Size that a compressed stream claims."""

    rows: int
    cols: int
    bits: int


def register() -> None:
    """Make the decoder known to pydicom, once."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(PLUGIN, (__name__, "_decode_frame"))


def is_available(syntax: str) -> bool:
    """Whether pixel data of this transfer syntax can be decoded; asked by pydicom."""
    return syntax in DECODER_DEPENDENCIES


def check_pixel_count(rows: int, cols: int) -> None:
    """Refuse a size no film has, before memory is taken for it.

    Raises
    ------
    UnsupportedFilm
        When there is no pixel, or more than `MAX_PIXELS`.
    """
    if not 0 < rows * cols <= MAX_PIXELS:
        raise UnsupportedFilm(
            f"claims {rows} x {cols} pixels, and a film has from 1 to {MAX_PIXELS // 1_000_000} million; "
            "it may be damaged, otherwise reduce it first."
        )


def jpeg_size(stream: bytes) -> StreamSize:
    """Read the size of a JPEG, lossless JPEG or JPEG-LS stream, and make sure that the stream has an end.

    Raises
    ------
    ValueError
        When the stream has no frame header, or is cut short.
    """
    size = None
    for marker, start in _jpeg_segments(stream):
        if marker in _JPEG_FRAMES:
            bits, rows, cols = struct.unpack_from(">BHH", stream, start)
            size = StreamSize(rows, cols, bits)
        # Entropy-coded data never hold an end marker; an embedded preview, which does, stands before the scan.
        if marker == _JPEG_SCAN and stream.find(_JPEG_END, start) < 0:
            raise ValueError("the JPEG stream is cut short")
    if size is None:
        raise ValueError("the JPEG stream has no frame header")
    return size


def _jpeg_segments(stream: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker up to the first scan, with the place of its content."""
    place = len(_JPEG_START)
    while True:
        place = stream.find(b"\xff", place) + 1
        if place == 0 or place >= len(stream):
            raise ValueError("the JPEG stream is cut short")
        marker = stream[place]
        if marker in _JPEG_BARE or marker in (0x00, 0xFF):
            continue
        yield marker, place + 3
        if marker == _JPEG_SCAN:
            return
        place += 1 + struct.unpack_from(">H", stream, place + 1)[0]


def _j2k_size(stream: bytes) -> StreamSize:
    start = stream.find(_J2K_START)
    if start < 0:
        raise ValueError("the JPEG 2000 stream has no size")
    right, bottom, left, top = struct.unpack_from(">4I", stream, start + 8)
    return StreamSize(bottom - top, right - left, (stream[start + 42] & 0x7F) + 1)


def _ended_j2k_size(stream: bytes) -> StreamSize:
    # The HTJ2K decoder fills up a stream that was cut short; the end marker may be followed by padding.
    if not stream.rstrip(b"\0").endswith(_JPEG_END):
        raise ValueError("the HTJ2K stream is cut short")
    return _j2k_size(stream)


def _decode_jpeg(stream: bytes, runner: DecodeRunner) -> npt.NDArray[np.generic]:
    if runner.samples_per_pixel == 1:
        return imagecodecs.jpeg8_decode(stream)
    stored = "RGB" if runner.photometric_interpretation == "RGB" else "YCBCR"
    return imagecodecs.jpeg8_decode(stream, colorspace=stored, outcolorspace="RGB")


_Decoder = Callable[[bytes, DecodeRunner], npt.NDArray[np.generic]]
_DECODERS: dict[str, tuple[Callable[[bytes], StreamSize], _Decoder]] = {
    **dict.fromkeys(_JPEG, (jpeg_size, _decode_jpeg)),
    **dict.fromkeys(_JPEG_LS, (jpeg_size, lambda stream, _: imagecodecs.jpegls_decode(stream))),
    **dict.fromkeys(_J2K, (_j2k_size, lambda stream, _: imagecodecs.jpeg2k_decode(stream))),
    **dict.fromkeys(_HTJ2K, (_ended_j2k_size, lambda stream, _: imagecodecs.htj2k_decode(stream))),
}


def _decode_frame(stream: bytes, runner: DecodeRunner) -> bytearray:
    """Decode one frame; the signature is pydicom's."""
    if runner.transfer_syntax == uid.RLELossless:
        return _decode_rle(stream, runner)
    measure, decode = _DECODERS[runner.transfer_syntax]
    size = measure(stream)
    if (size.rows, size.cols) != (runner.rows, runner.columns):
        raise ValueError(f"the stream holds {size.rows} x {size.cols} pixels")
    frame = decode(stream, runner)
    runner.set_option("bits_allocated", 8 * frame.dtype.itemsize)
    if runner.samples_per_pixel > 1:
        runner.set_option("planar_configuration", 0)
        if runner.transfer_syntax not in _JPEG_LS:  # the other decoders turn colours to RGB themselves
            runner.set_option("photometric_interpretation", "RGB")
    return bytearray(frame.tobytes())


def _decode_rle(stream: bytes, runner: DecodeRunner) -> bytearray:
    item_bytes = runner.bits_allocated // 8
    expected = runner.rows * runner.columns * runner.samples_per_pixel * item_bytes
    frame = imagecodecs.dicomrle_decode(stream, f"<u{item_bytes}")
    if len(frame) != expected:
        raise ValueError(f"the stream holds {len(frame)} of {expected} bytes")
    runner.set_option("planar_configuration", 1)
    return bytearray(frame)
