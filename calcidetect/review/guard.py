"""Who may ask: this machine's own browser, at the address that the command printed, and nothing larger than a decision.

The page shows patients' films. Another page in the same browser must not reach it (token, Host, Origin), nor may a name
that a foreign DNS server points at this machine (Host).
"""

from __future__ import annotations

import hmac
import json
from html import escape
from typing import Any, NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from calcidetect.errors import CalcidetectError

MOST_BYTES = 1 << 20
"""Of what a page may send; an outline of 2000 corners takes 80 kB."""

CLOSE = {"Connection": "close"}
"""What may follow of a refused request is not read."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Of every answer."""

TOO_MUCH = "That is larger than any decision; at most 1 MB is taken."
_WRONG_ADDRESS = "This address is not complete; open the one that calcidetect review has printed, with its token."


class Refusal(NamedTuple):
    """Status and reason, in plain words, of an answer to someone who may not ask."""

    status: int
    reason: str


class TooMuch(CalcidetectError):
    """A request is larger than any decision."""


class Guard:
    """ASGI middleware that lets in what carries the token, and takes the token off the path.

    Parameters
    ----------
    app
        What is guarded.
    token
        First part of every path.
    port
        That the server listens on, as in the Host header.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102 - what ASGI calls
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        first, _, rest = scope["path"].removeprefix("/").partition("/")
        refusal = self._refusal(scope["method"], headers, first)
        careful = _with_headers(send)
        if refusal:
            return await _answer(refusal, headers)(scope, receive, careful)
        inner = {**scope, "path": f"/{rest}", "raw_path": None, "root_path": ""}
        return await self._app(inner, _limited(receive), careful)

    def _refusal(self, method: str, headers: Headers, token: str) -> Refusal | None:
        """Why a request is not let in; None when it is."""
        if headers.get("host", "").lower() not in self._hosts or len(headers.getlist("host")) != 1:
            return Refusal(403, "Only this machine may open the page, as 127.0.0.1 or localhost with its port.")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token.encode()):
            return Refusal(403, _WRONG_ADDRESS)
        if method not in ("GET", "HEAD", "POST"):
            return Refusal(405, "The page is read and decided on, by GET and POST; nothing else is done.")
        if method == "POST" and not self._own_page(headers):
            return Refusal(403, "Decisions are taken from the reading page alone, not from another page or program.")
        if not _small(headers.get("content-length", "0")):
            return Refusal(413, TOO_MUCH)
        return None

    def _own_page(self, headers: Headers) -> bool:
        own = headers.get("origin", "").lower() == f"http://{headers['host'].lower()}"
        return own and headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _small(length: str) -> bool:
    return length.isdecimal() and len(length) < 10 and int(length) <= MOST_BYTES


def _limited(receive: Receive) -> Receive:
    """Give up reading a body that states no length as soon as it is too large."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > MOST_BYTES:
            raise TooMuch(TOO_MUCH)
        return message

    return limited


def _with_headers(send: Send) -> Send:
    async def careful(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return careful


def _answer(refusal: Refusal, headers: Headers) -> Response:
    """The reason: a page where a browser opened one, else JSON."""
    body: Any = json.dumps({"error": refusal.reason})
    kind = "application/json"
    if "text/html" in headers.get("accept", ""):
        body, kind = page(refusal.reason), "text/html"
    return Response(body, refusal.status, CLOSE, media_type=kind)


def page(reason: str) -> str:
    """A page that says one thing."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>calcidetect</title><h1>calcidetect</h1><p>{escape(reason)}</p></html>\n"
    )
