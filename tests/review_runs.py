"""Runs for tests of the reading page: small films with results put into a journal by hand, and a server on them."""

import http.client
import json
import threading
from contextlib import contextmanager

import cv2
import numpy as np
from films import limb, write_dicom
from small_scans import small_candidate

from calcidetect.batch.film_task import Recipe
from calcidetect.batch.journal import Footing, open_journal
from calcidetect.batch.results import FilmResult
from calcidetect.formats.shapes import flat_outline
from calcidetect.reading import readers
from calcidetect.review.run_folder import RunFolder
from calcidetect.review.server import serve
from calcidetect.writers import candidate_row, failed_row

CANDIDATES = (  # two that are marked whatever the shipped score, one that never is
    small_candidate(score=0.98123456),
    small_candidate(id=2, score=0.97, x0=2, y0=40, x1=8, y1=50, row=44.5, col=4.5, contour=(), reasons={"noise": -0.5}),
    small_candidate(id=3, score=0.1, label="other", x0=30, y0=50, x1=36, y1=56, row=52.5, col=32.5, contour=()),
)


def make_run(folder, *, names=("film.png",), missing=(), candidates=CANDIDATES, formats=()):
    """Write films of 96 x 64 pixels and a journal that holds `candidates` of each; `missing` ones failed."""
    folder.mkdir(exist_ok=True)
    recipe = Recipe(min_score=0.05, formats=tuple(formats))
    with open_journal(folder) as journal:
        journal.begin(recipe.record(), resume=False)
        for position, name in enumerate((*names, *missing)):
            path = folder.parent / name
            footing = Footing(bytes=1, written_ns=1, touched_ns=1, told='[0.5, "", ""]', name=path.stem)
            result = _scanned(path, position, candidates) if name in names else _failed(path)
            journal.record(result, position=position, footing=footing)
        journal.end()
    return RunFolder(folder)


def _scanned(path, position, candidates):
    pixels = limb() + np.uint16(position)  # each film its own pixels
    if path.suffix == ".dcm":
        uids = {"StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.3.1", "PixelSpacing": [0.5, 0.5]}
        write_dicom(path, pixels, SOPInstanceUID=f"1.2.3.4.{position + 1}", **uids)
    else:
        cv2.imwrite(str(path), pixels * 16)
    film = readers.load(path, spacing_mm=0.5)
    grid = film.grid
    row = {"film": str(path), "status": "ok", "error": "", "region": "hand", "laterality": "R", "flags": "marker"}
    row |= {"rows": str(grid.source_shape[0]), "cols": str(grid.source_shape[1]), "spacing_mm": "0.5"}
    row |= {"spacing_source": grid.spacing_source, "n_candidates": "3", "burden_mm2": "12", "seconds": "1"}
    return FilmResult(
        film=row,
        candidates=tuple(candidate_row(item, film=str(path)) for item in candidates),
        name=path.stem,
        pixel_hash=film.source.pixel_hash,
        outlines=tuple(flat_outline(item) for item in candidates),
        reasons=tuple(item.reasons for item in candidates),
        thumbnail=b"jpeg",
    )


def _failed(path):
    return FilmResult(film=failed_row(str(path), error=f"{path} is empty.", seconds=0.0))


class Browser:
    """What a page of the server would ask."""

    def __init__(self, address):
        self.host, _, rest = address.removeprefix("http://").partition("/")
        self.base = f"/{rest}"

    def ask(self, path, *, method="GET", body=None, base=None, **headers):
        """Status, headers and bytes of an answer; header names with _ for -; None leaves one out."""
        connection = http.client.HTTPConnection(self.host, timeout=30)
        own = {"host": self.host, "origin": f"http://{self.host}"}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, (base or self.base) + path, body, {k: v for k, v in own.items() if v is not None})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, answer.headers, data

    def get(self, path):
        """The JSON of an address."""
        status, _, data = self.ask(path)
        return status, json.loads(data)

    def decide(self, film=1, *, last=None, **decision):
        """Status and answer to a decision; by default after the newest one."""
        newest = self.get(f"api/films/{film}")[1].get("last") if last is None else last
        body = json.dumps(decision | {"last": newest})
        status, _, data = self.ask(f"api/films/{film}/decisions", method="POST", body=body)
        return status, json.loads(data)


@contextmanager
def served(folder, *, reader="Dr A"):
    """A real server on a run, as a `Browser` sees it."""
    stop, ready, addresses = threading.Event(), threading.Event(), []

    def opened(address):
        addresses.append(address)
        ready.set()

    thread = threading.Thread(target=serve, args=(folder,), kwargs={"reader": reader, "stop": stop, "opened": opened})
    thread.start()
    try:
        assert ready.wait(30)
        yield Browser(addresses[0])
    finally:
        stop.set()
        thread.join()
