"""The reading page's server: whom it lets in, what it answers, what it keeps."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import zlib
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from review_runs import Browser, make_run, served
from small_scans import small_candidate

from calcidetect import cli
from calcidetect.candidates.score import OPERATING_POINT
from calcidetect.cli import main
from calcidetect.reading import readers
from calcidetect.review.app import STATIC
from calcidetect.review.decisions import DecisionStore
from calcidetect.review.pictures import _Recent
from calcidetect.review.run_folder import MOST_CANDIDATES


@pytest.fixture
def folder(tmp_path):
    return make_run(tmp_path / "out", names=("film.png", "other.png"), missing=("gone.png",))


@pytest.fixture
def browser(folder):
    with served(folder) as browser:
        yield browser


# --- who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", ["/", "/guess/", "//", "/..%2f/"])
def test_without_the_token_nothing_is_told(browser, base):
    status, headers, data = browser.ask("api/run", base=base, accept="application/json")
    assert status == 403
    assert "open the one that calcidetect review has printed" in json.loads(data)["error"]
    status, headers, data = browser.ask("", base=base, accept="text/html")
    assert (status, headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert b"<p>This address is not complete" in data


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.evil.example:80", ""])
def test_a_foreign_host_name_is_refused(browser, host):
    status, _, data = browser.ask("api/run", host=host)
    assert status in (400, 403)
    assert b"film.png" not in data


def test_localhost_is_this_machine_too(browser):
    port = browser.host.partition(":")[2]
    assert browser.ask("api/run", host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    "headers",
    [{"origin": None}, {"origin": "null"}, {"origin": "http://evil.example"}, {"sec_fetch_site": "cross-site"}],
)
def test_decisions_of_another_page_are_refused(browser, headers):
    body = json.dumps({"action": "accept", "mark": 1, "last": 0})
    status, _, data = browser.ask("api/films/1/decisions", method="POST", body=body, **headers)
    assert status == 403
    assert "reading page alone" in json.loads(data)["error"]
    assert browser.get("api/films/1")[1]["last"] == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused(browser, method):
    assert browser.ask("api/run", method=method)[0] == 405


def test_every_answer_forbids_what_a_page_does_not_need(browser):
    for path, base in (("api/run", None), ("api/nothing", None), ("", "/guess/")):
        headers = browser.ask(path, base=base)[1]
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("length", ["100000000", "1048577", "-1", "9" * 30])
def test_what_is_too_large_is_refused_before_it_is_read(browser, length):
    with socket.create_connection(browser.host.split(":"), timeout=30) as connection:
        head = f"POST {browser.base}api/films/1/decisions HTTP/1.1\r\nHost: {browser.host}\r\n"
        head += f"Origin: http://{browser.host}\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        answer = connection.recv(4096)  # nothing of the body was sent
    assert answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))
    assert browser.get("api/run")[0] == 200


def test_a_body_that_states_no_length_is_cut_off(browser):
    with socket.create_connection(browser.host.split(":"), timeout=30) as connection:
        head = f"POST {browser.base}api/films/1/decisions HTTP/1.1\r\nHost: {browser.host}\r\n"
        head += f"Origin: http://{browser.host}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        for _ in range(20):
            connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
        assert b" 413 " in connection.recv(4096)


# --- what is answered -------------------------------------------------------------------------------------------------


def test_the_run_is_listed_with_its_counts(browser, tmp_path):
    status, run = browser.get("api/run")
    first, _, last = run["films"]
    assert status == 200
    assert (first["film"], first["id"], first["n_marks"], first["decided"]) == (str(tmp_path / "film.png"), 1, 2, 0)
    assert (first["rows"], first["cols"], first["spacing_mm"], first["flags"]) == (96, 64, 0.5, ["marker"])
    assert (last["status"], last["n_marks"]) == ("failed", 0)
    assert "is empty" in last["error"]
    assert (run["operating_point"], run["min_score"], run["min_score_help"]) == (OPERATING_POINT, 0.05, "")
    assert run["reader"] == "Dr A"
    assert "not for diagnosis" in run["disclaimer"]


def test_a_film_comes_with_candidates_outlines_and_reasons(browser):
    _, film = browser.get("api/films/1")
    first, second, third = film["candidates"]
    assert first["contour"] == [[20.0, 10.0], [27.0, 10.0], [27.0, 15.0], [20.0, 15.0]]
    assert first["box"] == [20, 10, 28, 16]
    assert second["reasons"] == [["noise", -0.5]]
    assert third["score"] == 0.1
    assert [mark["origin"] for mark in film["marks"]] == [1, 2]
    assert (film["last"], film["can_undo"], film["can_redo"]) == (0, False, False)


def test_pixels_are_the_signal_of_the_film(browser, tmp_path):
    status, headers, data = browser.ask("api/films/1/pixels/0")
    pixels = np.frombuffer(data, "<u2").reshape(int(headers["X-Rows"]), int(headers["X-Cols"]))
    low, high = float(headers["X-Low"]), float(headers["X-High"])
    film = readers.load(tmp_path / "film.png").pixels
    assert status == 200
    assert np.abs(low + pixels / 65535 * (high - low) - film).max() <= (high - low) / 65535
    assert low <= float(headers["X-Window-Low"]) < float(headers["X-Window-High"]) <= high
    packed = browser.ask("api/films/1/pixels/0", accept_encoding="gzip")
    assert packed[1]["Content-Encoding"] == "gzip"
    assert zlib.decompress(packed[2], 31) == data
    assert "has the levels 0 to 0, not 7" in browser.get("api/films/1/pixels/7")[1]["error"]


def test_the_bone_mask_of_the_run_is_shown(browser, folder):
    (folder.folder / "film.bone.png").write_bytes(b"kept")
    assert browser.ask("api/films/1/bone")[2] == b"kept"


@pytest.mark.parametrize(
    "path",
    [
        "api/films/99",
        "api/films/-1",
        "api/films/x",
        "api/films/1/pixels/x",
        "api/export/exe",
        "static/../../score.json",
        "static/..%2f..%2fscore.json",
        "static/%2e%2e/score.json",
        "static//etc/passwd",
        "static/score.json",
        "static/style.css%00",
        "nothing",
    ],
)
def test_what_is_not_there_is_refused_in_words(browser, path):
    status, answer = browser.get(path)
    assert status == 404
    assert re.search(r"nothing at this address|has no film", answer["error"])


def test_files_of_the_page_that_are_listed_are_in_the_package():
    data = Path(readers.__file__).parents[1] / "data" / "review"
    notebooks = {"cell.js"}
    assert {file.name for file in data.iterdir()} - notebooks == {*STATIC, "index.html"}


def test_a_film_that_failed_says_why(browser):
    status, answer = browser.get("api/films/3/pixels/0")
    assert status == 400
    assert "could not be scanned" in answer["error"]
    assert browser.decide(3, action="reviewed", last=0)[0] == 400
    status, answer = browser.get("api/films/3")
    assert status == 400
    assert "could not be scanned" in answer["error"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_failed_film_whose_name_is_no_utf8_leaves_the_others_readable(tmp_path):
    folder = make_run(tmp_path / "odd", missing=(os.fsdecode(b"bad\xff.png"),))
    with served(folder) as browser:
        status, answer = browser.get("api/run")
        assert status == 200
        assert [film["status"] for film in answer["films"]] == ["ok", "failed"]
        assert browser.get("api/films/1")[0] == 200


def test_the_trachea_is_on_the_page_however_many_candidates_score_more(tmp_path):
    many = [small_candidate(id=number + 1, score=0.9) for number in range(MOST_CANDIDATES + 5)]
    ring = small_candidate(id=len(many) + 1, score=0.1, label="tracheal")
    (film,) = make_run(tmp_path / "many", candidates=(*many, ring)).run().films.values()
    assert [mark.label for mark in film.candidates].count("tracheal") == 1
    assert len(film.candidates) == MOST_CANDIDATES + 1


def test_films_that_are_gone_damaged_or_others_leave_the_rest_readable(browser, tmp_path):
    film = tmp_path / "film.png"
    kept = film.read_bytes()
    film.unlink()
    assert "is not there any more" in browser.get("api/films/1/pixels/0")[1]["error"]
    film.write_bytes(kept[:100])
    status, answer = browser.get("api/films/1/pixels/0")
    assert (status, "film.png" in answer["error"]) == (422, True)
    film.write_bytes((tmp_path / "other.png").read_bytes())
    assert "another film than the one that was scanned" in browser.get("api/films/1/pixels/0")[1]["error"]
    assert browser.ask("api/films/2/pixels/0")[0] == 200


def test_what_nobody_foresaw_is_told_and_leaves_the_rest_readable(browser, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("calcidetect.review.pictures.Pictures.bone", fail)
    status, answer = browser.get("api/films/1/bone")
    assert (status, "Input/output error. Other films can still be read" in answer["error"]) == (500, True)
    assert browser.get("api/films/1")[0] == 200


def test_a_folder_that_vanished_is_told_and_comes_back(browser, folder):
    away = folder.folder.rename(folder.folder.with_name("away"))
    for path in ("api/run", "api/films/1"):
        status, answer = browser.get(path)
        assert (status, "is gone; bring the folder back" in answer["error"]) == (503, True)
    assert browser.decide(action="accept", mark=1, last=0)[0] == 503
    assert not folder.folder.exists()
    away.rename(folder.folder)
    assert browser.decide(action="accept", mark=1)[0] == 200


# --- decisions --------------------------------------------------------------------------------------------------------


def test_decisions_change_the_film_and_are_taken_back(browser):
    status, film = browser.decide(action="accept", mark=1)
    assert (status, film["marks"][0]["state"], film["marks"][0]["author"]) == (200, "accepted", "Dr A")
    _, film = browser.decide(action="draw_arrow", row=30, col=40)
    assert (film["marks"][-1]["origin"], film["marks"][-1]["score"]) == ("reader", None)
    _, film = browser.decide(action="undo")
    assert (len(film["marks"]), film["can_redo"], film["last"]) == (2, True, 3)
    browser.decide(action="reviewed")
    first = browser.get("api/run")[1]["films"][0]
    assert (first["decided"], first["undecided"], first["reviewed"]) == (1, 1, True)


def test_a_second_page_that_has_not_seen_the_newest_decision_is_told(browser):
    browser.decide(action="accept", mark=1, last=0)
    status, answer = browser.decide(action="reject", mark=1, last=0)
    assert (status, "Another page has decided" in answer["error"]) == (409, True)
    assert browser.decide(2, action="reject", mark=1, last=0)[0] == 200  # another film is another matter


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"action": "accept", "mark": 1}']
)
def test_what_is_no_decision_is_refused_in_words(browser, body):
    status, _, data = browser.ask("api/films/1/decisions", method="POST", body=body)
    assert status == 400
    assert json.loads(data)["error"].startswith("A decision")


def test_the_audit_trail_is_only_added_to(browser, folder):
    browser.decide(action="accept", mark=1)
    with sqlite3.connect(DecisionStore(folder.folder).path) as trail:
        row = trail.execute("SELECT reader, action, path, length(film) FROM decisions").fetchone()
        assert row == ("Dr A", "accept", str(folder.folder.parent / "film.png"), 64)
        for change in (
            "UPDATE decisions SET reader = 'Dr B'",
            "DELETE FROM decisions",
            "INSERT OR REPLACE INTO decisions VALUES (1, '', '', '', '', '', '')",
        ):
            with pytest.raises(sqlite3.IntegrityError, match="decisions are never"):
                trail.execute(change)
    trail.close()


def test_a_locked_trail_refuses_the_decision_in_words(browser, folder, monkeypatch):
    monkeypatch.setattr("calcidetect.review.decisions._LOCK_WAIT_S", 0.1)
    browser.decide(action="accept", mark=1)
    other = sqlite3.connect(DecisionStore(folder.folder).path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    status, answer = browser.decide(action="accept", mark=2)
    assert (status, "is locked by another program" in answer["error"]) == (503, True)
    other.close()
    assert browser.decide(action="accept", mark=2)[0] == 200


def test_a_trail_that_can_not_be_written_or_read_is_told(browser, folder):
    path = DecisionStore(folder.folder).path
    path.mkdir()
    assert "check that its folder is there and can be written" in browser.get("api/films/1")[1]["error"]
    path.rmdir()
    path.write_bytes(b"no database" * 100)
    assert "is damaged; move it away" in browser.get("api/films/1")[1]["error"]


def test_a_trail_on_a_read_only_disk_can_still_be_read(folder, monkeypatch):
    store = DecisionStore(folder.folder)
    store.add("0" * 64, "film", reader="Dr A", action="reviewed", content={"reviewed": True}, last=0)
    monkeypatch.setattr("calcidetect.review.decisions.os.access", lambda *_: False)
    before = sorted(folder.folder.iterdir())
    assert [item.action for item in store.of_film("0" * 64)] == ["reviewed"]
    assert sorted(folder.folder.iterdir()) == before


# --- the command ------------------------------------------------------------------------------------------------------


def _started(*words):
    command = [sys.executable, "-m", "calcidetect", "review", *map(str, words), "--no-browser", "--reader", "Dr B"]
    package = str(Path(readers.__file__).parents[2])
    environment = os.environ | {"PYTHONPATH": package}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    process.stdout.readline()
    return process, process.stdout.readline().strip()


def test_nothing_is_lost_when_the_server_is_killed_between_decisions(folder):
    for number in range(1, 4):
        process, address = _started(folder.folder)
        with process:
            browser = Browser(address)
            assert browser.get("api/films/1")[1]["last"] == number - 1
            assert browser.decide(action="comment", text=f"word {number}")[0] == 200
            process.send_signal(signal.SIGKILL)
    assert [item.content["text"] for item in DecisionStore(folder.folder).by_film().popitem()[1]] == [
        "word 1",
        "word 2",
        "word 3",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_server_cleanly(folder, number):
    process, address = _started(folder.folder)
    with process:
        assert address.startswith("http://127.0.0.1:")
        process.send_signal(number)
        try:
            assert process.wait(30) == 0
        finally:
            process.kill()
        assert process.stderr.read() == ""


def test_a_signal_that_comes_while_the_event_is_locked_ends_the_server_all_the_same():
    with cli._ended_by_signals() as stop:
        with stop._cond:  # as in the midst of `stop.wait`
            os.kill(os.getpid(), signal.SIGTERM)
            assert not stop.is_set()
        assert stop.wait(10)


def test_a_port_that_is_taken_is_told(folder, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["review", str(folder.folder), "--no-browser", "--port", str(port)]) == 2
    assert f"The port {port} can't be used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--export", "csv"], "An export takes both"),
        (["--reader", " "], "reader's name is empty"),
        (["--out", "elsewhere"], "leave --out away"),
        (["film.png"], "one folder of results at a time"),
    ],
)
def test_impossible_options_are_refused(folder, capsys, words, reason):
    assert main(["review", str(folder.folder), *words, "--no-browser"]) == 2
    assert reason in capsys.readouterr().err


def test_what_three_ask_for_at_one_time_is_made_once():
    """The third asks in the moment between making and keeping."""
    made, recent = [], _Recent(2)

    class Slow(OrderedDict):
        def __setitem__(self, key, value):
            asked.append(pool.submit(recent.get, key, make))
            time.sleep(0.2)
            super().__setitem__(key, value)

    def make():
        made.append(1)
        return "picture"

    recent._made = Slow()
    with ThreadPoolExecutor(3) as pool:
        asked = []
        assert recent.get("film", make) == "picture"
        assert asked[0].result(10) == "picture"
    assert len(made) == 1


def test_what_could_not_be_made_is_made_by_the_next_who_asks():
    recent, tries = _Recent(2), iter([ValueError("no"), "picture"])

    def make():
        found = next(tries)
        if isinstance(found, Exception):
            raise found
        return found

    with pytest.raises(ValueError, match="no"):
        recent.get("film", make)
    assert recent.get("film", make) == "picture"
