"""Results of a scan against truth: files in, figures and pictures out."""

import csv
import json
import re

import cv2
import numpy as np
import pytest
from small_scans import COLS, ROWS, in_this_process, small_candidate, small_scan

from calcidetect import pipeline
from calcidetect.batch import run as batch
from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.cli import main
from calcidetect.errors import CalcidetectError, EvaluationError
from calcidetect.evaluation import evaluate_results, table
from calcidetect.evaluation.bone import read_bone_truth
from calcidetect.evaluation.pictures import Tile, draw_gallery
from calcidetect.evaluation.results import Results, ScannedFilm, pair_films, read_results
from calcidetect.evaluation.truth import read_truth
from calcidetect.phantom.samples import write_samples

# The deposit that `small_candidate` marks: 24 pixels of 0.5 mm, half of what is marked
DEPOSIT = {
    "id": 1,
    "morphology": "nodular",
    "diameter_mm": 4.0,
    "contrast": 0.8,
    "box": [20, 10, 28, 16],
    "row": 12.5,
    "col": 23.5,
    "area_px": 24,
}
MISSED = DEPOSIT | {"id": 2, "morphology": "linear", "diameter_mm": 2.0, "box": [2, 50, 6, 54], "row": 51.5, "col": 3.5}


def film(name, **facts):
    return {"film": name, "source": name, "region": "hand", "mm_px": 0.5, "deposits": []} | facts


