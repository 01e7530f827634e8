"""The receiving side: a DICOM storage and verification provider that puts films into the spool and does nothing else.

The sender gets its answer as soon as the film is safe on disk: analysis takes longer than senders wait.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from calcidetect.batch.names import is_uid
from calcidetect.errors import PacsError
from calcidetect.node import spool
from calcidetect.node.peers import Listener

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import C_STORE
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

FILM_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.1",  # computed radiography
    "1.2.840.10008.5.1.4.1.1.1.1",  # digital X-ray, for presentation
    "1.2.840.10008.5.1.4.1.1.1.1.1",  # digital X-ray, for processing
)
"""Classes that are taken. None of the node's own results is among them, so these can't come back as films."""

# Answers to C-STORE, PS3.4 table B.2-1 and PS3.7 annex C.
SUCCESS = 0x0000
CLASS_NOT_SUPPORTED = 0x0122
INVALID_INSTANCE = 0x0117
OUT_OF_RESOURCES = 0xA700

_TIMEOUT_S = 60.0  # of a silent sender


def start_server(root: Path, listener: Listener) -> ThreadedAssociationServer:
    """Listen in the background and put every film that comes into ``films`` of the spool.

    Parameters
    ----------
    root
        The spool.
    listener
        Where to listen, and whom to listen to.

    Raises
    ------
    PacsError
        When the address can't be listened on.
    """
    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, evt  # noqa: PLC0415 - an extra

    entity = AE(ae_title=listener.title)
    entity.add_supported_context("1.2.840.10008.1.1")  # verification: C-ECHO
    for film_class in FILM_CLASSES:
        entity.add_supported_context(film_class, ALL_TRANSFER_SYNTAXES)
    entity.require_calling_aet = list(listener.allowed)
    entity.maximum_pdu_size = 0  # no limit: three times as fast
    entity.network_timeout = entity.dimse_timeout = _TIMEOUT_S
    try:
        server = entity.start_server(
            (listener.host, listener.port), block=False, evt_handlers=[(evt.EVT_C_STORE, _store, [root])]
        )
    except OSError as error:
        raise PacsError(
            f"The node can't listen on {listener.host}:{listener.port}: {(error.strerror or str(error)).lower()}; "
            "choose another --port or --bind."
        ) from error
    return cast("ThreadedAssociationServer", server)  # None for a server that blocks alone


def _store(event: Event, root: Path) -> int:
    """Answer a C-STORE request."""
    request = cast("C_STORE", event.request)
    uid = str(request.AffectedSOPInstanceUID)
    if request.AffectedSOPClassUID not in FILM_CLASSES:
        return CLASS_NOT_SUPPORTED
    if not is_uid(uid):  # it becomes a file's name
        return INVALID_INSTANCE
    try:
        spool.put(root / spool.FILMS / f"{uid}.dcm", event.encoded_dataset())
    except OSError:
        return OUT_OF_RESOURCES
    spool.note(root, "received", film=uid, sender=event.assoc.requestor.ae_title)
    return SUCCESS
