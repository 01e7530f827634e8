"""Where on the patient a place is, on anatomies drawn by hand."""

import dataclasses

import cv2
import numpy as np
import pytest
from films import radiograph_of

from calcidetect.anatomy.thorax import INNER_AREAS, find_thorax
from calcidetect.anatomy.zones import find_limbs, find_zones
from calcidetect.types import Anatomy, Field

SHAPE = (300, 300)
PIXEL_MM = 1.2


def anatomy(body, *, bone=None, lung=None):
    nothing = np.zeros(body.shape, bool)
    bone, lung = (nothing if mask is None else mask for mask in (bone, lung))
    zeros = np.zeros(body.shape, np.float32)
    return Anatomy(
        bone=bone,
        bone_probability=bone.astype(np.float32),
        lung_probability=lung.astype(np.float32),
        body=body,
        bone_distance_px=zeros,
        skin_distance_px=zeros,
        bone_step=1.0,
        confidence=1.0,
    )


def words(points, body, region, *, laterality="", view="", pixel_mm=PIXEL_MM, **masks):
    film = radiograph_of(np.zeros(body.shape, np.float32), pixel_mm)
    film = dataclasses.replace(film, source=dataclasses.replace(film.source, laterality=laterality, view=view))
    field = Field(mask=np.ones_like(body), air=~body, metal=np.zeros_like(body))
    points, seen = np.array(points, float).reshape(-1, 2), anatomy(body, **masks)
    return find_zones(
        points, film, field=field, anatomy=seen, region=region, thorax=find_thorax(seen, pixel_mm=film.grid.nominal_mm)
    )


def drawn(shapes, shape=SHAPE):
    canvas = np.zeros(shape, np.uint8)
    for kind, *numbers in shapes:
        if kind == "ellipse":
            row, col, high, wide = numbers
            cv2.ellipse(canvas, (col, row), (wide, high), 0, 0, 360, 1, -1)
        else:
            row, col, to_row, to_col, thick = numbers
            cv2.line(canvas, (col, row), (to_col, to_row), 1, thick)
    return canvas.astype(bool)


# --- chest ------------------------------------------------------------------------------------------------------

EVERYWHERE = np.ones(SHAPE, bool)
LUNGS = drawn([("ellipse", 150, 100, 90, 35), ("ellipse", 150, 200, 90, 35)])
CHEST = {
    "right lung": (150, 100),
    "left lung": (150, 200),
    "mediastinum": (100, 150),
    "heart": (190, 150),
    "neck": (40, 150),
    "right shoulder": (70, 45),
    "left shoulder": (70, 255),
    "right axilla": (135, 48),
    "left axilla": (135, 252),
    "left chest wall": (210, 255),
    "left upper arm": (150, 290),
    "upper abdomen": (280, 150),
}


@pytest.mark.parametrize("size", [1, 0.5])
def test_areas_and_sides_of_a_chest_film(size):
    shape = tuple(int(n * size) for n in SHAPE)
    lungs = cv2.resize(LUNGS.astype(np.uint8), shape[::-1]).astype(bool)
    points = np.array(list(CHEST.values())) * size
    assert words(points, np.ones(shape, bool), "chest", lung=lungs).words.tolist() == list(CHEST)


def test_a_lung_in_two_pieces_and_a_bridge_to_the_neck_change_nothing():
    broken = LUNGS.copy()
    broken[150:156, 60:140] = False
    broken |= drawn([("line", 70, 100, 20, 120, 3)])
    areas = words(list(CHEST.values()), EVERYWHERE, "chest", lung=broken).words
    assert (areas == list(CHEST)).mean() > 0.9


def test_air_beside_the_arm_that_is_taken_for_lung_makes_the_rib_cage_no_wider():
    with_air = LUNGS | drawn([("ellipse", 190, 275, 60, 12)])
    names = [name for name, (row, col) in CHEST.items() if not with_air[row, col] or LUNGS[row, col]]
    areas = words([CHEST[name] for name in names], EVERYWHERE, "chest", lung=with_air).words
    assert areas.tolist() == names


def test_air_over_both_shoulders_that_is_taken_for_lung_leaves_two_lungs():
    with_air = LUNGS | drawn([("line", 45, 20, 45, 280, 24), ("line", 45, 105, 90, 105, 24)])
    names = [name for name, (row, _) in CHEST.items() if row > 100]
    areas = words([CHEST[name] for name in names], EVERYWHERE, "chest", lung=with_air).words
    assert (areas == names).mean() > 0.8


