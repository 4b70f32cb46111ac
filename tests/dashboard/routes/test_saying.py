"""Marks and strokes arrive as events: kept whole or refused whole, never another's."""

import base64
import json
import sqlite3
import uuid
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from core.erasing.erase import erase
from core.erasing.plan import plan_erasure
from core.images.records import Case
from core.labels.marks import list_marks
from core.labels.masks import compose_mask, list_painted
from core.labels.records import current_labels
from core.labels.runs import encode_runs
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import User
from core.people.sessions import issue_token, redeem_token
from core.projects.records import Project, get_project
from core.store.audit import Actor
from core.store.files import Files
from tests.dashboard.conftest import COOKIE

PATH = "/api/v1/events"
ANNA = Actor("anna", "screen")
BOX = {"x": 1, "y": 2, "width": 3, "height": 4}


def event(case: Case, type_of: str, /, **told: Any) -> dict[str, Any]:
    return {
        "event": str(uuid.uuid4()),
        "type": type_of,
        "case": case.id,
        "schema_version": 1,
        "made_at": "2026-11-22T10:42:03.123Z",
        "made_in": "label page",
        **told,
    }


def mark(case: Case, **told: Any) -> dict[str, Any]:
    known = {"mark": "m1", "kind": "box", "frame": 0, "geometry": BOX, "label": "", "deleted": False}
    return event(case, "mark", **{**known, **told})


def stroke(case: Case, *masks: np.ndarray, **told: Any) -> dict[str, Any]:
    frames = {str(at): base64.b64encode(encode_runs(mask)).decode() for at, mask in enumerate(masks)}
    return event(case, "mask", **{"structure": "liver", "frames": frames, **told})


def reason(answer: Any) -> str:
    assert answer.status_code == 422, answer.text
    return str(answer.json()["refused"][0]["reason"])


def test_a_mark_is_stored_acknowledged_and_told_again(
    client: TestClient, case: Case, connection: sqlite3.Connection
) -> None:
    sent = mark(case, label="pneumonia", active_seconds=3.5)
    for _ in range(2):  # sent twice, stored once
        (receipt,) = client.post(PATH, json={"events": [sent]}).json()["acknowledged"]
        (stored,) = list_marks(connection, case.id)
        assert (receipt["event"], receipt["stored_at"]) == (sent["event"], stored.stored_at)
    (told,) = client.get(f"/api/v1/cases/{case.id}").json()["marks"]
    assert {key: told[key] for key in ("mark", "kind", "frame", "geometry", "label", "reader")} == {
        "mark": "m1", "kind": "box", "frame": 0, "geometry": BOX, "label": "pneumonia", "reader": "anna",
    }  # fmt: skip
    assert client.get(f"/api/v1/cases/{case.id}/marks").json() == {"marks": [told]}


def test_a_stroke_is_stored_acknowledged_and_told_again(
    client: TestClient, volume: Case, connection: sqlite3.Connection
) -> None:
    masks = np.random.default_rng(0).integers(0, 2, (3, 4, 5), np.uint8)
    sent = stroke(volume, *masks)
    for _ in range(2):
        (receipt,) = client.post(PATH, json={"events": [sent]}).json()["acknowledged"]
    (painted,) = list_painted(connection, volume.id)
    assert receipt == {"event": sent["event"], "edit": painted.edit, "stored_at": receipt["stored_at"]}
    assert (compose_mask(connection, volume, "anna", "liver") == masks).all()
    facts = client.get(f"/api/v1/cases/{volume.id}").json()
    assert facts["reader"] == "anna"  # the viewer takes no other's facts for its reader's
    # The next stroke is to be said later than this one, also on a computer whose clock is behind.
    assert (facts["masks"], facts["painted_at"]) == (["liver"], sent["made_at"])
    told = client.get(f"/api/v1/cases/{volume.id}/masks/liver").json()
    assert told["frames"] == sent["frames"]


