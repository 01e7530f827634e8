import dataclasses
import json

import imagecodecs
import numpy as np
import pytest
from films import dicom_bytes
from limbs import BODY_COLS, BONE_COLS, PIXEL_MM, SHAPE, limb_pixels

from calcidetect.cli import main
from calcidetect.errors import ConfigError
from calcidetect.reading import readers
from calcidetect.reading.polarity import INVERTED_FROM, inversion_log_odds
from calcidetect.simulation import simulations
from calcidetect.simulation.annotations import read_annotations
from calcidetect.simulation.simulations import Recipe, simulate_films

LEFT = [[34, 4], [76, 4], [76, 295], [34, 295]]  # soft tissue on the left of the limb's bone
PAIRS = [[[100, row], [60, row]] for row in (60, 150, 240)]


@pytest.fixture
def limb(tmp_path):
    """A limb as an 8-bit PNG, its annotation beside it."""
    pixels, _ = limb_pixels()
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "limb.png").write_bytes(imagecodecs.png_encode(np.clip(pixels * 6, 0, 255).astype(np.uint8)))
    note = {"film": "limb.png", "region": "hand", "soft": [LEFT], "mm_px": PIXEL_MM, "step_pairs": PAIRS}
    (tmp_path / "soft.json").write_text(json.dumps([note]), encoding="utf-8")
    return folder / "limb.png"


def simulate(film, out, *, soft="soft.json", **recipe):
    notes = read_annotations(film.parent.parent / soft) if soft else None
    return simulate_films([film], out, recipe=Recipe(**({"seed": 3} | recipe)), soft=notes)


def truth_of(out):
    return json.loads((out / "truth.json").read_text(encoding="utf-8"))


def picture(path):
    return imagecodecs.png_decode(path.read_bytes())


