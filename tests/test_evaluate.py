import numpy as np
import pytest
from small_scans import small_candidate

from calcidetect.evaluate import Truth, froc, hits, inside_any, sensitivity_at


def mark(x0, y0, x1, y1):
    return small_candidate(x0=x0, y0=y0, x1=x1, y1=y1, col=(x0 + x1) / 2, row=(y0 + y1) / 2)


def truth(x0, y0, x1, y1):
    return Truth(box=(x0, y0, x1, y1), row=(y0 + y1) / 2, col=(x0 + x1) / 2)


def test_a_centre_within_two_mm_of_the_box_hits():
    deposit = truth(100, 100, 120, 120)  # 0.5 mm pixels: the margin is 4
    assert hits([mark(121, 105, 126, 110)], [deposit], pixel_mm=0.5).tolist() == [0]
    assert hits([mark(124, 105, 129, 110)], [deposit], pixel_mm=0.5).tolist() == [-1]


def test_a_box_that_covers_the_centre_hits_unless_it_is_far_too_large():
    deposit = truth(100, 100, 120, 120)
    assert hits([mark(105, 105, 144, 144)], [deposit], pixel_mm=0.5).tolist() == [0]
    assert hits([mark(0, 0, 220, 220)], [deposit], pixel_mm=0.5).tolist() == [-1]


def test_marks_find_their_own_deposit_and_none_without_any():
    deposits = [truth(0, 0, 10, 10), truth(50, 50, 60, 60)]
    assert hits([mark(52, 52, 58, 58), mark(1, 1, 5, 5)], deposits, pixel_mm=1.0).tolist() == [1, 0]
    assert hits([mark(1, 1, 5, 5)], [], pixel_mm=1.0).tolist() == [-1]
    assert hits([], deposits, pixel_mm=1.0).shape == (0,)


def test_ignored_places():
    assert inside_any([mark(1, 1, 5, 5), mark(50, 1, 55, 5)], [(0, 0, 4, 4)], margin=1).tolist() == [True, False]


def test_froc_by_hand():
    # by falling score: hit of deposit 0, false, hit of 0 again (counts once), hit of 1, false
    score, deposit = [0.9, 0.8, 0.7, 0.6, 0.5], [0, -1, 0, 1, -1]
    false_marks, sensitivity = froc(score, deposit, deposits=4, films=2)
    assert false_marks.tolist() == [0, 0.5, 0.5, 0.5, 1.0]
    assert sensitivity.tolist() == [0.25, 0.25, 0.25, 0.5, 0.5]
    assert sensitivity_at(false_marks, sensitivity, [0.25, 0.5, 8]).tolist() == [0.25, 0.5, 0.5]


def test_tied_scores_are_one_threshold():
    false_marks, sensitivity = froc([0.5, 0.5], [0, -1], deposits=1, films=1)
    assert false_marks.tolist() == [1.0]
    assert sensitivity.tolist() == [1.0]


def test_no_marks_at_all():
    assert sensitivity_at(*froc([], [], deposits=3, films=3)).tolist() == [0] * 7


def test_froc_does_not_depend_on_the_order_of_marks():
    rng = np.random.default_rng(0)
    score, deposit = rng.random(50), rng.integers(-1, 5, 50)
    order = rng.permutation(50)
    one, other = (froc(score[i], deposit[i], deposits=6, films=3) for i in (slice(None), order))
    assert one[1].tolist() == pytest.approx(other[1].tolist())
