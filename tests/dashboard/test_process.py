"""The real web process: what it acknowledged survives kill -9; what it never loads; what it answers."""

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from bench.server import free_port
from core.images.records import Case
from core.labels.records import list_labels
from core.people.accounts import User
from core.people.sessions import issue_token, redeem_token
from core.settings import PROJECT_ROOT, Settings
from dashboard.middleware import cookie_name

PATIENCE_SECONDS = 120


@dataclass
class WebProcess:
    """`python -m dashboard.serve` on a port of its own, with Anna's cookie."""

    settings: Settings
    session: str
    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, str]:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Cookie": f"{cookie_name(self.port)}={self.session}"} | (headers or {}),
        )
        try:
            with urllib.request.urlopen(asked, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


def start(settings: Settings, session: str, folder: Path) -> WebProcess:
    port = free_port()
    log = folder / f"web-{port}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard.serve", "--home", str(settings.home), "--port", str(port)],
            cwd=PROJECT_ROOT,
            stdout=stream,
            stderr=stream,
        )
    web = WebProcess(settings, session, port, log, process)
    give_up = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        try:
            if web.request("GET", "/healthz")[0] == 200:
                return web
        except OSError:
            time.sleep(0.1)
    process.kill()
    process.wait()
    raise AssertionError(log.read_text("utf-8"))


@pytest.fixture
def session(connection: sqlite3.Connection, anna: User) -> str:
    return redeem_token(connection, issue_token(connection, anna), hours=1)


@pytest.fixture
def web(settings: Settings, session: str, tmp_path: Path) -> Iterator[WebProcess]:
    started = start(settings, session, tmp_path)
    yield started
    if started.process.poll() is None:
        started.kill()


def an_event(case: Case) -> dict[str, Any]:
    return {
        "event": str(uuid.uuid4()),
        "type": "label",
        "case": case.id,
        "value": {"classes": ["normal"]},
        "schema_version": 1,
        "made_at": "2026-11-22T10:42:03.123Z",
        "made_in": "label page",
    }


def test_what_was_acknowledged_survives_kill_9(
    web: WebProcess, case: Case, connection: sqlite3.Connection, settings: Settings, session: str, tmp_path: Path
) -> None:
    events = [an_event(case) for _ in range(5)]
    for event in events:
        status, body = web.request("POST", "/api/v1/events", {"events": [event]})
        assert (status, json.loads(body)["acknowledged"][0]["event"]) == (200, event["event"])
    web.kill()
    assert {label.event for label in list_labels(connection, case.id)} == {event["event"] for event in events}

    second = start(settings, session, tmp_path)  # the browser, which may have missed a receipt, sends again
    try:
        assert second.request("POST", "/api/v1/events", {"events": events})[0] == 200
    finally:
        second.kill()
    assert len(list_labels(connection, case.id)) == len(events)


def test_the_running_process_answers_behind_its_doors_and_stays_small(web: WebProcess, case: Case) -> None:
    page = {"Accept": "text/html"}
    status, html = web.request("GET", "/label?project=1", headers=page)
    assert status == 200
    assert 'id="root"' in html
    # What Streamlit's own page would have to fetch from elsewhere, it must not name.
    assert not re.search(r'(?:src|href)="https?://', html)
    assert web.request("GET", f"/api/v1/cases/{case.id}")[0] == 200
    assert web.request("GET", "/_stcore/stream", headers={"Cookie": ""})[0] == 401
    assert web.request("GET", "/label", headers={"Cookie": "", "Accept": "application/json"})[0] == 401
    assert web.request("GET", "/api/v1/nonsense")[0] == 404
    assert web.request("GET", "/pages/label.py", headers={"Accept": "*/*"})[1].find("import") == -1
    assert psutil.Process(web.process.pid).memory_info().rss < 400 << 20
    if hasattr(psutil.Process, "memory_maps"):  # macOS tells nobody what a process has mapped
        mapped = {Path(region.path).name for region in psutil.Process(web.process.pid).memory_maps()}
        assert not [name for name in mapped if "tensorflow" in name]


def test_it_ends_in_good_order_when_asked_and_no_token_has_reached_the_log(web: WebProcess) -> None:
    web.request("GET", "/sign-in?token=secret-token", headers={"Cookie": ""})
    web.process.send_signal(signal.SIGTERM)
    web.process.wait(timeout=60)
    told = web.log.read_text("utf-8")
    assert "Traceback" not in told
    assert "secret-token" not in told


def test_a_taken_port_is_said_and_ends_the_process(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "dashboard.serve", "--home", str(settings.home), "--port", str(port)],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert done.returncode == 1
    assert f"Received: port {port}" in done.stderr
    assert "Traceback" not in done.stderr


EVERY_PAGE = """
import sys
from pathlib import Path
from streamlit.testing.v1 import AppTest
from core.people.accounts import get_user
from core.settings import Settings
from dashboard import places, server, session

server.make_app(Settings(home=Path({home!r})))  # imports all that the web process imports
session.configure(Settings(home=Path({home!r})), lambda connection: get_user(connection, "anna"))
ran = []
for place in places.PLACES:
    app = AppTest.from_file(str(server.FOLDER / "app.py"), default_timeout=120)
    app.query_params["project"] = "1"
    app.query_params["case"] = "1"
    app.run()
    if place.name != places.PLACES[0].name:
        app.switch_page(str(server.FOLDER.parent / "pages" / (place.name + ".py"))).run()
    assert not app.exception, (place.name, [error.value for error in app.exception])
    ran.append(place.name)
heavy = {{name.split(".")[0] for name in sys.modules}} & {{"tensorflow", "keras", "torch", "jax"}}
print("ran", len(ran), "loaded", sorted(heavy))
"""


def test_no_page_loads_tensorflow(settings: Settings, case: Case, anna: User) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EVERY_PAGE.format(home=str(settings.home))],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    from dashboard.places import PLACES

    assert done.stdout.strip().splitlines()[-1] == f"ran {len(PLACES)} loaded []"
