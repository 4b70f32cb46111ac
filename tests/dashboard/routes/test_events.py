"""Where answers arrive: stored once, refused with a reason, never another's."""

import json
import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from core.erasing.erase import erase
from core.erasing.plan import plan_erasure
from core.images.records import Case
from core.labels.records import current_labels, list_labels
from core.projects.records import Project, add_project
from core.projects.schema import Quantity, Regression
from core.store.audit import Actor
from core.store.files import Files

PATH = "/api/v1/events"


def an_event(case: Case, /, **changes: Any) -> dict[str, Any]:
    return {
        "event": str(uuid.uuid4()),
        "type": "label",
        "case": case.id,
        "value": {"classes": ["normal"]},
        "unsure": False,
        "unusable": False,
        "note": "",
        "schema_version": 1,
        "made_at": "2026-11-22T10:42:03.123Z",
        "made_in": "label page",
    } | changes


def test_an_answer_is_stored_and_acknowledged(client: TestClient, case: Case, connection: sqlite3.Connection) -> None:
    event = an_event(case, unsure=True, note="rotated")
    answer = client.post(PATH, json={"events": [event]})
    assert answer.status_code == 200
    (label,) = current_labels(connection, case.id)
    assert (label.reader, label.value, label.unsure, label.note) == ("anna", {"classes": ["normal"]}, True, "rotated")
    assert (label.made_at, label.entered_by) == (event["made_at"], "anna")
    receipt = {"event": event["event"], "label": label.id, "stored_at": label.stored_at}
    assert answer.json() == {"acknowledged": [receipt], "refused": []}


def test_an_answer_that_is_sent_twice_is_stored_once(
    client: TestClient, case: Case, connection: sqlite3.Connection
) -> None:
    event = an_event(case)
    first, second = (client.post(PATH, json={"events": [event]}).json() for _ in range(2))
    assert first == second
    assert len(list_labels(connection, case.id)) == 1


def test_an_answer_can_be_taken_back(client: TestClient, case: Case, connection: sqlite3.Connection) -> None:
    back = an_event(case, value=None, made_at="2026-11-22T10:42:04.000Z")
    assert client.post(PATH, json={"events": [an_event(case), back]}).status_code == 200
    assert current_labels(connection, case.id) == []
    assert len(list_labels(connection, case.id)) == 2


def test_what_is_refused_holds_nothing_else_back(
    client: TestClient, case: Case, connection: sqlite3.Connection
) -> None:
    good, bad = an_event(case), an_event(case, value={"classes": ["cat"]})
    answer = client.post(PATH, json={"events": [bad, good]})
    assert answer.status_code == 422
    assert [told["event"] for told in answer.json()["acknowledged"]] == [good["event"]]
    (refused,) = answer.json()["refused"]
    assert refused["event"] == bad["event"]
    assert "cat" in refused["reason"]
    assert len(list_labels(connection, case.id)) == 1


def test_several_numbers_arrive_together_or_not_at_all(
    client: TestClient, case: Case, connection: sqlite3.Connection, actor: Actor
) -> None:
    schema = Regression("age", "years", 0, 120, None, (Quantity("weight", "kg"),))
    other = add_project(connection, name="Bodies", task="regression", schema=schema, actor=actor)
    connection.execute("UPDATE cases SET project = ? WHERE id = ?", (other.id, case.id))
    whole, half = {"age": 62.0, "weight": 70.5}, {"age": 62.0}
    events = [an_event(case, value={"values": numbers}) for numbers in (half, whole)]
    answer = client.post(PATH, json={"events": events})
    assert [told["event"] for told in answer.json()["acknowledged"]] == [events[1]["event"]]
    assert "Received: no weight" in answer.json()["refused"][0]["reason"]
    assert [label.value for label in current_labels(connection, case.id)] == [{"values": whole}]


@pytest.mark.parametrize(
    "spoiled", [{"event": "\ud800"}, {"\ud800": 1}, {"type": "\ud800"}, {"event": float("nan")}], ids=ascii
)
def test_half_a_letter_is_refused_and_what_came_before_it_is_acknowledged(
    client: TestClient, case: Case, connection: sqlite3.Connection, spoiled: dict[str, Any]
) -> None:
    good, bad = an_event(case), an_event(case, **spoiled)
    answer = client.post(PATH, content=json.dumps({"events": [good, bad]}))
    assert answer.status_code == 422
    assert [told["event"] for told in answer.json()["acknowledged"]] == [good["event"]]
    (refused,) = answer.json()["refused"]
    assert refused["event"] == (bad["event"] if isinstance(bad["event"], str) else None)
    assert len(list_labels(connection, case.id)) == 1


