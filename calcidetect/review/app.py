"""The routes of the reading page: what each address answers. Who may ask is settled before, in `guard`.

All addresses lie below the token. Films are asked for by number, looked up in the run; files of the page by a name of a
fixed table. Places are in pixels of the film's own matrix, pixel centres at integers: ``contour`` holds ``[x, y]``,
``box`` ``[x0, y0, x1, y1]``, half-open.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from calcidetect.batch.names import as_utf8
from calcidetect.errors import CalcidetectError, ConfigError, OutputError
from calcidetect.review import exports
from calcidetect.review.answers import film_answer, run_answer, size_of, state_of
from calcidetect.review.decisions import DecisionStore, OutOfDate
from calcidetect.review.guard import CLOSE, Guard, TooMuch, page
from calcidetect.review.pictures import Pictures
from calcidetect.review.requests import Refused, understood
from calcidetect.review.run_folder import ReviewFilm, RunFolder

PAGE = "index.html"
_MODULES = ("api", "dom", "gestures", "keys", "mark_layer", "page", "painters", "panels", "session", "viewer", "words")
STATIC = {"style.css": "text/css", "icon.svg": "image/svg+xml"} | {f"{name}.js": "text/javascript" for name in _MODULES}
"""Files of ``calcidetect/data/review`` that are served, and their kinds."""

_QUICK = 1  # level of gzip: a slower one saves 3 % more


class Desk(NamedTuple):
    """What the routes work on: the run, its decisions and pictures, and who decides."""

    folder: RunFolder
    decisions: DecisionStore
    pictures: Pictures
    reader: str


def make_app(folder: RunFolder, *, reader: str, token: str, port: int) -> Guard:
    """Make the application of a run.

    Parameters
    ----------
    folder
        The run.
    reader
        Name under which decisions are recorded.
    token
        First part of every address.
    port
        That it will be served on.
    """
    desk = Desk(folder, DecisionStore(folder.folder), Pictures(folder), reader)
    routes = [
        _route("/", desk, _page),
        _route("/static/{name}", desk, _static),
        _route("/api/run", desk, _run),
        _route("/api/films/{film:int}", desk, _film),
        _route("/api/films/{film:int}/pixels/{level:int}", desk, _pixels),
        _route("/api/films/{film:int}/bone", desk, _bone),
        _route("/api/films/{film:int}/thumbnail", desk, _thumbnail),
        _route("/api/films/{film:int}/decisions", desk, _decide, method="POST"),
        _route("/api/export/{form}", desk, _export),
    ]
    handlers: Mapping[Any, Any] = {CalcidetectError: _say, HTTPException: _say_http, Exception: _say_unforeseen}
    return Guard(Starlette(routes=routes, exception_handlers=handlers), token=token, port=port)


def _route(path: str, desk: Desk, answer: Callable[[Desk, Request, Any], Response], *, method: str = "GET") -> Route:
    async def endpoint(request: Request) -> Response:
        asked = _parsed(await request.body()) if method == "POST" else None
        return await run_in_threadpool(answer, desk, request, asked)

    return Route(path, endpoint, methods=[method])


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused("A decision is sent as a JSON object; this is none.") from error


def _say(request: Request, error: Exception) -> Response:
    """The error's own sentence, with the status of its kind."""
    statuses = {TooMuch: 413, OutOfDate: 409, Refused: 400, ConfigError: 404, OutputError: 503}
    status = next((status for kind, status in statuses.items() if isinstance(error, kind)), 422)
    text = as_utf8(str(error))
    return JSONResponse({"error": text}, status, CLOSE if isinstance(error, TooMuch) else None)


def _say_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    reason = {404: "There is nothing at this address.", 405: "This address can't be asked that way."}.get(status, "")
    if "text/html" in request.headers.get("accept", ""):
        return Response(page(reason), status, media_type="text/html")
    return JSONResponse({"error": reason}, status)


