"""Synthetic films: physics by hand, truth that matches the pixels, files that read back."""

import json

import numpy as np
import pydicom
import pytest
from imagecodecs import jpegls_decode, png_decode
from pydicom.encaps import get_frame

from calcidetect.errors import ConfigError, OutputError
from calcidetect.phantom import KINDS, Deposit, make_phantom, samples
from calcidetect.phantom.bones import BoneTissue, flat_bone, inflate, long_bone, trabecular_tile
from calcidetect.phantom.lumps import MORPHOLOGY_SHARES, Lump, Site, place_lumps, record_truth
from calcidetect.phantom.shapes import Canvas, add_up, bone_mask, power_noise, rod
from calcidetect.simulation import physics
from calcidetect.simulation.deposits import MORPHOLOGIES, SMOOTH
from calcidetect.types import LABELS

COARSE_MM = 0.6


@pytest.fixture(scope="module", params=sorted(KINDS))
def film(request):
    return make_phantom(request.param, seed=5, spacing_mm=COARSE_MM)


@pytest.fixture(scope="module")
def wrists():
    return make_phantom("wrists", seed=5, spacing_mm=COARSE_MM)


# ---------------------------------------------------------------------------------------------------- physics


def test_ten_mm_of_muscle_at_the_wrist_follow_beer_and_lambert():
    maps = {"muscle": np.full((2, 2), 10.0, np.float32)}
    expected = 0.322 * 1.06 * 1.0  # cm2/g * g/cm3 * cm
    assert physics.attenuate(maps, physics.BEAMS["wrists"]) == pytest.approx(np.full((2, 2), expected), rel=1e-5)


@pytest.mark.parametrize("kind", sorted(physics.BEAMS))
def test_mineral_outweighs_bone_outweighs_muscle_outweighs_fat(kind):
    order = [physics.BEAMS[kind].attenuation(material) for material in ("apatite", "bone", "muscle", "fat")]
    assert order == sorted(order, reverse=True)


def test_the_same_deposit_shows_less_on_a_chest_film():
    extra = {k: b.attenuation("apatite") - b.attenuation("muscle") for k, b in physics.BEAMS.items()}
    assert extra["wrists"] > 2.5 * extra["chest"]


def test_scatter_dilutes_contrast_by_its_share():
    attenuation = np.full((200, 200), 1.0, np.float32)
    attenuation[95:105, 95:105] += 0.1
    beam = physics.BEAMS["wrists"]
    total = physics.add_scatter(np.exp(-attenuation), attenuation > 0, beam=beam, spacing_mm=1.0)
    contrast = np.log(total[50, 100] / total[100, 100])
    # 0.1 / (1 + S/P), a little less as the primary of the spot itself is lower
    assert contrast == pytest.approx(0.1 / (1 + beam.scatter_ratio), rel=0.06)


def test_twice_the_dose_lowers_noise_by_root_two():
    flat = np.full((128, 128), 1.0, np.float32)
    noise = [
        physics.expose(
            flat, beam=physics.BEAMS["wrists"], spacing_mm=0.2, dose_ugy=dose, rng=np.random.default_rng(1)
        ).std()
        for dose in (2.5, 5.0)
    ]
    assert noise[0] == pytest.approx(0.0235, rel=0.05)  # 2.35 % for 0.2 mm pixels at 2.5 uGy
    assert noise[0] / noise[1] == pytest.approx(np.sqrt(2), rel=0.02)


# ---------------------------------------------------------------------------------------------------- shapes


def test_a_disc_inflates_to_a_ball():
    rows, cols = np.mgrid[-60:61, -60:61]
    disc = np.hypot(rows, cols) < 50
    half_depth = inflate(disc, 0.1)
    assert half_depth[60, 60] == pytest.approx(5.0, rel=0.03)
    assert half_depth[60, 90] == pytest.approx(4.0, rel=0.05)  # 3-4-5
    assert not half_depth[~disc].any()


