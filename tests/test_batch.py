import csv
import json
import os
import time
from pathlib import Path

import pytest
from small_scans import small_scan

from calcidetect import batch
from calcidetect.batch import output_names, run_tasks, scan_many
from calcidetect.config import Config
from calcidetect.errors import ConfigError, OutputError, ReadError, UnreadableFile


@pytest.fixture
def films(tmp_path):
    """Three film files; what they hold is up to `scanner`."""
    paths = [tmp_path / "films" / name for name in ("a.png", "b.png", "c.png")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"film")
    return [str(path) for path in paths]


@pytest.fixture(autouse=True)
def scanner(monkeypatch):
    """Replace the pipeline by one that gives the same small scan of every film, and return the list of its calls."""
    calls = []

    def scan(film, **how):
        calls.append((film, how))
        return small_scan(film)

    monkeypatch.setattr(batch.pipeline, "scan", scan)
    return calls


def rows_of(table):
    with Path(table).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def failing_at(monkeypatch, bad_film, error):
    def scan(film, **how):
        if film == bad_film:
            raise error
        return small_scan(film)

    monkeypatch.setattr(batch.pipeline, "scan", scan)


def test_tables_hold_each_film_in_the_order_given(films, tmp_path):
    order = [films[2], films[0], films[1]]
    results = scan_many(order, tmp_path / "out")
    assert [row["film"] for row in rows_of(tmp_path / "out/films.csv")] == order
    assert [row["film"] for row in rows_of(tmp_path / "out/candidates.csv")] == [
        film for film in order for _ in range(2)
    ]
    assert [result.film for result in results] == rows_of(tmp_path / "out/films.csv")


def test_options_reach_the_scan_of_every_film(films, tmp_path, scanner):
    config = Config().replace({"grid.working_mm": 0.5})
    scan_many(films, tmp_path, config=config, region="hand", spacing_mm=0.2, min_score=0)
    how = {"config": config, "region": "hand", "spacing_mm": 0.2, "min_score": 0}
    assert scanner == [(film, how) for film in films]


def test_formats_are_written_once_for_each_film(films, tmp_path):
    scan_many(films[:2], tmp_path / "out", formats=["json", "bone", "json"])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"a.json", "a.bone.png", "b.json", "b.bone.png", "films.csv", "candidates.csv", "run.json"}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UnreadableFile("b.png is empty; export it again."), "b.png is empty; export it again."),
        (MemoryError(), "The film needs more memory than there is."),
        (ZeroDivisionError("division\nby zero"), "Unexpected ZeroDivisionError in batch.py, line "),
    ],
)
def test_a_film_that_fails_is_a_row_and_stops_no_other(films, tmp_path, monkeypatch, error, sentence):
    failing_at(monkeypatch, films[1], error)
    results = scan_many(films, tmp_path / "out")
    assert [result.film["status"] for result in results] == ["ok", "failed", "ok"]
    assert results[1].film["error"].startswith(sentence)
    assert "\n" not in results[1].film["error"]
    assert results[1].candidates == ()


def test_missing_film_is_a_row(films, tmp_path, monkeypatch):
    missing = str(tmp_path / "nowhere.dcm")
    failing_at(monkeypatch, missing, UnreadableFile("There is no file nowhere.dcm."))
    results = scan_many([missing, *films], tmp_path / "out")
    assert [result.ok for result in results] == [False, True, True, True]


def test_interruption_keeps_what_is_done(films, tmp_path, monkeypatch):
    failing_at(monkeypatch, films[2], KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        scan_many(films, tmp_path / "out")
    assert [row["film"] for row in rows_of(tmp_path / "out/films.csv")] == films[:2]


def test_tables_are_saved_while_the_run_goes_on(films, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_SAVE_EVERY_S", 0.0)
    seen = []

    def count_rows(result, done, total):
        seen.append((done, total, len(rows_of(tmp_path / "out/films.csv"))))

    scan_many(films, tmp_path / "out", progress=count_rows)
    assert seen == [(1, 3, 0), (2, 3, 1), (3, 3, 2)]


def test_resume_scans_only_what_is_not_finished(films, tmp_path, monkeypatch, scanner):
    out = tmp_path / "out"
    with monkeypatch.context() as first_run:
        failing_at(first_run, films[1], UnreadableFile("half copied"))
        before = scan_many(films[:2], out)
    after = scan_many(films, out, resume=True)
    assert [film for film, _ in scanner] == films[1:]
    assert after[0] == before[0]
    assert [result.ok for result in after] == [True, True, True]
    assert len(rows_of(out / "candidates.csv")) == 6


def test_resume_into_a_new_folder_starts_there(films, tmp_path, scanner):
    scan_many(films, tmp_path / "out", resume=True)
    assert len(scanner) == 3


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"config": Config().replace({"grid.working_mm": 0.5})}, "settings_hash"),
        ({"region": "hand"}, "region"),
        ({"min_score": 0.0}, "min_score"),
        ({"formats": ["json"]}, "formats"),
    ],
)
def test_resume_refuses_results_of_other_settings(films, tmp_path, changes, named):
    scan_many(films, tmp_path / "out")
    table = (tmp_path / "out/films.csv").read_text()
    with pytest.raises(ConfigError, match=f"made with another {named}; run without --resume"):
        scan_many(films, tmp_path / "out", resume=True, **changes)
    assert (tmp_path / "out/films.csv").read_text() == table


