"""How a Readroom is reached: where it listens, under which names, and what stands between it and the network.

On loopback whoever holds the printed link is in, as the administrator, without TLS. Where somebody else
may come (another address, a further host name, a proxy in front), people have accounts with passwords,
and those cross the network only inside TLS, ours or the proxy's, unless `--insecure` says otherwise.
"""

import argparse
import http.client
import re
import ssl
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

from core.errors import InvalidInput
from dashboard.certificate import Certificate, certificate_der, check_certificate

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
WILDCARDS = frozenset({"0.0.0.0", "::", ""})
SELF_SIGNED = (
    "openssl req -x509 -newkey rsa:3072 -nodes -days 365 -keyout readroom.key -out readroom.crt "
    "-subj /CN={name} -addext subjectAltName={kind}:{name}"
)


@dataclass(frozen=True)
class Reach:
    """What `readroom up` is told about it, and passes on to the web process."""

    host: str = "127.0.0.1"
    port: int = 8501
    names: tuple[str, ...] = ()  # further host names under which browsers may ask; the first is the one shown
    certificate: Certificate | None = None
    proxies: tuple[str, ...] = ()  # addresses or networks whose X-Forwarded-For and -Proto are believed
    insecure: bool = False
    prefix: str = ""  # the path below which it lies on its host, as /readroom; "" is the whole host

    @property
    def from_elsewhere(self) -> bool:
        """Whether others than the users of this machine can come: then nobody is let in without a password."""
        return self.host not in LOOPBACK or not LOOPBACK.issuperset(self.names) or bool(self.proxies)

    @property
    def https_only(self) -> bool:
        """Whether a request from another machine must have come inside TLS."""
        return self.from_elsewhere and not self.insecure

    @property
    def local_host(self) -> str:
        """Where this machine itself finds the server."""
        return "127.0.0.1" if self.host in WILDCARDS else self.host

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        name = self.names[0] if self.names else self.local_host
        behind_proxy = bool(self.proxies and self.names)  # the proxy has the usual port, and we cannot know another
        scheme = "https" if self.certificate or (behind_proxy and not self.insecure) else "http"
        usual = behind_proxy or self.port == {"https": 443, "http": 80}[scheme]
        return f"{scheme}://{f'[{name}]' if ':' in name else name}{'' if usual else f':{self.port}'}{self.prefix}"

    def options(self) -> list[str]:
        """The command-line options that `reach_of` reads back."""
        options = ["--host", self.host, "--port", str(self.port)]
        for name in self.names:
            options += ["--allowed-host", name]
        for proxy in self.proxies:
            options += ["--proxy", proxy]
        if self.certificate:
            options += ["--tls-cert", str(self.certificate.path), "--tls-key", str(self.certificate.key)]
        if self.prefix:
            options += ["--prefix", self.prefix]
        return [*options, *(["--insecure"] if self.insecure else [])]


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `readroom up` that say how it is reached."""
    parser.add_argument("--host", default=Reach.host)
    parser.add_argument("--port", type=int, default=Reach.port)
    parser.add_argument("--allowed-host", action="append", default=[], metavar="NAME")
    parser.add_argument("--tls-cert", type=Path)
    parser.add_argument("--tls-key", type=Path)
    parser.add_argument("--insecure", action="store_true")
    parser.add_argument("--proxy", action="append", default=[], metavar="ADDRESS")
    parser.add_argument("--prefix", default=Reach.prefix, metavar="PATH")


def reach_of(given: argparse.Namespace) -> Reach:
    """What the options say.

    Raises:
        InvalidInput: one of them cannot be meant.
    """
    if (given.tls_cert is None) != (given.tls_key is None):
        raise InvalidInput(
            "Give --tls-cert and --tls-key together: the certificate and its key. "
            f"Received: {'--tls-cert' if given.tls_cert else '--tls-key'} alone"
        )
    for name in given.allowed_host:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:]*", name):
            raise InvalidInput(f"--allowed-host is a host name without https:// and port. Received: {name}")
    for proxy in given.proxy:
        try:
            ip_network(proxy)
        except ValueError as error:
            raise InvalidInput(
                f"--proxy is the address of a reverse proxy, as 127.0.0.1 or 172.18.0.0/16. Received: {proxy}"
            ) from error
    prefix = given.prefix.rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*", prefix):
        raise InvalidInput(
            f"--prefix is the path below which a reverse proxy shows Readroom, as /readroom. Received: {given.prefix}"
        )
    # Absolute: the web process runs in another folder.
    certificate = Certificate(given.tls_cert.absolute(), given.tls_key.absolute()) if given.tls_cert else None
    names = tuple(name.lower() for name in given.allowed_host)
    return Reach(given.host, given.port, names, certificate, tuple(given.proxy), given.insecure, prefix)


def check_reach(reach: Reach, now: datetime | None = None) -> int | None:
    """How many days the certificate is still good for; None without one.

    Raises:
        InvalidInput: passwords and images would cross the network readable, or the certificate will not do.
    """
    if reach.certificate:
        return check_certificate(reach.certificate, now)
    if reach.https_only and not reach.proxies:
        name = (*reach.names, "" if reach.host in WILDCARDS else reach.host, "")[0] or "readroom.example"
        kind = "IP" if re.fullmatch(r"[\d.]+|.*:.*", name) else "DNS"
        raise InvalidInput(
            "Others can reach Readroom there, so it needs TLS: give --tls-cert FILE and --tls-key FILE; or put a "
            "reverse proxy with TLS in front and name its address with --proxy; or accept with --insecure that "
            "passwords and images cross the network readable. A certificate for a start, which browsers warn about: "
            f"{SELF_SIGNED.format(name=name, kind=kind)} "
            f"Received: --host {reach.host}{''.join(f' --allowed-host {name}' for name in reach.names)}"
        )
    return None


def answers(reach: Reach) -> bool:
    """Whether `/healthz` says on this machine that all is well; with TLS, behind the certificate that was given."""
    connection = _connect(reach)
    try:
        connection.request("GET", f"{reach.prefix}/healthz")
        if reach.certificate:
            assert isinstance(connection.sock, ssl.SSLSocket)
            # Compared, not verified: its authority and its name are the browsers' business.
            if connection.sock.getpeercert(binary_form=True) != certificate_der(reach.certificate):
                return False
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connect(reach: Reach) -> http.client.HTTPConnection:
    if reach.certificate is None:
        return http.client.HTTPConnection(reach.local_host, reach.port, timeout=5)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(reach.local_host, reach.port, timeout=5, context=context)
