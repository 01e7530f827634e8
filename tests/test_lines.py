"""Lines that run on past a candidate."""

import cv2
import numpy as np
import pytest

from calcidetect.candidates.lines import lie_on_lines

PIXEL_MM = 0.4
MIDDLE = 100


def film(*lines, spot=30, noise=1.0):
    """Even soft tissue with grain, a round spot in its middle, and lines of (height, from, to), each end (col, row)."""
    pixels = np.random.default_rng(0).normal(500, noise, (200, 200)).astype(np.float32)
    for height, start, end in lines:
        drawn = cv2.line(np.zeros_like(pixels), start, end, 1, 3)
        pixels += height * cv2.GaussianBlur(drawn, (0, 0), 1)
    pixels[disc()] += spot
    return cv2.GaussianBlur(pixels, (0, 0), 1)


def disc():
    return cv2.circle(np.zeros((200, 200), np.uint8), (MIDDLE, MIDDLE), 4, 1, -1) > 0


def is_on_line(pixels, bone=None):
    bone = np.zeros(pixels.shape, bool) if bone is None else bone
    (found,) = lie_on_lines(pixels, bone, labels=disc().astype(np.int32), pixel_mm=PIXEL_MM)
    return bool(found)


@pytest.mark.parametrize("noise", [0.0, 3.0])
@pytest.mark.parametrize("end", [(190, 100), (170, 160), (100, 20), (20, 85)])
def test_spot_from_which_a_wire_runs_is_a_part_of_it(end, noise):
    assert is_on_line(film((30, (MIDDLE, MIDDLE), end), noise=noise))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [(30, (120, 0), (120, 199))],  # 8 mm aside
        [(3, (0, 100), (199, 100))],  # far fainter than the spot
        [(30, (100, 100), (130, 100))],  # 12 mm long
        [(30, (0, 130), (199, 130)), (30, (70, 0), (70, 199))],  # a grid around it
    ],
)
def test_spot_by_itself_is_no_part_of_a_line(lines):
    assert not is_on_line(film(*lines))


def test_edge_is_no_line():
    pixels = film()
    pixels[:, MIDDLE:] += 40
    assert not is_on_line(pixels)


def test_cortex_is_no_line():
    wire = film((30, (MIDDLE, MIDDLE), (190, 100)))
    bone = np.zeros(wire.shape, bool)
    bone[90:110, 115:] = True
    assert is_on_line(wire)
    assert not is_on_line(wire, bone)


def test_no_candidates_no_lines():
    assert lie_on_lines(film(), disc(), labels=np.zeros((200, 200), np.int32), pixel_mm=PIXEL_MM).shape == (0,)


def test_flat_film_has_no_lines():
    assert not is_on_line(np.full((200, 200), 500, np.float32))


def test_line_may_leave_the_film():
    pixels = film((30, (MIDDLE, MIDDLE), (190, 100)))
    corner = np.roll(pixels, -85, axis=1)  # the spot is 6 mm from the left border
    labels = np.roll(disc(), -85, axis=1).astype(np.int32)
    assert lie_on_lines(corner, np.zeros(corner.shape, bool), labels=labels, pixel_mm=PIXEL_MM).all()


def test_row_of_deposits_is_no_line():
    pixels = film()
    for step, height in enumerate((20, 90, 30, 120, 25, 80, 30), start=1):
        spot = cv2.circle(np.zeros_like(pixels), (MIDDLE + 10 * step, MIDDLE + 2 * step), 4, 1, -1)
        pixels += height * cv2.GaussianBlur(spot, (0, 0), 2)
    assert not is_on_line(pixels)
