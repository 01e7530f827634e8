"""The whole way from a film to its report: real films, phantoms, and what must not change the result."""

import dataclasses

import cv2
import numpy as np
import pytest
from films import radiograph_of, write_dicom
from pydicom.data import get_testdata_file

from calcidetect import ops
from calcidetect.anatomy import regions
from calcidetect.candidates import score, vessels
from calcidetect.config import Config, GridSettings
from calcidetect.errors import CalcidetectError, ConfigError, FieldError
from calcidetect.phantom import make_phantom
from calcidetect.pipeline import find_region, scan, to_working_grid, working_mm
from calcidetect.trees import load_tables
from calcidetect.types import LOOKS

GRID = GridSettings()


def phantom_film(kind="shoulder", seed=3, spacing_mm=0.4, **changes):
    phantom = make_phantom(kind, seed=seed, spacing_mm=spacing_mm, **changes)
    return phantom, radiograph_of(phantom.pixels, spacing_mm)


@pytest.fixture(scope="module")
def leg():
    return scan(get_testdata_file("RG3_UNCR.dcm"), min_score=0.0)


@pytest.fixture(scope="module")
def chest():
    return scan(get_testdata_file("RG1_UNCR.dcm"), min_score=0.05)


@pytest.fixture(scope="module")
def shoulder():
    phantom, film = phantom_film()
    return phantom, film, scan(film, min_score=0.0)


@pytest.fixture(scope="module")
def chest_phantom():
    phantom, film = phantom_film("chest", seed=1, spacing_mm=0.4)
    return phantom, scan(film, region="chest", min_score=0.2).report


def at(scan, mask, points):
    """Values of a working-grid mask at (row, col) of the source matrix."""
    rows, cols = scan.working.grid.from_source(points).round().astype(int).T
    return mask[rows, cols]


# Points picked by eye on the leg film: (row, col).
TIBIA = [(200, 850), (600, 850), (900, 850), (1100, 870), (1300, 830)]
FIBULA = [(150, 1030), (500, 1000), (1000, 975)]
CALF = [(500, 740), (800, 740), (500, 1090), (800, 1045)]
SHUTTERS = [(300, 100), (900, 200), (1500, 100), (300, 1650), (900, 1600)]
MIRRORED_R = (slice(1350, 1480), slice(1120, 1260))  # rows, cols


def test_tibia_and_fibula_of_the_leg_film_are_bone_and_the_calf_is_not(leg):
    assert at(leg, leg.anatomy.bone, TIBIA).all()
    assert at(leg, leg.anatomy.bone, FIBULA).mean() >= 2 / 3
    assert not at(leg, leg.anatomy.bone, CALF).any()


def test_shutters_of_the_leg_film_are_not_exposed(leg):
    assert not at(leg, leg.field.mask, SHUTTERS).any()
    assert at(leg, leg.field.body, TIBIA + FIBULA + CALF).all()


def test_not_even_a_candidate_lies_on_shutters_marker_or_air(leg):
    assert leg.report.candidates, "with min_score 0 the generator's candidates are there"
    for candidate in leg.report.candidates:
        place = [(candidate.row, candidate.col)]
        rows, cols = MIRRORED_R
        assert not (rows.start <= candidate.row < rows.stop and cols.start <= candidate.col < cols.stop)
        assert 350 < candidate.col < 1350, "white shutters"
        assert not at(leg, leg.field.air, place)[0]


def test_the_chest_film_without_usable_spacing_is_scanned_and_prints_no_millimetre(chest):
    report = chest.report
    assert report.candidates, "otherwise this test shows nothing"
    assert report.region == "chest"
    assert report.grid.spacing_mm is None
    assert report.burden_mm2 is None
    assert all(c.area_mm2 is None and c.diameter_mm is None and c.bone_distance_mm is None for c in report.candidates)
    assert {"bad_spacing", "no_spacing"} & set(report.flags)
    assert sum(c.score >= score.OPERATING_POINT for c in report.marks) <= 3, "a chest film without deposits"


def test_candidates_are_ranked_and_their_labels_are_their_pixels(shoulder):
    _, _, result = shoulder
    scores = [c.score for c in result.report.candidates]
    assert scores == sorted(scores, reverse=True)
    assert [c.id for c in result.report.candidates] == list(range(1, len(scores) + 1))
    for candidate in result.report.candidates[:20]:
        rows, cols = np.nonzero(result.labels == candidate.id)
        row, col = result.working.grid.to_source((rows.mean(), cols.mean()))
        assert (candidate.row, candidate.col) == pytest.approx((row, col))


def test_a_higher_least_score_keeps_the_best_of_the_same_candidates(shoulder):
    _, film, everything = shoulder
    some = scan(film, min_score=0.3)
    assert [c.score for c in some.report.candidates] == [
        c.score for c in everything.report.candidates if c.score >= 0.3
    ]


