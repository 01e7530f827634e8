import dataclasses
import io
import struct
import warnings
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pydicom
import pytest
import tifffile
from films import dicom_bytes, limb, write_dicom
from pydicom import uid
from pydicom.data import get_testdata_file

from calcidetect.errors import ConfigError, ReadError, UnreadableFile, UnsupportedFilm
from calcidetect.phantom import make_phantom
from calcidetect.reading.readers import describe, find_films, load
from calcidetect.reading.stored import is_coloured
from calcidetect.types import Candidate, Report, Source

FILM = limb()
FILM8 = limb(bits=8).astype(np.uint8)
WRISTS8 = (make_phantom("wrists", seed=1, spacing_mm=1.0).pixels / 16).astype(np.uint8)


def _write(path, data):
    path.write_bytes(data)
    return path


@pytest.fixture
def film(tmp_path):
    """Write a DICOM film with the given tags, and load it."""
    return lambda pixels=FILM, **tags: load(write_dicom(tmp_path / "film", pixels, **{"BitsStored": 12, **tags}))


# Pixel meaning


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted", "contradicted"),
    [
        ("MONOCHROME2", "IDENTITY", False, False),
        ("MONOCHROME1", "INVERSE", True, False),
        ("MONOCHROME1", "IDENTITY", True, True),
        ("MONOCHROME2", "INVERSE", True, True),
    ],
)
def test_photometric_and_presentation_lut_turn_over_once(film, photometric, shape, inverted, contradicted):
    loaded = film(PhotometricInterpretation=photometric, PresentationLUTShape=shape)
    np.testing.assert_array_equal(loaded.pixels, 4095 - FILM.astype(int) if inverted else FILM)
    assert loaded.polarity.endswith(", inverted") == inverted
    assert ("polarity_contradicted" in loaded.flags) == contradicted


def test_monochrome1_twin_is_the_same_film(film):
    twin = film(4095 - FILM, PhotometricInterpretation="MONOCHROME1", RescaleSlope=2, RescaleIntercept=-1000)
    np.testing.assert_array_equal(twin.pixels, film(RescaleSlope=2, RescaleIntercept=-1000).pixels)


def test_header_that_the_picture_belies_is_flagged(film):
    pixels = make_phantom("shoulder", seed=0, spacing_mm=1.0).pixels.astype(float)
    pixels = np.round(4095 * (pixels - pixels.min()) / np.ptp(pixels)).astype(np.uint16)
    assert "polarity_doubtful" in film(pixels, PhotometricInterpretation="MONOCHROME1").flags
    assert "polarity_doubtful" not in film(pixels).flags


def test_intensity_sign_is_only_a_flag(film):
    loaded = film(PixelIntensityRelationshipSign=1, PixelIntensityRelationship="LOG")
    assert "intensity_sign_contradicted" in loaded.flags
    assert loaded.tone == "log"
    np.testing.assert_array_equal(loaded.pixels, FILM)


def test_rescale_is_applied(film):
    np.testing.assert_array_equal(film(RescaleSlope="0.5", RescaleIntercept="-7").pixels, FILM / 2 - 7)


def test_modality_table_of_twelve_bits_is_applied(film):
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "US", [4, 100, 12])
    item.add_new("LUTData", "US", [10, 20, 40, 80])
    item.ModalityLUTType = "US"
    pixels = np.array([[0, 100], [101, 4000]], np.uint16)
    np.testing.assert_array_equal(film(pixels, ModalityLUTSequence=[item]).pixels, [[10, 10], [20, 80]])


def test_signed_pixels_keep_their_sign(film):
    pixels = FILM.astype(np.int16) - 2048
    np.testing.assert_array_equal(film(pixels).pixels, pixels)


def test_values_at_the_high_end_of_their_words_are_read(tmp_path):
    pixels = limb(bits=12)
    path = write_dicom(tmp_path / "high.dcm", pixels << 4, BitsStored=12)
    dataset = pydicom.dcmread(path)
    dataset.HighBit = 15
    dataset.save_as(path)
    np.testing.assert_array_equal(load(tmp_path / "high.dcm").pixels, pixels)


