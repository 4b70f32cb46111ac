"""What a model painted, laid over the image like a reader's masks: who sees it, and what an answer says of it."""

import base64
import sqlite3
import time
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from core.clock import utc_now
from core.datasets.freeze import freeze_snapshot
from core.errors import InvalidInput
from core.evaluation.drafts import set_assist_model
from core.evaluation.records import store_painted
from core.images.records import Case, NewCase, insert_case
from core.labels.mask_store import keep_mask
from core.labels.records import NewLabel, add_label, find_current_label, list_labels, new_event
from core.labels.runs import encode_runs
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import User
from core.people.members import set_member
from core.people.sessions import issue_token, redeem_token
from core.progress import Silent
from core.projects.records import Project, change_project, get_project
from core.store.audit import Actor, count_audit
from core.store.database import writing
from core.store.files import Files
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run
from tests.dashboard.conftest import COOKIE

ANNA = Actor("anna", "screen")
LIVER = np.zeros((3, 4, 5), np.uint8)
LIVER[1:, 1:3, 2:4] = 1


@pytest.fixture
def model(connection: sqlite3.Connection, files: Files, painted: Project, volume: Case, anna: User) -> Model:
    """It has painted a liver on the volume and no lesion."""
    known = {field.name: getattr(volume, field.name) for field in fields(NewCase)}
    pixel_hash = files.put_array("pixels", np.arange(60, 120, dtype=np.int16).reshape(3, 4, 5))
    known |= {"source": "other.nii", "patient": "P2", "pixel_hash": pixel_hash}
    other = insert_case(connection, NewCase(**known))
    for case in (volume, other):
        add_label(connection, NewLabel(new_event(), case.id, "anna", {"structures": []}), ANNA)
    options: dict[str, Any] = {"ratios": (0.5, 0.5, 0), "seed": 0, "actor": ANNA, "progress": Silent()}
    frozen = freeze_snapshot(connection, files, painted, "first", **options)
    asked: dict[str, Any] = {"recipe": named_recipe("unet2d"), "name": "net", "actor": ANNA}
    run = add_run(connection, project=painted.id, snapshot=frozen.id, **asked)
    facts = {"task": "segmentation", "structures": [{"name": "liver"}, {"name": "lesion"}]}
    made = add_model(
        connection, run, keras_hash="0" * 64, onnx_left_out_because="test", parameters=1, file_bytes=1, facts=facts,
        seconds=1.0, actor=ANNA,
    )  # fmt: skip
    kept = [keep_mask(files, "liver", LIVER), keep_mask(files, "lesion", np.zeros_like(LIVER))]
    store_painted(connection, made, painted.schema, volume.id, kept, [0.9, 0.0])  # type: ignore[arg-type]
    return made


@pytest.fixture
def as_ben(stranger: TestClient, connection: sqlite3.Connection, painted: Project, ben: User) -> TestClient:
    """A reader of the project is signed in."""
    set_member(connection, painted.id, "ben", "reader", actor=ANNA)
    stranger.cookies.set(COOKIE, redeem_token(connection, issue_token(connection, ben), hours=1))
    return stranger


def others(client: TestClient, case: Case) -> list[tuple[str, list[str]]]:
    told = client.get(f"/api/v1/cases/{case.id}").json()["others"]
    return [(one["reader"], one["masks"]) for one in told if one["masks"]]


def look(client: TestClient, case: Case, title: str, structure: str = "liver") -> Any:
    return client.get(f"/api/v1/cases/{case.id}/masks/{structure}", params={"reader": title})


def send(client: TestClient, case: Case, **said: Any) -> dict[str, Any]:
    event = {"event": new_event(), "case": case.id, "made_at": utc_now(), "schema_version": 1, "made_in": "label page"}
    client.post("/api/v1/events", json={"events": [event | said]}).raise_for_status()
    return event | said


def paint(client: TestClient, case: Case, mask: np.ndarray) -> None:
    frames = {str(at): base64.b64encode(encode_runs(frame)).decode() for at, frame in enumerate(mask) if frame.any()}
    send(client, case, type="mask", structure="liver", frames=frames)


def answer(client: TestClient, connection: sqlite3.Connection, case: Case, reader: str = "ben") -> Any:
    send(client, case, type="label", value={"structures": ["liver"]})
    label = find_current_label(connection, case.id, reader)
    assert label is not None
    return label.draft and (label.draft["model"], label.draft["outcome"], label.draft["value"])


