import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from calcidetect import ops


def test_wide_smoothing_on_a_reduced_copy_is_near_the_exact_one():
    image = np.random.default_rng(0).random((200, 300)).astype(np.float32)
    image = ops.gaussian(image, 2)
    assert np.abs(ops.smooth(image, 20) - ops.gaussian(image, 20)).max() < 0.01 * np.ptp(image)


def test_an_image_that_is_enlarged_one_way_and_reduced_the_other_does_not_depend_on_which_is_which():
    noise = np.random.default_rng(0).normal(size=(20, 256)).astype(np.float32)
    wide, tall = ops.resize_area(noise, (40, 64)), ops.resize_area(np.ascontiguousarray(noise.T), (64, 40))
    assert wide == pytest.approx(tall.T, abs=1e-5)
    assert wide.std() < 0.7 * noise.std(), "what is reduced is averaged"


def test_masked_mean_ignores_what_is_outside_the_mask():
    image = np.full((40, 40), 5, np.float32)
    image[:, 20:] = 1000
    mask = np.zeros((40, 40), bool)
    mask[:, :20] = True
    assert ops.masked_gaussian(image, mask, 3)[20, 19] == pytest.approx(5)


def test_distance_to_nothing_is_the_diagonal():
    assert (ops.distance(np.zeros((3, 4), bool)) == 5).all()


def test_distance_is_zero_inside_and_euclidean_outside():
    mask = np.zeros((9, 9), bool)
    mask[0, 0] = True
    assert ops.distance(mask)[0, 0] == 0
    assert ops.distance(mask)[3, 4] == pytest.approx(5, rel=0.02)


def test_hessian_of_a_parabola():
    # f = r^2 - 2 c^2 has second derivatives 2 and -4; times sigma squared = 9
    rows, cols = np.mgrid[:21, :21].astype(np.float32)
    high, low = ops.hessian_eigenvalues(rows**2 - 2 * cols**2, sigma=3)
    assert high[10, 10] == pytest.approx(18)
    assert low[10, 10] == pytest.approx(-36)


def test_gradient_of_a_ramp():
    rows, cols = np.mgrid[:11, :11].astype(np.float32)
    down, across = ops.gradient(3 * rows - cols)
    assert down[5, 5] == pytest.approx(3)
    assert across[5, 5] == pytest.approx(-1)


def test_coherence_is_one_on_a_ramp_and_low_in_noise():
    rows, _ = np.mgrid[:60, :60].astype(np.float32)
    assert ops.coherence(*ops.gradient(rows), 4)[30, 30] == pytest.approx(1, abs=1e-3)
    noise = np.random.default_rng(1).random((60, 60)).astype(np.float32)
    assert ops.coherence(*ops.gradient(noise), 4)[30, 30] < 0.5


def test_small_holes_are_filled_and_large_ones_and_bays_are_not():
    mask = np.ones((30, 30), bool)
    mask[5:7, 5:7] = False
    mask[15:25, 15:25] = False
    mask[0:2, 28:30] = False
    filled = ops.fill_holes(mask, 10)
    assert filled[5:7, 5:7].all()
    assert not filled[15:25, 15:25].any()
    assert not filled[0:2, 28:30].any()


def grown_from(image, seed, *, level, reach):
    rows, cols = (np.array([index]) for index in seed)
    return ops.grow(image, rows, cols, levels=np.array([level], np.float32), reach=np.array([reach], float))[0]


def test_growth_stops_at_half_height_and_at_reach():
    image = np.zeros((41, 41), np.float32)
    image[15:26, 15:26] = 1.0
    image[20, 26:41] = 0.9  # a ridge that leads away
    level = ops.half_heights(image, np.array([20]), np.array([20]), 6.0)[0]
    grown = np.zeros(image.shape, bool)
    grown.ravel()[grown_from(image, (20, 20), level=level, reach=9)] = True
    assert grown[15:26, 15:26].all()
    assert not grown[:, 30:].any()
    assert not grown[:14].any()


def test_compact_labels_keep_their_order():
    assert ops.compact(np.array([[0, 7], [3, 7]], np.int32)).tolist() == [[0, 2], [1, 2]]


def test_rim_of_a_square_leaves_its_inside():
    labels = np.zeros((7, 7), np.int32)
    labels[1:6, 1:6] = 1
    rim = ops.rim(labels)
    assert rim.sum() == 16
    assert not rim[2:5, 2:5].any()


def test_sampling_takes_more_points_than_opencv_does_at_once():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)
    rows = np.full((70_000, 1), 1.0, np.float32)
    cols = np.full((70_000, 1), 2.5, np.float32)
    assert np.allclose(ops.sample(image, rows, cols), 6.5)
    assert ops.sample(image, rows[:0], cols[:0]).shape == (0, 1)


def test_contour_is_in_pixel_centres():
    mask = np.zeros((6, 8), bool)
    mask[2:4, 3:6] = True
    outline = ops.contour(mask)
    assert outline.min(axis=0).tolist() == [2, 3]
    assert outline.max(axis=0).tolist() == [3, 5]


def test_pairs_are_found_both_ways():
    first, second = ops.pairs_within(np.array([[0.0, 0], [0, 3], [50, 0]]), 5)
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (1, 0)]


def test_a_shifted_image_shows_what_lies_that_far_off():
    image = np.zeros((9, 9), np.float32)
    image[4, 7] = 1
    around = np.stack(ops.shifted_around(image, 3.0))
    assert around.shape == (8, 9, 9)
    assert around[:, 4, 4].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]  # the first direction is along the columns
    assert around[4, 4, 8] == 0  # beyond the edge its last value is seen
    assert around[0, 4, 8] == 0


