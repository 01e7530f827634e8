"""Go on with a run of planted scans: ``slow_run.py FILMS OUT LOG``, to be killed at any moment."""

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from small_scans import small_scan

from calcidetect import pipeline
from calcidetect.batch.run import scan_many


def main(films, out, log):
    def scan(film, **how):
        time.sleep(0.01)
        with Path(log).open("a", encoding="utf-8") as file:
            file.write(f"{Path(film).name}\n")
        return small_scan(film)

    pipeline.scan = scan
    with ThreadPoolExecutor(2) as threads:
        scan_many(
            films,
            out,
            formats=["json"],
            resume=True,
            executor=threads,
            progress=lambda result, done, total: os.write(1, f"{done}\n".encode()),
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
