import contextlib
import csv
import os
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from calcidetect import writers
from calcidetect.batch.journal import JOURNAL_FILE, Footing, open_journal, recipe_hash
from calcidetect.batch.results import FilmResult
from calcidetect.errors import ConfigError, OutputError

TESTS = Path(__file__).parent
RECIPE = {"version": "1", "region": "auto"}
KILLS = 5


def result_of(film, **changes):
    row = dict.fromkeys(writers.FILM_COLUMNS, "") | {"film": film, "status": "ok"}
    candidate = dict.fromkeys(writers.CANDIDATE_COLUMNS, "1") | {"film": film}
    values = {
        "candidates": (candidate,),
        "name": Path(film).stem,
        "pixel_hash": str(len(film)),
        "outlines": ((0.5, 1.0),),
    }
    return FilmResult(film=row, **values | changes)


def footing_of(film, **changes):
    return Footing(**{"bytes": 1, "written_ns": 2, "touched_ns": 3, "told": "[]", "name": Path(film).stem} | changes)


def record(journal, film, position, **changes):
    journal.record(result_of(film, **changes), position=position, footing=footing_of(film))


def test_a_result_comes_back_as_it_was_recorded(tmp_path):
    names = ["a.png", "Röntgen 手.png", "bad\udcff.png", "line\nbreak.png"]
    with open_journal(tmp_path) as journal:
        journal.begin(RECIPE, resume=False)
        for position, name in reversed(list(enumerate(names))):
            record(journal, name, position, thumbnail=b"\xff\xd8", patient="X\udcff")
        results = journal.results().closed()
    assert list(results) == [result_of(name, thumbnail=b"\xff\xd8", patient="X\udcff") for name in names]


def test_a_film_recorded_twice_is_one_row_the_last_one(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.begin(RECIPE, resume=False)
        record(journal, "a", 0, pixel_hash="")
        record(journal, "a", 0, pixel_hash="another")
        assert [result.pixel_hash for result in journal.results()] == ["another"]


def test_resumed_run_takes_in_what_it_keeps_and_nothing_else(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.begin(RECIPE, resume=False)
        for position, film in enumerate("abc"):
            record(journal, film, position)
    with open_journal(tmp_path) as journal:
        journal.begin(RECIPE, resume=True)
        assert journal.finished() == {film: footing_of(film) for film in "abc"}
        journal.keep([(0, "c", footing_of("c")), (1, "a", footing_of("a", touched_ns=9))])
        assert [result.film["film"] for result in journal.results()] == ["c", "a"]
        assert len(journal.results()) == 2


def test_failed_films_are_not_finished(tmp_path):
    with open_journal(tmp_path) as journal:
        journal.begin(RECIPE, resume=False)
        failed = FilmResult(film=writers.failed_row("a", error="torn", seconds=0), name="a")
        journal.record(failed, position=0, footing=footing_of("a"))
        assert journal.finished() == {}
        assert list(journal.results()) == [failed]


@pytest.mark.parametrize("changes", [{"region": "hand"}, {"version": "2"}, {"more": 1}])
def test_other_recipes_are_refused_or_drop_what_there_is(tmp_path, changes):
    with open_journal(tmp_path) as journal:
        journal.begin(RECIPE, resume=False)
        record(journal, "a", 0)
        with pytest.raises(ConfigError, match=f"made with another {next(iter(changes))}"):
            journal.begin(RECIPE | changes, resume=True)
        assert len(journal.results()) == 1
        assert journal.begin(RECIPE | changes, resume=False) == (RECIPE, ("a",))
        assert len(journal.results()) == 0


def test_the_hash_of_a_recipe_leaves_out_the_version_that_has_its_own_column():
    assert recipe_hash(RECIPE) == recipe_hash(RECIPE | {"version": "2"}) != recipe_hash(RECIPE | {"region": "hand"})


def test_journal_of_another_format_is_refused(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / JOURNAL_FILE)) as foreign:
        foreign.execute("PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match="written by another version"), open_journal(tmp_path):
        pass


def test_folder_that_cannot_hold_a_journal_is_named(tmp_path):
    (tmp_path / JOURNAL_FILE).mkdir()
    with pytest.raises(OutputError, match=r"journal\.sqlite can't be used"), open_journal(tmp_path):
        pass


def films_recorded(out):
    """Films that a killed run has left in its journal, read as SQLite recovers it."""
    with contextlib.closing(sqlite3.connect(out / JOURNAL_FILE)) as journal:
        return [film for (film,) in journal.execute("SELECT film FROM films WHERE status = 'ok'")]


def start(*arguments):
    command = [sys.executable, TESTS / "slow_run.py", *arguments]
    paths = os.pathsep.join((str(TESTS.parent), str(TESTS)))
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True)


def test_a_run_killed_at_random_moments_loses_and_doubles_nothing(tmp_path):
    films, out, log = tmp_path / "films", tmp_path / "out", tmp_path / "log"
    names = [f"{number:03}.png" for number in range(120)]
    films.mkdir()
    for name in names:
        (films / name).write_bytes(b"film")
    chance, safe = random.Random(6), []
    for _ in range(KILLS):
        with start(films, out, log) as run:
            run.stdout.readline()
            time.sleep(chance.uniform(0, 0.12))
            run.kill()
        after = films_recorded(out)
        assert set(safe) <= set(after), "what was done once stays"
        assert len(after) == len(set(after))
        safe = after
    assert 0 < len(safe) < len(names), "the runs were killed in their midst"
    with start(films, out, log) as run:
        assert len(run.stdout.read().split()) == len(names) - len(safe), "what was done is not done again"
    with (out / "films.csv").open(newline="") as file:
        assert [row["film"] for row in csv.DictReader(file)] == [str(films / name) for name in names]
    with (out / "candidates.csv").open(newline="") as file:
        rows = [(row["film"], row["id"]) for row in csv.DictReader(file)]
    assert rows == [(str(films / name), number) for name in names for number in ("1", "2")]
    assert len(list(out.glob("*.json"))) == len(names) + 1  # and run.json
    scanned = log.read_text(encoding="utf-8").split()
    assert len(scanned) <= len(names) + KILLS * 4, "but for what was under way"
