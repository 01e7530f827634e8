import os
from pathlib import Path

import pytest
from pydicom.data import get_testdata_file

from calcidetect.batch.inputs import given_films
from calcidetect.errors import ConfigError, ReadError
from calcidetect.reading.readers import load


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "sub/b.dcm", "sub/deep/c.tif", ".hidden/d.png", "sub/.e.png", "a.overlay.png", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"film")
    return tmp_path


def names(films, folder):
    return [Path(film.film).relative_to(folder).as_posix() for film in films]


def manifest(folder, text, name="list.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_folder_gives_its_films_without_hidden_files_and_our_own(folder):
    assert names(given_films(folder), folder) == ["a.png", "sub/b.dcm", "sub/deep/c.tif"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["a.png"]),
        ("**/*.[dt]*", ["sub/b.dcm", "sub/deep/c.tif"]),
        ("su?/*.dcm", ["sub/b.dcm"]),
        ("su?", ["sub/b.dcm", "sub/deep/c.tif"]),
    ],
)
def test_pattern_gives_what_it_matches(folder, pattern, found):
    assert names(given_films(folder / pattern), folder) == found


def test_file_whose_name_looks_like_a_pattern_is_that_file(folder):
    (folder / "[1].png").write_bytes(b"film")
    assert names(given_films(folder / "[1].png"), folder) == ["[1].png"]


def test_pattern_that_matches_nothing_is_named(folder):
    with pytest.raises(ReadError, match=r"\*\.bmp matches no film; check the pattern"):
        given_films(folder / "*.bmp")


def test_dicomdir_gives_the_images_it_lists():
    films = given_films(get_testdata_file("DICOMDIR"))
    assert len(films) > 10
    assert all(os.path.isfile(film.path) for film in films)


def test_a_file_named_in_several_ways_comes_once_under_its_first_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    films = given_films(["sub/../a.png", "a.png", folder, str(folder / "a.png")])
    assert [film.film for film in films][:1] == ["sub/../a.png"]
    assert len(films) == 3


def test_root_names_films_relative_to_it(folder, monkeypatch):
    monkeypatch.chdir(folder)
    films = given_films([folder / "sub", "a.png"], root=".")
    assert [film.film for film in films] == ["sub/b.dcm", "sub/deep/c.tif", "a.png"]
    assert all(os.path.isfile(film.path) for film in films)


def test_film_outside_the_root_is_named(folder):
    with pytest.raises(ConfigError, match=r"a\.png does not lie below .*sub; give a --root"):
        given_films(folder / "a.png", root=folder / "sub")


def test_manifest_tells_of_each_film(folder):
    path = manifest(
        folder,
        "\ufeffPath,note,Spacing,laterality,region,patient\r\n"
        '"a.png",x,0.15,left,hand,"Doe, J."\r\n'
        "\r\n"
        "sub/b.dcm,,,,auto,\r\n"
        f"{folder / 'missing.png'},,0.2,B,Knee\r\n",
    )
    told = [(*film.told, film.patient) for film in given_films(path)]
    assert names(given_films(path), folder) == ["a.png", "sub/b.dcm", "missing.png"]
    assert told == [(0.15, "L", "hand", "Doe, J."), (None, "", "", ""), (0.2, "B", "knee", "")]


def test_manifest_may_use_semicolons_and_decimal_commas(folder):
    (film,) = given_films(manifest(folder, "path;spacing_mm;laterality\na.png;0,15;r\n"))
    assert film.told == (0.15, "R", "")


def test_manifest_may_use_tabs(folder):
    (film,) = given_films(manifest(folder, "path\tregion\na.png\tfoot\n", name="list.tsv"))
    assert film.told == (None, "", "foot")


def test_manifest_may_be_a_spreadsheets_unicode_text(folder):
    (folder / "list.tsv").write_text("path\tlaterality\na.png\tL\n", encoding="utf-16")
    (film,) = given_films(folder / "list.tsv")
    assert film.told == (None, "L", "")


def test_an_empty_folder_does_not_stop_the_others(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    films = given_films([tmp_path / "empty", folder / "a.png"])
    assert [film.film for film in films] == [str(tmp_path / "empty"), str(folder / "a.png")]
    with pytest.raises(ReadError, match="is a folder without films"):
        load(films[0].path)
    with pytest.raises(ReadError, match="holds no films"):
        given_films([tmp_path / "empty"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "first line must name a column 'path', with films below"),
        ("path\n", "first line must name a column 'path', with films below"),
        ("film,spacing\na.png,1\n", "first line must name a column 'path'"),
        ("path\na\0.png\n", "line 2, names a film with a NUL in its path"),
        ("path,spacing\na.png,0.1\n,0.2\n", "line 3, names no film; fill in its path"),
        (
            "path,spacing\na.png,wide\n",
            "line 2: spacing 'wide' is not understood; give a pixel pitch of 0.02 to 2.0 mm",
        ),
        ("path,spacing\na.png,nan\n", "line 2: spacing 'nan' is not understood"),
        ("path,spacing\na.png,25\n", "line 2: spacing '25' is not understood"),
        ("path,laterality\na.png,up\n", "line 2: laterality 'up' is not understood; give R, L or B"),
        ("path,region\na.png,tail\n", "line 2: region 'tail' is not understood; give chest, shoulder"),
        ("path,region\na.png,hand\na.png,foot\n", "line 3, tells something else of"),
        ('path\n"a.png\n', "can't be read as a manifest"),
    ],
)
def test_manifest_that_cannot_be_meant_is_refused_with_its_line(folder, text, sentence):
    with pytest.raises(ReadError) as refused:
        given_films(manifest(folder, text))
    assert sentence in str(refused.value)
    assert "list.csv" in str(refused.value)


def test_missing_manifest_is_named(folder):
    with pytest.raises(ReadError, match=r"gone\.csv can't be read as a manifest: No such file"):
        given_films(folder / "gone.csv")
