"""The exposed field: what is taken out, what stays, and that grey scale and orientation don't matter."""

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from calcidetect import ops
from calcidetect.config import ExposureSettings
from calcidetect.errors import FieldError
from calcidetect.field import borders
from calcidetect.field.exposure import find_field
from calcidetect.types import Grid, Radiograph, Source

AIR, SKIN, BONE, WHITE = 100.0, 400.0, 800.0, 1000.0
ROWS, COLS = 300, 260  # at 0.5 mm


def _film(pixels, *, pixel_mm=0.5, valid=None):
    pixels = np.ascontiguousarray(pixels, np.float32)
    return Radiograph(
        pixels=pixels,
        valid=np.ones(pixels.shape, bool) if valid is None else valid,
        grid=Grid(
            shape=pixels.shape,
            source_shape=pixels.shape,
            spacing_mm=pixel_mm,
            spacing_source="given",
            nominal_mm=pixel_mm,
        ),
        source=Source(path="film", pixel_hash=""),
    )


def _field(pixels, **film):
    return find_field(_film(pixels, **film), ExposureSettings())


def _limb():
    """A forearm from the middle to the lower border, round soft tissue with one bone, in air; its outline too."""
    rows, cols = np.mgrid[:ROWS, :COLS].astype(np.float32)
    across = np.abs(cols - 130) / np.clip(50 + 0.03 * (rows - 150), 1, None)
    across = np.where(rows < 120, np.hypot(across, (120 - rows) / 50), across)
    thickness = np.sqrt(np.clip(1 - across**2, 0, 1))
    bone = np.sqrt(np.clip(1 - (np.abs(cols - 130) / 15) ** 2, 0, 1)) * (rows > 110)
    pixels = AIR + (SKIN - AIR) * thickness + (BONE - SKIN) * bone
    grain = np.random.default_rng(1).normal(0, 2, pixels.shape)
    return ops.gaussian((pixels + grain).astype(np.float32), 0.7), across < 0.98


def _letter(pixels, row, col, *, level=WHITE):
    """Burn in an L of 16 x 10 pixels with strokes 3 pixels wide."""
    pixels[row : row + 16, col : col + 3] = level
    pixels[row + 13 : row + 16, col : col + 10] = level
    return pixels


def test_two_points_are_no_line_however_they_are_rounded():
    rng = np.random.default_rng(1)
    assert not any(borders._is_line(*rng.integers(0, 60, (2, 2))) for _ in range(500))
    assert borders._is_line(np.arange(20), 2 * np.arange(20))


def test_limb_is_body_and_background_is_air():
    pixels, limb = _limb()
    field = _field(pixels)
    assert field.body[limb].mean() > 0.999
    outside = ops.distance(limb) > 4
    assert field.air[outside].mean() > 0.999
    assert field.flags == ()


def test_white_shutters_are_out_and_the_limb_stays():
    pixels, limb = _limb()
    pixels[:, :50] = pixels[:, 215:] = WHITE
    field = _field(pixels)
    assert "shutter" in field.flags
    assert not field.mask[:, :50].any()
    assert not field.mask[:, 215:].any()
    assert field.body[limb].mean() > 0.999


def test_dark_collimated_bands_are_out():
    pixels, limb = _limb()
    pixels[:, :40] = pixels[:, 230:] = 20
    field = _field(pixels)
    assert "edge" in field.flags
    assert not field.body[:, :45].any()
    assert not field.body[:, 225:].any()
    assert field.body[limb].mean() > 0.999


def test_thin_white_frame_inside_a_black_margin_is_out():
    pixels, limb = _limb()
    framed = np.zeros((ROWS + 32, COLS + 32), np.float32)
    framed[12:-12, 12:-12] = WHITE
    framed[16:-16, 16:-16] = pixels
    field = _field(framed)
    frame = np.pad(np.zeros((ROWS, COLS), bool), 4, constant_values=True)
    assert not field.body[12:-12, 12:-12][frame].any()
    assert (
        field.body[16:-16, 16:-16][limb & (np.arange(ROWS) < ROWS - 10)[:, None]].mean() > 0.999
    )  # a penumbra of 4 px goes too


