"""The same film comes in another way: what is surely marked stays marked."""

import numpy as np
import pytest
from films import radiograph_of

from calcidetect import ops
from calcidetect.phantom import make_phantom
from calcidetect.pipeline import scan

SPACING_MM = 0.4
SURE, STILL = 0.7, 0.4
"""Marks of at least the first score must be candidates of at least the second: scores move, marks don't come and go."""

NEAR_MM = 2.0
KEPT = 0.85
"""Least share of them; single faint ones may go where the film's grey levels or pixels are halved."""


def levels():
    """Grey levels of a shoulder with deposits, 0 to 1."""
    pixels = make_phantom("shoulder", seed=3, spacing_mm=SPACING_MM).pixels.astype(np.float32)
    return (pixels - pixels.min()) / np.ptp(pixels)


def marks_of(pixels, spacing_mm):
    return scan(radiograph_of(pixels, spacing_mm), region="shoulder", min_score=0.05).report.marks


def places(pixels, spacing_mm=SPACING_MM):
    """Centres and outlines (row, col) of all candidates for calcification, and the score of each point's candidate.

    Which granules make a cluster moves its centre by more than the mark.
    """
    marks = marks_of(pixels, spacing_mm)
    points = [(point, mark.score) for mark in marks for point in ((mark.row, mark.col), *mark.contour)]
    return np.array([at for at, _ in points]).reshape(-1, 2), np.array([score for _, score in points])


@pytest.fixture(scope="module")
def sure():
    at = np.array([(mark.row, mark.col) for mark in marks_of(levels() * 4000, SPACING_MM) if mark.score >= SURE])
    assert len(at) >= 3, "the phantom has deposits that are surely marked"
    return at


def kept(sure, at, score, reach=NEAR_MM / SPACING_MM):
    distance = np.hypot(*(sure[:, None] - at[score >= STILL][None]).transpose(2, 0, 1))
    return (distance.min(axis=1, initial=np.inf) <= reach).mean()


@pytest.mark.parametrize("gamma", [0.7, 1.4])
def test_another_display_curve_keeps_the_marks(sure, gamma):
    assert kept(sure, *places(4000 * levels() ** gamma)) >= KEPT


@pytest.mark.parametrize("top", [255, 4095])
def test_eight_or_twelve_bits_keep_the_marks(sure, top):
    assert kept(sure, *places(np.round(levels() * top))) >= KEPT


def test_a_mirrored_film_has_mirrored_marks(sure):
    at, score = places(4000 * levels()[:, ::-1])
    assert kept(sure, np.stack([at[:, 0], levels().shape[1] - 1 - at[:, 1]], axis=1), score) >= KEPT


def test_a_film_on_its_side_has_its_marks_turned(sure):
    at, score = places(4000 * np.rot90(levels()))
    assert kept(sure, np.stack([at[:, 1], levels().shape[1] - 1 - at[:, 0]], axis=1), score) >= KEPT


def test_half_the_pixels_keep_the_marks(sure):
    rows, cols = (side // 2 for side in levels().shape)
    small = ops.resize_area(np.ascontiguousarray(4000 * levels()[: 2 * rows, : 2 * cols]), (rows, cols))
    at, score = places(small, 2 * SPACING_MM)
    assert kept(sure, 2 * at + 0.5, score) >= KEPT
