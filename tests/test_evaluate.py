import numpy as np
import pytest
from small_scans import small_candidate

from calcidetect.evaluate import (
    Outcome,
    Truth,
    area_error,
    boundary_distances,
    case_weights,
    critical_scores,
    dice,
    estimate,
    froc,
    hit_table,
    hits,
    inside_any,
    mean_false_marks,
    sensitivity_at,
    share_above,
    share_found,
    share_right,
    wafroc,
)

NO_MARK = -np.inf


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


def test_a_centre_in_the_box_is_no_hit_of_a_box_that_is_far_too_large():
    assert hits([mark(60, 60, 160, 160)], [truth(100, 100, 120, 120)], pixel_mm=0.5).tolist() == [-1]


def test_marks_find_their_own_deposit_and_none_without_any():
    deposits = [truth(0, 0, 10, 10), truth(50, 50, 60, 60)]
    assert hits([mark(52, 52, 58, 58), mark(1, 1, 5, 5)], deposits, pixel_mm=1.0).tolist() == [1, 0]
    assert hits([mark(1, 1, 5, 5)], [], pixel_mm=1.0).tolist() == [-1]
    assert hits([], deposits, pixel_mm=1.0).shape == (0,)


def test_a_mark_between_two_deposits_hits_both():
    deposits = [truth(0, 0, 10, 10), truth(13, 0, 23, 10), truth(50, 0, 60, 10)]
    between = mark(9, 2, 14, 8)
    assert hit_table([between, mark(52, 2, 58, 8)], deposits, pixel_mm=1.0).tolist() == [
        [True, True, False],
        [False, False, True],
    ]
    assert hits([between], deposits, pixel_mm=1.0).tolist() == [0]
    assert hit_table([], deposits, pixel_mm=1.0).shape == (0, 3)
    assert hit_table([between], [], pixel_mm=1.0).shape == (1, 0)


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


# --- figures over draws of films --------------------------------------------------------------------------------------


def outcome(films, *, false=(), deposits=()):
    """Build an outcome of pairs (film, score)."""
    false = sorted(false, key=lambda pair: -pair[1])
    return Outcome(
        films=films,
        false_film=np.array([film for film, _ in false], int),
        false_score=np.array([score for _, score in false], float),
        deposit_film=np.array([film for film, _ in deposits], int),
        best=np.array([score for _, score in deposits], float),
    )


def once(films):
    return np.ones((1, films), int)


def test_outcome_wants_false_marks_by_falling_score():
    with pytest.raises(ValueError, match="falling score"):
        Outcome(
            films=1,
            false_film=np.array([0, 0]),
            false_score=np.array([0.1, 0.2]),
            deposit_film=np.array([], int),
            best=np.array([]),
        )


def test_sensitivity_by_hand():
    # the marks of test_froc_by_hand: two of four deposits are hit, at 0.9 and 0.6; false marks at 0.8 and 0.5
    result = outcome(2, false=[(0, 0.8), (1, 0.5)], deposits=[(0, 0.9), (0, 0.6), (1, NO_MARK), (1, NO_MARK)])
    critical = critical_scores(result, once(2), at=[0.25, 0.5, 8])
    assert critical.tolist() == [[0.8, 0.5, -np.inf]]
    assert share_above(result, once(2), critical).tolist() == [[0.25, 0.5, 0.5]]


def test_sensitivity_agrees_with_the_curve_also_for_ties():
    rng = np.random.default_rng(1)
    score, deposit = rng.integers(0, 30, 300) / 30, rng.integers(-9, 8, 300).clip(-1)
    best = [score[deposit == number].max(initial=NO_MARK) for number in range(8)]
    result = outcome(10, false=[(0, value) for value in score[deposit < 0]], deposits=[(0, value) for value in best])
    expected = sensitivity_at(*froc(score, deposit, deposits=8, films=10))
    assert share_above(result, once(10), critical_scores(result, once(10)))[0].tolist() == pytest.approx(expected)


