"""Calls in worker processes, through the interface of `concurrent.futures`: a call that goes wrong fails alone.

The pool of the standard library breaks whole when one of its processes dies, and can't end a call that never returns.
Here each thread of a pool owns one process. A call that crashes its process, or outlasts its time, raises `WorkerLost`
in its own future, and the next call of that thread gets a new process.

The processes are started as ``python -c``, not forked and not by `multiprocessing`: forking with threads of OpenCV may
hang, and `multiprocessing` runs the caller's script a second time, which needs ``if __name__ == "__main__":`` there.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, BinaryIO, TypeVar

T = TypeVar("T")
R = TypeVar("R")

TIME_OUT_S = 300.0
"""Time a film may take: a hundred times what one of 3000 x 2500 pixels takes."""

MEMORY_SHARE = 0.8
"""Share of the machine's memory that one worker may take: it fails before the machine does."""

_IN_FLIGHT = 1000  # calls handed to an executor of unknown size; its results wait in memory
_LENGTH_BYTES = 8
_BEGUN = b"begun"  # no pickle
_STOP_S = 5.0  # a worker that was told to stop, and is idle, needs a few milliseconds
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")


class WorkerLost(Exception):
    """A worker process died of a call or was stopped because it took too long; the message says which."""


class Here(Executor):
    """Run each call at once, in this process."""

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call a function and return its result as a future that is done."""
        future: Future[R] = Future()
        future.set_result(function(*args, **kwargs))
        return future


class ProcessExecutor(ThreadPoolExecutor):
    """A pool of worker processes that outlives the death of any of them.

    Parameters
    ----------
    jobs
        Number of processes. Each works with one thread.
    time_out_s
        Seconds that a call may take; None for no limit.
    memory_bytes
        Memory that each process may take, where the system can limit it; None for `MEMORY_SHARE` of the machine's.

    Notes
    -----
    A future's exception is `WorkerLost` when its process was lost. Functions must be importable by name.
    """

    def __init__(self, jobs: int, *, time_out_s: float | None = None, memory_bytes: int | None = None) -> None:
        super().__init__(jobs, thread_name_prefix="calcidetect-worker")
        self.jobs = jobs
        self._crew = _Crew(time_out_s=time_out_s, memory_bytes=memory_bytes)

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call a function in one of the processes."""
        return super().submit(self._crew.call, function, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: after their calls, or at once when `cancel_futures` is set."""
        if cancel_futures:
            super().shutdown(wait=False, cancel_futures=True)
            self._crew.kill()
        super().shutdown(wait=wait)
        if wait:
            self._crew.dismiss()


def call_apart(function: Callable[..., R], /, *args: Any, time_out_s: float | None, **kwargs: Any) -> R:
    """Call a function in a process that belongs to the calling thread: as `ProcessExecutor` does, inside another pool.

    Raises
    ------
    WorkerLost
        When the process died of the call, or the call took longer than `time_out_s`.
    """
    crew = _crews.setdefault(time_out_s, _Crew(time_out_s=time_out_s, memory_bytes=None))
    return crew.call(function, *args, **kwargs)


def run_tasks(
    function: Callable[[T], R], tasks: Iterable[T], *, executor: Executor
) -> Iterator[tuple[T, R | None, str]]:
    """Yield each task with what `function` returns for it, as they get done.

    Parameters
    ----------
    function
        Of one task.
    tasks
        What to work on; drawn as room gets free, so that it may be long.
    executor
        Who does it. When it breaks, worker processes of our own take over what is left.

    Yields
    ------
    tuple
        A task, its result, and an empty text; or, when its worker was lost, None and why.
    """
    waiting = iter(tasks)
    running: dict[Future[R], T] = {}
    done: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
    handed_over: list[T] = []
    room = _room(executor)
    try:
        while True:
            for task in islice(waiting, room - len(running)):
                handed_over = [task]  # until the executor has taken it
                future = executor.submit(function, task)
                running[future], handed_over = task, []
                future.add_done_callback(done.put)
            if not running:
                return
            future = done.get()
            trouble = _loss(future)
            result = None if trouble else future.result()
            yield running.pop(future), result, trouble
    except BrokenExecutor:
        with ProcessExecutor(1, time_out_s=TIME_OUT_S) as own:
            yield from run_tasks(function, chain(running.values(), handed_over, waiting), executor=own)
    finally:
        for future in running:
            future.cancel()


def _room(executor: Executor) -> int:
    """Calls that an executor is given at a time: enough to keep it busy."""
    if isinstance(executor, Here):
        return 1
    return 2 * executor.jobs if isinstance(executor, ProcessExecutor) else _IN_FLIGHT


def _loss(future: Future[Any]) -> str:
    """Why the worker of a call was lost; empty when it was not."""
    error = future.exception()
    # The second is of dask.distributed, which is not imported here: its own workers died of the task, repeatedly.
    return str(error) if isinstance(error, WorkerLost) or type(error).__name__ == "KilledWorker" else ""


class _Crew:
    """One worker process for each thread that calls."""

    def __init__(self, *, time_out_s: float | None, memory_bytes: int | None) -> None:
        self._time_out_s, self._memory_bytes = time_out_s, memory_bytes
        self._own = threading.local()
        self._all: set[_Worker] = set()
        self._closed = False

    def call(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        if self._closed:
            raise WorkerLost("The run was stopped.")
        worker: _Worker | None = getattr(self._own, "worker", None)
        if worker is None or not worker.alive:
            worker = self._own.worker = _Worker(self._memory_bytes or _default_memory())
            self._all = {other for other in self._all if other.alive} | {worker}
        return worker.call(function, args, kwargs, time_out_s=self._time_out_s)

    def kill(self) -> None:
        self._closed = True
        for worker in self._all:
            worker.kill()

    def dismiss(self) -> None:
        for worker in self._all:
            worker.dismiss()


_crews: dict[float | None, _Crew] = {}


class _Worker:
    """A process that answers one call at a time, each a pickle behind its length, over its standard streams."""

    def __init__(self, memory_bytes: int) -> None:
        paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from calcidetect.workers import serve; serve({memory_bytes})"],
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
        return not self._expired and self._process.poll() is None

    def call(self, function: Callable[..., R], args: Any, kwargs: Any, *, time_out_s: float | None) -> R:
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
        if time_out_s is None:
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


def serve(memory_bytes: int) -> None:
    """Answer calls until the standard input ends: the body of a worker process."""
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the replies
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process stops the others in good order
    if memory_bytes:
        _limit_memory(memory_bytes)
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read_calls, args=(calls,), daemon=True).start()
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
