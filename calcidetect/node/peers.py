"""DICOM application entities: who the node is, and whom it sends to."""

from __future__ import annotations

from typing import NamedTuple

from calcidetect.errors import ConfigError

_MAX_TITLE = 16
_MAX_PORT = 65535


class Listener(NamedTuple):
    """The node itself: its AE title, address, and the AE titles that may call it (all when empty)."""

    title: str = "CALCIDETECT"
    host: str = "127.0.0.1"
    port: int = 11112
    allowed: tuple[str, ...] = ()


class Peer(NamedTuple):
    """Another application entity, such as a PACS."""

    title: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


def parse_peer(text: str) -> Peer:
    """Read ``TITLE@HOST:PORT``.

    Raises
    ------
    ConfigError
        When it is none.
    """
    title, _, address = text.partition("@")
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) <= _MAX_PORT):
        raise ConfigError(f"{text!r} is no DICOM address; write TITLE@HOST:PORT, such as PACS@10.0.0.5:104.")
    return Peer(check_title(title), host.strip("[]"), int(port))


def check_port(port: int) -> int:
    """Return a port to listen on, 0 to 65535; 0 lets the system choose.

    Raises
    ------
    ConfigError
        When it is none.
    """
    if not 0 <= port <= _MAX_PORT:
        raise ConfigError(f"There is no port {port}; choose one up to {_MAX_PORT}.")
    return port


def check_title(title: str) -> str:
    """Return an AE title, 1 to 16 printable characters.

    Raises
    ------
    ConfigError
        When it is none.
    """
    fine = title.strip() and len(title) <= _MAX_TITLE and title.isascii() and title.isprintable() and "\\" not in title
    if not fine:
        raise ConfigError(f"{title!r} is no AE title; give 1 to {_MAX_TITLE} plain characters.")
    return title
