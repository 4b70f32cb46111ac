"""`readroom up`: the web process and the worker of one home, started together and kept running.

One `up` serves a home at a time; a second one says so and prints a fresh sign-in address. Jobs are
not ours to end: they run in sessions of their own, and the next worker adopts them.
"""

import argparse
import json
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import CoreError
from core.jobs.locks import take_lock
from core.jobs.records import list_running
from core.people.accounts import ensure_user, issue_token, operating_system_user
from core.projects.records import list_projects
from core.settings import Settings, load_settings
from core.store.database import opened, prepare_home
from core.store.files import write_whole
from dashboard.middleware import WILDCARDS
from dashboard.services import HEALTH_SECONDS, Service, answers, end_leftovers, module_command

LOOK_SECONDS = 0.25
MAKE_DEMO = "from core.cli import main; main()"  # in a process of its own: it computes for a while


@dataclass(frozen=True)
class Address:
    """Where the web process listens."""

    host: str
    port: int

    @property
    def reachable_host(self) -> str:
        """The host that a browser on this machine can go to."""
        return "127.0.0.1" if self.host in WILDCARDS else self.host


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; a refusal is its sentence on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m dashboard.up", description=__doc__)
    parser.add_argument("--home", type=Path, default=None)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8501)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--web", default="dashboard.serve", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    try:
        settings = load_settings(given.home)
        prepare_home(settings)
        address = Address(given.host, given.port)
        run(settings, address, stopping, browser=not given.no_browser and has_display(), web=given.web)
    except CoreError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def run(settings: Settings, address: Address, stopping: threading.Event, *, browser: bool, web: str) -> None:
    """Serve a home, or say that it is served already.

    Raises:
        CoreError: the port is taken, or a service does not stay up.
    """
    lock = take_lock(settings.home / "up.lock")
    if lock is None:
        tell(
            f"Readroom runs already for {settings.home}. Sign in:\n  {sign_in_url(settings, _address_in_use(settings))}"
        )
        return
    try:
        end_leftovers([(pid, started) for pid, started in _left_word(settings).get("services", [])])
        check_port(address)
        _serve(settings, address, stopping, browser=browser, web=web)
    finally:
        lock.release()


def _serve(settings: Settings, address: Address, stopping: threading.Event, *, browser: bool, web: str) -> None:
    logs, home = settings.home / "logs", ("--home", str(settings.home))
    listen = ("--host", address.host, "--port", str(address.port))
    services = [
        Service("web process", module_command(web, *home, *listen), logs / "web.log"),
        Service("worker", module_command("core.jobs.worker", *home), logs / "worker.log"),
    ]
    demo = Service("demo", [sys.executable, "-c", MAKE_DEMO, "demo", *home], logs / "demo.log")
    try:
        for service in services:
            service.start()
            _leave_word(settings, address, services)
        if not _wait_until_healthy(services[0], address, stopping):
            return
        _welcome(settings, address, browser=browser)
        if is_demo_wanted(settings):
            tell("Making the demo project; it appears in a moment.")
            demo.start()
        while not stopping.wait(LOOK_SECONDS):
            _look_after(settings, services, address)
            _look_at_demo(settings, demo)
    finally:
        tell("Stopping Readroom ...")
        for service in (demo, *services):
            service.stop()
        _word_path(settings).unlink(missing_ok=True)
        _farewell(settings)


def _wait_until_healthy(web: Service, address: Address, stopping: threading.Event) -> bool:
    """Whether the web process answers; False where somebody stopped us meanwhile."""
    for _ in range(int(HEALTH_SECONDS / LOOK_SECONDS)):
        if web.has_died():
            raise CoreError(f"The web process could not start. Mend what it names. Received: {web.last_words()}")
        if answers(address.reachable_host, address.port):
            return True
        if stopping.wait(LOOK_SECONDS):
            return False
    raise CoreError(
        f"The web process does not answer; see {web.log}. Received: {HEALTH_SECONDS:.0f} seconds of silence"
    )


def _look_after(settings: Settings, services: Sequence[Service], address: Address) -> None:
    for service in services:
        if service.has_died():
            tell(f"The {service.name} ended by itself and is started again; its log is {service.log}")
            service.start_again()
            _leave_word(settings, address, services)


# ---- the demo project


def is_demo_wanted(settings: Settings) -> bool:
    """Whether this home is empty, or the making of its demo project was interrupted."""
    marker = _demo_marker(settings)
    if not marker.exists():
        with opened(settings) as connection:
            if list_projects(connection):
                return False
        marker.touch()
    return True


def _look_at_demo(settings: Settings, demo: Service) -> None:
    if not demo.has_died() or demo.process is None:
        return
    if demo.process.returncode == 0:
        _demo_marker(settings).unlink(missing_ok=True)
    else:
        tell(f"The demo project could not be made; the next start tries again. {demo.last_words()}")
    demo.process = None


def _demo_marker(settings: Settings) -> Path:
    return settings.home / "demo.wanted"


# ---- words


def sign_in_url(settings: Settings, address: Address) -> str:
    """An address that signs in whoever runs this machine's Readroom, once."""
    with opened(settings) as connection:
        user = ensure_user(connection, operating_system_user(), role="admin")
        token = issue_token(connection, user)
    host = f"[{address.reachable_host}]" if ":" in address.reachable_host else address.reachable_host
    return f"http://{host}:{address.port}/sign-in?token={token}"


def _welcome(settings: Settings, address: Address, *, browser: bool) -> None:
    tell(f"Readroom is up; its home is {settings.home}. Sign in once with this address:")
    tell(f"  {sign_in_url(settings, address)}")
    if address.host in WILDCARDS:
        tell(f"From another machine, put this one's address in place of {address.reachable_host}.")
    tell("Ctrl-C stops it; running jobs go on.")
    if browser:
        webbrowser.open(sign_in_url(settings, address))  # a token of its own: the printed one stays good


def _farewell(settings: Settings) -> None:
    with opened(settings) as connection:
        running = len(list_running(connection))
    if running:
        tell(f"Stopped. {running} running job{'s go' if running > 1 else ' goes'} on; the next start takes over.")
    else:
        tell("Stopped.")


def tell(text: str) -> None:
    """Say something to whoever started us."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


# ---- the port, the display, the word left for the next


def check_port(address: Address) -> None:
    """Refuse a port that somebody else listens on.

    Raises:
        CoreError: it is taken, or may not be used.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except (OSError, OverflowError) as error:
            raise CoreError(
                f"Readroom cannot listen there; choose another port with --port. "
                f"Received: {address.host}:{address.port} ({getattr(error, 'strerror', None) or error})"
            ) from error


def has_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a window can open: without one, some systems would start a text browser in this terminal."""
    return platform == "darwin" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _word_path(settings: Settings) -> Path:
    return settings.home / "up.json"


def _leave_word(settings: Settings, address: Address, services: Sequence[Service]) -> None:
    """What a second `up` needs to know, and who is to be ended should we be killed."""
    alive = [(service.process.pid, service.started) for service in services if service.process]
    word = {"host": address.host, "port": address.port, "services": alive}
    write_whole(_word_path(settings), json.dumps(word).encode())


def _left_word(settings: Settings) -> dict[str, Any]:
    path = _word_path(settings)
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _address_in_use(settings: Settings) -> Address:
    word = _left_word(settings)
    if "port" not in word:
        raise CoreError(f"Readroom is just starting or stopping; try again in a moment. Received: {settings.home}")
    return Address(word["host"], word["port"])


if __name__ == "__main__":
    sys.exit(main())