def scan_small_films(folder):
    """Scan films a, b and c, all with a mark at 0.81 on the same place, a tracheal ring and a mark at 0.1."""
    low = small_candidate(id=3, score=0.1, x0=30, x1=34, y0=40, y1=44, row=41.5, col=31.5)
    tracheal = small_candidate(id=2, label="tracheal", score=0.9, x0=2, x1=6, y0=50, y1=54, row=51.5, col=3.5)
    candidates = (small_candidate(), tracheal, low)
    films = [folder / "films" / f"{name}.png" for name in "abc"]
    films[0].parent.mkdir()
    for path in films:
        cv2.imwrite(str(path), np.tile(np.arange(COLS, dtype=np.uint8) * 6, (ROWS, 1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "worker_processes", in_this_process)
        patch.setattr(pipeline, "scan", lambda path, **how: small_scan(path, candidates))
        batch.scan_many(films, folder / "res", min_score=0.0, formats=("bone", "calc"))
    return folder / "res"


@pytest.fixture
def scanned(tmp_path):
    return scan_small_films(tmp_path)


def truth_file(folder, films, *, name="truth.json"):
    path = folder / name
    path.write_text(json.dumps(films if isinstance(films, list) else {"version": 1, "films": [*films.values()]}))
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """Judge the scan by hand-made truth: a has both deposits, b none, c has an ignored place where the mark lies."""
    folder = tmp_path_factory.mktemp("judged")
    films = {
        "a": film("a.png", deposits=[DEPOSIT, MISSED]),
        "b": film("b.png", region="foot"),
        "c": film("c.png", ignore=[[22, 11, 25, 14]]),
    }
    evaluate_results(scan_small_films(folder), truth_file(folder, films), out=folder / "eval", draws=50)
    return folder / "eval"


@pytest.fixture(scope="module")
def judged(out):
    return json.loads((out / "evaluation.json").read_text())


def test_figures_by_hand(judged):
    # one deposit of two is hit at 0.81, as high as the only false mark above the operating point, that of film b
    assert (judged["films"], judged["deposits"], judged["lesion_free_films"]) == (3, 2, 2)
    point = judged["operating_point"]
    assert point["sensitivity"]["value"] == 0.5
    assert point["false_marks"]["value"] == pytest.approx(1 / 3)
    assert point["false_marks_lesion_free"]["value"] == 0.5
    at = [item["value"] for item in judged["froc"]["all"]["all"]["at"]]
    assert at == [0, 0, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert judged["froc"]["all"]["all"]["mean"]["value"] == pytest.approx(2.5 / 7)


def test_a_mimic_counts_for_the_generator_alone(judged):
    # the tracheal ring lies on the second deposit of film a, and on nothing in the others
    assert judged["generator"]["all"]["value"] == 1.0
    assert judged["generator"]["clear"] | {"deposits": 2, "value": 1.0} == judged["generator"]["clear"]
    missed = judged["each_deposit"][1]
    assert (missed["generated"], missed["found"], missed["best_score"]) == (True, False, None)
    assert [line["false_marks"] for line in judged["each_film"]] == [0, 1, 0]


def test_kinds_of_deposits(judged):
    froc = judged["froc"]
    assert {name: line["deposits"] for name, line in froc["size"].items()} == {
        "< 3 mm": 1,
        "3-6 mm": 1,
        "6-12 mm": 0,
        ">= 12 mm": 0,
    }
    assert {name: line["deposits"] for name, line in froc["contrast"].items()} == {
        "< 0.5 steps": 0,
        "0.5-1 steps": 2,
        ">= 1 step": 0,
    }
    assert froc["morphology"]["nodular"]["at"][-1]["value"] == 1
    assert froc["morphology"]["linear"]["at"][-1]["value"] == 0
    assert froc["all"]["easy"]["deposits"] == 1
    assert froc["size"]["6-12 mm"]["mean"]["value"] is None


def test_regions_have_their_own_false_marks(judged):
    hand, foot = judged["froc"]["region"]["hand"], judged["froc"]["region"]["foot"]
    assert (hand["films"], foot["films"]) == (2, 1)
    assert hand["at"][0]["value"] == 0.5  # no false mark of a hand reaches 0.81
    assert hand["false_marks"]["value"] == 0
    assert foot["false_marks"]["value"] == 1
    assert foot["false_marks"]["low"] is None  # a single film tells nothing of others


def test_wafroc_and_area_of_the_hand_made_films(judged):
    # 0.81 ties with film b and beats the 0.1 of film c: 3/4; the missed deposit loses to both
    assert judged["wafroc"]["value"] == pytest.approx(0.375)
    assert judged["wafroc"]["false_marks_of"] == "lesion-free films"
    assert judged["area_error"] == {"deposits": 1, "lower_quartile": 1.0, "median": 1.0, "upper_quartile": 1.0}


def test_files_of_an_evaluation(out):
    names = {"evaluation.json", "froc.csv", "froc.png", "gallery_misses.png", "gallery_false.png"}
    assert {path.name for path in out.iterdir()} == names
    rows = list(csv.DictReader((out / "froc.csv").read_text().splitlines()))
    assert [float(rows[index]["sensitivity"]) for index in (0, -1)] == [0, 0.5]
    assert float(rows[0]["score_above"]) == pytest.approx(0.8123)
    for name in names - {"evaluation.json", "froc.csv"}:
        assert cv2.imread(str(out / name)).std() > 5


def test_table_shows_the_figures(judged):
    text = table(judged)
    assert "3 films with 2 deposits; 2 films have none" in text
    assert "all                             2  0.00  0.00  0.50  0.50  0.50  0.50  0.50   0.36 (" in text
    assert "false marks a film     0.33 (" in text
    assert not judged["warnings"]


def test_bone_against_masks_and_points(scanned, tmp_path):
    # bone is found in columns 0 to 9; annotated in 0 to 7, with an unknown band of 4 columns in one mask
    masks = tmp_path / "masks"
    masks.mkdir()
    plain = np.zeros((ROWS, COLS), np.uint8)
    plain[:, :8] = 255
    cv2.imwrite(str(masks / "a.png"), plain)
    banded = np.where(plain > 0, 2, 1).astype(np.uint8)
    banded[:, 8:12] = 0
    cv2.imwrite(str(masks / "b.png"), banded)
    points = {"bone_points": [[3, 3], [20, 3]], "soft_points": [[30, 30], [30, 3], [2, 2], [25, 25]]}
    truth = truth_file(tmp_path, [film("a.png", **points), film("copy.png"), film("b.png"), film("c.png")])
    result = evaluate_results(scanned, truth, out=tmp_path / "eval", masks=masks, draws=5)["bone"]
    a, b = result["each_film"]
    assert a["dice"] == pytest.approx(2 * 8 / 18)
    assert a["mean_mm"] == a["hausdorff95_mm"] == 1.0  # two pixels of 0.5 mm
    assert (a["bone_points_right"], a["soft_points_right"]) == (0.5, 0.75)
    assert b["dice"] == 1.0
    assert b["mean_mm"] == 0.0  # midway in the band
    assert result["regions"]["hand"] == result["regions"]["all"]
    assert result["regions"]["all"]["dice"] == pytest.approx((16 / 18 + 1) / 2)


def test_a_folder_of_masks_that_is_not_there_or_fits_no_film_is_told(scanned, tmp_path, capsys):
    truth = truth_file(tmp_path, [film("a.png", bone_points=[[20, 20]])])
    words = ["evaluate", str(scanned), "--truth", str(truth), "--out", str(tmp_path / "eval"), "--masks"]
    assert main([*words, str(tmp_path / "nofolder")]) == 2
    assert "nofolder is not a folder; check the path given as --masks" in capsys.readouterr().err
    assert not (tmp_path / "eval").exists()
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "x.png").write_bytes(b"")
    assert main([*words, str(tmp_path / "masks")]) == 0
    assert re.search("Note: No mask in .*masks has the name of a film", capsys.readouterr().out)


def test_masks_of_the_film_that_a_copy_was_made_from(scanned, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    cv2.imwrite(str(masks / "original.png"), np.tile(np.arange(COLS) < 10, (ROWS, 1)).astype(np.uint8) * 255)
    truth = truth_file(tmp_path, [film("a.png", source="original.jpg")])
    result = evaluate_results(scanned, truth, out=tmp_path / "eval", masks=masks, draws=5)
    assert result["bone"]["regions"]["all"]["dice"] == 1.0


def test_mask_of_another_size_is_left_out_with_a_word(scanned, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    cv2.imwrite(str(masks / "a.png"), np.full((5, 5), 255, np.uint8))
    result = evaluate_results(
        scanned, truth_file(tmp_path, [film("a.png")]), out=tmp_path / "eval", masks=masks, draws=5
    )
    assert result["bone"]["regions"]["all"]["dice"] is None
    assert any("a.png has (5, 5) rows and columns, the film (60, 40)" in line for line in result["warnings"])


def test_mask_with_grey_values_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "mask.png"), np.arange(9, dtype=np.uint8).reshape(3, 3))
    with pytest.raises(EvaluationError, match="a mask has 0 and 255, or 0, 1 and 2"):
        read_bone_truth(tmp_path / "mask.png")
    (tmp_path / "mask.png").write_bytes(b"no picture")
    with pytest.raises(EvaluationError, match="can't be read as PNG"):
        read_bone_truth(tmp_path / "mask.png")


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity", "1" + 400 * "0"])
@pytest.mark.parametrize("key", ["diameter_mm", "contrast", "area_px", "row", "col", "box", "mm_px", "soft_points"])
def test_numbers_of_the_truth_that_are_not_finite_are_refused_with_the_films_name(tmp_path, key, number):
    facts = film("a.png", deposits=[DEPOSIT], soft_points=[[1, 2]])
    own = {"box": [0, 0, "?", 5], "soft_points": [[1, "?"]]}.get(key, "?")
    changed = facts | {key: own} if key in facts else facts | {"deposits": [DEPOSIT | {key: own}]}
    path = tmp_path / "truth.json"
    path.write_text(json.dumps([changed]).replace('"?"', number))
    with pytest.raises(EvaluationError, match=r"record 1 \(a\.png\) can't be understood"):
        read_truth(path)


def test_films_named_by_uids_are_not_matched_by_a_part_of_them(tmp_path):
    known = read_truth(truth_file(tmp_path, [film("1.2.77")]))
    films = [ScannedFilm(path=f"uid/1.2.{last}", name="", ok=True, candidates=()) for last in (77, 78)]
    (pair,) = pair_films(Results(folder=tmp_path, films=tuple(films), least_score=0.0), known)
    assert pair.scanned.path == "uid/1.2.77"


def test_annotated_films_are_matched_by_stem(scanned, tmp_path):
    # real calcification has no contrast and no area: it counts, but neither as easy nor for the area
    box = {"box": [20, 10, 28, 16], "what": "deposit", "confidence": 0.9}
    items = [{"film": "a.jpg", "region": "hand", "mm_px": 0.5, "real": [box], "ignore": [{"box": [0, 0, 2, 2]}]}]
    result = evaluate_results(scanned, truth_file(tmp_path, items), out=tmp_path / "eval", draws=5)
    assert result["operating_point"]["sensitivity"]["value"] == 1.0
    assert result["froc"]["morphology"]["real"]["deposits"] == result["froc"]["size"]["3-6 mm"]["deposits"] == 1
    assert result["froc"]["all"]["easy"]["deposits"] == result["area_error"]["deposits"] == 0
    assert result["wafroc"]["false_marks_of"] == "all films"
    assert "2 scanned films are not in the truth and are left out." in result["warnings"]


def test_a_folder_of_truth_serves_when_films_have_moved(scanned, tmp_path):
    truth = truth_file(tmp_path / "films", [film("a.png"), film("b.png")])
    (tmp_path / "films").rename(tmp_path / "moved")
    result = evaluate_results(scanned, tmp_path / "moved" / truth.name, out=tmp_path / "eval", draws=5)
    assert not [line for line in result["warnings"] if "gallery" in line]
    (tmp_path / "moved" / "a.png").unlink()
    result = evaluate_results(scanned, tmp_path / "moved" / truth.name, out=tmp_path / "eval", draws=5)
    assert "gallery_false.png lacks 1 films that can't be read where they were scanned." in result["warnings"]


def test_failed_and_unscanned_films_are_told(scanned, tmp_path):
    text = (scanned / "films.csv").read_text().replace("c.png,ok,", "c.png,failed,")
    (scanned / "films.csv").write_text(text)
    truth = truth_file(tmp_path, [film("b.png"), film("c.png", deposits=[DEPOSIT]), film("d.png"), film("a.png")])
    lines = (scanned / "candidates.csv").read_text().splitlines()
    (scanned / "candidates.csv").write_text("\n".join(line for line in lines if "c.png" not in line) + "\n")
    result = evaluate_results(scanned, truth, out=tmp_path / "eval", draws=5)
    assert "1 films could not be scanned; their deposits count as missed." in result["warnings"]
    assert "1 films of the truth were not scanned and are left out." in result["warnings"]
    assert result["operating_point"]["sensitivity"]["value"] == 0


@pytest.mark.parametrize(
    ("min_score", "word"),
    [
        ("null", f"scores from {OPERATING_POINT} on"),
        ("0.3", "scores from 0.3 on"),
        ('"?"', "Nothing tells which scores"),
    ],
)
def test_a_scan_that_left_low_scores_out_is_told(scanned, tmp_path, min_score, word):
    path = scanned / "run.json"
    path.write_text(path.read_text().replace('"min_score": 0.0', f'"min_score": {min_score}'))
    result = evaluate_results(scanned, truth_file(tmp_path, [film("a.png")]), out=tmp_path / "eval", draws=5)
    assert any(word in line and "curve" in line for line in result["warnings"])


def test_films_without_any_deposit_or_mark(scanned, tmp_path):
    lines = (scanned / "candidates.csv").read_text().splitlines()
    (scanned / "candidates.csv").write_text(lines[0] + "\n")
    result = evaluate_results(
        scanned, truth_file(tmp_path, [film("a.png"), film("b.png")]), out=tmp_path / "e", draws=5
    )
    assert result["operating_point"]["sensitivity"]["value"] is None
    assert result["operating_point"]["false_marks"]["value"] == 0
    assert "all                             0     -" in table(result)


# --- what can't be judged ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "is no JSON"),
        ("3", "holds no list of films"),
        ('{"version": 1}', "holds no list of films"),
        ('[{"film": "a.png"}]', "record 1 .a.png. has no 'mm_px'"),
        ('[{"film": "a.png", "mm_px": 0}]', "record 1 .a.png. can't be understood .mm_px must be positive"),
        ('[{"film": "a.png", "mm_px": null}]', "record 1 .a.png. can't be understood"),
        ('[{"film": "a.png", "mm_px": 1, "real": [[5, 5, 5, 9]]}]', "empty box"),
        ('[{"film": "a.png", "mm_px": 1, "deposits": [{"id": 1}]}]', "record 1 .a.png. has no 'morphology'"),
        ('[{"film": "a.png", "mm_px": 1}, {"film": "x/a.png", "mm_px": 1}]', "2 records of a.png"),
        ("[7]", "record 1 is no object with film and mm_px"),
    ],
)
def test_truth_that_cannot_be_understood(tmp_path, text, word):
    (tmp_path / "truth.json").write_text(text)
    with pytest.raises(EvaluationError, match=word):
        read_truth(tmp_path / "truth.json")


