"""The sending side: results of the outbox go to the PACS by C-STORE, and stay there until it has taken them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pydicom
from pydicom.errors import InvalidDicomError

from calcidetect.errors import PacsError
from calcidetect.node import spool
from calcidetect.node.peers import Peer

if TYPE_CHECKING:
    from pynetdicom.association import Association

MAX_REFUSALS = 5
"""A result that the PACS refuses this often is put aside."""

MOST_AT_ONCE = 50
"""A node that is to stop, with a backlog of days behind it, is done with so many."""

_TIMEOUT_S = 30.0
_CATEGORY = 0xF000
_WARNING = 0xB000  # stored, with a remark
_BUSY = range(0xA700, 0xA800)  # out of resources: try again later, however often


def send_waiting(root: Path, peer: Peer, *, title: str, refusals: Counter[str]) -> int:
    """Send the oldest results of the outbox, `MOST_AT_ONCE` at most, over one association.

    Parameters
    ----------
    root
        The spool.
    peer
        The PACS.
    title
        AE title to call with.
    refusals
        How often each result was refused so far; counted on.

    Returns
    -------
    int
        How many were taken.

    Raises
    ------
    PacsError
        When the PACS doesn't answer, or has refused some; what it hasn't taken stays in the outbox.
    """
    results = list(islice((path for path in spool.waiting(root, spool.OUTBOX) if _is_whole(root, path)), MOST_AT_ONCE))
    if not results:
        return 0
    association = _associate(results, peer, title)
    try:
        troubles = [_send(root, path, association, refusals) for path in results]
    finally:
        association.release()
    if problems := [text for text in troubles if text]:
        raise PacsError(f"{peer} has taken {troubles.count('')} of {len(results)} results: {problems[0]}.")
    return len(results)


def _is_whole(root: Path, path: Path) -> bool:
    """Whether a result can be read; one that can't, which a failing disk may leave, is put aside."""
    try:
        pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, EOFError, OSError) as error:
        _put_aside(root, path, f"{path.name} is damaged ({error})")
        return False
    return True


def _associate(results: Sequence[Path], peer: Peer, title: str) -> Association:
    from pynetdicom import AE  # noqa: PLC0415 - an extra

    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _TIMEOUT_S
    metas = [pydicom.filereader.read_file_meta_info(path) for path in results]
    for sop_class, syntax in sorted({(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID) for meta in metas}):
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate(peer.host, peer.port, ae_title=peer.title, max_pdu=0)
    if not association.is_established:
        how = "refuses the association" if association.is_rejected else "doesn't answer"
        raise PacsError(f"{peer} {how}; {len(results)} results wait.")
    return association


def _send(root: Path, path: Path, association: Association, refusals: Counter[str]) -> str:
    """Send one result; return what went wrong, empty when it was taken."""
    uid = pydicom.filereader.read_file_meta_info(path).MediaStorageSOPInstanceUID
    try:
        answer = association.send_c_store(path).get("Status")
    except ValueError:  # no presentation context for it
        return _refused(root, path, refusals, "it doesn't take this class of object")
    except RuntimeError:
        answer = None
    if answer is None:
        return "the connection broke"
    if answer == 0 or answer & _CATEGORY == _WARNING:
        spool.note(root, "sent", result=uid)
        path.unlink(missing_ok=True)
        refusals.pop(path.name, None)
        return ""
    if answer in _BUSY:
        return f"it is out of resources (status 0x{answer:04X})"
    return _refused(root, path, refusals, f"it answers with status 0x{answer:04X}")


def _refused(root: Path, path: Path, refusals: Counter[str], reason: str) -> str:
    """Count a refusal; after the last put the result aside."""
    refusals[path.name] += 1
    if refusals[path.name] >= MAX_REFUSALS:
        _put_aside(root, path, reason)
        del refusals[path.name]
    return reason


def _put_aside(root: Path, path: Path, reason: str) -> None:
    spool.note(root, "refused", result=path.name, error=reason)
    path.replace(root / spool.REFUSED / path.name)
