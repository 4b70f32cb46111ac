"""`readroom up` as a real process: started, asked twice, hurt, stopped."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.server import free_port
from core.jobs.context import job_folder
from core.jobs.launchers.local import child_environment, is_alive, kill_group
from core.jobs.records import add_job, claim_job, get_job
from core.jobs.worker import worker_alive
from core.people.accounts import ensure_user, operating_system_user
from core.people.sessions import find_session, issue_token, redeem_token
from core.projects.records import Project
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor, list_audit
from core.store.locks import take_lock
from core.training.device import CPU
from dashboard.reach import Reach, answers
from dashboard.up import has_display, is_demo_wanted, sign_in_url

PATIENCE_SECONDS = 150.0


class Up:
    """A running `up` and what it said so far."""

    def __init__(self, settings: Settings, port: int, *more: str, home: Path | None = None) -> None:
        options = [
            "--home",
            str(home or settings.home),
            "--port",
            str(port),
            "--no-browser",
            "--web",
            "tests.dashboard.fake_web",
            *more,
        ]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dashboard.up", *options],
            cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as stream:
            for line in stream:
                self.said += line

    def hears(self, text: str) -> None:
        wait_until(lambda: text in self.said or self.process.poll() is not None)
        assert text in self.said, self.said

    def ends(self) -> int:
        code = self.process.wait(PATIENCE_SECONDS)
        self._reader.join()
        return code


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.05)


def services(settings: Settings) -> list[tuple[int, float]]:
    """Web process and worker, as `up` wrote them down."""
    path = settings.home / "up.json"
    return json.loads(path.read_text())["services"] if path.exists() else []


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def up(settings: Settings, project: Project, port: int) -> Iterator[Callable[..., Up]]:
    """Starts `up` for a home that has a project, so that no demo is made."""
    started: list[Up] = []

    def start(*more: str, home: Path | None = None) -> Up:
        started.append(Up(settings, port, *more, home=home))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
        one.ends()
    for pid, since in services(settings):
        if is_alive(pid, since):
            kill_group(pid, since)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_prints_one_address_and_stops_cleanly(
    settings: Settings, connection: sqlite3.Connection, up: Callable[..., Up], port: int, number: signal.Signals
) -> None:
    one = up()
    one.hears("sign-in?token=")
    assert answers(Reach(port=port))
    wait_until(lambda: worker_alive(settings))
    (token,) = re.findall(rf"http://127\.0\.0\.1:{port}/sign-in\?token=(\S+)", one.said)
    session = redeem_token(connection, token, hours=1)
    user = find_session(connection, session)
    assert user
    assert user.role == "admin"
    children = services(settings)
    one.process.send_signal(number)
    assert one.ends() == 0
    assert "Stopped." in one.said
    assert not any(is_alive(pid, since) for pid, since in children)
    assert not worker_alive(settings)


def test_a_second_one_says_so_and_gives_a_fresh_address_also_under_another_path_of_the_home(
    settings: Settings, connection: sqlite3.Connection, up: Callable[..., Up], port: int, tmp_path: Path
) -> None:
    """As a container sees it that has the same folder mounted elsewhere: the lock is the file's, not the path's."""
    first = up()
    first.hears("sign-in?token=")
    mounted = tmp_path / "mounted"
    mounted.symlink_to(settings.home)
    second, third = up(), up("--port", str(port + 1), home=mounted)
    assert (second.ends(), third.ends()) == (0, 0)
    assert f"runs already for {settings.home}" in second.said
    assert f"runs already for {mounted}" in third.said
    assert f"http://127.0.0.1:{port}/sign-in?token=" in third.said, "the first one's address, not the one asked for"
    tokens = {re.findall(r"token=(\S+)", one.said)[0] for one in (first, second, third)}
    assert len(tokens) == 3
    for token in tokens:
        assert redeem_token(connection, token, hours=1)
    assert answers(Reach(port=port)), "the first one serves on"
    assert not answers(Reach(port=port + 1))


def test_one_that_is_only_starting_is_waited_for_in_words(settings: Settings, up: Callable[..., Up]) -> None:
    held = take_lock(settings.home / "up.lock")
    assert held
    try:
        one = up()
        assert one.ends() == 1
    finally:
        held.release()
    assert "try again in a moment" in one.said
    assert not services(settings)


def test_without_tls_others_are_not_let_near(settings: Settings, up: Callable[..., Up]) -> None:
    for option in (["--host", "0.0.0.0"], ["--host", "127.0.0.2"], ["--allowed-host", "ward.example"]):
        one = up(*option)
        assert one.ends() == 1
        for named in ("--tls-cert", "--tls-key", "--proxy", "--insecure", "openssl req -x509"):
            assert named in one.said
        assert "Traceback" not in one.said
    assert not (settings.home / "logs" / "web.log").exists(), "nothing was started"


def test_insecure_is_taken_at_its_word_and_warned_of(
    connection: sqlite3.Connection, up: Callable[..., Up], port: int
) -> None:
    one = up("--allowed-host", "localhost.ward", "--insecure")
    one.hears("sign-in?token=")
    assert "cross the network readable" in one.said
    assert f"http://localhost.ward:{port}/sign-in?token=" in one.said


def test_where_an_administrator_has_a_password_the_start_prints_no_key(
    connection: sqlite3.Connection, up: Callable[..., Up], port: int
) -> None:
    anna = ensure_user(connection, "anna", role="admin")
    redeem_token(connection, issue_token(connection, anna), hours=1, new_password="a few good words")
    one = up("--allowed-host", "ward.example", "--proxy", "127.0.0.1")
    one.hears("https://ward.example\n")
    assert "token=" not in one.said


def test_a_taken_port_is_refused_with_a_sentence(settings: Settings, up: Callable[..., Up], port: int) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        one = up()
        assert one.ends() == 1
    assert "choose another port with --port" in one.said
    assert "Traceback" not in one.said


def test_a_child_that_dies_is_started_again(settings: Settings, up: Callable[..., Up], port: int) -> None:
    one = up()
    one.hears("sign-in?token=")
    wait_until(lambda: worker_alive(settings))
    for at, name in enumerate(("web process", "worker")):
        os.kill(services(settings)[at][0], signal.SIGKILL)
        one.hears(f"The {name} ended by itself and is started again")
    wait_until(lambda: answers(Reach(port=port)))
    wait_until(lambda: worker_alive(settings))


def test_a_web_process_that_cannot_start_is_named(settings: Settings, up: Callable[..., Up]) -> None:
    (settings.home / "refuse").touch()
    one = up()
    assert one.ends() == 1
    assert "fake web: no file config.toml" in one.said
    assert not worker_alive(settings)


def test_one_that_dies_again_and_again_ends_up(settings: Settings, up: Callable[..., Up]) -> None:
    one = up()
    one.hears("sign-in?token=")
    (settings.home / "refuse").touch()
    os.kill(services(settings)[0][0], signal.SIGKILL)
    assert one.ends() == 1
    assert "ended 5 times within a minute" in one.said
    assert "fake web: no file config.toml" in one.said


def test_after_a_kill_the_next_start_clears_up_and_serves(settings: Settings, up: Callable[..., Up], port: int) -> None:
    first = up()
    first.hears("sign-in?token=")
    orphans = services(settings)
    first.process.kill()
    first.ends()
    assert answers(Reach(port=port)), "the web process was orphaned and holds the port"
    second = up()
    second.hears("sign-in?token=")
    assert not any(is_alive(pid, since) for pid, since in orphans)
    assert answers(Reach(port=port))


def test_running_jobs_survive_and_are_adopted_at_the_next_start(
    settings: Settings, connection: sqlite3.Connection, actor: Actor, up: Callable[..., Up]
) -> None:
    job = add_job(connection, "wait", {}, lane="work", actor=actor)
    claim_job(connection, "work", "cpu")
    child = subprocess.Popen(
        [sys.executable, "-m", "core.jobs.child", str(job.id), "--home", str(settings.home), "--attempt", "1",
         "--handlers", "tests.core.jobs.bodies:BODIES"],
        env=child_environment(CPU), cwd=PROJECT_ROOT, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_until((job_folder(settings, job.id) / "began-1").exists)
        one = up()
        one.hears("sign-in?token=")
        wait_until(lambda: worker_alive(settings))
        one.process.send_signal(signal.SIGINT)
        one.ends()
        assert "1 running job goes on" in one.said
        assert child.poll() is None
        assert get_job(connection, job.id).state == "running"
        (job_folder(settings, job.id) / "go").touch()
        assert child.wait(PATIENCE_SECONDS) == 0
        assert get_job(connection, job.id).result == {"attempt": 1}
    finally:
        child.kill()
        child.wait()


def test_the_demo_is_made_in_an_empty_home_and_again_if_that_was_interrupted(
    settings: Settings, request: pytest.FixtureRequest
) -> None:
    assert is_demo_wanted(settings)
    request.getfixturevalue("project")  # half of the demo
    assert is_demo_wanted(settings), "the mark stays until the demo is whole"
    (settings.home / "demo.wanted").unlink()
    assert not is_demo_wanted(settings)


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("::1", "[::1]"), ("ward", "ward")]
)
def test_the_address_is_one_that_a_browser_here_can_open(settings: Settings, host: str, shown: str) -> None:
    assert sign_in_url(settings, Reach(host, 8501).url).startswith(f"http://{shown}:8501/sign-in?token=")


def test_a_printed_link_is_on_record(settings: Settings, connection: sqlite3.Connection) -> None:
    token = sign_in_url(settings, "http://127.0.0.1:8501").partition("token=")[2]
    (row,) = list_audit(connection, what="issue link")
    assert (row.who, row.via, row.detail) == (
        operating_system_user(),
        "command line",
        {"user": operating_system_user()},
    )
    assert token not in str(row)


def test_a_browser_is_opened_only_where_a_window_can_open() -> None:
    assert has_display({"DISPLAY": ":0"}, "linux")
    assert has_display({"WAYLAND_DISPLAY": "wayland-0"}, "linux")
    assert has_display({}, "darwin")
    assert not has_display({}, "linux")
