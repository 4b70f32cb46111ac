"""`readroom up`: the web process and the worker of one home, started together and kept running.

One `up` serves a home at a time; a second one says so and prints a fresh sign-in address. How it is
reached (TLS, names, a proxy in front) is looked at before anything starts: `dashboard.reach`. Jobs are
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
from pathlib import Path
from typing import Any

from core.errors import CoreError
from core.jobs.records import list_running
from core.people.accounts import ensure_user, list_users, operating_system_user
from core.people.homes import enter_home
from core.people.sessions import issue_token
from core.projects.records import list_projects
from core.settings import Settings, load_settings
from core.store.audit import Actor, add_audit
from core.store.database import opened, writing
from core.store.files import write_whole
from core.store.locks import take_lock
from dashboard.certificate import WARNING_DAYS
from dashboard.reach import WILDCARDS, Reach, add_options, answers, check_reach, reach_of
from dashboard.services import HEALTH_SECONDS, Service, end_leftovers, module_command

LOOK_SECONDS = 0.25
MAKE_DEMO = "from core.cli import main; main()"  # in a process of its own: it computes for a while


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until Ctrl-C or SIGTERM; a refusal is its sentence on standard error and exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m dashboard.up", description=__doc__)
    parser.add_argument("--home", type=Path, default=None)
    add_options(parser)
    parser.add_argument("--no-browser", action="store_true")
    parser.add_argument("--web", default="dashboard.serve", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    try:
        reach = reach_of(given)
        warn_of_reach(reach, check_reach(reach))
        settings = load_settings(given.home)
        enter_home(settings)
        run(settings, reach, stopping, browser=not given.no_browser and has_display(), web=given.web)
    except CoreError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def run(settings: Settings, reach: Reach, stopping: threading.Event, *, browser: bool, web: str) -> None:
    """Serve a home, or say that it is served already.

    Raises:
        CoreError: the port is taken, or a service does not stay up.
    """
    lock = take_lock(settings.home / "up.lock")
    if lock is None:
        tell(f"Readroom runs already for {settings.home}. Sign in:\n  {sign_in_url(settings, _url_in_use(settings))}")
        return
    try:
        end_leftovers([(pid, started) for pid, started in _left_word(settings).get("services", [])])
        check_port(reach)
        _serve(settings, reach, stopping, browser=browser, web=web)
    finally:
        lock.release()


def _serve(settings: Settings, reach: Reach, stopping: threading.Event, *, browser: bool, web: str) -> None:
    logs, home = settings.home / "logs", ("--home", str(settings.home))
    services = [
        Service("web process", module_command(web, *home, *reach.options()), logs / "web.log"),
        Service("worker", module_command("core.jobs.worker", *home), logs / "worker.log"),
    ]
    demo = Service("demo", [sys.executable, "-c", MAKE_DEMO, "demo", *home], logs / "demo.log")
    try:
        for service in services:
            service.start()
            _leave_word(settings, reach, services)
        if not _wait_until_healthy(services[0], reach, stopping):
            return
        _welcome(settings, reach, browser=browser)
        if is_demo_wanted(settings):
            tell("Making the demo project; it appears in a moment.")
            demo.start()
        while not stopping.wait(LOOK_SECONDS):
            _look_after(settings, services, reach)
            _look_at_demo(settings, demo)
    finally:
        tell("Stopping Readroom ...")
        for service in (demo, *services):
            service.stop()
        _word_path(settings).unlink(missing_ok=True)
        _farewell(settings)


def _wait_until_healthy(web: Service, reach: Reach, stopping: threading.Event) -> bool:
    """Whether the web process answers; False where somebody stopped us meanwhile."""
    for _ in range(int(HEALTH_SECONDS / LOOK_SECONDS)):
        if web.has_died():
            raise CoreError(f"The web process could not start. Mend what it names. Received: {web.last_words()}")
        if answers(reach):
            return True
        if stopping.wait(LOOK_SECONDS):
            return False
    raise CoreError(
        f"The web process does not answer; see {web.log}. Received: {HEALTH_SECONDS:.0f} seconds of silence"
    )


def _look_after(settings: Settings, services: Sequence[Service], reach: Reach) -> None:
    for service in services:
        service.turn_log_over()
        if service.has_died():
            tell(f"The {service.name} ended by itself and is started again; its log is {service.log}")
            service.start_again()
            _leave_word(settings, reach, services)


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


def sign_in_url(settings: Settings, url: str) -> str:
    """An address that signs in whoever runs this machine's Readroom, once."""
    me = operating_system_user()
    with opened(settings) as connection, writing(connection):
        user = ensure_user(connection, me, role="admin")
        token = issue_token(connection, user)
        add_audit(connection, Actor(me, "command line"), "issue link", f"user {user.id}", user=user.name)
    return f"{url}/sign-in?token={token}"