def test_padding_is_not_valid(film):
    loaded = film(np.array([[0, 5], [6, 9]], np.uint16), PixelPaddingValue=5, PixelPaddingRangeLimit=6)
    np.testing.assert_array_equal(loaded.valid, [[True, False], [False, True]])


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_syntaxes_give_the_same_film(film, syntax):
    loaded, plain = film(syntax=syntax), film()
    np.testing.assert_array_equal(loaded.pixels, FILM)
    assert loaded.source.pixel_hash == plain.source.pixel_hash


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian])
def test_file_without_preamble_is_read(film, syntax):
    np.testing.assert_array_equal(film(syntax=syntax, preamble=False).pixels, FILM)


def test_colour_capture_turns_grey_and_polarity_comes_from_the_picture(film):
    loaded = film(np.dstack([255 - WRISTS8] * 3), BitsStored=8)
    assert loaded.polarity == "picture, inverted"
    np.testing.assert_allclose(loaded.pixels, WRISTS8, atol=1e-3)  # float32 weights add up to 1 within 1e-7


def test_real_films_are_read_whole():
    chest, leg = (load(get_testdata_file(name)) for name in ("RG1_UNCR.dcm", "RG3_UNCR.dcm"))
    assert chest.grid.shape == (1955, 1841)
    assert set(chest.flags) == {"bad_spacing", "no_spacing"}  # its header says 0.000 mm
    assert leg.source.body_part == "EXTREMITY"
    assert leg.polarity == "photometric, inverted"


# Spacing


@pytest.mark.parametrize(
    ("tags", "spacing", "source"),
    [
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.3, 0.3]}, 0.2, "pixel_spacing"),
        ({"PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "FIDUCIAL"}, 0.2, "calibrated"),
        ({"ImagerPixelSpacing": [0.3, 0.3], "EstimatedRadiographicMagnificationFactor": 1.5}, 0.2, "demagnified"),
        ({"ImagerPixelSpacing": [0.3, 0.3]}, 0.3, "detector"),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.3, 0.3]}, 0.3, "detector"),
        ({"NominalScannedPixelSpacing": [0.3, 0.3]}, 0.3, "detector"),
        ({}, 0.25, "given"),
        ({"PixelSpacing": [0, 0]}, 0.25, "given"),
        ({"PixelSpacing": [-1, -1]}, 0.25, "given"),
        ({"PixelSpacing": [90, 90]}, 0.25, "given"),
    ],
)
def test_spacing_comes_from_the_best_claim(tmp_path, tags, spacing, source):
    grid = load(write_dicom(tmp_path / "film", FILM, **tags), spacing_mm=0.25).grid
    assert grid.spacing_mm == pytest.approx(spacing)
    assert grid.nominal_mm == grid.spacing_mm
    assert grid.spacing_source == source


def test_film_without_spacing_says_so(film):
    loaded = film()
    assert loaded.grid.spacing_mm is None
    assert loaded.grid.nominal_mm == 300 / 96
    assert "no_spacing" in loaded.flags


@pytest.mark.parametrize("spacing", [0, -1, float("nan"), 50])
def test_given_spacing_must_make_sense(film, tmp_path, spacing):
    with pytest.raises(ConfigError, match=r"pixel spacing must lie between 0\.02 and 2\.0 mm"):
        load(write_dicom(tmp_path / "film", FILM), spacing_mm=spacing)


def test_oblong_pixels_are_made_square(film):
    loaded = film(PixelSpacing=[0.4, 0.2])
    assert loaded.grid.shape == loaded.pixels.shape == loaded.valid.shape == (192, 64)
    assert loaded.grid.source_shape == FILM.shape
    assert loaded.grid.spacing_mm == 0.2
    np.testing.assert_allclose(loaded.grid.to_source([0.5, 7]), [0, 7])


