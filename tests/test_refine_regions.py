"""One more kind of film is taught to the recognition of regions, and all others are recognised as before."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the extra 'fit' is not installed")

from calcidetect.anatomy.region_model import evaluate, load_model

SIDE_MM = 870.0


@pytest.fixture
def refine(script):
    return script("refine_regions")


def samples(refine, features, size):
    count = len(features)
    return refine.Samples(
        features=features.astype(np.float32),
        look=np.full(count, refine.LOOKS.index("leg")),
        size=np.full(count, np.log(size)),
        film=np.zeros(count, int),
        copy=np.zeros(count, int),
    )


def placed(model, projected):
    """Features of films that the model sees at these places, float32 (n, axes)."""
    return model.centre + projected @ np.linalg.pinv(model.axes)


def test_the_new_films_get_their_look_and_size_and_the_others_keep_theirs(refine):
    model, rng, look = load_model(), np.random.default_rng(0), refine.LOOKS.index("leg")
    ways = rng.normal(size=(8, model.axes.shape[1]))
    ways *= model.width / np.linalg.norm(ways, axis=1, keepdims=True)
    new = placed(model, model.prototypes[0] + ways[:1] + 0.2 * ways[1:])
    others = placed(model, model.prototypes[rng.choice(len(model.prototypes), 40, replace=False)])
    other = refine.taught(model, samples(refine, new, SIDE_MM), samples(refine, others, 1.0))
    answers = evaluate(other, new.astype(np.float32))
    assert (answers[:, :-1].argmax(axis=1) == look).all()
    rivals = np.delete(answers[:, :-1], look, axis=1).max(axis=1)
    assert (answers[:, look] - rivals > refine.LEAD / 2).all()
    assert np.exp(answers[:, -1]) == pytest.approx(SIDE_MM, rel=0.25)
    before, after = (evaluate(each, others.astype(np.float32)) for each in (model, other))
    assert after == pytest.approx(before, abs=0.2)
    assert other.size_range[1] == pytest.approx(np.log(SIDE_MM))
