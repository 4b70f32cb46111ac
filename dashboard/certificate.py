"""The certificate by which browsers know this server: loaded, looked at, and refused where it will not do."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from core.errors import InvalidInput

WARNING_DAYS = 30
GENERALIZED_TIME = 0x18


@dataclass(frozen=True)
class Certificate:
    """A certificate and the key that belongs to it, both PEM files."""

    path: Path
    key: Path


def make_context(certificate: Certificate) -> ssl.SSLContext:
    """What the server speaks TLS with: 1.2 at least.

    Raises:
        InvalidInput: a file is missing, unreadable, not what it should be, or the two do not belong together.
    """
    for option, path in (("--tls-cert", certificate.path), ("--tls-key", certificate.key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise InvalidInput(
                f"Name a PEM file that this user may read ({error.strerror}). Received: {option} {path}"
            ) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    asked_for_passphrase = []
    try:
        # Without an answer of ours OpenSSL would ask the terminal, where at a start by the system nobody sits.
        context.load_cert_chain(certificate.path, certificate.key, lambda: asked_for_passphrase.append(True) or "")
    except (ssl.SSLError, ValueError) as error:
        raise InvalidInput(_why_not(certificate, bool(asked_for_passphrase), error)) from error
    return context


def check_certificate(certificate: Certificate, now: datetime | None = None) -> int:
    """How many days a certificate is still good for.

    Raises:
        InvalidInput: browsers would refuse it today, or it cannot be used at all.
    """
    make_context(certificate)
    now = now or datetime.now(UTC)
    begins, ends = validity(certificate_der(certificate))
    if now > ends:
        raise InvalidInput(
            f"The certificate ran out on {ends:%d %B %Y}; have it renewed. Received: --tls-cert {certificate.path}"
        )
    if now < begins:
        raise InvalidInput(
            f"The certificate is good from {begins:%d %B %Y} on, and this machine's clock says {now:%d %B %Y}; "
            f"mend the clock or wait. Received: --tls-cert {certificate.path}"
        )
    return (ends - now).days


def certificate_der(certificate: Certificate) -> bytes:
    """The server's own certificate, which is the first of its file; those of its authority follow."""
    text = certificate.path.read_text("ascii", errors="replace")
    begin = text.index(ssl.PEM_HEADER)
    return ssl.PEM_cert_to_DER_cert(text[begin : text.index(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)])


def validity(der: bytes) -> tuple[datetime, datetime]:
    """From when until when a certificate is good.

    RFC 5280, 4.1: in `Certificate` lies `tbsCertificate`, in it version (tagged, may be absent), serial number,
    signature, issuer, validity. The standard library tells the dates only of a certificate that it verified.
    """
    ((_, certificate),) = _elements(der)
    _, to_be_signed = next(_elements(certificate))
    untagged = [content for tag, content in _elements(to_be_signed) if tag != 0xA0]
    begins, ends = (_time(tag, content) for tag, content in _elements(untagged[3]))
    return begins, ends


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements that lie side by side (X.690, 8.1: tag, length, content)."""
    at = 0
    while at < len(der):
        tag, length, at = der[at], der[at + 1], at + 2
        if length & 0x80:  # the long form: so many bytes of length follow
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        yield tag, der[at : at + length]
        at += length


def _time(tag: int, content: bytes) -> datetime:
    digits = content.decode("ascii")
    if tag != GENERALIZED_TIME:  # RFC 5280, 4.1.2.5.1: two digits of a year from 1950 to 2049
        digits = ("19" if digits >= "5" else "20") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _why_not(certificate: Certificate, asked_for_passphrase: bool, error: Exception) -> str:
    received = f"Received: --tls-cert {certificate.path} --tls-key {certificate.key}"
    if asked_for_passphrase:
        return (
            "The key has a passphrase, for which nobody can be asked at a start; write one without: "
            f"openssl pkey -in {certificate.key} -out open.key. {received}"
        )
    if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
        return f"The key does not belong to the certificate; name the two that were made together. {received}"
    return f"These are not a certificate and its key in PEM form (they begin with -----BEGIN). {received}"
