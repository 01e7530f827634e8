"""The node: every film that was acknowledged is analysed, every result arrives, whatever goes wrong in between."""

import contextlib
import dataclasses
import json
import socket
import threading
import time
from collections import Counter
from io import BytesIO
from types import SimpleNamespace

import pydicom
import pytest
from pacs_films import CR, DX, scan_of, small_film, write_film
from small_scans import in_this_process

from calcidetect.batch import film_task
from calcidetect.batch import run as batch
from calcidetect.cli import main
from calcidetect.config import Config
from calcidetect.errors import ConfigError, PacsError, UnreadableFile
from calcidetect.node import receive, run_node, spool
from calcidetect.node.analyse import MAX_TRIES, Recipe, analyse_next
from calcidetect.node.peers import Listener, Peer, check_title, parse_peer
from calcidetect.node.receive import start_server
from calcidetect.node.send import MAX_REFUSALS, send_waiting

pytest.importorskip("highdicom")
pynetdicom = pytest.importorskip("pynetdicom")
primitives = pytest.importorskip("pynetdicom.dimse_primitives")
messages = pytest.importorskip("pynetdicom.dimse_messages")

# pynetdicom leaves the socket of an attempt that failed to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")

UID = "1.2.826.0.1.1"
VERIFICATION = "1.2.840.10008.1.1"
SR = "1.2.840.10008.5.1.4.1.1.88.34"
ANY_PORT = Listener(port=0)


@pytest.fixture(autouse=True)
def quick_pipeline(monkeypatch):
    """Scan nothing: every film gives the small scan, but for those whose header says otherwise."""

    def scan(film, **how):
        header = pydicom.dcmread(film)
        if header.StudyID == "BAD":
            raise UnreadableFile(f"{film} is damaged; fetch the file again.")
        return scan_of(film, uid=str(header.SOPInstanceUID))

    monkeypatch.setattr(film_task.pipeline, "scan", scan)
    monkeypatch.setattr(batch, "worker_processes", in_this_process)
    monkeypatch.setattr("calcidetect.node.worker_processes", in_this_process)


@pytest.fixture
def root(tmp_path):
    with spool.opened(tmp_path / "spool"):
        yield tmp_path / "spool"


@contextlib.contextmanager
def serving(server):
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def pacs(answer=0x0000, port=0, delay=0.0):
    """A PACS on loopback that takes everything, or answers with a status; yields its port and what came."""
    came = []

    def take(event):
        time.sleep(delay)
        came.append(event.dataset.SOPInstanceUID)
        return answer

    entity = pynetdicom.AE("PACS")
    entity.supported_contexts = pynetdicom.AllStoragePresentationContexts
    for context in entity.supported_contexts:
        context.transfer_syntax = pynetdicom.ALL_TRANSFER_SYNTAXES
    handlers = [(pynetdicom.evt.EVT_C_STORE, take)]
    with serving(entity.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)) as at:
        yield Peer("PACS", "127.0.0.1", at), came


@contextlib.contextmanager
def calling(port, *classes, title="MODALITY"):
    entity = pynetdicom.AE(title)
    for sop_class in classes:
        entity.add_requested_context(sop_class)
    association = entity.associate("127.0.0.1", port)
    try:
        yield association
    finally:
        association.release()


def store(port, film, **how):
    with calling(port, film.SOPClassUID, **how) as association:
        return association.send_c_store(film).Status


def put_film(root, name=UID, **options):
    write_film(root / spool.FILMS, f"{name}.dcm", uid=name, **options)


def names(root, folder):
    return sorted(path.name for path in (root / folder).iterdir())


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@contextlib.contextmanager
def running(root, peer, **options):
    """A node in the background, as `run_node`; yields its port and what it tells."""
    stop, told = threading.Event(), []
    listener = options.pop("listener", Listener(port=_free_port()))
    node = threading.Thread(
        target=run_node,
        args=(root, peer),
        kwargs={"stop": stop, "tell": told.append, "listener": listener, "retry_s": 0.05, **options},
    )
    node.start()
    try:
        wait_for(lambda: told or not node.is_alive())
        yield listener.port, told
    finally:
        stop.set()
        node.join()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- the whole way ----------------------------------------------------------------------------------------------------


