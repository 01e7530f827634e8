"""Marks on films as they are, told apart by what is annotated there."""

import json

import pytest
from small_scans import small_candidate, small_scan

from calcidetect.evaluation.truth import read_truth
from calcidetect.phantom.samples import write_samples
from calcidetect.types import MARK


@pytest.fixture
def known(tmp_path):
    """Read one record of an annotation file."""

    def read(**record):
        path = tmp_path / "notes.json"
        path.write_text(json.dumps([{"film": "film.png", "region": "shoulder", "mm_px": 0.5} | record]), "utf-8")
        return read_truth(path)[0]

    return read


def test_marks_lie_on_deposits_on_mimics_or_are_wrong(script, known):
    marks = [
        small_candidate(id=1, score=0.9),  # centre (12.5, 23.5)
        small_candidate(id=2, score=0.8, y0=40, y1=44, row=42.0),
        small_candidate(id=3, score=0.75, x0=2, x1=5, col=3.5, zone="neck"),
        small_candidate(id=4, label="metal"),
    ]
    film = known(real=[{"box": [20, 10, 28, 16]}, {"box": [30, 55, 34, 59]}], ignore=[{"box": [20, 40, 28, 44]}])
    judged = script("marks").judge(small_scan(candidates=tuple(marks)).report, film)
    assert (judged.real, judged.found) == (2, 1)
    assert [mark["score"] for mark in judged.mimics] == [0.8]
    assert [(mark["score"], mark["zone"]) for mark in judged.wrong] == [(0.75, "neck")]
    assert dict(judged.labels) == {"metal": 1}


@pytest.mark.parametrize(
    ("named", "annotated", "verdict"),
    [
        ("hand", "hand", "right"),
        ("wrist", "wrists", "right"),
        ("other", "hand", "other"),
        ("other", "other", "right"),
        ("foot", "hand", "wrong"),
        ("shoulder", "chest", "wrong"),
        ("foot", "leg", "right"),
        ("other", "leg", "right"),
        ("chest", "leg", "wrong"),
    ],
)
def test_a_region_is_right_other_or_wrong(script, named, annotated, verdict):
    assert script("marks").region_is(named, annotated) == verdict


def test_phantoms_are_scanned_with_and_without_their_pitch(script, tmp_path):
    paths = write_samples(tmp_path, kinds=("shoulder", "wrists"), seed=3)
    records = []
    for path in paths:
        truth = json.loads(path.with_suffix(".truth.json").read_text("utf-8"))
        boxes = [{"box": [d[side] for side in ("x0", "y0", "x1", "y1")]} | d for d in truth["deposits"]]
        real, ignore = ([b for b in boxes if (b["label"] == MARK) == wanted] for wanted in (True, False))
        records.append(
            {"film": path.name, "region": truth["kind"], "mm_px": truth["spacing_mm"], "real": real, "ignore": ignore}
        )
    notes = tmp_path / "notes.json"
    notes.write_text(json.dumps([*records, records[0] | {"film": "gone.png"}]), encoding="utf-8")
    marks = script("marks")
    result = marks.marks_on(tmp_path, read_truth(notes), apart=["wrists", "knee"])
    assert result["films"] == 2
    for title in marks.PITCHES:
        part = result[title]
        assert [film["film"] for film in part["each_film"]] == [path.name for path in paths]
        assert part["failed"] == []
        assert part["real"] == sum(len(record["real"]) for record in records)
        assert part["found"] >= 1
        assert sum(part["regions"].values()) == 2
        assert title in marks.table(result)
        wrists = [film for film in part["each_film"] if "wrists" in film["film"]]
        assert part["apart"]["wrists"]["films"] == len(wrists) == 1
        assert part["apart"]["wrists"]["found"] == wrists[0]["found"]
        assert part["apart"]["knee"]["films"] == 0
    assert json.loads(json.dumps(result))["pitch given"]["real"] == part["real"]
