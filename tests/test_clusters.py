"""Which candidates are one mark."""

import numpy as np
import pytest

from calcidetect.candidates import clusters
from calcidetect.candidates.score import OPERATING_POINT

SURE, WEAK, UNSURE = OPERATING_POINT + 0.1, clusters.PARTNER_SCORE + 0.1, clusters.PARTNER_SCORE - 0.1
PIXEL_MM = 0.5


def squares(*corners, size=3):
    """Label squares 1 … n of `size` pixels, by their first row and column."""
    labels = np.zeros((60, 60), np.int32)
    for number, (row, col) in enumerate(corners, start=1):
        labels[row : row + size, col : col + size] = number
    return labels


def leaders(labels, scores, rings=None, contrasts=None):
    rings = np.zeros(len(scores), bool) if rings is None else np.array(rings)
    contrasts = np.ones(len(scores)) if contrasts is None else np.array(contrasts)
    return clusters.leaders(labels, np.array(scores), contrasts=contrasts, rings=rings, pixel_mm=PIXEL_MM).tolist()


def test_granules_nearer_than_the_gap_follow_the_best_of_them():
    labels = squares((10, 10), (10, 15), (10, 20))  # 2 pixels, 1 mm, between one and the next
    assert leaders(labels, [SURE, SURE + 0.1, SURE]) == [1, 1, 1]


def test_nodules_fifteen_millimetres_apart_stay_two():
    assert leaders(squares((10, 10), (10, 43)), [SURE, SURE]) == [0, 1]


@pytest.mark.parametrize(("between_px", "joined"), [(3, True), (7, False)])
def test_the_gap_is_two_millimetres(between_px, joined):
    found = leaders(squares((10, 10), (10, 13 + between_px)), [SURE, SURE])
    assert (found == [0, 0]) is joined


def test_what_hardly_scores_joins_nothing():
    assert leaders(squares((10, 10), (10, 15), (15, 10)), [SURE, UNSURE, UNSURE]) == [0, 1, 2]


def test_a_fainter_granule_goes_with_the_mark_beside_it():
    labels = squares((10, 10), (10, 15), (40, 10), (40, 15))
    assert leaders(labels, [SURE, WEAK, WEAK, WEAK]) == [0, 0, 2, 3]


def test_a_granule_much_darker_than_the_mark_does_not():
    labels = squares((10, 10), (10, 15), (15, 10))
    assert leaders(labels, [SURE, WEAK, WEAK], contrasts=[1.0, 0.3, 0.7]) == [0, 1, 0]


def test_a_fainter_granule_between_two_marks_goes_with_the_better_one_and_joins_them_not():
    labels = squares((10, 10), (10, 17), (10, 24), size=3)
    assert leaders(labels, [SURE, WEAK, SURE + 0.1]) == [0, 2, 2]


def test_a_granule_inside_another_candidate_is_part_of_it():
    labels = squares((10, 10), size=9)
    labels[13:16, 13:16] = 2
    assert leaders(labels, [SURE, SURE + 0.1]) == [1, 1]


def test_rings_of_the_trachea_are_one_however_far_apart_and_join_no_deposit():
    labels = squares((5, 5), (30, 5), (50, 5), (5, 9))
    assert leaders(labels, [0.1, 0.3, 0.2, SURE], rings=[True, True, True, False]) == [1, 1, 1, 3]


def test_no_candidates_make_no_clusters():
    assert leaders(np.zeros((5, 5), np.int32), []) == []


def test_merging_loses_no_pixel():
    labels = squares((10, 10), (10, 15), (40, 40))
    whole = clusters.merged(labels, np.array([1, 1, 2]))
    assert np.array_equal(whole > 0, labels > 0)
    assert np.unique(whole).tolist() == [0, 2, 3]


def test_contrast_of_a_cluster_is_that_of_its_area_and_its_distance_the_least():
    labels = squares((10, 10), (10, 15))
    labels[13, 10:13] = 1  # 12 pixels of the first, 9 of the second
    measures = {
        "contrast_mean": np.array([1.0, 2.0]),
        "sigmas_mean": np.array([10.0, 20.0]),
        "bone_distance_mm": np.array([4.0, 1.0]),
    }
    whole = clusters.merged_measures(labels, measures, leads=np.array([0, 0]))
    assert whole["contrast_mean"][0] == pytest.approx((12 * 1 + 9 * 2) / 21)
    assert whole["sigmas_mean"][0] == pytest.approx((12 * 10 + 9 * 20) / 21)
    assert whole["bone_distance_mm"][0] == 1.0


def halos(labels, scores, contrasts):
    rings = np.zeros(len(scores), bool)
    spokesmen = clusters.leaders(
        labels, np.array(scores), contrasts=np.array(contrasts), rings=rings, pixel_mm=PIXEL_MM
    )
    return (spokesmen == clusters.GLOW).tolist()


def test_a_faint_band_around_a_bright_granule_is_its_glow():
    labels = squares((10, 10), size=20)
    labels[18:21, 18:21] = 2
    assert halos(labels, [SURE, SURE], [0.1, 1.0]) == [True, False]
    assert halos(labels, [SURE, SURE], [0.4, 1.0]) == [False, False]  # a lump with a denser granule
    assert halos(labels, [SURE, UNSURE], [0.1, 1.0]) == [False, False]


def test_a_faint_granule_beside_a_bright_one_is_no_glow():
    assert halos(squares((10, 10), (10, 15)), [SURE, SURE], [1.0, 0.1]) == [False, False]


def test_what_lies_apart_is_no_glow():
    labels = squares((10, 10), size=20)
    labels[50:53, 50:53] = 2
    assert halos(labels, [SURE, SURE], [0.1, 1.0]) == [False, False]
