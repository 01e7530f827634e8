import csv
import json

import cv2
import numpy as np
import pytest
from small_scans import COLS, ROWS, small_candidate, small_scan, without_spacing

from calcidetect import writers
from calcidetect.errors import ConfigError, OutputError
from calcidetect.types import LABELS

# The two headers as the design promises them to other programs, word for word.
FILMS_HEADER = (
    "film,status,error,region,laterality,rows,cols,spacing_mm,spacing_source,n_candidates,burden_mm2,seconds,flags"
)
CANDIDATES_HEADER = (
    "film,id,score,label,zone,x0,y0,x1,y1,row,col,area_px,area_mm2,diameter_mm,"
    "contrast_noise,contrast_bone,bone_distance_mm,flags"
)


def read_picture(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_films_named_by_uids_get_files_of_their_own(tmp_path):
    films = ("uid/1.2.840.113619.2.1.77", "uid/1.2.840.113619.2.1.78")
    paths = [path for film in films for path in writers.write(small_scan(film), tmp_path, formats=("json",))]
    assert [path.name for path in paths] == ["1.2.840.113619.2.1.77.json", "1.2.840.113619.2.1.78.json"]


def test_columns_are_those_of_the_contract():
    assert ",".join(writers.FILM_COLUMNS) == FILMS_HEADER
    assert ",".join(writers.CANDIDATE_COLUMNS) == CANDIDATES_HEADER


def test_labels_are_those_of_the_contract():
    assert LABELS == (
        "calcification",
        "tracheal",
        "vascular",
        "costal_cartilage",
        "sesamoid",
        "ossified",
        "metal",
        "other",
    )


def test_files_are_named_after_the_film_and_the_format(tmp_path):
    paths = writers.write(small_scan("folder/knee 1.dcm"), tmp_path, formats=("png", "bone", "calc", "json"))
    assert [path.name for path in paths] == [
        "knee 1.overlay.png",
        "knee 1.bone.png",
        "knee 1.calc.png",
        "knee 1.json",
    ]
    assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_given_name_replaces_the_name_of_the_film(tmp_path):
    (path,) = writers.write(small_scan(), tmp_path, formats=("json",), name="a_film")
    assert path == tmp_path / "a_film.json"


def test_bone_mask_is_0_and_255_in_the_matrix_of_the_film(tmp_path):
    (path,) = writers.write(small_scan(), tmp_path, formats=("bone",))
    mask = read_picture(path)
    assert mask.dtype == np.uint8
    assert mask.shape == (ROWS, COLS)
    # Bone is columns 0 to 4 of the working grid, each two columns of the film.
    np.testing.assert_array_equal(mask, np.where(np.arange(COLS) < 10, 255, 0)[None, :].repeat(ROWS, axis=0))


def test_calc_mask_holds_marks_but_no_labelled_kinds(tmp_path):
    (path,) = writers.write(small_scan(), tmp_path, formats=("calc",))
    mask = read_picture(path)
    assert mask.shape == (ROWS, COLS)
    assert mask[12, 24] == 255  # in the deposit
    assert not mask[38:46].any()  # the tracheal ring
    # 3 x 4 pixels of the working grid are 6 x 8 of the film; bilinear corners may round off by one pixel each.
    assert 44 <= np.count_nonzero(mask) <= 48
    assert set(np.unique(mask)) == {0, 255}


def test_calc_mask_of_a_film_without_marks_is_black(tmp_path):
    (path,) = writers.write(small_scan(candidates=()), tmp_path, formats=("calc",))
    assert not read_picture(path).any()


def test_overlay_has_the_matrix_of_the_film_and_keeps_colours(tmp_path, monkeypatch):
    red = np.zeros((ROWS, COLS, 3), np.uint8)
    red[..., 0] = 255
    monkeypatch.setattr(writers, "draw_scan", lambda scan: red)
    (path,) = writers.write(small_scan(), tmp_path)
    assert read_picture(path).shape == (ROWS, COLS, 3)
    assert read_picture(path)[0, 0].tolist() == [0, 0, 255]  # OpenCV reads blue, green, red


def test_report_is_strict_json_without_arrays(tmp_path):
    (path,) = writers.write(small_scan(), tmp_path, formats=("json",))
    report = json.loads(path.read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert report["region"] == "shoulder"
    assert report["candidates"][0]["contour"][1] == [10.0, 27.0]
    assert report["candidates"][0]["features"] == {"solidity": 1.0, "entropy": None}
    assert report["settings"]["grid.working_mm"] == 0.4


def test_unknown_format_is_refused_before_anything_is_written(tmp_path):
    formats = "png, bone, calc, json, slicer, imagej, labelme, sr, sc, seg, gsps, none"
    with pytest.raises(ConfigError, match=rf"no output format 'gif'.*{formats}"):
        writers.write(small_scan(), tmp_path, formats=("json", "gif"))
    assert not list(tmp_path.iterdir())


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(OutputError, match=r"film\.json can't be written: No such file"):
        writers.write(small_scan(), tmp_path / "nowhere", formats=("json",))


def test_failed_write_leaves_the_old_file_and_no_half_one(tmp_path, monkeypatch):
    target = tmp_path / "table.csv"
    target.write_text("old")

    def full_disk(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(OutputError, match="No space left"):
        writers.write_bytes(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["table.csv"]
    assert target.read_text() == "old"


def test_candidate_row_tells_the_look_among_the_flags():
    row = writers.candidate_row(small_candidate(look="nodular"), film="a.png")
    assert row["flags"] == "nodular;touches_bone;at_field_edge"


def test_there_is_no_look_but_the_closed_set():
    with pytest.raises(ValueError, match="look must be one of punctate, nodular"):
        small_candidate(look="pretty")


def test_candidate_row_states_numbers_plainly():
    row = writers.candidate_row(small_candidate(area_px=1234567.0), film="a.png")
    assert list(row) == list(writers.CANDIDATE_COLUMNS)
    assert row["film"] == "a.png"
    assert row["score"] == "0.8123"
    assert row["area_px"] == "1234567"
    assert row["x0"] == "20"
    assert row["zone"] == "left, lateral"
    assert row["flags"] == "touches_bone;at_field_edge"


def test_no_millimetre_is_printed_without_spacing():
    scan = small_scan(spacing_mm=None)
    film = writers.film_row(scan.report, film="a.png", seconds=1.0)
    candidate = writers.candidate_row(without_spacing(small_candidate()), film="a.png")
    assert film["spacing_source"] == "none"
    assert [row[name] for row in (film, candidate) for name in row if name.endswith(("_mm", "_mm2"))] == [""] * 5


def test_film_row_counts_candidates_and_states_the_matrix():
    row = writers.film_row(small_scan().report, film="a.png", seconds=1.23456)
    assert (row["status"], row["error"]) == ("ok", "")
    assert (row["rows"], row["cols"]) == (str(ROWS), str(COLS))
    assert (row["n_candidates"], row["burden_mm2"], row["seconds"]) == ("2", "12", "1.2346")
    assert row["flags"] == "text;marker"


@pytest.mark.parametrize(
    "name",
    ["plain.png", "two words.png", "a,b;c.png", 'quote".png', "line\nbreak.png", "Röntgen 手.png", "bad\udcff.png"],
)
def test_any_film_name_survives_the_table(tmp_path, name):
    table = tmp_path / "films.csv"
    writers.write_table(table, writers.FILM_COLUMNS, rows=[writers.failed_row(name, error="x", seconds=0)])
    (row,) = writers.read_table(table, writers.FILM_COLUMNS)
    assert row["film"] == name


def test_table_without_rows_has_a_header(tmp_path):
    table = tmp_path / "films.csv"
    writers.write_table(table, writers.FILM_COLUMNS, rows=[])
    assert table.read_text() == FILMS_HEADER + "\n"
    assert writers.read_table(table, writers.FILM_COLUMNS) == []


def test_foreign_table_is_not_taken_for_ours(tmp_path):
    table = tmp_path / "films.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["film", "director"], ["Metropolis", "Lang"]])
    with pytest.raises(ConfigError, match="no table of calcidetect"):
        writers.read_table(table, writers.FILM_COLUMNS)
