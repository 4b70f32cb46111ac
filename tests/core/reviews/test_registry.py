"""Into production by a signed approval only, back with one act, and the history stays."""

import sqlite3

import pytest

from core.erasing.erase import erase
from core.erasing.plan import plan_erasure
from core.errors import Conflict, InvalidInput
from core.evaluation.run import evaluate_model
from core.progress import Silent
from core.reviews.criteria import parse_criterion
from core.reviews.decisions import NewDecision, Verdict, decide_review
from core.reviews.meetings import add_review, open_results
from core.reviews.registry import (
    find_obstacle,
    find_production,
    list_moves,
    map_stages,
    promote_model,
    retire_model,
    roll_back,
)
from core.store.audit import Actor, list_audit
from core.training.records import Model
from tests.core.reviews.conftest import PASSWORD, Room


@pytest.fixture(autouse=True)
def _signing(signers: tuple[Actor, Actor]) -> None:
    """Who signs here has a password."""


def review(
    connection: sqlite3.Connection, room: Room, model: Model, actor: Actor, verdict: Verdict = "approve"
) -> None:
    criteria = [parse_criterion("accuracy at least 0.5")]
    made = add_review(connection, room.project, model, criteria=criteria, actor=actor)
    made = open_results(connection, made, actor=actor)
    decide_review(
        connection, made, NewDecision(verdict, "As it is."), signer=actor.name, password=PASSWORD, actor=actor
    )


@pytest.fixture
def both(connection: sqlite3.Connection, room: Room, actor: Actor) -> tuple[Model, Model]:
    """Two approved models, of which the second follows the first in production."""
    evaluate_model(connection, room.files, room.settings, room.other.id, room.snapshot.id, "test", actor, Silent())
    for model in (room.model, room.other):
        review(connection, room, model, actor)
        promote_model(connection, model, actor=actor)
    return room.model, room.other


def test_only_what_a_review_has_approved_goes_into_production(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    with pytest.raises(InvalidInput, match="Only a model that a review has approved"):
        promote_model(connection, room.model, actor=actor)
    review(connection, room, room.model, actor, "reject")
    assert "is: reject" in find_obstacle(connection, room.model)
    review(connection, room, room.model, actor)
    promote_model(connection, room.model, reason="as decided", actor=actor)
    assert find_production(connection, room.project.id) == room.model
    with pytest.raises(Conflict, match="in production already"):
        promote_model(connection, room.model, actor=actor)


def test_a_model_whose_file_is_not_the_signed_one_stays_out(
    connection: sqlite3.Connection, room: Room, actor: Actor
) -> None:
    review(connection, room, room.model, actor)
    connection.execute("UPDATE models SET keras_hash = 'other' WHERE id = ?", (room.model.id,))
    with pytest.raises(InvalidInput, match="model file are not those that were signed"):
        promote_model(connection, room.model, actor=actor)


def test_what_follows_retires_what_was_there_and_one_act_goes_back(
    connection: sqlite3.Connection, room: Room, both: tuple[Model, Model], actor: Actor
) -> None:
    first, second = both
    assert map_stages(connection, room.project.id) == {first.id: "retired", second.id: "production"}
    roll_back(connection, room.project.id, reason="it misses women", actor=actor)
    assert map_stages(connection, room.project.id) == {first.id: "production", second.id: "retired"}
    history = [(move.model, move.stage) for move in reversed(list_moves(connection, room.project.id))]
    assert history == [
        (first.id, "production"), (first.id, "retired"), (second.id, "production"),
        (second.id, "retired"), (first.id, "production"),
    ]  # fmt: skip
    assert list_moves(connection, room.project.id)[0].reason == "it misses women"
    assert list_audit(connection, what="roll back")[0].detail == {"before": second.id}
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM stages")


def test_nobody_goes_back_to_a_model_that_was_rejected_since(
    connection: sqlite3.Connection, room: Room, both: tuple[Model, Model], actor: Actor
) -> None:
    review(connection, room, both[0], actor, "reject")
    with pytest.raises(InvalidInput, match="is: reject"):
        roll_back(connection, room.project.id, actor=actor)
    assert find_production(connection, room.project.id) == both[1]


def test_a_retired_model_leaves_nothing_in_production(
    connection: sqlite3.Connection, room: Room, both: tuple[Model, Model], actor: Actor
) -> None:
    retire_model(connection, both[1], reason="recalled", actor=actor)
    assert find_production(connection, room.project.id) is None
    with pytest.raises(InvalidInput, match="Only the model in production"):
        retire_model(connection, both[1], actor=actor)
    roll_back(connection, room.project.id, actor=actor)
    assert find_production(connection, room.project.id) == both[1]


def test_a_case_that_is_erased_after_the_review_leaves_its_approval_and_a_project_goes_whole(
    connection: sqlite3.Connection, room: Room, both: tuple[Model, Model], actor: Actor
) -> None:
    plan = plan_erasure(connection, room.files, room.project, case_ids=[room.cases[30].id])
    erase(connection, room.files, plan, actor=actor, reason="")
    assert find_obstacle(connection, both[0]) == ""
    erase(connection, room.files, plan_erasure(connection, room.files, room.project), actor=actor, reason="")
    for table in ("reviews", "test_openings", "decisions", "signatures", "stages"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table
