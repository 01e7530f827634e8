import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import misbehaving
import pytest

from calcidetect.batch.worker import WorkerLost
from calcidetect.batch.workers import Here, ProcessExecutor, call_apart, run_tasks, worker_processes

ROOT = Path(__file__).parents[1]
SQUARES = {number: number * number for number in range(7)}


def answers(function, tasks, executor):
    return {task: result for task, result, _ in run_tasks(function, tasks, executor=executor)}


@pytest.fixture(scope="module")
def pool():
    with ProcessExecutor(2, time_out_s=1) as processes:
        yield processes


def test_work_done_here_hands_on_what_it_raised():
    future = Here().submit(int, "x")
    with pytest.raises(ValueError, match="invalid literal"):
        future.result()


def test_every_executor_gives_the_same(pool):
    with ThreadPoolExecutor(2) as threads:
        for executor in (Here(), pool, threads):
            assert answers(misbehaving.square, range(7), executor) == SQUARES


def test_workers_are_kept_from_call_to_call(pool):
    processes = set(answers(misbehaving.process_of, range(8), pool).values())
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_a_process_that_was_started_ahead_takes_the_first_call():
    with ProcessExecutor(1, ahead="misbehaving") as own:
        (started,) = own._crew._all
        assert own.submit(misbehaving.process_of, 0).result() == started._process.pid
        assert own._crew._all == {started}


def test_a_module_that_cannot_be_imported_ahead_does_not_stop_the_worker():
    with ProcessExecutor(1, ahead="no.such.module") as own:
        assert own.submit(misbehaving.square, 5).result() == 25


def test_each_worker_has_one_thread(pool):
    assert pool.submit(misbehaving.threads_of, 0).result() == ("1", "1")


def test_a_task_that_kills_its_worker_costs_only_itself(pool):
    outcomes = list(run_tasks(misbehaving.die_of_3, range(7), executor=pool))
    assert {task: result for task, result, _ in outcomes} == SQUARES | {3: None}
    assert [trouble for _, _, trouble in outcomes if trouble] == [
        "The worker process died while scanning this film: it ended with status 9."
    ]


def test_a_task_that_never_ends_costs_only_itself(pool):
    outcomes = list(run_tasks(misbehaving.never_end_at_3, range(7), executor=pool))
    assert {task: result for task, result, _ in outcomes} == SQUARES | {3: None}
    assert next(trouble for _, _, trouble in outcomes if trouble).startswith("It took longer than 1 s and was stopped")


@pytest.mark.parametrize("time_out_s", [float("inf"), 1e10])
def test_a_time_without_end_is_no_limit(time_out_s, monkeypatch):
    lost = []
    monkeypatch.setattr(threading, "excepthook", lost.append)
    with worker_processes(1, time_out_s) as pool:
        assert pool.submit(abs, -1).result() == 1
    assert lost == []


def test_errors_of_a_function_reach_the_caller(pool):
    with pytest.raises(ValueError, match="no 5"):
        pool.submit(misbehaving.complain, 5).result()
    assert pool.submit(misbehaving.square, 5).result() == 25


def test_what_a_library_prints_does_not_get_between_the_answers(pool):
    assert answers(misbehaving.chatter, range(3), pool) == {0: 0, 1: 1, 2: 2}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not limit memory")
def test_memory_runs_out_in_the_worker_before_it_does_on_the_machine():
    with ProcessExecutor(1, memory_bytes=1 << 30) as limited:
        with pytest.raises(MemoryError):
            limited.submit(misbehaving.take_memory, 2 << 30).result()
        assert limited.submit(misbehaving.take_memory, 1000).result() == 1000


def test_processes_end_with_their_pool():
    with ProcessExecutor(1) as own:
        process = own.submit(misbehaving.process_of, 0).result()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_calls_under_way_are_stopped_when_the_pool_is_cancelled():
    own = ProcessExecutor(1)
    future = own.submit(misbehaving.never_end_at_3, 3)
    time.sleep(0.2)
    own.shutdown(cancel_futures=True)
    assert isinstance(future.exception(), WorkerLost)


def test_a_call_apart_is_lost_alone_and_the_next_has_a_new_process():
    with pytest.raises(WorkerLost, match="status 9"):
        call_apart(misbehaving.die_of_3, 3, time_out_s=5)
    assert call_apart(misbehaving.die_of_3, 2, time_out_s=5) == 4


def test_when_a_pool_of_the_caller_breaks_only_the_guilty_task_is_lost():
    with ProcessPoolExecutor(2) as fragile:
        outcomes = list(run_tasks(misbehaving.die_of_3, range(7), executor=fragile))
    assert {task: result for task, result, _ in outcomes} == SQUARES | {3: None}
    assert len(outcomes) == 7


def test_tasks_are_drawn_as_there_is_room():
    drawn = []

    def tasks():
        for number in range(100):
            drawn.append(number)
            yield number

    outcomes = run_tasks(misbehaving.square, tasks(), executor=Here())
    next(outcomes)
    assert len(drawn) == 1


def test_workers_end_when_their_caller_is_killed(tmp_path):
    code = (
        "import misbehaving, sys\n"
        "from calcidetect.batch.workers import ProcessExecutor\n"
        "pool = ProcessExecutor(1)\n"
        "print(pool.submit(misbehaving.process_of, 0).result(), flush=True)\n"
        "pool.submit(misbehaving.never_end_at_3, 3).result()\n"
    )
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    caller = subprocess.Popen(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True
    )
    with caller:
        worker = int(caller.stdout.readline())
        caller.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not _runs(worker):
            return
        time.sleep(0.05)
    pytest.fail("the worker outlives its caller")


def _runs(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[:1]
