"""The scorer's leaves move with readers' decisions, as far as these speak for it, and no further."""

import dataclasses
import shutil

import numpy as np
import pytest
from films import limb, write_dicom
from review_runs import served

from calcidetect.batch.run import scan_many
from calcidetect.candidates.score import tables_of
from calcidetect.cli import main
from calcidetect.config import Config
from calcidetect.errors import ConfigError, EvaluationError
from calcidetect.refit.leaves import refitted
from calcidetect.refit.material import IGNORED, JudgedCandidates
from calcidetect.refit.trial import held_out
from calcidetect.review.run_folder import RunFolder
from calcidetect.trees import BoostedTables, leaf_indices, load_tables, log_odds, parse_tables, tables_json

# One table of one question: is a > 0?
ONE = BoostedTables(
    names=("a",),
    feature=np.array([[0]]),
    threshold=np.zeros((1, 1), np.float32),
    leaf=np.zeros((1, 2), np.float32),
    bias=0.0,
)


def film(values, deposit, *, case="x"):
    hit = np.array(deposit)
    return JudgedCandidates(
        case=case,
        region="knee",
        features={"a": np.array(values, np.float32)},
        deposit=hit,
        deposits=int(hit.max(initial=-1)) + 1,
    )


def test_leaves_move_towards_what_readers_say():
    fitted = refitted(ONE, [film([1, 1, 1, -1, -1], [0, 1, 2, -1, -1])])
    low, high = fitted.leaf[0]
    assert high > 0 > low
    # The penalised optimum by hand: 3 (1 - p(high)) = high, 2 p(low) = -low.
    assert 3 / (1 + np.exp(high)) == pytest.approx(high, abs=1e-3)
    assert 2 / (1 + np.exp(-low)) == pytest.approx(-low, abs=1e-3)
    assert (fitted.feature, fitted.threshold) == (ONE.feature, ONE.threshold)


def test_a_leaf_that_no_candidate_reaches_stays():
    shipped = dataclasses.replace(ONE, leaf=np.array([[0.7, 0.0]], np.float32))
    assert refitted(shipped, [film([1, 1], [0, -1])]).leaf[0, 0] == np.float32(0.7)


def test_what_is_neither_right_nor_wrong_moves_nothing():
    judged = [1, 1, -1], [0, -1, -1]
    more = [*judged[0], 1, 1], [*judged[1], IGNORED, IGNORED]
    assert refitted(ONE, [film(*judged)]).leaf == pytest.approx(refitted(ONE, [film(*more)]).leaf)


def test_leaf_indices_are_those_that_log_odds_adds_up():
    tables, rng = load_tables("score"), np.random.default_rng(0)
    planes = [rng.normal(size=40).astype(np.float32) for _ in tables.names]
    index = leaf_indices(tables, planes)
    total = tables.leaf[np.arange(len(tables.leaf)), index].sum(axis=1) + tables.bias
    assert total == pytest.approx(log_odds(tables, planes), abs=1e-3)


def test_tables_survive_their_file():
    tables = load_tables("score")
    again = parse_tables(tables_json(tables))
    for name in ("feature", "threshold", "leaf"):
        assert np.array_equal(getattr(again, name), getattr(tables, name))


def test_held_out_films_are_scored_by_tables_that_never_saw_their_case():
    # Each case contradicts the others, so tables that never saw a case do worse on it than those that were shipped.
    films = [film([1, -1] * 4, [0, -1] * 4, case="a"), film([1, -1] * 4, [-1, 0] * 4, case="b")]
    trial = held_out(films, ONE)
    assert trial.after.log_loss > trial.before.log_loss
    assert any("no better" in line for line in trial.lines)
    assert any("mostly chance" in line for line in trial.lines)


def test_before_means_by_the_tables_of_the_films_region():
    films = [film([1, -1] * 4, [0, -1] * 4, case=case) for case in "ab"]
    own = dataclasses.replace(ONE, leaf=np.array([[-3, 3]], np.float32))
    trial = held_out(films, ONE, scored_by={"knee": own}.__getitem__)
    assert trial.before.log_loss == pytest.approx(np.log1p(np.exp(-3)))
    assert any("no better" in line for line in trial.lines)


def test_a_single_case_can_not_be_held_out():
    trial = held_out([film([1, -1], [0, -1])], ONE)
    assert trial.before is None
    assert "Nothing could be held out" in trial.lines[-1]