def test_rotated_frame_on_black_is_out_but_the_limb_stays():
    rows, cols = np.mgrid[:460, :460] - 230.0
    along, across = rows * 0.96 + cols * 0.28, cols * 0.96 - rows * 0.28
    limb = (np.abs(across) < 35) & (np.abs(along) < 90)
    border = np.maximum(np.abs(along) - 160, np.abs(across) - 130)
    pixels = np.where(border > 5, 0, np.where(border > 0, WHITE, np.where(limb, 500.0, 60.0))).astype(np.float32)
    field = _field(ops.gaussian(pixels, 0.6))
    assert not field.body[(border > 0) & (border <= 5)].any()
    assert field.body[limb].mean() > 0.97


def test_black_redaction_box_over_the_body_is_out():
    rows, cols = np.mgrid[:ROWS, :COLS]
    pixels = 500 + 100 * np.sin(rows / 23) * np.cos(cols / 31)
    pixels += np.random.default_rng(2).normal(0, 3, pixels.shape)
    pixels[0:22, 40:90] = 0
    field = _field(pixels)
    assert "redaction" in field.flags
    assert not field.mask[0:22, 40:90].any()
    assert field.body[30:].mean() > 0.99


def test_unexposed_corner_is_out():
    pixels, limb = _limb()
    rows, cols = np.mgrid[:ROWS, :COLS]
    corner = cols - 0.5 * rows > 210
    pixels[corner] = WHITE
    field = _field(pixels)
    assert not field.body[corner].any()
    assert field.body[limb].mean() > 0.999


@pytest.mark.parametrize("level", [WHITE, 300.0])
def test_letter_beside_the_body_is_text(level):
    pixels, limb = _limb()
    field = _field(_letter(pixels, 40, 30, level=level))
    assert "text" in field.flags
    assert not field.body[40:56, 30:33].any()
    assert field.body[limb].mean() > 0.999


DRAWN = 640.0  # three quarters of the film's range, and a third of it above soft tissue: edges no harder than bone's


def test_letter_drawn_on_soft_tissue_is_text_and_no_metal():
    pixels, limb = _limb()
    ink = _letter(np.zeros_like(pixels), 200, 152, level=1) > 0
    field = _field(np.where(ink, DRAWN, pixels))
    assert "text" in field.flags
    assert not field.body[ink].any()
    assert not field.metal.any()
    assert field.body[limb & (ops.distance(ink) > 6)].mean() > 0.999


def test_clipped_lump_with_hard_edges_stays_body():
    """A deposit as a narrow window shows it: as flat and as hard as a letter, but a lump."""
    pixels, _ = _limb()
    lump = np.hypot(*(np.mgrid[:ROWS, :COLS] - np.array([208, 158])[:, None, None])) < 6
    assert _field(np.where(lump, DRAWN, pixels)).body[lump].all()


def test_mirrored_letter_goes_with_its_plate():
    pixels, _ = _limb()
    pixels[30:80, 20:60] = 330
    _letter(pixels[:, ::-1], 45, COLS - 48)
    field = _field(pixels)
    assert "marker" in field.flags
    assert not field.body[28:82, 18:62].any()


def test_nail_through_a_limb_is_metal():
    pixels, limb = _limb()
    nail = np.zeros(limb.shape, bool)
    nail[200:206, 40:220] = True
    pixels[nail] = 1600
    field = _field(pixels)
    assert field.metal[nail].mean() > 0.95
    assert not field.body[nail].any()
    assert field.body[limb & (ops.distance(nail) > 6)].mean() > 0.999


@pytest.mark.parametrize("diameter_mm", [3.0, 8.0, 20.0])
@pytest.mark.parametrize("centre", [(180, 95), (220, 165)])
def test_dense_deposit_stays_body(diameter_mm, centre):
    pixels, limb = _limb()
    away = np.hypot(*(np.mgrid[:ROWS, :COLS] - np.array(centre)[:, None, None])) * 0.5
    height = np.sqrt(np.clip(1 - (2 * away / diameter_mm) ** 2, 0, 1))
    pixels = ops.gaussian((pixels + 550 * height).astype(np.float32), 0.8)  # denser than bone, blurred by 0.4 mm
    field = _field(pixels)
    assert field.body[(height > 0) & limb].mean() > 0.999
    assert not field.metal.any()


