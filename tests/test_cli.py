import contextlib
import csv
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from small_scans import in_this_process, small_scan

import calcidetect
from calcidetect import phantom, pipeline, writers
from calcidetect.anatomy import regions
from calcidetect.batch import run as batch
from calcidetect.batch import workers
from calcidetect.batch.film_task import Recipe
from calcidetect.batch.run_files import RUN_FORMATS
from calcidetect.cli import main
from calcidetect.config import Config
from calcidetect.errors import UnreadableFile
from calcidetect.phantom import samples
from calcidetect.reading import readers

ROOT = Path(calcidetect.__file__).parent.parent
TABLES = {"films.csv", "candidates.csv", "run.json", "journal.sqlite"}


@pytest.fixture
def fake_pipeline(monkeypatch):
    """Give, in this process, the same small scan of every film whose name doesn't hold ``bad``."""

    def scan(film, **how):
        if "bad" in film:
            raise UnreadableFile(f"{film} is damaged; export it again.")
        return small_scan(film)

    monkeypatch.setattr(pipeline, "scan", scan)
    monkeypatch.setattr(workers, "worker_processes", in_this_process)


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "film.png"
    path.write_bytes(b"a film")
    return path


@pytest.fixture
def ramp(tmp_path):
    """A real picture of 60 rows and 40 columns, darker on its left."""
    path = tmp_path / "ramp.png"
    _picture(path, np.tile(np.arange(0, 200, 5, dtype=np.uint8), (60, 1)))
    return path


def run(*words):
    """Run the command as a shell would, and return its exit status."""
    try:
        return main([str(word) for word in words])
    except SystemExit as stop:  # argparse
        return stop.code


