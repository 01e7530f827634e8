"""Counting over label images."""

import numpy as np
import pytest

from calcidetect.candidates.label_regions import axes, centres, label_regions

LABELS = np.array([[1, 1, 0, 2], [1, 0, 0, 2], [0, 3, 0, 0]], np.int32)
IMAGE = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_values_are_taken_region_by_region():
    regions = label_regions(LABELS)
    assert regions.area.tolist() == [3, 2, 1]
    assert regions.mean(regions.inside(IMAGE)) == pytest.approx([(0 + 1 + 4) / 3, 5, 9])
    assert regions.highest(regions.inside(IMAGE)).tolist() == [4, 7, 9]
    assert regions.lowest(regions.inside(IMAGE)).tolist() == [0, 3, 9]


def test_centres_are_means_of_rows_and_columns():
    assert centres(LABELS) == pytest.approx(np.array([[1 / 3, 1 / 3], [0.5, 3], [2, 1]]))


def test_radius_is_that_of_the_disc_of_equal_area():
    assert label_regions(LABELS).radius ** 2 * np.pi == pytest.approx([3, 2, 1])


def test_an_image_without_labels_has_no_centres():
    assert centres(np.zeros((4, 4), np.int32)).shape == (0, 2)


def test_axes_of_a_slanted_bar_lie_along_and_across_it():
    rows, cols = np.indices((60, 60))
    along, across = (rows + cols - 60) / 2**0.5, (rows - cols) / 2**0.5
    bar = ((np.abs(along) <= 20) & (np.abs(across) <= 4)).astype(np.int32)
    long, short, angle = axes(label_regions(bar), 60)
    assert long == pytest.approx([40 / 12**0.5], rel=0.05)
    assert short == pytest.approx([8 / 12**0.5], rel=0.1)
    assert angle == pytest.approx([np.pi / 4], abs=0.02)


def test_a_single_pixel_has_the_extent_of_a_pixel():
    long, short, _ = axes(label_regions(LABELS), 4)
    assert (long[2], short[2]) == pytest.approx((12**-0.5, 12**-0.5))