def test_film_comes_in_and_its_report_and_overlay_arrive(tmp_path):
    root = tmp_path / "spool"
    with pacs() as (peer, came), running(root, peer) as (port, told):
        assert store(port, small_film()) == 0
        wait_for(lambda: len(came) == 2)
        wait_for(lambda: "2 results sent" in told[-1])
        assert spool.status(root)["node"] == "running"
    assert len(set(came)) == 2
    status = spool.status(root)
    assert status["node"] == "not running"
    assert (status["films received"], status["films analysed"], status["results sent"]) == (1, 1, 2)
    assert [names(root, folder) for folder in spool.FOLDERS] == [[]] * 5
    assert f"{UID}: 2 candidates" in told
    assert "SYN001" not in (root / spool.JOURNAL).read_text()
    assert "Müller" not in "".join(told)


def test_results_wait_for_a_pacs_that_is_down(tmp_path):
    port = _free_port()
    with running(tmp_path / "spool", Peer("PACS", "127.0.0.1", port)) as (node_port, told):
        store(node_port, small_film())
        wait_for(lambda: any("doesn't answer; 2 results wait" in text for text in told))
        with pacs(port=port) as (_, came):
            wait_for(lambda: len(came) == 2)
            wait_for(lambda: "2 results sent" in told[-1])


def test_films_and_results_of_a_killed_node_are_gone_on_with(tmp_path):
    root = tmp_path / "spool"
    with spool.opened(root):
        put_film(root, "1.2.3")
        put_film(root, "1.2.4")
        analyse_next(root, Recipe(formats=("sr",)))  # its result was never sent
        (root / spool.FILMS / "1.2.5.dcm.part").write_bytes(b"half a film")
    with pacs() as (peer, came), running(root, peer, recipe=Recipe(formats=("sr",))):
        wait_for(lambda: spool.status(root)["results sent"] == 2)
    assert len(came) == 2
    assert names(root, spool.FILMS) == []


def test_second_node_is_kept_out_of_the_spool(root):
    stop = threading.Event()
    stop.set()
    with pytest.raises(ConfigError, match="Another node works in"):
        run_node(root, Peer("PACS", "127.0.0.1", 1), stop=stop, tell=print)


def test_missing_packages_are_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"takes pynetdicom; install it with pip install 'calcidetect\[pacs\]'"):
        run_node(tmp_path, Peer("PACS", "127.0.0.1", 1), stop=threading.Event(), tell=print)


def test_fault_that_nobody_foresaw_ends_the_node_and_keeps_the_film(tmp_path, monkeypatch):
    def fail(*args, **options):
        raise ZeroDivisionError

    root = tmp_path / "spool"
    with spool.opened(root):
        put_film(root)
    monkeypatch.setattr(batch, "scan_many", fail)
    stop = threading.Event()
    with pytest.raises(ZeroDivisionError):
        run_node(root, Peer("PACS", "127.0.0.1", 9), listener=ANY_PORT, stop=stop, tell=lambda text: None)
    assert f"{UID}.dcm" in names(root, spool.FILMS)


# --- receiving --------------------------------------------------------------------------------------------------------


def test_film_is_in_the_spool_when_the_sender_gets_its_answer(root):
    film = small_film(sop_class=CR)
    with serving(start_server(root, ANY_PORT)) as port:
        assert store(port, film) == 0
        assert names(root, spool.FILMS) == [f"{UID}.dcm"]
    received = pydicom.dcmread(root / spool.FILMS / f"{UID}.dcm")
    assert received.PixelData == film.PixelData
    assert received.PatientName == film.PatientName


def test_echo_is_answered(root):
    with serving(start_server(root, ANY_PORT)) as port, calling(port, VERIFICATION) as association:
        assert association.send_c_echo().Status == 0


def test_results_and_other_classes_are_not_taken_so_nothing_loops(root):
    offered = (SR, "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.2", VERIFICATION)
    with serving(start_server(root, ANY_PORT)) as port, calling(port, *offered) as association:
        assert [str(context.abstract_syntax) for context in association.accepted_contexts] == [VERIFICATION]
    assert names(root, spool.FILMS) == []