def films_of(out):
    with (out / "films.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


# --- the main job -----------------------------------------------------------------------------------------------------


def test_scan_writes_tables_and_an_overlay(fake_pipeline, film, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("scan", film, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == {*TABLES, "index.html", "film.overlay.png"}
    printed = capsys.readouterr()
    assert f"1 of 1 films scanned, 2 candidates; results in {out}" in printed.out
    assert "not for diagnosis" in printed.out
    assert printed.err == f"[1/1] {film}: 2 candidates\n"


def test_failed_film_gives_status_1_a_row_and_a_line(fake_pipeline, film, tmp_path, capsys):
    bad = tmp_path / "bad.dcm"
    bad.touch()
    assert run("scan", bad, film, "--out", tmp_path / "out") == 1
    assert [row["status"] for row in films_of(tmp_path / "out")] == ["failed", "ok"]
    printed = capsys.readouterr()
    assert f"{bad}: failed. {bad} is damaged; export it again." in printed.err
    assert "1 of 2 films scanned" in printed.out


def test_of_a_picture_without_bone_the_line_says_what_to_do(tmp_path, capsys):
    noise = np.random.default_rng(0).integers(0, 255, (240, 200)).astype(np.uint8)
    _picture(tmp_path / "noise.png", noise)
    photograph = np.random.default_rng(0).integers(0, 255, (240, 200, 3)).astype(np.uint8)
    _picture(tmp_path / "photograph.png", photograph)
    pictures = (tmp_path / "noise.png", tmp_path / "photograph.png")
    assert run("scan", *pictures, "--out", tmp_path / "out", "--format", "none") == 0
    said = capsys.readouterr().err
    assert "noise.png: 0 candidates. It looks like no film that the program knows, so it was not searched; if" in said
    assert "photograph.png: 0 candidates. It has many colours, so it was not searched; if it is" in said


@pytest.mark.parametrize("none", ["none", " none "])
def test_format_none_writes_the_tables_alone(fake_pipeline, film, tmp_path, none):
    assert run("scan", film, "--out", tmp_path / "out", "--format", none) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == TABLES


def test_format_takes_a_list(fake_pipeline, film, tmp_path):
    assert run("scan", film, "--out", tmp_path / "out", "--format", "bone, calc,json") == 0
    assert {path.name for path in (tmp_path / "out").glob("film.*")} == {"film.bone.png", "film.calc.png", "film.json"}


def test_options_reach_the_batch(film, tmp_path, monkeypatch):
    given = {}

    def scan_films(paths, out, recipe, **way):
        given.update(way, paths=paths, out=out, recipe=recipe)
        return ()

    monkeypatch.setattr(batch, "scan_films", scan_films)
    settings = tmp_path / "settings.toml"
    settings.write_text("[grid]\nworking_mm = 0.8\nfield_width_mm = 200\n")
    words = "--jobs 2 --resume --region hand --spacing 0.1 --min-score 0 --set grid.working_mm=0.5 --root / --timeout 9"
    assert run("scan", film, "--out", tmp_path, *words.split(), "--config", settings, "--keep-identifiers") == 0
    assert given.pop("executor").jobs == 2
    del given["progress"]
    recipe = Recipe(
        config=Config().replace({"grid.working_mm": 0.5, "grid.field_width_mm": 200}),
        region="hand",
        spacing_mm=0.1,
        min_score=0.0,
        formats=("png",),
        keep_identifiers=True,
    )
    way = {"root": "/", "jobs": 2, "time_out_s": 9.0, "resume": True}
    assert given == way | {"paths": (str(film),), "out": str(tmp_path), "recipe": recipe}


def test_interruption_has_its_own_status(film, tmp_path, monkeypatch, capsys):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "scan_films", interrupted)
    assert run("scan", film, "--out", tmp_path) == 130
    assert capsys.readouterr().err == "calcidetect: interrupted.\n"


def test_bar_is_drawn_on_a_terminal(fake_pipeline, film, tmp_path, monkeypatch, capsys):
    bad = tmp_path / "bad.png"
    bad.touch()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert run("scan", film, bad, "--out", tmp_path / "out") == 1
    drawn = capsys.readouterr().err
    assert "2/2" in drawn
    assert f"{bad}: failed." in drawn


def test_bar_shows_rate_and_time_left_of_what_is_to_be_done(fake_pipeline, tmp_path, monkeypatch, capsys):
    films = [tmp_path / f"{number}.png" for number in range(6)]
    for path in films:
        path.write_bytes(b"a film")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    run("scan", *films[:4], "--out", tmp_path / "out")
    capsys.readouterr()
    assert run("scan", *films, "--out", tmp_path / "out", "--resume") == 0
    drawn = capsys.readouterr().err
    assert "0/6" not in drawn
    assert re.search(r"6/6 \[\d\d:\d\d<00:00, .*film.*\]", drawn)


def test_stats_are_printed_before_the_last_lines(fake_pipeline, film, tmp_path, capsys):
    bad = tmp_path / "bad.png"
    bad.touch()
    twin = tmp_path / "twin.png"
    twin.touch()
    assert run("scan", film, bad, twin, "--out", tmp_path / "out", "--stats") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 films scanned, 1 failed, 2 with marks, 1 duplicates"
    assert ["shoulder", "2", "2", "2", "12.0"] in [line.split() for line in lines]
    assert "       1  is damaged; export it again." in lines
    assert lines[-2].startswith("2 of 3 films scanned, 4 candidates")


def test_a_long_list_of_complaints_says_how_many_are_left_out(monkeypatch, fake_pipeline, tmp_path, capsys):
    def scan(film, **how):
        raise UnreadableFile(f"{film} is damaged in way {Path(film).stem}; export it again.")

    monkeypatch.setattr(pipeline, "scan", scan)
    for number in range(14):
        (tmp_path / f"{number}.png").touch()
    assert run("scan", tmp_path, "--out", tmp_path / "out", "--stats") == 1
    lines = capsys.readouterr().out.splitlines()
    shown = sum("is damaged in way" in line for line in lines)
    assert f"{14 - shown:>8}  of {14 - shown} other kinds" in lines


def test_make_study_without_the_format_it_is_for_is_refused(film, tmp_path, capsys):
    assert run("scan", film, "--out", tmp_path / "out", "--make-study") == 2
    assert "--make-study is for the format sc" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_film_of_which_a_dicom_result_cant_be_made_is_told_of(fake_pipeline, film, tmp_path, capsys):
    pytest.importorskip("highdicom")
    assert run("scan", film, "--out", tmp_path / "out", "--format", "png,sr") == 1
    assert (tmp_path / "out/film.overlay.png").exists()
    printed = capsys.readouterr()
    assert "1 of 1 films scanned, 2 candidates" in printed.out
    assert "Results can't be filed in a PACS" in printed.err


def test_a_dry_run_refuses_what_the_run_would(film, tmp_path):
    words = ["scan", film, "--out", tmp_path / "out", "--send-back"]
    assert run(*words) == run(*words, "--dry-run") == 2


@pytest.mark.skipif(os.name != "posix", reason="a shell closes streams")
def test_closed_streams_do_not_stop_a_command(tmp_path):
    command = [sys.executable, "-m", "calcidetect", "scan", str(tmp_path / "gone.png"), "--out", str(tmp_path / "out")]
    done = subprocess.run(["sh", "-c", '"$@" >&- 2>&-', "sh", *command], check=False)
    assert done.returncode == 1
    assert films_of(tmp_path / "out")[0]["status"] == "failed"


def test_dry_run_tells_the_fate_of_every_film_and_writes_nothing(tmp_path, capsys):
    _draw_leg(tmp_path / "leg.png", 0)
    (tmp_path / "twin.png").write_bytes((tmp_path / "leg.png").read_bytes())
    (tmp_path / "empty.dcm").touch()
    words = ["scan", tmp_path, "--root", tmp_path, "--out", tmp_path / "out", "--dry-run"]
    assert run(*words) == 1
    assert capsys.readouterr().out.splitlines() == [
        "unreadable  empty.dcm is empty; fetch the file again.",
        "scan        leg.png: 300 x 200, no pixel spacing",
        "scan        twin.png: 300 x 200, no pixel spacing; same pixels as leg.png",
        "2 scan, 0 done, 1 unreadable; nothing was written",
    ]
    assert not (tmp_path / "out").exists()


def test_dry_run_outlives_a_failure_that_nobody_foresaw(ramp, tmp_path, capsys, monkeypatch):
    def fails(path, **_):
        raise MemoryError

    monkeypatch.setattr(readers, "load", fails)
    monkeypatch.setattr(batch, "worker_processes", in_this_process)
    assert run("scan", ramp, "--out", tmp_path / "out", "--dry-run") == 1
    assert "The film needs more memory than there is." in capsys.readouterr().out


def test_dry_run_of_a_resumed_run_tells_what_is_done(fake_pipeline, ramp, film, tmp_path, capsys):
    out = tmp_path / "out"
    run("scan", ramp, "--out", out, "--format", "none")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    words = ["scan", ramp, film, "--out", out, "--format", "none", "--resume", "--dry-run"]
    assert run(*words) == 1
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["done", "unreadable", "0"]
    assert run(*words, "--region", "hand") == 2
    assert "made with another region" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_missing_libraries_of_extras_are_named_before_anything_is_done(film, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(writers.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "distributed", None)
    for words, extra in (
        ("--format imagej", "imagej"),
        ("--format parquet", "parquet"),
        ("--dask tcp://x:1", "cluster"),
    ):
        assert run("scan", film, "--out", tmp_path / "out", *words.split()) == 2
        assert f"pip install 'calcidetect[{extra}]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_polite_request_to_end_keeps_what_is_done(fake_pipeline, tmp_path, monkeypatch):
    films = [tmp_path / f"{number}.png" for number in range(3)]
    for path in films:
        path.write_bytes(b"a film")

    def stopped_at_the_second(film, **how):
        if film == str(films[1]):
            signal.raise_signal(signal.SIGTERM)
        return small_scan(film)

    monkeypatch.setattr(pipeline, "scan", stopped_at_the_second)
    assert run("scan", *films, "--out", tmp_path / "out") == 130
    assert [row["film"] for row in films_of(tmp_path / "out")] == [str(films[0])]


@pytest.mark.parametrize(
    "name", ["two words.png", "a,b.png", "Röntgen 手.png", "line\nbreak.png", "-dash.png", "q'\".png"]
)
def test_any_film_name_is_scanned_and_kept(fake_pipeline, tmp_path, name, capsys):
    film = tmp_path / name
    film.write_bytes(b"a film")
    assert run("scan", film, "--out", tmp_path / "out") == 0
    (row,) = films_of(tmp_path / "out")
    assert row["film"] == str(film)
    assert len(list((tmp_path / "out").glob("*.overlay.png"))) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_film_name_that_is_no_text_is_scanned_and_kept(fake_pipeline, tmp_path):
    film = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    film.write_bytes(b"a film")
    assert run("scan", film, "--out", tmp_path / "out") == 0
    assert films_of(tmp_path / "out")[0]["film"] == str(film)


# --- the real thing, on drawn films -----------------------------------------------------------------------------------


def _draw_leg(path, seed):
    """Draw a film of 120 x 80 mm in pixels of 0.4 mm: air, soft tissue, a long bone, a deposit of 5 mm beside it."""
    random = np.random.default_rng(seed)
    leg = np.zeros((300, 200), np.float32)
    leg[:, 30:170] = 80
    leg[:, 85:115] = 150
    leg[:, 85:89] = leg[:, 111:115] = 190
    cv2.circle(leg, (140, 150), 6, 170, -1)
    _picture(
        path, np.clip(cv2.GaussianBlur(leg, (0, 0), 1.2) + random.normal(20, 2, leg.shape), 0, 255).astype(np.uint8)
    )


def _steady(table):
    """Rows of a table without the one column that may differ between two equal runs."""
    with table.open(newline="", encoding="utf-8") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def test_two_processes_give_what_one_gives(tmp_path):
    for seed in range(3):
        _draw_leg(tmp_path / f"leg {seed}.png", seed)
    (tmp_path / "leg 1.dcm").touch()
    words = ["scan", *sorted(tmp_path.iterdir()), "--spacing", "0.4", "--min-score", "0", "--format", "bone,calc,json"]
    assert run(*words, "--out", tmp_path / "one") == 1
    assert run(*words, "--out", tmp_path / "two", "--jobs", "2") == 1
    assert [row["status"] for row in films_of(tmp_path / "one")] == ["ok", "failed", "ok", "ok"]
    for table in ("films.csv", "candidates.csv"):
        assert _steady(tmp_path / "one" / table) == _steady(tmp_path / "two" / table)
    for picture in (tmp_path / "one").glob("*.png"):
        assert picture.read_bytes() == (tmp_path / "two" / picture.name).read_bytes()
        assert cv2.imread(str(picture), cv2.IMREAD_UNCHANGED).shape == (300, 200)


def test_every_candidate_is_reported_at_score_0_and_best_first(tmp_path):
    _draw_leg(tmp_path / "leg.png", seed=0)
    words = ["scan", tmp_path / "leg.png", "--spacing", "0.4", "--format", "none"]
    assert run(*words, "--out", tmp_path / "all", "--min-score", "0") == 0
    assert run(*words, "--out", tmp_path / "none", "--min-score", "1") == 0
    rows = _steady(tmp_path / "all" / "candidates.csv")
    scores = [float(row["score"]) for row in rows]
    assert rows
    assert scores == sorted(scores, reverse=True)
    assert [row["id"] for row in rows] == [str(number + 1) for number in range(len(rows))]
    assert len(_steady(tmp_path / "none" / "candidates.csv")) <= len(rows)
    # The deposit, centred on row 150 and column 140, is among them.
    assert any(abs(float(row["row"]) - 150) < 4 and abs(float(row["col"]) - 140) < 4 for row in rows)


# --- wrong usage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--set", "nonsense"], "'nonsense' is no setting; write section.name=value"),
        (["--set", "no.such=1"], "no setting 'no.such'"),
        (["--set", "grid.working_mm=soon"], "grid.working_mm must be a number, got 'soon'"),
        (["--set", "grid.working_mm=nan"], "working_mm must be a number from 0.1 to 2.0 mm"),
        (["--config", "/nowhere.toml"], "/nowhere.toml can't be read as TOML settings"),
        (["--spacing", "-1"], "spacing must lie between 0.02 and 2.0 mm, got -1"),
        (["--spacing", "0.1e3"], "spacing must lie between 0.02 and 2.0 mm, got 100"),
        (["--spacing", "wide"], "invalid float value: 'wide'"),
        (["--min-score", "7"], "between 0 and 1, got 7"),
        (["--jobs", "0"], "jobs must be 1 or more, got 0"),
        (["--timeout", "0"], "time-out must be more than 0 s, got 0"),
        (["--timeout", "nan"], "time-out must be more than 0 s, got nan"),
        (["--root", "/nowhere"], "does not lie below /nowhere; give a --root that holds every film"),
        (["--dry-run", "--jobs", "0"], "jobs must be 1 or more, got 0"),
        (["--format", "nonsense"], "no output format 'nonsense'; choose from png"),
        (["--format", ""], "no output format ''"),
        (["--format", "png, none"], "format none stands alone, got 'png, none'; leave it or the others out"),
        (["--region", "nonsense"], "no region 'nonsense'; choose auto, chest"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    ],
)
def test_wrong_option_is_one_sentence_and_status_2(film, tmp_path, capsys, words, sentence):
    assert run("scan", film, "--out", tmp_path / "out", *words) == 2
    printed = capsys.readouterr()
    assert sentence in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""
    assert not (tmp_path / "out").exists()


_WITHOUT_BIAS = '{"names": ["area"], "feature": [[0]], "threshold": [[0]], "leaf": [[0, 1]], "bias": "none"}'


@pytest.mark.parametrize(
    "content", ["no tables", "{}", "[]", '{"names": ["area"], "feature": 1}', _WITHOUT_BIAS, "\xff"]
)
def test_tables_that_are_none_leave_earlier_results_alone(fake_pipeline, film, tmp_path, capsys, content):
    out, tables = tmp_path / "out", tmp_path / "tables.json"
    run("scan", film, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    tables.write_bytes(content.encode("latin-1"))
    for more in ([], ["--dry-run"]):
        assert run("scan", film, "--out", out, "--set", f"score.tables={tables}", *more) == 2
        assert f"{tables} holds no tables of the scorer" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("words", [[], ["scan"], ["scan", "film.png"], ["scan", "--out", "x"], ["nonsense"]])
def test_incomplete_command_has_status_2(words, capsys):
    assert run(*words) == 2
    assert "usage: calcidetect" in capsys.readouterr().err


def test_folder_without_films_has_status_2(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no film")
    assert run("scan", tmp_path / "empty", "--out", tmp_path / "out") == 2
    assert "empty holds no films" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["scan", "film.png", "--out", ""],
        ["scan", "film.png", "--out", "", "--dry-run"],
        ["scan", "film.png", "--out", "out", "--root", ""],
        ["scan", "", "--out", "out"],
        ["figure", "", "--out", "out.png"],
        ["phantom", "--out", ""],
        ["evaluate", "out", "--truth", "truth.json", "--out", ""],
        ["review", "film.png", "--out", "", "--export", "csv", "--to", "reading.csv"],
    ],
)
def test_empty_name_of_a_folder_has_status_2(film, monkeypatch, capsys, words):
    monkeypatch.chdir(film.parent)
    assert run(*words) == 2
    assert "the name is empty; give one, or . for the present folder" in capsys.readouterr().err
    assert [path.name for path in film.parent.iterdir()] == ["film.png"]


@pytest.mark.parametrize("place", ["film.png", "film.png/below"])
def test_folder_that_cannot_be_made_has_status_2(fake_pipeline, film, tmp_path, capsys, place):
    assert run("scan", film, "--out", tmp_path / place) == 2
    complaint = capsys.readouterr().err
    assert "can't be made" in complaint
    assert complaint.count("\n") == 1
    assert film.read_bytes() == b"a film"


# --- films that can't be scanned --------------------------------------------------------------------------------------


def _empty(path):
    path.touch()


def _text(path):
    path.write_text("Dear colleague, the film is in the post.\n")


def _truncated(path):
    path.write_bytes(Path(get_testdata_file("CT_small.dcm")).read_bytes()[:9000])


def _without_pixels(path):
    _header(path)


def _gigantic(path):
    _header(path, rows=46341, cols=46341)


def _short(path):
    _header(path, rows=100, cols=100, PixelData=bytes(500))


def _header(path, rows=None, cols=None, **tags):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["bad film"])
    film = pydicom.Dataset()
    film.file_meta = meta
    film.SOPClassUID, film.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    film.Modality = "CR"
    if rows:
        film.Rows, film.Columns = rows, cols
        film.SamplesPerPixel, film.PhotometricInterpretation = 1, "MONOCHROME2"
        film.BitsAllocated, film.BitsStored, film.HighBit, film.PixelRepresentation = 16, 12, 11, 0
        film.PixelData = tags.get("PixelData", b"")
        film["PixelData"].VR = "OW"
    film.save_as(path, enforce_file_format=True)


def _constant(path):
    _picture(path, np.full((200, 150), 77, np.uint8))


def _one_pixel(path):
    _picture(path, np.full((1, 1), 200, np.uint8))


def _white(path):
    _picture(path, np.full((200, 150), 255, np.uint8))


def _picture(path, pixels):
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def _missing(path):
    pass


def _cut_picture(path):
    noise = np.random.default_rng(0).integers(0, 255, (200, 150), np.uint8)
    path.write_bytes(cv2.imencode(".png", noise)[1].tobytes()[:5000])


BAD_FILMS = {
    "empty.dcm": _empty,
    "text.dcm": _text,
    "truncated.dcm": _truncated,
    "without_pixels.dcm": _without_pixels,
    "gigantic.dcm": _gigantic,
    "short.dcm": _short,
    "constant.png": _constant,
    "one_pixel.png": _one_pixel,
    "white.png": _white,
    "cut.png": _cut_picture,
    "missing.dcm": _missing,
}
MAX_PEAK_BYTES = 300e6  # a sound film of 3000 x 2500 pixels takes as much; the gigantic one would take 4 GB
MAX_SECONDS = 5.0


@pytest.fixture
def traced_memory():
    tracemalloc.start()
    yield tracemalloc.get_traced_memory
    tracemalloc.stop()


@pytest.mark.parametrize("name", BAD_FILMS)
def test_bad_film_is_a_row_with_one_sentence(tmp_path, capsys, traced_memory, name):
    film = tmp_path / name
    BAD_FILMS[name](film)
    started = time.monotonic()
    assert run("scan", film, "--out", tmp_path / "out") == 1
    assert time.monotonic() - started < MAX_SECONDS
    _, peak_bytes = traced_memory()
    assert peak_bytes < MAX_PEAK_BYTES
    (row,) = films_of(tmp_path / "out")
    assert (row["film"], row["status"]) == (str(film), "failed")
    assert re.fullmatch(rf"{re.escape(str(film))}:? .+\.", row["error"])
    printed = capsys.readouterr()
    assert printed.err == f"[1/1] {film}: failed. {row['error']}\n"
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize("name", ["empty.dcm", "text.dcm", "without_pixels.dcm", "gigantic.dcm", "missing.dcm"])
def test_inspect_of_a_bad_film_is_one_sentence(tmp_path, capsys, name):
    film = tmp_path / name
    BAD_FILMS[name](film)
    assert run("inspect", film) == 1
    printed = capsys.readouterr()
    assert name in printed.err
    assert printed.err.count("\n") == 1
    assert "Traceback" not in printed.err


# --- the other commands -----------------------------------------------------------------------------------------------


LONG = "a" * 300  # of more bytes than a file system takes


@pytest.mark.parametrize("manifest", [False, True])
def test_film_that_cannot_be_reached_stops_no_other(fake_pipeline, film, tmp_path, manifest):
    bad = tmp_path / f"bad{LONG}.png"
    (tmp_path / "list.csv").write_text(f"path\n{bad}\n{film}\n")
    given = [tmp_path / "list.csv"] if manifest else [bad, film]
    assert run("scan", *given, "--out", tmp_path / "out", "--resume") == 1
    assert [row["status"] for row in films_of(tmp_path / "out")] == ["failed", "ok"]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["inspect", f"{LONG}.png"], 1, f"{LONG}.png can't be opened: file name too long; check its path."),
        (["scan", LONG, "--out", "out", "--dry-run", "--resume"], 1, ""),
        (["scan", "film.png", "--out", LONG, "--dry-run", "--resume"], 1, ""),
        (["evaluate", LONG, "--truth", "truth.json", "--out", "out"], 2, f"{LONG} holds no films.csv; give a folder"),
        (["figure", LONG, "--out", "figure.png"], 1, f"{LONG} can't be opened: file name too long; check its path."),
        (["figure", "film.png", "--out", f"{LONG}/figure.png"], 2, "of the figure doesn't exist; make it first"),
        (["simulate", LONG, "--out", "out", "--seed", "1"], 1, f"{LONG} can't be opened: file name too long"),
    ],
)
def test_path_that_cannot_be_reached_is_one_sentence(film, monkeypatch, capsys, *, words, status, sentence):
    monkeypatch.chdir(film.parent)
    assert run(*words) == status
    assert sentence in capsys.readouterr().err


