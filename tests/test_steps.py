"""Bone, background, candidates and measurement on a limb made by hand."""

import numpy as np
import pytest
from limbs import BODY_COLS, BONE_COLS, CORTEX, MARROW, PIXEL_MM, SHAPE, SOFT, field, film, limb_pixels, with_disc

from calcidetect import ops
from calcidetect.anatomy.background import estimate_background
from calcidetect.anatomy.bone import bone_step, segment_bone
from calcidetect.anatomy.pixel_features import film_planes
from calcidetect.candidates.blobs import film_blobs
from calcidetect.candidates.detect import find_candidates
from calcidetect.candidates.features import candidate_features
from calcidetect.candidates.measure import measure
from calcidetect.config import Config
from calcidetect.types import Anatomy

CONFIG = Config()
DISC = {"row": 150, "col": 55, "radius": 6}


def true_anatomy(bone, step=8.0):
    return Anatomy(
        bone=bone,
        bone_probability=bone.astype(np.float32),
        lung_probability=np.zeros(bone.shape, np.float32),
        body=field().body,
        bone_distance_px=ops.distance(bone),
        skin_distance_px=ops.distance(~field().body),
        bone_step=step,
        confidence=1.0,
    )


def planes_of(radiograph):
    return film_planes(radiograph, field(), pixel_mm=CONFIG.bone.pixel_mm)


def segmented(radiograph):
    return segment_bone(radiograph, field(), planes=planes_of(radiograph), settings=CONFIG.bone)


def candidates_of(pixels, bone):
    radiograph, anatomy = film(pixels), true_anatomy(bone)
    labels = find_candidates(
        radiograph, anatomy, blobs=film_blobs(radiograph, anatomy, settings=CONFIG.detect), settings=CONFIG.detect
    )
    features = features_of(labels, radiograph, anatomy)
    return labels, features, measure(radiograph, labels, features=features, kinds=["calcification"] * int(labels.max()))


def features_of(labels, radiograph, anatomy):
    return candidate_features(
        labels,
        radiograph=radiograph,
        field=field(),
        planes=planes_of(radiograph),
        anatomy=anatomy,
        background=estimate_background(radiograph, anatomy, settings=CONFIG.background),
        blobs=film_blobs(radiograph, anatomy, settings=CONFIG.detect),
        thorax=None,
    )


def best_at(candidates, row, col):
    here = [c for c in candidates if c.y0 <= row < c.y1 and c.x0 <= col < c.x1]
    return max(here, key=lambda c: c.contrast_bone)


def test_bone_of_a_limb_is_found():
    pixels, bone = limb_pixels()
    anatomy = segmented(film(pixels))
    overlap = 2 * (anatomy.bone & bone).sum() / (anatomy.bone.sum() + bone.sum())
    assert overlap > 0.8
    assert 0 < anatomy.confidence <= 1
    assert (anatomy.bone_distance_px[bone & anatomy.bone] == 0).all()


@pytest.mark.parametrize(("gain", "offset"), [(37.0, -500.0), (0.01, 4.0)])
def test_gain_and_offset_do_not_change_bone(gain, offset):
    pixels, _ = limb_pixels()
    plain = segmented(film(pixels))
    other = segmented(film(gain * pixels + offset))
    assert (plain.bone != other.bone).mean() < 0.002  # float32 rounding moves single border pixels
    assert other.bone_step == pytest.approx(gain * plain.bone_step, rel=0.02)


def test_bone_step_is_cortex_and_marrow_less_soft_tissue():
    pixels, bone = limb_pixels(noise=0)
    assert MARROW - SOFT < bone_step(pixels, bone, body=field().body, pixel_mm=PIXEL_MM) < CORTEX - SOFT