# Plain pictures


def _encode(suffix, pixels):
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp"])
def test_content_decides_not_the_suffix(tmp_path, suffix):
    data = (
        imagecodecs.webp_encode(np.dstack([FILM8] * 3), lossless=True) if suffix == ".webp" else _encode(suffix, FILM8)
    )
    np.testing.assert_allclose(load(_write(tmp_path / "film.dcm", data)).pixels, FILM8, atol=1e-3)


def test_jpeg_comes_close(tmp_path):
    assert np.abs(load(_write(tmp_path / "film", _encode(".jpg", FILM8))).pixels - FILM8).mean() < 2


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_kept(tmp_path, suffix):
    loaded = load(_write(tmp_path / "film", _encode(suffix, FILM * 16)))
    np.testing.assert_array_equal(loaded.pixels, FILM * 16)
    assert loaded.source.bits == 16


def test_inverted_picture_is_recognised(tmp_path):
    upright, inverted = (load(_write(tmp_path / "film", _encode(".png", p))) for p in (WRISTS8, 255 - WRISTS8))
    assert (upright.polarity, inverted.polarity) == ("picture", "picture, inverted")
    np.testing.assert_array_equal(upright.pixels, inverted.pixels)


def test_a_picture_that_might_be_either_is_left_as_it_is(tmp_path):
    doubtful = np.clip(np.random.default_rng(0).normal(128, 30, (96, 64)), 0, 255).astype(np.uint8)
    for pixels in (doubtful, 255 - doubtful):
        assert load(_write(tmp_path / "film", _encode(".png", pixels))).polarity == "picture"


def test_white_is_zero_tiff_is_what_it_shows(tmp_path):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, 255 - FILM8, photometric="miniswhite")
    np.testing.assert_array_equal(load(_write(tmp_path / "film", buffer.getvalue())).pixels, FILM8)


def _cmyk_tiff(pixels):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="separated")
    return buffer.getvalue()


INKS = np.dstack([np.zeros_like(FILM8)] * 3 + [255 - FILM8])  # all of it black ink


@pytest.mark.parametrize(
    "data",
    [
        imagecodecs.jpeg8_encode(INKS, colorspace="CMYK", outcolorspace="CMYK"),
        imagecodecs.jpeg8_encode(INKS, colorspace="CMYK", outcolorspace="YCCK"),
        _cmyk_tiff(INKS.astype(np.uint16) * 257),
    ],
    ids=["JPEG", "JPEG of Adobe", "TIFF of 16 bits"],
)
def test_inks_of_a_printer_are_no_grey_and_alpha(tmp_path, data):
    with pytest.raises(UnsupportedFilm, match=r"film is CMYK.*; save it as a grey or RGB picture"):
        load(_write(tmp_path / "film", data))


def test_cmyk_tiff_of_8_bits_is_read_as_rgb(tmp_path):
    np.testing.assert_allclose(load(_write(tmp_path / "film", _cmyk_tiff(INKS))).pixels, FILM8, atol=1)


def test_transparent_pixels_are_not_valid(tmp_path):
    alpha = np.full(FILM8.shape, 255, np.uint8)
    alpha[:9] = 0
    loaded = load(_write(tmp_path / "film", _encode(".png", np.dstack([FILM8] * 3 + [alpha]))))
    np.testing.assert_array_equal(loaded.valid, alpha > 0)


def test_non_finite_pixels_are_not_valid(tmp_path):
    pixels = FILM.astype(np.float32)
    pixels[3, 4] = np.nan
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels)
    loaded = load(_write(tmp_path / "film", buffer.getvalue()))
    assert np.isfinite(loaded.pixels).all()
    assert np.argwhere(~loaded.valid).tolist() == [[3, 4]]