@pytest.mark.parametrize(
    ("sop_class", "uid", "answer"), [(SR, UID, 0x0122), (DX, "../1", 0x0117), (DX, "", 0x0117), (DX, "1" * 65, 0x0117)]
)
def test_request_that_belies_its_association_is_refused(root, sop_class, uid, answer):
    request = SimpleNamespace(AffectedSOPClassUID=sop_class, AffectedSOPInstanceUID=uid)
    assert receive._store(SimpleNamespace(request=request), root) == answer
    assert names(root, spool.FILMS) == []


def test_only_listed_callers_get_in(root):
    listener = Listener(port=0, allowed=("MODALITY",))
    with serving(start_server(root, listener)) as port:
        with calling(port, VERIFICATION, title="STRANGER") as association:
            assert association.is_rejected
        assert store(port, small_film()) == 0


def test_film_that_finds_no_room_is_not_acknowledged(root, monkeypatch):
    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with serving(start_server(root, ANY_PORT)) as port:
        assert store(port, small_film()) == 0xA700
    assert names(root, spool.FILMS) == []


def test_association_aborted_half_way_leaves_nothing_and_the_next_one_works(root):
    film = small_film()
    with serving(start_server(root, ANY_PORT)) as port:
        with calling(port, DX) as association:
            request = primitives.C_STORE()
            request.MessageID, request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = 1, DX, UID
            request.Priority, request.DataSet = 2, _stream(film)
            message = messages.C_STORE_RQ()
            message.primitive_to_message(request)
            parts = list(message.encode_msg(association.accepted_contexts[0].context_id, 1024))
            assert len(parts) > 3
            for part in parts[:3]:
                association.dul.send_pdu(part)
            association.abort()
        assert names(root, spool.FILMS) == []
        assert store(port, film) == 0
        assert names(root, spool.FILMS) == [f"{UID}.dcm"]


def _stream(film):
    return BytesIO(pynetdicom.dsutils.encode(film, True, True))


def test_port_that_is_taken_is_said(root):
    with (
        serving(start_server(root, ANY_PORT)) as port,
        pytest.raises(PacsError, match=rf"listen on 127\.0\.0\.1:{port}"),
    ):
        start_server(root, Listener(port=port))


def test_node_listens_on_loopback_unless_told_otherwise():
    assert Listener().host == "127.0.0.1"


# --- analysing --------------------------------------------------------------------------------------------------------


def test_film_that_cant_be_read_is_put_aside_with_the_reason(root):
    put_film(root, StudyID="BAD")
    assert "is damaged" in analyse_next(root, Recipe())
    assert names(root, spool.FAILED) == [f"{UID}.dcm", f"{UID}.txt"]
    assert "is damaged" in (root / spool.FAILED / f"{UID}.txt").read_text()
    assert spool.status(root)["films failed"] == 1
    assert analyse_next(root, Recipe()) == ""


def test_results_that_can_be_made_are_sent_where_one_kind_cant(root):
    put_film(root, PhotometricInterpretation="PALETTE COLOR")
    said = analyse_next(root, Recipe(formats=("sr", "gsps")))
    assert "2 candidates. " in said
    assert "is stored in colours, and a gsps is made of grey films" in said
    assert [name.removeprefix(UID) for name in names(root, spool.OUTBOX)] == [".sr.dcm"]
    assert not names(root, spool.FILMS)
    assert not names(root, spool.FAILED)


def test_a_film_of_which_nothing_can_be_made_is_put_aside(root):
    put_film(root, PhotometricInterpretation="PALETTE COLOR")
    assert "a gsps is made of grey films" in analyse_next(root, Recipe(formats=("gsps",)))
    assert names(root, spool.FAILED) == [f"{UID}.dcm", f"{UID}.txt"]