def test_soft_tissue_over_the_shoulders_that_may_be_lung_is_shoulder():
    leaks = drawn([("line", 65, 40, 65, 100, 30), ("line", 65, 200, 65, 260, 30)])
    for lung in (np.where(LUNGS, 0.95, 0.6 * leaks), LUNGS | leaks):
        areas = words(list(CHEST.values()), EVERYWHERE, "chest", lung=lung).words
        assert areas.tolist() == list(CHEST)


def test_of_lungs_one_above_the_other_no_area_is_told():
    stacked = drawn([("line", 60, 20, 60, 280, 60), ("ellipse", 230, 230, 50, 40)])
    found = words([(150, 100)], EVERYWHERE, "chest", lung=stacked)
    assert not found.areas.any()


def test_ribs_beside_the_lungs_belong_to_the_rib_cage():
    found = words([(150, 63), (150, 237)], EVERYWHERE, "chest", lung=LUNGS)
    assert set(found.areas) == {"rib cage"}
    assert set(found.areas) <= set(INNER_AREAS)


@pytest.mark.parametrize(
    ("lung", "view"), [(np.zeros(SHAPE, bool), ""), (drawn([("ellipse", 150, 150, 90, 80)]), ""), (LUNGS, "LL")]
)
def test_without_two_lungs_on_a_frontal_film_no_side_of_the_patient_is_claimed(lung, view):
    found = words([(150, 100), (290, 290)], EVERYWHERE, "chest", lung=lung, view=view)
    assert found.words.tolist() == ["middle third, image left", "lower third, image right"]
    assert not found.areas.any()


# --- hands ------------------------------------------------------------------------------------------------------

HAND = [
    ("ellipse", 180, 150, 42, 42),
    ("line", 180, 150, 299, 150, 50),  # wrist and forearm
    ("line", 150, 122, 60, 100, 16),
    ("line", 150, 140, 45, 133, 16),
    ("line", 150, 160, 50, 167, 16),
    ("line", 150, 178, 70, 200, 16),
    ("line", 185, 150, 125, 70, 18),  # the thumb, on image left
]
HAND_POINTS = {
    "first digit": (133, 80),
    "second digit": (70, 102),
    "third digit": (60, 134),
    "fourth digit": (60, 165),
    "fifth digit": (80, 197),
    "base of the second digit": (148, 128),
    "base of the fifth digit": (158, 184),
    "metacarpus": (175, 155),
    "radial side of the wrist": (225, 135),
    "ulnar side of the wrist": (225, 165),
    "wrist": (225, 152),
}


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_digits_and_sides_of_a_hand_however_it_is_laid(turn, mirror):
    grid = np.zeros((2, *SHAPE))
    grid[:] = np.indices(SHAPE)
    hand = drawn(HAND)
    turned, where = (np.rot90(a[..., ::-1] if mirror else a, turn, axes=(-2, -1)) for a in (hand, grid))
    points = [
        np.unravel_index(int((np.abs(where[0] - row) + np.abs(where[1] - col)).argmin()), SHAPE)
        for row, col in HAND_POINTS.values()
    ]
    assert words(points, turned, "hand").words.tolist() == list(HAND_POINTS)


def test_a_header_gives_the_side_of_one_hand():
    assert words([(60, 134), (225, 135)], drawn(HAND), "wrist", laterality="L").words.tolist() == [
        "left third digit",
        "radial side of the left wrist",
    ]


def test_without_a_thumb_digits_have_no_number_and_the_wrist_no_sides():
    fist = drawn(HAND[:-1])
    assert words([(60, 134), (225, 135)], fist, "hand").words.tolist() == ["digit", "wrist"]


def test_no_outline_against_air_leaves_the_region_alone():
    assert words([(60, 134)], EVERYWHERE, "hand").words.tolist() == ["hand"]


WRIST, CARPAL_CENTRES = (225, 152), drawn([("ellipse", 215, 140, 6, 6), ("ellipse", 215, 160, 6, 6)])


@pytest.mark.parametrize(
    ("bone", "pixel_mm", "area"),
    [
        (CARPAL_CENTRES, 0.5, "growing wrist"),
        (CARPAL_CENTRES, None, "growing wrist"),
        (CARPAL_CENTRES, 1.0, "wrist"),  # of a palm of 42 mm
        (drawn(HAND), 0.5, "wrist"),
    ],
)
def test_a_small_hand_with_an_open_carpus_is_a_growing_one(bone, pixel_mm, area):
    found = words([WRIST], drawn(HAND), "hand", bone=bone, pixel_mm=pixel_mm)
    assert (found.areas.tolist(), found.words.tolist()) == ([area], ["wrist"])


