"""Drafts of a chosen model: off by default, never before a blind reader's own answer."""

import json
import sqlite3
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from core.errors import InvalidInput, NotAllowed, NotFound
from core.evaluation import answering
from core.evaluation.drafts import (
    count_without_draft,
    find_draft,
    make_drafts,
    model_classes,
    name_predictions,
    set_assist_model,
)
from core.evaluation.predictor import Predictor, score_cases
from core.evaluation.records import store_predictions
from core.images.records import Case, get_case
from core.jobs.asking import ask_drafts
from core.labels.records import NewLabel, add_label, new_event
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.progress import Progress, Silent
from core.projects.records import Project, change_project, get_project
from core.store.audit import Actor, list_audit
from core.store.files import Files
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run, get_run, set_onnx
from tests.core.conftest import Planted
from tests.core.evaluation.conftest import SIZE, make_brightness_onnx

SQUARE = {"size": SIZE, "channels": 1, "resize": "stretch"}


@pytest.fixture
def model(connection: sqlite3.Connection, planted: Planted, actor: Actor) -> Model:
    """It has looked at the first two cases: 25 % pneumonia, then 100 %."""
    run = add_run(
        connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=named_recipe("cnn"),
        name="quick", actor=actor,
    )  # fmt: skip
    made = add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="test", parameters=1,
        file_bytes=1, facts={"classes": ["normal", "pneumonia"], "multi_label": False, "input": SQUARE}, seconds=1.0,
        actor=actor,
    )  # fmt: skip
    first, second, *_ = planted.masks
    scores = {first: [0.75, 0.25], second: [0.0, 1.0]}
    store_predictions(connection, made, planted.project.schema, scores)  # type: ignore[arg-type]
    return made


@pytest.fixture
def case(connection: sqlite3.Connection, planted: Planted) -> Case:
    return get_case(connection, next(iter(planted.masks)))


def test_a_draft_is_off_until_a_model_is_chosen(
    connection: sqlite3.Connection, planted: Planted, model: Model, case: Case, actor: Actor
) -> None:
    assert find_draft(connection, planted.project, case, "anna") is None
    assert count_without_draft(connection, planted.project) == 0
    assisted = set_assist_model(connection, planted.project, model.id, actor=actor)
    draft = find_draft(connection, assisted, case, "anna")
    assert draft is not None
    assert (draft.model, draft.value, draft.scores) == (
        model, {"classes": ["normal"]}, {"normal": 0.75, "pneumonia": 0.25},
    )  # fmt: skip
    assert count_without_draft(connection, assisted) == 38
    off = set_assist_model(connection, assisted, None, actor=actor)
    assert find_draft(connection, off, case, "anna") is None
    told = [row.detail for row in list_audit(connection, what="set assisting model")]
    assert told == [{"before": model.id, "after": None}, {"before": None, "after": model.id}]


@pytest.mark.parametrize("role", ["reader", "scientist", "admin"])
def test_a_blind_reader_gets_a_draft_after_their_own_first_answer_whatever_their_role(
    connection: sqlite3.Connection, planted: Planted, model: Model, case: Case, actor: Actor, role: str
) -> None:
    ensure_user(connection, "ben", role="admin" if role == "admin" else "reader")
    set_member(connection, planted.project.id, "ben", role, actor=actor)  # type: ignore[arg-type]
    change_project(
        connection, planted.project, description="", intended_use="", digit_advances=True, blind_first=True, actor=actor
    )
    blind = set_assist_model(connection, get_project(connection, planted.project.id), model.id, actor=actor)
    assert find_draft(connection, blind, case, "ben") is None
    add_label(connection, NewLabel(new_event(), case.id, "ben", {"classes": ["pneumonia"]}), Actor("ben", "screen"))
    assert find_draft(connection, blind, case, "ben") is not None


def test_there_is_no_draft_of_what_the_model_has_not_seen(
    connection: sqlite3.Connection, planted: Planted, model: Model, actor: Actor
) -> None:
    assisted = set_assist_model(connection, planted.project, model.id, actor=actor)
    unseen = get_case(connection, list(planted.masks)[5])
    assert find_draft(connection, assisted, unseen, "anna") is None