def test_inspect_prints_what_the_reader_understood(ramp, capsys):
    assert run("inspect", ramp) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (lines["film"], lines["rows"], lines["cols"], lines["bits"]) == (str(ramp), "60", "40", "8")
    assert (lines["spacing_mm"], lines["spacing_source"], lines["body_part"]) == ("-", "none", "-")
    assert "no_spacing" in lines["flags"]


def test_inspect_writes_json_also_of_films_it_cannot_read(ramp, film, capsys):
    assert run("inspect", "--json", ramp, film) == 1
    good, bad = json.loads(capsys.readouterr().out)
    assert (good["film"], good["rows"], good["spacing_mm"]) == (str(ramp), 60, None)
    assert list(bad) == ["film", "error"]
    assert str(film) in bad["error"]


def test_settings_lists_every_setting_with_its_default(capsys):
    assert run("settings") == 0
    listed = re.findall(r"^(\S+) = (\S*)  \(", capsys.readouterr().out, flags=re.MULTILINE)
    assert dict(listed) == {key: str(value) for key, value in Config().flat().items()}


def test_phantom_lists_the_films_it_wrote(tmp_path, capsys):
    assert run("phantom", "--out", tmp_path / "films", "--kind", "shoulder", "--seed", "7") == 0
    (film,) = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert film.parent == tmp_path / "films"
    assert film.is_file()


