"""Receiving by DIMSE: a storage SCP (PS3.4 annex B), and the spool in which studies wait until they are quiet."""

import io
import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.transport import ThreadedAssociationServer

from core.errors import CoreError, InvalidInput
from core.images.pacs.landing import Landing
from core.images.pacs.questions import UID, Receive

# It would log what comes in.
logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)

ECHO = "1.2.840.10008.1.1"  # PS3.4 annex A
SUCCESS = 0x0000
NOT_WANTED = 0x0124  # PS3.7 annex C.5.12: refused, not authorised
NO_ROOM = 0xA700  # PS3.4 section B.2.3: refused, out of resources; the sender keeps it and tries again
NOT_UNDERSTOOD = 0xC000  # the same: cannot understand
SECONDS_OF_SILENCE = 60.0  # after which an association is ended
BUSY_FACTOR = 10  # a study of a sender that is still connected waits so much longer
WANTED_TAGS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]

Keep = Callable[[str, bytes], int]  # the instance's UID and its file; the answer is the status


@dataclass
class Stored:
    """Takes what was asked for, and refuses anything else."""

    receive: Receive
    wanted: frozenset[str]
    trouble: CoreError | None = None

    def keep(self, instance: str, content: bytes) -> int:
        if instance not in self.wanted:
            return NOT_WANTED
        try:
            with self.receive(instance) as stream:
                stream.write(content)
        except CoreError as error:
            self.trouble = error
            return NO_ROOM
        return SUCCESS


@dataclass
class Spool:
    """What modalities send, by study, until nothing more comes."""

    landing: Landing
    heard: dict[Path, float] = field(default_factory=dict)  # when something came into a study last, `time.monotonic`

    def keep(self, instance: str, content: bytes) -> int:
        try:
            told = dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=list(WANTED_TAGS))
            study, series = str(told.get("StudyInstanceUID", "")), str(told.get("SeriesInstanceUID", ""))
        except (InvalidDicomError, ValueError, KeyError, AttributeError, NotImplementedError, OSError):
            return NOT_UNDERSTOOD
        if not all(UID.fullmatch(uid) for uid in (study, series, instance)):
            return NOT_UNDERSTOOD
        folder = self.landing.study(study)
        self.heard[folder] = time.monotonic()
        try:
            with self.landing.receiving(study, series, instance) as stream:
                stream.write(content)
        except CoreError:
            return NO_ROOM
        self.heard[folder] = time.monotonic()
        return SUCCESS

    def quiet(self, seconds: float, *, connected: bool) -> list[Path]:
        """Studies into which nothing came for so long; while somebody is connected, for longer.

        What an earlier process left counts from the first look.
        """
        wait = seconds * (BUSY_FACTOR if connected else 1)
        now = time.monotonic()
        studies = sorted(path for path in self.landing.folder.glob("*") if path.is_dir())
        return [study for study in studies if now - self.heard.setdefault(study, now) >= wait]

    def forget(self, study: Path) -> None:
        """It was taken away."""
        self.heard.pop(study, None)


def store_handler(keep: Keep) -> Callable[[evt.Event], int]:
    """Hands on what comes by C-STORE as it was sent, without decoding it."""

    def handle(event: evt.Event) -> int:
        assert isinstance(event.request, C_STORE)
        return keep(str(event.request.AffectedSOPInstanceUID), event.encoded_dataset())

    return handle


class Sockets:
    """Closes the sockets of associations that ended: pynetdicom 3.0 leaves them open where the other side hung up."""

    def __init__(self) -> None:
        self._open: dict[int, socket.socket] = {}

    def handlers(self) -> list[Any]:
        return [(evt.EVT_CONN_OPEN, self._opened), (evt.EVT_CONN_CLOSE, self._closed)]

    def close(self) -> None:
        """Those whose end was not told."""
        for left in list(self._open):
            self._open.pop(left).close()

    def _opened(self, event: evt.Event) -> None:
        wrapped = event.assoc.dul.socket
        if wrapped is not None and wrapped.socket is not None:
            self._open[id(event.assoc)] = wrapped.socket

    def _closed(self, event: evt.Event) -> None:
        left = self._open.pop(id(event.assoc), None)
        if left is not None:
            left.close()


@contextmanager
def receiving(
    title: str,
    address: tuple[str, int],
    callers: Sequence[str] | None,
    keep: Keep,
    *,
    tls: ssl.SSLContext | None = None,
) -> Iterator[ThreadedAssociationServer]:
    """Listen, until the block ends, for whoever calls us by our title.

    Args:
        callers: the AE titles that are let in; None lets everybody in.
        tls: through which they speak (`core.images.pacs.tls`); None is plain DIMSE.

    Raises:
        InvalidInput: the port is taken, or may not be used.
    """
    entity = AE(ae_title=title)
    entity.require_called_aet = True
    if callers is not None:
        entity.require_calling_aet = list(callers)
    entity.network_timeout = entity.dimse_timeout = SECONDS_OF_SILENCE
    entity.maximum_pdu_size = 0
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
    entity.add_supported_context(ECHO)
    handlers: list[Any] = [(evt.EVT_C_STORE, store_handler(keep)), (evt.EVT_C_ECHO, lambda event: SUCCESS)]
    sockets = Sockets()
    handlers += sockets.handlers()
    _check_port(address)
    server = entity.start_server(address, block=False, evt_handlers=handlers, ssl_context=tls)
    assert server is not None  # as it does not block
    try:
        yield server
    finally:
        server.shutdown()
        sockets.close()


def _check_port(address: tuple[str, int]) -> None:
    """pynetdicom would leave the socket open that it could not bind."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except (OSError, OverflowError) as error:
            raise InvalidInput(
                f"This Readroom cannot listen there; choose another port. "
                f"Received: {address[0] or 'every address'}, port {address[1]} "
                f"({getattr(error, 'strerror', None) or error})"
            ) from None
