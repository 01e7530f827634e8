"""DICOMweb against servers that misbehave; `test_orthanc` has the one that doesn't."""

import contextlib
import http.server
import json
import threading

import pydicom
import pytest
from pacs_films import scan_of, small_film

from calcidetect import dicomweb
from calcidetect.batch import film_task
from calcidetect.cli import main
from calcidetect.dicomweb import Address, fetch_films, parse_address
from calcidetect.errors import ConfigError, PacsError

pytest.importorskip("dicomweb_client")
pytest.importorskip("highdicom")

STUDY, UID = "1.2.826.0.1.2", "1.2.826.0.1.1"


@contextlib.contextmanager
def server(answer):
    """A server on loopback; `answer` makes status, content type and body of method and path."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _reply(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, kind, body = answer(self.command, self.path)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _reply  # noqa: N815 - the names that the library calls

        def log_message(self, *_):
            pass

    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=serving.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_address[1]}/web"
    finally:
        serving.shutdown()
        serving.server_close()
        thread.join()


def archive(*, store=(200, {}), films=("DX",), uid=UID, lacking=()):
    """Answers of an archive with one film for each modality; `store` is how it answers STOW.

    The films are said to have the `uid`; elements `lacking` in them are left out.
    """
    film = small_film()
    for keyword in lacking:
        delattr(film, keyword)

    def answer(method, path):
        if method == "POST":
            return store[0], "application/dicom+json", json.dumps(store[1]).encode()
        if path.endswith("/series"):
            series = [_json(Modality=name, SeriesInstanceUID=f"1.2.{n}") for n, name in enumerate(films)]
            return 200, "application/dicom+json", json.dumps(series).encode()
        if path.endswith("/instances"):
            return 200, "application/dicom+json", json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}}]).encode()
        buffer = pydicom.filebase.DicomBytesIO()
        film.save_as(buffer, enforce_file_format=not lacking)
        body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + buffer.getvalue() + b"\r\n--x--"
        return 200, 'multipart/related; type="application/dicom"; boundary=x', body

    return answer


def _json(**values):
    dataset = pydicom.Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset.to_json_dict()


@pytest.fixture
def quick_pipeline(monkeypatch):
    monkeypatch.setattr(film_task.pipeline, "scan", lambda film, **how: scan_of(film))


def scan(url, out, *more):
    return main(["scan", f"dicomweb:{url}/studies/{STUDY}", "--out", str(out), "--format", "sr", *more])


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("dicomweb:https://a.b/c/studies/1.2", Address("https://a.b/c", "1.2", None, None)),
        ("dicomweb:http://a:80/studies/1.2/", Address("http://a:80", "1.2", None, None)),
        ("dicomweb:https://a/c/studies/1.2/series/3.4", Address("https://a/c", "1.2", "3.4", None)),
        ("dicomweb:https://a/c/studies/1/series/3/instances/5", Address("https://a/c", "1", "3", "5")),
    ],
)
def test_address_names_study_series_or_instance(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["dicomweb:", "dicomweb:https://a/c", "dicomweb:https://a/c/studies/", "dicomweb:ftp://a/studies/1.2"]
)
def test_address_without_a_study_is_refused(text):
    with pytest.raises(ConfigError, match="names no study"):
        parse_address(text)


def test_other_paths_are_passed_on(tmp_path):
    assert fetch_films(["a.dcm", "folder"], tmp_path).paths == ("a.dcm", "folder")
    assert not (tmp_path / dicomweb.FOLDER).exists()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize("wrong", [{"uid": "../../escaped"}, {"lacking": ("SOPInstanceUID",)}])
def test_film_of_a_strange_uid_is_refused_in_words(tmp_path, wrong):
    with server(archive(**wrong)) as url, pytest.raises(PacsError, match="something else than DICOMweb"):
        fetch_films([f"dicomweb:{url}/studies/{STUDY}"], tmp_path / "out")
    assert not list(tmp_path.rglob("*.dcm"))


def test_films_are_fetched_once_and_results_of_other_kinds_left_alone(tmp_path):
    with server(archive(films=("SR", "DX", "OT", "SEG"))) as url:
        fetched = fetch_films([f"dicomweb:{url}/studies/{STUDY}"], tmp_path)
        (path,) = fetched.paths
        before = (tmp_path / dicomweb.FOLDER / f"{UID}.dcm").stat().st_mtime_ns
        again = fetch_films([f"dicomweb:{url}/studies/{STUDY}"], tmp_path)
    assert again == fetched
    assert (tmp_path / dicomweb.FOLDER / f"{UID}.dcm").stat().st_mtime_ns == before
    assert pydicom.dcmread(path).PixelData == small_film().PixelData
    assert (tmp_path / dicomweb.FOLDER).stat().st_mode & 0o077 == 0


def test_study_without_films_is_said(tmp_path):
    with server(archive(films=("SR",))) as url, pytest.raises(PacsError, match="has no film"):
        fetch_films([f"dicomweb:{url}/studies/{STUDY}"], tmp_path)


def test_server_that_is_down_is_said_without_its_password(tmp_path):
    with pytest.raises(PacsError, match=r"^http://127\.0\.0\.1:9/web can't be reached"):
        fetch_films([f"dicomweb:http://me:secret@127.0.0.1:9/web/studies/{STUDY}"], tmp_path)


@pytest.mark.parametrize("status", [401, 404, 500])
def test_server_that_refuses_is_said_with_its_status(tmp_path, status):
    with server(lambda *_: (status, "text/plain", b"no")) as url, pytest.raises(PacsError, match=f"status {status}"):
        fetch_films([f"dicomweb:{url}/studies/{STUDY}"], tmp_path)


def test_page_instead_of_dicomweb_is_said(tmp_path):
    page = (200, "text/html", b"<html>Welcome</html>")
    with (
        server(lambda *_: page) as url,
        pytest.raises(PacsError, match=r"something else than DICOMweb|can't be reached"),
    ):
        fetch_films([f"dicomweb:{url}/studies/{STUDY}"], tmp_path)


def test_results_are_sent_back_and_counted(quick_pipeline, tmp_path, capsys):
    with server(archive()) as url:
        assert scan(url, tmp_path, "--send-back") == 0
    assert "1 DICOM results sent back" in capsys.readouterr().out


def test_results_are_sent_back_under_names_below_a_root(quick_pipeline, tmp_path, capsys):
    with server(archive()) as url:
        assert scan(url, tmp_path, "--send-back", "--root", str(tmp_path)) == 0
    assert "1 DICOM results sent back" in capsys.readouterr().out
    assert f"{dicomweb.FOLDER}/{UID}.dcm,ok" in (tmp_path / "films.csv").read_text()


def test_dry_run_fetches_nothing(tmp_path, capsys):
    address = f"dicomweb:http://127.0.0.1:9/studies/{STUDY}"
    assert main(["scan", address, "--out", str(tmp_path / "out"), "--dry-run"]) == 2
    assert "leave --dry-run out" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_result_that_the_server_doesnt_store_is_said_and_kept(quick_pipeline, tmp_path, capsys):
    failed = pydicom.Dataset()
    failed.FailureReason = 0xA700
    answer = pydicom.Dataset()
    answer.FailedSOPSequence = [failed]
    with server(archive(store=(202, answer.to_json_dict()))) as url:
        assert scan(url, tmp_path, "--send-back") == 1
    assert "didn't store 1 of 1 results (status 0xA700)" in capsys.readouterr().err
    assert (tmp_path / f"{UID}.sr.dcm").exists()
    assert (tmp_path / "films.csv").exists()


def test_server_that_breaks_down_before_the_results_costs_nothing(quick_pipeline, tmp_path, capsys):
    with server(archive(store=(503, {}))) as url:
        assert scan(url, tmp_path, "--send-back") == 1
    assert "HTTP status 503" in capsys.readouterr().err
    assert (tmp_path / f"{UID}.sr.dcm").exists()


def test_sending_back_takes_a_dicom_format(tmp_path, capsys):
    address = f"dicomweb:http://127.0.0.1:9/studies/{STUDY}"
    assert main(["scan", address, "--out", str(tmp_path / "out"), "--send-back"]) == 2
    assert "Nothing would be sent back" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_missing_package_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'calcidetect\[pacs\]'"):
        fetch_films([f"dicomweb:http://a/studies/{STUDY}"], tmp_path)
