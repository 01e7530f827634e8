"""Blob filters on reduced films, and places asked of them."""

import numpy as np
import pytest
from limbs import PIXEL_MM, SHAPE, film, limb_pixels, with_disc

from calcidetect import ops
from calcidetect.candidates.blobs import film_blobs
from calcidetect.candidates.label_regions import label_regions
from calcidetect.candidates.places import GridPoints, Places, places
from calcidetect.candidates.surroundings import evened, fine_features
from calcidetect.config import Config
from calcidetect.types import Anatomy

SETTINGS = Config().detect
STEP = 8.0


def anatomy(shape=SHAPE):
    everywhere, nowhere = np.ones(shape, bool), np.zeros(shape, bool)
    return Anatomy(
        bone=nowhere,
        bone_probability=nowhere.astype(np.float32),
        lung_probability=nowhere.astype(np.float32),
        body=everywhere,
        bone_distance_px=ops.distance(nowhere),
        skin_distance_px=ops.distance(nowhere),
        bone_step=STEP,
        confidence=1.0,
    )


def disc(radius, row=150, col=55, height=STEP):
    return film(with_disc(np.full(SHAPE, 100, np.float32), row=row, col=col, radius=radius, height=height))


def centre(row, col):
    return Places(rows=np.array([row]), cols=np.array([col]), radius=np.array([3.0]), pixel_mm=PIXEL_MM)


@pytest.mark.parametrize("radius", [3, 6, 12, 24])
def test_the_scale_that_answers_a_disc_most_strongly_is_that_of_its_size(radius):
    blobs = film_blobs(disc(radius), anatomy(), settings=SETTINGS)
    answers = [centre(150.0, 55.0).ask(scale.response, scale.factor)[0] for scale in blobs]
    best = blobs[int(np.argmax(answers))]
    assert best.sigma_mm * 2**0.5 == pytest.approx(radius * PIXEL_MM, rel=0.45)


def test_answers_are_in_bone_steps_whatever_the_gain():
    plain, loud = (disc(6, height=height) for height in (STEP, 3 * STEP))
    at = centre(150.0, 55.0)
    one, three = (
        at.ask(film_blobs(radiograph, anatomy(), settings=SETTINGS)[4].response) for radiograph in (plain, loud)
    )
    assert three == pytest.approx(3 * one, rel=0.01)


def test_clutter_is_higher_where_the_film_is_rougher_and_never_zero():
    pixels = np.full(SHAPE, 100, np.float32)
    pixels[:120] += np.random.default_rng(0).normal(0, 4, (120, SHAPE[1])).astype(np.float32)
    scale = film_blobs(film(pixels), anatomy(), settings=SETTINGS)[1]
    rough, flat = (centre(row, 50.0).ask(*scale.clutter)[0] for row in (60.0, 280.0))
    assert rough > 10 * flat > 0


def test_small_films_have_every_scale():
    shape = (20, 33)
    pixels = np.random.default_rng(0).normal(100, 4, shape).astype(np.float32)
    assert len(film_blobs(film(pixels), anatomy(shape), settings=SETTINGS)) == len(
        film_blobs(disc(4), anatomy(), settings=SETTINGS)
    )


def test_a_place_means_the_same_on_a_halved_film():
    ramp = np.add.outer(np.arange(64), 3 * np.arange(80)).astype(np.float32)
    at = GridPoints(rows=np.array([[20.25, 40]], np.float32), cols=np.array([[11, 30.5]], np.float32))
    for times in (1, 2, 3):
        image = ramp
        for _ in range(times):
            image = ops.halve(image)
        assert at.ask(image, 2**times) == pytest.approx(at.ask(ramp), abs=0.01)


def test_rings_lie_where_they_should():
    rows, cols = np.indices((60, 60))
    far = np.hypot(rows - 30, cols - 30).astype(np.float32)
    labels = np.where(far <= 5, 1, 0).astype(np.int32)
    here = places(label_regions(labels), 0.5)
    assert here.ring_at(6.0).ask(far) == pytest.approx(12, abs=0.1)
    assert here.ring_outside(2.0).ask(far) == pytest.approx(here.radius[0] + 4, abs=0.1)


def test_a_small_bright_spot_stands_out_of_its_fine_surroundings():
    pixels = limb_pixels()[0]
    spot = evened(with_disc(pixels, row=150, col=55, radius=3, height=STEP) / STEP, PIXEL_MM)
    here, beside = (fine_features(centre(150.0, col), spot, median=0, span=1) for col in (55.0, 70.0))
    for name in ("fine_bright4", "fine_bright9", "fine_local_rank4"):
        assert here[name][0] > beside[name][0] + 0.1
    assert here["fine_ridge0.8"][0] < -0.01