def test_bone_that_the_mask_leaves_out_beside_two_thirds_of_its_border_does_not_lessen_the_bone_step():
    pixels, bone = limb_pixels()[:2]
    part, cols = bone.copy(), np.flatnonzero(bone.any(axis=0))
    part[:, cols[len(cols) // 2] :] = False  # bone on both sides of this border, and of the next
    part[SHAPE[0] // 4 : SHAPE[0] // 2, : cols[len(cols) // 4]] = False
    body = field().body
    assert bone_step(pixels, part, body=body, pixel_mm=PIXEL_MM) == pytest.approx(
        bone_step(pixels, bone, body=body, pixel_mm=PIXEL_MM), rel=0.2
    )


def test_without_bone_the_step_falls_back_on_the_bodys_range():
    pixels, _ = limb_pixels()
    assert bone_step(pixels, np.zeros(SHAPE, bool), body=field().body, pixel_mm=PIXEL_MM) > 0


def test_background_is_the_soft_level_under_bone_and_deposit():
    pixels, bone = limb_pixels()
    pixels = with_disc(pixels, **DISC, height=6)
    tissue = estimate_background(film(pixels), true_anatomy(bone), settings=CONFIG.background)
    assert tissue.level[150, 55] == pytest.approx(SOFT, abs=0.5)
    assert tissue.level[150, 100] == pytest.approx(SOFT, abs=0.5)
    assert (tissue.noise > 0).all()
    assert tissue.usable[150, 55]
    assert not tissue.usable[150, 5]


def test_a_deposit_beside_bone_is_outlined_and_measured():
    pixels, bone = limb_pixels()
    labels, _, candidates = candidates_of(with_disc(pixels, **DISC, height=6), bone)
    found = best_at(candidates, 150, 55)
    assert (found.row, found.col) == pytest.approx((150, 55), abs=0.5)
    assert found.diameter_mm == pytest.approx(2 * 6 * PIXEL_MM, rel=0.15)
    assert found.contrast_bone == pytest.approx(6 / 8, rel=0.15)
    assert found.bone_distance_mm == pytest.approx((BONE_COLS.start - 55 - 6) * PIXEL_MM, abs=1.0)
    assert found.area_px == (labels == found.id).sum()
    outline = np.array(found.contour)
    assert np.hypot(outline[:, 0] - 150, outline[:, 1] - 55).max() < 8


@pytest.mark.parametrize("radius", [2, 4, 12, 30])
def test_deposits_of_every_size_have_a_candidate(radius):
    soft = np.where(field().body, np.float32(SOFT), np.float32(0))
    pixels = with_disc(soft, row=150, col=100, radius=radius, height=4)
    _, _, candidates = candidates_of(pixels, np.zeros(SHAPE, bool))
    found = best_at(candidates, 150, 100)
    assert found.diameter_mm == pytest.approx(2 * radius * PIXEL_MM, rel=0.25)  # a faint one may be outlined in part


def test_candidates_lie_in_the_body_only():
    pixels, bone = limb_pixels()
    pixels = with_disc(pixels, row=50, col=15, radius=5, height=20)  # a marker in the air
    labels, _, candidates = candidates_of(pixels, bone)
    assert not labels[:, : BODY_COLS.start].any()
    assert all(c.x0 >= BODY_COLS.start for c in candidates)


def test_labels_are_numbered_without_gaps_and_features_are_finite():
    labels, features, candidates = candidates_of(*limb_pixels())
    assert sorted(set(labels.ravel().tolist()) - {0}) == list(range(1, len(candidates) + 1))
    for name, column in features.items():
        assert column.shape == (len(candidates),), name
        assert np.isfinite(column).all(), name


def test_one_more_deposit_far_away_leaves_the_first_as_it_was():
    pixels, bone = limb_pixels()
    one = with_disc(pixels, **DISC, height=6)
    alone = best_at(candidates_of(one, bone)[2], 150, 55)
    both = best_at(candidates_of(with_disc(one, row=30, col=145, radius=5, height=6), bone)[2], 150, 55)
    assert (alone.x0, alone.y0, alone.x1, alone.y1) == (both.x0, both.y0, both.x1, both.y1)
    assert both.contrast_bone == pytest.approx(alone.contrast_bone, rel=0.02)


def test_a_transposed_film_gives_transposed_candidates():
    pixels, bone = limb_pixels()
    pixels = with_disc(pixels, **DISC, height=6)
    straight = best_at(candidates_of(pixels, bone)[2], 150, 55)
    flipped = best_at(candidates_of(pixels[::-1].copy(), bone[::-1].copy())[2], SHAPE[0] - 1 - 150, 55)
    assert flipped.row == pytest.approx(SHAPE[0] - 1 - straight.row, abs=0.5)
    assert flipped.area_px == pytest.approx(straight.area_px, rel=0.05)


def test_a_film_of_nothing_but_soft_tissue_measures_no_candidates_without_trouble():
    empty = np.zeros(SHAPE, np.int32)
    radiograph, anatomy = film(limb_pixels()[0]), true_anatomy(limb_pixels()[1])
    assert features_of(empty, radiograph, anatomy) == {}
    assert measure(radiograph, empty, features={}, kinds=[]) == ()


def test_a_candidate_of_several_parts_has_one_outline_around_them_and_the_measures_of_the_whole():
    labels = np.zeros(SHAPE, np.int32)
    labels[40:44, 20:24] = labels[40:44, 28:32] = 1
    names = ("score", "bone_distance_mm", "sigmas_mean", "contrast_mean")
    features = {name: np.array([0.5]) for name in names}
    (candidate,) = measure(
        film(limb_pixels()[0]),
        labels,
        features=features,
        kinds=["calcification"],
        zones=["left wrist"],
        whole={"contrast_mean": np.array([2.0]), "bone_distance_mm": np.array([9.0])},
    )
    outline = np.array(candidate.contour)
    assert (candidate.x0, candidate.x1, candidate.y0, candidate.y1) == (20, 32, 40, 44)
    assert (outline.min(axis=0).tolist(), outline.max(axis=0).tolist()) == ([40, 20], [43, 31])
    assert candidate.area_px == 32
    assert (candidate.contrast_bone, candidate.features["contrast_mean"]) == (2.0, 0.5)
    assert (candidate.zone, candidate.flags) == ("left wrist", ("several_parts",))