def test_a_batch_of_all_kinds_is_answered_event_by_event(
    client: TestClient, volume: Case, connection: sqlite3.Connection
) -> None:
    good = [
        mark(volume, geometry={"x": 0, "y": 0, "width": 5, "height": 4}, frame=2, label="lesion"),
        stroke(volume, np.ones((4, 5))),
        event(volume, "label", value={"structures": ["liver"]}, confidence=5, active_seconds=60),
    ]
    bad = [mark(volume), stroke(volume, np.ones((5, 5))), event(volume, "label", value={"structures": ["spleen"]})]
    bad[0]["geometry"] = {"x": 4, "y": 0, "width": 2, "height": 1}
    answer = client.post(PATH, json={"events": [bad[0], good[0], bad[1], good[1], bad[2], good[2]]})
    assert [one["event"] for one in answer.json()["acknowledged"]] == [one["event"] for one in good]
    assert [one["event"] for one in answer.json()["refused"]] == [one["event"] for one in bad]
    assert [one["reason"] for one in answer.json()["refused"]] == [
        "A box lies inside the image, which has 5 columns and 4 rows. Received: (6, 1)",
        "The runs of a mask add up to rows x columns, 20. Received: 25",
        "The structures are liver, lesion. Received: ['spleen']",
    ]
    (label,) = current_labels(connection, volume.id)
    assert (label.value, label.confidence, label.active_seconds) == ({"structures": ["liver"]}, 5, 60.0)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"geometry": {"x": 63, "y": 2, "width": 3, "height": 4}}, "inside the image, which has 64 columns"),
        ({"geometry": {"x": -1, "y": 2, "width": 3, "height": 4}}, "inside the image"),
        ({"geometry": [1, 2, 3, 4]}, "geometry in an event is of type object"),
        ({"geometry": {}}, "says x, y, width, height"),
        ({"kind": "arrow"}, "A mark is one of"),
        ({"kind": 7}, "kind in an event is of type text"),
        ({"frame": 1}, "has 1 frames"),
        ({"frame": 10**30}, "has 1 frames"),
        ({"frame": True}, "frame in an event is of type whole number"),
        ({"label": "flu"}, "belongs to one of normal, pneumonia"),
        ({"deleted": 1}, "deleted in an event is of type true or false"),
        ({"mark": ""}, "needs an id"),
        ({"mark": "\ud800"}, "needs an id"),
        ({"value": None}, "nothing but what it knows. Received: value"),
        ({"reader": "ben"}, "signed in as anna"),
        ({"schema_version": 2}, "reload"),
        ({"schema_version": 0}, "reload"),
        ({"active_seconds": -1}, "Active seconds"),
        ({"active_seconds": 10**400}, "number of seconds"),
        ({"active_seconds": "3"}, "active_seconds in an event"),
        ({"made_in": "import"}, "made in label page or review"),
    ],
)
def test_a_mark_that_cannot_be_kept_is_refused_with_a_sentence(
    client: TestClient, case: Case, connection: sqlite3.Connection, change: dict[str, Any], sentence: str
) -> None:
    content = json.dumps({"events": [mark(case, **change)]})  # numbers as large as they come
    assert sentence in reason(client.post(PATH, content=content))
    assert list_marks(connection, case.id) == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"structure": "spleen"}, "The structures are liver, lesion"),
        ({"frames": {}}, "at least one frame"),
        ({"frames": {"3": "FA=="}}, "has 3 frames"),
        ({"frames": {"-1": "FA=="}}, "go by their number"),
        ({"frames": {"٣": "FA=="}}, "go by their number"),
        ({"frames": {"1" * 400: "FA=="}}, "go by their number"),
        ({"frames": {"0": "F"}}, "base64"),
        ({"frames": {"0": "F\nA=="}}, "base64"),
        ({"frames": {"0": 20}}, "base64"),
        ({"frames": {"0": None}}, "base64"),
        ({"frames": {"0": "Ew=="}}, "add up to rows x columns, 20. Received: 19"),
        ({"frames": {"0": ""}}, "middle of a number"),
        ({"frames": [["0", "FA=="]]}, "frames in an event is of type object"),
        ({"reader": "ben"}, "signed in as anna"),
    ],
)
def test_a_stroke_that_cannot_be_kept_is_refused_with_a_sentence(
    client: TestClient, volume: Case, connection: sqlite3.Connection, change: dict[str, Any], sentence: str
) -> None:
    sent = stroke(volume, np.ones((4, 5)), **change)
    assert sentence in reason(client.post(PATH, json={"events": [sent]}))
    assert connection.execute("SELECT count(*) FROM mask_edits").fetchone()[0] == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"confidence": 6}, "from 1 (a guess) to 5"),
        ({"confidence": True}, "confidence in an event"),
        ({"unusable_reason": "dark"}, "said to be unusable"),
        ({"draft": {"model": 3, "outcome": "accepted", "value": None}}, "There is no model 3"),
        ({"draft": {"model": 10**30, "outcome": "accepted"}}, "A draft reads"),
        ({"draft": []}, "draft in an event is of type object or null"),
    ],
)
def test_an_answer_that_says_too_much_is_refused_with_a_sentence(
    client: TestClient, case: Case, connection: sqlite3.Connection, change: dict[str, Any], sentence: str
) -> None:
    sent = event(case, "label", value={"classes": ["normal"]}, **change)
    assert sentence in reason(client.post(PATH, json={"events": [sent]}))
    assert current_labels(connection, case.id) == []


