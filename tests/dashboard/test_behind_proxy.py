"""The configurations of docs/deploy, run by the real nginx and Caddy before a real web process."""

import http.client
import os
import shutil
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from core.people.accounts import User
from core.people.sessions import issue_token
from core.projects.records import Project
from core.settings import PROJECT_ROOT, Settings
from dashboard.middleware import cookie_name
from dashboard.reach import Reach, answers
from tests.dashboard.certificates import make_certificate

NAME = "readroom.example"
DEPLOY = PROJECT_ROOT / "docs" / "deploy"
PATIENCE_SECONDS = 120
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",  # of RFC 6455
}
PASSWORD = "grey horses sleep standing"


@dataclass(frozen=True)
class Ports:
    """Where the parts of one set-up listen, all on loopback."""

    readroom: int
    http: int
    https: int


@dataclass(frozen=True)
class Outside:
    """A client that knows only the proxy."""

    ports: Ports
    context: ssl.SSLContext
    prefix: str = ""

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.ports.https, context=self.context, timeout=60)
        connection.request(method, self.prefix + path, body, {"Host": NAME, **headers})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content, answer.headers


def nginx_command(folder: Path, ports: Ports, certificate: Path, key: Path, example: str) -> list[str]:
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        pytest.skip("nginx is absent: sudo apt-get install nginx-light")
    site = (DEPLOY / example).read_text("utf-8")
    for there, here in (
        ("listen 80;", f"listen 127.0.0.1:{ports.http};"),
        ("listen 443 ssl", f"listen 127.0.0.1:{ports.https} ssl"),
        ("/etc/ssl/readroom/readroom.crt", str(certificate)),
        ("/etc/ssl/readroom/readroom.key", str(key)),
        ("127.0.0.1:8501", f"127.0.0.1:{ports.readroom}"),
        ("/var/log/nginx/readroom.log", str(folder / "site.log")),
    ):
        assert there in site, f"docs/deploy/{example} has no {there} any more"
        site = site.replace(there, here)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi"))
    user = "user root;" if os.getuid() == 0 else ""
    main = f"daemon off; {user} pid {folder}/pid; error_log {folder}/error.log; events {{}} http {{ {temporary}\n"
    (folder / "nginx.conf").write_text(f"{main} scgi_temp_path {folder}/scgi;\n{site}\n}}\n", "utf-8")
    return [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


def caddy_command(folder: Path, ports: Ports, certificate: Path, key: Path, example: str) -> list[str]:
    program = shutil.which("caddy")
    if program is None:
        pytest.skip("Caddy is absent: sudo apt-get install caddy")
    site = (DEPLOY / example).read_text("utf-8")
    for there, here in (
        ("/etc/ssl/readroom/readroom.crt", str(certificate)),
        ("/etc/ssl/readroom/readroom.key", str(key)),
        ("127.0.0.1:8501", f"127.0.0.1:{ports.readroom}"),
    ):
        assert there in site, f"docs/deploy/{example} has no {there} any more"
        site = site.replace(there, here)
    ours = f"{{\nadmin off\nhttp_port {ports.http}\nhttps_port {ports.https}\ndefault_bind 127.0.0.1\n}}\n"
    (folder / "Caddyfile").write_text(ours + site, "utf-8")
    return [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


Command = Callable[[Path, Ports, Path, Path, str], list[str]]
SET_UPS = {
    "nginx.conf": (nginx_command, ""),
    "Caddyfile": (caddy_command, ""),
    "nginx-prefix.conf": (nginx_command, "/readroom"),
    "Caddyfile-prefix": (caddy_command, "/readroom"),
}


@pytest.fixture(params=SET_UPS)
def outside(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Outside]:
    make_command: Command
    make_command, prefix = SET_UPS[request.param]
    certificate = make_certificate(tmp_path / "tls", names=f"DNS:{NAME},IP:127.0.0.1")
    ports = Ports(*free_ports(3))
    folder = tmp_path / "proxy"
    folder.mkdir()
    command = make_command(folder, ports, certificate.path, certificate.key, request.param)
    reach = Reach(port=ports.readroom, names=(NAME,), proxies=("127.0.0.1",), prefix=prefix)
    words = [sys.executable, "-m", "dashboard.serve", *reach.options(), "--home", str(settings.home)]
    environment = os.environ | {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    context = ssl.create_default_context(cafile=certificate.path)
    made = Outside(ports, context, prefix)
    with (folder / "log").open("wb") as log:
        web = subprocess.Popen(words, cwd=PROJECT_ROOT, stdout=log, stderr=log)
        proxy = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        wait_until(lambda: answers(reach), web, folder / "log")
        wait_until(lambda: is_open(ports.https), proxy, folder / "log")
        yield made
    finally:
        for process in (proxy, web):
            process.terminate()
            process.wait(60)


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def wait_until(is_so: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert process.poll() is None, log.read_text("utf-8", "replace")
        assert time.monotonic() < until, log.read_text("utf-8", "replace")
        time.sleep(0.1)


def test_the_documented_proxy_carries_everything(
    outside: Outside, connection: sqlite3.Connection, project: Project, anna: User
) -> None:
    ports, prefix = outside.ports, outside.prefix
    assert outside.ask("GET", "/healthz")[0] == 200

    # Plain HTTP leads to TLS, under the right name.
    plain = http.client.HTTPConnection("127.0.0.1", ports.http, timeout=60)
    plain.request("GET", "/label?project=1", headers={"Host": NAME})
    led = plain.getresponse()
    led.read()
    assert led.status in (301, 308)
    assert str(led.headers["location"]).startswith(f"https://{NAME}")
    plain.close()

    # A password is chosen, and the cookie is for TLS alone.
    form = {"token": issue_token(connection, anna), "new_password": PASSWORD, "repeated": PASSWORD}
    typed = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"https://{NAME}"}
    status, _, headers = outside.ask("POST", "/sign-in", urlencode(form).encode(), **typed)
    assert status == 200
    # Below a prefix the neighbours' servers do not get it: `__Host-` is for all paths of a host.
    named = f"{'__Secure-' if prefix else '__Host-'}{cookie_name(ports.readroom, prefix)}="
    assert headers["set-cookie"].startswith(named)
    assert {"Secure", f"Path={prefix or '/'}"} <= set(headers["set-cookie"].split("; "))
    assert headers["strict-transport-security"]
    signed_in = {"Cookie": headers["set-cookie"].partition(";")[0]}

    # So is what Streamlit sets by itself.
    set_by_it = outside.ask("GET", "/_stcore/health", **signed_in)[2].get_all("set-cookie") or []
    assert [one.partition("=")[0] for one in set_by_it if "; Secure" in one] == ["_streamlit_xsrf"]

    # A page, and the websocket that draws it; from another site there is none.
    status, html, _ = outside.ask("GET", "/", Accept="text/html", **signed_in)
    assert status == 200
    assert b'id="root"' in html
    status, _, headers = outside.ask("GET", "/label?project=1", Accept="text/html")
    assert (status, headers["location"]) == (303, f"{prefix}/sign-in?next={quote(prefix, '')}%2Flabel%3Fproject%3D1")

    with connect(
        f"wss://{NAME}{prefix}/_stcore/stream",
        address=("127.0.0.1", ports.https),
        ssl=outside.context,
        origin=Origin(f"https://{NAME}"),
        additional_headers=signed_in,
        subprotocols=[Subprotocol("streamlit")],
        proxy=None,
        open_timeout=60,
    ) as socket:
        assert socket.ping().wait(60)
    assert outside.ask("GET", "/_stcore/stream", **HANDSHAKE, Origin="https://evil.example", **signed_in)[0] == 403

    # The largest piece that a browser sends.
    token = outside.ask("POST", "/api/v1/uploads", b"", **signed_in)[1].decode().split('"')[3]
    piece = os.urandom(8 << 20)
    status, content, _ = outside.ask("PUT", f"/api/v1/uploads/{token}/film.dcm?offset=0", piece, **signed_in)
    assert (status, content) == (200, b'{"size":8388608}')

    # Somebody who names an address of their own choice is not believed.
    wrong = urlencode({"name": "anna", "password": "guessed it"}).encode()
    assert outside.ask("POST", "/sign-in", wrong, **typed, **{"X-Forwarded-For": "6.6.6.6"})[0] == 401
    addresses = {row["address"] for row in connection.execute("SELECT address FROM sign_in_failures")}
    assert addresses == {"127.0.0.1"}

    # The host's other paths are not ours.
    if prefix:
        nameless = replace(outside, prefix="")
        status, _, headers = nameless.ask("GET", prefix)
        assert status in (301, 308)
        assert str(headers["location"]).endswith(f"{prefix}/")
        assert nameless.ask("GET", "/sign-in")[0] == 404
