"""Calls in worker processes, through the interface of `concurrent.futures`: a call that goes wrong fails alone.

The pool of the standard library breaks whole when one of its processes dies, and can't end a call that never returns.
Here each thread of a pool owns one process. A call that crashes its process, or outlasts its time, raises `WorkerLost`
in its own future, and the next call of that thread gets a new process.
"""

from __future__ import annotations

import atexit
import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import Any, TypeVar

from calcidetect.batch.worker import Worker, WorkerLost
from calcidetect.errors import ConfigError

T = TypeVar("T")
R = TypeVar("R")

TIME_OUT_S = 300.0
"""Time a film may take: a hundred times what one of 3000 x 2500 pixels takes."""

_IN_FLIGHT = 1000  # calls handed to an executor of unknown size; its results wait in memory


class Here(Executor):
    """Run each call at once, in this process."""

    def submit(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> Future[R]:
        """Call a function and return its result, or what it raised, as a future that is done."""
        future: Future[R] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
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
        Memory that each process may take, where the system can limit it; None for `worker.MEMORY_SHARE` of all.
    ahead
        Module that the first process imports at once, while the caller is busy otherwise. Without it, processes start
        with their first calls.

    Notes
    -----
    A future's exception is `WorkerLost` when its process was lost. Functions must be importable by name.
    """

    def __init__(
        self, jobs: int, *, time_out_s: float | None = None, memory_bytes: int | None = None, ahead: str = ""
    ) -> None:
        super().__init__(jobs, thread_name_prefix="calcidetect-worker")
        self.jobs = jobs
        self._crew = _Crew(time_out_s=time_out_s, memory_bytes=memory_bytes)
        if ahead:
            self._crew.prepare(ahead)

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


def check_limits(jobs: int, time_out_s: float | None) -> None:
    """Raise ConfigError for an impossible number of jobs or seconds."""
    if jobs < 1:
        raise ConfigError(f"The number of jobs must be 1 or more, got {jobs}.")
    if time_out_s is not None and not time_out_s > 0:
        raise ConfigError(f"The time-out must be more than 0 s, got {time_out_s}.")


@contextlib.contextmanager
def worker_processes(jobs: int, time_out_s: float | None, *, ahead: str = "") -> Iterator[ProcessExecutor]:
    """Processes that end with the block; at once when it is left by an exception.

    Parameters
    ----------
    jobs
        Number of processes.
    time_out_s
        Seconds that a call may take; None for `TIME_OUT_S`.
    ahead
        See `ProcessExecutor`.

    Raises
    ------
    ConfigError
        For an impossible number of either.
    """
    check_limits(jobs, time_out_s)
    processes = ProcessExecutor(jobs, time_out_s=time_out_s or TIME_OUT_S, ahead=ahead)
    try:
        yield processes
    except BaseException:
        processes.shutdown(cancel_futures=True)
        raise
    processes.shutdown()


def call_apart(function: Callable[..., R], /, *args: Any, time_out_s: float | None, **kwargs: Any) -> R:
    """Call a function in a process that belongs to the calling thread: as `ProcessExecutor` does, inside another pool.

    Raises
    ------
    WorkerLost
        When the process died of the call, or the call took longer than `time_out_s`.
    """
    crew = _crews.get(time_out_s)
    if crew is None:
        crew = _crews.setdefault(time_out_s, _Crew(time_out_s=time_out_s, memory_bytes=None))
        atexit.register(crew.dismiss)
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
        self._prepared: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self._all: set[Worker] = set()
        self._closed = False
        self._changing = threading.Lock()

    def prepare(self, module: str) -> None:
        """Start a process for the first call."""
        with self._changing:
            worker = Worker(self._memory_bytes, ahead=module)
            self._all |= {worker}
        self._prepared.put(worker)

    def call(self, function: Callable[..., R], /, *args: Any, **kwargs: Any) -> R:
        worker: Worker | None = getattr(self._own, "worker", None)
        with self._changing:  # or a worker is left out of `_all`, or started after `kill`, and outlives the run
            if self._closed:
                raise WorkerLost("The run was stopped.")
            if worker is None or not worker.alive:
                worker = self._own.worker = self._new()
                self._all = {other for other in self._all if other.alive} | {worker}
        return worker.call(function, args, kwargs, time_out_s=self._time_out_s)

    def _new(self) -> Worker:
        with contextlib.suppress(queue.Empty):
            return self._prepared.get_nowait()
        return Worker(self._memory_bytes)

    def kill(self) -> None:
        with self._changing:
            self._closed = True
            for worker in self._all:
                worker.kill()

    def dismiss(self) -> None:
        for worker in self._all:
            worker.dismiss()


_crews: dict[float | None, _Crew] = {}