def test_decisions_that_teach_nothing_are_refused():
    with pytest.raises(EvaluationError, match="accept or draw marks"):
        held_out([film([1, -1], [-1, -1])], ONE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two reviewed films with a bright lump beside the bone, which the reader outlined."""
    top = tmp_path_factory.mktemp("fit")
    for number in range(2):
        pixels = limb((300, 220)).astype(float)
        rows, cols = np.indices(pixels.shape)
        pixels += 1200 * np.exp(-((rows - 150 - 20 * number) ** 2 + (cols - 60) ** 2) / 40)
        uids = {"SOPInstanceUID": f"1.2.3.{number}", "PixelSpacing": [0.5, 0.5]}
        write_dicom(top / f"{number}.dcm", np.clip(pixels, 0, 4095).astype(np.uint16), **uids)
    scan_many(top, top / "out", formats=[])
    with served(RunFolder(top / "out")) as browser:
        for number in (1, 2):
            y = 130 + 20 * number
            box = [[52, y - 8], [68, y - 8], [68, y + 8], [52, y + 8]]
            browser.decide(number, action="draw_outline", contour=box)
            browser.decide(number, action="reviewed")
    return top


def test_fit_writes_tables_that_a_scan_takes(run, tmp_path, capsys):
    out = tmp_path / "scores.json"
    assert main(["fit", str(run / "out"), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 films of 2 cases, 2 deposits" in said
    assert "mostly chance" in said
    fitted = Config().replace({"score.tables": str(out)})
    shipped, own = tables_of(""), tables_of(fitted.score.tables)
    assert np.array_equal(shipped.threshold, own.threshold)
    assert not np.array_equal(shipped.leaf, own.leaf)
    results = scan_many(run / "0.dcm", tmp_path / "new", config=fitted, formats=[], min_score=0.0)
    before = scan_many(run / "0.dcm", tmp_path / "old", formats=[], min_score=0.0)
    assert results[0].ok
    assert [row["score"] for row in results[0].candidates] != [row["score"] for row in before[0].candidates]
    with pytest.raises(ConfigError, match="made with another settings"):  # the two never mix
        scan_many(run / "0.dcm", tmp_path / "old", config=fitted, formats=[], min_score=0.0, resume=True)


def test_a_folder_named_twice_counts_once(run, tmp_path, capsys):
    assert main(["fit", str(run / "out"), f"{run}/./out", "--out", str(tmp_path / "scores.json")]) == 0
    assert "2 films of 2 cases, 2 deposits" in capsys.readouterr().out


def test_reviewed_films_that_are_gone_are_told_of(run, tmp_path, capsys):
    shutil.copytree(run, tmp_path / "moved")
    (tmp_path / "moved/out").rename(tmp_path / "out")
    for film in run.glob("*.dcm"):
        film.rename(tmp_path / film.name)
    try:
        assert main(["fit", str(tmp_path / "out"), "--out", str(tmp_path / "scores.json")]) == 2
    finally:
        for film in tmp_path.glob("*.dcm"):
            film.rename(run / film.name)
    said = capsys.readouterr().err
    assert "No reviewed film can be used. Left out:" in said
    assert "is not there any more" in said


def test_tables_that_are_none_are_refused(tmp_path):
    path = tmp_path / "tables.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="holds no tables of the scorer"):
        tables_of(Config().replace({"score.tables": str(path)}).score.tables)
    path.write_text(tables_json(ONE))
    with pytest.raises(ConfigError, match="asks for a, which this version does not measure"):
        tables_of(Config().replace({"score.tables": str(path)}).score.tables)


@pytest.mark.parametrize("name", ["films", "nofolder"])
def test_fit_of_a_folder_without_results_is_refused(tmp_path, capsys, name):
    (tmp_path / "films").mkdir()
    assert main(["fit", str(tmp_path / name), "--out", str(tmp_path / "scores.json")]) == 2
    assert f"{name} holds no results of calcidetect scan; give a folder" in capsys.readouterr().err


def test_fit_without_reviewed_films_is_refused(tmp_path, run, capsys):
    scan_many(run / "0.dcm", tmp_path / "out", formats=[])
    assert main(["fit", str(tmp_path / "out"), "--out", str(tmp_path / "scores.json")]) == 2
    assert "decide on films with calcidetect review" in capsys.readouterr().err
    assert not (tmp_path / "scores.json").exists()