def test_gas_inside_the_body_is_body():
    rows, cols = np.mgrid[:ROWS, :COLS]
    pixels = 500 + 60 * np.sin(rows / 15) * np.cos(cols / 19) + np.random.default_rng(4).normal(0, 3, (ROWS, COLS))
    pixels[:, :30] = AIR + np.random.default_rng(5).normal(0, 3, (ROWS, 30))
    gas = np.hypot(rows - 150, cols - 150) < 30
    pixels -= 220 * np.clip(1 - np.hypot(rows - 150, cols - 150) / 30, 0, 1)
    field = _field(ops.gaussian(pixels.astype(np.float32), 1.0))
    assert field.body[gas].all()
    assert not field.body[:, :26].any()


def test_film_without_air_has_none():
    rows, cols = np.mgrid[:ROWS, :COLS]
    pixels = 500 + 150 * np.sin(rows / 17) * np.sin(cols / 13) + 0.4 * cols
    field = _field(pixels)
    assert not field.air.any()
    assert field.body.mean() > 0.9


def test_invalid_pixels_are_never_in_the_field():
    pixels, _ = _limb()
    valid = np.ones(pixels.shape, bool)
    valid[:, :60] = False
    field = _field(np.where(valid, pixels, -30000.0), valid=valid)
    assert not field.mask[~valid].any()


@pytest.mark.parametrize(("gain", "offset"), [(3.7, 0.0), (1.0, -1024.0), (0.01, 5.0)])
def test_gain_and_offset_change_nothing(gain, offset):
    pixels, _ = _limb()
    pixels = _letter(pixels, 40, 30)
    field, changed = _field(pixels), _field(gain * pixels + offset)
    # float32 rounding may move single pixels that lie on a threshold
    assert np.mean(field.body != changed.body) < 1e-4
    assert field.flags == changed.flags


@pytest.mark.parametrize("turn", [np.fliplr, np.flipud, np.transpose, np.rot90])
def test_flips_and_turns_give_the_turned_field(turn):
    pixels, _ = _limb()
    pixels = _letter(pixels, 40, 30)
    pixels[:, 225:] = WHITE
    body, turned = _field(pixels).body, _field(turn(pixels)).body
    # row blocks and subsampled percentiles start at the first row, so borders may move by a pixel
    assert np.mean(turn(body) != turned) < 0.01


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_wrong_nominal_spacing_keeps_the_limb(factor):
    pixels, limb = _limb()
    assert _field(pixels, pixel_mm=0.5 * factor).body[limb].mean() > 0.99


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (np.full((64, 64), 7.0), "one grey level"),
        (np.full((64, 64), 65535.0), "one grey level"),
        (np.random.default_rng(0).random((12, 40)), "12 x 40"),
        (np.random.default_rng(0).random((1, 1)), "1 x 1"),
        (np.pad(np.full((3, 3), 9.0), 100), "exposed"),
    ],
)
def test_nothing_exposed_is_a_plain_error(pixels, words):
    with pytest.raises(FieldError, match=words):
        _field(pixels)


def test_all_pixels_invalid_is_a_plain_error():
    with pytest.raises(FieldError):
        _field(np.arange(4096.0).reshape(64, 64), valid=np.zeros((64, 64), bool))


def _real_film(name, *, pixel_mm=0.4):
    dataset = pydicom.dcmread(get_testdata_file(name))
    pixels = dataset.pixel_array.astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        pixels = pixels.max() - pixels
    shape = tuple(side // 2 for side in pixels.shape)
    return find_field(_film(ops.resize_area(pixels, shape), pixel_mm=pixel_mm), ExposureSettings())


def test_leg_film_loses_shutters_and_mirrored_letter_and_keeps_the_tibia():
    field = _real_film("RG3_UNCR.dcm")
    assert "shutter" in field.flags
    assert not field.mask[:, :200].any()
    assert not field.mask[:, 640:].any()
    assert not field.body[688:735, 572:605].any()  # the mirrored R
    assert field.body[20:660, 400:440].all()  # tibia
    assert field.air[300:700, 240:320].mean() > 0.95


def test_chest_film_is_exposed_almost_everywhere():
    field = _real_film("RG1_UNCR.dcm")
    assert field.body.mean() > 0.85
    assert field.body[300:900, 100:800].all()
    assert not field.metal.any()
