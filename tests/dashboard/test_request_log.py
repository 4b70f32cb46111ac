"""What the web process writes down of a day's work: routes and numbers, and nobody's name, patient or token."""

import json
import logging
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from core.images.records import Case
from core.logs import start_log
from core.people.accounts import User
from core.people.sessions import issue_token
from core.settings import Settings
from dashboard.request_log import RequestLog
from tests.dashboard.conftest import COOKIE

PATIENT, FILE_NAME = "Miller^Agnes", "Miller_Agnes_1950.png"


@pytest.fixture
def log_file(settings: Settings) -> Iterator[Path]:
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # the test's own browser, which is no part of Readroom
    yield start_log(settings, "web", {"READROOM_LOG_LEVEL": "DEBUG"})
    logging.getLogger("httpx2").setLevel(logging.NOTSET)
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = kept
    root.setLevel(level)
    logging.captureWarnings(False)


def requests_in(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [line for line in lines if line["message"] == "request"]


def test_a_days_work_leaves_no_name_patient_file_or_token(
    log_file: Path, stranger: TestClient, connection: sqlite3.Connection, anna: User, case: Case
) -> None:
    connection.execute("UPDATE cases SET patient = ?, source = ? WHERE id = ?", (PATIENT, FILE_NAME, case.id))
    token = issue_token(connection, anna)
    stranger.get(f"/sign-in?token={token}")
    stranger.post("/sign-in", data={"token": token, "next": "/"})
    session = stranger.cookies.get(COOKIE) or stranger.cookies.get(f"__Host-{COOKIE}") or ""
    assert session, "nobody was signed in"
    upload = stranger.post("/api/v1/uploads").json()["upload"]
    stranger.put(f"/api/v1/uploads/{upload}/{FILE_NAME}?offset=0", content=b"pixels")
    stranger.put(f"/api/v1/uploads/{upload}?offset=0", content=b"pixels", headers={"Readroom-Path": FILE_NAME})
    event = {
        "event": str(uuid.uuid4()), "type": "label", "case": case.id, "value": {"classes": ["normal"]},
        "schema_version": 1, "made_at": "2026-11-22T10:42:03.123Z", "made_in": "label page",
        "note": f"{PATIENT} came back",
    }  # fmt: skip
    assert stranger.post("/api/v1/events", json={"events": [event]}).status_code == 200
    assert stranger.post("/api/v1/events", json={"events": [{**event, "case": 999}]}).status_code == 422
    assert stranger.get(f"/api/v1/cases/{case.id}").status_code == 200
    stranger.get("/cases?text=Miller")
    stranger.post("/sign-in", data={"name": "Agnes Miller", "password": "not the one"})
    written = "".join(path.read_text("utf-8") for path in log_file.parent.iterdir())
    for secret in (token, session, upload, "Miller", "Agnes", case.pixel_hash, "anna", "token="):
        assert secret not in written, secret
    routes = {line["route"] for line in requests_in(log_file)}
    assert {"/sign-in", "/api/v1/events", "/api/v1/cases/{case:int}"} <= routes
    assert "/api/v1/uploads/{upload}/{path:path}" in routes


def test_a_line_says_route_status_and_time_and_the_answer_bears_its_id(
    log_file: Path, client: TestClient, case: Case
) -> None:
    answer = client.get(f"/api/v1/cases/{case.id}")
    line = requests_in(log_file)[-1]
    assert (line["method"], line["route"], line["status"]) == ("GET", "/api/v1/cases/{case:int}", 200)
    assert line["ms"] > 0
    assert line["request"] == answer.headers["x-request-id"]
    assert client.get("/healthz").headers["x-request-id"] != answer.headers["x-request-id"]


def test_what_is_refused_at_the_door_is_written_too(log_file: Path, stranger: TestClient) -> None:
    stranger.get("/api/v1/cases/1")
    line = requests_in(log_file)[-1]
    assert (line["route"], line["status"], line["level"]) == ("(refused at the door)", 401, "INFO")


def test_a_defect_is_an_error_with_its_type_and_without_its_text(log_file: Path) -> None:
    async def broken(request: Request) -> PlainTextResponse:
        raise ValueError(f"no pixels of {PATIENT}")

    app = RequestLog(Starlette(routes=[Route("/x/{case:int}", broken)]))
    answer = TestClient(app, raise_server_exceptions=False).get("/x/7")
    assert answer.status_code == 500
    line = requests_in(log_file)[-1]
    assert (line["route"], line["status"], line["level"]) == ("/x/{case:int}", 500, "ERROR")
    assert "Miller" not in log_file.read_text("utf-8")
