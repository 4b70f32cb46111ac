"""Who gets in, by which name, from where; and what every answer carries."""

import sqlite3
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from core.people.accounts import User
from core.people.sessions import end_session, issue_token
from core.settings import Settings
from dashboard.middleware import cookie_name
from dashboard.routes.sign_in import local_path
from dashboard.server import make_middleware, make_routes

COOKIE = cookie_name(8501)
SOCKET = "ws://127.0.0.1:8501/_stcore/stream"
PAGE = {"accept": "text/html,application/xhtml+xml"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/cases/1"),
        ("GET", f"/api/v1/pixels/{'0' * 64}.npy"),
        ("GET", f"/api/v1/thumbnails/{'0' * 64}.webp"),
        ("GET", f"/api/v1/explanations/{'0' * 64}.npy"),
        ("GET", "/api/v1/jobs/1"),
        ("GET", "/api/v1/models/1/model.keras"),
        ("POST", "/api/v1/events"),
        ("POST", "/api/v1/explanations"),
        ("POST", "/api/v1/uploads"),
        ("PUT", "/api/v1/uploads/abc/file.png"),
        ("DELETE", "/api/v1/uploads/abc"),
        ("GET", "/_stcore/host-config"),
        ("POST", "/sign-out"),
    ],
)
def test_without_sign_in_there_is_nothing(stranger: TestClient, method: str, path: str) -> None:
    answer = stranger.request(method, path)
    assert answer.status_code == 401
    assert answer.json() == {"reason": "Sign in first."}


def test_a_page_leads_to_sign_in_and_back(stranger: TestClient) -> None:
    answer = stranger.get("/review?project=1&model=2", headers=PAGE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=%2Freview%3Fproject%3D1%26model%3D2"
    assert 'name="next" value="/review?project=1&amp;model=2"' in stranger.get(answer.headers["location"]).text


def test_a_link_signs_in_once(stranger: TestClient, connection: sqlite3.Connection, anna: User) -> None:
    token = issue_token(connection, anna)
    answer = stranger.get(f"/sign-in?token={token}&next=/label")
    assert answer.status_code == 200
    assert 'content="0;url=/label"' in answer.text
    assert token not in answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert stranger.get("/api/v1/cases/1").status_code == 404  # signed in: only the case is missing
    stranger.cookies.clear()
    assert stranger.get(f"/sign-in?token={token}").status_code == 401


def test_a_pasted_token_or_link_signs_in(stranger: TestClient, connection: sqlite3.Connection, anna: User) -> None:
    for paste in ("{}", " http://127.0.0.1:8501/sign-in?token={} "):
        stranger.cookies.clear()
        answer = stranger.post("/sign-in", data={"token": paste.format(issue_token(connection, anna)), "next": "/"})
        assert answer.status_code == 200
        assert COOKIE in answer.cookies


def test_a_wrong_token_is_refused_in_words(stranger: TestClient) -> None:
    answer = stranger.post("/sign-in", data={"token": "<script>", "next": "//evil.example"})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "<script>" not in answer.text
    assert "evil.example" not in answer.text


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("/label?case=3", "/label?case=3"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\nb", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_sign_in_leads_nowhere_else(given: str | None, there: str) -> None:
    assert local_path(given) == there


def test_signing_out_ends_the_session_on_the_server(client: TestClient) -> None:
    kept = client.cookies[COOKIE]
    assert "Signed in as <b>anna</b>" in client.get("/sign-out").text
    assert client.post("/sign-out").status_code == 303
    client.cookies.set(COOKIE, kept)
    assert client.get("/api/v1/cases/1").status_code == 401


def test_an_ended_session_counts_at_once(client: TestClient, connection: sqlite3.Connection) -> None:
    assert client.get("/api/v1/cases/1").status_code == 404
    end_session(connection, client.cookies[COOKIE])
    assert client.get("/api/v1/cases/1").status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "user@evil.example:8501", "10.0.0.7"])
def test_another_host_name_is_not_served(stranger: TestClient, host: str) -> None:
    assert stranger.get("/healthz", headers={"host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8501", "localhost:9999", "[::1]:8501", "LOCALHOST"])
