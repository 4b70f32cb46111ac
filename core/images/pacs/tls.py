"""TLS for DIMSE (PS3.15 annex B, BCP 195): who the other side is, vouched for by an authority, and who we are."""

import socket
import ssl
from typing import Any

from core.errors import InvalidInput, Unavailable
from core.images.pacs.records import Pacs

SECONDS_OF_STANDSTILL = 30.0  # after which a caller who stopped in the middle of a word is left


def asking_context(authority: str = "", certificate: str = "") -> ssl.SSLContext:
    """For a connection that we open.

    Args:
        authority: the file of who vouches for the other side, beside the authorities that this system knows.
        certificate: a file with our own certificate and its key, shown where the other side asks for it.

    Raises:
        InvalidInput: a file cannot be used.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority:
        _trust(context, authority)
    if certificate:
        _show(context, certificate, None)
    return context


def greet(context: ssl.SSLContext, connected: socket.socket, pacs: Pacs) -> None:
    """Whether the other side is who it should be: pynetdicom tells that only in its log.

    Raises:
        InvalidInput: nobody vouches for its certificate, or it is that of another host.
        Unavailable: it does not speak TLS.
    """
    try:
        context.wrap_socket(connected, server_hostname=pacs.host_and_port[0]).close()
    except ssl.SSLCertVerificationError as error:
        raise InvalidInput(
            f"The certificate of {pacs.name} is not vouched for here; name the file of its authority, and the host as "
            f"the certificate does. Received: {pacs.place} ({error.verify_message})"
        ) from None
    except OSError:  # ssl.SSLError is one
        raise Unavailable(
            f"{pacs.name} does not answer by TLS at this port; see which of its ports does. Received: {pacs.place}"
        ) from None


class _Listening(ssl.SSLContext):
    """Greets whoever calls in the thread of their association: pynetdicom would let everybody else wait meanwhile."""

    def wrap_socket(self, sock: socket.socket, *words: Any, **options: Any) -> ssl.SSLSocket:
        sock.settimeout(SECONDS_OF_STANDSTILL)
        return super().wrap_socket(sock, *words, **{**options, "do_handshake_on_connect": False})


def listening_context(certificate: str, key: str, authority: str = "") -> ssl.SSLContext:
    """For connections that others open.

    Args:
        authority: where it is given, callers show a certificate that this authority vouches for.

    Raises:
        InvalidInput: a file cannot be used.
    """
    context = _Listening(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _show(context, certificate, key)
    if authority:
        _trust(context, authority)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _trust(context: ssl.SSLContext, authority: str) -> None:
    try:
        context.load_verify_locations(authority)
    except OSError as error:  # ssl.SSLError is one
        raise InvalidInput(
            f"The authority is a PEM file with its certificate. Received: {authority} ({_said(error)})"
        ) from None


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        # No password is asked for on a keyboard that nobody sits at.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        where = f"{certificate} and {key}" if key else certificate
        raise InvalidInput(
            f"A certificate and its key are PEM files that fit each other, the key without a password. "
            f"Received: {where} ({_said(error)})"
        ) from None


def _said(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