def test_missing_truth_and_results(scanned, tmp_path):
    with pytest.raises(EvaluationError, match="No such file or directory; check the path given as --truth"):
        read_truth(tmp_path / "none.json")
    with pytest.raises(EvaluationError, match=r"holds no films\.csv"):
        read_results(tmp_path)
    (scanned / "candidates.csv").unlink()
    with pytest.raises(EvaluationError, match=r"holds no candidates\.csv"):
        read_results(scanned)


def test_a_row_that_is_no_candidate(scanned):
    text = (scanned / "candidates.csv").read_text()
    (scanned / "candidates.csv").write_text(text.replace(",0.8123,", ",high,", 1))
    with pytest.raises(EvaluationError, match="line 2, can't be understood"):
        read_results(scanned)


def test_no_film_in_common(scanned, tmp_path):
    with pytest.raises(EvaluationError, match=r"No film of .*res has the name of a film in the truth"):
        evaluate_results(scanned, truth_file(tmp_path, [film("z.png")]), out=tmp_path / "eval")


def test_two_scanned_films_of_one_name(scanned, tmp_path):
    text = (scanned / "films.csv").read_text()
    (scanned / "films.csv").write_text(text.replace("b.png", "other/a.png"))
    with pytest.raises(EvaluationError, match=r"a\.png and .*a\.png all match the film a\.png"):
        evaluate_results(scanned, truth_file(tmp_path, [film("a.png")]), out=tmp_path / "eval")


