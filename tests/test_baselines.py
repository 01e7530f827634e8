import numpy as np
import pytest
from limbs import PIXEL_MM, film

from calcidetect import ops
from calcidetect.evaluate import Truth, hits


@pytest.fixture
def baselines(script):
    return script("baselines")


SHAPE = (240, 200)


def film_with_disc(row=150, col=55, radius=6, step=8.0):
    """Soft tissue that fills the film, a slope and grain on it, and one bright disc."""
    rows, cols = np.indices(SHAPE)
    grain = ops.gaussian(np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32), 0.8)
    pixels = 100 + 0.1 * cols + grain + step * (np.hypot(rows - row, cols - col) <= radius)
    box = (col - radius, row - radius, col + radius + 1, row + radius + 1)
    return film(pixels), Truth(box=box, row=row, col=col)


@pytest.mark.parametrize("name", ["top_hat", "difference_of_gaussians"])
def test_a_plain_disc_is_found_by_falling_score(baselines, name):
    radiograph, truth = film_with_disc()
    marks = getattr(baselines, name)(radiograph)
    assert hits(marks[:1], [truth], pixel_mm=PIXEL_MM).tolist() == [0]
    assert [mark.score for mark in marks] == sorted((mark.score for mark in marks), reverse=True)
    for mark in marks:
        assert 0 <= mark.x0 < mark.x1 <= SHAPE[1]
        assert 0 <= mark.y0 < mark.y1 <= SHAPE[0]


@pytest.mark.parametrize("name", ["top_hat", "difference_of_gaussians"])
def test_a_stronger_disc_scores_higher(baselines, name):
    faint, strong = (getattr(baselines, name)(film_with_disc(step=step)[0])[0].score for step in (4.0, 7.0))
    assert faint < strong


@pytest.mark.parametrize("name", ["top_hat", "difference_of_gaussians"])
def test_marks_on_a_coarser_working_grid_come_back_in_source_pixels(baselines, name):
    radiograph, truth = film_with_disc()
    fine = film(np.kron(radiograph.pixels, np.ones((2, 2), np.float32)), spacing_mm=PIXEL_MM / 2)
    mark = getattr(baselines, name)(fine)[0]
    assert (mark.row, mark.col) == pytest.approx((2 * truth.row + 0.5, 2 * truth.col + 0.5), abs=2.5)
    assert mark.x1 - mark.x0 == pytest.approx(26, rel=0.5)