def test_film_that_kills_the_node_again_and_again_is_put_aside(root, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(*args, **options):
        raise Killed

    put_film(root)
    monkeypatch.setattr(batch, "scan_many", kill)
    for _ in range(MAX_TRIES):
        with pytest.raises(Killed):
            analyse_next(root, Recipe())
        assert names(root, spool.FILMS) == [f"{UID}.dcm", f"{UID}.tries"]
    assert "died 3 times" in analyse_next(root, Recipe())
    assert names(root, spool.FAILED) == [f"{UID}.dcm", f"{UID}.txt"]
    assert names(root, spool.FILMS) == []


def test_film_is_kept_until_its_results_are_in_the_outbox(root, monkeypatch):
    put_film(root)

    def full(path, data):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(spool, "put", full)
        for _ in range(MAX_TRIES + 1):  # no fault of the film, however often
            with pytest.raises(OSError, match="No space"):
                analyse_next(root, Recipe(formats=("sr",)))
    assert f"{UID}.dcm" in names(root, spool.FILMS)
    analyse_next(root, Recipe())
    assert names(root, spool.OUTBOX) == [f"{UID}.sc.dcm", f"{UID}.sr.dcm"]


def test_only_dicom_results_can_be_sent():
    with pytest.raises(ConfigError, match=r"sends sr, sc, seg, gsps, not png;"):
        Recipe(formats=("sr", "png"))
    with pytest.raises(ConfigError, match="sends sr, sc, seg, gsps, not nothing; choose"):
        Recipe(formats=())


def test_a_node_does_not_start_with_tables_that_are_none(tmp_path):
    (tmp_path / "tables.json").write_text("no tables")
    with pytest.raises(ConfigError, match="holds no tables of the scorer"):
        Recipe(config=Config().replace({"score.tables": str(tmp_path / "tables.json")}))


# --- sending ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def outbox(root):
    put_film(root)
    analyse_next(root, Recipe())
    return root


def send(root, peer, refusals=None):
    return send_waiting(root, peer, title="CALCIDETECT", refusals=Counter() if refusals is None else refusals)


def test_what_the_pacs_takes_with_a_remark_counts_as_sent(outbox):
    with pacs(answer=0xB000) as (peer, came):
        assert send(outbox, peer) == 2
    assert len(came) == 2
    assert names(outbox, spool.OUTBOX) == []
    assert send(outbox, peer) == 0  # nothing to send: nobody is called


def test_busy_pacs_is_asked_again_for_ever(outbox):
    refusals = Counter()
    with pacs(answer=0xA700) as (peer, _):
        for _ in range(MAX_REFUSALS + 1):
            with pytest.raises(PacsError, match=r"has taken 0 of 2 results: it is out of resources"):
                send(outbox, peer, refusals)
    assert len(names(outbox, spool.OUTBOX)) == 2


def test_result_that_is_refused_again_and_again_is_put_aside_not_lost(outbox):
    refusals = Counter()
    with pacs(answer=0xC000) as (peer, _):
        for _ in range(MAX_REFUSALS):
            with pytest.raises(PacsError, match="status 0xC000"):
                send(outbox, peer, refusals)
    assert names(outbox, spool.OUTBOX) == []
    assert len(names(outbox, spool.REFUSED)) == 2
    assert spool.status(outbox)["results refused"] == 2
    assert "0xC000" in spool.status(outbox)["last trouble"]


def test_class_that_the_pacs_doesnt_know_holds_the_others_up_no_longer(outbox):
    entity = pynetdicom.AE("PACS")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.7", pynetdicom.ALL_TRANSFER_SYNTAXES)
    handlers = [(pynetdicom.evt.EVT_C_STORE, lambda event: 0)]
    with serving(entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)) as port:
        refused = pytest.raises(PacsError, match="has taken 1 of 2 results: it doesn't take this class")
        with refused:
            send(outbox, Peer("PACS", "127.0.0.1", port))
    assert names(outbox, spool.OUTBOX) == [f"{UID}.sr.dcm"]


def test_pacs_that_rejects_the_node_is_told_from_one_that_is_down(outbox):
    entity = pynetdicom.AE("PACS")
    entity.add_supported_context("1.2.840.10008.5.1.4.1.1.7")
    entity.require_calling_aet = ["SOMEONE"]
    with serving(entity.start_server(("127.0.0.1", 0), block=False)) as port:
        rejected = pytest.raises(PacsError, match="refuses the association; 2 results wait")
        with rejected:
            send(outbox, Peer("PACS", "127.0.0.1", port))
    with pytest.raises(PacsError, match="doesn't answer"):
        send(outbox, Peer("PACS", "127.0.0.1", port))


