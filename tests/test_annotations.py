import json

import numpy as np
import pytest

from calcidetect.errors import ConfigError
from calcidetect.simulation.annotations import annotated_step, polygon_mask, read_annotations

SQUARE = [[2, 1], [6, 1], [6, 4], [2, 4]]  # columns 2 to 6, rows 1 to 4


def read(tmp_path, content):
    path = tmp_path / "soft.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_annotations(path)


def test_records_are_read_with_what_else_is_known(tmp_path):
    record = {
        "film": "a/hand.png",
        "region": "hand",
        "mm_px": 0.2,
        "soft": [SQUARE],
        "step_pairs": [[[5, 7], [8, 9]]],
        "real": [{"box": [1, 2, 3, 4], "note": "old"}],
        "ignore": [[0, 0, 2.5, 2]],
        "quality": "good",
    }
    (note,) = read(tmp_path, [record]).values()
    assert (note.film, note.region, note.mm_px) == ("hand.png", "hand", 0.2)
    assert note.soft[0].tolist() == [[1, 2], [1, 6], [4, 6], [4, 2]]
    assert note.step_pairs.tolist() == [[[7, 5], [9, 8]]]
    assert note.real == ((1, 2, 3, 4),)
    assert note.ignore == ((0, 0, 3, 2),)


def test_a_mapping_of_films_to_polygons_will_do(tmp_path):
    notes = read(tmp_path, {"a.png": [SQUARE], "b.png": []})
    assert [len(note.soft) for note in notes.values()] == [1, 0]
    assert notes["a.png"].mm_px is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{not json", "can't be read as JSON annotations"),
        ("3", "must hold a list of records or a mapping"),
        ([{"soft": []}], "record 1 names no film"),
        (["a.png"], "record 1 names no film"),
        ({"a.png": [[[1, 2], [3, 4]]]}, "the record of a.png is not as it should be .*fewer than three corners"),
        ({"a.png": [[[1, 2, 3]] * 3]}, "a point is not"),
        ({"a.png": [[[1, 2], [3, float("inf")], [5, 6]]]}, "the record of a.png .*not finite"),
        ({"a.png": ["film"]}, "the record of a.png is not as it should be .*a point is not"),
        ({"films": [{"film": "a.png"}]}, "the record of films is not as it should be"),
        ({"a.png": [[[1, 2], [3, 10**400], [5, 6]]]}, "the record of a.png is not as it should be"),
        ([{"film": "a.png", "ignore": [[0, 0, float("nan"), 5]]}], "the record of a.png .*not finite"),
        ({"a.png": [["x", "y", "z"]]}, "the record of a.png"),
        ([{"film": "a.png", "mm_px": 0}], "mm_px is 0"),
        ([{"film": "a.png", "real": [[1, 2, 3]]}], "the record of a.png"),
        ([{"film": "a.png", "ignore": [{"place": 3}]}], "the record of a.png"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path, content, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read(tmp_path, content)


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="can't be read as JSON annotations"):
        read_annotations(tmp_path / "soft.json")


def test_polygons_are_filled_together():
    mask = polygon_mask((8, 9), [np.array(SQUARE)[:, ::-1], [[6, 7], [6, 8], [7, 8]]])
    assert mask[1:5, 2:7].all()
    assert mask.sum() == 20 + 3
    assert not polygon_mask((3, 3), []).any()


def test_bone_step_is_the_median_of_pairs():
    pixels = np.full((40, 40), 10, np.float32)
    pixels[:, 20:] = 25
    pairs = np.array([[[5, 35], [5, 5]], [[20, 35], [20, 5]], [[30, 5], [30, 5]]], float)
    assert annotated_step(pixels, pairs, pixel_mm=0.4) == pytest.approx(15, abs=0.01)


def test_points_beyond_the_edge_are_moved_to_it():
    pixels = np.tile(np.arange(40, dtype=np.float32), (40, 1))
    assert annotated_step(pixels, np.array([[[0, 99], [0, -9]]], float), pixel_mm=0.4) == pytest.approx(39, abs=2)
