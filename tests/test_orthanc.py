"""Against a real PACS: films come from Orthanc, results are found there, nothing is lost on the way.

Orthanc 1.10 listens on every address; it is told to take DICOM from known callers on loopback alone.
"""

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pydicom
import pytest
from films import limb
from pacs_films import CR, DX, film_dataset

from calcidetect.cli import main

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
ORTHANC = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
ECHO = Path("/usr/bin/echoscu")  # by its path: pynetdicom has programs of the same names
SEND = Path("/usr/bin/storescu")

PARTS = {"orthanc": ORTHANC, "orthanc-dicomweb": PLUGIN.exists(), "dcmtk": SEND.exists()}
missing = [name for name, here in PARTS.items() if not here]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"not here: {', '.join(missing)}; apt-get install {' '.join(missing)}"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
pytest.importorskip("highdicom")
pytest.importorskip("pynetdicom")
web = pytest.importorskip("dicomweb_client.web")

STUDY = "1.2.826.0.1.2"
PATIENCE_S = 120  # for what takes 5 s on a machine with nothing else to do


class Pacs:
    """An Orthanc of its own, with an empty folder."""

    def __init__(self, folder):
        self.http, self.dicom, self.node = (_free_port() for _ in range(3))
        self.url = f"http://127.0.0.1:{self.http}"
        self.web = f"{self.url}/dicom-web"
        self.folder = folder

    def configuration(self):
        known = {name: [name.upper(), "127.0.0.1", self.node] for name in ("calcidetect", "tester")}
        return {
            "Name": "test",
            "StorageDirectory": str(self.folder),
            "IndexDirectory": str(self.folder),
            "HttpPort": self.http,
            "DicomPort": self.dicom,
            "DicomAet": "ORTHANC",
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomCheckModalityHost": True,
            "DicomModalities": known,
            "Plugins": [str(PLUGIN)],
        }

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as answer:
            return json.load(answer)

    def post(self, path, what):
        request = urllib.request.Request(self.url + path, json.dumps(what).encode(), method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def empty(self):
        for study in self.get("/studies"):
            request = urllib.request.Request(f"{self.url}/studies/{study}", method="DELETE")
            urllib.request.urlopen(request, timeout=30).close()

    def take(self, path):
        """C-STORE a film into the PACS."""
        command = [SEND, "-aet", "TESTER", "-aec", "ORTHANC", "127.0.0.1", str(self.dicom), path]
        subprocess.run(command, check=True, capture_output=True)

    def push(self):
        """Let the PACS send everything it has to the node."""
        instances = self.get("/instances")
        return self.post("/modalities/calcidetect/store", {"Resources": instances, "Synchronous": True})

    def modalities(self):
        """Modality and description of every series of the study, by QIDO."""
        client = web.DICOMwebClient(self.web)
        series = [pydicom.Dataset.from_json(item) for item in client.search_for_series(STUDY)]
        return sorted(item.Modality for item in series)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    folder = tmp_path_factory.mktemp("orthanc")
    pacs = Pacs(folder)
    (folder / "orthanc.json").write_text(json.dumps(pacs.configuration()))
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([ORTHANC, folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        wait_for(lambda: server.poll() is not None or _answers(pacs))
        assert server.poll() is None, (folder / "log").read_text()
        yield pacs
    finally:
        server.terminate()
        server.wait(30)


def _answers(pacs):
    try:
        return bool(pacs.get("/system"))
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.fixture
def pacs(orthanc):
    orthanc.empty()
    return orthanc


@pytest.fixture
def films(tmp_path):
    """Two films of one study, of the two classes and polarities that there are, 256 x 200."""
    pixels = limb((256, 200))
    made = [
        film_dataset(pixels, sop_class=DX, spacing_mm=0.4, uid="1.2.826.0.1.11"),
        film_dataset(pixels.max() - pixels, sop_class=CR, photometric="MONOCHROME1", uid="1.2.826.0.1.12"),
    ]
    paths = [tmp_path / f"{film.SOPInstanceUID}.dcm" for film in made]
    for film, path in zip(made, paths, strict=True):
        film.save_as(path, enforce_file_format=True)
    return paths


class Node:
    """`calcidetect node` in a process of its own."""

    def __init__(self, pacs, root):
        self.command = [sys.executable, "-m", "calcidetect", "node", "--spool", str(root)]
        self.arguments = ["--to", f"ORTHANC@127.0.0.1:{pacs.dicom}", "--port", str(pacs.node), "--allow", "ORTHANC"]
        self.root, self.log = root, root.parent / "node.log"

    def start(self, *more):
        with self.log.open("w") as log:
            self.process = subprocess.Popen([*self.command, *self.arguments, *more], stdout=log, stderr=log)
        wait_for(lambda: self.process.poll() is not None or "listens on" in self.log.read_text())
        assert self.process.poll() is None, self.log.read_text()

    def end(self, how):
        self.process.send_signal(how)
        return self.process.wait(PATIENCE_S)

    def status(self):
        done = subprocess.run([*self.command, "--status"], capture_output=True, text=True, check=True)
        pairs = (line.rsplit("  ", 1) for line in done.stdout.splitlines())
        return {name.strip(): value.strip() for name, value in pairs}

    def count(self, folder):
        return len(list((self.root / folder).glob("*.dcm")))


@pytest.fixture
def node(pacs, tmp_path):
    node = Node(pacs, tmp_path / "spool")
    yield node
    if node.process.poll() is None:
        node.process.kill()
        node.process.wait()


def test_film_goes_from_pacs_to_node_and_its_results_are_listed_in_its_study(pacs, node, films):
    node.start("--format", "sr,sc,seg,gsps")
    for film in films:
        pacs.take(film)
    assert pacs.modalities() == ["CR", "DX"]
    assert pacs.push()["FailedInstancesCount"] == 0
    wait_for(lambda: pacs.get("/statistics")["CountInstances"] == 10)
    assert pacs.modalities() == sorted(["CR", "DX", *2 * ["SR", "OT", "SEG", "PR"]])
    assert pacs.get("/statistics")["CountStudies"] == pacs.get("/statistics")["CountPatients"] == 1
    # The film comes once more: its results replace what is there.
    pacs.post("/modalities/calcidetect/store", {"Resources": [_instance(pacs, "DX")], "Synchronous": True})
    wait_for(lambda: node.status()["results sent"] == "12")
    assert pacs.get("/statistics")["CountInstances"] == 10
    assert node.end(signal.SIGTERM) == 0
    assert node.status()["node"] == "not running"
    assert not any(node.count(folder) for folder in ("films", "outbox", "failed", "refused"))


def _instance(pacs, modality):
    for series in pacs.get("/series"):
        facts = pacs.get(f"/series/{series}")
        if facts["MainDicomTags"]["Modality"] == modality:
            return facts["Instances"][0]
    raise AssertionError(modality)


def test_node_killed_with_films_in_its_spool_goes_on_when_started_again(pacs, node, films):
    node.start()
    for film in films:
        pacs.take(film)
    pacs.push()
    node.end(signal.SIGKILL)
    left = node.count("films") + node.count("outbox") / 2
    assert left + len(pacs.get("/instances")) / 2 >= 2  # every film is somewhere
    node.start()
    wait_for(lambda: pacs.get("/statistics")["CountInstances"] == 6)
    assert pacs.modalities() == ["CR", "DX", "OT", "OT", "SR", "SR"]
    node.end(signal.SIGINT)
    assert node.count("films") == node.count("outbox") == 0


def test_pacs_that_gets_its_results_pushed_back_starts_no_loop(pacs, node, films):
    node.start()
    pacs.take(films[0])
    pacs.push()
    wait_for(lambda: pacs.get("/statistics")["CountInstances"] == 3)
    results = [_instance(pacs, "SR"), _instance(pacs, "OT")]
    with pytest.raises(urllib.error.HTTPError):
        pacs.post("/modalities/calcidetect/store", {"Resources": results, "Synchronous": True})
    time.sleep(1)
    assert node.count("films") == 0
    assert pacs.get("/statistics")["CountInstances"] == 3


def test_other_callers_are_kept_out_and_echo_is_answered(pacs, node):
    node.start("--allow", "TESTER")
    port = str(pacs.node)
    friend = subprocess.run([ECHO, "-aet", "TESTER", "127.0.0.1", port], capture_output=True, check=False)
    stranger = subprocess.run([ECHO, "-aet", "STRANGER", "127.0.0.1", port], capture_output=True, check=False)
    assert (friend.returncode, stranger.returncode != 0) == (0, True)
    assert pacs.post("/modalities/calcidetect/echo", {}) == {}


def test_study_is_scanned_over_dicomweb_and_results_stored_back(pacs, films, tmp_path, capsys):
    for film in films:
        pacs.take(film)
    address = f"dicomweb:{pacs.web}/studies/{STUDY}"
    out = tmp_path / "out"
    words = ["scan", address, "--out", str(out), "--format", "sr,sc"]
    assert main([*words, "--send-back"]) == 0
    assert "4 DICOM results sent back" in capsys.readouterr().out
    assert pacs.modalities() == ["CR", "DX", "OT", "OT", "SR", "SR"]
    assert main([*words, "--send-back"]) == 0  # once more: nothing is scanned that the program made, nothing multiplies
    assert len(pacs.get("/instances")) == 6
    fetched = pydicom.dcmread(out / "fetched" / films[0].name)
    assert fetched.pixel_array.tolist() == pydicom.dcmread(films[0]).pixel_array.tolist()
    series = fetched.SeriesInstanceUID
    assert main(["scan", f"{address}/series/{series}", "--out", str(tmp_path / "one"), "--format", "none"]) == 0
    assert len((tmp_path / "one" / "films.csv").read_text().splitlines()) == 2


def test_study_that_is_not_there_is_said(pacs, tmp_path, capsys):
    assert main(["scan", f"dicomweb:{pacs.web}/studies/1.2.3", "--out", str(tmp_path / "out")]) == 1
    assert "has no film" in capsys.readouterr().err


def test_server_without_dicomweb_is_said(pacs, tmp_path, capsys):
    assert main(["scan", f"dicomweb:{pacs.url}/nothing/studies/1.2.3", "--out", str(tmp_path / "out")]) == 1
    assert "HTTP status 404" in capsys.readouterr().err
