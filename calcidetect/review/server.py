"""The reading page as a server on this machine alone, until it is told to stop."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable

import uvicorn

from calcidetect.errors import OutputError
from calcidetect.review.app import make_app
from calcidetect.review.run_folder import RunFolder

LOOPBACK = "127.0.0.1"

_TOKEN_BYTES = 24
_GRACE_S = 3  # for answers under way when it is told to stop


def serve(
    folder: RunFolder, *, reader: str, port: int = 0, stop: threading.Event, opened: Callable[[str], None]
) -> None:
    """Serve the reading page of a run until `stop` is set.

    Parameters
    ----------
    folder
        The run.
    reader
        Name under which decisions are recorded.
    port
        To listen on, at the loopback address; 0 for any that is free.
    stop
        Ends the server, after the answers under way.
    opened
        Called with the page's address, token included, once it answers.

    Raises
    ------
    OutputError
        When the folder can't be read, or the port is taken.
    """
    folder.run()
    with _listening(port) as listener:
        token, number = secrets.token_urlsafe(_TOKEN_BYTES), listener.getsockname()[1]
        app = make_app(folder, reader=reader, token=token, port=number)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,  # addresses hold the token
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
            )
        )
        # Not in the main thread: there uvicorn would take the signals, which the command handles.
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="review")
        thread.start()
        try:
            opened(f"http://{LOOPBACK}:{number}/{token}/")
            while thread.is_alive() and not stop.wait(0.2):
                pass
        finally:
            server.should_exit = True
            thread.join()


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server((LOOPBACK, port))  # takes connections from here on: they wait for the server
    except (OSError, OverflowError) as error:
        raise OutputError(f"The port {port} can't be used ({error}); choose another --port, or none.") from error