def test_a_film_drawn_twice_counts_twice():
    result = outcome(2, false=[(0, 0.7)], deposits=[(0, 0.9), (1, 0.1)])
    weights = np.array([[2, 0], [0, 2]])
    critical = critical_scores(result, weights, at=[0.5])
    assert critical.tolist() == [[0.7], [-np.inf]]  # one false mark a film, or none
    assert share_above(result, weights, critical).tolist() == [[1], [1]]
    assert mean_false_marks(result, weights, least=0.7).tolist() == [1, 0]
    assert mean_false_marks(result, weights, least=0.71).tolist() == [0, 0]


def test_only_deposits_of_the_kind_asked_for_count():
    result = outcome(1, deposits=[(0, 0.9), (0, 0.1)])
    critical = np.array([[0.5]])
    assert share_above(result, once(1), critical, counted=np.array([True, False])).tolist() == [[1]]
    assert np.isnan(share_above(result, once(1), critical, counted=np.array([False, False]))).all()
    assert share_found(result, once(1), np.array([False, True])).tolist() == [0.5]
    assert share_found(result, once(1), np.array([False, True]), counted=np.array([False, True])).tolist() == [1]


def test_films_of_one_case_are_drawn_together():
    weights = case_weights(["b", "a", "b"], draws=50, seed=3)
    assert weights.shape == (51, 3)
    assert weights[0].tolist() == [1, 1, 1]
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[1:, 0] + weights[1:, 1] == 2).all()
    assert set(weights[1:, 0].tolist()) == {0, 1, 2}
    assert (weights == case_weights(["b", "a", "b"], draws=50, seed=3)).all()


def test_interval_is_that_of_a_share():
    # 50 of 100 films have their deposit found: 0.5 +- 1.96 sqrt(0.25 / 100)
    result = outcome(100, deposits=[(film, film % 2) for film in range(100)])
    weights = case_weights([str(film) for film in range(100)], draws=2000)
    interval = estimate(share_found(result, weights, result.best > 0))
    assert interval.value == 0.5
    assert interval.low == pytest.approx(0.402, abs=0.02)
    assert interval.high == pytest.approx(0.598, abs=0.02)


def test_interval_leaves_out_draws_without_a_figure():
    assert estimate([0.5, np.nan, 0.25, 0.25]).low == 0.25
    assert estimate([0.5, np.nan]).high is None
    assert estimate([np.nan, 0.5]).value is None


def test_wafroc_by_hand():
    # Film 0 has two deposits, one marked at 0.9, one missed; its false mark doesn't count. Film 1 has a false mark at
    # 0.5, film 2 none. 0.9 beats both: 1. The missed one loses to film 1 and ties with film 2: 1/4. Mean 5/8.
    result = outcome(3, false=[(0, 0.95), (1, 0.5), (1, 0.2)], deposits=[(0, 0.9), (0, NO_MARK)])
    assert wafroc(result, once(3)).tolist() == [0.625]


def test_wafroc_weighs_films_equally():
    # as above, and film 3 with one deposit at 0.4, that beats film 2 alone: (5/8 + 1/2) / 2
    result = outcome(4, false=[(1, 0.5)], deposits=[(0, 0.9), (0, NO_MARK), (3, 0.4)])
    assert wafroc(result, once(4)).tolist() == [0.5625]


def test_wafroc_of_a_draw():
    result = outcome(3, false=[(1, 0.5)], deposits=[(0, 0.4)])
    draws = np.array([[1, 2, 0], [1, 0, 2], [1, 1, 1], [0, 2, 1], [3, 0, 0]])
    assert wafroc(result, draws).tolist()[:3] == [0, 1, 0.5]
    assert np.isnan(wafroc(result, draws)[3:]).all()  # no deposit, no lesion-free film