def test_truth_describes_masks_and_films(limb, tmp_path):
    simulate(limb, tmp_path / "out")
    truth = truth_of(tmp_path / "out")
    (film,) = truth["films"]
    assert (truth["version"], truth["seed"]) == (1, 3)
    assert (film["film"], film["source"], film["mask"]) == ("limb.png", "limb.png", "limb.truth.png")
    assert (film["region"], film["mm_px"], film["mm_px_basis"]) == ("hand", PIXEL_MM, "annotation")
    assert film["bone_step"] == pytest.approx(6 * 7, rel=0.1)  # marrow less soft tissue, as it was drawn
    mask = picture(tmp_path / "out" / "limb.truth.png")
    assert mask.dtype == np.uint16
    assert sorted(set(mask.ravel()) - {0}) == [item["id"] for item in film["deposits"]]
    assert 2 <= len(film["deposits"]) <= 5
    for item in film["deposits"]:
        rows, cols = np.nonzero(mask == item["id"])
        assert item["box"] == [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
        assert item["row"] == pytest.approx(rows.mean(), abs=1e-3)


def test_film_differs_where_the_mask_says_and_is_exact_elsewhere(limb, tmp_path):
    simulate(limb, tmp_path / "out")
    before, after = picture(limb).astype(int) * 257, picture(tmp_path / "out" / "limb.png").astype(int)
    mask = picture(tmp_path / "out" / "limb.truth.png") > 0
    assert (after[mask] > before[mask]).mean() > 0.98  # grain may outweigh the thinnest mineral
    assert mask[:, 34:77].sum() == mask.sum(), "deposits lie in their polygon"
    assert (after != before).sum() < 6 * mask.sum(), "beyond the mask only a deposit's faint rim"


def test_clean_copy_is_the_film_itself(limb, tmp_path):
    simulate(limb, tmp_path / "out", clean=True)
    _, clean = truth_of(tmp_path / "out")["films"]
    assert clean["deposits"] == []
    assert np.array_equal(picture(tmp_path / "out" / clean["film"]), picture(limb).astype(np.uint16) * 257)
    assert not picture(tmp_path / "out" / clean["mask"]).any()


def test_one_seed_gives_the_same_bytes_and_another_one_others(limb, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        simulate(limb, tmp_path / name, seed=seed)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc"]
    assert files[0] == files[1]
    assert files[0]["limb.png"] != files[2]["limb.png"]


def test_a_films_deposits_do_not_depend_on_the_films_beside_it(limb, tmp_path):
    other = limb.with_name("a_first.png")
    other.write_bytes(imagecodecs.png_encode(picture(limb)[::-1].copy()))
    simulate_films([limb.parent], tmp_path / "both", recipe=Recipe(seed=3), soft=None)
    simulate_films([limb], tmp_path / "alone", recipe=Recipe(seed=3), soft=None)
    assert (tmp_path / "both" / "limb.png").read_bytes() == (tmp_path / "alone" / "limb.png").read_bytes()
    assert len(truth_of(tmp_path / "both")["films"]) == 2


def test_copies_differ(limb, tmp_path):
    simulate(limb, tmp_path / "out", copies=2)
    first, second = truth_of(tmp_path / "out")["films"]
    assert (first["film"], second["film"]) == ("limb_1.png", "limb_2.png")
    assert first["deposits"] != second["deposits"]


@pytest.mark.parametrize(("other", "recipe"), [("limb_clean.png", {"clean": True}), ("limb.truth.dcm", {})])
def test_a_film_named_as_a_simulated_one_of_another_film_overwrites_none(limb, tmp_path, other, recipe):
    pixels = picture(limb)
    path = limb.with_name(other)
    path.write_bytes(dicom_bytes(pixels) if other.endswith(".dcm") else imagecodecs.png_encode(pixels))
    simulate_films([limb.with_name("limb.png"), path], tmp_path / "out", recipe=Recipe(seed=3, **recipe))
    records = truth_of(tmp_path / "out")["films"]
    names = [record[kind] for record in records for kind in ("film", "mask")]
    assert len(set(names)) == len(names) == len(list((tmp_path / "out").glob("*.png")))


def test_without_polygons_deposits_keep_off_bone_skin_and_air(limb, tmp_path, monkeypatch):
    _, bone = limb_pixels()
    simulate(limb, tmp_path / "out", soft=None, spacing_mm=PIXEL_MM, count=(5, 5))
    mask = picture(tmp_path / "out" / "limb.truth.png") > 0
    assert mask.any()
    assert not mask[bone].any()
    assert not mask[:, : BODY_COLS.start].any()
    assert not mask[:, BODY_COLS.stop :].any()
    assert truth_of(tmp_path / "out")["films"][0]["mm_px_basis"] == "given"


def test_real_and_ignored_boxes_are_kept_free_and_passed_on(limb, tmp_path):
    path = tmp_path / "soft.json"
    (note,) = json.loads(path.read_text())
    note |= {"real": [{"box": [30, 0, 80, 200]}], "ignore": [{"box": [30, 200, 80, 250]}]}
    path.write_text(json.dumps([note]))
    simulate(limb, tmp_path / "out", copies=3)
    for film in truth_of(tmp_path / "out")["films"]:
        assert (film["real"], film["ignore"]) == ([[30, 0, 80, 200]], [[30, 200, 80, 250]])
        assert all(item["box"][1] >= 250 for item in film["deposits"])


def test_no_room_is_a_film_without_deposits_and_a_remark(limb, tmp_path):
    (tmp_path / "soft.json").write_text(json.dumps({"limb.png": [[[40, 40], [42, 40], [42, 41]]]}))
    (done,) = simulate(limb, tmp_path / "out", spacing_mm=PIXEL_MM)
    assert not done.error
    assert "2 deposits or more were wanted in limb.png, it had room for 0" in done.remarks[0]
    assert truth_of(tmp_path / "out")["films"][0]["deposits"] == []


def test_room_for_fewer_deposits_than_wanted_is_said(limb, tmp_path):
    (done,) = simulate(limb, tmp_path / "out", soft=None, spacing_mm=PIXEL_MM, count=(400, 400))
    (record,) = truth_of(tmp_path / "out")["films"]
    assert 0 < len(record["deposits"]) < 400
    room = f"it had room for {len(record['deposits'])}."
    assert f"400 deposits or more were wanted in limb.png, {room}" in done.remarks[0]


def test_more_deposits_than_any_film_takes_are_refused(limb, tmp_path):
    with pytest.raises(ConfigError, match="500 deposits at most, got 100000"):
        simulate(limb, tmp_path / "out", count=(1, 100_000))
    assert not (tmp_path / "out").exists()


def test_unknown_spacing_is_said(limb, tmp_path):
    (done,) = simulate(limb, tmp_path / "out", soft=None)
    assert any("has no pixel spacing" in remark for remark in done.remarks)
    assert truth_of(tmp_path / "out")["films"][0]["mm_px_basis"] == "nominal"


def linear_film(path, pixels):
    """Write a limb as raw detector exposure: bright where little was absorbed."""
    exposure = np.round(3500 * np.exp(-pixels / 8)).astype(np.uint16)
    tags = {"BitsStored": 12, "PixelIntensityRelationship": "LIN", "PhotometricInterpretation": "MONOCHROME1"}
    path.write_bytes(dicom_bytes(exposure, PixelIntensityRelationshipSign=1, **tags))
    return exposure


def test_a_film_linear_in_exposure_loses_the_same_share_everywhere_mineral_is_the_same(limb, tmp_path):
    film = limb.with_name("limb.dcm")
    exposure = linear_film(film, limb_pixels(noise=0.0)[0])
    radiograph = readers.load(film)
    assert radiograph.tone == "linear"
    (tmp_path / "dcm.json").write_text((tmp_path / "soft.json").read_text().replace("limb.png", "limb.dcm"))
    simulate(film, tmp_path / "out", soft="dcm.json")
    (record,) = truth_of(tmp_path / "out")["films"]
    written = picture(tmp_path / "out" / "limb.png") / record["scale"]["gain"] + record["scale"]["offset"]
    left = (4095 - written) / exposure
    mask = picture(tmp_path / "out" / "limb.truth.png") > 0
    assert (left[mask] < 1).all()
    assert left[mask].min() > 0
    assert np.abs(left[:, BONE_COLS] - 1).max() < 0.02
    assert record["bone_step"] == pytest.approx(7 / 8, rel=0.15)  # in the exponent


def test_the_reader_takes_no_truth_mask_for_a_film(limb, tmp_path):
    simulate(limb, tmp_path / "out")
    assert [film.name for film in readers.find_films([tmp_path / "out"])] == ["limb.png"]


def test_written_film_reads_back_as_it_was_meant(limb, tmp_path):
    simulate(limb, tmp_path / "out", clean=True)
    film = readers.load(tmp_path / "out" / "limb_clean.png")
    assert inversion_log_odds(readers.load(limb).pixels) < INVERTED_FROM
    assert np.array_equal(film.pixels, readers.load(limb).pixels * 257)
    assert film.pixels.shape == SHAPE


@pytest.mark.parametrize("place", ["films", ".", "films/deeper"])
def test_results_are_not_written_where_films_are_read(limb, tmp_path, place):
    with pytest.raises(ConfigError, match="choose a folder apart"):
        simulate_films([limb.parent, tmp_path], tmp_path / place, recipe=Recipe(seed=1))


@pytest.mark.parametrize("wrong", [{"copies": 0}, {"count": (0, 3)}, {"count": (4, 3)}, {"spacing_mm": float("nan")}])
def test_impossible_recipes_are_refused(wrong):
    with pytest.raises(ConfigError, match="must"):
        Recipe(seed=0, **wrong)


def test_a_film_out_of_its_bits_range_is_stretched(limb):
    film = readers.load(limb)
    assert simulations._scale(film) == (257, 0)
    gain, offset = simulations._scale(dataclasses.replace(film, pixels=film.pixels - 100))
    assert offset == film.pixels.min() - 100
    assert gain * (film.pixels.max() - film.pixels.min()) == pytest.approx(65535)


def test_command_writes_films_goes_on_after_bad_ones_and_says_why(limb, tmp_path, capsys):
    limb.with_name("broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    limb.with_name("unknown.png").write_bytes(limb.read_bytes())
    words = ["simulate", limb.parent, "--soft", tmp_path / "soft.json", "--out", tmp_path / "out", "--seed", 1]
    assert main([str(word) for word in [*words, "--count", 2, 2, "--clean"]]) == 1
    said = capsys.readouterr()
    assert "1 of 3 films simulated, 2 deposits" in said.out
    assert "unknown.png has no polygons of soft tissue" in said.err
    assert "broken.png" in said.err
    assert len(truth_of(tmp_path / "out")["films"]) == 2


def test_command_refuses_annotations_that_it_cannot_read(limb, tmp_path, capsys):
    (tmp_path / "soft.json").write_text("[")
    words = ["simulate", limb, "--soft", tmp_path / "soft.json", "--out", tmp_path / "out", "--seed", 1]
    assert main([str(word) for word in words]) == 2
    assert "can't be read as JSON annotations" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_film_whose_pairs_are_the_wrong_way_round_is_refused(limb, tmp_path):
    path = tmp_path / "soft.json"
    (note,) = json.loads(path.read_text())
    note["step_pairs"] = [pair[::-1] for pair in PAIRS]
    path.write_text(json.dumps([note]))
    (done,) = simulate(limb, tmp_path / "out")
    assert "bone is no brighter than soft tissue" in done.error