def test_two_hands_are_two_limbs_of_no_known_side():
    one = drawn(HAND)
    both = np.hstack([one[:, ::-1], one])
    found = words([(60, 300 - 1 - 134), (60, 300 + 134)], both, "hand")
    assert found.limbs == 2
    assert found.words.tolist() == ["image-left third digit", "image-right third digit"]


# --- legs, shoulders, hips --------------------------------------------------------------------------------------

LEG = drawn([("line", 0, 150, 299, 150, 90)])
LEG_BONE = drawn([("line", 0, 150, 299, 150, 24), ("ellipse", 150, 150, 15, 36)])


def test_a_knee_has_thigh_above_and_lower_leg_below():
    found = words([(40, 150), (150, 150), (260, 150)], LEG, "knee", bone=LEG_BONE, laterality="R")
    assert found.words.tolist() == ["right thigh", "right knee", "right lower leg"]


@pytest.mark.parametrize(
    ("laterality", "view", "expected"),
    [
        ("R", "AP", "lateral side of the right knee"),
        ("L", "AP", "medial side of the left knee"),
        ("R", "", "right knee"),
        ("", "AP", "knee"),
        ("R", "LATERAL", "right knee"),
    ],
)
def test_medial_and_lateral_need_a_side_and_a_frontal_view(laterality, view, expected):
    found = words([(150, 120)], LEG, "knee", bone=LEG_BONE, laterality=laterality, view=view)
    assert found.words.tolist() == [expected]


@pytest.mark.parametrize(
    ("laterality", "view", "expected"),
    [("", "", "image-left knee"), ("B", "", "right knee"), ("", "AP", "medial side of the right knee")],
)
def test_two_legs_are_right_and_left_on_a_film_known_to_be_frontal(laterality, view, expected):
    body, bone = (np.hstack([mask, mask]) for mask in (LEG, LEG_BONE))
    assert words([(150, 180)], body, "knee", bone=bone, laterality=laterality, view=view).words.tolist() == [expected]


def test_two_limbs_of_no_known_region_are_thirds_of_the_picture():
    assert words([(250, 30)], np.hstack([LEG, LEG]), "other").words.tolist() == ["lower third, image left"]


def test_a_speck_beside_a_limb_is_no_second_limb():
    body = LEG.copy()
    body[10:20, 5:15] = True
    assert len(find_limbs(body)) == 1


def lines(*strokes):
    return drawn([("line", *stroke) for stroke in strokes])


ELBOW_LIMB = lines((0, 100, 170, 100, 70), (170, 100, 170, 299, 70))
ELBOW_BONE = lines((0, 100, 160, 100, 20), (158, 100, 158, 299, 10), (182, 100, 182, 299, 10)) | drawn(
    [("ellipse", 170, 100, 24, 24)]
)
ELBOW_POINTS = {
    "upper arm": (40, 125),
    "forearm": (140, 260),
    "front of the elbow": (140, 125),
    "olecranon side of the elbow": (195, 80),
}


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_bent_elbow_has_a_front_and_an_olecranon_side_however_it_lies(turn, mirror):
    grid = np.array(np.indices(SHAPE))
    limb, bone, grid = (
        np.rot90(a[..., ::-1] if mirror else a, turn, axes=(-2, -1)) for a in (ELBOW_LIMB, ELBOW_BONE, grid)
    )
    points = [
        np.unravel_index(int((np.abs(grid[0] - row) + np.abs(grid[1] - col)).argmin()), SHAPE)
        for row, col in ELBOW_POINTS.values()
    ]
    assert words(points, limb, "elbow", bone=bone).words.tolist() == list(ELBOW_POINTS)


def test_a_straight_elbow_names_no_halves_and_no_sides():
    found = words([(150, 120), (30, 120), (280, 120)], LEG, "elbow", bone=LEG_BONE, laterality="R", view="AP")
    assert found.words.tolist() == ["right elbow", "right arm", "right arm"]


BENT_KNEE_BONE = lines((20, 220, 150, 130, 24), (150, 130, 290, 220, 24)) | drawn([("ellipse", 150, 130, 28, 28)])


def test_a_bent_knee_has_a_popliteal_fossa_and_a_suprapatellar_region():
    points = [(150, 165), (150, 100), (95, 110), (20, 200), (280, 240)]
    found = words(points, EVERYWHERE, "knee", bone=BENT_KNEE_BONE, laterality="L")
    places = ["popliteal fossa", "front of the knee", "suprapatellar region", "thigh", "lower leg"]
    assert found.words.tolist() == [f"left {place}" for place in places]


