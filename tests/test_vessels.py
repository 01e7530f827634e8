"""Walls and plaques of calcified arteries."""

import cv2
import numpy as np
import pytest

from calcidetect.candidates.vessels import are_vessels, plaques_in_a_row, shapes_of, tram_tracks

PIXEL_MM = 0.5


def lines(*ends, thickness=2):
    """Label lines 1 … n from (row, col) to (row, col)."""
    labels = np.zeros((120, 120), np.int32)
    for number, ((row, col), (to_row, to_col)) in enumerate(ends, start=1):
        cv2.line(labels, (col, row), (to_col, to_row), number, thickness)
    return labels


def shapes(labels):
    return shapes_of(labels, pixel_mm=PIXEL_MM)


@pytest.mark.parametrize("turned", [False, True])
def test_two_lines_side_by_side_are_walls(turned):
    labels = lines(((20, 30), (100, 40)), ((20, 38), (100, 48)))  # 4 mm apart, 40 mm long
    assert tram_tracks(shapes(labels.T if turned else labels)).tolist() == [True, True]


@pytest.mark.parametrize(
    "ends",
    [
        [((20, 30), (100, 40))],
        [((20, 30), (100, 40)), ((20, 70), (100, 80))],  # 20 mm apart
        [((20, 30), (100, 30)), ((20, 50), (100, 32))],  # they meet
        [((5, 30), (50, 30)), ((65, 38), (110, 38))],  # one after the other
        [((20, 30), (34, 30)), ((20, 38), (34, 38))],  # 7 mm long
    ],
)
def test_other_lines_are_none(ends):
    assert not tram_tracks(shapes(lines(*ends))).any()


def test_two_nodules_are_none():
    assert not tram_tracks(shapes(lines(((20, 30), (40, 30)), ((20, 44), (40, 44)), thickness=9))).any()


def test_a_third_line_elsewhere_is_none():
    labels = lines(((20, 30), (100, 30)), ((20, 38), (100, 38)), ((20, 100), (100, 100)))
    assert tram_tracks(shapes(labels)).tolist() == [True, True, False]


def test_nothing_has_no_walls():
    assert tram_tracks(shapes(np.zeros((9, 9), np.int32))).tolist() == []


ROW = [((4, 60), (14, 62)), ((34, 66), (48, 69)), ((64, 72), (74, 74)), ((100, 80), (102, 80))]
"""Three dashes of 5 to 7 mm in a line, and a dot on it, 12 to 15 mm apart."""


@pytest.mark.parametrize("turned", [False, True])
def test_dashes_and_dots_in_a_row_are_plaques(turned):
    labels = lines(*ROW, ((60, 20), (63, 20)))
    assert plaques_in_a_row(shapes(labels.T if turned else labels)).tolist() == [
        *[True] * 4,
        False,
    ]
    assert are_vessels(labels, pixel_mm=PIXEL_MM).tolist() == [*[True] * 4, False]


@pytest.mark.parametrize(
    "ends",
    [
        ROW[:2],  # only two
        [ROW[0], ((40, 60), (42, 76)), ROW[2]],  # one lies across
        [ROW[0], ROW[1], ((64, 112), (74, 114))],  # the third lies aside
        [((10, 60), (12, 60)), ((40, 66), (42, 66)), ((80, 73), (82, 73))],  # dots alone
    ],
)
def test_other_scatterings_are_no_plaques(ends):
    assert not plaques_in_a_row(shapes(lines(*ends))).any()
