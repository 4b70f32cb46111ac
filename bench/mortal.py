"""A web process that can be killed: alone, without whoever would start it again, always on the same port."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bench.server import free_port
from core.settings import PROJECT_ROOT, Settings

START_SECONDS = 120
LOOK_SECONDS = 0.05
QUIET_SECONDS = 6.0  # who sends nothing for so long is killed all the same
LONGEST_REQUEST_SECONDS = 0.06
LONGEST_LIFE_SECONDS = 2.0


@dataclass
class MortalServer:
    """`python -m dashboard.serve` of one home; `readroom up` would give up after the fifth death in a minute."""

    home: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    kills: int = 0
    # Set by whoever sees events on their way: the moment at which a death may lose something.
    sending: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.port = free_port()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Settings:
        return Settings(home=self.home)

    @property
    def output(self) -> Path:
        return self.home / "serve-output.txt"

    def start(self) -> None:
        words = ["-m", "dashboard.serve", "--home", str(self.home), "--host", "127.0.0.1", "--port", str(self.port)]
        with self.output.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *words], cwd=PROJECT_ROOT, stdout=stream, stderr=subprocess.STDOUT
            )

    def wait_until_up(self) -> None:
        last = time.monotonic() + START_SECONDS
        while time.monotonic() < last:
            assert self.process is not None
            if self.process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.address}/healthz", timeout=2).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(LOOK_SECONDS)
        raise SystemExit(f"The web process did not start:\n{self.output.read_text('utf-8', 'replace')[-2000:]}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.kills += 1

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@contextmanager
def mortal(home: Path) -> Iterator[MortalServer]:
    server = MortalServer(home)
    server.start()
    try:
        server.wait_until_up()
        yield server
    finally:
        server.stop()


@contextmanager
def dying(server: MortalServer, kills: int, *, seed: int = 0) -> Iterator[threading.Thread]:
    """Killed so many times at random moments while the block runs, two of three times with events on their way.

    The block goes on until the thread is over; afterwards the server is up.
    """
    over = threading.Event()
    rng = random.Random(seed)

    def kill_again_and_again() -> None:
        for number in range(kills):
            server.wait_until_up()
            if number % 3:
                server.sending.clear()
                server.sending.wait(QUIET_SECONDS)
                over.wait(rng.uniform(0, LONGEST_REQUEST_SECONDS))
            else:
                over.wait(rng.uniform(0, LONGEST_LIFE_SECONDS))
            if over.is_set():
                return
            server.kill()
            server.start()

    thread = threading.Thread(target=kill_again_and_again, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        over.set()
        thread.join()
        server.wait_until_up()