FAN = ((150, 128, 40, 110, 12), (150, 140, 35, 132, 8), (150, 152, 38, 154, 8), (150, 164, 45, 180, 7))
FOOT_BONE = lines(*FAN, (160, 146, 290, 146, 24)) | drawn([("ellipse", 175, 146, 26, 26)])
FOOT_POINTS = {
    "great toe": (50, 106),
    "base of the great toe": (85, 112),
    "toes": (50, 165),
    "medial side of the metatarsus": (112, 118),
    "lateral side of the metatarsus": (112, 178),
    "hindfoot": (220, 146),
}


@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_a_foot_from_above_is_told_by_its_metatarsals_and_the_thickest_of_them(mirror, turned):
    bone, points = FOOT_BONE, np.array(list(FOOT_POINTS.values()))
    if mirror:
        bone, points = bone[:, ::-1], points * (1, -1) + (0, SHAPE[1] - 1)
    if turned:
        bone, points = bone[::-1], points * (-1, 1) + (SHAPE[0] - 1, 0)
    assert words(points, EVERYWHERE, "foot", bone=bone).words.tolist() == list(FOOT_POINTS)


def test_a_foot_whose_outer_metatarsals_are_equally_thick_has_no_great_toe():
    even = lines(*((*stroke[:4], 8) for stroke in FAN), (160, 146, 290, 146, 24))
    found = words(list(FOOT_POINTS.values()), EVERYWHERE, "foot", bone=even | drawn([("ellipse", 175, 146, 26, 26)]))
    assert found.words.tolist() == ["toes", "metatarsus", "toes", "metatarsus", "metatarsus", "hindfoot"]


def test_an_ankle_from_the_side_has_a_heel_and_a_back():
    bone = lines((0, 200, 150, 200, 26), (150, 200, 190, 40, 24)) | drawn([("ellipse", 150, 200, 30, 30)])
    points = [(30, 230), (150, 190), (140, 235), (190, 230), (180, 150), (200, 60)]
    places = ["lower leg", "ankle", "back of the ankle", "heel", "midfoot", "forefoot"]
    assert words(points, EVERYWHERE, "foot", bone=bone, laterality="R").words.tolist() == [f"right {p}" for p in places]


def test_an_ankle_seen_from_before_may_be_of_foot_or_ankle():
    assert words([(200, 120)], LEG, "foot", bone=LEG_BONE).words.tolist() == ["foot or ankle"]


@pytest.mark.parametrize(("mirror", "side"), [(False, "left"), (True, "right")])
def test_one_hip_has_four_quarters_by_the_side_with_air(mirror, side):
    body, bone = EVERYWHERE.copy(), lines((0, 60, 120, 130, 30), (120, 130, 299, 200, 26))
    body[:, 240:] = False
    bone |= drawn([("ellipse", 120, 130, 30, 30)])
    points = {"hip": (120, 130), "greater trochanter": (160, 190), "buttock": (60, 200), "groin": (160, 70)}
    points |= {"pelvis": (60, 30), "thigh": (270, 150)}
    if mirror:
        body, bone = body[:, ::-1], bone[:, ::-1]
    at = [(row, 299 - col if mirror else col) for row, col in points.values()]
    found = words(at, body, "hip", bone=bone, pixel_mm=0.9)
    assert found.words.tolist() == [f"{side} {place}" for place in points]


def shoulder(mirror=False):
    body = drawn([("ellipse", 200, 300, 180, 250)])
    return body[:, ::-1] if mirror else body


@pytest.mark.parametrize(("mirror", "side"), [(False, "right"), (True, "left")])
def test_a_shoulder_lies_on_the_side_with_air(mirror, side):
    cols = [120, 80, 200, 290]
    points = [(row, 299 - col if mirror else col) for row, col in zip([60, 250, 250, 250], cols, strict=True)]
    found = words(points, shoulder(mirror), "shoulder", pixel_mm=0.8)
    assert found.words.tolist() == [f"{side} {area}" for area in ("shoulder", "upper arm", "axilla", "chest")]


def test_a_shoulder_without_air_has_no_side():
    assert words([(60, 120)], EVERYWHERE, "shoulder").words.tolist() == ["shoulder"]


def test_a_pelvis_lies_between_the_hips():
    points = [(150, 150), (150, 50), (150, 250), (280, 150)]
    assert words(points, EVERYWHERE, "hip").words.tolist() == ["pelvis", "right hip", "left hip", "left thigh"]
    assert words(points[:1], EVERYWHERE, "hip", laterality="L").words.tolist() == ["left hip"]


@pytest.mark.parametrize("region", ["chest", "shoulder", "hand", "knee", "hip", "elbow", "foot", "other"])
def test_no_place_and_no_body_are_no_trouble(region):
    assert words([], EVERYWHERE, region).words.tolist() == []
    assert len(words([(5, 5)], np.zeros(SHAPE, bool), region).words) == 1
