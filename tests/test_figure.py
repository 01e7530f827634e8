import dataclasses
import re

import cv2
import numpy as np
import pytest
from small_scans import small_candidate, small_scan

from calcidetect import pipeline
from calcidetect.cli import main
from calcidetect.drawing.captions import caption, region_words
from calcidetect.drawing.figure import check_order, draw_figure, write_figure
from calcidetect.drawing.overlay import NOTICE
from calcidetect.errors import ConfigError, OutputError, UnreadableFile

LOW = {"height_mm": 12.7, "dpi": 100}  # panels of 50 rows


def picture(tmp_path, figure):
    write_figure(figure, tmp_path / "figure.png")
    return cv2.imread(str(tmp_path / "figure.png"), cv2.IMREAD_GRAYSCALE)


def spans(used):
    """First and last index of each run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, used, False].astype(int)))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def panel_columns(page):
    """Columns of the panels: on rows of film, paper is white through and through."""
    return spans((page[5:45] < 250).any(axis=0))


# --- the page ---------------------------------------------------------------------------------------------------------


def test_panels_are_equally_high_and_stand_apart(tmp_path):
    page = picture(tmp_path, draw_figure([small_scan("a"), small_scan("b"), small_scan("c")], **LOW))
    columns = panel_columns(page)
    assert len(columns) == 3
    for first, last in columns:
        rows = spans((page[:, first : last + 1] < 250).any(axis=1))
        assert rows[0] == pytest.approx((0, 49), abs=1)  # the film's last row is all but white
        assert last - first + 1 == pytest.approx(50 * 40 / 60, abs=1)  # the film has 60 x 40 pixels


@pytest.mark.parametrize(("films", "columns", "shape"), [(4, None, (2, 2)), (5, None, (2, 3)), (4, 1, (4, 1))])
def test_panels_stand_in_rows(tmp_path, films, columns, shape):
    page = picture(tmp_path, draw_figure([small_scan()] * films, columns=columns, **LOW))
    assert len(panel_columns(page)) == shape[1]
    tall = [run for run in spans((page[:, 5:20] < 250).any(axis=1)) if run[1] - run[0] > 40]
    assert len(tall) == shape[0]


def test_picture_is_that_of_the_film_where_nothing_is_drawn(tmp_path):
    page = picture(tmp_path, draw_figure([small_scan(candidates=(), spacing_mm=None)], crop=False, **LOW))
    middle = page[20:48, 12:28].astype(int)  # below the letter
    assert (np.diff(middle, axis=0) >= 0).all()  # the film brightens downwards
    assert np.ptp(middle) > 60


def test_arrow_is_drawn_where_the_mark_is(tmp_path):
    marked, bare = (
        picture(tmp_path, draw_figure([small_scan(candidates=c, spacing_mm=None)], crop=False, height_mm=76.2, dpi=100))
        for c in ((small_candidate(),), ())
    )
    drawn = np.argwhere(marked != bare) / 5  # 300 rows of page for 60 of film
    box = (10, 20, 16, 28)
    apart = np.maximum(box[:2] - drawn, drawn - np.array(box[2:])).max(axis=1)
    assert apart.min() == pytest.approx(0, abs=0.5)
    assert ((apart < -0.5).sum()) == 0


def test_letter_of_a_film_that_failed_is_left_out(tmp_path):
    two = draw_figure([small_scan(), small_scan()], **LOW)
    gap = draw_figure([small_scan(), None, small_scan()], **LOW)
    assert picture(tmp_path, two).shape == picture(tmp_path, gap).shape
    assert (picture(tmp_path, two) != picture(tmp_path, gap)).any()  # B there, C here


def test_captions_add_lines_below_and_only_when_asked(tmp_path):
    plain, told = (picture(tmp_path, draw_figure([small_scan()], captions=c, **LOW)) for c in (False, True))
    assert told.shape[0] > plain.shape[0]
    assert np.array_equal(plain[:50], told[:50])


def test_scans_are_taken_one_by_one():
    open_at_once = []

    def films():
        for k in range(3):
            open_at_once.append(k)
            yield small_scan()

    draw_figure(films(), **LOW)
    assert open_at_once == [0, 1, 2]


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF"), ("PDF", b"%PDF")]
)
def test_figure_is_written_in_the_form_its_suffix_names_and_always_the_same(tmp_path, suffix, start):
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        write_figure(draw_figure([small_scan()], captions=True, **LOW), path)
    first, second = (path.read_bytes() for path in paths)
    assert first.startswith(start)
    assert first == second


def test_arrows_and_letters_are_outlines_in_svg(tmp_path):
    bare, marked = tmp_path / "bare.svg", tmp_path / "marked.svg"
    write_figure(draw_figure([small_scan(candidates=())], **LOW), bare)
    write_figure(draw_figure([small_scan()], **LOW), marked)
    outlines = [len(re.findall(r"<path ", path.read_text())) for path in (bare, marked)]
    assert outlines[1] - outlines[0] == 4  # the arrow and the T, each with its rim
    assert marked.read_text().count("<image ") == 1


def test_files_say_not_for_diagnosis_and_name_no_film(tmp_path):
    write_figure(draw_figure([small_scan("films/doe_jane_1950.dcm")], captions=True, **LOW), tmp_path / "figure.svg")
    text = (tmp_path / "figure.svg").read_text()
    assert NOTICE in text
    assert "doe" not in text


# --- what can't be drawn ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"columns": 0}, "columns must be 1 or more, got 0"),
        ({"height_mm": 5}, "between 10 and 400 mm, got 5"),
        ({"height_mm": float("nan")}, "between 10 and 400 mm, got nan"),
        ({"dpi": 5000}, "between 50 and 1200 dpi, got 5000"),
    ],
)
def test_impossible_options_are_refused_before_any_film_is_taken(how, message):
    with pytest.raises(ConfigError, match=message):
        draw_figure(iter(()), **how)


def test_page_beyond_all_sizes_is_refused():
    with pytest.raises(ConfigError, match="too large; take fewer films"):
        draw_figure([small_scan()] * 26, columns=1, height_mm=400, dpi=100)


@pytest.mark.parametrize(("scans", "message"), [([], "got 0 films"), ([None], "needs a film"), ([None] * 27, "got 27")])
def test_no_film_and_more_films_than_letters_are_refused(scans, message):
    with pytest.raises(ConfigError, match=message):
        draw_figure(scans)


@pytest.mark.parametrize("name", ["figure", "figure.tif", "png"])
def test_other_suffixes_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r"must end in \.png, \.svg, \.pdf"):
        write_figure(draw_figure([small_scan()], **LOW), tmp_path / name)


def test_order_is_checked_before_films_are_read(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "folder.png").mkdir()
    out, film = str(tmp_path / "out.png"), str(tmp_path / "a.png")
    with pytest.raises(ConfigError, match=r"a\.png is given twice"):
        check_order([film, f"{tmp_path}/folder.png/../a.png"], out=out)
    with pytest.raises(ConfigError, match="is one of the films"):
        check_order([film], out=film)
    with pytest.raises(OutputError, match="doesn't exist; make it first"):
        check_order([film], out=str(tmp_path / "nowhere" / "out.png"))
    with pytest.raises(OutputError, match="is a folder"):
        check_order([film], out=str(tmp_path / "folder.png"))


# --- words ------------------------------------------------------------------------------------------------------------


def test_caption_says_region_side_marks_and_letters():
    report = small_scan().report
    assert caption(report) == (
        "Left shoulder. Arrow, candidate calcification: left, lateral; T, tracheal calcification."
    )
    nothing = small_scan(candidates=()).report
    assert caption(nothing) == "Left shoulder. No candidate calcification marked."
    assert caption(dataclasses.replace(nothing, flags=("unlike_films", "not_searched"))) == "Not searched."


def test_caption_names_four_places_at_most():
    marks = tuple(small_candidate(id=k + 1, zone=f"finger {k}") for k in range(6))
    assert caption(small_scan(candidates=marks).report) == (
        "Left shoulder. Arrows, candidate calcification: finger 0, finger 1, finger 2, finger 3 and elsewhere."
    )


@pytest.mark.parametrize(
    ("region", "side", "words"),
    [
        ("wrist", "B", "both wrists"),
        ("foot", "B", "both feet"),
        ("hand", "", "hand"),
        ("chest", "L", "chest"),
        ("other", "R", "film"),
    ],
)
def test_region_is_named_with_its_side(region, side, words):
    report = dataclasses.replace(small_scan().report, region=region, laterality=side)
    assert region_words(report) == words


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def films(tmp_path, monkeypatch):
    """Three files, of which the second can't be read."""

    def scan(film, **how):
        if "bad" in film:
            raise UnreadableFile(f"{film} is damaged; export it again.")
        return small_scan(film)

    monkeypatch.setattr(pipeline, "scan", scan)
    paths = [tmp_path / name for name in ("a.png", "bad.png", "c.png")]
    for path in paths:
        path.write_bytes(b"a film")
    return [str(path) for path in paths]


