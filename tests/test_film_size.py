"""How large a film of unknown pitch is, judged by the size of its structures."""

import dataclasses

import numpy as np
import pytest
from limbs import film, limb_pixels

from calcidetect import pipeline
from calcidetect.anatomy import film_size
from calcidetect.anatomy.region_model import Look, load_model
from calcidetect.config import Config
from calcidetect.phantom import make_phantom
from calcidetect.trees import BoostedTables
from calcidetect.types import Field, Radiograph, Source

CHANCES = dict.fromkeys(load_model().looks, 0.0) | {"hand": 0.75, "wrist": 0.25}
LOOK = Look(chances=CHANCES, field_mm=250.0, strange=False)


def open_field(shape):
    return Field(mask=np.ones(shape, bool), air=np.zeros(shape, bool), metal=np.zeros(shape, bool))


def constant(change):
    """Tables that tell every film the same change of log size."""
    return BoostedTables(
        names=("log_side",),
        feature=np.zeros((1, 1), np.intp),
        threshold=np.zeros((1, 1), np.float32),
        leaf=np.zeros((1, 2), np.float32),
        bias=change,
    )


def limb():
    pixels, _ = limb_pixels()
    return film(pixels), open_field(pixels.shape)


@pytest.mark.parametrize(("change", "factor"), [(0.0, 1.0), (-0.5, np.exp(-0.5)), (9.0, np.exp(film_size.MOST_CHANGE))])
def test_the_side_assumed_is_changed_by_what_the_tables_say(change, factor):
    radiograph, field = limb()
    assumed_mm = max(radiograph.pixels.shape) * radiograph.grid.nominal_mm
    side_mm = film_size.judge_side_mm(radiograph, field, look=LOOK, tables=constant(change))
    assert side_mm == pytest.approx(assumed_mm * factor, rel=1e-5)


def test_a_film_taken_for_larger_than_any_of_the_fit_stays_so():
    radiograph, field = limb()
    grid = dataclasses.replace(radiograph.grid, nominal_mm=900 / max(radiograph.pixels.shape))
    side_mm = film_size.judge_side_mm(
        dataclasses.replace(radiograph, grid=grid), field, look=LOOK, tables=constant(-0.5)
    )
    assert side_mm == pytest.approx(900, rel=1e-5)


def test_gain_and_offset_change_no_feature():
    radiograph, field = limb()
    other = dataclasses.replace(radiograph, pixels=16 * radiograph.pixels + 50)
    one, another = (film_size.size_features(each, field, look=LOOK) for each in (radiograph, other))
    assert one == pytest.approx(another, abs=1e-3)


def test_coarser_structures_lie_in_wider_bands():
    rows, cols = np.mgrid[:200, :200]

    def widest_band(period):
        radiograph = film((100 + 20 * np.sin(2 * np.pi * cols / period)).astype(np.float32) + 0 * rows)
        features = film_size.size_features(radiograph, open_field((200, 200)), look=LOOK)
        return max(range(len(film_size.BANDS_MM)), key=lambda k: features[f"band_{k}"])

    assert widest_band(8) < widest_band(32)


def test_a_flat_film_has_a_size():
    radiograph = film(np.full((50, 60), 7, np.float32))
    assert np.isfinite(film_size.judge_side_mm(radiograph, open_field((50, 60)), look=LOOK))


def test_a_close_up_is_judged_smaller_than_the_whole():
    phantom = make_phantom("shoulder", seed=3, spacing_mm=0.3)
    rows, cols = phantom.pixels.shape
    parts = (slice(None), slice(None)), (slice(rows // 5, 3 * rows // 5), slice(cols // 5, 3 * cols // 5))
    whole_mm, part_mm = (_side_mm(phantom.pixels[part].astype(np.float32)) for part in parts)
    assert part_mm < 0.75 * whole_mm


def _side_mm(pixels):
    grid = dataclasses.replace(film(pixels).grid, spacing_mm=None, spacing_source="none", nominal_mm=1.0)
    radiograph = Radiograph(
        pixels=np.ascontiguousarray(pixels),
        valid=np.ones(pixels.shape, bool),
        grid=grid,
        source=Source(path="part", pixel_hash=""),
    )
    seen = pipeline.find_region(radiograph, Config())
    working, field = seen.working, seen.field
    return film_size.longer_side(field) * working.grid.nominal_mm
