"""Words for what a deposit looks like."""

import cv2
import numpy as np
import pytest

from calcidetect.candidates.looks import axes_mm, look
from calcidetect.types import LOOKS

SIZE = 120


def ellipse(long_px, short_px, angle=30):
    canvas = np.zeros((SIZE, SIZE), np.uint8)
    cv2.ellipse(canvas, (SIZE // 2, SIZE // 2), (long_px // 2, short_px // 2), angle, 0, 360, 1, -1)
    return canvas.astype(bool)


def star():
    rows, cols = np.indices((SIZE, SIZE)) - SIZE // 2
    return np.hypot(rows, cols) < 8 + 4 * np.cos(5 * np.arctan2(rows, cols))


def lace():
    mask = np.zeros((SIZE, SIZE), bool)
    mask[20:100:16, 20:100] = mask[20:100, 20:100:16] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "word"),
    [
        (ellipse(6, 6), "punctate"),
        (ellipse(16, 14), "nodular"),
        (ellipse(50, 6), "linear"),
        (ellipse(60, 50), "tumoral"),
        (star(), "amorphous"),
        (lace(), "sheet"),
    ],
)
def test_look_by_shape_and_size(mask, word):
    assert look(mask, pixel_mm=0.25) == word
    assert look(mask.T, pixel_mm=0.25) == word


def test_one_pixel_has_a_look():
    assert look(np.ones((1, 1), bool), pixel_mm=0.4) in LOOKS


def test_axes_of_an_ellipse_are_its_diameters():
    assert axes_mm(ellipse(60, 20), 0.5) == pytest.approx((30, 10), abs=0.6)  # one pixel and a bit: as it is drawn
