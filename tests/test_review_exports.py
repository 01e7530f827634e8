"""What readers decided, written for other programs; decisions as truth; a fit on them."""

import csv
import dataclasses
import io
import json
import os
import shutil
import sqlite3
import zipfile
from pathlib import Path

import pydicom
import pytest
from films import limb, write_dicom
from review_runs import make_run, served
from validator import complaints

from calcidetect.batch.run import scan_many
from calcidetect.batch.run_files import write_run_files
from calcidetect.batch.stored_results import StoredResults
from calcidetect.cli import main
from calcidetect.errors import ConfigError, EvaluationError, ReadError
from calcidetect.evaluation.decided import read_decided
from calcidetect.review import opened_run
from calcidetect.review.decisions import DecisionStore
from calcidetect.review.run_folder import RunFolder, is_run_folder


@pytest.fixture
def folder(tmp_path):
    """Two films, of which the first is reviewed: one mark accepted, one rejected, an arrow and an outline drawn."""
    folder = make_run(tmp_path / "out", names=("film.dcm", "other.png"))
    with served(folder, reader="Müller^Änne") as browser:
        browser.decide(action="accept", mark=1)
        browser.decide(action="comment", mark=1, text="größer")
        browser.decide(action="reject", mark=2)
        browser.decide(action="draw_arrow", row=30, col=40)
        browser.decide(action="draw_outline", contour=[[10, 60], [20, 60], [20, 70], [10, 70]])
        browser.decide(action="relabel", mark=3, label="vascular")
        browser.decide(action="reviewed")
        browser.decide(2, action="accept", mark=1)
    return folder


def export(folder, form, to):
    assert main(["review", str(folder.folder), "--export", form, "--to", str(to)]) == 0
    return to