def test_drafts_speak_in_the_names_of_today_and_never_propose_a_retired_class(
    connection: sqlite3.Connection, planted: Planted, model: Model, actor: Actor
) -> None:
    assisted = set_assist_model(connection, planted.project, model.id, actor=actor)
    renamed = change_schema(connection, assisted, SchemaChange("rename", "normal", "healthy"), actor)
    wider = change_schema(connection, renamed, SchemaChange("add", "nodule"), actor)
    first, second = (get_case(connection, number) for number in list(planted.masks)[:2])
    draft = find_draft(connection, wider, first, "anna")
    assert draft is not None
    assert (draft.value, draft.scores) == ({"classes": ["healthy"]}, {"healthy": 0.75, "pneumonia": 0.25})
    assert model_classes(connection, wider, model) == ("healthy", "pneumonia")
    assert name_predictions(connection, wider, model, [second.id]) == {second.id: {"healthy": 0, "pneumonia": 1}}
    narrow = change_schema(connection, wider, SchemaChange("retire", "pneumonia"), actor)
    assert find_draft(connection, narrow, second, "anna") is None
    assert find_draft(connection, narrow, first, "anna") is not None
    off = set_assist_model(connection, narrow, None, actor=actor)
    with pytest.raises(InvalidInput, match="no longer offers"):
        set_assist_model(connection, off, model.id, actor=actor)


def test_the_job_lets_the_model_look_at_every_case_once(
    connection: sqlite3.Connection,
    files: Files,
    planted: Planted,
    model: Model,
    actor: Actor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def noted(
        connection: sqlite3.Connection, files: Files, predictor: Predictor, case_ids: list[int], progress: Progress
    ) -> np.ndarray:
        asked.extend(case_ids)
        return score_cases(connection, files, predictor, case_ids, progress)

    set_onnx(connection, model.id, files.put_bytes("models", make_brightness_onnx()), None)
    monkeypatch.setattr(answering, "score_cases", noted)
    monkeypatch.setattr(answering, "CASES_AT_ONCE", 10)
    assisted = set_assist_model(connection, planted.project, model.id, actor=actor)
    assert make_drafts(connection, files, assisted, Silent())["cases"] == 38
    assert make_drafts(connection, files, assisted, Silent())["cases"] == 0
    assert len(asked) == len(set(asked)) == 38
    with pytest.raises(InvalidInput, match="Choose a model"):
        make_drafts(connection, files, replace(assisted, assist_model=None), Silent())


def test_one_job_at_a_time_is_asked_for(
    connection: sqlite3.Connection, planted: Planted, model: Model, actor: Actor
) -> None:
    with pytest.raises(InvalidInput, match="Choose a model"):
        ask_drafts(connection, planted.project, actor=actor)
    assisted = set_assist_model(connection, planted.project, model.id, actor=actor)
    assert ask_drafts(connection, assisted, actor=actor).id == ask_drafts(connection, assisted, actor=actor).id


def test_a_model_of_another_project_or_without_being_allowed_is_refused(
    connection: sqlite3.Connection, planted: Planted, model: Model, actor: Actor, project: Project
) -> None:
    with pytest.raises(NotFound):
        set_assist_model(connection, planted.project, 99, actor=actor)
    ensure_user(connection, "ben")
    set_member(connection, planted.project.id, "ben", "scientist", actor=actor)
    with pytest.raises(NotAllowed):
        set_assist_model(connection, planted.project, model.id, actor=Actor("ben", "screen"))


def test_an_accepted_draft_is_stored_with_the_answer(
    connection: sqlite3.Connection, planted: Planted, model: Model, case: Case, actor: Actor,
    make_case: Callable[..., Case],
) -> None:  # fmt: skip
    value = {"classes": ["normal"]}
    draft = {"model": model.id, "outcome": "accepted", "value": value}
    stored = add_label(connection, NewLabel(new_event(), case.id, "anna", value, draft=draft), actor)
    assert stored.draft == draft
    renamed = change_schema(connection, planted.project, SchemaChange("rename", "normal", "healthy"), actor)
    late = NewLabel(new_event(), make_case("z.png").id, "anna", value, draft=draft)  # of a page from before
    assert add_label(connection, late, actor).draft == {**draft, "value": {"classes": ["healthy"]}}
    assert renamed.schema_version == 2


def test_a_case_that_the_model_cannot_take_in_keeps_no_other_from_its_draft(
    connection: sqlite3.Connection, files: Files, planted: Planted, model: Model, actor: Actor
) -> None:
    facts = model.facts | {"input": SQUARE | {"window": "lung"}}
    connection.execute("UPDATE models SET facts = ? WHERE id = ?", (json.dumps(facts), model.id))
    set_onnx(connection, model.id, files.put_bytes("models", make_brightness_onnx()), None)
    odd, *others = list(planted.masks)[2:]
    connection.execute("UPDATE cases SET modality = iif(id = ?, 'MR', 'CT'), dtype = 'int16'", (odd,))
    connection.commit()
    assisted = set_assist_model(connection, planted.project, model.id, actor=actor)
    done = make_drafts(connection, files, assisted, Silent())
    assert done["cases"] == len(others)
    assert [one["case"] for one in done["refused"]] == [odd]
