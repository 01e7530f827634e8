import numpy as np
import pytest

from calcidetect import ops
from calcidetect.evaluate import dice

SHAPE = (70, 110)


@pytest.fixture
def shapes(script):
    return script("clavicle_shape")


def bar(turn=0.2, length=70, thick=12, row=35, col=50):
    """A straight bar, as a clavicle is nearly, blunt at the left end."""
    rows, cols = np.indices(SHAPE)
    u = (rows - row) * np.sin(turn) + (cols - col) * np.cos(turn)
    v = (rows - row) * np.cos(turn) - (cols - col) * np.sin(turn)
    return (abs(u) < length / 2) & (abs(v) < thick / 2 * (1 - 0.3 * u / length))


def overlap(found, truth):
    return dice(found, 1 + truth.astype(np.uint8))


@pytest.mark.parametrize("turn", [-0.3, 0.0, 0.5])
def test_an_outline_draws_the_mask_that_it_was_taken_from(shapes, turn):
    assert overlap(shapes.drawn(shapes.outline_of(bar(turn)), SHAPE), bar(turn)) > 0.93


def test_the_fitted_outline_bridges_what_the_map_misses(shapes):
    rng = np.random.default_rng(0)
    many = [bar(*rng.normal((0.2, 70, 12), (0.1, 5, 1)), *rng.normal((35, 50), 3)) for _ in range(30)]
    usual = shapes.usual_shapes([shapes.outline_of(mask) for mask in many])
    truth = bar(0.25, 72, 12, 37, 52)
    chance = np.where(truth, 0.85, 0.1).astype(np.float32)
    chance[:, 40:55] = 0.3  # nothing sure in the middle
    chance[5:20, 80:100] = 0.9  # another bone
    threshold = overlap(chance > 0.5, truth)
    assert overlap(shapes.drawn(shapes.fitted(chance, usual), SHAPE), truth) > max(0.85, threshold + 0.1)


def test_lungs_give_apexes_and_middle_and_the_trachea_none(script):
    lung = np.zeros((200, 200), np.float32)
    lung[60:160, 30:80] = lung[50:150, 120:170] = 1
    lung[5:60, 95:105] = 1  # the trachea
    apexes, middle, width = script("clavicle_sides").lung_frame(lung, 1.6)
    assert apexes == pytest.approx([60, 50], abs=4)
    assert middle == pytest.approx(100, abs=2)
    assert width == pytest.approx(140, abs=4)


def test_a_window_turns_the_right_side_over_and_goes_beyond_the_film(script):
    clavicles = script("clavicle_sides")
    film = np.arange(300 * 400).reshape(300, 400)
    window = clavicles.Window(mirrored=True, top=-3, left=10)
    seen = window.of(film)
    assert seen[3, 0] == film[0, 389]
    assert (seen[:3] == seen[3]).all()
    assert window.of(np.kron(film, np.ones((2, 2), int)), 2).shape == (2 * seen.shape[0], 2 * seen.shape[1])


def side(clavicles, number, rng):
    """A bar in noise, brighter than what is around, and one on the other side of the window that is none."""
    truth = bar(*rng.normal((0.2, 70, 12), (0.1, 4, 1)))
    level = ops.gaussian(truth + 0.3 * rng.standard_normal(SHAPE).astype(np.float32), 1.0)
    level[5:12, 10:40] = 1
    down = np.indices(SHAPE, np.float32)[0]
    fine = np.kron(truth, np.ones((2, 2), bool))
    blurred = [ops.gaussian(level, sigma) for sigma in (2.0, 4.0, 8.0)]  # a table may choose from two fifths of them
    planes = np.stack([level, down, *blurred]).astype(np.float16)
    return clavicles.Side(
        film=f"film {number // 2}", names=("level", "down", "2", "4", "8"), planes=planes, truth=fine, bone=fine, lost=0
    )


def test_bars_of_films_left_out_are_found(script, monkeypatch):
    pytest.importorskip("catboost", reason="the extra 'fit' is not installed")
    clavicles = script("clavicles")
    monkeypatch.setattr(clavicles, "ROUNDS", 20)
    rng = np.random.default_rng(0)
    sides = [side(clavicles, number, rng) for number in range(16)]
    masks, guesses, find = clavicles.fit_folds(sides)
    assert len(guesses) == 16
    told = clavicles.told(clavicles.figures(sides, masks))
    assert len(told["films"]) == 8
    assert told["worst"] > 0.85
    assert told["low"] <= told["mean"] <= told["high"]
    unseen = side(clavicles, 99, rng)
    assert overlap(find(unseen), unseen.truth) > 0.85


def test_pixels_outside_the_window_count_as_missed(script):
    pytest.importorskip("catboost", reason="the extra 'fit' is not installed")
    clavicles = script("clavicles")
    whole = side(clavicles, 0, np.random.default_rng(0))
    lost = clavicles.Side(
        film="film 0",
        names=whole.names,
        planes=whole.planes,
        truth=whole.truth,
        bone=whole.bone,
        lost=int(whole.truth.sum()),
    )
    assert clavicles.figures([whole], [whole.truth]) == {"film 0": 1}
    assert clavicles.figures([lost], [lost.truth])["film 0"] == pytest.approx(2 / 3)