def test_table_has_the_columns_of_candidates_and_the_decision(folder, tmp_path):
    text = export(folder, "csv", tmp_path / "marks.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    first = [row for row in rows if row["film"].endswith("film.dcm")]
    assert [(row["id"], row["state"], row["origin"]) for row in first] == [
        ("1", "accepted", "1"),
        ("2", "rejected", "2"),
        ("3", "accepted", "3"),
        ("-4", "accepted", "reader"),
        ("-5", "accepted", "reader"),
    ]
    assert (first[0]["reader"], first[0]["comment"], first[0]["score"]) == ("Müller^Änne", "größer", "0.9812")
    assert (first[3]["score"], first[3]["contrast_bone"], first[4]["area_mm2"]) == ("", "", "25")


def test_trail_is_exported_whole(folder, tmp_path):
    content = json.loads(export(folder, "json", tmp_path / "marks.json").read_text())
    first, second = content["films"]
    assert "not for diagnosis" in content["about"]["notice"]
    assert [item["action"] for item in first["decisions"]][:3] == ["accept", "comment", "reject"]
    assert (first["reviewed"], second["reviewed"]) == (True, False)
    assert len(first["pixel_hash"]) == 64


def test_coco_holds_what_was_accepted(folder, tmp_path):
    tmp_path.joinpath("all").mkdir()
    export(folder, "coco", tmp_path / "all")
    content = json.loads((tmp_path / "all" / "review.coco.json").read_text())
    names = {item["id"]: item["name"] for item in content["categories"]}
    found = [(item["image_id"], names[item["category_id"]]) for item in content["annotations"]]
    assert found == [(1, "calcification"), (1, "vascular"), *[(1, "calcification")] * 2, (2, "calcification")]
    assert content["annotations"][3]["bbox"] == [10, 60, 11, 11]


@pytest.mark.parametrize(
    "name", ["decisions.sqlite", "journal.sqlite", "candidates.csv", "run.json", "film.overlay.png", "../film.dcm"]
)
def test_an_export_replaces_neither_a_film_nor_what_the_run_holds(folder, capsys, name):
    path = folder.folder / name
    before = path.read_bytes() if path.exists() else None
    for words in (["review", "--export", "csv", "--to"], ["fit", "--out"]):
        assert main([words[0], str(folder.folder), *words[1:], str(path)]) == 2
        assert "give another name" in capsys.readouterr().err
    assert (path.read_bytes() if path.exists() else None) == before


def test_an_export_replaces_no_film_that_is_named_otherwise(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir("/")  # where the run's names lead nowhere
    film = tmp_path / "another film.bin"
    film.write_bytes((tmp_path / "other.png").read_bytes())
    assert main(["review", str(folder.folder), "--export", "csv", "--to", str(film)]) == 2
    assert "is a film; give another name" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="elsewhere nothing else than files can be named")
def test_an_export_replaces_no_pipe(folder, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    assert main(["review", str(folder.folder), "--export", "csv", "--to", str(tmp_path / "pipe")]) == 2
    assert "is no file and can't be replaced" in capsys.readouterr().err


def test_an_export_replaces_an_export(folder, tmp_path):
    first = export(folder, "csv", folder.folder / "marks.csv").read_bytes()
    assert export(folder, "csv", folder.folder / "marks.csv").read_bytes() == first


def test_the_pipelines_own_files_stay_as_they_are(folder, tmp_path):
    kept = (folder.folder / "journal.sqlite").read_bytes()
    for form in ("csv", "json", "coco"):
        export(folder, form, tmp_path / f"x.{form}")
    assert (folder.folder / "journal.sqlite").read_bytes() == kept


def test_server_and_command_export_the_same(folder, tmp_path):
    with served(folder) as browser:
        status, headers, data = browser.ask("api/export/csv")
    assert (status, headers["Content-Disposition"]) == (200, 'attachment; filename="review.csv"')
    assert data == export(folder, "csv", tmp_path / "marks.csv").read_bytes()


# --- DICOM ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A real scan of a DICOM film with its structured report."""
    top = tmp_path_factory.mktemp("dicom")
    uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1", "PixelSpacing": [0.5, 0.5]}
    write_dicom(top / "film.dcm", limb((400, 300)), SpecificCharacterSet="ISO_IR 100", PatientName="Müller^X", **uids)
    scan_many(top / "film.dcm", top / "out", formats=["sr", "bone"])
    return RunFolder(top / "out")


def _text(dataset):
    return "\n".join(str(item.value) for item in dataset.iterall() if item.keyword in ("TextValue", "PersonName"))


def test_verified_report_names_reader_and_predecessor(scanned, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(scanned.folder, out)
    with served(RunFolder(out), reader="Änne") as browser:
        browser.decide(action="draw_arrow", row=30, col=40)
        browser.decide(action="draw_outline", contour=[[10, 60], [20, 60], [20, 70], [10, 70]])
        browser.decide(action="comment", text="größer, Ж")
        browser.decide(action="reviewed")
        status, headers, data = browser.ask("api/export/sr")
    assert (status, headers["Content-Type"]) == (200, "application/zip")
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["film.review.sr.dcm"]
    assert main(["review", str(out), "--export", "sr", "--to", str(tmp_path / "sr")]) == 0
    path = tmp_path / "sr" / "film.review.sr.dcm"
    assert not complaints(path, "Error")
    archived = pydicom.dcmread(io.BytesIO(zipfile.ZipFile(io.BytesIO(data)).read("film.review.sr.dcm")))
    report, before = pydicom.dcmread(path), pydicom.dcmread(out / "film.sr.dcm")
    assert (report.VerificationFlag, report.CompletionFlag, report.PreliminaryFlag) == ("VERIFIED", "COMPLETE", "FINAL")
    assert report.VerifyingObserverSequence[0].VerifyingObserverName == "Änne^"
    (study,) = report.PredecessorDocumentsSequence
    instance = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert instance.ReferencedSOPInstanceUID == before.SOPInstanceUID
    assert report.SOPInstanceUID == archived.SOPInstanceUID != before.SOPInstanceUID  # a rerun replaces
    assert (report.StudyInstanceUID, str(report.PatientName)) == ("1.2.3", "Müller^X")
    assert "größer, Ж" in _text(report)


def test_films_that_nobody_is_done_with_have_no_verified_report(scanned, tmp_path, capsys):
    assert main(["review", str(scanned.folder), "--export", "sr", "--to", str(tmp_path / "sr")]) == 2
    assert "0 films are marked as reviewed" in capsys.readouterr().err
    assert not (tmp_path / "sr").exists()


# --- films that are scanned first ------------------------------------------------------------------------------------


def test_films_are_scanned_into_a_folder_that_is_kept_for_the_next_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_dicom(tmp_path / "film.dcm", limb((200, 150)), PixelSpacing=[0.5, 0.5])
    folder = opened_run(["film.dcm"])
    assert (folder.folder, folder.run().min_score) == (Path("review-results"), 0.05)
    assert (folder.folder / "film.bone.png").exists()
    changed = (folder.folder / "film.bone.png").stat().st_mtime_ns
    assert opened_run(["film.dcm"]).run().films[1].result.ok
    assert (folder.folder / "film.bone.png").stat().st_mtime_ns == changed  # not scanned again


def test_a_mistyped_folder_is_not_scanned(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["review", "nofolder", "--no-browser", "--out", "rv"]) == 2
    assert "nofolder is not there; give a folder that calcidetect scan wrote, or films" in capsys.readouterr().err
    assert not (tmp_path / "rv").exists()


def test_no_page_is_opened_when_no_film_can_be_read(tmp_path):
    (tmp_path / "film.png").write_bytes(b"no film")
    with pytest.raises(ReadError, match=r"No film could be scanned: .*film\.png"):
        opened_run([tmp_path / "film.png"], out=tmp_path / "rv")


def test_a_bone_mask_that_the_run_did_not_keep_is_computed(tmp_path):
    write_dicom(tmp_path / "film.dcm", limb((200, 150)), PixelSpacing=[0.5, 0.5])
    scan_many(tmp_path / "film.dcm", tmp_path / "out", formats=[])
    with served(RunFolder(tmp_path / "out")) as browser:
        status, headers, data = browser.ask("api/films/1/bone")
        assert "scan again with --min-score" in browser.get("api/run")[1]["min_score_help"]
    assert (status, headers["Content-Type"], data[:4]) == (200, "image/png", b"\x89PNG")


def test_a_journal_of_another_version_is_refused(folder):
    with sqlite3.connect(folder.folder / "journal.sqlite") as journal:
        journal.execute("PRAGMA user_version = 1")
    journal.close()
    with pytest.raises(ConfigError, match="another version of calcidetect; scan the films again"):
        RunFolder(folder.folder).run()


# --- truth and fit ----------------------------------------------------------------------------------------------------


def test_what_cannot_be_reached_is_not_there(folder):
    film, unreachable = folder.film(1), Path("a" * 300)  # of more bytes than a file system takes
    assert not is_run_folder(unreachable)
    with pytest.raises(EvaluationError, match="is not there; decide on films"):
        read_decided(unreachable / "decisions.sqlite")
    with pytest.raises(ReadError, match="is not there any more; bring it back"):
        folder.path(dataclasses.replace(film, result=dataclasses.replace(film.result, film={"film": "a" * 300})))


def test_accepted_and_drawn_marks_of_reviewed_films_are_the_truth(folder):
    (film,), left_out = read_decided(DecisionStore(folder.folder).path)
    assert (film.name, film.mm_px, left_out) == ("film.dcm", 0.5, 1)
    assert [(item.row, item.col) for item in film.deposits] == [(12.5, 23.5), (30.0, 40.0), (65.0, 15.0)]
    assert film.deposits[0].contrast == 0.5
    assert film.deposits[1].contrast is None
    assert [item.area_px is None for item in film.deposits] == [True, True, False]  # found, pointed at, outlined
    assert film.ignore == ()


def test_marks_left_undecided_are_neither_right_nor_wrong(tmp_path):
    folder = make_run(tmp_path / "out")
    with served(folder) as browser:
        browser.decide(action="accept", mark=1)
        browser.decide(action="reviewed")
    ((film,), _) = read_decided(DecisionStore(folder.folder).path)
    assert film.ignore == ((2, 40, 8, 50),)


def test_decisions_without_a_reviewed_film_are_no_truth(tmp_path):
    folder = make_run(tmp_path / "out")
    with pytest.raises(EvaluationError, match="decide on films with calcidetect review"):
        read_decided(DecisionStore(folder.folder).path)
    with served(folder) as browser:
        browser.decide(action="accept", mark=1)
    with pytest.raises(EvaluationError, match="no film is marked as reviewed"):
        read_decided(DecisionStore(folder.folder).path)


def test_evaluate_takes_decisions(folder, tmp_path, capsys):
    truth = str(DecisionStore(folder.folder).path)
    write_run_files(folder.folder, StoredResults(folder.folder / "journal.sqlite", 1), formats=(), identified=False)
    assert main(["evaluate", str(folder.folder), "--truth", truth, "--out", str(tmp_path / "eval")]) == 0
    said = capsys.readouterr().out
    assert "1 films are not marked as reviewed and are left out." in said
    judged = json.loads((tmp_path / "eval" / "evaluation.json").read_text())
    assert (judged["films"], judged["deposits"]) == (1, 3)
    assert judged["operating_point"]["sensitivity"]["value"] == pytest.approx(1 / 3)
