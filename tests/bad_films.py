"""A scan of films whose names say how they go wrong, to be planted in worker processes."""

import os
import signal
import time

import numpy as np
from small_scans import small_scan

from calcidetect import pipeline
from calcidetect.batch import film_task


def scan_film(task):
    """Scan a film by the planted pipeline."""
    pipeline.scan = _scan
    return film_task.scan_film(task)


def _scan(film, **how):
    what = film.split()[-1]
    if what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "memory":
        np.ones(1 << 50, np.uint8)
    if what == "slow":
        time.sleep(0.1)
    while what == "endless":
        time.sleep(1)
    return small_scan(film)
