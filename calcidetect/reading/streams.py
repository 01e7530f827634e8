"""What files and compressed streams claim of themselves, read before anything is decoded.

No decoder and no DICOM library is loaded for it: most of the time in which a scan of a picture starts would go there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from calcidetect.errors import UnsupportedFilm

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

PREAMBLE_LENGTH = 128
"""Bytes before the word DICM."""


class StreamSize(NamedTuple):
    """Size that a compressed stream claims."""

    rows: int
    cols: int
    bits: int


def is_dicom(head: bytes) -> bool:
    """Tell from its first 132 bytes whether a file is DICOM, with or without preamble."""
    if head[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4] == b"DICM":
        return True
    # Without preamble the file starts with group 2 or 8: element below 0x0100, then a VR or a short length.
    if head[:2] not in (b"\x02\x00", b"\x08\x00") or len(head) < 8 or head[3] != 0:
        return False
    return head[4:6].isalpha() or head[6:8] == bytes(2)


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


def j2k_size(stream: bytes) -> StreamSize:
    """Read the size of a JPEG 2000 stream; raises ValueError when it has none."""
    start = stream.find(_J2K_START)
    if start < 0:
        raise ValueError("the JPEG 2000 stream has no size")
    right, bottom, left, top = struct.unpack_from(">4I", stream, start + 8)
    return StreamSize(bottom - top, right - left, (stream[start + 42] & 0x7F) + 1)


def ended_j2k_size(stream: bytes) -> StreamSize:
    """`j2k_size` of a stream that has an end; raises ValueError when it is cut short."""
    # The HTJ2K decoder fills up a stream that was cut short; the end marker may be followed by padding.
    if not stream.rstrip(b"\0").endswith(_JPEG_END):
        raise ValueError("the HTJ2K stream is cut short")
    return j2k_size(stream)
