import cv2
import numpy as np
import pytest
from small_scans import small_candidate, small_scan

from calcidetect.drawing.layout import lay_out
from calcidetect.drawing.overlay import NOTICE, draw, draw_layout, draw_scan, encode_png
from calcidetect.drawing.strokes import Box, style_for
from calcidetect.drawing.view import display_window
from calcidetect.types import Grid, Radiograph, Report, Source


def film(pixels, *, spacing_mm=None, spacing_source="pixel_spacing", valid=None, source_shape=None):
    pixels = np.asarray(pixels, np.float32)
    grid = Grid(
        shape=pixels.shape,
        source_shape=source_shape or pixels.shape,
        spacing_mm=spacing_mm,
        spacing_source=spacing_source if spacing_mm else "none",
        nominal_mm=spacing_mm or 0.2,
    )
    valid = np.ones(pixels.shape, bool) if valid is None else valid
    return Radiograph(pixels=pixels, valid=valid, grid=grid, source=Source(path="film.png", pixel_hash="0"))


def report(radiograph, *candidates):
    return Report(
        source=radiograph.source,
        grid=radiograph.grid,
        region="other",
        laterality="",
        candidates=candidates,
        min_score=0.5,
        burden_mm2=None,
        bone_step=1.0,
        bone_confidence=1.0,
        flags=(),
        settings={},
        settings_hash="",
    )


def slope(shape=(300, 240)):
    """Return a film of every grey, dark on its left."""
    return np.broadcast_to(np.linspace(0, 4000, shape[1], dtype=np.float32), shape)


def square(id_=1, *, row=150, col=120, half=6, label="calcification"):
    low, high = (row - half, col - half), (row + half, col + half)
    return small_candidate(
        id=id_,
        label=label,
        x0=low[1],
        y0=low[0],
        x1=high[1] + 1,
        y1=high[0] + 1,
        row=float(row),
        col=float(col),
        contour=(low, (low[0], high[1]), high, (high[0], low[1])),
    )


def changed(picture, radiograph):
    return (picture != display_window(radiograph)[..., None]).any(axis=2)


def outside(mask, box: Box, *, margin=2):
    """Return `mask` without what lies in `box`."""
    rest = mask.copy()
    rest[
        max(int(box.row0) - margin, 0) : int(box.row1) + margin + 1,
        max(int(box.col0) - margin, 0) : int(box.col1) + margin + 1,
    ] = False
    return rest


def test_film_without_candidates_carries_the_notice_and_nothing_else():
    radiograph = film(slope())
    picture = draw(radiograph, report(radiograph))
    assert (picture.shape, picture.dtype) == ((300, 240, 3), np.uint8)
    box = lay_out((), shape=(300, 240), notice=NOTICE).notice.box
    marks = changed(picture, radiograph)
    assert marks.any()
    assert not outside(marks, box).any()
    assert "not for diagnosis" in NOTICE


@pytest.mark.parametrize("grey", [0, 255])
def test_arrow_is_white_with_a_dark_rim_on_black_and_on_white(grey):
    layout = lay_out([square()], shape=(300, 240))
    canvas = np.full((300, 240), grey, np.uint8)
    draw_layout(canvas, layout, style=style_for((300, 240)))
    (arrow,) = layout.arrows
    row, col = np.round(np.add(arrow.tip, arrow.tail) / 2).astype(int)
    assert canvas[row, col] == 255
    assert canvas[row - 6 : row + 7, col - 6 : col + 7].min() < 60


def test_arrow_changes_no_pixel_of_its_deposit():
    radiograph = film(slope())
    marks = changed(draw(radiograph, report(radiograph, square())), radiograph)
    assert marks[100:200].any()
    assert not marks[145:156, 115:126].any()  # the deposit less its outermost pixels, which the rim may touch