def test_a_hundred_megabytes_are_not_taken_in(client: TestClient, volume: Case) -> None:
    assert client.post(PATH, content=b"[" * (100 << 20)).status_code == 413
    path = f"/api/v1/cases/{volume.id}/masks/liver"
    assert client.put(path, content=b"\x93NUMPY" + b"\0" * (100 << 20)).status_code == 413


def test_a_page_of_before_goes_on_after_classes_were_added_recoloured_or_renamed(
    client: TestClient, volume: Case, painted: Project, connection: sqlite3.Connection
) -> None:
    now = painted
    for change in (
        SchemaChange("add", "spleen"),
        SchemaChange("recolour", "liver", "#112233"),
        SchemaChange("rename", "liver", "hepar"),
        SchemaChange("retire", "lesion"),
    ):
        now = change_schema(connection, now, change, ANNA)
    events = [
        stroke(volume, np.ones((4, 5))),
        event(volume, "label", value={"structures": ["liver"]}),
        mark(volume, geometry={"x": 0, "y": 0, "width": 1, "height": 1}, label="liver"),
    ]
    assert client.post(PATH, json={"events": events}).status_code == 200
    assert current_labels(connection, volume.id)[0].value == {"structures": ["hepar"]}
    assert [one.structure for one in list_painted(connection, volume.id)] == ["hepar"]
    facts = client.get(f"/api/v1/cases/{volume.id}").json()
    assert (facts["schema_version"], facts["masks"], facts["marks"][0]["label"]) == (5, ["hepar"], "hepar")
    for refused in (
        stroke(volume, np.ones((4, 5)), structure="lesion"),
        event(volume, "label", value={"structures": ["lesion"]}),
        mark(volume, mark="m2", geometry={"x": 0, "y": 0, "width": 1, "height": 1}, label="lesion"),
    ):
        assert "No longer offered" in reason(client.post(PATH, json={"events": [refused]}))
    assert get_project(connection, painted.id).schema_version == 5


def test_what_is_said_of_a_case_that_was_deleted_while_open_is_refused_with_the_reason(
    client: TestClient, volume: Case, painted: Project, connection: sqlite3.Connection, files: Files
) -> None:
    client.post(PATH, json={"events": [stroke(volume, np.ones((4, 5))), event(volume, "label", value=None)]})
    plan = plan_erasure(connection, files, painted, case_ids=[volume.id])
    erase(connection, files, plan, actor=ANNA, reason="")
    gone = [stroke(volume, np.ones((4, 5))), mark(volume), event(volume, "label", value={"structures": []})]
    answer = client.post(PATH, json={"events": gone})
    assert answer.status_code == 422
    sentence = f"This case was deleted for good; nothing more is kept about it. Received: case {volume.id}"
    assert [one["reason"] for one in answer.json()["refused"]] == [sentence] * 3
    assert client.get(f"/api/v1/cases/{volume.id}").status_code == 404
    for table in ("marks", "mask_edits", "mask_frames", "current_masks", "labels"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_nothing_is_kept_of_whoever_may_not_label(
    stranger: TestClient, volume: Case, connection: sqlite3.Connection, ben: User
) -> None:
    stranger.cookies.set(COOKIE, redeem_token(connection, issue_token(connection, ben), hours=1))
    sent = [stroke(volume, np.ones((4, 5))), mark(volume, geometry={"x": 0, "y": 0, "width": 1, "height": 1})]
    answer = stranger.post(PATH, json={"events": sent})
    assert all("another role" in one["reason"] for one in answer.json()["refused"])
    assert list_painted(connection, volume.id) == []


def test_there_is_no_draft_where_no_model_was_chosen(client: TestClient, case: Case) -> None:
    answer = client.get(f"/api/v1/cases/{case.id}/draft")
    assert (answer.status_code, answer.json()) == (404, {"reason": f"There is no draft of case {case.id}."})
    assert client.get("/api/v1/cases/999/draft").status_code == 404
