"""A DICOM node: takes films from a modality or PACS, analyses them, sends the results back.

Three parts work side by side and share nothing but the spool on disk: `receive` puts films in, `analyse` turns them
into results, `send` hands these over.
"""

from __future__ import annotations

import importlib.util
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from pathlib import Path

from calcidetect import writers
from calcidetect.batch.workers import worker_processes
from calcidetect.errors import CalcidetectError, ConfigError, PacsError
from calcidetect.node import spool
from calcidetect.node.analyse import Recipe, analyse_next
from calcidetect.node.peers import Listener, Peer
from calcidetect.node.receive import start_server
from calcidetect.node.send import send_waiting

LONGEST_RETRY_S = 300.0
"""The pause after each failure is twice the one before, up to this."""

_POLL_S = 0.25  # between looks into an empty folder of the spool

Tell = Callable[[str], None]


def run_node(
    root: Path,
    peer: Peer,
    *,
    listener: Listener = Listener(),  # noqa: B008 - immutable
    recipe: Recipe = Recipe(),  # noqa: B008
    retry_s: float = 5.0,
    stop: threading.Event,
    tell: Tell,
) -> None:
    """Work until `stop` is set; then finish the film in hand.

    Parameters
    ----------
    root
        Spool folder; made when missing.
    peer
        The PACS that gets the results.
    listener
        Where to listen, and whom to listen to.
    recipe
        How films are scanned and what is sent.
    retry_s
        First pause in seconds after the PACS didn't take a result.
    stop
        Ends the node.
    tell
        Called with a line on each event.

    Raises
    ------
    ConfigError
        When the spool can't be used, or a package is missing.
    PacsError
        When the address can't be listened on.
    """
    if importlib.util.find_spec("pynetdicom") is None:
        raise ConfigError("A node takes pynetdicom; install it with pip install 'calcidetect[pacs]'.")
    writers.check_formats(recipe.formats)
    with spool.opened(root):
        server = start_server(root, listener)
        tell(f"{listener.title} listens on {listener.host}:{server.server_address[1]}; results go to {peer}")
        with worker_processes(1, None) as worker, ThreadPoolExecutor(2) as pool:
            parts = [
                pool.submit(_analyse, root, recipe, worker, stop=stop, retry_s=retry_s, tell=tell),
                pool.submit(_send, root, peer, listener.title, stop=stop, retry_s=retry_s, tell=tell),
            ]
            try:
                _wait(parts, stop)
            finally:
                stop.set()
                server.shutdown()
        for part in parts:
            part.result()  # what nobody foresaw ends the node, loudly; the spool keeps everything


def _wait(parts: Sequence[Future[None]], stop: threading.Event) -> None:
    """Return when `stop` is set or a part has ended by itself."""
    while not stop.wait(_POLL_S) and not wait(parts, timeout=0, return_when=FIRST_COMPLETED).done:
        pass


def _analyse(
    root: Path, recipe: Recipe, worker: Executor, *, stop: threading.Event, retry_s: float, tell: Tell
) -> None:
    """Analyse films as they come."""
    while not stop.is_set():
        try:
            done = analyse_next(root, recipe, executor=worker)
        except (CalcidetectError, OSError) as error:  # such as a full disk
            spool.note(root, "trouble", error=str(error))
            tell(f"Analysis waits: {error}")
            stop.wait(retry_s)
            continue
        if done:
            tell(done)
        else:
            stop.wait(_POLL_S)


def _send(
    root: Path,
    peer: Peer,
    title: str,
    *,
    stop: threading.Event,
    retry_s: float,
    tell: Tell,
) -> None:
    """Send results as they come; after a failure wait, each time twice as long."""
    pause, refusals = retry_s, Counter[str]()
    while not stop.is_set():
        try:
            sent = send_waiting(root, peer, title=title, refusals=refusals)
        except (PacsError, OSError) as error:
            spool.note(root, "trouble", error=str(error))
            tell(str(error))
            stop.wait(pause)
            pause = min(2 * pause, LONGEST_RETRY_S)
            continue
        pause = retry_s
        if sent:
            tell(f"{sent} results sent to {peer}")
        else:
            stop.wait(_POLL_S)
