import numpy as np
import pytest

from calcidetect.anatomy.thorax import Thorax
from calcidetect.candidates.features import OFF_CHEST, place_on_chest
from calcidetect.candidates.harmonics import angular_harmonics
from calcidetect.candidates.places import Places
from calcidetect.candidates.surroundings import evened, fixed_rings

PIXEL_MM, SIZE = 0.4, 201
MIDDLE = SIZE // 2
ROWS, COLS = np.mgrid[:SIZE, :SIZE].astype(np.float32) - MIDDLE


def at(row, col):
    return Places(rows=np.array([row], float), cols=np.array([col], float), radius=np.array([5.0]), pixel_mm=PIXEL_MM)


def harmonics_of(image, place=None, outwards=1.0):
    place, film = place or at(MIDDLE, MIDDLE), evened(image.astype(np.float32), PIXEL_MM)
    found = angular_harmonics(place, film, rings=fixed_rings(place, film), outwards=np.array([outwards]))
    return {name: float(value[0]) for name, value in found.items()}


def strongest(measured, ring):
    return max(range(1, 7), key=lambda order: measured[f"harmonic{order}_{ring}"])


@pytest.mark.parametrize("ring", ["3mm", "9mm", "26mm", "x1.5", "x3.2"])
@pytest.mark.parametrize(
    ("image", "order"),
    [
        (ROWS > 0, 1),
        (np.abs(COLS) < 2, 2),
        ((np.abs(COLS) < 2) | (np.abs(ROWS) < 2), 4),
    ],
)
def test_an_edge_is_one_wave_a_ridge_two_and_a_crossing_four(image, order, ring):
    assert strongest(harmonics_of(image), ring) == order


def test_directions_say_where_it_is_brighter():
    below, right, level = (harmonics_of(image) for image in (ROWS > 0, COLS > 0, np.abs(ROWS) < 2))
    assert below["brighter_below_6.5mm"] > 0.3 > abs(below["brighter_outwards_6.5mm"])
    assert right["brighter_outwards_6.5mm"] > 0.3 > abs(right["brighter_below_6.5mm"])
    assert level["ridge_across_6.5mm"] > 0.1 > abs(level["ridge_slanting_6.5mm"])
    assert harmonics_of(np.abs(COLS) < 2)["ridge_across_6.5mm"] < -0.1


def test_both_sides_of_a_chest_count_alike():
    image = np.random.default_rng(3).normal(size=(SIZE, SIZE)).cumsum(axis=1)
    here = harmonics_of(image, at(90, 70))
    there = harmonics_of(image[:, ::-1], at(90, SIZE - 1 - 70), outwards=-1.0)
    assert there == pytest.approx(here, abs=2e-3)


def test_strength_is_of_the_shape_and_not_of_the_contrast():
    image = np.sin(COLS / 9) + np.cos(ROWS / 14)
    weak, strong = harmonics_of(image), harmonics_of(5 * image)
    assert strong == pytest.approx(weak, rel=0.1, abs=0.02)


def test_even_rings_have_none():
    assert set(harmonics_of(np.ones((SIZE, SIZE))).values()) == {0.0}


def chest(middle):
    lungs = np.zeros((100, 100), bool)
    return Thorax(
        factor=(2.0, 2.0), lungs=lungs, cage=lungs, middle=middle, inner=(30, 70), top=20, height=50, width=80
    )


def test_the_place_on_a_chest_is_in_shares_of_the_lungs():
    places = Places(
        rows=np.array([40.0, 140]), cols=np.array([20.0, 180]), radius=np.array([3.0, 3]), pixel_mm=PIXEL_MM
    )
    place, outwards = place_on_chest(places, chest(50.0))
    assert place["chest_down"].tolist() == [0, 1]
    assert place["chest_aside"].tolist() == [0.5, 0.5]
    assert outwards.tolist() == [-1, 1]


def test_without_two_lungs_there_is_no_place_on_a_chest():
    place, outwards = place_on_chest(at(5, 5), None)
    assert place["chest_down"].tolist() == place["chest_aside"].tolist() == [OFF_CHEST]
    assert outwards.tolist() == [1]