def test_wafroc_without_lesion_free_films_takes_false_marks_of_all():
    # 0.9 beats the false marks at 0.95 never and at 0.5 always; 0.4 beats neither
    result = outcome(2, false=[(0, 0.95), (1, 0.5)], deposits=[(0, 0.9), (1, 0.4)])
    assert wafroc(result, once(2)).tolist() == [0.25]


# --- agreement --------------------------------------------------------------------------------------------------------


def square(size, start, stop, *, columns=None):
    mask = np.zeros((size, size), bool)
    mask[start:stop, slice(*(columns or (start, stop)))] = True
    return mask


def annotated(bone, unknown=None):
    truth = np.where(bone, 2, 1).astype(np.uint8)
    if unknown is not None:
        truth[unknown] = 0
    return truth


def test_dice_of_two_squares():
    truth = annotated(square(30, 10, 20))
    assert dice(square(30, 10, 20, columns=(15, 25)), truth) == 0.5  # 2 x 50 / (100 + 100)
    assert dice(truth == 2, truth) == 1.0
    assert dice(truth == 0, truth) == 0.0
    assert np.isnan(dice(truth == 0, annotated(truth == 0)))


def test_dice_leaves_unknown_pixels_out():
    truth = annotated(square(30, 10, 20), unknown=square(30, 0, 30, columns=(20, 30)))
    assert dice(square(30, 10, 20, columns=(15, 25)), truth) == pytest.approx(2 * 50 / (100 + 50))


def test_distance_of_two_straight_edges():
    truth, found = annotated(square(40, 0, 40, columns=(0, 10))), square(40, 0, 40, columns=(0, 13))
    distances = boundary_distances(found, truth, pixel_mm=0.5)
    assert distances.mean_mm == distances.hausdorff95_mm == 1.5


def test_distance_of_two_squares():
    # From the 76 pixels around the inner square it is 2 everywhere; of the 92 around the outer one 80 lie beside a
    # side, and at each corner one is sqrt(8) away and two are sqrt(5).
    truth, found = annotated(square(60, 20, 40)), square(60, 18, 42)
    distances = boundary_distances(found, truth, pixel_mm=1.0)
    assert distances.mean_mm == pytest.approx((156 * 2 + 4 * (8**0.5 + 2 * 5**0.5)) / 168, abs=1e-3)
    assert distances.hausdorff95_mm == pytest.approx(5**0.5, abs=1e-3)  # 4.3 % of 92 are farther than that


def test_an_edge_in_a_band_of_unknown_pixels_runs_midway():
    truth = annotated(square(40, 0, 40, columns=(0, 20)), unknown=square(40, 0, 40, columns=(18, 22)))
    distances = boundary_distances(square(40, 0, 40, columns=(0, 20)), truth, pixel_mm=0.5)
    assert distances.mean_mm == 0.0


def test_edges_that_nobody_drew_are_not_judged():
    truth = annotated(square(80, 0, 80, columns=(0, 20)))
    found = square(80, 0, 80, columns=(0, 20))
    truth[:, 40:], found[:, 60:70] = 0, True
    assert boundary_distances(found, truth, pixel_mm=1.0).hausdorff95_mm == 0.0
    truth[:, 40:] = 1
    assert boundary_distances(found, truth, pixel_mm=1.0).hausdorff95_mm == 50.0  # from column 69 to column 19


def test_without_an_outline_there_is_no_distance():
    bone = square(30, 10, 20)
    assert boundary_distances(~bone & bone, annotated(bone), pixel_mm=1.0) is None
    assert boundary_distances(bone, annotated(bone & ~bone), pixel_mm=1.0) is None


def test_points_off_the_film_do_not_count():
    found = square(30, 10, 20)
    points = [(12, 15), (15, 12), (5, 5), (40, 5), (-1, 5)]
    assert share_right(found, points, bone=True) == (2, 3)
    assert share_right(found, points, bone=False) == (1, 3)
    assert share_right(found, [], bone=True) == (0, 0)


def test_area_error_is_relative():
    assert area_error([50, 100, 300], [100, 100, 100]).tolist() == [-0.5, 0, 2]