def test_a_least_score_above_the_operating_point_removes_candidates_and_changes_none(shoulder):
    _, film, _ = shoulder
    usual, few = (scan(film, min_score=least) for least in (None, 0.9))
    best = [dataclasses.replace(c, id=0) for c in usual.report.candidates if c.score >= 0.9]
    assert 0 < len(best) < len(usual.report.candidates)
    assert [dataclasses.replace(c, id=0) for c in few.report.candidates] == best
    assert [c.id for c in few.report.candidates] == list(range(1, len(best) + 1))
    kept = [c.id for c in usual.report.candidates if c.score >= 0.9]
    assert np.array_equal(few.labels > 0, np.isin(usual.labels, kept))


def test_what_is_near_a_candidate_tells_what_it_is_whatever_the_least_score(shoulder, monkeypatch):
    seen, are_vessels = [], vessels.are_vessels

    def counted(labels, **how):
        seen.append(labels.max())
        return are_vessels(labels, **how)

    monkeypatch.setattr(vessels, "are_vessels", counted)
    for least in (None, 0.9):
        scan(shoulder[1], min_score=least)
    assert seen[0] == seen[1] > 1


@pytest.mark.parametrize(("side", "flagged"), [("L", True), ("R", False), ("", False)])
def test_the_side_that_the_user_names_counts_in_zones_and_report(side, flagged):
    _, film = phantom_film("shoulder", seed=3)
    film = dataclasses.replace(film, source=dataclasses.replace(film.source, laterality="R"))
    report = scan(film, laterality=side).report
    word = {"L": "left", "R": "right", "": "right"}[side]
    assert report.laterality == (side or "R")
    assert ("laterality_overruled" in report.flags) is flagged
    assert report.marks
    assert all(c.zone.startswith(word) for c in report.marks)


def test_an_unknown_side_is_refused(shoulder):
    with pytest.raises(ConfigError, match="no side 'left'"):
        scan(shoulder[1], laterality="left")


@pytest.mark.parametrize("least", [-0.1, 7.0, float("nan")])
def test_a_least_score_that_is_none_is_refused(shoulder, least):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        scan(shoulder[1], min_score=least)


