import dataclasses

import cv2
import numpy as np
from small_scans import small_candidate, small_scan, without_spacing

from calcidetect.drawing.overlay import NOTICE
from calcidetect.types import Report


def test_scan_shows_its_film_with_arrows():
    shown = cv2.imdecode(np.frombuffer(small_scan()._repr_png_(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert shown.shape == (60, 40)
    assert (shown == 255).any()


def test_large_film_is_shown_small():
    scan = small_scan()
    grid = dataclasses.replace(scan.radiograph.grid, shape=(1800, 1200), source_shape=(1800, 1200))
    pixels = np.tile(np.linspace(0, 1, 1200, dtype=np.float32), (1800, 1))
    film = dataclasses.replace(scan.radiograph, grid=grid, pixels=pixels, valid=np.ones(grid.shape, bool))
    shown = dataclasses.replace(scan, radiograph=film)._repr_png_()
    assert cv2.imdecode(np.frombuffer(shown, np.uint8), cv2.IMREAD_GRAYSCALE).shape == (480, 320)


def test_report_shows_its_candidates_as_a_table():
    html = small_scan().report._repr_html_()
    assert "Left shoulder: 1 mark, 12 mm²; text, marker" in html
    assert html.count("<tr>") == 3
    for words in ("0.81", "candidate calcification", "tracheal calcification", "3.9 mm", "0.50 of bone", NOTICE):
        assert words in html


def test_report_without_spacing_states_no_millimetres():
    report = small_scan(candidates=(without_spacing(small_candidate()),), spacing_mm=None).report
    assert " mm" not in report._repr_html_()


def test_report_shows_no_path_and_escapes_what_it_shows():
    zone = "<b>left</b> & lateral"
    html = small_scan("films/doe_jane.dcm", candidates=(small_candidate(zone=zone),)).report._repr_html_()
    assert "doe" not in html
    assert "&lt;b&gt;left&lt;/b&gt; &amp; lateral" in html
    assert zone not in html


def test_long_report_shows_its_best_twenty():
    many = tuple(small_candidate(id=k + 1) for k in range(50))
    html = dataclasses.replace(small_scan().report, candidates=many)._repr_html_()
    assert isinstance(small_scan().report, Report)
    assert html.count("<tr>") == 21
    assert "… and 30 more" in html


def test_plain_text_is_one_line_without_the_path():
    scan = small_scan("films/doe_jane.dcm")
    assert repr(scan.report) == "<Report: shoulder L, 1 marks, 2 candidates>"
    assert repr(scan) == "<Scan: film of 60 x 40, <Report: shoulder L, 1 marks, 2 candidates>>"