def test_who_may_hear_of_models_lays_their_masks_over_the_image_and_a_reader_does_not(
    client: TestClient, connection: sqlite3.Connection, volume: Case, painted: Project, ben: User, model: Model
) -> None:
    title = f"net (model {model.id})"
    assert others(client, volume) == [(title, ["liver"])]
    told = look(client, volume, title).json()
    assert {int(at): base64.b64decode(runs) for at, runs in told["frames"].items()} == {
        at: encode_runs(LIVER[at]) for at in (1, 2)
    }
    assert look(client, volume, title, "lesion").json()["frames"] == {}
    assert look(client, volume, "net (model 99)").status_code == 404
    set_member(connection, painted.id, "ben", "reader", actor=ANNA)
    client.cookies.set(COOKIE, redeem_token(connection, issue_token(connection, ben), hours=1))
    assert others(client, volume) == []
    assert look(client, volume, title).status_code == 404


def test_a_draft_is_taken_over_corrected_or_left_and_the_answer_says_which(
    as_ben: TestClient, connection: sqlite3.Connection, volume: Case, painted: Project, model: Model
) -> None:
    set_assist_model(connection, painted, model.id, actor=ANNA)
    title = f"net (draft of model {model.id})"
    assert others(as_ben, volume) == [(title, ["liver"])]
    assert answer(as_ben, connection, volume) is None, "nobody has looked at the draft"
    assert look(as_ben, volume, title).status_code == 200
    assert as_ben.get(f"/api/v1/cases/{volume.id}/masks/liver").json()["frames"] == {}, "a draft is not a label"
    value = {"structures": ["liver"]}
    assert answer(as_ben, connection, volume) == (model.id, "rejected", value)
    paint(as_ben, volume, LIVER)
    assert answer(as_ben, connection, volume) == (model.id, "accepted", value)
    edited = LIVER.copy()
    edited[1, 1, 2] = 0
    paint(as_ben, volume, edited)
    event = send(as_ben, volume, type="label", value=value)
    paint(as_ben, volume, LIVER)
    as_ben.post("/api/v1/events", json={"events": [event]}).raise_for_status()  # sent again, after more was painted
    said = [
        label.draft and label.draft["outcome"] for label in list_labels(connection, volume.id) if label.reader == "ben"
    ]
    assert said == ["edited", "accepted", "rejected", None]
    look(as_ben, volume, title)
    assert count_audit(connection, who="ben", what="look at a model's masks") == 1


def test_a_further_look_does_not_wait_for_whoever_writes(
    as_ben: TestClient, connection: sqlite3.Connection, volume: Case, painted: Project, model: Model
) -> None:
    set_assist_model(connection, painted, model.id, actor=ANNA)
    title = f"net (draft of model {model.id})"
    assert look(as_ben, volume, title).status_code == 200
    began = time.monotonic()
    with writing(connection):  # another writer would wait 30 seconds for this
        assert look(as_ben, volume, title).status_code == 200
    assert time.monotonic() - began < 25


@pytest.mark.parametrize("role", ["reader", "scientist"])
def test_whoever_answers_blind_sees_no_draft_before_their_own_answer_whatever_their_role(
    as_ben: TestClient, connection: sqlite3.Connection, volume: Case, painted: Project, model: Model, role: Any
) -> None:
    set_member(connection, painted.id, "ben", role, actor=ANNA)
    set_assist_model(connection, painted, model.id, actor=ANNA)
    change_project(
        connection, painted, description="", intended_use="", digit_advances=True, blind_first=True, actor=ANNA
    )
    title = f"net (draft of model {model.id})"
    assert others(as_ben, volume) == []
    assert look(as_ben, volume, title).status_code == 404
    assert answer(as_ben, connection, volume) is None
    assert others(as_ben, volume) == [(title, ["liver"])]
    assert look(as_ben, volume, title).status_code == 200


def test_a_draft_goes_by_the_structures_names_of_today_and_of_none_that_is_retired(
    as_ben: TestClient, connection: sqlite3.Connection, volume: Case, painted: Project, model: Model
) -> None:
    set_assist_model(connection, painted, model.id, actor=ANNA)
    renamed = change_schema(
        connection, get_project(connection, painted.id), SchemaChange("rename", "liver", "hepar"), ANNA
    )
    assert others(as_ben, volume) == [(f"net (draft of model {model.id})", ["hepar"])]
    assert len(look(as_ben, volume, f"net (draft of model {model.id})", "hepar").json()["frames"]) == 2
    off = set_assist_model(connection, renamed, None, actor=ANNA)
    retired = change_schema(connection, off, SchemaChange("retire", "lesion"), ANNA)
    with pytest.raises(InvalidInput, match="net with lesion"):
        set_assist_model(connection, retired, model.id, actor=ANNA)
