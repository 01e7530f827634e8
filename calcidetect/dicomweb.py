"""Films of a PACS over DICOMweb: found by QIDO, fetched by WADO, their results stored back by STOW.

A study is named as ``dicomweb:https://host/path/studies/UID``, a part of it with ``/series/UID`` and ``/instances/UID``
behind. Name and password, where the server wants them, are read from the user's ``.netrc`` file.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from calcidetect import dicom_out
from calcidetect.batch.names import is_uid
from calcidetect.batch.results import FilmResult
from calcidetect.errors import ConfigError, PacsError
from calcidetect.writers import FORMATS, write_bytes

if TYPE_CHECKING:
    import pydicom
    from dicomweb_client.api import DICOMwebClient

SCHEME = "dicomweb:"
FILM_MODALITIES = ("CR", "DX", "RG", "DR")
FOLDER = "fetched"
"""Films are kept in this folder below the results: they have names on them."""

_ADDRESS = re.compile(
    r"(?P<server>https?://[^\s?#]+?)/studies/(?P<study>[0-9.]+)"
    r"(/series/(?P<series>[0-9.]+)(/instances/(?P<instance>[0-9.]+))?)?/?"
)
_LOGIN = re.compile(r"//[^/@]*@")  # kept out of messages
_NONSENSE = (ValueError, LookupError, AttributeError, TypeError)
_TIMEOUT_S = 60.0
_AS_STORED = (("application/dicom", "*"),)  # transfer syntax: whatever the server has


class Address(NamedTuple):
    """A study, series or instance on a DICOMweb server; None stands for all."""

    server: str
    study: str
    series: str | None
    instance: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """Films to scan: `paths` as given, with the fetched ones in place of their addresses, and where they came from.

    `servers` has an address for each fetched film, by absolute path.
    """

    paths: tuple[str, ...]
    servers: Mapping[str, str] = field(default_factory=dict)


def parse_address(text: str) -> Address:
    """Read ``dicomweb:https://host/path/studies/UID[/series/UID[/instances/UID]]``.

    Raises
    ------
    ConfigError
        When it is none.
    """
    match = _ADDRESS.fullmatch(text.removeprefix(SCHEME))
    if not match:
        raise ConfigError(f"{text!r} names no study; write dicomweb:https://host/path/studies/UID.")
    return Address(**match.groupdict())


def check_formats(formats: Sequence[str]) -> None:
    """Raise ConfigError unless one of the formats can be stored in a PACS."""
    if not set(formats) & set(dicom_out.KINDS):
        raise ConfigError(f"Nothing would be sent back; choose --format of {', '.join(dicom_out.KINDS)}.")


def check_paths(paths: Sequence[str]) -> None:
    """Raise ConfigError unless one of the paths is a ``dicomweb:`` address: other films came from nowhere."""
    if not any(path.startswith(SCHEME) for path in paths):
        raise ConfigError(f"Nothing would be sent back; only films of {SCHEME} addresses are.")


def fetch_films(paths: Sequence[str], out: str | os.PathLike[str]) -> Fetched:
    """Fetch the films behind each ``dicomweb:`` address into the folder ``fetched`` of `out`.

    Films that lie there from an earlier run aren't fetched again.

    Parameters
    ----------
    paths
        Addresses; anything else is passed on as it is.
    out
        Folder of the results.

    Raises
    ------
    ConfigError
        For an address that names no study, or when dicomweb-client isn't installed.
    PacsError
        When the server can't be reached, refuses, or has no films there.
    """
    found: list[str] = []
    servers: dict[str, str] = {}
    for text in paths:
        if not text.startswith(SCHEME):
            found.append(text)
            continue
        address = parse_address(text)
        films = [os.fspath(film) for film in _fetch(address, Path(out) / FOLDER)]
        servers |= dict.fromkeys(map(os.path.abspath, films), address.server)
        found += films
    return Fetched(paths=tuple(found), servers=servers)


def send_back(
    fetched: Fetched, results: Iterable[FilmResult], *, out: str | os.PathLike[str], root: str | None = None
) -> int:
    """Store the DICOM results of fetched films on the servers that these came from, and count them.

    Parameters
    ----------
    fetched
        What `fetch_films` has made of the user's paths.
    results
        Of these films.
    out
        Folder of the results.
    root
        Folder that film names are relative to, as for `calcidetect.scan_many`.

    Raises
    ------
    PacsError
        When a server can't be reached, or doesn't take all. The files stay in `out`.
    """
    by_server: dict[str, list[Path]] = {}
    for result in results:
        server = fetched.servers.get(os.path.abspath(os.path.join(root or "", result.film["film"])))
        if result.ok and server:
            made = (Path(out) / f"{result.name}{FORMATS[kind].suffix}" for kind in dicom_out.KINDS)
            by_server.setdefault(server, []).extend(path for path in made if path.exists())
    return sum(_store(server, files) for server, files in by_server.items())


def _fetch(address: Address, folder: Path) -> Iterator[Path]:
    client = _client(address.server)
    with _explained(address.server):
        instances = _find(client, address)
    if not instances:
        raise PacsError(
            f"{_shown(address.server)} has no film ({', '.join(FILM_MODALITIES)}) in study {address.study}."
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for series, instance in instances:
        path = folder / f"{instance}.dcm"
        if not path.exists():
            with _explained(address.server):
                film = _as_file(client.retrieve_instance(address.study, series, instance, media_types=_AS_STORED))
            write_bytes(path, film)
        yield path


def _find(client: DICOMwebClient, address: Address) -> list[tuple[str, str]]:
    """Series and instance UIDs of the films behind an address."""
    from pydicom import Dataset  # noqa: PLC0415 - every scan loads this module, few fetch films

    found = []
    for item in client.search_for_series(address.study):
        series = Dataset.from_json(item)
        chosen = address.series in (None, series.SeriesInstanceUID)
        if not chosen or series.get("Modality") not in FILM_MODALITIES:
            continue
        for entry in client.search_for_instances(address.study, series.SeriesInstanceUID):
            instance = str(Dataset.from_json(entry).SOPInstanceUID)
            if not is_uid(instance):  # it becomes a file's name
                raise ValueError(f"{instance!r} is no UID")
            if address.instance in (None, instance):
                found.append((str(series.SeriesInstanceUID), instance))
    return found


def _as_file(film: pydicom.Dataset) -> bytes:
    from pydicom.filebase import DicomBytesIO  # noqa: PLC0415

    buffer = DicomBytesIO()
    film.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _store(server: str, files: Sequence[Path]) -> int:
    from pydicom import dcmread  # noqa: PLC0415

    datasets = [dcmread(path) for path in files]
    with _explained(server):
        answer = _client(server).store_instances(datasets)
    if failures := answer.get("FailedSOPSequence"):
        reason = int(failures[0].get("FailureReason", 0))
        lost = f"{len(failures)} of {len(files)} results (status 0x{reason:04X})"
        raise PacsError(f"{_shown(server)} didn't store {lost}; they are kept.")
    return len(files)


def _client(server: str) -> DICOMwebClient:
    if importlib.util.find_spec("dicomweb_client") is None:
        raise ConfigError("dicomweb: takes dicomweb-client; install it with pip install 'calcidetect[pacs]'.")
    from dicomweb_client.api import DICOMwebClient  # noqa: PLC0415 - an extra

    client = DICOMwebClient(server, timeout=_TIMEOUT_S)
    client.set_http_retry_params(retry=False)
    return client


@contextlib.contextmanager
def _explained(server: str) -> Iterator[None]:
    """Turn what a server and the library do on trouble into a PacsError."""
    from pydicom.errors import InvalidDicomError  # noqa: PLC0415
    from requests import HTTPError, RequestException  # noqa: PLC0415 - comes with dicomweb-client

    name = _shown(server)
    try:
        yield
    except HTTPError as error:
        code = error.response.status_code if error.response is not None else 0
        raise PacsError(f"{name} answers with HTTP status {code}; check address and rights.") from error
    except RequestException as error:
        raise PacsError(f"{name} can't be reached ({type(error).__name__}); check the address.") from error
    except (*_NONSENSE, InvalidDicomError) as error:
        raise PacsError(f"{name} answers with something else than DICOMweb ({error}).") from error


def _shown(server: str) -> str:
    return _LOGIN.sub("//", server)