def test_the_same_event_with_another_answer_is_refused(client: TestClient, case: Case) -> None:
    event = an_event(case)
    client.post(PATH, json={"events": [event]})
    answer = client.post(PATH, json={"events": [event | {"value": {"classes": ["pneumonia"]}}]})
    assert answer.status_code == 422


def test_nobody_answers_for_another_reader(client: TestClient, case: Case, connection: sqlite3.Connection) -> None:
    answer = client.post(PATH, json={"events": [an_event(case, reader="ben")]})
    assert answer.status_code == 422
    assert "ben" in answer.json()["refused"][0]["reason"]
    assert list_labels(connection, case.id) == []
    assert client.post(PATH, json={"events": [an_event(case, reader="anna")]}).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"case": 999},
        {"case": "1"},
        {"case": True},
        {"case": -1},
        {"case": 1 << 70},
        {"value": ["normal"]},
        {"value": {"classes": ["normal", "pneumonia"]}},
        {"value": {"classes": []}},
        {"unsure": 1},
        {"note": 5},
        {"note": "x" * 10_001},
        {"schema_version": 2},
        {"schema_version": 1.0},
        {"made_at": "yesterday"},
        {"made_in": "import"},
        {"type": "box"},
        {"event": ""},
        {"entered_by": "ben"},
    ],
    ids=str,
)
def test_an_event_that_cannot_be_understood_is_refused_with_a_reason(
    client: TestClient, case: Case, connection: sqlite3.Connection, changes: dict[str, Any]
) -> None:
    answer = client.post(PATH, json={"events": [an_event(case, **changes)]})
    assert answer.status_code == 422
    assert answer.json()["refused"][0]["reason"]
    assert list_labels(connection, case.id) == []


@pytest.mark.parametrize("missing", ["event", "type", "case", "made_at", "schema_version", "made_in"])
def test_an_event_that_lacks_something_is_refused(client: TestClient, case: Case, missing: str) -> None:
    event = an_event(case)
    del event[missing]
    answer = client.post(PATH, json={"events": [event]})
    assert answer.status_code == 422
    assert missing in answer.json()["refused"][0]["reason"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"events": []}', b'{"events": {}}', b"\xff", b"[" * 100_000]
)
def test_a_body_that_is_no_list_of_events_is_refused(client: TestClient, body: bytes) -> None:
    answer = client.post(PATH, content=body)
    assert answer.status_code == 422
    assert "Received" in answer.json()["reason"]


def test_too_much_at_once_is_refused(client: TestClient, case: Case) -> None:
    assert client.post(PATH, json={"events": [an_event(case)] * 501}).status_code == 422
    assert client.post(PATH, content=b" " * (32 << 20) + b"{}").status_code == 413


def test_an_event_that_is_no_object_is_refused(client: TestClient, project: Project) -> None:
    assert client.post(PATH, json={"events": ["label"]}).status_code == 422


def test_a_late_answer_to_an_erased_case_is_put_aside_and_holds_no_other_back(
    client: TestClient,
    connection: sqlite3.Connection,
    files: Files,
    project: Project,
    make_case: Callable[..., Case],
) -> None:
    first, erased = make_case(number=1), make_case(number=2)
    plan = plan_erasure(connection, files, project, case_ids=[erased.id])
    erase(connection, files, plan, actor=Actor("anna", "screen"), reason="")
    newcomer = make_case(number=3)  # must not bear the number of the one that is gone
    late, good = an_event(erased), an_event(first)
    answer = client.post(PATH, json={"events": [late, good]})
    assert answer.status_code == 422
    assert answer.json()["refused"] == [
        {
            "event": late["event"],
            "reason": f"This case was deleted for good; nothing more is kept about it. Received: case {erased.id}",
        }
    ]
    assert [receipt["event"] for receipt in answer.json()["acknowledged"]] == [good["event"]]
    assert list_labels(connection, newcomer.id) == []
