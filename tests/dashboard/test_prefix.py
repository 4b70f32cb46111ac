"""Readroom below a path of its host: doors, forms, links and cookies, without a browser."""

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from core.errors import CoreError
from core.people import sessions
from core.people.accounts import User
from core.people.sessions import issue_token
from core.projects.schema import make_classification
from core.settings import PROJECT_ROOT, Settings
from dashboard import places, prefix, sidebar, thumbnails
from dashboard.middleware import cookie_name
from dashboard.prefix import at, lie_under
from dashboard.routes.answers import answer_refusal
from dashboard.routes.sign_in import local_path
from dashboard.server import make_middleware, make_routes

HOST, PREFIX = "ward.example", "/readroom"
COOKIE = cookie_name(8501, PREFIX)
PASSWORD = "grey horses sleep standing"
SIGN_INS = 2  # in a minute: so few that a slow machine does not earn another meanwhile


@pytest.fixture(autouse=True)
def below() -> Iterator[None]:
    lie_under(PREFIX)
    yield
    lie_under("")


@pytest.fixture
def stranger(settings: Settings) -> Iterator[TestClient]:
    settings = replace(settings, sign_ins_per_minute=SIGN_INS)

    def set_as_streamlit_does(_: object) -> PlainTextResponse:
        return PlainTextResponse("", headers={"set-cookie": "_streamlit_xsrf=2|a|b; Path=/; SameSite=Lax"})

    app = Starlette(
        routes=[*make_routes(settings, COOKIE), Route("/_stcore/health", set_as_streamlit_does)],
        middleware=make_middleware(settings, "127.0.0.1", COOKIE, frozenset({HOST}), prefix=PREFIX),
        exception_handlers={CoreError: answer_refusal},  # type: ignore[dict-item]
    )
    with TestClient(app, base_url=f"https://{HOST}", follow_redirects=False) as client:
        yield client


@pytest.fixture
def cheap_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "hash_password", lambda password: f"sum of {password}")
    monkeypatch.setattr(sessions, "is_password", lambda password, kept: kept == f"sum of {password}")


def addresses_in(html: str) -> set[str]:
    return set(re.findall(r"""(?:href|src|action|url=|url\()=?["']?(/[^"'>)]*)""", html))


def test_it_works_from_the_link_to_signing_out(
    stranger: TestClient, connection: sqlite3.Connection, anna: User, cheap_sums: None
) -> None:
    asked = stranger.get(f"{PREFIX}/label?project=1", headers={"accept": "text/html"})
    assert asked.status_code == 303
    assert asked.headers["location"] == f"{PREFIX}/sign-in?next=%2Freadroom%2Flabel%3Fproject%3D1"

    fields = {"token": issue_token(connection, anna), "new_password": PASSWORD, "repeated": PASSWORD}
    answer = stranger.post(f"{PREFIX}/sign-in", data={**fields, "next": f"{PREFIX}/label"})
    assert answer.status_code == 200
    assert f'content="0;url={PREFIX}/label"' in answer.text
    # Not to the neighbours of this host: `__Host-` would be for every path.
    assert answer.headers["set-cookie"].startswith(f"__Secure-{COOKIE}=")
    for part in ("Path=/readroom", "Secure", "HttpOnly", "SameSite=strict"):
        assert part in answer.headers["set-cookie"].split("; ")

    assert stranger.get(f"{PREFIX}/api/v1/cases/7").json() == {"reason": "There is no case 7."}
    assert stranger.get(f"{PREFIX}/api/v1/nothing").status_code == 404
    gone = stranger.post(f"{PREFIX}/sign-out")
    assert gone.headers["location"] == f"{PREFIX}/sign-in"
    assert "Path=/readroom" in gone.headers["set-cookie"].split("; ")
    assert stranger.get(f"{PREFIX}/api/v1/cases/7").status_code == 401


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/account"])
def test_every_address_on_a_plain_page_lies_below(
    stranger: TestClient, connection: sqlite3.Connection, anna: User, cheap_sums: None, path: str
) -> None:
    told = addresses_in(stranger.get(f"{PREFIX}{path}").text)
    told |= addresses_in(stranger.get(f"{PREFIX}{path}?token={issue_token(connection, anna)}").text)
    fields = {"token": issue_token(connection, anna), "new_password": PASSWORD, "repeated": PASSWORD}
    stranger.post(f"{PREFIX}/sign-in", data=fields)
    if path != "/sign-in":
        told |= addresses_in(stranger.get(f"{PREFIX}{path}").text)
    assert f"{PREFIX}/assets/theme.js" in told or path != "/sign-in"
    assert all(address.startswith(f"{PREFIX}/") for address in told), told
    assert len(told) > 3


