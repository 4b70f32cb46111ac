"""A real Readroom for a bench: web process and worker on loopback, stopped at the end."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from core.people.accounts import ensure_user, issue_token
from core.settings import PROJECT_ROOT, Settings
from core.store.database import opened, prepare_home

START_SECONDS = 120


@dataclass(frozen=True)
class Running:
    """A running Readroom: its address, its settings, its process and what it printed."""

    address: str
    settings: Settings
    process: subprocess.Popen[bytes]
    output: Path

    def sign_in_link(self, name: str) -> str:
        """An address that signs this person in once."""
        with opened(self.settings) as connection:
            token = issue_token(connection, ensure_user(connection, name, role="admin"))
        return f"{self.address}/sign-in?token={token}"

    def client(self, name: str) -> httpx.Client:
        """A signed-in HTTP client of this person."""
        signed_in = httpx.get(self.sign_in_link(name)).raise_for_status()
        return httpx.Client(base_url=self.address, timeout=60, cookies=signed_in.cookies)

    def web_process(self) -> psutil.Process:
        """The process that serves the screens."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next(child for child in children if "dashboard.serve" in child.cmdline())


@contextmanager
def running(home: Path) -> Iterator[Running]:
    """Start Readroom on a free port of the loopback and stop it afterwards."""
    settings = Settings(home=home)
    prepare_home(settings)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    output = home / "bench-output.txt"
    words = [sys.executable, "-m", "dashboard.up", "--home", str(home), "--port", str(port), "--no-browser"]
    with output.open("wb") as stream:
        process = subprocess.Popen(words, cwd=PROJECT_ROOT, stdout=stream, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{port}/healthz", process, output)
        yield Running(f"http://127.0.0.1:{port}", settings, process, output)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _wait_for(address: str, process: subprocess.Popen[bytes], output: Path) -> None:
    last = time.monotonic() + START_SECONDS
    while time.monotonic() < last and process.poll() is None:
        try:
            if httpx.get(address).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit(f"Readroom did not start:\n{output.read_text('utf-8', 'replace')}")


def percentile(values: list[float], share: float) -> float:
    """The value that `share` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]
