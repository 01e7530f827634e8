import dataclasses
from importlib import resources

import numpy as np
import pytest

from calcidetect.anatomy.regions import NAMES
from calcidetect.candidates.score import OWN_TABLES, tables_of
from calcidetect.config import Config
from calcidetect.trees import CHUNK, BoostedTables, contributions, load_tables, log_odds, probability


def tables():
    """Two questions on two features: +1 where both hold, -1 where none, 0.5 where the first alone."""
    return BoostedTables(
        names=("a", "b"),
        feature=np.array([[0, 1]]),
        threshold=np.array([[0.0, 10.0]], np.float32),
        leaf=np.array([[-1.0, 0.5, 0.25, 1.0]], np.float32),
        bias=2.0,
    )


def test_each_answer_has_its_leaf():
    a = np.array([-1, 1, -1, 1], np.float32)
    b = np.array([0, 0, 20, 20], np.float32)
    assert log_odds(tables(), [a, b]).tolist() == [1.0, 2.5, 2.25, 3.0]


def test_a_value_on_the_threshold_answers_no():
    zero = np.zeros(1, np.float32)
    assert log_odds(tables(), [zero, zero]).tolist() == [1.0]


def test_chunks_do_not_change_the_result():
    rng = np.random.default_rng(0)
    planes = [rng.normal(size=CHUNK + 7).astype(np.float32), rng.normal(10, 1, CHUNK + 7).astype(np.float32)]
    whole = log_odds(tables(), planes)
    assert whole[-7:].tolist() == log_odds(tables(), [plane[-7:] for plane in planes]).tolist()


@pytest.mark.parametrize("depth", [0, 9])
def test_a_table_asks_one_to_eight_questions(depth):
    with pytest.raises(ValueError, match="1 to 8 questions"):
        BoostedTables(
            names=("a",),
            feature=np.zeros((1, depth), int),
            threshold=np.zeros((1, depth), np.float32),
            leaf=np.zeros((1, 2**depth), np.float32),
            bias=0.0,
        )


@pytest.mark.parametrize("number", [-1, 2])
def test_a_question_about_a_feature_without_a_name_is_refused(number):
    with pytest.raises(ValueError, match="has no name"):
        dataclasses.replace(tables(), feature=np.array([[0, number]]))


def test_a_missing_feature_is_refused():
    with pytest.raises(ValueError, match="expected 2 features, got 1"):
        log_odds(tables(), [np.zeros(3, np.float32)])


def test_contributions_are_what_each_answer_changes():
    a, b = np.array([1, -1], np.float32), np.array([20, 0], np.float32)
    added, base = contributions(tables(), [a, b])
    # No answer: mean of all leaves. After a = yes: mean of 0.5 and 1.0; after a = no: of -1 and 0.25.
    assert base == pytest.approx(2 + 0.1875)
    assert added.tolist() == [[0.75 - 0.1875, 1.0 - 0.75], [-0.375 - 0.1875, -1 + 0.375]]


def test_contributions_add_up_to_the_log_odds_of_shipped_tables():
    shipped = load_tables("score")
    rng = np.random.default_rng(0)
    planes = [rng.normal(size=50).astype(np.float32) for _ in shipped.names]
    added, base = contributions(shipped, planes)
    assert added.sum(axis=1) + base == pytest.approx(log_odds(shipped, planes), abs=1e-3)


def test_probability_of_even_odds_is_one_half():
    assert probability(np.zeros(1, np.float32))[0] == 0.5
    assert probability(np.array([-1e9, 1e9], np.float32)).tolist() == pytest.approx([0, 1], abs=1e-9)


@pytest.mark.parametrize("name", ["bone_guess", "bone", "lung", "seeds", "score", *OWN_TABLES.values()])
def test_shipped_tables_are_complete(name):
    shipped = load_tables(name)
    assert len(set(shipped.names)) == len(shipped.names)
    assert np.isfinite(shipped.leaf).all()
    assert shipped.feature.min() >= 0


def test_some_regions_have_a_scorer_of_their_own_unless_another_is_chosen(tmp_path):
    assert tables_of("", "chest") is load_tables("score_chest")
    assert tables_of("", "hip") is tables_of("", "shoulder") is load_tables("score_girdle")
    assert tables_of("", "hand") is tables_of("") is load_tables("score")
    chosen = tmp_path / "scores.json"
    chosen.write_text('{"names":["contrast_mean"],"feature":[[0]],"threshold":[[0.5]],"leaf":[[0,1]],"bias":0}')
    setting = Config().replace({"score.tables": str(chosen)}).score.tables
    assert {tables_of(setting, region).names for region in NAMES} == {("contrast_mean",)}


def test_the_tables_of_a_region_can_be_chosen_for_all(tmp_path):
    shipped = resources.files("calcidetect").joinpath("data", "score_chest.json").read_text(encoding="utf-8")
    (tmp_path / "tables.json").write_text(shipped, encoding="utf-8")
    setting = Config().replace({"score.tables": str(tmp_path / "tables.json")}).score.tables
    assert tables_of(setting, "hand").names == load_tables("score_chest").names


def test_regions_with_a_scorer_of_their_own_exist():
    assert set(OWN_TABLES) <= set(NAMES)