def warn_of_reach(reach: Reach, days_left: int | None) -> None:
    """What whoever starts a Readroom that others can reach had better know."""
    if days_left is not None and days_left < WARNING_DAYS:
        days = f"{days_left} day{'' if days_left == 1 else 's'}"
        tell(f"The certificate runs out in {days}; renew it, and start Readroom again with the new one.")
    if reach.from_elsewhere and reach.insecure and not reach.certificate:
        tell("Without TLS (--insecure), passwords and images cross the network readable.")


def _welcome(settings: Settings, reach: Reach, *, browser: bool) -> None:
    if reach.from_elsewhere and _has_administrator(settings):
        # At every start of the machine a link in its log would be a key under the mat.
        tell(f"Readroom is up; its home is {settings.home}. Sign in there with name and password:")
        tell(f"  {reach.url}")
    else:
        tell(f"Readroom is up; its home is {settings.home}. Sign in once with this address:")
        tell(f"  {sign_in_url(settings, reach.url)}")
    if reach.host in WILDCARDS and not reach.names:
        tell(f"From another machine, put this one's address in place of {reach.local_host}.")
    tell("Ctrl-C stops it; running jobs go on.")
    if browser:
        webbrowser.open(sign_in_url(settings, reach.url))  # a token of its own: the printed one stays good


def _has_administrator(settings: Settings) -> bool:
    """Whether somebody can sign in by password and invite the others."""
    with opened(settings) as connection:
        people = list_users(connection, kind="person")
    return any(user.role == "admin" and user.active and user.has_password for user in people)


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


def check_port(reach: Reach) -> None:
    """Refuse a port that somebody else listens on.

    Raises:
        CoreError: it is taken, or may not be used.
    """
    family = socket.AF_INET6 if ":" in reach.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((reach.host, reach.port))
        except (OSError, OverflowError) as error:
            raise CoreError(
                f"Readroom cannot listen there; choose another port with --port. "
                f"Received: {reach.host}:{reach.port} ({getattr(error, 'strerror', None) or error})"
            ) from error


def has_display(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether a window can open: without one, some systems would start a text browser in this terminal."""
    return platform == "darwin" or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def _word_path(settings: Settings) -> Path:
    return settings.home / "up.json"


def _leave_word(settings: Settings, reach: Reach, services: Sequence[Service]) -> None:
    """What a second `up` needs to know, and who is to be ended should we be killed."""
    alive = [(service.process.pid, service.started) for service in services if service.process]
    word = {"host": reach.host, "port": reach.port, "url": reach.url, "services": alive}
    write_whole(_word_path(settings), json.dumps(word).encode())


def _left_word(settings: Settings) -> dict[str, Any]:
    path = _word_path(settings)
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _url_in_use(settings: Settings) -> str:
    word = _left_word(settings)
    if "url" not in word:
        raise CoreError(f"Readroom is just starting or stopping; try again in a moment. Received: {settings.home}")
    return str(word["url"])


if __name__ == "__main__":
    sys.exit(main())