def test_what_the_pages_name_is_there(stranger: TestClient) -> None:
    for address in addresses_in(stranger.get(f"{PREFIX}/sign-in").text):
        assert stranger.get(address).status_code == 200, address


def test_streamlits_cookies_stay_below_as_well(stranger: TestClient) -> None:
    set_by_it = stranger.get(f"{PREFIX}/_stcore/health").headers["set-cookie"]
    assert set_by_it == "_streamlit_xsrf=2|a|b; Path=/readroom; SameSite=Lax; Secure"


def test_outside_the_prefix_nothing_is_served(stranger: TestClient) -> None:
    for path in ("/", "/healthz", "/sign-in", "/readroom2/sign-in", "/readrooms"):
        answer = stranger.get(path)
        assert answer.status_code == 404, path
        assert "lies under /readroom/ here" in answer.text
        assert answer.headers["content-security-policy"]
    assert stranger.get(PREFIX).headers["location"] == f"{PREFIX}/"
    assert stranger.get(f"{PREFIX}/healthz").status_code == 200
    with pytest.raises(WebSocketDisconnect), stranger.websocket_connect("/_stcore/stream"):
        pass


@pytest.mark.parametrize(
    "given",
    [
        "/",
        "/other/label",
        "//evil.example/readroom/",
        "/readroom/../other",
        "/readroom/%2e%2E/other",
        "/readroom/..\\other",
    ],
)
def test_signing_in_never_leads_to_a_neighbour(given: str) -> None:
    assert local_path(given) == f"{PREFIX}/"
    assert local_path(f"{PREFIX}/label?name=..") == f"{PREFIX}/label?name=.."


def test_sign_ins_below_a_prefix_are_counted(stranger: TestClient) -> None:
    tries = [stranger.post(f"{PREFIX}/sign-in", data={"token": "x"}).status_code for _ in range(SIGN_INS + 1)]
    assert tries == [401] * SIGN_INS + [429]


def test_links_on_screen_lie_below() -> None:
    assert places.address("projects") == f"{PREFIX}/"
    assert places.address("label", project=3) == f"{PREFIX}/label?project=3"
    tile = {"address": "/x", "pixel_hash": "ab", "name": "a", "reference": None, "flagged": False}
    html = thumbnails.grid_html([tile], make_classification(["a", "b"]))
    assert f'src="{PREFIX}/api/v1/thumbnails/ab.webp"' in html
    assert at(sidebar.ACCOUNT_LINKS[0][0]) == f"{PREFIX}/account"
    assert prefix.at("") == PREFIX


def test_no_address_goes_around_the_one_place_that_knows() -> None:
    """In our own pages, scripts and forms an address from the root is written with `at`."""
    from_the_root = re.compile(
        r"""(?:href|src|action|content|url)=["']/|\[[^]]*\]\(/[a-z]|url\(["']?/|fetch\(["'`]/|URL\(["'`]/|Response\(f?["']/"""
    )
    folder = PROJECT_ROOT / "dashboard"
    sources = [path for kind in ("py", "html", "js", "css") for path in folder.rglob(f"*.{kind}")]
    sources = [path for path in sources if "build" not in path.parts]
    assert len(sources) > 50
    for path in [*sources, *(PROJECT_ROOT / "pages").glob("*.py")]:
        for line in path.read_text("utf-8").splitlines():
            assert not from_the_root.search(line), f"{path}: {line.strip()}"


def test_two_readrooms_of_one_host_do_not_sign_each_other_out() -> None:
    assert len({cookie_name(8501), cookie_name(8501, "/a"), cookie_name(8501, "/b")}) == 3