def test_resume_refuses_tables_without_the_settings_that_made_them(films, tmp_path):
    scan_many(films, tmp_path / "out")
    (tmp_path / "out/run.json").unlink()
    with pytest.raises(ConfigError, match=r"run\.json can't be read"):
        scan_many(films, tmp_path / "out", resume=True)


def test_without_resume_everything_is_scanned_again(films, tmp_path, scanner):
    scan_many(films, tmp_path / "out")
    scan_many(films[:1], tmp_path / "out")
    assert len(scanner) == 4
    assert len(rows_of(tmp_path / "out/films.csv")) == 1


def test_run_file_states_the_settings(films, tmp_path):
    scan_many(films, tmp_path / "out", region="knee")
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert (run["region"], run["settings_hash"]) == ("knee", Config().hash)
    assert run["settings"]["grid.working_mm"] == 0.4


def test_a_film_named_twice_is_scanned_once(films, tmp_path, scanner):
    folder = Path(films[0]).parent
    results = scan_many([films[1], folder, films[0]], tmp_path / "out")
    assert [result.film["film"] for result in results] == [films[1], films[0], films[2]]
    assert len(scanner) == 3


def test_our_own_pictures_in_a_folder_are_no_films(films, tmp_path, scanner):
    folder = tmp_path / "films"
    scan_many(folder, folder / "results", formats=["png", "bone", "calc"])
    scan_many(folder, folder / "results")
    assert [film for film, _ in scanner] == films * 2


def test_folder_without_films_is_named(tmp_path):
    with pytest.raises(ReadError, match=f"{tmp_path} holds no films"):
        scan_many(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"jobs": 0}, "jobs must be 1 or more, got 0"),
        ({"region": "tail"}, "no region 'tail'; choose auto, chest"),
        ({"spacing_mm": -1.0}, "spacing must lie between 0.02 and 2.0 mm, got -1"),
        ({"spacing_mm": float("nan")}, "spacing must lie between 0.02 and 2.0 mm, got nan"),
        ({"min_score": 1.5}, "between 0 and 1, got 1.5"),
        ({"formats": ["gif"]}, "no output format 'gif'"),
    ],
)
def test_impossible_option_is_refused_before_anything_is_written(films, tmp_path, option, sentence):
    with pytest.raises(ConfigError, match=sentence):
        scan_many(films, tmp_path / "out", **option)
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_folder_is_named(films, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match=r"folder .*out can't be made: File exists; choose another"):
        scan_many(films, tmp_path / "out")


def test_output_is_named_by_the_stem_of_the_film():
    assert output_names(["x/a.png", "x/b.tar.dcm"]) == {"x/a.png": "a", "x/b.tar.dcm": "b.tar"}


def test_films_of_one_stem_keep_their_folders_and_suffixes():
    films = ["x/a.png", "x/a.dcm", "x/sub/a.png", "x/b.png"]
    assert list(output_names(films).values()) == ["a.png", "a.dcm", "sub_a.png", "b"]


def test_output_names_differ_also_without_regard_to_case():
    films = ["x/sub/a.png", "x/sub_a.png", "y/sub_a.png", "z/a.png", "z/A.png", "q/KNEE.png", "q/knee.dcm"]
    names = [name.casefold() for name in output_names(films).values()]
    assert len(set(names)) == len(films)


def test_output_names_fit_every_file_system():
    assert output_names(["x/line\nbreak: 1*.png"]) == {"x/line\nbreak: 1*.png": "line_break_ 1_"}


def _square(number):
    return number * number


def _square_or_die(number):
    if number == 3:
        os._exit(9)
    time.sleep(0.01)
    return number * number


def test_workers_give_what_one_process_gives():
    serial = dict(run_tasks(_square, range(7), jobs=1))
    assert dict(run_tasks(_square, range(7), jobs=2)) == serial


def test_a_task_that_kills_its_worker_costs_only_itself():
    results = dict(run_tasks(_square_or_die, range(8), jobs=2))
    assert results == {number: None if number == 3 else number * number for number in range(8)}


def test_a_film_that_kills_its_worker_is_a_failed_row(films, tmp_path, monkeypatch):
    def dies_of_b(function, tasks, *, jobs):
        assert jobs == 2
        return ((task, None if task.film == films[1] else function(task)) for task in tasks)

    monkeypatch.setattr(batch, "run_tasks", dies_of_b)
    results = scan_many(films, tmp_path / "out", jobs=2)
    assert [result.ok for result in results] == [True, False, True]
    assert results[1].film["error"] == "The worker process died while scanning this film."
