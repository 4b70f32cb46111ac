"""What waits for a check of its pixels is refused to readers by every route, and shown to those who import."""

import sqlite3

import numpy as np
import pytest
from starlette.testclient import TestClient

from core.images.pixel_checks import hold, release
from core.images.records import Case, get_case
from core.labels.records import new_event
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.people.sessions import issue_token, redeem_token
from core.projects.records import Project
from core.store.audit import Actor
from tests.dashboard.conftest import COOKIE, MakeCase

REASON = "Images of this kind often carry the patient's name in their pixels: modality US."


@pytest.fixture
def held(connection: sqlite3.Connection, make_case: MakeCase) -> Case:
    case = make_case()
    hold(connection, case, REASON, "D1")
    return get_case(connection, case.id)


@pytest.fixture
def reader(stranger: TestClient, connection: sqlite3.Connection, project: Project, actor: Actor) -> TestClient:
    rita = ensure_user(connection, "rita")
    set_member(connection, project.id, "rita", "reader", actor=actor)
    stranger.cookies.set(COOKIE, redeem_token(connection, issue_token(connection, rita), hours=1))
    return stranger


def addresses(case: Case) -> list[str]:
    return [
        f"/api/v1/cases/{case.id}",
        f"/api/v1/cases/{case.id}/marks",
        f"/api/v1/cases/{case.id}/draft",
        f"/api/v1/pixels/{case.pixel_hash}.npy",
        f"/api/v1/pixels/{case.pixel_hash}.npy?frame=0",
        f"/api/v1/thumbnails/{case.pixel_hash}.webp",
    ]


def test_a_reader_gets_403_with_the_reason(reader: TestClient, held: Case) -> None:
    for address in addresses(held):
        answer = reader.get(address)
        assert answer.status_code == 403, address
        assert "modality US" in answer.text, address


def test_who_may_import_sees_it(client: TestClient, held: Case) -> None:
    for address in (one for one in addresses(held) if "draft" not in one):
        assert client.get(address).status_code == 200, address


def test_a_readers_answer_on_it_is_put_aside(
    reader: TestClient, connection: sqlite3.Connection, project: Project, held: Case
) -> None:
    event = {
        "event": new_event(), "type": "label", "case": held.id, "made_at": "2026-01-01T10:00:00.000Z",
        "schema_version": project.schema_version, "made_in": "label page", "unsure": False, "unusable": False,
        "note": "", "value": {"classes": [project.schema.names[0]]},
    }  # fmt: skip
    answer = reader.post("/api/v1/events", json={"events": [event]}, headers={"Origin": str(reader.base_url)})
    assert answer.status_code == 422
    assert "pixels" in answer.json()["refused"][0]["reason"]
    assert connection.execute("SELECT count(*) FROM labels").fetchone()[0] == 0


def test_once_released_the_reader_sees_it(
    reader: TestClient, connection: sqlite3.Connection, held: Case, actor: Actor
) -> None:
    release(connection, held.id, actor)
    assert reader.get(f"/api/v1/cases/{held.id}").status_code == 200
    assert reader.get(f"/api/v1/pixels/{held.pixel_hash}.npy").status_code == 200


def test_the_same_pixels_in_a_free_case_are_shown(
    reader: TestClient, connection: sqlite3.Connection, make_case: MakeCase, held: Case
) -> None:
    pixels = np.random.default_rng(0).integers(0, 4000, (48, 64)).astype(np.uint16)
    free = make_case(pixels, number=5)
    assert free.pixel_hash == held.pixel_hash
    assert reader.get(f"/api/v1/pixels/{held.pixel_hash}.npy").status_code == 200
    assert reader.get(f"/api/v1/cases/{held.id}").status_code == 403