def test_loopback_names_are_served_on_any_port(stranger: TestClient, host: str) -> None:
    assert stranger.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_sites_request_changes_nothing(client: TestClient, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/api/v1/events"), ("POST", "/sign-out"), ("PUT", "/api/v1/uploads/a/b")):
        assert client.request(method, path, headers=headers).status_code == 403
    assert client.get("/api/v1/cases/1", headers=headers).status_code == 404


def test_a_page_of_ours_may_change_something(client: TestClient) -> None:
    headers = {"origin": "http://127.0.0.1:8501", "sec-fetch-site": "same-origin"}
    assert client.post("/api/v1/events", json={}, headers=headers).status_code == 422


def test_every_answer_carries_the_walls(stranger: TestClient) -> None:
    for path in ("/healthz", "/sign-in", "/api/v1/cases/1", "/assets/viewer/build.json"):
        headers = stranger.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "'unsafe-eval'" not in policy
        assert "frame-ancestors 'none'" in policy
        assert "http:" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


def test_health_is_told_to_everybody(stranger: TestClient) -> None:
    assert stranger.get("/healthz").json()["status"] == "ok"


def test_the_bundle_is_cached_for_ever(stranger: TestClient) -> None:
    from dashboard.viewer import BUNDLE

    assert "immutable" in stranger.get(f"/assets/viewer/{BUNDLE}").headers["cache-control"]


def test_the_plain_pages_bring_their_own_font(stranger: TestClient) -> None:
    page = stranger.get("/sign-in").text
    assert 'url("/assets/source-sans.woff2")' in page
    font = stranger.get("/assets/source-sans.woff2")
    assert font.headers["content-type"] == "font/woff2"
    assert font.content[:4] == b"wOF2"


def test_two_readrooms_on_one_machine_do_not_share_a_cookie() -> None:
    assert cookie_name(8501) != cookie_name(8502)


def doors(settings: Settings, host: str) -> TestClient:
    """The doors around a page and a websocket that both tell who is there."""

    async def page(request):  # type: ignore[no-untyped-def]
        return PlainTextResponse(request.user.name)

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(websocket.user.name)
        await websocket.close()

    app = Starlette(
        routes=[Route("/", page), WebSocketRoute("/_stcore/stream", socket)],
        middleware=make_middleware(settings, host, COOKIE, frozenset()),
    )
    return TestClient(app, base_url="http://127.0.0.1:8501", follow_redirects=False)


def test_a_websocket_needs_sign_in(settings: Settings) -> None:
    with pytest.raises(WebSocketDisconnect), doors(settings, "127.0.0.1").websocket_connect(SOCKET):
        raise AssertionError("it opened")


def test_a_websocket_of_another_site_is_refused(settings: Settings, client: TestClient) -> None:
    inside = doors(settings, "127.0.0.1")
    inside.cookies = client.cookies
    with inside.websocket_connect(SOCKET, headers={"origin": "http://127.0.0.1:8501"}) as socket:
        assert socket.receive_text() == "anna"
    with (
        pytest.raises(WebSocketDisconnect),
        inside.websocket_connect(SOCKET, headers={"origin": "http://evil.example"}),
    ):
        raise AssertionError("it opened")


def test_listening_everywhere_takes_addresses_but_no_unknown_names(settings: Settings, client: TestClient) -> None:
    inside = doors(settings, "0.0.0.0")
    inside.cookies = client.cookies
    assert inside.get("/", headers={"host": "10.0.0.7:8501"}).status_code != 400
    assert inside.get("/", headers={"host": "evil.example"}).status_code == 400


def behind_proxy(settings: Settings, sender: str) -> TestClient:
    """A server on loopback that lets nobody in without TLS, behind a proxy at 127.0.0.1, asked from `sender`."""
    app = Starlette(
        routes=make_routes(settings, COOKIE, passwords=True),
        middleware=make_middleware(settings, "127.0.0.1", COOKIE, frozenset({"ward.example"}), https_only=True),
    )
    asked = ProxyHeadersMiddleware(app, trusted_hosts=["127.0.0.1"])  # type: ignore[arg-type]
    return TestClient(asked, base_url="http://ward.example", follow_redirects=False, client=(sender, 40000))  # type: ignore[arg-type]


FORWARDED = {"x-forwarded-for": "10.1.2.3", "x-forwarded-proto": "https"}


def test_behind_a_proxy_the_cookie_is_kept_to_tls_and_the_address_is_the_readers(
    settings: Settings, connection: sqlite3.Connection, anna: User
) -> None:
    client = behind_proxy(settings, "127.0.0.1")
    form = {"token": issue_token(connection, anna), "new_password": "a few good words", "repeated": "a few good words"}
    answer = client.post("/sign-in", data=form, headers=FORWARDED)
    assert answer.status_code == 200
    assert "; Secure" in answer.headers["set-cookie"]
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert {row["address"] for row in connection.execute("SELECT address FROM audit WHERE what = 'sign in'")} == {
        "10.1.2.3"
    }


@pytest.mark.parametrize(("sent", "by"), [("https", "; Secure"), ("http", "")])
def test_within_tls_every_cookie_is_kept_to_tls_whoever_sets_it(settings: Settings, sent: str, by: str) -> None:
    """Streamlit sets one of its own, `_streamlit_xsrf`, and does not say Secure behind a proxy."""

    async def foreign(_: Request) -> PlainTextResponse:
        answer = PlainTextResponse("")
        answer.set_cookie("_streamlit_xsrf", "x")
        answer.set_cookie("insecure", "secure", secure=True)
        return answer

    app = Starlette(
        routes=[Route("/healthz", foreign)],
        middleware=make_middleware(settings, "127.0.0.1", COOKIE, frozenset({"ward.example"}), https_only=True),
    )
    asked = ProxyHeadersMiddleware(app, trusted_hosts=["127.0.0.1"])  # type: ignore[arg-type]
    client = TestClient(asked, base_url="http://ward.example", client=("127.0.0.1", 40000))  # type: ignore[arg-type]
    set_by_others = client.get("/healthz", headers=FORWARDED | {"x-forwarded-proto": sent}).headers.get_list(
        "set-cookie"
    )
    assert set_by_others == [
        f"_streamlit_xsrf=x; Path=/; SameSite=lax{by}", "insecure=secure; Path=/; SameSite=lax; Secure"
    ]  # fmt: skip


def test_from_the_network_a_link_that_a_mail_scanner_opened_is_still_good(
    settings: Settings, connection: sqlite3.Connection, anna: User
) -> None:
    connection.execute("UPDATE users SET password = 'set' WHERE id = ?", (anna.id,))
    client, token = behind_proxy(settings, "127.0.0.1"), issue_token(connection, anna)
    for _ in range(2):
        looked = client.get(f"/sign-in?token={token}&next=/label", headers=FORWARDED)
        assert looked.status_code == 200
        assert "set-cookie" not in looked.headers
        assert "<button autofocus>Sign in</button>" in looked.text
    pressed = client.post("/sign-in", data={"token": token, "next": "/label"}, headers=FORWARDED)
    assert "set-cookie" in pressed.headers
    assert 'content="0;url=/label"' in pressed.text
    assert client.post("/sign-in", data={"token": token, "next": "/"}, headers=FORWARDED).status_code == 401


def test_by_tls_a_session_is_known_only_by_the_cookie_that_no_other_host_can_set(
    settings: Settings, connection: sqlite3.Connection, anna: User
) -> None:
    client = behind_proxy(settings, "127.0.0.1")
    form = {"token": issue_token(connection, anna), "new_password": "a few good words", "repeated": "a few good words"}
    name, _, rest = client.post("/sign-in", data=form, headers=FORWARDED).headers["set-cookie"].partition("=")
    session = rest.partition(";")[0]
    assert name == f"__Host-{COOKIE}"
    assert "Path=/" in rest
    assert "Domain" not in rest
    client.cookies.clear()
    for cookie, by, status in (
        (name, FORWARDED, 200),
        (COOKIE, FORWARDED, 401),
        (COOKIE, {"host": "127.0.0.1:8501"}, 200),  # who sits here needs no TLS, and a browser keeps no such name
    ):
        assert client.get("/account", headers={**by, "cookie": f"{cookie}={session}"}).status_code == status
    left = client.post("/sign-out", headers={**FORWARDED, "cookie": f"{name}={session}"})
    assert left.headers["set-cookie"].startswith(f'{name}=""')
    assert "Max-Age=0" in left.headers["set-cookie"]


def test_what_a_stranger_says_of_itself_is_not_believed(settings: Settings) -> None:
    client = behind_proxy(settings, "10.1.2.3")
    assert client.get("/sign-in", headers={**FORWARDED, "x-forwarded-for": "127.0.0.1"}).status_code == 403


def test_a_proxy_that_was_reached_without_tls_lets_nobody_sign_in(settings: Settings) -> None:
    client = behind_proxy(settings, "127.0.0.1")
    refused = client.get("/sign-in", headers=FORWARDED | {"x-forwarded-proto": "http"})
    assert refused.status_code == 403
    assert "https://" in refused.text
    assert client.get("/sign-in", headers=FORWARDED).status_code == 200
    assert client.get("/sign-in").status_code == 403, "a proxy that forwards nothing is not this machine"
    for name in ("127.0.0.1:8501", "localhost", "[::1]:8501"):
        assert client.get("/sign-in", headers={"host": name}).status_code == 200, "who sits here needs no TLS"


def test_health_is_told_without_tls_too(settings: Settings) -> None:
    assert behind_proxy(settings, "10.1.2.3").get("/healthz").status_code == 200


def test_without_tls_no_browser_is_told_to_insist_on_it(stranger: TestClient) -> None:
    assert "strict-transport-security" not in stranger.get("/sign-in").headers


def test_the_start_page_of_streamlit_is_public_to_nobody(stranger: TestClient, tmp_path: Path) -> None:
    assert stranger.get("/", headers=PAGE).status_code == 303
    assert stranger.get("/sign-in-please", headers=PAGE).status_code == 303