def test_a_rod_is_as_deep_as_it_is_wide():
    canvas = Canvas(shape=(80, 160), spacing_mm=0.25)
    maps = add_up([rod(canvas, [(10, 5), (10, 35)], half_width=4.0, add={"muscle": 1.0}, stride=1)], canvas)
    assert maps["muscle"][40, 80] == pytest.approx(8.0, rel=0.01)
    assert maps["muscle"][52, 80] == pytest.approx(2 * np.sqrt(16 - 9), rel=0.06)
    assert maps["muscle"][60, 80] == 0


def test_a_hairpin_leaves_no_trace_between_its_arms():
    canvas = Canvas(shape=(200, 200), spacing_mm=0.25)
    axis = [(10, 5), (10, 30), (25, 42), (40, 30), (40, 5)]
    maps = add_up([rod(canvas, axis, half_width=3.0, add={"bone": 1.0})], canvas)
    assert maps["bone"][:80].max() > 5
    assert not maps["bone"][88:112, :100].any()  # 22 to 28 mm down, midway between the arms at 10 and 40


def test_a_long_bone_shows_two_cortices_and_displaces_its_own_volume():
    canvas = Canvas(shape=(80, 200), spacing_mm=0.25)
    tissue = BoneTissue(cortex_mm=1.5, trabecular=0.1, texture=0.0)
    bone = long_bone(
        canvas, [(10, 2), (10, 48)], half_width=((0, 6), (1, 6)), tissue=tissue, tile=np.zeros((8, 8), np.float32)
    )
    maps = add_up([bone], canvas)
    profile = maps["bone"][:, 100]
    assert profile[40] == pytest.approx(2 * 1.5 + 0.1 * 9.0, rel=0.03)
    assert profile.argmax() != 40
    assert profile.max() > 1.6 * profile[40]
    assert np.abs(maps["bone"] + maps["fat"] + maps["muscle"]).max() < 1e-4


def test_a_bone_partly_off_the_canvas_is_the_same_bone():
    outline = [(5, 5), (5, 15), (15, 17), (16, 4)]
    tile = trabecular_tile(np.random.default_rng(0), size=64)
    whole = Canvas(shape=(80, 80), spacing_mm=0.25)
    part = Canvas(shape=(40, 80), spacing_mm=0.25, origin_mm=(10.0, 0.0))
    seen = [add_up([flat_bone(c, outline, tissue=BoneTissue(), tile=tile)], c)["bone"] for c in (whole, part)]
    np.testing.assert_allclose(seen[0][40:], seen[1], atol=1e-4)


def test_a_shape_off_the_canvas_leaves_no_trace():
    canvas = Canvas(shape=(20, 20), spacing_mm=1.0)
    patch = rod(canvas, [(100, 100), (120, 100)], half_width=3.0, add={"bone": 1.0})
    assert not add_up([patch], canvas)["bone"].any()
    assert not bone_mask([patch], canvas).any()


def test_clutter_has_the_spectrum_asked_for():
    noise = power_noise((256, 256), beta=2.8, rng=np.random.default_rng(0))
    power = np.abs(np.fft.rfft2(noise)) ** 2
    radius = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None, :])
    band = (radius > 0.02) & (radius < 0.4)
    slope = np.polyfit(np.log(radius[band]), np.log(power[band]), 1)[0]
    assert slope == pytest.approx(-2.8, abs=0.1)


# ---------------------------------------------------------------------------------------------------- deposits


def _place(bone, *, count=8, seed=3):
    canvas = Canvas(shape=bone.shape, spacing_mm=0.25)
    site = Site(at=(20.0, 20.0), jitter_mm=9.0, max_size_mm=7.0)
    lumps = place_lumps(
        canvas,
        sites=[site],
        count=count,
        allowed=np.ones(bone.shape, bool),
        bone=bone,
        mineral_mm=2.0,
        contrast=(0.5, 1.5),
        rng=np.random.default_rng(seed),
    )
    return canvas, lumps


def test_deposits_keep_clear_of_bone_and_of_each_other():
    bone = np.zeros((160, 160), bool)
    bone[:, 80:] = True
    canvas, lumps = _place(bone)
    beam = physics.BEAMS["wrists"]
    records, labels = record_truth(lumps, canvas, beam=beam, bone_step=1.0)
    assert len(records) > 2
    for record in records:
        # blur moves an edge by a pixel, so a little more than the 35 % that placing allows
        assert bone[labels == record.id].mean() < 0.45


