import numpy as np
import pytest

from calcidetect.deposits import MORPHOLOGIES, deposit
from calcidetect.simulate import insert_deposits


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
