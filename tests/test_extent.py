"""How far a mark reaches beyond the bright core that it was found by."""

import dataclasses

import cv2
import numpy as np
import pytest
from films import radiograph_of

from calcidetect.candidates.extent import full_extent
from calcidetect.types import Anatomy

PIXEL_MM = 0.4
SHAPE = (100, 120)


def anatomy(bone=None):
    nothing = np.zeros(SHAPE, bool)
    zeros = np.zeros(SHAPE, np.float32)
    return Anatomy(
        bone=nothing if bone is None else bone,
        bone_probability=zeros,
        lung_probability=zeros,
        body=~nothing,
        bone_distance_px=zeros,
        skin_distance_px=zeros,
        bone_step=1.0,
        confidence=1.0,
    )


def extent(radiograph, labels, bones=None, *, taken=None, count=1):
    bones = anatomy() if bones is None else bones
    return full_extent(radiograph, labels, anatomy=bones, taken=labels > 0 if taken is None else taken, count=count)


def disc(row, col, radius):
    rows, cols = np.indices(SHAPE)
    return np.hypot(rows - row, cols - col) <= radius


def film(*deposits, slope=0.0, noise=0.0):
    """Deposits of height 1, their edges blurred, on a slope; `noise` is the sigma of grain."""
    pixels = slope * np.indices(SHAPE)[1] + np.random.default_rng(3).normal(0, max(noise, 1e-6), SHAPE)
    pixels += cv2.GaussianBlur(np.any(deposits, axis=0).astype(np.float64), (0, 0), 1.0)
    return radiograph_of(pixels.astype(np.float32), PIXEL_MM)


def cores(*masks):
    labels = np.zeros(SHAPE, np.int32)
    for number, mask in enumerate(masks, start=1):
        labels[mask] = number
    return labels


def overlap(found, truth):
    return 2 * (found & truth).sum() / (found.sum() + truth.sum())


@pytest.mark.parametrize("slope", [0.0, 0.05])
def test_a_core_grows_to_its_deposit_on_any_slope(slope):
    deposit, core = disc(50, 60, 7), disc(50, 60, 4)
    grown = extent(film(deposit, slope=slope, noise=0.02), cores(core)) == 1
    assert overlap(core, deposit) < 0.6
    assert overlap(grown, deposit) > 0.9


def test_grain_around_a_faint_core_is_not_taken_in():
    deposit = disc(50, 60, 6)
    grown = extent(film(deposit, noise=0.25), cores(deposit)) == 1
    assert grown.sum() < 1.25 * deposit.sum()


def test_only_the_first_candidates_grow_and_none_shrinks():
    deposits, labels = (disc(50, 30, 7), disc(50, 90, 7)), cores(disc(50, 30, 4), disc(50, 90, 4))
    grown = extent(film(*deposits), labels)
    assert ((grown == 2) == (labels == 2)).all()
    assert (grown == 1)[labels == 1].all()
    assert (grown == 1).sum() > (labels == 1).sum()


def test_it_grows_neither_into_bone_nor_into_another_candidate():
    deposit = disc(50, 60, 8)
    bone = np.zeros(SHAPE, bool)
    bone[:, 64:] = True
    labels = cores(disc(50, 60, 3), disc(44, 60, 2))
    grown = extent(film(deposit), labels, anatomy(bone), count=2)
    assert not (grown > 0)[bone & (labels == 0)].any()
    assert (grown == 2)[labels == 2].all()
    assert (grown == 1).sum() > (labels == 1).sum()


def test_candidates_that_are_not_reported_bound_it_all_the_same():
    deposit, other = disc(50, 60, 8), disc(44, 60, 2)
    core = cores(disc(50, 60, 3))
    alone, beside = (extent(film(deposit), core, taken=taken) for taken in (core > 0, (core > 0) | other))
    reported = extent(film(deposit), cores(disc(50, 60, 3), other))
    assert (alone == 1)[other].all()
    assert ((beside == 1) == (reported == 1)).all()
    assert not (beside == 1)[other].any()


def test_what_is_bright_but_apart_is_no_part():
    grown = extent(film(disc(50, 50, 4), disc(50, 62, 4)), cores(disc(50, 50, 3)))
    assert not (grown == 1)[disc(50, 62, 3)].any()


def test_at_a_corner_of_the_film_it_stays_on_it():
    deposit = disc(0, 0, 7)
    grown = extent(film(deposit), cores(disc(0, 0, 4))) == 1
    assert overlap(grown, deposit) > 0.8


def test_without_soft_tissue_around_a_core_stays_as_it_is():
    body = disc(50, 60, 5)
    alone = dataclasses.replace(anatomy(), body=body)
    labels = cores(disc(50, 60, 3))
    assert (extent(film(body), labels, alone) == labels).all()


def test_without_candidates_nothing_happens():
    labels = np.zeros(SHAPE, np.int32)
    assert not extent(film(disc(50, 60, 5)), labels, count=0).any()
