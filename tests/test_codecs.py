import imagecodecs
import numpy as np
import pydicom
import pytest
from films import limb, write_dicom
from pydicom import uid
from pydicom.data import get_testdata_file

from calcidetect.errors import ReadError, UnreadableFile
from calcidetect.reading import codecs, streams
from calcidetect.reading.readers import load

FILM = limb()
LOSSLESS = {
    uid.JPEGLossless: lambda film: imagecodecs.jpeg8_encode(film, lossless=True, bitspersample=12),
    uid.JPEGLosslessSV1: lambda film: imagecodecs.jpeg8_encode(film, lossless=True, bitspersample=12),
    uid.JPEGLSLossless: imagecodecs.jpegls_encode,
    uid.JPEG2000Lossless: lambda film: imagecodecs.jpeg2k_encode(film, codecformat="j2k", reversible=True),
    uid.HTJ2KLossless: lambda film: imagecodecs.htj2k_encode(film, reversible=True),
}
LOSSY = {
    uid.JPEGExtended12Bit: lambda film: imagecodecs.jpeg8_encode(film, level=98, bitspersample=12),
    uid.JPEGLSNearLossless: lambda film: imagecodecs.jpegls_encode(film, level=2),
    uid.JPEG2000: lambda film: imagecodecs.jpeg2k_encode(film, codecformat="j2k", level=90),
}


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
def test_lossless_stream_gives_the_very_pixels(tmp_path, syntax):
    path = write_dicom(tmp_path / "film", FILM, syntax=syntax, frame=LOSSLESS[syntax](FILM), BitsStored=12)
    np.testing.assert_array_equal(load(path).pixels, FILM)


@pytest.mark.parametrize("syntax", LOSSY, ids=lambda syntax: syntax.keyword)
def test_lossy_stream_comes_close(tmp_path, syntax):
    path = write_dicom(tmp_path / "film", FILM, syntax=syntax, frame=LOSSY[syntax](FILM), BitsStored=12)
    # The film's own texture has a sigma of 41 of 4095; none of these settings loses that much.
    assert np.abs(load(path).pixels - FILM).mean() < 41


def test_baseline_jpeg_comes_close(tmp_path):
    film = limb(bits=8).astype(np.uint8)
    path = write_dicom(
        tmp_path / "film", film, syntax=uid.JPEGBaseline8Bit, frame=imagecodecs.jpeg8_encode(film, level=98)
    )
    assert np.abs(load(path).pixels - film).mean() < 2


def test_rle_gives_the_very_pixels(tmp_path):
    path = write_dicom(tmp_path / "plain", FILM)
    dataset = pydicom.dcmread(path)
    dataset.compress(uid.RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "rle")
    assert load(tmp_path / "rle").source.pixel_hash == load(path).source.pixel_hash


@pytest.mark.parametrize("name", ["RG1", "RG3"])
def test_real_films_are_equal_in_every_lossless_syntax(name):
    plain, compressed = (load(get_testdata_file(f"{name}_{kind}.dcm")) for kind in ("UNCR", "J2KR"))
    np.testing.assert_array_equal(plain.pixels, compressed.pixels)
    assert plain.source.pixel_hash == compressed.source.pixel_hash


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
@pytest.mark.parametrize("share", [0.3, 0.98])
def test_stream_cut_short_is_refused_not_filled(tmp_path, syntax, share):
    stream = LOSSLESS[syntax](FILM)
    path = write_dicom(tmp_path / "film", FILM, syntax=syntax, frame=stream[: int(len(stream) * share)], BitsStored=12)
    with pytest.raises(UnreadableFile, match="fetch the file again"):
        load(path)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.keyword)
def test_stream_of_another_size_than_the_header_is_refused(tmp_path, syntax):
    path = write_dicom(tmp_path / "film", FILM[:-1], syntax=syntax, frame=LOSSLESS[syntax](FILM), BitsStored=12)
    with pytest.raises(ReadError, match="96 x 64"):
        load(path)


def test_registering_twice_is_harmless():
    codecs.register()
    codecs.register()


@pytest.mark.parametrize("size", [(46341, 46341), (0, 10)])
def test_impossible_size_is_refused(size):
    with pytest.raises(ReadError, match="million"):
        streams.check_pixel_count(*size)
