import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import bad_films
import pytest

from calcidetect.batch import run as batch
from calcidetect.batch.cluster import dask_executor
from calcidetect.batch.run import scan_many
from calcidetect.errors import ConfigError

TESTS = Path(__file__).parent
START_S = 120  # a busy machine takes its time


@contextlib.contextmanager
def process(*words):
    """Run a module of dask until the block ends."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(TESTS.parent), str(TESTS)))}
    command = [sys.executable, "-m", *words]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers of this machine: its address, and the workers."""
    card = str(tmp_path / "scheduler.json")
    common = ("--scheduler-file", card)
    scheduler = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", *common)
    worker = ("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *common)
    with process(*scheduler), process(*worker) as first, process(*worker) as second:
        yield _address(Path(card)), (first, second)


def _address(card):
    for _ in range(START_S * 10):
        with contextlib.suppress(OSError, ValueError):
            return json.loads(card.read_text())["address"]
        time.sleep(0.1)
    raise TimeoutError("no scheduler")


def test_nothing_is_lost_when_a_worker_is_killed_in_mid_run(cluster, tmp_path, monkeypatch):
    address, (first, second) = cluster
    films = [tmp_path / f"{number:02} {'segfault' if number == 7 else 'slow'}" for number in range(24)]
    for film in films:
        film.write_bytes(b"film")
    monkeypatch.setattr(batch, "scan_film", bad_films.scan_film)
    done = []

    def kill_one_worker(result, number, total):
        done.append(result.film["film"])
        if number == 3:
            first.kill()

    with dask_executor(address, time_out_s=60) as executor:
        results = scan_many(films, tmp_path / "out", formats=["json"], executor=executor, progress=kill_one_worker)
    assert first.wait() != 0
    assert second.poll() is None
    assert [result.film["film"] for result in results] == [str(film) for film in films]
    assert [result.film["film"] for result in results if not result.ok] == [str(films[7])]
    assert sorted(done) == [str(film) for film in films], "each film was done once"
    assert len(list((tmp_path / "out").glob("*slow.json"))) == 23


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr("calcidetect.batch.cluster._CONNECT_S", 0.5)
    with pytest.raises(ConfigError, match="foo is no address of a dask scheduler"), dask_executor("foo"):
        pass
    with pytest.raises(ConfigError, match=r"No dask scheduler answers at tcp://127\.0\.0\.1:9"):
        dask_executor("tcp://127.0.0.1:9").__enter__()