def test_no_room_means_no_deposits():
    assert _place(np.ones((160, 160), bool))[1] == []


def test_recorded_contrast_is_that_of_the_mineral_laid_down():
    canvas = Canvas(shape=(60, 60), spacing_mm=0.2)
    disc = rod(canvas, [(6, 2), (6, 10)], half_width=2.0, add={"apatite": 1.0, "muscle": -1.0}, stride=1)
    beam = physics.BEAMS["wrists"]
    lump = Lump(morphology="linear", label="calcification", patches=(disc,))
    (record,), labels = record_truth([lump], canvas, beam=beam, bone_step=0.5)
    gain = beam.attenuation("apatite") - beam.attenuation("muscle")
    assert record.contrast_bone == pytest.approx(4.0 * gain / 0.5, rel=0.02)
    assert (record.row, record.col) == pytest.approx((29.5, 29.5), abs=0.6)  # 6 mm of 0.2 mm pixels
    assert labels[29, 29] == 1


def test_every_morphology_of_the_design_is_drawn():
    assert set(MORPHOLOGY_SHARES) == set(MORPHOLOGIES) - SMOOTH
    assert sum(MORPHOLOGY_SHARES.values()) == pytest.approx(1.0)


# ---------------------------------------------------------------------------------------------------- films


def test_a_seed_decides_every_pixel(wrists):
    again = make_phantom("wrists", seed=5, spacing_mm=COARSE_MM)
    np.testing.assert_array_equal(again.pixels, wrists.pixels)
    assert again.deposits == wrists.deposits


def test_another_seed_is_another_patient(wrists):
    other = make_phantom("wrists", seed=6, spacing_mm=COARSE_MM)
    assert (other.bone != wrists.bone).mean() > 0.02


def test_pixels_are_twelve_bits_with_bone_bright(film):
    assert film.pixels.dtype == np.uint16
    assert film.pixels.max() <= 4095
    assert np.median(film.pixels[film.bone]) > np.median(film.pixels[~film.bone])


def test_size_follows_the_spacing(film):
    expected = tuple(round(size / COARSE_MM) for size in KINDS[film.kind].size_mm)
    assert film.pixels.shape == film.bone.shape == film.truth_labels.shape == expected


def test_boxes_centres_and_areas_are_those_of_the_labels(film):
    for deposit in film.deposits:
        rows, cols = np.nonzero(film.truth_labels == deposit.id)
        assert deposit.label in LABELS
        assert (deposit.x0 <= cols.min()) & (cols.max() < deposit.x1)
        assert (deposit.y0 <= rows.min()) & (rows.max() < deposit.y1)
        assert deposit.area_px >= rows.size  # a mimic may cover a part of another's pixels
        assert deposit.y0 <= deposit.row < deposit.y1


def test_deposits_lie_mostly_off_bone(film):
    for deposit in film.deposits:
        if deposit.label == "calcification":
            assert film.bone[film.truth_labels == deposit.id].mean() < 0.5


def test_the_chest_has_deposits_on_both_sides_and_a_calcified_trachea():
    chest = make_phantom("chest", seed=5, spacing_mm=COARSE_MM)
    middle = chest.pixels.shape[1] / 2
    sides = [deposit.col < middle for deposit in chest.deposits if deposit.label == "calcification"]
    assert sum(sides) >= 3
    assert len(sides) - sum(sides) >= 3
    (trachea,) = (deposit for deposit in chest.deposits if deposit.label == "tracheal")
    assert abs(trachea.col - middle) * COARSE_MM < 15


def test_without_deposits_only_mimics_remain_and_the_rest_is_the_same_patient(wrists):
    clean = make_phantom("wrists", seed=5, spacing_mm=COARSE_MM, deposits=False)
    assert {deposit.label for deposit in clean.deposits} == {"sesamoid"}
    np.testing.assert_array_equal(clean.bone, wrists.bone)
    calcified = np.isin(wrists.truth_labels, [d.id for d in wrists.deposits if d.label == "calcification"])
    brighter = wrists.pixels[calcified].astype(int) - clean.pixels[calcified]
    assert np.median(brighter) > 30


