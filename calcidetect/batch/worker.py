"""One worker process: calls go in, results come out, and its end is told from its silence.

It is started as ``python -c``, not forked and not by `multiprocessing`: forking with threads of OpenCV may hang, and
`multiprocessing` runs the caller's script a second time, which needs ``if __name__ == "__main__":`` there. Messages are
pickles behind their length, over its standard streams. `serve` is what runs inside.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, BinaryIO, TypeVar

R = TypeVar("R")

MEMORY_SHARE = 0.8
"""Share of the machine's memory that one worker may take: it fails before the machine does."""

_LENGTH_BYTES = 8
_BEGUN = b"begun"  # no pickle
_STOP_S = 5.0  # a worker that was told to stop, and is idle, needs a few milliseconds
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


class WorkerLost(Exception):
    """A worker process died of a call or was stopped because it took too long; the message says which."""


class Worker:
    """A process that answers one call at a time, with one thread.

    Parameters
    ----------
    memory_bytes
        Memory that it may take, where the system can limit it; None for `MEMORY_SHARE` of the machine's.
    ahead
        Module that it imports before its first call; may be empty.
    """

    def __init__(self, memory_bytes: int | None, *, ahead: str = "") -> None:
        most = memory_bytes or _default_memory()
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from calcidetect.batch.worker import serve; serve({most}, {ahead!r})"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | dict.fromkeys(_THREADS, "1") | {"PYTHONPATH": paths},
        )
        assert self._process.stdin
        assert self._process.stdout
        self._calls: Any = self._process.stdin
        self._replies: Any = self._process.stdout
        self._expired = False

    @property
    def alive(self) -> bool:
        """Whether it can take a call."""
        return not self._expired and self._process.poll() is None

    def call(self, function: Callable[..., R], args: Any, kwargs: Any, *, time_out_s: float | None) -> R:
        """Return what a function returns there, or raise what it raises, or WorkerLost."""
        message = pickle.dumps((function, args, kwargs))
        try:
            _send(self._calls, message)
            reply = _receive(self._replies)
            if reply == _BEGUN:  # it has imported what it needs: that is not the film's time
                reply = self._reply_within(time_out_s)
        except OSError:  # it died before it had read the call
            reply = None
        if reply is None:
            raise WorkerLost(self._epitaph(time_out_s))
        done, value = pickle.loads(reply)
        if not done:
            raise value
        result: R = value
        return result

    def _reply_within(self, time_out_s: float | None) -> bytes | None:
        if time_out_s is None or time_out_s > threading.TIMEOUT_MAX:  # of the latter no clock knows
            return _receive(self._replies)
        clock = threading.Timer(time_out_s, self._expire)
        clock.start()
        try:
            return _receive(self._replies)
        finally:
            clock.cancel()
            clock.join()

    def _expire(self) -> None:
        self._expired = True
        self.kill()

    def _epitaph(self, time_out_s: float | None) -> str:
        code = self._process.wait()
        self._close()
        if self._expired:
            return f"It took longer than {time_out_s:g} s and was stopped; raise --timeout if the film is sound."
        return f"The worker process died while scanning this film: {_cause(code)}."

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def dismiss(self) -> None:
        """Let it end by closing its input; it is idle by now."""
        self._close()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._process.wait()

    def _close(self) -> None:
        for stream in (self._calls, self._replies):
            with contextlib.suppress(OSError):  # what is left to be sent has no reader
                stream.close()


def _cause(code: int) -> str:
    """What the exit status of a process says of its end."""
    if code >= 0:
        return f"it ended with status {code}"
    if code == -signal.SIGKILL:
        return "it was killed, as happens when memory runs out"
    return f"{signal.strsignal(-code) or 'signal'} (signal {-code})"


def _default_memory() -> int:
    if not hasattr(os, "sysconf"):
        return 0
    return int(MEMORY_SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))


# --- in the worker process --------------------------------------------------------------------------------------------


def serve(memory_bytes: int, ahead: str = "") -> None:
    """Answer calls until the standard input ends: the body of a worker process."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the replies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process stops the others in good order
    if memory_bytes:
        _limit_memory(memory_bytes)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_calls, args=(calls,), daemon=True).start()
    if ahead:
        with contextlib.suppress(ImportError):  # a call that needs it will say what is missing
            importlib.import_module(ahead)
    while True:
        _answer(calls.get(), replies)


def _read_calls(calls: queue.SimpleQueue[bytes]) -> None:
    while (message := _receive(sys.stdin.buffer)) is not None:
        calls.put(message)
    os._exit(0)  # the caller is gone: so is the use of what is being computed


def _answer(message: bytes, replies: BinaryIO) -> None:
    """Send a sign that the call begins, then whether it came to its end, with its result or error."""
    try:
        function, args, kwargs = pickle.loads(message)
        _send(replies, _BEGUN)
        answer = pickle.dumps((True, function(*args, **kwargs)))
    except Exception as error:  # goes over to the caller, who raises it
        answer = pickle.dumps((False, error))
    _send(replies, answer)


def _limit_memory(memory_bytes: int) -> None:
    try:
        import resource  # noqa: PLC0415 - Windows has none
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    with contextlib.suppress(ValueError, OSError):  # a lower limit is in force
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, most))


def _send(stream: BinaryIO, message: bytes) -> None:
    stream.write(len(message).to_bytes(_LENGTH_BYTES, "big") + message)
    stream.flush()


def _receive(stream: BinaryIO) -> bytes | None:
    """Return the next message, None when the stream ends before or in it."""
    head = stream.read(_LENGTH_BYTES)
    length = int.from_bytes(head, "big")
    message = stream.read(length) if len(head) == _LENGTH_BYTES else b""
    return message if head and len(message) == length else None