def _say_unforeseen(request: Request, error: Exception) -> Response:
    """What nobody foresaw, such as a disk that fails; the server logs where it happened, and goes on."""
    reason = f"This could not be done: {type(error).__name__}: {error}. Other films can still be read."
    return JSONResponse({"error": as_utf8(reason)}, 500)


def _page(desk: Desk, request: Request, _: Any) -> Response:
    return _file(PAGE, "text/html")


def _static(desk: Desk, request: Request, _: Any) -> Response:
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    return _file(name, STATIC[name])


def _file(name: str, kind: str) -> Response:
    file = resources.files("calcidetect").joinpath("data", "review", name)
    if not file.is_file():
        raise HTTPException(404)
    return Response(file.read_bytes(), media_type=kind)


def _run(desk: Desk, request: Request, _: Any) -> Response:
    decisions = desk.decisions.by_film()
    return JSONResponse(run_answer(desk.folder.run(), decisions, reader=desk.reader, folder=str(desk.folder.folder)))


def _film(desk: Desk, request: Request, _: Any) -> Response:
    film = _scanned(desk, request)
    state = state_of(film, desk.folder.run(), decisions=desk.decisions.of_film(film.result.pixel_hash))
    return JSONResponse(film_answer(film, state))


def _scanned(desk: Desk, request: Request) -> ReviewFilm:
    film = desk.folder.film(request.path_params["film"])
    if not film.result.ok:
        raise Refused(f"{film.name} could not be scanned: {film.result.film['error']}")
    return film


def _pixels(desk: Desk, request: Request, _: Any) -> Response:
    pyramid = desk.pictures.pyramid(_scanned(desk, request))
    level = request.path_params["level"]
    if level >= len(pyramid.levels):
        raise Refused(f"The film has the levels 0 to {len(pyramid.levels) - 1}, not {level}.")
    pixels = pyramid.levels[level]
    numbers = {
        "X-Rows": pixels.shape[0],
        "X-Cols": pixels.shape[1],
        "X-Low": pyramid.low,
        "X-High": pyramid.high,
        "X-Window-Low": pyramid.window[0],
        "X-Window-High": pyramid.window[1],
        "X-Levels": len(pyramid.levels),
    }
    headers = {name: repr(number) for name, number in numbers.items()} | {"Vary": "Accept-Encoding"}
    body = pixels.tobytes()
    if "gzip" in request.headers.get("accept-encoding", ""):
        body = gzip.compress(body, _QUICK)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, media_type="application/octet-stream")


def _bone(desk: Desk, request: Request, _: Any) -> Response:
    return Response(desk.pictures.bone(_scanned(desk, request)), media_type="image/png")


def _thumbnail(desk: Desk, request: Request, _: Any) -> Response:
    picture = _scanned(desk, request).result.thumbnail
    if not picture:
        raise HTTPException(404)
    return Response(picture, media_type="image/jpeg")


def _decide(desk: Desk, request: Request, asked: Any) -> Response:
    film, run = _scanned(desk, request), desk.folder.run()
    key = film.result.pixel_hash
    state = state_of(film, run, decisions=desk.decisions.of_film(key))
    last = asked.get("last") if isinstance(asked, dict) else None
    if type(last) is not int:
        raise Refused("A decision says which one was the newest that its page knew of, as last.")
    if last != state.last:
        raise OutOfDate("Another page has decided something on this film; look at it again, then decide.")
    action, content = understood(asked, state, film=size_of(film))
    desk.decisions.add(key, film.name, reader=desk.reader, action=action, content=content, last=last)
    return JSONResponse(film_answer(film, state_of(film, run, decisions=desk.decisions.of_film(key))))


def _export(desk: Desk, request: Request, _: Any) -> Response:
    form = request.path_params["form"]
    if form not in exports.EXPORTS:
        raise HTTPException(404)
    name, kind, data = exports.export(form, desk.folder, decisions=desk.decisions)
    return Response(data, headers={"Content-Disposition": f'attachment; filename="{name}"'}, media_type=kind)
