"""What runs: the worker and its heartbeat, the web process, the certificate by which browsers know it."""

import json
import socket
import ssl
from datetime import UTC, datetime
from typing import Any

from core.doctor.findings import Finding
from core.jobs.worker import worker_silent_seconds
from core.settings import Settings

SILENT_SECONDS = 60
SECONDS_TO_CONNECT = 3
DAYS_LEFT = 21
START = "Start it with: readroom up"
WILDCARDS = ("0.0.0.0", "::", "")


def look_at_worker(settings: Settings) -> Finding:
    silent = worker_silent_seconds(settings) if settings.home.is_dir() else None
    if silent is None:
        return Finding("worker", False, "not running; nothing is imported, trained or evaluated", START, "service")
    if silent > SILENT_SECONDS:
        mend = "It hangs. Stop Readroom with Ctrl-C and start it again; running jobs go on."
        return Finding("worker", False, f"runs, but has not stirred for {silent:.0f} s", mend, "service")
    return Finding("worker", True, f"running, heard {silent:.0f} s ago", group="service")


def look_at_web(settings: Settings) -> Finding:
    word = _word(settings)
    if not word:
        return Finding("web process", False, "`readroom up` does not run for this home", START, "service")
    try:
        socket.create_connection(_local(word), SECONDS_TO_CONNECT).close()
    except OSError as error:
        told = f"should listen on port {word['port']} and does not ({error.strerror or error})"
        return Finding("web process", False, told, f"See {settings.home / 'logs'}. {START}", "service")
    return Finding("web process", True, f"listens on {word['host']}, port {word['port']}", group="service")


def look_at_certificate(settings: Settings) -> Finding:
    word = _word(settings)
    if not str(word.get("url", "")).startswith("https:"):
        return Finding("certificate", True, "none in use here", group="service")
    mend = "Have it renewed, then start Readroom again with --tls-cert and --tls-key."
    try:
        ends = _certificate_ends(*_local(word))
    except ssl.SSLCertVerificationError as error:
        return Finding("certificate", False, error.verify_message, mend, "service")
    except (OSError, KeyError) as error:
        return Finding("certificate", False, f"could not be read ({error})", START, "service")
    days = (ends - datetime.now(UTC)).days
    told = f"good until {ends:%d %B %Y}, {days} days"
    return Finding("certificate", days >= DAYS_LEFT, told, "" if days >= DAYS_LEFT else mend, "service")


def _certificate_ends(host: str, port: int) -> datetime:
    """When the certificate runs out that our own server shows, whoever signed it."""
    shown = ssl.get_server_certificate((host, port), timeout=SECONDS_TO_CONNECT)
    # The standard library tells the dates of a certificate only after it was verified: so it vouches for itself.
    context = ssl.create_default_context(cadata=shown)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with (
        socket.create_connection((host, port), SECONDS_TO_CONNECT) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        told = wrapped.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notAfter"])), UTC)


def _word(settings: Settings) -> dict[str, Any]:
    """What `readroom up` left word of; nothing where it does not run."""
    try:
        return dict(json.loads((settings.home / "up.json").read_text("utf-8")))
    except (OSError, ValueError):
        return {}


def _local(word: dict[str, Any]) -> tuple[str, int]:
    return ("127.0.0.1" if word["host"] in WILDCARDS else str(word["host"])), int(word["port"])
