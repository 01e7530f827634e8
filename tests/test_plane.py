import numpy as np
import pytest

from calcidetect.drawing import plane

SQUARE = np.array([(0.0, 0.0), (0.0, 4.0), (2.0, 4.0), (2.0, 0.0)])


def _along(starts, stops, count=400):
    return starts + np.linspace(0, 1, count)[:, None] * (stops - starts)


def test_area_of_a_rectangle_is_signed_by_its_turn():
    assert plane.area(SQUARE) == -8
    assert plane.area(SQUARE[::-1]) == 8


def test_middle_does_not_depend_on_where_corners_are_set():
    finer = np.vstack([SQUARE[:1], [(0.0, 1.0), (0.0, 2.0)], SQUARE[1:]])
    assert plane.outline_middle(SQUARE) == pytest.approx([1, 2])
    assert plane.outline_middle(finer) == pytest.approx([1, 2])


def test_directions_are_unit_vectors_that_a_transposition_maps_to_themselves():
    rays = plane.directions(32)
    assert len({tuple(ray) for ray in np.round(rays, 9)}) == 32
    assert np.hypot(*rays.T) == pytest.approx(np.ones(32))
    for twin in (rays[:, ::-1], rays * [-1, 1], rays * [1, -1]):
        assert {tuple(ray) for ray in np.round(twin, 9)} == {tuple(ray) for ray in np.round(rays, 9)}


def test_last_crossing_is_the_outermost_of_several():
    starts, stops = np.array([(-1.0, 2.0), (-1.0, 5.0)]), np.array([(1.0, 2.0), (1.0, 5.0)])
    rays = np.array([(0.0, 1.0), (0.0, -1.0), (1.0, 0.0)])
    assert plane.last_crossing(np.zeros(2), rays, starts=starts, stops=stops).tolist() == [5, -np.inf, -np.inf]


def test_segment_meets_a_box_it_starts_in_or_passes_through_but_not_one_beside_it():
    box = np.array([(0.0, 0.0, 2.0, 2.0)])
    starts = np.array([(1.0, 1.0), (1.9, -1.0), (-1.0, 1.0), (3.0, -1.0), (-1.0, 1.5)])
    stops = np.array([(9.0, 9.0), (1.9, 3.0), (3.0, 1.0), (3.0, 3.0), (1.0, 3.6)])
    assert plane.crosses_box(starts, stops, box).ravel().tolist() == [True, True, True, False, False]


def test_segment_distance_agrees_with_dense_sampling():
    rng = np.random.default_rng(5)
    starts, stops, tips, tails = rng.uniform(0, 10, (4, 12, 2))
    distance = plane.segment_distance(starts, stops, tips=tips, tails=tails)
    for i in range(12):
        for j in range(12):
            offsets = _along(starts[i], stops[i])[:, None] - _along(tips[j], tails[j])
            # sampled every 10/400 at most, so the sampled minimum is at most that much too large
            assert distance[i, j] == pytest.approx(np.linalg.norm(offsets, axis=-1).min(), abs=0.04)