def test_marks_are_the_same_share_of_a_small_and_of_a_large_film():
    shares = []
    for size in (500, 2000):
        canvas = np.zeros((size, size), np.uint8)
        deposit = square(row=size // 2, col=size // 2, half=size // 50)
        draw_layout(canvas, lay_out([deposit], shape=(size, size)), style=style_for((size, size)))
        shares.append((canvas[: size * 9 // 10] > 128).mean())
    assert shares[0] == pytest.approx(shares[1], rel=0.15)  # the rim is never thinner than a pixel


def test_letter_stands_beside_the_trachea_and_the_rest_stays_bare():
    radiograph = film(slope())
    trachea, sesamoid = square(label="tracheal"), square(2, row=60, col=60, label="sesamoid")
    marks = changed(draw(radiograph, report(radiograph, trachea, sesamoid)), radiograph)
    assert marks[130:170, 80:160].any()
    assert not marks[144:157, 114:127].any()
    assert not marks[:110].any()
    asked = changed(draw(radiograph, report(radiograph, sesamoid), letters=("sesamoid",)), radiograph)
    assert asked[:110].any()


@pytest.mark.parametrize(("spacing", "drawn"), [(None, False), (0.5, True)])
def test_scale_bar_needs_a_spacing(spacing, drawn):
    radiograph = film(slope(), spacing_mm=spacing)
    marks = changed(draw(radiograph, report(radiograph)), radiograph)
    notice = lay_out((), shape=(300, 240), notice=NOTICE).notice.box
    assert outside(marks, notice).any() == drawn


def test_scale_bar_is_as_long_as_it_says():
    radiograph = film(np.zeros((300, 240)), spacing_mm=0.5)  # 20 mm are 40 px
    picture = draw(radiograph, report(radiograph))[..., 0]
    longest = max(max(map(len, "".join("#" if v > 200 else " " for v in row).split()), default=0) for row in picture)
    assert longest == pytest.approx(40, abs=1)


def test_scale_text_says_where_the_spacing_was_measured():
    inked = []
    for source in ("pixel_spacing", "detector"):
        radiograph = film(np.zeros((300, 240)), spacing_mm=0.5, spacing_source=source)
        inked.append(np.count_nonzero(draw(radiograph, report(radiograph))))
    assert inked[1] > inked[0]  # "20 mm at detector" takes more ink than "20 mm"


def test_arrow_follows_a_film_resampled_to_square_pixels():
    radiograph = film(slope((300, 240)), source_shape=(150, 240))  # the file has half as many rows
    in_file = square(row=50, half=4)
    picture = draw(radiograph, report(radiograph, in_file))
    marks = np.argwhere(changed(picture, radiograph)[:250])
    nearest = np.abs(marks - [100.5, 120]).max(1).min()
    assert nearest < 12  # twice 4 rows, and the gap


def test_bone_on_a_coarser_grid_turns_the_arrow_away():
    radiograph = film(slope())
    bone = np.ones((30, 24), bool)
    bone[:, :12] = False
    marks = changed(draw(radiograph, report(radiograph, square()), bone=bone), radiograph)
    assert not marks[100:200, 128:].any()


def test_scale_bar_keeps_off_burned_in_text():
    radiograph = film(slope((600, 500)), spacing_mm=0.5)
    corner, text = np.s_[540:600, 360:500], np.s_[560:585, 400:440]
    field = np.ones((600, 500), bool)
    assert changed(draw(radiograph, report(radiograph), field_mask=field), radiograph)[corner].any()
    field[text] = False
    picture = draw(radiograph, report(radiograph), field_mask=field)
    assert (picture == display_window(radiograph, field)[..., None])[corner].all()


def test_scan_is_drawn_in_the_matrix_of_its_film():
    scan = small_scan()
    picture = draw_scan(scan)
    assert picture.shape == (*scan.radiograph.grid.shape, 3)
    assert np.array_equal(picture, draw_scan(scan))


def test_window_spans_the_exposed_field_alone():
    pixels = slope((100, 200)).copy()
    pixels[:, :50] = 60_000  # a white shutter
    field = np.ones((100, 200), bool)
    field[:, :50] = False
    shown = display_window(film(pixels), field)
    assert (shown[:, :50] == 255).all()
    assert shown[:, 52].max() < 20
    assert shown[:, 198].min() > 240
    assert np.ptp(display_window(film(pixels))[:, 52:]) < 60


def test_window_keeps_the_order_of_grey_and_does_not_depend_on_offset_and_gain():
    pixels = slope((40, 300))
    shown = display_window(film(pixels))
    assert (np.diff(shown[0].astype(int)) >= 0).all()
    again = display_window(film(pixels * 7 - 9000))
    assert np.abs(shown.astype(int) - again).max() <= 1  # rounding


@pytest.mark.parametrize("middle", [500, 2500])
def test_window_brings_dark_and_bright_films_towards_a_middle_grey(middle):
    pixels = np.interp(np.linspace(0, 1, 10_000), [0, 0.5, 1], [0, middle, 4000]).reshape(100, 100)
    linear = 255 * middle / 4000
    assert abs(np.median(display_window(film(pixels))) - 107) < abs(linear - 107)


def test_padding_is_black_whatever_it_holds():
    pixels = slope((50, 60)).copy()
    valid = np.ones((50, 60), bool)
    valid[:10], pixels[:5], pixels[5:10] = False, np.nan, 1e9
    shown = display_window(film(pixels, valid=valid))
    assert (shown[:10] == 0).all()
    assert shown[10:].max() == 255


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (20, 20)])
@pytest.mark.parametrize("grey", [0.0, 5e4])
def test_tiny_and_constant_films_are_drawn(shape, grey):
    radiograph = film(np.full(shape, grey), spacing_mm=0.2)
    whole = small_candidate(x0=0, y0=0, x1=shape[1], y1=shape[0], contour=())
    for candidates in ((), (whole,)):
        picture = draw(radiograph, report(radiograph, *candidates))
        assert picture.shape == (*shape, 3)


def test_film_without_a_valid_pixel_is_black():
    assert not display_window(film(slope((8, 9)), valid=np.zeros((8, 9), bool))).any()


def test_field_without_exposure_falls_back_to_the_whole_film():
    radiograph = film(slope((40, 50)))
    nowhere = np.zeros((40, 50), bool)
    assert np.array_equal(display_window(radiograph, nowhere), display_window(radiograph))


def test_png_decodes_to_the_same_colours():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    decoded = cv2.imdecode(np.frombuffer(encode_png(picture), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoded[..., ::-1], picture)


def test_png_of_a_picture_without_colour_is_grey_and_equal():
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    encoded = np.frombuffer(encode_png(np.dstack([grey] * 3)), np.uint8)
    assert np.array_equal(cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED), grey)
