"""Too much in a short time is refused with a time to come back; a browser with thousands of files never is."""

import asyncio
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send

from core.people.accounts import User
from core.settings import Settings
from dashboard.limits import MANY_CALLERS, Allowance, RateLimits, address_key

PATH = "/api/v1/uploads"
ANNA = User(1, "anna", "person", "admin")
BEN = User(2, "ben", "person", "reader")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_allowance_is_used_up_and_comes_back(clock: Clock) -> None:
    allowance = Allowance(most=3, per_second=0.5, clock=clock)
    for _ in range(3):
        assert allowance.wait_seconds("a") == 0
        allowance.take("a")
    assert allowance.wait_seconds("a") == 2
    assert allowance.wait_seconds("b") == 0, "another caller has its own"
    clock.now += 1
    assert allowance.wait_seconds("a") == 1
    clock.now += 1
    assert allowance.wait_seconds("a") == 0
    clock.now += 1000
    for _ in range(3):
        allowance.take("a")
    assert allowance.wait_seconds("a") == 2, "rest is not saved up beyond the most"


def test_a_debt_is_waited_for(clock: Clock) -> None:
    allowance = Allowance(most=100, per_second=10, clock=clock)
    allowance.take("a", 150)
    assert allowance.wait_seconds("a") == 6


def test_callers_who_rested_are_forgotten(clock: Clock) -> None:
    allowance = Allowance(most=2, per_second=1, clock=clock)
    for number in range(MANY_CALLERS):
        allowance.take(str(number))
    clock.now += 10
    allowance.take("busy")
    assert set(allowance.left) == {"busy"}


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("10.0.0.7", "10.0.0.7"),
        ("2001:db8:1:2::7", "20010db800010002::/64"),
        ("2001:db8:1:2:ffff::", "20010db800010002::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_caller_counts_by_the_half_that_is_given_out(address: str, key: str) -> None:
    assert address_key({"client": (address, 1)}) == key
    assert address_key({"client": None}) == ""


class TestThroughTheDoors:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, sign_ins_per_minute=3, uploads_per_minute=2)

    def test_the_fourth_sign_in_of_an_address_is_told_to_wait(self, stranger: TestClient) -> None:
        tries = [stranger.post("/sign-in", data={"token": "wrong"}) for _ in range(4)]
        assert [answer.status_code for answer in tries] == [401, 401, 401, 429]
        assert 1 <= int(tries[-1].headers["retry-after"]) <= 20
        assert "Try again in" in tries[-1].text
        assert tries[-1].headers["content-security-policy"], "a refusal carries the walls too"
        assert stranger.get("/sign-in").status_code == 200, "reading the page is free"

    def test_guessing_the_present_password_counts_as_well(self, client: TestClient) -> None:
        tries = [client.post("/account", data={"new_password": "a"}) for _ in range(4)]
        assert [answer.status_code for answer in tries] == [422, 422, 422, 429]

    def test_uploads_are_begun_only_so_often(self, client: TestClient) -> None:
        begun = [client.post(PATH) for _ in range(3)]
        assert [answer.status_code for answer in begun] == [201, 201, 429]
        assert "Try again in" in begun[-1].json()["reason"]
        assert int(begun[-1].headers["retry-after"]) >= 1

    def test_a_hundred_files_of_one_upload_are_no_offence(self, client: TestClient, settings: Settings) -> None:
        token = client.post(PATH).json()["upload"]
        statuses = {client.put(f"{PATH}/{token}/{number}.png", content=b"x").status_code for number in range(100)}
        assert statuses == {200}
        assert len(list((settings.home / "uploads" / token / "files").iterdir())) == 100

    def test_a_stranger_is_refused_before_being_counted(self, stranger: TestClient) -> None:
        assert {stranger.post(PATH).status_code for _ in range(5)} == {401}


class Pieces:
    """Pieces that wait inside the route until they are let go."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.go = asyncio.Event()
        self.limits = RateLimits(self._route, settings, clock)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await self.go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(self, user: User, body: bytes = b"x", path: str = f"{PATH}/abc/a.png") -> int:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        scope: dict[str, Any] = {"type": "http", "method": "PUT", "path": path, "user": user}
        await self.limits({**scope, "client": ("127.0.0.1", 1), "headers": []}, receive, send)
        return int(sent[0]["status"])


def test_only_so_many_pieces_of_one_person_are_under_way(settings: Settings, clock: Clock) -> None:
    async def walk() -> None:
        pieces = Pieces(replace(settings, upload_pieces_at_once=2), clock)
        waiting = [asyncio.create_task(pieces.send(ANNA)) for _ in range(2)]
        await asyncio.sleep(0)
        assert await pieces.send(ANNA) == 429
        other = asyncio.create_task(pieces.send(BEN))
        await asyncio.sleep(0)
        pieces.go.set()
        assert await asyncio.gather(*waiting, other) == [200, 200, 200]
        assert await pieces.send(ANNA) == 200, "who is done makes room"

    asyncio.run(walk())


def test_bytes_are_counted_over_half_a_minute(settings: Settings, clock: Clock) -> None:
    async def walk() -> None:
        pieces = Pieces(replace(settings, upload_bytes_per_second=10), clock)
        pieces.go.set()
        assert [await pieces.send(ANNA, b"x" * 150) for _ in range(3)] == [200, 200, 429]
        assert await pieces.send(BEN, b"x") == 200
        clock.now += 1
        assert await pieces.send(ANNA) == 200

    asyncio.run(walk())


def test_tables_of_one_person_are_counted_and_weighed(settings: Settings, clock: Clock) -> None:
    table = "/_stcore/upload_file/session/file"

    async def walk() -> None:
        pieces = Pieces(replace(settings, table_bytes_per_minute=600, uploads_per_minute=4), clock)
        pieces.go.set()
        assert [await pieces.send(ANNA, b"x" * 500, table) for _ in range(3)] == [200, 200, 429]
        assert await pieces.send(BEN, b"x", table) == 403, "who may neither import nor freeze sends none at all"
        clock.now += 60
        assert [await pieces.send(ANNA, b"x", table) for _ in range(5)] == [200, 200, 200, 200, 429]
        assert await pieces.send(ANNA) == 200, "images go by another way"

    asyncio.run(walk())


def test_a_refused_upload_names_no_file_in_the_log(
    client: TestClient, caplog: pytest.LogCaptureFixture, connection: sqlite3.Connection
) -> None:
    clock = Clock()

    async def walk() -> None:
        pieces = Pieces(replace(Settings(home=Path("/nowhere")), upload_bytes_per_second=1), clock)
        pieces.go.set()
        await pieces.send(ANNA, b"x" * 100)
        assert await pieces.send(ANNA) == 429

    asyncio.run(walk())
    assert "Too many requests" in caplog.text
    assert "a.png" not in caplog.text