def test_connection_that_breaks_while_sending_loses_nothing(outbox, monkeypatch):
    monkeypatch.setattr("calcidetect.node.send._TIMEOUT_S", 3.0)

    def vanish(event):
        event.assoc.abort()
        return 0

    entity = pynetdicom.AE("PACS")
    entity.supported_contexts = pynetdicom.AllStoragePresentationContexts
    for context in entity.supported_contexts:
        context.transfer_syntax = pynetdicom.ALL_TRANSFER_SYNTAXES
    handlers = [(pynetdicom.evt.EVT_C_STORE, vanish)]
    with serving(entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)) as port:
        broken = pytest.raises(PacsError, match="the connection broke")
        with broken:
            send(outbox, Peer("PACS", "127.0.0.1", port))
    assert len(names(outbox, spool.OUTBOX)) == 2


# --- spool, names, addresses ------------------------------------------------------------------------------------------


def test_oldest_film_goes_first(root):
    for name in ("1.9", "1.5", "1.7"):
        put_film(root, name)
        time.sleep(0.01)
    assert [path.stem for path in spool.waiting(root, spool.FILMS)] == ["1.9", "1.5", "1.7"]


def test_spool_is_for_the_owner_alone(root):
    assert root.stat().st_mode & 0o077 == 0


def test_journal_cut_short_by_a_crash_is_still_read(root):
    spool.note(root, "received", film="1.2")
    with (root / spool.JOURNAL).open("a") as file:
        file.write('{"time": "2026-1')
    assert spool.status(root)["films received"] == 1
    assert json.loads((root / spool.JOURNAL).read_text().splitlines()[0])["film"] == "1.2"


def test_status_of_no_spool_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="There is no spool in"):
        spool.status(tmp_path)


def test_spool_where_a_file_lies_is_refused(tmp_path):
    (tmp_path / "spool").write_text("a file")
    with pytest.raises(ConfigError, match="can't be made"), spool.opened(tmp_path / "spool"):
        pass


@pytest.mark.parametrize(
    ("text", "peer"),
    [
        ("PACS@10.0.0.5:104", Peer("PACS", "10.0.0.5", 104)),
        ("MY PACS@pacs.local:11112", Peer("MY PACS", "pacs.local", 11112)),
        ("PACS@[::1]:104", Peer("PACS", "::1", 104)),
    ],
)
def test_address_of_a_peer(text, peer):
    assert parse_peer(text) == peer


@pytest.mark.parametrize(
    "text",
    ["", "PACS", "PACS@host", "PACS@:104", "PACS@host:0", "PACS@host:99999", "@host:104", "A" * 17 + "@host:104"],
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(ConfigError, match=r"is no DICOM address|is no AE title"):
        parse_peer(text)


@pytest.mark.parametrize("title", ["", "  ", "A\\B", "Röntgen", "X" * 17])
def test_what_is_no_title_is_refused(title):
    with pytest.raises(ConfigError, match="is no AE title"):
        check_title(title)


def test_recipe_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().region = "knee"


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give it as --to"),
        (["--to", "nonsense"], "is no DICOM address"),
        (["--to", "PACS@127.0.0.1:104", "--port", "70000"], "There is no port 70000"),
        (["--to", "PACS@127.0.0.1:104", "--format", "png"], "A node sends sr, sc, seg, gsps"),
        (["--to", "PACS@127.0.0.1:104", "--allow", ""], "is no AE title"),
        (["--to", "PACS@127.0.0.1:104", "--region", "nose"], "nose"),
        (["--to", "PACS@127.0.0.1:104", "--min-score", "2"], "between 0 and 1"),
        (["--status"], "There is no spool"),
    ],
)
def test_wrong_use_of_the_command_is_said(tmp_path, capsys, words, said):
    assert main(["node", "--spool", str(tmp_path / "spool"), *words]) == 2
    assert said in capsys.readouterr().err


def test_status_is_printed(root, capsys):
    put_film(root)
    assert main(["node", "--spool", str(root), "--status"]) == 0
    lines = dict(line.rsplit("  ", 1) for line in capsys.readouterr().out.splitlines())
    assert {name.strip(): value for name, value in lines.items()}["films waiting"] == "1"


def test_damaged_result_holds_up_nothing(outbox):
    (outbox / spool.OUTBOX / "broken.dcm").write_bytes(b"no DICOM")
    with pacs() as (peer, came):
        assert send(outbox, peer) == 2
    assert len(came) == 2
    assert names(outbox, spool.REFUSED) == ["broken.dcm"]
