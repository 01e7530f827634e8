import dataclasses

import numpy as np
import pytest
from small_scans import small_candidate, small_scan

from calcidetect.drawing.strokes import Box
from calcidetect.drawing.view import (
    View,
    exposed_part,
    in_view,
    obstacles,
    part_of,
    scale_bar,
    shown_part,
    sized,
    whole_film,
)
from calcidetect.types import Field

WHOLE = Box(0, 0, 60, 40)


def with_field(mask, candidates=()):
    """A film of 60 x 40 pixels whose field was found on a grid of half that."""
    mask = np.asarray(mask, bool)
    field = Field(mask=mask, air=np.zeros_like(mask), metal=np.zeros_like(mask))
    return dataclasses.replace(small_scan(candidates=candidates), field=field)


def exposed(rows, cols, shape=(30, 20)):
    mask = np.zeros(shape, bool)
    mask[rows, cols] = True
    return mask


def test_shutters_are_cropped():
    assert exposed_part(with_field(exposed(slice(4, 25), slice(3, 18)))) == Box(8, 6, 50, 36)


def test_film_without_shutters_and_film_without_field_stay_whole():
    assert exposed_part(with_field(np.ones((30, 20)))) == WHOLE
    assert exposed_part(with_field(np.zeros((30, 20)))) == WHOLE


def test_plate_within_the_field_is_no_shutter():
    mask = np.ones((30, 20), bool)
    mask[1:8, 2:9] = False
    assert exposed_part(with_field(mask)) == WHOLE


def test_lines_that_a_tilted_shutter_covers_in_part_are_cropped():
    mask = np.ones((100, 100), bool)
    mask[:4, 40:] = mask[:2] = False
    scan = with_field(mask)
    assert exposed_part(scan).row0 == pytest.approx(60 * 0.04, abs=1)
    mask = np.ones((100, 100), bool)
    mask[:30, :30] = False  # a label in the corner
    assert exposed_part(with_field(mask)) == WHOLE


def test_no_candidate_is_cropped():
    mark = small_candidate(x0=2, y0=50, x1=5, y1=58)
    part = exposed_part(with_field(exposed(slice(4, 20), slice(5, 18)), (mark,)))
    assert part.col0 < 2
    assert part.row1 > 58
    assert part.col1 == 36


def test_view_keeps_square_pixels_and_maps_the_corners_of_its_part():
    view = sized(Box(10, 20, 30, 60), rows=100)
    assert view.shape == (100, 200)
    assert view.points([(9.5, 19.5), (29.5, 59.5)]) == pytest.approx(np.array([(-0.5, -0.5), (99.5, 199.5)]))


def test_picture_shows_its_part():
    picture = np.arange(100, dtype=np.uint8).reshape(10, 10)
    part = shown_part(picture, View(part=Box(2, 4, 6, 8), shape=(4, 4)))
    assert np.array_equal(part, picture[2:6, 4:8])
    part[:] = 0
    assert picture[2, 4] == 24
    assert shown_part(picture, View(part=Box(2, 4, 6, 8), shape=(2, 2)))[0, 0] == pytest.approx(29.5, abs=0.5)


def test_candidates_lie_where_the_picture_shows_them():
    grid = small_scan().radiograph.grid
    mark = small_candidate()
    (seen,) = in_view([mark], grid, view=sized(Box(10, 20, 20, 40), rows=30))  # three times as large
    assert (seen.y0, seen.x0, seen.y1, seen.x1) == (0, 0, 18, 24)
    assert seen.contour[0] == pytest.approx((1.0, 1.0))
    assert in_view([mark], grid, view=whole_film(grid.shape)) == (mark,)


def test_obstacles_of_a_part_are_cut_from_those_of_the_film():
    bone = exposed(slice(0, 30), slice(10, 20))
    cost = obstacles(None, bone)
    grid = small_scan().radiograph.grid
    assert part_of(cost, sized(Box(0, 20, 60, 40), rows=10), grid=grid).min() == 1
    assert part_of(cost, sized(Box(0, 0, 60, 20), rows=10), grid=grid).max() == 0
    assert obstacles(None, None).shape == (1, 1)


def test_scale_bar_follows_the_zoom():
    grid = small_scan(spacing_mm=0.5).radiograph.grid
    length, text = scale_bar(grid, sized(WHOLE, rows=600))
    assert (length, text) == (40.0, "2 mm")  # ten picture pixels to one of 0.5 mm
    assert scale_bar(small_scan(spacing_mm=None).radiograph.grid, sized(WHOLE, rows=600)) is None