@pytest.mark.parametrize(("kind", "power"), [("f4", -120), ("f4", 100), ("f8", -700), ("f8", 600), ("f8", 3)])
def test_floating_point_values_of_any_size_are_brought_within_reach_by_a_power_of_two(tmp_path, kind, power):
    films = []
    for scale in (0, power):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, np.ldexp(FILM.astype(kind), scale))
        films.append(load(_write(tmp_path / f"film{scale}", buffer.getvalue())).pixels)
    plain, scaled = films
    assert np.array_equal(plain / plain.max(), scaled / scaled.max())
    assert np.isfinite(scaled**2).all()
    assert np.array_equal(plain, FILM), "usual values stay as they are"


@pytest.mark.parametrize("nothing", [-3.4e38, 3.4e38])
def test_a_value_that_stands_for_none_is_not_valid_and_changes_no_other(tmp_path, nothing):
    pixels = FILM.astype(np.float32)
    pixels[3:5, 4:6] = nothing
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels)
    loaded = load(_write(tmp_path / "film", buffer.getvalue()))
    assert np.argwhere(~loaded.valid).tolist() == [[3, 4], [3, 5], [4, 4], [4, 5]]
    assert np.array_equal(loaded.pixels[loaded.valid], FILM[loaded.valid])
    assert loaded.pixels.max() == FILM.max()


@pytest.mark.parametrize("form", ["png", "webp"])
def test_pngs_and_webps_may_ask_to_be_turned_too(tmp_path, form):
    block = b"II*\0\x08\0\0\0" + struct.pack("<HHHIHHI", 1, 274, 3, 1, 6, 0, 0)
    if form == "png":
        data = imagecodecs.png_encode(FILM8)
        chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
        data = data[:33] + chunk + data[33:]  # behind the header
    else:
        plain = imagecodecs.webp_encode(np.stack([FILM8] * 3, axis=2), lossless=True)
        rows, cols = FILM8.shape
        size = (cols - 1).to_bytes(3, "little") + (rows - 1).to_bytes(3, "little")
        chunks = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + size + plain[12:]
        chunks += b"EXIF" + struct.pack("<I", len(block)) + block
        data = b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WEBP" + chunks
    assert "shown_turned" in load(_write(tmp_path / "film", data)).flags


def test_an_exif_header_that_is_cut_short_tells_nothing(tmp_path):
    head, block = imagecodecs.jpeg8_encode(FILM8), b"Exif\0\0II*\0\x08\0\0\0\xff\xff"
    data = head[:2] + b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block + head[2:]
    assert "shown_turned" not in load(_write(tmp_path / "film", data)).flags


def test_colours_of_a_tiff_may_be_stored_one_after_the_other(tmp_path):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.stack([FILM8] * 3), photometric="rgb", planarconfig="separate")
    np.testing.assert_allclose(load(_write(tmp_path / "film", buffer.getvalue())).pixels, FILM8, atol=1e-3)


@pytest.mark.parametrize(("orientation", "flagged"), [(1, False), (6, True), (None, False)])
@pytest.mark.parametrize("form", ["jpeg", "tiff"])
def test_a_picture_that_asks_to_be_turned_is_read_as_stored_with_a_flag(tmp_path, form, orientation, flagged):
    tags = [] if orientation is None else [(274, "H", 1, orientation, True)]
    tiff = io.BytesIO()
    tifffile.imwrite(tiff, FILM8, extratags=tags)
    data = tiff.getvalue()
    if form == "jpeg":
        exif = b"Exif\0\0" + data[:8] + data[8:] if orientation else b""
        head = imagecodecs.jpeg8_encode(FILM8)
        block = exif[:4000]
        data = head[:2] + (b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block if block else b"") + head[2:]
    loaded = load(_write(tmp_path / "film", data))
    assert loaded.pixels.shape == FILM8.shape
    assert ("shown_turned" in loaded.flags) is flagged


def test_non_finite_colours_are_no_trouble(tmp_path):
    pixels = np.repeat(FILM.astype(np.float32)[..., None], 3, axis=2)
    pixels[3, 4] = np.nan
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, photometric="rgb")
    loaded = load(_write(tmp_path / "film", buffer.getvalue()))
    assert np.argwhere(~loaded.valid).tolist() == [[3, 4]]
    assert "coloured" not in loaded.flags


