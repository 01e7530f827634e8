import contextlib
import csv
import dataclasses
import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bad_films
import pytest
from films import limb, write_dicom
from small_scans import in_this_process, small_scan

from calcidetect import __version__, pipeline, writers
from calcidetect.batch import film_task, workers
from calcidetect.batch import run as batch
from calcidetect.batch.journal import Journal
from calcidetect.batch.names import output_names
from calcidetect.batch.run import scan_many
from calcidetect.batch.workers import worker_processes
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

    monkeypatch.setattr(pipeline, "scan", scan)
    return calls


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Scan in this process, where `scanner` is planted."""
    monkeypatch.setattr(batch, "worker_processes", in_this_process)


def rows_of(table):
    with Path(table).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def failing_at(monkeypatch, bad_film, error):
    def scan(film, **how):
        if film == bad_film:
            raise error
        return small_scan(film)

    monkeypatch.setattr(pipeline, "scan", scan)


def test_tables_hold_each_film_in_the_order_given(films, tmp_path):
    order = [films[2], films[0], films[1]]
    results = scan_many(order, tmp_path / "out")
    assert [row["film"] for row in rows_of(tmp_path / "out/films.csv")] == order
    assert [row["film"] for row in rows_of(tmp_path / "out/candidates.csv")] == [
        film for film in order for _ in range(2)
    ]
    assert [result.film for result in results] == rows_of(tmp_path / "out/films.csv")
    assert len(results) == 3


def test_options_reach_the_scan_of_every_film(films, tmp_path, scanner):
    config = Config().replace({"grid.working_mm": 0.5})
    scan_many(films, tmp_path, config=config, region="hand", spacing_mm=0.2, min_score=0)
    how = {"config": config, "region": "hand", "laterality": "", "spacing_mm": 0.2, "min_score": 0}
    assert scanner == [(film, how) for film in films]


def test_formats_are_written_once_for_each_film(films, tmp_path):
    scan_many(films[:2], tmp_path / "out", formats=["json", "bone", "json"])
    names = {path.name for path in (tmp_path / "out").iterdir()}
    ours = {"films.csv", "candidates.csv", "run.json", "journal.sqlite", "index.html"}
    assert names == {"a.json", "a.bone.png", "b.json", "b.bone.png"} | ours


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UnreadableFile("b.png is empty; export it again."), "b.png is empty; export it again."),
        (MemoryError(), "The film needs more memory than there is."),
        (ZeroDivisionError("division\nby zero"), "Unexpected ZeroDivisionError in film_task.py, line "),
    ],
)
def test_a_film_that_fails_is_a_row_and_stops_no_other(films, tmp_path, monkeypatch, error, sentence):
    failing_at(monkeypatch, films[1], error)
    results = scan_many(films, tmp_path / "out")
    assert [result.film["status"] for result in results] == ["ok", "failed", "ok"]
    assert results[1].film["error"].startswith(sentence)
    assert "\n" not in results[1].film["error"]
    assert results[1].candidates == ()


def test_a_pipe_is_not_read_to_be_hashed(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert film_task.hash_of_file(str(tmp_path / "pipe.png")) == ""


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
        ({"config": Config().replace({"grid.working_mm": 0.5})}, "another settings hash"),
        ({"region": "hand"}, "another region"),
        ({"min_score": 0.0}, "another min score"),
        ({"formats": ["json"]}, "other formats"),
    ],
)
def test_resume_refuses_results_of_other_settings(films, tmp_path, changes, named):
    scan_many(films, tmp_path / "out")
    table = (tmp_path / "out/films.csv").read_text()
    with pytest.raises(ConfigError, match=f"made with {named}; run without --resume"):
        scan_many(films, tmp_path / "out", resume=True, **changes)
    assert (tmp_path / "out/films.csv").read_text() == table


def test_resume_refuses_tables_without_the_journal_that_made_them(films, tmp_path):
    scan_many(films, tmp_path / "out")
    (tmp_path / "out/journal.sqlite").unlink()
    with pytest.raises(ConfigError, match=r"holds tables but no journal\.sqlite.*; choose another folder"):
        scan_many(films, tmp_path / "out", resume=True)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("place", ["", "../films", "../link"])
def test_a_run_replaces_no_manifest_that_it_reads(films, tmp_path, place, resume):
    manifest = tmp_path / "films/films.csv"
    manifest.write_text("path\na.png\n")
    (tmp_path / "link").symlink_to(tmp_path / "films")
    with pytest.raises(ConfigError, match=r"films\.csv would be replaced by a result; choose another folder"):
        scan_many(iter([manifest]), tmp_path / "films" / place, resume=resume)
    assert manifest.read_text() == "path\na.png\n"


def test_a_run_replaces_no_film_that_it_reads(films, tmp_path):
    own = tmp_path / "films/a.bone.png"
    own.write_bytes(b"film")
    with pytest.raises(ConfigError, match=r"a\.bone\.png would be replaced by a result"):
        scan_many([films[0], own], tmp_path / "films", formats=["bone"])
    assert own.read_bytes() == b"film"


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("name", ["films.csv", "candidates.csv"])
def test_a_run_replaces_no_table_of_another_program(films, tmp_path, name, resume):
    own = tmp_path / "films" / name
    own.write_text("film,note\nold,mine\n")
    with pytest.raises(ConfigError, match=f"{name} is no table of calcidetect; choose another folder"):
        scan_many(films, tmp_path / "films", resume=resume)
    assert own.read_text() == "film,note\nold,mine\n"


USERS_FILES = ("coco.json", "films.parquet", "index.html", "identifiers.csv")


@pytest.mark.parametrize("formats", [["json"], []])
def test_a_run_removes_no_files_that_none_has_written(films, tmp_path, formats):
    out = tmp_path / "out"
    scan_many(films, out, formats=formats)
    users = [name for name in USERS_FILES if not (out / name).exists()]
    for name in users:
        (out / name).write_text("mine")
    scan_many(films, out, formats=formats)
    assert len(users) >= 3
    assert {(out / name).read_text() for name in users} == {"mine"}


def test_a_first_run_removes_no_files(films, tmp_path):
    for name in USERS_FILES:
        (tmp_path / name).write_text("mine")
    scan_many(films, tmp_path, formats=[])
    assert {(tmp_path / name).read_text() for name in USERS_FILES} == {"mine"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("index.html", {}),
        ("run.json", {"formats": []}),
        ("coco.json", {"formats": ["coco"]}),
        ("identifiers.csv", {"keep_identifiers": True}),
        ("a.json", {"formats": ["json"]}),
        ("a.overlay.png", {}),
    ],
)
def test_a_first_run_replaces_no_file(films, tmp_path, name, options):
    own = tmp_path / "films" / name
    own.write_text("mine")
    with pytest.raises(ConfigError, match=f"holds another {name}, which a run would replace; choose another folder"):
        scan_many(films, own.parent, **options)
    assert {path.name for path in own.parent.iterdir()} == {name, *(Path(film).name for film in films)}
    assert own.read_text() == "mine"


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


def test_a_folder_without_a_name_is_refused(films, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="folder for the results has no name; give one"):
        scan_many(films, "")
    assert [path.name for path in tmp_path.iterdir()] == ["films"]


def test_a_file_in_the_place_of_the_folder_is_named(films, tmp_path):
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match=r"folder .*out can't be made: File exists; choose another"):
        scan_many(films, tmp_path / "out")


def test_output_is_named_by_the_stem_of_the_film():
    assert output_names(["x/a.png", "x/b.tar.dcm"]) == {"x/a.png": "a", "x/b.tar.dcm": "b.tar"}


def test_the_last_part_of_a_uid_is_no_suffix():
    assert output_names(["x/1.2.840.113619.2.1.77"]) == {"x/1.2.840.113619.2.1.77": "1.2.840.113619.2.1.77"}


def test_films_of_one_stem_keep_their_folders_and_suffixes():
    films = ["x/a.png", "x/a.dcm", "x/sub/a.png", "x/b.png"]
    assert list(output_names(films).values()) == ["a.png", "a.dcm", "sub_a.png", "b"]


def test_output_names_differ_also_without_regard_to_case():
    films = ["x/sub/a.png", "x/sub_a.png", "y/sub_a.png", "z/a.png", "z/A.png", "q/KNEE.png", "q/knee.dcm"]
    names = [name.casefold() for name in output_names(films).values()]
    assert len(set(names)) == len(films)


def test_output_names_of_many_films_are_found_at_once():
    films = [f"folder/{number}.png" for number in range(50_000)]
    started = time.process_time()
    assert len(set(output_names(films).values())) == len(films)
    assert time.process_time() - started < 5  # half a second; it was ten minutes when each name was tried with numbers


def test_films_share_no_file_in_any_format():
    films = ["x.png", "x.mrk.png", "y.labelme.dcm", "y.dcm"]
    files = [
        f"{name}{ending}"
        for name in output_names(films, endings=writers.ENDINGS).values()
        for ending in writers.ENDINGS
    ]
    assert len(files) == len(set(files))


@pytest.mark.parametrize("films", [[f"x/{'ü' * 126}.png"], [f"{'deep/' * 70}{side}/a.png" for side in "lr"]])
def test_names_leave_room_for_every_ending(films, tmp_path):
    names = output_names(films, endings=writers.ENDINGS).values()
    assert len(set(names)) == len(films)
    for name in names:
        (tmp_path / f"{name}{max(writers.ENDINGS, key=len)}.part").touch()


def test_names_of_devices_are_not_taken():
    assert output_names(["con.png", "LPT1.dcm", "console.png"]) == {
        "con.png": "con-2",
        "LPT1.dcm": "LPT1-2",
        "console.png": "console",
    }


def test_names_of_files_on_all_films_are_not_taken():
    assert output_names(["run.png", "coco.png", "Coco.dcm"]) == {
        "run.png": "run-2",
        "coco.png": "coco-2",
        "Coco.dcm": "Coco-3",
    }


def test_output_names_fit_every_file_system():
    assert output_names(["x/line\nbreak: 1*.png"]) == {"x/line\nbreak: 1*.png": "line_break_ 1_"}


# --- what a result rests on -------------------------------------------------------------------------------------------


def test_film_that_changed_is_scanned_again(films, tmp_path, scanner):
    scan_many(films, tmp_path / "out")
    Path(films[1]).write_bytes(b"another film")
    scan_many(films, tmp_path / "out", resume=True)
    assert [film for film, _ in scanner] == [*films, films[1]]


def test_film_that_changed_in_place_with_size_and_time_kept_is_scanned_again(films, tmp_path, scanner):
    scan_many(films, tmp_path / "out")
    before = os.stat(films[1])
    Path(films[1]).write_bytes(b"flim")
    os.utime(films[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    after = os.stat(films[1])
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    scan_many(films, tmp_path / "out", resume=True)
    assert [film for film, _ in scanner] == [*films, films[1]]


def test_film_that_was_copied_anew_as_it_was_is_hashed_once_and_kept(films, tmp_path, monkeypatch, scanner):
    scan_many(films, tmp_path / "out")
    os.utime(films[1])
    hashed = []
    monkeypatch.setattr(batch, "hash_of_file", lambda path: hashed.append(path) or film_task.hash_of_file(path))
    for _ in range(2):
        scan_many(films, tmp_path / "out", resume=True)
    assert hashed == [films[1]]
    assert len(scanner) == 3


def test_where_times_tell_nothing_films_are_hashed(films, tmp_path, monkeypatch, scanner):
    footing_of = batch.footing_of
    monkeypatch.setattr(batch, "footing_of", lambda *film: dataclasses.replace(footing_of(*film), touched_ns=-1))
    scan_many(films, tmp_path / "out")
    before = os.stat(films[1])
    Path(films[1]).write_bytes(b"flim")
    os.utime(films[1], ns=(before.st_atime_ns, before.st_mtime_ns))
    scan_many(films, tmp_path / "out", resume=True)
    assert [film for film, _ in scanner] == [*films, films[1]]


def test_film_whose_picture_was_deleted_is_scanned_again(films, tmp_path, scanner):
    scan_many(films, tmp_path / "out", formats=["json"])
    (tmp_path / "out/c.json").unlink()
    scan_many(films, tmp_path / "out", formats=["json"], resume=True)
    assert [film for film, _ in scanner] == [*films, films[2]]
    assert (tmp_path / "out/c.json").exists()


def test_film_that_failed_leaves_no_files(films, tmp_path, monkeypatch):
    out = tmp_path / "out"
    scan_many(films, out, formats=["json", "bone"])
    (out / "b.txt").write_text("the user's own")
    Path(films[1]).write_bytes(b"torn")
    failing_at(monkeypatch, films[1], UnreadableFile("b.png is torn; fetch it again."))
    scan_many(films, out, formats=["json", "bone"], resume=True)
    assert {path.name for path in out.glob("[abc].*")} == {"a.json", "a.bone.png", "b.txt", "c.json", "c.bone.png"}


def interrupted(*_told, **_more):
    raise KeyboardInterrupt


@pytest.mark.parametrize("killed", [False, True])
def test_film_whose_files_another_film_has_replaced_is_scanned_again(tmp_path, scanner, monkeypatch, killed):
    films = [tmp_path / side / "x.png" for side in "AB"]
    for film in films:
        film.parent.mkdir()
        film.write_bytes(b"film")
    out = tmp_path / "out"
    scan_many(films[0], out, formats=["json"])
    with monkeypatch.context() as second_run:
        if killed:  # after the film's files were written, and before that is noted
            second_run.setattr(Journal, "record", interrupted)
        with pytest.raises(KeyboardInterrupt) if killed else contextlib.nullcontext():
            scan_many(films[1], out, formats=["json"])
    scan_many(films[0], out, formats=["json"], resume=True)
    assert [film for film, _ in scanner] == [str(film) for film in (films[0], films[1], films[0])]
    assert json.loads((out / "x.json").read_text())["source"]["path"] == str(films[0])


def test_film_of_which_the_manifest_tells_something_new_is_scanned_again(films, tmp_path, scanner):
    manifest = tmp_path / "films/list.csv"
    manifest.write_text("path,spacing\na.png,0.2\nb.png,0.2\n")
    scan_many(manifest, tmp_path / "out")
    manifest.write_text("path,spacing\na.png,0.2\nb.png,0.3\n")
    scan_many(manifest, tmp_path / "out", resume=True)
    assert [(film, how["spacing_mm"]) for film, how in scanner] == [(films[0], 0.2), (films[1], 0.2), (films[1], 0.3)]


def test_interrupted_run_that_was_started_anew_by_mistake_loses_nothing(films, tmp_path, monkeypatch, scanner):
    out = tmp_path / "out"
    scan_many(films, out)
    with monkeypatch.context() as second_run:
        failing_at(second_run, films[1], KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            scan_many(films, out)
    assert [row["film"] for row in rows_of(out / "films.csv")] == films[:1]
    scanner.clear()
    scan_many(films, out, resume=True)
    assert scanner == []
    assert [row["film"] for row in rows_of(out / "films.csv")] == films


def test_new_run_with_other_settings_leaves_nothing_of_the_old_one(films, tmp_path):
    out = tmp_path / "out"
    scan_many(films, out, formats=["bone", "coco"])
    (out / "notes.bone.txt").write_text("the user's own")
    scan_many(films[:1], out, formats=["json"])
    names = {path.name for path in out.iterdir()} - {"films.csv", "candidates.csv", "run.json", "journal.sqlite"}
    assert names == {"a.json", "index.html", "notes.bone.txt"}
    with contextlib.closing(sqlite3.connect(out / "journal.sqlite")) as journal:
        assert journal.execute("SELECT film FROM films").fetchall() == [(films[0],)]


def test_a_dicom_result_that_cant_be_made_costs_no_other_result(films, tmp_path):
    (result,) = scan_many(films[0], tmp_path / "out", formats=["sr", "json", "gsps"])
    assert result.ok
    assert len(result.candidates) == 2
    assert result.film["flags"].split(";")[-2:] == ["no_sr", "no_gsps"]
    assert result.film["error"].startswith(f"{films[0]} is no DICOM file")
    assert result.film["error"].count("Results can't be filed in a PACS") == 1
    told = json.loads((tmp_path / "out/a.json").read_text())
    assert told["flags"][-2:] == ["no_sr", "no_gsps"]
    assert not list((tmp_path / "out").glob("*.dcm"))


def test_what_cant_be_made_of_a_film_is_not_tried_again(films, tmp_path, scanner):
    scan_many(films[0], tmp_path / "out", formats=["sr", "json"])
    scan_many(films[0], tmp_path / "out", formats=["sr", "json"], resume=True)
    assert len(scanner) == 1
    (tmp_path / "out/a.json").unlink()
    scan_many(films[0], tmp_path / "out", formats=["sr", "json"], resume=True)
    assert len(scanner) == 2, "what is gone is made again"


def test_a_dicom_result_of_a_run_before_does_not_outlive_what_it_was_made_of(films, tmp_path):
    out = tmp_path / "out"
    scan_many(films[0], out, formats=["sr"])
    (out / "a.sr.dcm").write_bytes(b"of the film as it was")
    Path(films[0]).write_bytes(b"another film")
    scan_many(films[0], out, formats=["sr"], resume=True)
    assert not (out / "a.sr.dcm").exists()


def test_rows_are_keyed_by_pixels_settings_and_version(films, tmp_path):
    scan_many(films, tmp_path / "out")
    with contextlib.closing(sqlite3.connect(tmp_path / "out/journal.sqlite")) as journal:
        keys = journal.execute("SELECT name FROM pragma_table_info('films') WHERE pk > 0 ORDER BY pk").fetchall()
        (row,) = set(journal.execute("SELECT pixel_hash, version FROM films"))
    assert keys == [("film",), ("pixel_hash",), ("settings_hash",), ("version",)]
    assert row == ("0" * 64, __version__)


# --- one run at a time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resume", [False, True])
def test_second_run_into_the_same_folder_is_refused(films, tmp_path, resume):
    refused = []

    def start_another(result, done, total):
        with pytest.raises(OutputError, match=r"Another run is writing into .*out; wait for its end"):
            scan_many(films, tmp_path / "out", resume=resume)
        refused.append(done)

    scan_many(films, tmp_path / "out", progress=start_another)
    assert refused == [1, 2, 3]
    assert len(rows_of(tmp_path / "out/films.csv")) == 3


def test_finished_journal_is_one_file_that_opens_anywhere(films, tmp_path):
    scan_many(films, tmp_path / "out")
    assert not list((tmp_path / "out").glob("journal.sqlite-*"))


@pytest.mark.parametrize("content", [b"Dear colleague, this is no journal." * 40, b""])
def test_damaged_journal_is_named_or_begun_anew(films, tmp_path, content):
    out = tmp_path / "out"
    out.mkdir()
    (out / "journal.sqlite").write_bytes(content)
    if not content:
        assert len(scan_many(films, out)) == 3
        return
    with pytest.raises(ConfigError, match=r"journal\.sqlite is damaged; move it away"):
        scan_many(films, out)


def test_results_are_read_again_each_time_they_are_used(films, tmp_path):
    results = scan_many(films, tmp_path / "out")
    assert [result.name for result in results] == [result.name for result in results] == ["a", "b", "c"]
    assert [results[index] for index in (0, 2, -1, -3)] == [tuple(results)[index] for index in (0, 2, 2, 0)]
    for index in (3, -4):
        with pytest.raises(IndexError):
            results[index]
    assert results[:2] == tuple(results)[:2]


# --- duplicates, names, sides, patients -------------------------------------------------------------------------------


def test_same_pixels_are_noticed_in_the_order_of_the_films(films, tmp_path):
    results = scan_many(films, tmp_path / "out")  # the planted scan gives every film the same pixel hash
    flags = [row["flags"].split(";") for row in rows_of(tmp_path / "out/films.csv")]
    assert ["duplicate" in words for words in flags] == [False, True, True]
    assert [result.film["flags"].split(";") for result in results] == flags


def test_root_names_films_relative_to_it_everywhere(films, tmp_path):
    out = tmp_path / "out"
    scan_many(tmp_path / "films", out, root=tmp_path, formats=["json", "coco", "labelme"])
    assert [row["film"] for row in rows_of(out / "films.csv")] == ["films/a.png", "films/b.png", "films/c.png"]
    assert json.loads((out / "a.json").read_text())["source"]["path"] == "films/a.png"
    for path in out.iterdir():
        assert os.fsencode(tmp_path) not in path.read_bytes(), path.name


def test_errors_name_a_film_as_the_tables_do(films, tmp_path, monkeypatch):
    failing_at(monkeypatch, films[1], UnreadableFile(f"{films[1]} is empty; fetch it again."))
    results = scan_many(films, tmp_path / "out", root=tmp_path)
    assert results[1].film["error"] == "films/b.png is empty; fetch it again."


@pytest.mark.parametrize("name", ["two  spaces", "line\nbreak"])
def test_errors_tell_no_folder_above_the_root_whatever_it_is_called(tmp_path, monkeypatch, name):
    film = tmp_path / name / "films" / name / "a.png"
    film.parent.mkdir(parents=True)
    film.write_bytes(b"film")
    failing_at(monkeypatch, str(film), UnreadableFile(f"{film} is empty; fetch it again."))
    (result,) = scan_many(film, tmp_path / "out", root=tmp_path / name / "films")
    assert result.film["error"] == f"{' '.join(name.split())}/a.png is empty; fetch it again."


def test_the_side_that_a_manifest_tells_reaches_the_scan(films, tmp_path, scanner):
    manifest = tmp_path / "films/list.csv"
    manifest.write_text("path,laterality\na.png,right\nb.png,L\nc.png,\n")
    scan_many(manifest, tmp_path / "out")
    assert [how["laterality"] for _, how in scanner] == ["R", "L", ""]


NAME, NUMBER, BIRTH = "ROENTGEN^ANNA", "PID-77-4711", "18721222"


def identified_films(folder):
    """A sound film and a broken one, with a patient in header and manifest."""
    tags = {"PatientName": NAME, "PatientID": NUMBER, "PatientBirthDate": BIRTH}
    write_dicom(folder / "a.dcm", limb(), **tags)
    with pytest.warns(UserWarning, match="Invalid value"):
        write_dicom(folder / "b.dcm", limb(), Rows=4000, PatientAge="ROENTGEN", **tags)
    (folder / "list.csv").write_text(f"path,patient\na.dcm,{NAME}\nb.dcm,{NAME}\n")
    return folder / "list.csv"


EVERYTHING = ("png", "bone", "calc", "json", "slicer", "imagej", "labelme", "coco", "parquet")


def test_no_output_holds_a_patient(tmp_path, capfd):
    manifest = identified_films(tmp_path)
    scan_many(manifest, tmp_path / "out", formats=EVERYTHING)
    for path in (tmp_path / "out").iterdir():
        data = path.read_bytes()
        assert not [text for text in (NAME, NUMBER, BIRTH) if text.encode() in data], path.name
    assert "ROENTGEN" not in "".join(capfd.readouterr())
    assert not (tmp_path / "out/identifiers.csv").exists()


def test_identifiers_are_kept_when_asked_for_and_gone_after_the_next_run(tmp_path):
    manifest = identified_films(tmp_path)
    scan_many([manifest, tmp_path / "a.dcm"], tmp_path / "out", keep_identifiers=True)
    assert [row["patient"] for row in rows_of(tmp_path / "out/identifiers.csv")] == [NAME, NAME]
    scan_many(tmp_path / "a.dcm", tmp_path / "out", keep_identifiers=True)
    assert [row["patient"] for row in rows_of(tmp_path / "out/identifiers.csv")] == [NUMBER]
    scan_many(tmp_path / "a.dcm", tmp_path / "out")
    test = [path.name for path in (tmp_path / "out").iterdir() if NUMBER.encode() in path.read_bytes()]
    assert test == []


# --- executors --------------------------------------------------------------------------------------------------------


def test_any_executor_does_the_work_and_is_left_open(films, tmp_path, scanner):
    with ThreadPoolExecutor(2) as threads:
        results = scan_many(films, tmp_path / "out", executor=threads)
        assert threads.submit(len, "open").result() == 4
    assert [result.film["film"] for result in results] == films
    assert sorted(film for film, _ in scanner) == films


DIED = "The worker process died while scanning this film"


@pytest.fixture
def apart(monkeypatch):
    """Scan in worker processes, where a film goes wrong in the way that its name says."""
    monkeypatch.setattr(batch, "worker_processes", worker_processes)
    monkeypatch.setattr(batch, "scan_film", bad_films.scan_film)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("a segfault", f"{DIED}: Segmentation fault (signal 11)."),
        (
            "a killed",
            f"{DIED}: it was killed, as happens when memory runs out.",
        ),
        ("a memory", "The film needs more memory than there is."),
        ("an endless", "It took longer than 2 s and was stopped; raise --timeout if the film is sound."),
    ],
)
def test_a_single_film_takes_nobody_down_with_it(apart, tmp_path, monkeypatch, name, sentence):
    (tmp_path / name).write_bytes(b"film")
    monkeypatch.setattr(workers, "TIME_OUT_S", 2.0)
    (result,) = scan_many(tmp_path / name, tmp_path / "out", formats=[])
    assert (result.film["status"], result.film["error"]) == ("failed", sentence)
    assert rows_of(tmp_path / "out/films.csv") == [result.film]


def test_films_that_crash_or_never_end_are_failed_rows_and_the_others_are_scanned(apart, tmp_path):
    names = ["a ok", "b segfault", "c ok", "d endless", "e memory", "f killed", "g ok"]
    films = [str(tmp_path / name) for name in names]
    for film in films:
        Path(film).write_bytes(b"film")
    results = scan_many(films, tmp_path / "out", jobs=2, time_out_s=2, formats=[])
    assert [result.ok for result in results] == [name.endswith("ok") for name in names]
    errors = {name.split()[1]: result.film["error"] for name, result in zip(names, results, strict=True)}
    assert errors.pop("segfault") == f"{DIED}: Segmentation fault (signal 11)."
    assert errors.pop("endless").startswith("It took longer than 2 s and was stopped")
    assert errors.pop("memory") == "The film needs more memory than there is."
    assert "it was killed, as happens when memory runs out" in errors.pop("killed")
    assert errors == {"ok": ""}
