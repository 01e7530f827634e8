"""Body region and size of the field: what the header says, what the picture looks like, and which of them counts."""

import dataclasses
import math
from importlib import resources

import cv2
import numpy as np
import pytest
from limbs import film, grid, limb_pixels
from pydicom.data import get_testdata_file

from calcidetect import ops, pipeline, scan
from calcidetect.anatomy import bone, film_size, region_model, regions
from calcidetect.anatomy.region_model import Look, look_at
from calcidetect.config import Config
from calcidetect.phantom import make_phantom
from calcidetect.reading import readers
from calcidetect.types import Field, Radiograph, Source

PHANTOM_MM = 0.8
KINDS = {"chest": {"chest"}, "shoulder": {"shoulder"}, "wrists": {"wrist", "hand"}}


def look(field_mm=250.0, **chances):
    return Look(chances=chances, field_mm=field_mm, strange=False)


def phantom_film(kind, *, seed=1, spacing_mm=None, body_part=""):
    pixels = make_phantom(kind, seed=seed, spacing_mm=PHANTOM_MM).pixels.astype(np.float32)
    return Radiograph(
        pixels=pixels,
        valid=np.ones(pixels.shape, bool),
        grid=dataclasses.replace(grid(pixels.shape, spacing_mm), nominal_mm=spacing_mm or 1.0),
        source=Source(path=kind, pixel_hash="0" * 64, body_part=body_part),
    )


def limb_field(shape):
    cols = np.arange(shape[1])
    air = np.broadcast_to((cols < 0.15 * shape[1]) | (cols >= 0.85 * shape[1]), shape)
    return Field(mask=np.ones(shape, bool), air=air, metal=np.zeros(shape, bool))


@pytest.fixture(scope="module")
def limb_look():
    pixels, _ = limb_pixels()
    return look_at(film(pixels), limb_field(pixels.shape))


@pytest.mark.parametrize(
    ("body_part", "region"),
    [("CHEST", "chest"), ("hand ", "hand"), ("ANKLE", "foot"), ("FOREARM", "wrist"), ("", "other"), ("SKULL", "other")],
)
def test_the_header_names_the_region(body_part, region):
    assert regions.recognise(Source(path="film", pixel_hash="", body_part=body_part)).name == region


@pytest.mark.parametrize("name", regions.NAMES)
def test_each_region_is_among_its_own_looks(name):
    looks = regions.get(name).looks
    assert set(looks) <= set(region_model.load_model().looks)
    assert name in looks or name == "other"


@pytest.mark.parametrize(
    ("chances", "region"),
    [
        ({"hand": 0.9, "foot": 0.1}, "hand"),
        ({"hand": 0.38, "foot": 0.35, "wrist": 0.27}, "other"),
        ({"forearm": 0.9, "wrist": 0.1}, "other"),
    ],
)
def test_without_a_header_the_picture_counts_where_it_is_sure(chances, region):
    assert regions.decide(regions.get("other"), look(**chances)) == (regions.get(region), ())


@pytest.mark.parametrize(
    ("said", "chances", "region"),
    [
        ("hand", {"foot": 0.8, "hand": 0.2}, "hand"),
        ("hand", {"chest": 0.999, "hand": 0.001}, "chest"),
        ("knee", {"leg": 0.999, "knee": 0.0}, "knee"),
        ("hand", {"leg": 0.999, "hand": 0.001}, "other"),
    ],
)
def test_the_picture_overrules_an_absurd_header_and_says_so(said, chances, region):
    place, flags = regions.decide(regions.get(said), look(**chances))
    assert place.name == region
    assert flags == (() if region == said else ("region_overruled",))


def test_the_size_is_the_pictures_where_it_looks_like_the_region():
    knee = regions.get("knee")
    assert regions.field_width_mm(knee, look(410.0, leg=0.7, foot=0.3)) == 410.0
    assert regions.field_width_mm(knee, look(410.0, hand=0.9, knee=0.1)) == knee.field_width_mm
    assert regions.field_width_mm(regions.get("other"), look(410.0, hand=0.9)) == 410.0