def test_whether_a_picture_is_coloured_is_told_by_what_is_finite():
    colours = np.random.default_rng(0).random((40, 40, 3), np.float32)
    assert is_coloured(colours)
    colours[5] = np.nan
    assert is_coloured(colours)
    assert not is_coloured(np.full_like(colours, np.nan))


@pytest.mark.parametrize("pixels", [np.zeros((1, 1), np.uint8), np.full((40, 40), 255, np.uint8)])
def test_empty_looking_pictures_load(tmp_path, pixels):
    np.testing.assert_array_equal(load(_write(tmp_path / "film", _encode(".png", pixels))).pixels, pixels)


# Bad input: one sentence with the file's name, whatever is wrong


def _huge_png():
    header = struct.pack(">IIBBBBB", 46341, 46341, 8, 0, 0, 0, 0)
    chunk = b"IHDR" + header
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))


def _pages():
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.stack([FILM8] * 2), photometric="minisblack")
    return buffer.getvalue()


def _deflate_bomb():
    plain = dicom_bytes(FILM, syntax=uid.DeflatedExplicitVRLittleEndian)
    (meta_length,) = struct.unpack_from("<I", plain, 140)
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = b"".join(packer.compress(bytes(1 << 24)) for _ in range(50)) + packer.flush()
    return plain[: 144 + meta_length] + body


