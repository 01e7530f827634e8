"""Tables fitted on top of others are one file with them."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from calcidetect import ops
from calcidetect.reading import readers
from calcidetect.trees import log_odds, parse_tables

pytest.importorskip("catboost", reason="the extra 'fit' is not installed")

SAMPLES = Path(__file__).parents[1] / "sample_images"

ONE = {"names": ["size", "sharpness"], "feature": [[1]], "threshold": [[0.5]], "leaf": [[-1.0, 2.0]], "bias": 0.25}
OTHER = {
    "names": ["place", "size"],
    "feature": [[0, 1], [1, 1]],
    "threshold": [[3.0, 1.0], [0.0, 2.0]],
    "leaf": [[0.1, 0.2, 0.3, 0.4], [-0.5, 0.5, 0.0, 1.0]],
    "bias": -1.0,
}


@pytest.fixture
def refine(script):
    return script("refine_score")


def scores(content, samples):
    tables = parse_tables(json.dumps(content))
    return log_odds(tables, [samples[name] for name in tables.names])


def test_both_tables_as_one_say_the_sum(refine):
    rng = np.random.default_rng(0)
    samples = {name: rng.uniform(-1, 4, 200).astype(np.float32) for name in ("size", "sharpness", "place")}
    sum_of_both = scores(ONE, samples) + scores(OTHER, samples)
    assert scores(refine.both(ONE, OTHER), samples) == pytest.approx(sum_of_both, abs=1e-5)
    assert np.ptp(sum_of_both) > 1


def test_candidates_weigh_by_what_they_are(refine):
    sample = refine.Sample(
        film="a/film.png",
        copy=1,
        region="hand",
        names=("size",),
        features=np.zeros((3, 1), np.float32),
        deposit=np.array([0, refine.FALSE, refine.FALSE]),
        hard=np.array([False, True, False]),
        shown=np.ones(3, bool),
        easy=np.array([True]),
        weight=0.5,
    )
    right, taken_in_by, chance = sample.weights
    assert (right, taken_in_by) == (0.5 * refine.POSITIVE_WEIGHT, 0.5 * refine.HARD_WEIGHT)
    assert chance == pytest.approx(0.5 / refine.FALSE_SHARE), "it stands for all that were not kept"


def test_soft_tissue_beside_bone_stays_near_bone(refine):
    film = refine.with_pitch(readers.load(SAMPLES / "wrists_02.png"), 0.3)
    (beside, _), (anywhere, _) = (refine.own_soft_tissue(film, None, beside_bone=near) for near in (True, False))
    assert 0 < beside.sum() < anywhere.sum()
    assert ops.distance(~(anywhere & ~beside)).max() > 3 / 0.3, "wide parts of the forearm are far from bone"


def test_the_last_copies_have_deposits_beside_bone(refine, monkeypatch):
    put_in, insert = [], refine.insert_deposits

    def noted(pixels, allowed, **how):
        put_in.append(allowed.sum())
        return insert(pixels, allowed, **how)

    monkeypatch.setattr(refine, "insert_deposits", noted)
    monkeypatch.setattr(refine, "CROWD_SHARE", 0)
    film = SAMPLES / "wrists_02.png"
    samples = refine.samples_of(film, spacing_mm=None, copies=1, share=(0.4, 1.1), beside_bone=2, doubtful={})
    assert [sample.copy for sample in samples] == [0, 1, 2, 3, 4]
    assert all((sample.deposit >= 0).any() for sample in samples[1:])
    assert put_in[0] == put_in[1] != put_in[2] == put_in[3]


def test_a_doubtful_place_counts_for_nothing(refine):
    film = SAMPLES / "wrists_02.png"
    gather = partial(refine.samples_of, film, spacing_mm=None, copies=0, share=(0.4, 1.1), beside_bone=0)
    as_it_comes, with_deposits = gather(doubtful={})
    assert (as_it_comes.copy, with_deposits.copy) == (0, 1)
    assert (as_it_comes.deposit == refine.FALSE).all()
    assert (with_deposits.deposit >= 0).any()
    taken_in_by = as_it_comes.hard.sum()
    assert taken_in_by > 0, "the film's own deposits"
    everywhere = [0.0, 0.0, 1e4, 1e4]
    assert not len(gather(doubtful={film.name: [everywhere]})[0].deposit)
    assert gather(doubtful={"other.png": [everywhere]})[0].hard.sum() == taken_in_by