def test_phantom_makes_every_kind_unless_told_otherwise(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(samples, "write_samples", lambda out, **options: given.update(options) or ())
    assert run("phantom", "--out", tmp_path) == 0
    assert given == {"kinds": tuple(phantom.KINDS), "seed": 0, "count": 1}


@pytest.mark.parametrize("words", [["--kind", "nonsense"], ["--seed", "-1"], ["--count", "some"], ["--count", "0"]])
def test_wrong_phantom_option_has_status_2(tmp_path, capsys, words):
    assert run("phantom", "--out", tmp_path / "films", *words) == 2
    assert words[1] in capsys.readouterr().err
    assert not (tmp_path / "films").exists()


def test_help_names_every_option_of_the_contract(capsys):
    assert run("scan", "--help") == 0
    text = capsys.readouterr().out
    options = "--out --jobs --resume --format --region --spacing --min-score --config --set --timeout --dry-run --stats"
    assert [option for option in options.split() if option not in text] == []


def test_help_names_every_format(capsys):
    run("scan", "--help")
    text = capsys.readouterr().out
    assert [name for name in (*writers.FORMATS, *RUN_FORMATS, "none") if name not in text] == []


def test_version_is_that_of_the_project(capsys):
    assert run("--version") == 0
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert capsys.readouterr().out == f"calcidetect {project['version']}\n"


def test_closed_pipe_is_no_traceback():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "calcidetect", "settings"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("progress", [subprocess.STDOUT, subprocess.DEVNULL])
def test_closed_pipe_neither_stops_a_run_nor_changes_its_status(tmp_path, progress):
    films = [tmp_path / "a.png", tmp_path / "b.png"]
    for film in films:
        film.touch()  # an empty file is no film
    command = [sys.executable, "-m", "calcidetect", "scan", *films, "--out", tmp_path / "out"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=progress) as process:
        process.stdout.close()
    assert process.returncode == 1
    assert len(films_of(tmp_path / "out")) == 2
    with contextlib.closing(sqlite3.connect(tmp_path / "out/journal.sqlite")) as journal:
        assert journal.execute("SELECT count(ended) FROM runs").fetchone() == (1,), "the run came to its end"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a device that is always full")
def test_output_that_cannot_be_written_is_one_sentence():
    command = [sys.executable, "-m", "calcidetect", "settings"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.stderr == b"calcidetect: The output can't be written: No space left on device; send it elsewhere.\n"
    assert done.returncode == 2


class _Unread(io.StringIO):
    """A terminal that is gone."""

    def isatty(self):
        return True

    def write(self, text):
        raise BrokenPipeError(32, "Broken pipe")


def test_bar_that_nobody_sees_does_not_stop_a_run(fake_pipeline, film, tmp_path, monkeypatch, capsys):
    bad = tmp_path / "bad.png"
    bad.touch()
    monkeypatch.setattr(sys, "stderr", _Unread())
    assert run("scan", bad, film, "--out", tmp_path / "out") == 1
    assert [row["status"] for row in films_of(tmp_path / "out")] == ["failed", "ok"]
    assert "1 of 2 films scanned" in capsys.readouterr().out


# --- what users are told ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def readme():
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_explains_every_column_in_its_order(readme):
    explained = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", readme, flags=re.MULTILINE)))
    columns = [*writers.FILM_COLUMNS, *writers.CANDIDATE_COLUMNS]
    assert [name for name in explained if name in columns] == columns


def test_readme_explains_every_option_of_scan(readme):
    options = (
        "--out --format --region --spacing --min-score --config --set --jobs --resume --timeout --dry-run --stats "
        "--root --dask --keep-identifiers"
    )
    assert [option for option in options.split() if f"`{option}" not in readme] == []


def test_readme_explains_every_option_of_figure(readme):
    options = "--out --captions --height --columns --no-crop"
    assert [option for option in (*options.split(), "--dpi") if f"`{option}" not in readme] == []


def test_readme_names_every_region_and_format(readme):
    assert [
        name for name in (*regions.NAMES, *writers.FORMATS, *RUN_FORMATS, "none") if f"`{name}`" not in readme
    ] == []


def test_readme_has_the_test_command_that_the_checks_run(readme):
    command = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest"
    assert f"\n{command}\n" in readme
    assert f"\n{command}\n" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
