"""A real Readroom for a bench: web process and worker on loopback, stopped at the end."""

import errno
import random
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from core.people.accounts import ensure_user, get_user
from core.people.members import set_member
from core.people.roles import ProjectRole
from core.people.sessions import issue_token
from core.projects.records import list_projects
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor
from core.store.database import opened, prepare_home

START_SECONDS = 120
SECOND_LOOPBACK = "127.0.0.2"
PASSWORD = "a long walk by the sea"
MEGABYTE = 1 << 20
PORTS = range(20_000, 32_000)  # below those that Linux (32,768) and macOS (49,152) give to outgoing connections


@dataclass(frozen=True)
class Running:
    """A running Readroom: its address, its settings, its process and what it printed.

    `verify` trusts the certificate that it was given; None where it speaks plain HTTP.
    """

    address: str
    settings: Settings
    process: subprocess.Popen[bytes]
    output: Path
    verify: ssl.SSLContext | None = None

    @contextmanager
    def client(self, name: str, role: ProjectRole | None = None) -> Iterator[httpx.Client]:
        """A signed-in HTTP client of this person: by link, or by password where there are accounts.

        With a `role` they have it in every project; without one they administer this Readroom.
        """
        self._admit(name, role)
        with httpx.Client(base_url=self.address, timeout=60, verify=self.verify or True) as client:
            if self.verify:
                self._sign_in_by_password(client, name)
            else:
                with opened(self.settings) as connection:
                    token = issue_token(connection, get_user(connection, name))
                client.get("/sign-in", params={"token": token}).raise_for_status()
            yield client

    def _admit(self, name: str, role: ProjectRole | None) -> None:
        with opened(self.settings) as connection:
            ensure_user(connection, name, role="reader" if role else "admin")
            for project in list_projects(connection) if role else ():
                set_member(connection, project.id, name, role, actor=Actor("bench", "command line"))

    def _sign_in_by_password(self, client: httpx.Client, name: str) -> None:
        """As a person who is new here: a password set by link, and a sign-in with it."""
        with opened(self.settings) as connection:
            token = issue_token(connection, get_user(connection, name), purpose="invitation")
        chosen = {"token": token, "new_password": PASSWORD, "repeated": PASSWORD}
        _post(client, "/sign-in", chosen)
        client.cookies.clear()
        _post(client, "/sign-in", {"name": name, "password": PASSWORD})

    def web_process(self) -> psutil.Process:
        """The process that serves the screens."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next(child for child in children if "dashboard.serve" in child.cmdline())


def free_port(host: str = "127.0.0.1") -> int:
    """A port of this machine on which nobody listens now.

    Not one that the system would choose: between here and the start of a server it may give that to any connection.

    Raises:
        OSError: `host` is no address of this machine.
    """
    while True:
        port = random.SystemRandom().choice(PORTS)
        with socket.socket() as free:
            try:
                free.bind((host, port))
            except OSError as refused:
                if refused.errno != errno.EADDRINUSE:
                    raise
            else:
                return port


@contextmanager
def running(home: Path) -> Iterator[Running]:
    """Start Readroom on a free port of the loopback and stop it afterwards."""
    with _running(home, "127.0.0.1", [], None) as server:
        yield server


@contextmanager
def running_securely(home: Path) -> Iterator[Running]:
    """The same over TLS with accounts, on a second loopback address, with a certificate made for the purpose."""
    certificate, key = home / "bench-certificate.pem", home / "bench-key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=readroom",
         "-addext", f"subjectAltName=IP:{SECOND_LOOPBACK}", "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )  # fmt: skip
    verify = ssl.create_default_context(cafile=str(certificate))
    # Seventy people sign in from one address here, one after the other, and not over an hour.
    (home / "settings.toml").write_text("sign_ins_per_minute = 1000\n")
    options = ["--tls-cert", str(certificate), "--tls-key", str(key)]
    with _running(home, SECOND_LOOPBACK, options, verify) as server:
        yield server


@contextmanager
def _running(home: Path, host: str, options: list[str], verify: ssl.SSLContext | None) -> Iterator[Running]:
    settings = Settings(home=home)
    prepare_home(settings)
    port = str(free_port(host))
    output = home / "bench-output.txt"
    words = [sys.executable, "-m", "dashboard.up", "--home", str(home), "--host", host, "--port", port, "--no-browser"]
    with output.open("wb") as stream:
        process = subprocess.Popen([*words, *options], cwd=PROJECT_ROOT, stdout=stream, stderr=subprocess.STDOUT)
    address = f"{'https' if verify else 'http'}://{host}:{port}"
    try:
        _wait_for(f"{address}/healthz", process, output, verify)
        yield Running(address, settings, process, output, verify)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _post(client: httpx.Client, path: str, fields: dict[str, str]) -> None:
    """Send a form; wait where the server asks for patience."""
    while (answer := client.post(path, data=fields)).status_code == 429:
        time.sleep(float(answer.headers["Retry-After"]))
    answer.raise_for_status()


def _wait_for(address: str, process: subprocess.Popen[bytes], output: Path, verify: ssl.SSLContext | None) -> None:
    last = time.monotonic() + START_SECONDS
    while time.monotonic() < last and process.poll() is None:
        try:
            if httpx.get(address, verify=verify or True).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"Readroom did not start:\n{output.read_text('utf-8', 'replace')}")


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
