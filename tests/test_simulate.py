import numpy as np
import pytest

from calcidetect import ops
from calcidetect.simulation.deposits import MORPHOLOGIES, SMOOTH, deposit
from calcidetect.simulation.simulate import (
    CONTRAST_STEPS,
    STEPS_PER_MM,
    dark_level,
    insert_deposits,
    linear_signal,
    log_signal,
)


def inserted(seed=0, count=4, pixels=None):
    pixels = np.full((400, 400), 100, np.float32) if pixels is None else pixels
    pixels[0, 0] = 1000  # leaves room above
    allowed = np.zeros(pixels.shape, bool)
    allowed[20:380, 20:380] = True
    film, truth, deposits = insert_deposits(
        pixels, allowed, count=count, bone_step=10.0, pixel_mm=0.2, rng=np.random.default_rng(seed)
    )
    return pixels, film, truth, deposits, allowed


@pytest.mark.parametrize("morphology", sorted(MORPHOLOGIES))
def test_every_deposit_is_uneven_and_ends_before_its_border(morphology):
    shape = deposit(morphology, diameter_mm=10, pixel_mm=0.2, blur_mm=0.2, rng=np.random.default_rng(3))
    border = np.concatenate([shape[0], shape[-1], shape[:, 0], shape[:, -1]])
    assert border.max() < 0.1
    inside = shape[shape > 0.5]
    assert inside.std() > 0.05, "a flat disc is no deposit"
    assert 0.9 < np.percentile(shape[shape > 0.02 * shape.max()], 95) < 1.1


@pytest.mark.parametrize("morphology", sorted(MORPHOLOGIES))
def test_no_deposit_is_its_own_mirror_image(morphology):
    shape = deposit(morphology, diameter_mm=10, pixel_mm=0.2, blur_mm=0.2, rng=np.random.default_rng(4))
    assert np.corrcoef(shape.ravel(), shape[:, ::-1].ravel())[0, 1] < 0.99


def test_small_deposits_on_coarse_pixels_exist():
    shape = deposit("nodular", diameter_mm=1.5, pixel_mm=0.7, blur_mm=0.2, rng=np.random.default_rng(0))
    assert shape.max() > 0.5


def test_deposits_add_and_stay_where_they_may():
    before, after, truth, deposits, allowed = inserted()
    assert len(deposits) == 4
    assert (after >= before - 1e-3).all()
    assert allowed[truth > 0].all()


