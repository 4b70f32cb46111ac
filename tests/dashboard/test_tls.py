"""A real `readroom up` on a second address of this machine, which counts as the network: accounts and TLS."""

import http.client
import os
import re
import signal
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

import pytest

from bench.server import SECOND_LOOPBACK
from core.people.accounts import get_user, operating_system_user
from core.projects.records import Project
from core.settings import PROJECT_ROOT, Settings
from dashboard.certificate import Certificate
from dashboard.middleware import cookie_name
from dashboard.reach import Reach, answers
from tests.dashboard.certificates import make_certificate
from tests.second_address import free_port_there

PATIENCE_SECONDS = 120
PASSWORD = "grey horses sleep standing"


@dataclass
class Ward:
    """A running Readroom, and a client of the network that trusts its certificate."""

    settings: Settings
    reach: Reach
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    def ask(
        self, method: str, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[int, str, http.client.HTTPMessage]:
        assert self.reach.certificate
        context = ssl.create_default_context(cafile=self.reach.certificate.path)
        connection = http.client.HTTPSConnection(SECOND_LOOPBACK, self.reach.port, context=context, timeout=30)
        if form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        connection.request(method, path, urlencode(form) if form is not None else None, headers)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body, answer.headers

    def readroom(self, *words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "core.cli.app", *words, "--home", str(self.settings.home)],
            cwd=PROJECT_ROOT, check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip


@pytest.fixture
def certificate(settings: Settings) -> Certificate:
    return make_certificate(settings.home / "tls", days=10)


@pytest.fixture
def ward(settings: Settings, project: Project, certificate: Certificate) -> Iterator[Ward]:
    reach = Reach(SECOND_LOOPBACK, free_port_there(), ("ward.example",), certificate)
    words = ["up", *reach.options(), "--no-browser", "--home", str(settings.home)]
    process = subprocess.Popen(
        [sys.executable, "-m", "core.cli.app", *words],
        cwd=PROJECT_ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    made = Ward(settings, reach, process)
    assert process.stdout
    reader = threading.Thread(target=lambda: made.said.extend(process.stdout or ()), daemon=True)
    reader.start()
    until = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and not any("Ctrl-C" in line for line in made.said):
        assert time.monotonic() < until, made.said
        time.sleep(0.1)
    assert process.poll() is None, made.said
    yield made
    os.kill(process.pid, signal.SIGTERM)
    process.wait(PATIENCE_SECONDS)
    reader.join()
    process.stdout.close()


def test_from_the_network_people_come_by_tls_and_leave_with_a_password(
    ward: Ward, connection: sqlite3.Connection
) -> None:
    port, said = ward.reach.port, "".join(ward.said)
    assert "runs out in" in said, "ten days are less than thirty"
    (token,) = re.findall(rf"https://ward\.example:{port}/sign-in\?token=(\S+)", said)
    assert answers(ward.reach)

    # The link alone signs nobody in: a password is chosen first.
    status, page, headers = ward.ask("GET", f"/sign-in?token={token}")
    assert (status, headers["set-cookie"]) == (200, None)
    assert 'name="new_password"' in page
    status, page, headers = ward.ask(
        "POST", "/sign-in", {"token": token, "new_password": PASSWORD, "repeated": PASSWORD, "next": "/"}
    )
    assert status == 200
    cookie = headers["set-cookie"]
    assert cookie.startswith(f"__Host-{cookie_name(port)}=")
    for part in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"):
        assert part.lower() in cookie.lower()
    assert headers["strict-transport-security"]
    assert ward.ask("GET", "/account", cookie=cookie.partition(";")[0])[0] == 200
    assert get_user(connection, operating_system_user()).has_password

    # What Streamlit sets by itself is kept to TLS too.
    for path in ("/", "/_stcore/health", "/_stcore/host-config"):
        set_by_it = ward.ask("GET", path, cookie=cookie.partition(";")[0])[2].get_all("set-cookie") or []
        assert all("; Secure" in one for one in set_by_it), set_by_it
        assert path != "/_stcore/health" or set_by_it, "here Streamlit sets its own against forged requests"

    # And from then on name and password do it.
    status, _, headers = ward.ask("POST", "/sign-in", {"name": operating_system_user(), "password": PASSWORD})
    assert status == 200
    assert "Secure" in headers["set-cookie"]
    assert ward.ask("POST", "/sign-in", {"name": operating_system_user(), "password": "guessed it"})[0] == 401

    # Only under its own names.
    assert ward.ask("GET", "/healthz", host=f"ward.example:{port}")[0] == 200
    assert ward.ask("GET", "/healthz", host="evil.example")[0] == 400

    # The command line finds where it is, for a second administrator too.
    assert ward.readroom("link").startswith(f"https://ward.example:{port}/sign-in?token=")
    second = ward.readroom("link", "--user", "Dr. Okafor")
    assert 'name="new_password"' in ward.ask("GET", second.partition(f":{port}")[2])[1]
    assert get_user(connection, "Dr. Okafor").role == "admin"

    # Without TLS nothing is answered there.
    assert not answers(replace(ward.reach, certificate=None))

    # Another server on this port, which shows another certificate, `up` does not take for its own.
    assert not answers(replace(ward.reach, certificate=make_certificate(ward.settings.home / "other")))


@pytest.mark.parametrize("module", ["core.cli.app", "dashboard.serve"])
def test_without_tls_it_does_not_start(settings: Settings, module: str) -> None:
    words = ["--host", SECOND_LOOPBACK, "--port", str(free_port_there()), "--home", str(settings.home)]
    done = subprocess.run(
        [sys.executable, "-m", module, *(["up"] if module == "core.cli.app" else []), *words],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--tls-cert" in done.stderr
    assert "--insecure" in done.stderr
    assert "Traceback" not in done.stderr
