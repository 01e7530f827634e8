"""What is bright and no deposit."""

import ast
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from films import radiograph_of

from calcidetect.anatomy import regions, zones
from calcidetect.anatomy.regions import Mimic, Region
from calcidetect.anatomy.thorax import INNER_AREAS
from calcidetect.candidates import mimics
from calcidetect.trees import load_tables
from calcidetect.types import LABELS, MARK

SESAMOID = Mimic(label="sesamoid", areas=("base of the thumb",), bounds={"long_mm": (2, 9), "score": (0, 0.85)})
HAND = Region(name="hand", body_parts=(), field_width_mm=240, looks=(), mimics=(SESAMOID,))

SOFT_EDGED = {"edge_steepness": [0.2], "contrast_highest": [1.0], "radius_mm": [2.5], "film_share_highest": [0.7]}


def kinds(areas, region=HAND, age_years=None, **features):
    """Label candidates of a region where no trachea is looked for: it asks of the film only the patient's age."""
    columns = {"long_mm": [5.0], "score": [0.7], "metal_mm": [30.0]} | SOFT_EDGED | features
    count = len(areas)
    columns = {name: np.resize(np.array(column, float), count) for name, column in columns.items()}
    film = SimpleNamespace(age_years=age_years)
    return mimics.label_kinds(
        None, columns, radiograph=film, field=None, anatomy=None, region=region, areas=np.array(areas)
    ).tolist()


def test_a_mimic_is_named_by_its_area():
    assert kinds(["base of the thumb", "first digit"]) == ["sesamoid", MARK]


@pytest.mark.parametrize(("name", "values"), [("long_mm", [1.9, 2.1, 8.9, 9.1]), ("score", [-0.01, 0.01, 0.84, 0.86])])
def test_a_mimic_takes_no_mark_that_is_out_of_its_bounds(name, values):
    found = kinds(["base of the thumb"] * 4, **{name: values})
    assert found == [MARK, "sesamoid", "sesamoid", MARK]


def test_the_first_mimic_that_fits_counts():
    second = Mimic(label="other", areas=("base of the thumb", "wrist"), bounds={})
    region = Region(name="hand", body_parts=(), field_width_mm=240, looks=(), mimics=(SESAMOID, second))
    assert kinds(["base of the thumb", "wrist"], region=region) == ["sesamoid", "other"]


def test_what_touches_metal_is_metal():
    assert kinds(["wrist", "wrist"], metal_mm=[0.4, 5.0]) == ["metal", MARK]


SCREW = {"edge_steepness": [6.0], "contrast_highest": [6.0], "radius_mm": [1.0], "film_share_highest": [1.0]}


def test_small_things_harder_and_brighter_than_any_deposit_are_metal():
    assert kinds(["wrist"], score=[0.95], **SCREW) == ["metal"]


@pytest.mark.parametrize("name", SCREW)
def test_what_only_nearly_is_like_metal_stays_a_mark(name):
    nearly = {"edge_steepness": [3.2], "contrast_highest": [2.4], "radius_mm": [5.0], "film_share_highest": [0.98]}
    assert kinds(["wrist"], score=[0.95], **SCREW | {name: nearly[name]}) == [MARK]


@pytest.mark.parametrize(("rungs", "aside_mm", "is_ring"), [(4, 4.5, True), (4, 3.5, False), (3, 4.5, False)])
def test_a_ring_seen_in_part_is_one_where_there_are_others(rungs, aside_mm, is_ring):
    film = radiograph_of(np.zeros((200, 100)), 1.0)
    places = [(10 + 12 * rung, 50 + side) for rung in range(rungs) for side in (-10, 10)] + [(100, 50 - aside_mm)]
    bright = {"drop_quarter_plus2": np.full(len(places), 9, np.float32)}
    rings = mimics._rings(np.array(places, float), bright, np.full(150, 50.0), film)
    assert rings.tolist() == [rungs == 4] * (2 * rungs) + [is_ring]


def test_no_candidates_have_no_kinds():
    assert kinds([]) == []


@pytest.mark.parametrize("name", regions.NAMES)
def test_mimics_of_every_region_have_a_label_and_bounds_of_measures_that_exist(name):
    measured = {*load_tables("score").names, "score"}
    for mimic in regions.get(name).mimics:
        assert mimic.label in LABELS
        assert mimic.label != MARK
        assert set(mimic.bounds) <= measured
        assert all(low < high for low, high in mimic.bounds.values())


@pytest.mark.parametrize("name", regions.NAMES)
def test_mimics_lie_in_areas_that_zones_can_name(name):
    frames = Path(zones.__file__).parent.glob("*.py")
    words = {node.value for path in frames for node in ast.walk(ast.parse(path.read_text())) if _is_text(node)}
    for mimic in regions.get(name).mimics:
        named = {area.removeprefix("growing ") for area in mimic.areas}
        assert named <= {*words, *regions.NAMES}


