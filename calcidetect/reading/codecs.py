"""Decoders of compressed pixel data: a pydicom plugin around imagecodecs, and the size a stream claims for itself.

pydicom alone, with Pillow, can't decode JPEG lossless, JPEG-LS, HTJ2K and 12-bit JPEG, all of which digital radiographs
come in. imagecodecs decodes every one of them. Some of its decoders fill what is missing from a stream that was cut
short, and all of them believe the size written in the stream; both are checked here first.
"""

from __future__ import annotations

from collections.abc import Callable

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom import uid
from pydicom.pixels.decoders.base import DecodeRunner, get_decoder

from calcidetect.reading.streams import StreamSize, ended_j2k_size, j2k_size, jpeg_size

PLUGIN = "calcidetect"
"""Name under which the decoder stands in pydicom's tables."""

_JPEG = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLossless, uid.JPEGLosslessSV1)
_JPEG_LS = (uid.JPEGLSLossless, uid.JPEGLSNearLossless)
_J2K = (uid.JPEG2000Lossless, uid.JPEG2000)
_HTJ2K = (uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K)

DECODER_DEPENDENCIES = dict.fromkeys((*_JPEG, *_JPEG_LS, *_J2K, *_HTJ2K, uid.RLELossless), ("imagecodecs",))


def register() -> None:
    """Make the decoder known to pydicom, once."""
    for syntax in DECODER_DEPENDENCIES:
        decoder = get_decoder(syntax)
        if PLUGIN not in decoder.available_plugins:
            decoder.add_plugin(PLUGIN, (__name__, "_decode_frame"))


def is_available(syntax: str) -> bool:
    """Whether pixel data of this transfer syntax can be decoded; asked by pydicom."""
    return syntax in DECODER_DEPENDENCIES


def _decode_jpeg(stream: bytes, runner: DecodeRunner) -> npt.NDArray[np.generic]:
    if runner.samples_per_pixel == 1:
        return imagecodecs.jpeg8_decode(stream)
    stored = "RGB" if runner.photometric_interpretation == "RGB" else "YCBCR"
    return imagecodecs.jpeg8_decode(stream, colorspace=stored, outcolorspace="RGB")


_Decoder = Callable[[bytes, DecodeRunner], npt.NDArray[np.generic]]
_DECODERS: dict[str, tuple[Callable[[bytes], StreamSize], _Decoder]] = {
    **dict.fromkeys(_JPEG, (jpeg_size, _decode_jpeg)),
    **dict.fromkeys(_JPEG_LS, (jpeg_size, lambda stream, _: imagecodecs.jpegls_decode(stream))),
    **dict.fromkeys(_J2K, (j2k_size, lambda stream, _: imagecodecs.jpeg2k_decode(stream))),
    **dict.fromkeys(_HTJ2K, (ended_j2k_size, lambda stream, _: imagecodecs.htj2k_decode(stream))),
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