@pytest.mark.parametrize("kind", KINDS)
def test_phantoms_are_recognised_from_the_picture(kind):
    seen = pipeline.find_region(phantom_film(kind), Config())
    working = seen.working
    assert seen.region.name in KINDS[kind]
    assert not seen.flags
    assert working.grid.spacing_mm is None
    assert working.grid.nominal_mm == pytest.approx(pipeline.working_mm(working.grid, Config().grid), rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_assumed_size_of_a_phantom_is_near_its_own(kind):
    radiograph = phantom_film(kind)
    working = pipeline.find_region(radiograph, Config()).working
    assumed_mm = working.grid.nominal_mm / working.grid.step[0]
    assert math.log(assumed_mm / PHANTOM_MM) == pytest.approx(0, abs=math.log(1.25))


def test_a_chest_film_whose_header_says_hand_is_a_chest_film_with_a_flag():
    radiograph = readers.load(get_testdata_file("RG1_UNCR.dcm"))
    radiograph = dataclasses.replace(radiograph, source=dataclasses.replace(radiograph.source, body_part="HAND"))
    seen = pipeline.find_region(radiograph, Config())
    assert (seen.region.name, seen.flags) == ("chest", ("region_overruled",))


def test_the_region_that_the_user_names_counts():
    given = regions.get("hand")
    radiograph = phantom_film("chest", body_part="CHEST")
    seen = pipeline.find_region(radiograph, Config(), given=given)
    assert (seen.region, seen.flags) == (given, ())
    assumed_mm = film_size.longer_side(seen.field) * seen.working.grid.nominal_mm
    assert assumed_mm == pytest.approx(given.field_width_mm, rel=0.08), "the picture's size is a chest's, not a hand's"


def test_a_known_spacing_is_kept():
    radiograph = phantom_film("chest", spacing_mm=PHANTOM_MM)
    working = pipeline.find_region(radiograph, Config()).working
    assert working.grid.spacing_mm / working.grid.step[0] == pytest.approx(PHANTOM_MM, rel=0.01)


def test_chances_are_probabilities_of_every_look(limb_look):
    assert set(limb_look.chances) == set(region_model.load_model().looks)
    assert sum(limb_look.chances.values()) == pytest.approx(1, abs=1e-5)
    low, high = np.exp(region_model.load_model().size_range)
    assert low <= limb_look.field_mm * 1.001
    assert limb_look.field_mm <= high * 1.001


def close(one, other, *, tolerance):
    return all(abs(one.chances[name] - other.chances[name]) < tolerance for name in one.chances)


def test_gain_and_offset_do_not_change_the_look(limb_look):
    pixels, _ = limb_pixels()
    other = look_at(film(16 * pixels + 5000), limb_field(pixels.shape))
    assert close(limb_look, other, tolerance=0.01)  # float32 rounds levels of 5000 to 0.0005


def test_mirroring_does_not_change_the_look(limb_look):
    pixels, _ = limb_pixels()
    field = limb_field(pixels.shape)
    mirrored = Field(mask=field.mask, air=np.ascontiguousarray(field.air[:, ::-1]), metal=field.metal)
    other = look_at(film(np.ascontiguousarray(pixels[:, ::-1])), mirrored)
    assert close(limb_look, other, tolerance=1e-4)
    assert other.field_mm == pytest.approx(limb_look.field_mm, rel=1e-4)


def test_enlarging_a_film_hardly_changes_the_look(limb_look):
    pixels, _ = limb_pixels()
    shape = (2 * pixels.shape[0], 2 * pixels.shape[1])
    other = look_at(film(ops.resize_linear(pixels, shape)), limb_field(shape))
    assert max(other.chances, key=other.chances.get) == max(limb_look.chances, key=limb_look.chances.get)
    assert other.field_mm == pytest.approx(limb_look.field_mm, rel=0.1)


def test_films_of_one_body_pixel_are_described():
    pixels = np.arange(64, dtype=np.float32).reshape(8, 8)
    body = np.zeros((8, 8), bool)
    body[3, 4] = True
    field = Field(mask=np.ones((8, 8), bool), air=~body, metal=np.zeros((8, 8), bool))
    assert math.isfinite(look_at(film(pixels), field).field_mm)


def test_word_shares_of_patches_that_are_words_are_counted():
    words = np.eye(4, dtype=np.float32) * 10
    patches = words[[[0, 0], [1, 1], [2, 3]]]  # three rows, one for each band
    shares = region_model.word_shares(patches, words).reshape(1 + region_model.BANDS, 4) ** 2
    expected = [[1 / 3, 1 / 3, 1 / 6, 1 / 6], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0.5, 0.5]]
    assert np.allclose(shares, expected, atol=1e-6)