@pytest.mark.parametrize("shape", [(64, 80), (65, 83), (3, 7)])
def test_enlarging_undoes_halving_but_for_detail(shape):
    ramp = np.add.outer(np.arange(shape[0]), 2 * np.arange(shape[1])).astype(np.float32)
    back = ops.enlarge(ops.halve(ramp), 2, shape)
    assert back.shape == shape
    assert np.abs(back - ramp)[1:-2, 1:-2].max(initial=0) < 0.01


def test_a_blob_grows_to_its_edge_and_no_farther_than_allowed():
    rows, cols = np.indices((80, 90))
    image = np.where(np.hypot(rows - 40, cols - 45) <= 10, 100, 20).astype(np.float32)
    level = ops.half_heights(image, np.array([40]), np.array([45]), 10.0)[0]
    assert level == pytest.approx(60)
    grown = grown_from(image, (40, 45), level=level, reach=20)
    assert len(grown) == (image == 100).sum()
    near_rows, near_cols = np.divmod(grown_from(image, (40, 45), level=level, reach=5), 90)
    assert np.hypot(near_rows - 40, near_cols - 45).max() <= 5


@pytest.mark.parametrize("seed", [(0, 0), (0, 29), (19, 13)])
def test_growth_at_the_border_stays_on_the_film_and_holds_its_seed(seed):
    image = np.zeros((20, 30), np.float32)
    image[seed] = 1
    assert grown_from(image, seed, level=0.5, reach=4.5).tolist() == [seed[0] * 30 + seed[1]]
    rows, cols = np.divmod(grown_from(image, seed, level=-1.0, reach=4.5), 30)
    assert np.hypot(rows - seed[0], cols - seed[1]).max() <= 4.5
    down, across = np.indices(image.shape)
    assert len(rows) == (np.hypot(down - seed[0], across - seed[1]) <= 4.5).sum()


def test_a_seed_darker_than_the_level_grows_over_what_is_no_darker():
    image = np.zeros((20, 30), np.float32)
    image[10, 10:16] = (0.3, 0.3, 0.2, 0.9, 0.2, 0.9)
    assert grown_from(image, (10, 11), level=0.5, reach=9).tolist() == [310, 311]


def test_seeds_grown_together_grow_as_they_do_alone(monkeypatch):
    rng = np.random.default_rng(5)
    image = ops.gaussian(rng.random((60, 70)).astype(np.float32), 1.5)
    rows, cols = rng.integers(0, 60, 40), rng.integers(0, 70, 40)
    levels = image[rows, cols] - np.float32(0.05)
    monkeypatch.setattr(ops, "GROWN_AT_ONCE", 7 * 20**2)  # several lots of neighbourhoods
    reach = np.where(np.arange(40) % 3, 8.3, 4.0)
    together = ops.grow(image, rows, cols, levels=levels, reach=reach)
    assert len(together) == 40
    for region, row, col, level, far in zip(together, rows, cols, levels, reach, strict=True):
        near = np.hypot(*(np.indices(image.shape) - np.array([row, col])[:, None, None])) <= far
        labels, _ = ndimage.label(near & (image >= level))
        assert region.tolist() == np.flatnonzero(labels == labels[row, col]).tolist()


@pytest.mark.parametrize("share", [0, 0.1, 0.6, 1])
def test_components_have_the_boxes_areas_and_centres_of_their_pixels(share):
    mask = np.random.default_rng(2).random((23, 31)) < share
    labels, boxes, centres = ops.components(mask)
    expected, count = ndimage.label(mask, np.ones((3, 3)))
    assert len(boxes) == len(centres) == count
    assert (labels > 0).tolist() == mask.tolist()
    for number, (box, centre) in enumerate(zip(boxes.tolist(), centres, strict=True), start=1):
        rows, cols = np.nonzero(labels == number)
        assert (expected[rows, cols] == expected[rows[0], cols[0]]).all()
        assert box == [cols.min(), rows.min(), np.ptp(cols) + 1, np.ptp(rows) + 1, len(rows)]
        assert centre == pytest.approx((rows.mean(), cols.mean()))


def test_the_hull_of_a_ring_is_the_disc_within():
    down, across = np.mgrid[-20:21, -20:21]
    far = np.hypot(down, across)
    hull = ops.convex_hull((far <= 15) & (far > 10))
    assert hull[far <= 14].all()
    assert not hull[far > 16].any()
    assert not ops.convex_hull(np.zeros((4, 5), bool)).any()


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_pairs_are_those_that_a_tree_finds(count):
    points = np.random.default_rng(count).uniform(0, 50, (count, 2)).round(0)  # with equal ones and exact distances
    first, second = ops.pairs_within(points, 5.0)
    expected = cKDTree(points).query_pairs(5.0) if count else set()
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == sorted(
        [*expected, *((b, a) for a, b in expected)]
    )


def test_boxes_of_labels_are_those_that_scipy_finds():
    labels = ops.compact(np.random.default_rng(0).integers(0, 40, (30, 50)).astype(np.int32))
    labels[:, 40:] = 0
    labels = ops.compact(labels)
    assert ops.label_boxes(labels) == ndimage.find_objects(labels)
    assert ops.label_boxes(np.zeros((3, 4), np.int32)) == []


def test_brightest_path_follows_a_bent_ridge_and_begins_where_it_may():
    image = np.zeros((2, 6, 9), np.float32)
    columns = [4, 5, 6, 6, 5, 4]
    image[0, np.arange(6), columns] = 1
    image[1, :, 1] = 1
    image[1, 0, :5] = -np.inf  # the bright column can't be reached from the first row at once
    paths = ops.brightest_paths(image)
    assert paths[0].tolist() == columns
    assert paths[1].tolist() == [5, 4, 3, 2, 1, 1]