def test_a_deposits_brightness_grows_with_its_recorded_contrast(wrists):
    clean = make_phantom("wrists", seed=5, spacing_mm=COARSE_MM, deposits=False)
    change = wrists.pixels.astype(float) - clean.pixels
    for deposit in wrists.deposits:
        if deposit.label == "calcification":
            peak = np.percentile(change[wrists.truth_labels == deposit.id], 95)
            step = np.median(clean.pixels[clean.bone]) - np.median(clean.pixels[~clean.bone])
            assert 0.1 * deposit.contrast_bone < peak / step < 2.0 * deposit.contrast_bone


def test_arrays_of_a_phantom_are_read_only(wrists):
    with pytest.raises(ValueError, match="read-only"):
        wrists.pixels[0, 0] = 0


@pytest.mark.parametrize(("kind", "spacing"), [("knee", None), ("chest", 0.0), ("chest", 9.0)])
def test_impossible_orders_are_refused(kind, spacing):
    with pytest.raises(ValueError, match="must"):
        make_phantom(kind, seed=0, spacing_mm=spacing)


def test_a_label_outside_the_closed_set_is_refused():
    with pytest.raises(ValueError, match="label must be one of"):
        Deposit(
            id=1, morphology="nodular", label="stone", x0=0, y0=0, x1=1, y1=1, row=0, col=0, area_px=1, contrast_bone=1
        )


# ---------------------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def sample_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "SAMPLE_SPACING_MM", dict.fromkeys(KINDS, COARSE_MM))
        samples.write_samples(folder, kinds=tuple(KINDS), seed=5, bone_masks=True)
    return folder


def test_a_chest_file_is_a_dx_image_with_detector_spacing(sample_folder):
    data = pydicom.dcmread(sample_folder / "chest_01.dcm")
    assert (data.Modality, data.PhotometricInterpretation) == ("DX", "MONOCHROME2")
    assert data.SOPClassUID.name == "Digital X-Ray Image Storage - For Presentation"
    assert list(data.ImagerPixelSpacing) == [COARSE_MM, COARSE_MM]
    assert "PixelSpacing" not in data


def test_a_shoulder_file_is_cr_and_stored_the_other_way_round(sample_folder):
    data = pydicom.dcmread(sample_folder / "shoulder_01.dcm")
    assert (data.Modality, data.PhotometricInterpretation, data.Laterality) == ("CR", "MONOCHROME1", "R")
    stored = jpegls_decode(get_frame(data.PixelData, 0, number_of_frames=1))
    film = make_phantom("shoulder", seed=5, spacing_mm=COARSE_MM)
    np.testing.assert_array_equal(4095 - stored, film.pixels)


def test_the_wrists_are_a_picture_of_eight_bits(sample_folder):
    picture = png_decode((sample_folder / "wrists_01.png").read_bytes())
    bone = png_decode((sample_folder / "wrists_01.bone.png").read_bytes()) > 0
    assert picture.dtype == np.uint8
    assert picture[bone].mean() > picture[~bone].mean() + 20


def test_truth_files_name_their_film_and_its_deposits(sample_folder):
    told = json.loads((sample_folder / "shoulder_01.truth.json").read_text())
    assert told["film"] == "shoulder_01.dcm"
    assert told["spacing_mm"] == COARSE_MM
    assert {deposit["label"] for deposit in told["deposits"]} == {"calcification"}


def test_the_same_seed_writes_the_same_bytes(sample_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "SAMPLE_SPACING_MM", dict.fromkeys(KINDS, COARSE_MM))
    samples.write_samples(tmp_path, kinds=["shoulder"], seed=5)
    for name in ("shoulder_01.dcm", "shoulder_01.truth.json"):
        assert (tmp_path / name).read_bytes() == (sample_folder / name).read_bytes()


def test_an_unwritable_folder_is_an_output_error(tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "SAMPLE_SPACING_MM", dict.fromkeys(KINDS, 2.0))
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="can't be written"):
        samples.write_samples(tmp_path / "taken", kinds=["wrists"])


def test_an_unknown_kind_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ConfigError, match="kind must be one of"):
        samples.write_samples(tmp_path / "new", kinds=["knee"])
    assert not (tmp_path / "new").exists()