def test_the_model_is_small():
    assert len(resources.files("calcidetect").joinpath("data", "regions.npz").read_bytes()) < 150_000


def test_noise_looks_like_no_film_and_phantoms_do():
    noise = film(np.random.default_rng(0).normal(100, 20, (240, 200)))
    assert look_at(noise, limb_field(noise.pixels.shape)).strange
    for kind in KINDS:
        working, field = pipeline.first_field(phantom_film(kind), Config(), field_width_mm=300.0)
        assert not look_at(working, field).strange, kind


def test_a_picture_unlike_all_films_is_refused_unless_its_region_is_named():
    ring = np.hypot(*(np.indices((240, 200)) - 100))
    noise = film(100 + 20 * np.random.default_rng(0).normal(size=ring.shape) + 60 * (ring < 4))
    refused, searched = (scan(noise, region=name, min_score=0.0) for name in ("auto", "hand"))
    assert {"unlike_films", "no_bone", "not_searched"} <= set(refused.report.flags)
    assert not refused.report.candidates
    assert not refused.anatomy.bone.any()
    assert refused.report.bone_confidence == 0
    assert searched.report.candidates


def test_a_picture_in_many_colours_is_refused_unless_its_region_is_named(tmp_path):
    grey, _ = limb_pixels()
    grey = 255 * (grey - grey.min()) / np.ptp(grey)
    tinted = np.stack([0.6 * grey, 0.8 * grey, grey], axis=2).astype(np.uint8)
    painted = tinted.copy()
    painted[..., 0] = 255 * (np.indices(grey.shape).sum(axis=0) // 20 % 2)
    for name, pixels in {"tinted": tinted, "painted": painted}.items():
        cv2.imwrite(str(tmp_path / f"{name}.png"), pixels)
    film, photograph = (scan(tmp_path / f"{name}.png") for name in ("tinted", "painted"))
    assert "coloured" not in film.report.flags
    assert {"coloured", "no_bone", "not_searched"} <= set(photograph.report.flags)
    assert not photograph.anatomy.bone.any()
    assert scan(tmp_path / "painted.png", region="hand").anatomy.bone.any()


def test_a_film_without_bone_is_refused_unless_its_region_is_named():
    rows, cols = np.indices((300, 240))
    disc = np.hypot(rows - 150, cols - 120) < 100
    spot = np.exp(-((rows - 150) ** 2 + (cols - 120) ** 2) / 18)
    plain = film(np.where(disc, 100, 0) + 40 * spot + np.random.default_rng(1).normal(size=disc.shape))
    refused, searched = (scan(plain, region=name, min_score=0.0) for name in ("auto", "hand"))
    assert "no_bone" in refused.report.flags
    assert not refused.report.candidates
    assert searched.report.candidates


def test_what_would_be_bone_nearly_everywhere_is_no_bone():
    chance, body = np.full((60, 50), 0.95, np.float32), np.ones((60, 50), bool)
    assert not bone._regions(chance, body, 0.4, Config().bone).any()
    chance[:12] = 0.02
    found = bone._regions(chance, body, 0.4, Config().bone)
    assert found[20:].all()
    assert not found[:8].any()


def test_a_picture_unlike_all_films_is_flagged_whoever_names_its_region():
    noise = film(np.random.default_rng(0).normal(100, 20, (240, 200)))
    assert "unlike_films" in pipeline.find_region(noise, Config()).flags
    assert pipeline.find_region(noise, Config(), given=regions.get("hand")).flags == ("unlike_films",)