def test_command_draws_the_figure(films, tmp_path, capsys):
    out = tmp_path / "figure1.svg"
    assert main(["figure", films[0], films[2], "--out", str(out), "--captions"]) == 0
    printed = capsys.readouterr()
    assert f"2 of 2 films drawn; figure in {out}" in printed.out
    assert "not for diagnosis" in printed.out
    assert out.stat().st_size > 1000


def test_command_draws_the_films_that_can_be_read_and_says_which_cannot(films, tmp_path, capsys):
    out = tmp_path / "figure1.png"
    assert main(["figure", *films, "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert "2 of 3 films drawn" in printed.out
    assert "bad.png is damaged; export it again. Its panel is left out." in printed.err
    assert out.exists()


def test_command_without_a_film_that_can_be_read_writes_nothing(films, tmp_path, capsys):
    out = tmp_path / "figure1.png"
    assert main(["figure", films[1], "--out", str(out)]) == 1
    assert "no film could be scanned, so there is no figure" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--min-score", "2"], "between 0 and 1, got 2.0"),
        (["--spacing", "nan"], "pixel spacing must lie between 0.02 and 2.0 mm, got nan"),
        (["--spacing", "0"], "got 0.0"),
        (["--columns", "0"], "columns must be 1 or more"),
        (["--out", "figure.doc"], "must end in .png"),
        (["--set", "nothing=1"], "nothing"),
    ],
)
def test_command_refuses_wrong_usage_in_plain_words(films, tmp_path, capsys, words, message):
    assert main(["figure", films[0], "--out", str(tmp_path / "f.png"), *words]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
