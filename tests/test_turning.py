"""Chest films that lie on their side or upside down."""

import dataclasses

import numpy as np
import pytest
from films import radiograph_of
from pydicom.data import get_testdata_file

from calcidetect.anatomy import region_model
from calcidetect.config import Config
from calcidetect.phantom import KINDS, make_phantom
from calcidetect.pipeline import find_region, scan
from calcidetect.reading import readers
from calcidetect.turning import turned, turned_image

NEAR_PX = 12


@pytest.fixture(scope="module")
def chest():
    return readers.load(get_testdata_file("RG1_UNCR.dcm"))


def on_film(candidate, shape, turns):
    """Centre of a candidate of a turned film, (row, col), on the film of that `shape` as it lay before."""
    row, col = candidate.row, candidate.col
    rows, cols = shape if turns % 2 == 0 else shape[::-1]
    for _ in range(-turns % 4):
        row, col, rows, cols = cols - 1 - col, row, cols, rows
    return row, col


def phantom_film(kind, *, seed=3, spacing_mm=0.4):
    film = radiograph_of(make_phantom(kind, seed=seed, spacing_mm=spacing_mm).pixels, spacing_mm)
    valid = np.ones(film.grid.shape, bool)
    valid[0] = False
    return dataclasses.replace(film, valid=valid)


@pytest.mark.parametrize("turns", [0, 1, 2, 3, -1])
def test_a_film_turned_and_turned_back_is_the_same(turns):
    film = phantom_film("chest")
    back = turned(turned(film, turns), -turns)
    assert back.grid == film.grid
    assert np.array_equal(back.pixels, film.pixels)
    assert np.array_equal(back.valid, film.valid)


def test_a_quarter_turn_is_counter_clockwise_and_turns_the_grid():
    film = phantom_film("chest")
    lying = turned(film, 1)
    assert lying.grid.shape == film.grid.shape[::-1]
    assert np.array_equal(lying.pixels[-1], film.pixels[:, 0]), "the left edge lies below"
    assert turned_image(film.pixels, 1).flags.c_contiguous


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_turned_picture_is_described_as_one_that_was_turned_before_it_was_looked_at(chest, turns):
    seen = find_region(chest, Config())
    words = region_model.load_model().words
    pixels, body = region_model.reduced(seen.working, seen.field)
    picture = region_model._picture(pixels, body)
    afterwards = region_model._described(region_model._turned(picture, turns), words)
    before = region_model.features(turned_image(pixels, turns), turned_image(body, turns), words=words)
    assert afterwards == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_chest_film_that_was_turned_is_told_how_to_stand_up(chest, turns):
    seen = find_region(turned(chest, turns), Config())
    assert seen.region.name == "chest"
    assert seen.turns == -turns % 4
    assert ("turned" in seen.flags) == (turns > 0)
    assert seen.upright[0].grid.shape == pytest.approx(find_region(chest, Config()).working.grid.shape, abs=1)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_synthetic_films_are_read_as_they_lie(kind):
    seen = find_region(phantom_film(kind), Config())
    assert seen.turns == 0
    assert "turned" not in seen.flags


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_other_parts_may_be_laid_down_any_way_round(turns):
    seen = find_region(turned(phantom_film("wrists"), turns), Config())
    assert seen.turns == 0
    assert "turned" not in seen.flags


@pytest.mark.parametrize("turns", [1, 2])
def test_a_turned_chest_film_has_the_marks_and_zones_of_the_film_as_it_stood(turns):
    film = phantom_film("chest", seed=5)
    upright, lying = scan(film), scan(turned(film, turns))
    assert len(upright.report.marks) >= 4
    places = [(on_film(c, film.grid.shape, turns), c) for c in lying.report.marks]
    again = [
        candidate.zone == old.zone
        for old in upright.report.marks
        for (row, col), candidate in places
        if abs(row - old.row) + abs(col - old.col) < NEAR_PX
    ]
    assert sum(again) >= 0.75 * len(upright.report.marks)
    assert lying.field.mask.shape == lying.anatomy.bone.shape == lying.labels.shape == lying.working.grid.shape
    for candidate in lying.report.marks:
        row, col = lying.working.grid.from_source((candidate.row, candidate.col)).round().astype(int)
        box = lying.labels[max(0, row - 15) : row + 16, max(0, col - 15) : col + 16]
        assert (box == candidate.id).any(), "arrays lie as the film does"