def _is_text(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


BETWEEN_LUNGS = ("mediastinum", "heart")


@pytest.mark.parametrize(("score", "kept"), [(0.7, set()), (0.95, {*INNER_AREAS} - {*BETWEEN_LUNGS})])
def test_within_the_chest_only_what_the_scorer_is_sure_of_stays_a_mark_and_between_the_lungs_nothing(score, kept):
    no_trachea = dataclasses.replace(regions.get("chest"), name="other")
    areas = (*INNER_AREAS, "axilla")
    found = kinds([*areas], region=no_trachea, score=[score])
    assert {area for area, kind in zip(areas, found, strict=True) if kind == MARK} == {*kept, "axilla"}


OSSICLE = {
    "bone_distance_mm": [1.0],
    "long_mm": [5.0],
    "elongation": [1.3],
    "edge_steepness": [0.2],
    "relief": [0.0],
    "contrast_mean": [0.5],
    "contrast_spread": [0.2],
    "radius_mm": [2.5],
    "bone_24mm": [0.2],
}


@pytest.mark.parametrize(
    ("region", "area", "label"),
    [
        ("foot", "base of the great toe", "sesamoid"),
        ("hand", "base of the second digit", "sesamoid"),
        ("wrist", "base of the fifth digit", "sesamoid"),
        ("knee", "popliteal fossa", "sesamoid"),
        ("foot", "back of the ankle", "ossified"),
        ("foot", "foot or ankle", "ossified"),
        ("elbow", "elbow", "ossified"),
        ("shoulder", "shoulder", "ossified"),
        ("hip", "greater trochanter", "ossified"),
        ("hip", "pelvis", "vascular"),
    ],
)
@pytest.mark.parametrize(("score", "hard"), [(0.7, False), (0.95, False), (0.7, True)])
def test_small_soft_edged_bone_at_its_place_is_no_mark_unless_it_scores_high_or_has_a_hard_edge(
    region, area, label, score, hard
):
    measured = OSSICLE | {"score": [score]} | ({"edge_steepness": [0.9]} if hard else {})
    expected = label if score < 0.85 and not (hard and label != "vascular") else MARK
    assert kinds([area], region=regions.get(region), **measured) == [expected]


@pytest.mark.parametrize(("age_years", "label"), [(None, "ossified"), (12.0, "ossified"), (20.5, MARK)])
@pytest.mark.parametrize(("region", "area"), [("elbow", "elbow"), ("foot", "toes"), ("hand", "hand"), ("other", "")])
def test_grown_ups_have_no_growth_plates(region, area, age_years, label):
    assert kinds([area], region=regions.get(region), age_years=age_years, score=[0.7], **OSSICLE) == [label]


def test_grown_ups_have_sesamoids():
    assert kinds(["base of the thumb"], region=regions.get("hand"), age_years=60.0, **OSSICLE) == ["sesamoid"]


@pytest.mark.parametrize(("changed", "label"), [({}, "ossified"), ({"contrast_spread": [0.2]}, MARK)])
def test_round_even_centres_of_a_childs_hand_are_no_marks_however_sure(changed, label):
    centre = OSSICLE | {"contrast_mean": [0.3], "contrast_spread": [0.07]} | changed
    assert kinds(["hand"], region=regions.get("hand"), score=[0.95], **centre) == [label]


@pytest.mark.parametrize(
    ("area", "score", "label"),
    [
        ("growing wrist", 0.94, "ossified"),
        ("growing fifth digit", 0.94, "ossified"),
        ("growing wrist", 0.96, MARK),
        ("wrist", 0.88, MARK),
    ],
)
@pytest.mark.parametrize("region", ["hand", "wrist"])
def test_small_round_things_in_a_growing_hand_are_bones_unless_they_score_high(region, area, score, label):
    centre = OSSICLE | {"contrast_mean": [0.9], "edge_steepness": [0.5], "long_mm": [2.5], "contrast_spread": [0.1]}
    assert kinds([area], region=regions.get(region), score=[score], **centre) == [label]


@pytest.mark.parametrize(
    ("area", "bone", "label"), [("neck", 0.5, "other"), ("neck", 0.2, MARK), ("axilla", 0.5, MARK)]
)
def test_among_the_bones_of_the_neck_nothing_on_a_shoulder_film_is_a_mark(area, bone, label):
    assert kinds([area], region=regions.get("shoulder"), score=[0.8], **OSSICLE | {"bone_24mm": [bone]}) == [label]


@pytest.mark.parametrize(("score", "label"), [(0.88, "ossified"), (0.92, MARK)])
def test_a_growth_plate_on_a_film_of_no_known_region_is_no_mark_unless_it_scores_high(score, label):
    assert kinds([""], region=regions.get("other"), score=[score], **OSSICLE) == [label]
