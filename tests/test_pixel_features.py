"""Feature planes of the film, and of what surrounds a first guess of bone."""

import numpy as np
import pytest
from limbs import field, film, limb_pixels

from calcidetect.anatomy.pixel_features import context_features, film_planes, pixel_features

PIXEL_MM = 0.8


def ring_of_bone():
    """A guess that saw a bone's cortex, 24 mm across, and not its spongy middle."""
    rows, cols = np.mgrid[:80, :80]
    far_mm = np.hypot(rows - 40, cols - 40) * PIXEL_MM
    return ((far_mm < 12) & (far_mm > 9)).astype(np.float32)


def test_planes_do_not_depend_on_gain_and_offset():
    pixels, _ = limb_pixels()
    plain, other = (film_planes(film(p), field(), pixel_mm=PIXEL_MM) for p in (pixels, 3 * pixels + 100))
    for name, plane in plain.values.items():
        difference = np.abs(other.values[name] - plane)
        assert np.median(difference) <= 1e-3 * np.abs(plane).max(), name  # float32 rounding; single pixels may jump


def test_planes_lie_on_the_grid_that_was_asked_for():
    pixels, _ = limb_pixels()
    planes = film_planes(film(pixels), field(), pixel_mm=PIXEL_MM)
    assert planes.pixel_mm == PIXEL_MM
    assert all(plane.shape == planes.body.shape and plane.dtype == np.float32 for plane in planes.values.values())


def test_a_hole_in_the_guess_is_closed_at_its_size_and_not_below():
    context = context_features(ring_of_bone(), np.ones((80, 80), bool), pixel_mm=PIXEL_MM)
    assert context["guess_closed40"][40, 40] == 1
    assert context["guess_closed9"][40, 40] == 0
    assert context["guess_opened9"].max() == 0  # no square of 9 mm fits into the cortex


def test_the_inside_of_a_bone_has_bone_all_around():
    context = context_features(ring_of_bone(), np.ones((80, 80), bool), pixel_mm=PIXEL_MM)
    low = context["guess_low_around8"]
    assert low[40, 40] > 0.1
    assert low[40, 75] == 0
    assert context["guess_distance"][40, 40] == pytest.approx(9, abs=1.0)
    assert context["guess_depth"][40, 40] == 0


def test_tissue_beyond_the_body_does_not_thin_the_guess_out():
    guess, body = np.zeros((40, 40), np.float32), np.zeros((40, 40), bool)
    guess[:20], body[:20] = 1, True
    means = context_features(guess, body, pixel_mm=PIXEL_MM)["guess_mean3.2"]
    assert means[:20] == pytest.approx(1, abs=0.01)


def test_planes_of_a_constant_film_are_finite():
    flat = np.full((50, 40), 7.0, np.float32)
    assert all(np.isfinite(p).all() for p in pixel_features(flat, np.ones((50, 40), bool), pixel_mm=PIXEL_MM).values())
