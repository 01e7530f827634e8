import base64
import json
import re
from html.parser import HTMLParser

import pytest
from small_scans import small_candidate, small_scan

from calcidetect import writers
from calcidetect.batch import gallery
from calcidetect.batch.results import FilmResult


class Page(HTMLParser):
    """What a browser finds in the page: data, and links to elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.links, self._data, self.films = [], [], False, ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.elements.append(tag)
        self.links += [values[name] for name in ("src", "href") if values.get(name)]
        self._data = values.get("id") == "films"

    def handle_data(self, data):
        if self._data:
            self.films += data

    def handle_endtag(self, tag):
        self._data = False


def page_of(*results, overlays=True):
    return Page(b"".join(gallery.pieces(results, overlays=overlays)).decode("utf-8"))


def result_of(film="a.png", name="a", **changes):
    candidates = (small_candidate(), small_candidate(id=2, score=0.9, label="tracheal"))
    row = writers.film_row(small_scan(film, candidates).report, film=film, seconds=1.5)
    rows = tuple(writers.candidate_row(candidate, film=film) for candidate in candidates)
    return FilmResult(film=row, candidates=rows, name=name, thumbnail=b"\xff\xd8", **changes)


def test_page_needs_nothing_from_elsewhere():
    text = b"".join(gallery.pieces([result_of()], overlays=True)).decode("utf-8")
    assert Page(text).links == []
    assert set(re.findall(r"https?://[^\s\"']+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address


def test_page_holds_every_film_with_what_the_table_shows():
    (film,) = json.loads(page_of(result_of()).films)
    assert (film["film"], film["status"], film["region"], film["marks"], film["candidates"]) == (
        "a.png",
        "ok",
        "shoulder",
        1,
        2,
    )
    assert film["score"] == pytest.approx(0.8123), "the best mark's, not that of a mimic"
    assert film["burden_mm2"] == 12
    assert base64.b64decode(film["thumbnail"]) == b"\xff\xd8"
    assert film["places"] == [[0.6, 0.2167, 0.1]]  # (23.5 + 0.5) / 40, (12.5 + 0.5) / 60, 8 / 2 / 40


def test_failed_film_is_listed_with_its_error():
    failed = FilmResult(film=writers.failed_row("torn.png", error="It is torn.", seconds=0), name="torn")
    (film,) = json.loads(page_of(failed).films)
    assert (film["status"], film["error"], film["overlay"], film["rows"]) == ("failed", "It is torn.", "", None)


def test_no_film_can_end_the_script_that_holds_it():
    name = "</script><img src=x onerror=alert(1)>.png"
    page = page_of(result_of(film=name))
    assert json.loads(page.films)[0]["film"] == name
    assert page.elements.count("script") == 2
    assert page.elements.count("img") == 1  # the template's own


@pytest.mark.parametrize(
    ("name", "link"),
    [("a b", "a%20b.overlay.png"), ("50% #1?", "50%25%20%231%3F.overlay.png"), ("bad\udcff", "bad%FF.overlay.png")],
)
def test_overlays_are_linked_by_any_name(name, link):
    assert json.loads(page_of(result_of(name=name)).films)[0]["overlay"] == link


def test_without_overlays_nothing_is_linked():
    assert json.loads(page_of(result_of(), overlays=False).films)[0]["overlay"] == ""


def test_patients_are_shown_only_when_they_were_kept():
    assert json.loads(page_of(result_of()).films)[0]["patient"] == ""
    assert json.loads(page_of(result_of(patient="P1")).films)[0]["patient"] == "P1"


def test_page_of_no_films_is_a_page():
    assert json.loads(page_of().films) == []