def test_truth_boxes_and_centres_describe_the_truth_labels():
    _, _, truth, deposits, _ = inserted()
    for item in deposits:
        rows, cols = np.nonzero(truth == item.id)
        assert item.box == (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
        assert item.row == pytest.approx(rows.mean())
        assert item.area_px == len(rows)


def test_contrast_is_in_bone_steps():
    before, after, truth, deposits, _ = inserted(seed=1, count=1)
    added = (after - before)[truth == 1]
    assert np.percentile(added, 90) / 10.0 == pytest.approx(deposits[0].contrast, rel=0.35)


def test_one_seed_gives_one_film():
    assert np.array_equal(inserted(seed=5)[1], inserted(seed=5)[1])
    assert not np.array_equal(inserted(seed=5)[1], inserted(seed=6)[1])


def test_no_room_means_no_deposits():
    pixels = np.zeros((50, 50), np.float32)
    film, truth, deposits = insert_deposits(
        pixels, np.zeros((50, 50), bool), count=3, bone_step=1.0, pixel_mm=0.4, rng=np.random.default_rng(0)
    )
    assert deposits == ()
    assert not truth.any()
    assert np.array_equal(film, pixels)


def test_nothing_changes_far_from_deposits_and_every_deposit_shows():
    before, after, truth, deposits, _ = inserted()
    near = np.zeros(truth.shape, bool)
    for item in deposits:
        x0, y0, x1, y1 = item.box
        reach = max(y1 - y0, x1 - x0)
        near[max(0, y0 - reach) : y1 + reach, max(0, x0 - reach) : x1 + reach] = True
    assert np.array_equal(after[~near], before[~near])
    assert (after[truth > 0] > before[truth > 0]).all()


@pytest.mark.parametrize("morphology", sorted(MORPHOLOGIES))
def test_deposits_are_as_wide_as_was_asked_for(morphology):
    widths = []
    for seed in range(7):
        shape = deposit(morphology, diameter_mm=12, pixel_mm=0.2, blur_mm=0.2, rng=np.random.default_rng(seed))
        rows, cols = np.nonzero(shape > 0.1)
        widths.append(max(np.ptp(rows), np.ptp(cols)) * 0.2)
    assert np.median(widths) == pytest.approx(12, rel=0.12)


def test_a_sheet_is_lace_and_a_nodule_is_not():
    def filled(morphology, seed):
        shape = deposit(morphology, diameter_mm=15, pixel_mm=0.2, blur_mm=0.2, rng=np.random.default_rng(seed))
        rows, cols = np.nonzero(shape > 0.25)
        return len(rows) / (np.ptp(rows) * np.ptp(cols))

    sheets, nodules = ([filled(kind, seed) for seed in range(8)] for kind in ("sheet", "nodular"))
    assert np.median(sheets) < 0.45 < np.median(nodules)


def test_smooth_kinds_have_less_grit_than_a_tumoral_mass():
    def grit(morphology, seed):
        shape = deposit(morphology, diameter_mm=15, pixel_mm=0.2, blur_mm=0.2, rng=np.random.default_rng(seed))
        return (shape - ops.gaussian(shape, 3.0))[shape > 0.5].std()

    smooth, lobed = ([grit(kind, seed) for kind in kinds for seed in range(8)] for kinds in (SMOOTH, ["tumoral"]))
    assert np.median(smooth) < 0.5 * np.median(lobed)


def test_dense_deposits_near_the_top_keep_their_texture():
    pixels = np.full((400, 400), 98, np.float32)
    pixels[0, 0] = 100
    allowed = np.ones(pixels.shape, bool)
    after, truth, deposits = insert_deposits(
        pixels, allowed, count=6, bone_step=10, pixel_mm=0.2, rng=np.random.default_rng(2)
    )
    assert after.max() <= 100
    for item in deposits:
        assert len(np.unique(after[truth == item.id])) > 0.8 * item.area_px, "a flat disc is no deposit"


def test_contrast_says_what_the_film_shows_and_not_what_was_cut_off_at_its_top():
    def deposits_at(level):
        pixels = np.full((400, 400), level, np.float32)
        pixels[0, :2] = 0, 100
        allowed = np.ones(pixels.shape, bool)
        return insert_deposits(pixels, allowed, count=3, bone_step=10, pixel_mm=0.2, rng=np.random.default_rng(7))[2]

    low, high = deposits_at(40), deposits_at(97)
    assert [item.box for item in low] == [item.box for item in high]
    assert all(bright.contrast < 0.8 * dark.contrast for dark, bright in zip(low, high, strict=True))


def test_contrast_keeps_within_what_so_much_mineral_can_show():
    for seed in range(12):
        for item in inserted(seed=seed)[3]:
            assert CONTRAST_STEPS[0] * 0.95 <= item.contrast <= CONTRAST_STEPS[1] + 1e-6
            # the extent measured where thickness falls to a quarter is up to 40 % less than the drawn one
            assert item.contrast <= STEPS_PER_MM * item.diameter_mm * 1.7


def test_grain_of_the_film_stays_on_its_deposits_and_grows_a_little():
    grain = np.random.default_rng(0).normal(100, 1, (400, 400)).astype(np.float32)
    _, after, truth, _, _ = inserted(seed=1, count=6, pixels=grain.copy())
    _, smooth, same, _, _ = inserted(seed=1, count=6)
    assert np.array_equal(truth, same)
    own = (after - smooth)[truth > 0]  # what of the film with grain is not the deposit
    assert 1.0 < own.std() < 1.6


def test_deposits_multiply_the_exposure_of_a_linear_film():
    exposure = np.linspace(200, 3000, 400 * 400, dtype=np.float32).reshape(400, 400)
    dark = dark_level(4095 - exposure, bits=12)
    signal = log_signal(4095 - exposure, dark)
    after, truth, _ = insert_deposits(
        signal, np.ones(signal.shape, bool), count=4, bone_step=0.5, pixel_mm=0.2, rng=np.random.default_rng(0)
    )
    added = after - signal
    left = (dark - linear_signal(after, dark)) / (dark - 4095 + exposure)
    np.testing.assert_allclose(left[truth > 0], np.exp(-added[truth > 0]), rtol=1e-4)
    assert (left[truth > 0] < 1).all()


@pytest.mark.parametrize("lowest", [0, -500])
def test_linear_signal_is_the_way_back(lowest):
    film = np.linspace(lowest, 4095, 500, dtype=np.float32).reshape(20, 25)
    dark = dark_level(film, bits=12)
    signal = log_signal(film, dark)
    assert (np.diff(signal.ravel()) > 0).all()
    np.testing.assert_allclose(linear_signal(signal, dark), film, atol=0.01)
