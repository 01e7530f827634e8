"""What lies on a film is no deposit."""

import cv2
import numpy as np
import pytest

from calcidetect import ops
from calcidetect.candidates.dust_and_ink import lie_on_film

FILM_MM, FACTOR = 0.175, 2


def film(*blobs, grain=0.0):
    """Blur what lies at (row, col) of a film, each with its height, radius and sigma in mm, into one grey."""
    pixels = np.random.default_rng(0).normal(100, grain or 1e-3, (160, 160)).astype(np.float32)
    rows, cols = np.indices(pixels.shape)
    for (row, col), height, radius_mm, sigma_mm in blobs:
        disc = (np.hypot(rows - row, cols - col) <= radius_mm / FILM_MM).astype(np.float32)
        pixels += np.float32(height) * ops.gaussian(disc, sigma_mm / FILM_MM)
    return pixels


def boxes(*centres, half_mm=1.0):
    """Label squares around places of the film on a working grid of half its size."""
    labels = np.zeros((160 // FACTOR, 160 // FACTOR), np.int32)
    half = round(half_mm / FILM_MM / FACTOR)
    for number, (row, col) in enumerate(centres, start=1):
        top, left = row // FACTOR - half, col // FACTOR - half
        labels[max(top, 0) : top + 2 * half + 1, max(left, 0) : left + 2 * half + 1] = number
    return labels


def found(pixels, labels, film_mm=FILM_MM):
    return lie_on_film(pixels, labels, pixel_mm=film_mm * FACTOR).tolist()


def test_specks_of_two_pixels_are_told_from_the_smallest_deposit():
    places = (40, 40), (40, 100), (100, 60)
    pixels = film((places[0], 30, 0.15, 0.05), (places[1], 30, 0.75, 0.12), (places[2], 30, 0.2, 0.05), grain=1.0)
    assert found(pixels, boxes(*places)) == [True, False, True]


def test_two_specks_in_one_mark_are_specks():
    pixels = film(((60, 60), 30, 0.15, 0.05), ((64, 65), 25, 0.15, 0.05), grain=1.0)
    assert found(pixels, boxes((62, 62), half_mm=1.5)) == [True]


def test_a_speck_within_a_deposit_leaves_it_a_deposit():
    pixels = film(((60, 60), 30, 1.5, 0.15), ((60, 60), 20, 0.15, 0.05), grain=1.0)
    assert found(pixels, boxes((60, 60), half_mm=2)) == [False]


def test_grain_of_a_faint_deposit_is_no_speck():
    assert found(film(((60, 60), 1.0, 1.0, 0.2), grain=2.0), boxes((60, 60))) == [False]


@pytest.mark.parametrize(("film_mm", "speck"), [(0.1, True), (0.24, True), (0.3, False)])
def test_on_coarse_films_nothing_is_a_speck(film_mm, speck):
    pixels = film(((60, 60), 30, 0.15, 0.05), grain=1.0)
    assert found(pixels, boxes((60, 60)), film_mm=film_mm) == [speck]


def test_a_speck_at_the_films_corner_is_looked_at():
    assert found(film(((2, 2), 30, 0.15, 0.05), grain=1.0), boxes((6, 6))) == [True]


def written(pixels, *, sigma_px=0.3, texture=0.0):
    """Write a 1 on a copy of a film."""
    stroke = np.zeros(pixels.shape, np.uint8)
    cv2.putText(stroke, "1", (52, 72), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 1, 3)
    stroke = ops.gaussian(stroke.astype(np.float32), sigma_px)
    grit = ops.gaussian(np.random.default_rng(1).standard_normal(pixels.shape, dtype=np.float32), 1.5)
    return pixels + 60 * stroke * (1 + texture * grit / grit.std())


@pytest.mark.parametrize("film_mm", [0.15, 0.4])
def test_a_letter_of_one_grey_is_ink_at_any_pitch(film_mm):
    assert found(written(film(grain=1.0)), boxes((62, 58), half_mm=2.5), film_mm=film_mm) == [True]


@pytest.mark.parametrize("changed", [{"sigma_px": 1.2}, {"texture": 0.3}])
def test_what_has_a_soft_edge_or_is_gritty_is_none(changed):
    assert found(written(film(grain=1.0), **changed), boxes((62, 58), half_mm=2.5)) == [False]


def test_no_candidates_hold_no_specks():
    assert found(film(), boxes()) == []