BAD = {
    "empty": (b"", UnreadableFile, "is empty"),
    "text": (b"This is no film, whatever its name is.\n" * 20, UnreadableFile, "is no DICOM"),
    "header cut": (dicom_bytes(FILM)[:400], ReadError, "fetch"),
    "pixels cut": (dicom_bytes(FILM)[:-100], UnreadableFile, "cut short"),
    "no pixels": (dicom_bytes(FILM, PixelData=None), UnsupportedFilm, "has no pixels"),
    "no rows": (dicom_bytes(FILM, Rows=None), UnreadableFile, "no Rows"),
    "huge": (dicom_bytes(FILM, Rows=46341, Columns=46341), UnsupportedFilm, "46341 x 46341"),
    "large without data": (dicom_bytes(FILM, Rows=9000, Columns=9000), UnreadableFile, "162000000 bytes"),
    "huge png": (_huge_png(), UnsupportedFilm, "46341 x 46341"),
    "png cut": (_encode(".png", FILM8)[:-60], UnreadableFile, "cut short"),
    "jpeg cut": (_encode(".jpg", FILM8)[:-60], UnreadableFile, "cut short"),
    "tiff cut": (_encode(".tif", FILM8)[:500], UnreadableFile, "cut short"),
    "pages": (_pages(), UnsupportedFilm, "more than one picture"),
    "frames": (dicom_bytes(FILM, NumberOfFrames=3), UnsupportedFilm, "3 frames"),
    "ct": (dicom_bytes(FILM, Modality="CT"), UnsupportedFilm, "CT slice"),
    "report": (dicom_bytes(FILM, Modality="SR", PixelData=None), UnsupportedFilm, "structured report"),
    "bits": (dicom_bytes(FILM.astype(np.uint32)), UnsupportedFilm, "32 bits"),
    "bomb": (_deflate_bomb(), UnsupportedFilm, "inflates"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_in_plain_words(tmp_path, name):
    data, kind, words = BAD[name]
    path = _write(tmp_path / "film.dcm", data)
    with pytest.raises(kind, match=words) as caught:
        load(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(UnreadableFile, match="no such file"):
        load(tmp_path / "missing.dcm")
    with pytest.raises(UnreadableFile, match="is a folder"):
        load(tmp_path)


def test_film_in_a_closed_folder_is_named(tmp_path, monkeypatch):
    def closed(path, **how):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(UnreadableFile, match=r"film\.png can't be opened: permission denied; check its permissions"):
        load(tmp_path / "film.png")


SEEDS = {
    "dicom": dicom_bytes(FILM, PixelSpacing=[0.2, 0.2]),
    "compressed": dicom_bytes(
        FILM, syntax=uid.JPEG2000Lossless, frame=imagecodecs.jpeg2k_encode(FILM, codecformat="j2k")
    ),
    "png": _encode(".png", FILM8),
    "jpeg": _encode(".jpg", FILM8),
    "tiff": _encode(".tif", FILM8),
}


@pytest.mark.parametrize("name", SEEDS)
def test_damaged_bytes_raise_nothing_but_read_errors(tmp_path, name):
    rng = np.random.default_rng(1)
    for _ in range(40):
        data = np.frombuffer(SEEDS[name], np.uint8).copy()
        places = rng.integers(0, min(len(data), 2000), 4)
        data[places] = rng.integers(0, 256, 4)
        kept = len(data) if rng.random() < 0.5 else rng.integers(1, len(data))
        try:
            loaded = load(_write(tmp_path / "film", data[:kept].tobytes()))
        except ReadError:
            continue
        assert np.isfinite(loaded.pixels).all()


# Lists of films, and what is understood of one


def test_folder_gives_its_films_in_order(tmp_path):
    for name in ("b/2", "a.png", "b/1.dcm", ".hidden/x.dcm", "a.overlay.png", "a.figure.png", "froc.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_dicom(tmp_path / name, FILM)
    (tmp_path / "notes.txt").write_text("no film")
    found = list(find_films([tmp_path, tmp_path / "a.png"]))
    assert found == [tmp_path / "a.png", tmp_path / "b" / "1.dcm", tmp_path / "b" / "2"]


def test_folders_behind_links_are_searched_once(tmp_path):
    for name in ("top/b/1.png", "top/b/loop/2.png", "apart/3.png", "apart/sub/4.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"film")
    for link, target in {
        "top/a": "b",  # met before its target
        "top/b/loop/up": "../..",
        "top/b/c": "../../apart",
        "apart/d": "../apart/sub",
        "apart/e": ".",
        "top/gone": "nowhere",
        "top/.hidden": "../apart",
    }.items():
        (tmp_path / link).symlink_to(target)
    found = [path.relative_to(tmp_path / "top").as_posix() for path in find_films([tmp_path / "top"])]
    assert found == ["b/1.png", "b/loop/2.png", "b/c/3.png", "b/c/sub/4.png"]
    assert list(find_films([tmp_path / "top/b/c/d"])) == [tmp_path / "top/b/c/d/4.png"]


def test_folder_without_films_is_an_error(tmp_path):
    with pytest.raises(ReadError, match="holds no films"):
        list(find_films([tmp_path]))


def test_dicomdir_stands_for_its_images():
    found = list(find_films([get_testdata_file("DICOMDIR")]))
    assert found
    assert all(path.is_file() for path in found)
    assert load(next(path for path in found if "CR1" in path.parts)).source.modality == "CR"


@pytest.mark.parametrize(
    ("stated", "years"), [("007Y", 7), ("018M", 1.5), ("", None), ("999Y", None), ("young", None), ("45", None)]
)
def test_age_in_years_comes_from_the_header_where_it_makes_sense(film, stated, years):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, on values that no age may have
        assert film(PatientAge=stated).age_years == years


def test_age_is_in_no_record_that_reports_hold():
    names = {item.name for record in (Report, Source, Candidate) for item in dataclasses.fields(record)}
    assert "age_years" not in names


def test_description_holds_no_patient(tmp_path):
    facts = describe(write_dicom(tmp_path / "film", FILM, BodyPartExamined="HAND", ImageLaterality="L"))
    assert (facts["format"], facts["rows"], facts["body_part"], facts["laterality"]) == ("DICOM", 96, "HAND", "L")
    assert "secret" not in str(facts).lower()