def test_oblong_pixels_do_not_change_the_pitch_of_a_film_without_spacing(shoulder):
    film = shoulder[1]
    grid = dataclasses.replace(film.grid, spacing_mm=None, spacing_source="none")
    oblong = dataclasses.replace(grid, source_shape=(grid.shape[0] // 2, grid.shape[1]))
    films = (dataclasses.replace(film, grid=each) for each in (grid, oblong))
    seen = [find_region(each, Config(), given=regions.get("shoulder")) for each in films]
    pitches = [each.working.grid.nominal_mm for each in seen]
    assert pitches[1] == pytest.approx(pitches[0], rel=0.15), "judged by the pixels as read, but not by half of them"


def test_films_of_a_region_with_its_own_scorer_are_scored_by_it(shoulder, monkeypatch):
    _, film, everything = shoulder
    usual = [c.score for c in everything.report.candidates]
    as_chest = scan(film, region="chest", min_score=0.0).report.candidates
    assert [c.score for c in as_chest] != usual
    assert {*load_tables("score_chest").names} <= {*as_chest[0].features}
    monkeypatch.setattr(score, "OWN_TABLES", {})
    alike = [
        [c.score for c in scan(film, region=name, min_score=0.0).report.candidates] for name in ("chest", "shoulder")
    ]
    assert alike[0] == alike[1] != usual


def test_most_deposits_of_a_phantom_have_a_candidate(shoulder):
    phantom, _, result = shoulder
    deposits = [d for d in phantom.deposits if d.label == "calcification" and d.area_px >= 12]
    found = [
        any(d.x0 - 5 <= c.col <= d.x1 + 5 and d.y0 - 5 <= c.row <= d.y1 + 5 for c in result.report.candidates)
        for d in deposits
    ]
    assert np.mean(found) >= 0.9


def test_bone_of_a_phantom_overlaps_its_exact_mask(shoulder):
    phantom, _, result = shoulder
    exact = ops.resize_mask(phantom.bone, result.working.grid.shape) & result.anatomy.body
    overlap = 2 * (result.anatomy.bone & exact).sum() / (result.anatomy.bone.sum() + exact.sum())
    assert overlap > 0.75


@pytest.mark.parametrize(("gain", "offset"), [(16.0, 0.0), (1.0, 5000.0)])
def test_gain_and_offset_do_not_change_the_marks(shoulder, gain, offset):
    _, film, everything = shoulder
    marks = [(c.row, c.col) for c in everything.report.candidates if c.score >= 0.3]
    other = scan(dataclasses.replace(film, pixels=film.pixels * np.float32(gain) + np.float32(offset)), min_score=0.3)
    assert marks, "otherwise this test shows nothing"
    assert np.allclose([(c.row, c.col) for c in other.report.candidates], marks, atol=1)


def test_monochrome1_twin_gives_the_same_report(tmp_path):
    phantom = make_phantom("wrists", seed=2, spacing_mm=0.6)
    plain, twin = tmp_path / "plain.dcm", tmp_path / "twin.dcm"
    write_dicom(plain, phantom.pixels, BitsStored=12, HighBit=11, PixelSpacing=[0.6, 0.6])
    write_dicom(
        twin,
        (4095 - phantom.pixels).astype(np.uint16),
        BitsStored=12,
        HighBit=11,
        PixelSpacing=[0.6, 0.6],
        PhotometricInterpretation="MONOCHROME1",
    )
    one, other = (scan(path, min_score=0.2).report for path in (plain, twin))
    assert one.candidates == other.candidates


def test_two_runs_are_equal_but_for_the_volatile_block(shoulder):
    _, film, first = shoulder
    second = scan(film, min_score=0.0)
    assert first.report == second.report
    assert first.report.volatile["python"]


def test_spacing_of_the_argument_counts_where_the_file_has_none(tmp_path):
    phantom = make_phantom("wrists", seed=2, spacing_mm=0.6)
    path = tmp_path / "wrists.png"
    cv2.imwrite(str(path), (phantom.pixels >> 4).astype(np.uint8))
    with_spacing = scan(path, spacing_mm=0.6, min_score=0.0)
    assert with_spacing.report.grid.spacing_source == "given"
    assert all(c.area_mm2 for c in with_spacing.report.candidates)
    assert scan(path).report.burden_mm2 is None


def test_working_grid_leads_back_to_the_source():
    film = radiograph_of(np.zeros((1000, 800), np.uint8), 0.1)
    working = to_working_grid(film, GRID)
    assert working.grid.shape == (250, 200)
    assert working.grid.to_source((0, 0)).tolist() == [1.5, 1.5]  # the centre of the first four source pixels
    assert working.grid.from_source(working.grid.to_source((17, 5))).tolist() == pytest.approx([17, 5])


def test_large_films_get_a_coarser_grid_within_bounds():
    pitch = {
        side: working_mm(radiograph_of(np.zeros((side, 50), np.uint8), 1.0).grid, GRID) for side in (360, 400, 1200)
    }
    assert pitch == pytest.approx({360: 0.4, 400: 0.4444, 1200: 0.47}, abs=1e-3)
    assert working_mm(radiograph_of(np.zeros((400, 50), np.uint8), 1.0).grid, GridSettings(coarsening=1.0)) == 0.4


def test_enlargement_of_tiny_films_is_bounded():
    film = radiograph_of(np.zeros((20, 20), np.uint8), None)
    assert max(to_working_grid(film, GRID).grid.shape) <= 60


@pytest.mark.parametrize("pixels", [np.zeros((1, 1)), np.full((300, 300), 7), np.full((300, 300), 65535)])
def test_films_that_show_nothing_are_refused(pixels):
    with pytest.raises(CalcidetectError):
        scan(radiograph_of(pixels, 0.4))


def test_a_strip_too_thin_for_the_working_grid_is_refused_in_words():
    across = np.tile(np.linspace(0, 4000, 4000, dtype=np.float32), (16, 1))
    with pytest.raises(FieldError, match=r"film of 16 x 4000 pixels is too thin .*; give its pixel spacing"):
        scan(radiograph_of(across, None))


def test_a_film_without_any_candidate_has_an_empty_report():
    across = np.tile(np.linspace(0, 4000, 300, dtype=np.float32), (360, 1))
    assert scan(radiograph_of(across, 0.4), min_score=0.0).report.candidates == ()


def test_every_setting_reaches_the_report(shoulder):
    _, film, _ = shoulder
    config = Config().replace({"detect.min_diameter_mm": 3.0})
    result = scan(film, config=config, min_score=0.0)
    assert result.report.settings["detect.min_diameter_mm"] == 3.0
    assert result.report.settings_hash == config.hash


def test_calcified_rings_of_a_chest_phantom_are_one_tracheal_candidate_and_no_mark(chest_phantom):
    phantom, report = chest_phantom
    (rings,) = [d for d in phantom.deposits if d.label == "tracheal"]
    (trachea,) = [c for c in report.candidates if c.label == "tracheal"]
    assert trachea.zone == "trachea"
    assert "several_parts" in trachea.flags
    assert rings.x0 <= trachea.col < rings.x1
    assert rings.y0 <= trachea.row < rings.y1
    shared = min(trachea.y1, rings.y1) - max(trachea.y0, rings.y0)
    assert shared > 0.5 * (rings.y1 - rings.y0)
    assert trachea.id not in {c.id for c in report.marks}


def test_nothing_within_the_rib_cage_is_marked_and_sides_are_the_patients(chest_phantom):
    _, report = chest_phantom
    inner = ("lung", "heart", "mediastinum", "rib cage", "upper abdomen")
    assert {c.label for c in report.candidates if c.zone.endswith(inner)} <= {"other", "costal_cartilage"}
    half = report.grid.shape[1] / 2
    sides = {(c.zone.split()[0], c.col < half) for c in report.marks}
    assert sides == {("right", True), ("left", False)}
    assert all(c.look in LOOKS for c in report.marks)


def test_the_trachea_is_looked_for_on_chest_films_only():
    _, film = phantom_film("chest", seed=1, spacing_mm=0.4)
    assert not [c for c in scan(film, region="other").report.candidates if c.label == "tracheal"]