def test_out_that_is_a_file(scanned, tmp_path):
    (tmp_path / "eval").touch()
    with pytest.raises(CalcidetectError, match="can't be made"):
        evaluate_results(scanned, truth_file(tmp_path, [film("a.png")]), out=tmp_path / "eval", draws=5)


# --- the command ------------------------------------------------------------------------------------------------------


def test_command_on_a_synthetic_film(tmp_path, capsys):
    (path,) = write_samples(tmp_path / "films", kinds=["wrists"], bone_masks=True)
    facts = json.loads((path.parent / "wrists_01.truth.json").read_text())
    marks = [item for item in facts["deposits"] if item["label"] == "calcification"]
    deposits = [
        DEPOSIT
        | {"id": number, "box": [item[side] for side in ("x0", "y0", "x1", "y1")]}
        | {"row": item["row"], "col": item["col"]}
        for number, item in enumerate(marks, start=1)
    ]
    truth = truth_file(tmp_path, [film(path.name, mm_px=facts["spacing_mm"], region="wrist", deposits=deposits)])
    (tmp_path / "masks").mkdir()
    (path.parent / "wrists_01.bone.png").rename(tmp_path / "masks" / "wrists_01.png")
    results = tmp_path / "res"
    assert main(["scan", str(path), "--out", str(results), "--min-score", "0", "--format", "bone"]) == 0
    capsys.readouterr()
    words = ["--truth", str(truth), "--masks", str(tmp_path / "masks"), "--out", str(tmp_path / "eval")]
    assert main(["evaluate", str(results), *words]) == 0
    printed = capsys.readouterr().out
    assert f"1 films with {len(deposits)} deposits; 0 films have none" in printed
    assert f"Numbers and pictures in {tmp_path / 'eval'}" in printed
    figures = json.loads((tmp_path / "eval" / "evaluation.json").read_text())
    assert figures["generator"]["all"]["value"] == 1.0
    assert figures["bone"]["regions"]["wrist"]["dice"] > 0.8


def test_command_says_what_is_missing(tmp_path, capsys):
    assert main(["evaluate", str(tmp_path), "--truth", "none.json", "--out", str(tmp_path / "eval")]) == 2
    assert "holds no films.csv; give a folder that calcidetect scan wrote." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a$1_$b.png", "bad\udcff.png"])
def test_a_gallery_takes_any_name(tmp_path, name):
    cv2.imwrite(str(tmp_path / "film.png"), np.tile(np.arange(60, dtype=np.uint8), (60, 1)))
    tile = Tile(path=str(tmp_path / "film.png"), box=(20, 20, 30, 30), mm_px=0.5, caption=name)
    assert draw_gallery([tile], tmp_path / "gallery.png", title="Misses", moved_to=tmp_path) == 0
    assert (tmp_path / "gallery.png").exists()
