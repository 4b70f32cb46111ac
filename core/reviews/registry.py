"""The registry: which model of a project is used, which was, and by whose decision.

A model is a candidate until a signed approval lets it into production; there is one in production at most, and what
it follows is retired. Rows are only added, so the whole history stays.
"""

import sqlite3
from dataclasses import dataclass
from typing import Literal

from core.clock import utc_now
from core.errors import Conflict, InvalidInput, NotFound
from core.people.roles import demand_of
from core.reviews.decisions import find_decision_in_force, find_faults
from core.reviews.meetings import get_review
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.training.records import Model, get_model

Stage = Literal["candidate", "production", "retired"]


@dataclass(frozen=True)
class Move:
    """One change of a model's stage, and the review that allowed it where one did."""

    id: int
    model: int
    stage: Stage
    review: int | None
    reason: str
    by: str
    at: str


def list_moves(connection: sqlite3.Connection, project_id: int) -> list[Move]:
    """The whole history of a project, newest first."""
    rows = connection.execute(
        "SELECT id, model, stage, review, reason, by, at FROM stages WHERE project = ? ORDER BY id DESC", (project_id,)
    )
    return [Move(**dict(row)) for row in rows]


def map_stages(connection: sqlite3.Connection, project_id: int) -> dict[int, Stage]:
    """{model: its stage} of those that ever had another than candidate."""
    found: dict[int, Stage] = {}
    for move in list_moves(connection, project_id):
        found.setdefault(move.model, move.stage)
    return found


def find_production(connection: sqlite3.Connection, project_id: int) -> Model | None:
    """The model in production, or None."""
    stages = map_stages(connection, project_id)
    number = next((model for model, stage in stages.items() if stage == "production"), None)
    return get_model(connection, project_id, number) if number is not None else None


def promote_model(connection: sqlite3.Connection, model: Model, *, reason: str = "", actor: Actor) -> Move:
    """Put a model into production by the approval in force; the one that was there is retired.

    Raises:
        InvalidInput: no signed approval of this model is in force, or what was signed is not what is there.
        Conflict: it is in production.
        NotAllowed: the actor may not sign here.
    """
    with writing(connection):
        demand_of(connection, actor, "sign", model.project)
        before = find_production(connection, model.project)
        if before is not None and before.id == model.id:
            raise Conflict(f"This model is in production already. Received: {model.name}")
        review = _demand_approval(connection, model)
        if before is not None:
            _move(connection, before, "retired", None, f"followed by {model.name}", actor)
        move = _move(connection, model, "production", review, reason.strip(), actor)
        told = before.id if before else None
        add_audit(connection, actor, "promote", f"model {model.id}", review=review, before=told)
        return move


def retire_model(connection: sqlite3.Connection, model: Model, *, reason: str = "", actor: Actor) -> Move:
    """Take the model in production out of use, without another in its place.

    Raises:
        InvalidInput: it is not in production.
        NotAllowed: the actor may not sign here.
    """
    with writing(connection):
        demand_of(connection, actor, "sign", model.project)
        if map_stages(connection, model.project).get(model.id) != "production":
            raise InvalidInput(f"Only the model in production can be retired. Received: {model.name}")
        add_audit(connection, actor, "retire", f"model {model.id}")
        return _move(connection, model, "retired", None, reason.strip(), actor)


def roll_back(connection: sqlite3.Connection, project_id: int, *, reason: str = "", actor: Actor) -> Move:
    """Put the model that was in production before the present one (or before it was retired) back.

    Raises:
        InvalidInput: there was none, or its approval is no longer in force.
        NotAllowed: the actor may not sign here.
    """
    with writing(connection):
        demand_of(connection, actor, "sign", project_id)
        model = find_predecessor(connection, project_id)
        if model is None:
            raise InvalidInput(f"No other model was in production before. Received: project {project_id}")
        review = _demand_approval(connection, model)
        before = find_production(connection, project_id)
        if before is not None:
            _move(connection, before, "retired", None, f"rolled back to {model.name}", actor)
        told = reason.strip() or (f"rolled back from {before.name}" if before else "rolled back")
        add_audit(connection, actor, "roll back", f"model {model.id}", before=before.id if before else None)
        return _move(connection, model, "production", review, told, actor)


def find_predecessor(connection: sqlite3.Connection, project_id: int) -> Model | None:
    """The model that was in production before, to which `roll_back` would go."""
    now = find_production(connection, project_id)
    for move in list_moves(connection, project_id):
        if move.stage == "production" and (now is None or move.model != now.id):
            return get_model(connection, project_id, move.model)
    return None


def find_obstacle(connection: sqlite3.Connection, model: Model) -> str:
    """Why a model cannot go into production, as a sentence; "" where it can."""
    try:
        _demand_approval(connection, model)
    except InvalidInput as refusal:
        return str(refusal)
    return ""


def _demand_approval(connection: sqlite3.Connection, model: Model) -> int:
    """The number of the review by whose decision a model may be used."""
    decision = find_decision_in_force(connection, model.project, model.id)
    if decision is None:
        raise InvalidInput(f"Only a model that a review has approved goes into production. Received: {model.name}")
    if not decision.is_approval:
        raise InvalidInput(
            f"The newest decision about this model, of review {decision.review}, is: {decision.verdict}. "
            f"Received: {model.name}"
        )
    try:
        faults = find_faults(connection, get_review(connection, model.project, decision.review))
    except NotFound as error:
        raise InvalidInput(f"What was signed is no longer there: {error} Received: {model.name}") from error
    if faults:
        raise InvalidInput(f"What was signed is not what is there: {' '.join(faults)} Received: {model.name}")
    return decision.review


def _move(
    connection: sqlite3.Connection, model: Model, stage: Stage, review: int | None, reason: str, actor: Actor
) -> Move:
    cursor = connection.execute(
        "INSERT INTO stages (project, model, stage, review, reason, by, at) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (model.project, model.id, stage, review, reason, actor.name, utc_now()),
    )
    row = connection.execute(
        "SELECT id, model, stage, review, reason, by, at FROM stages WHERE id = ?", (cursor.lastrowid,)
    ).fetchone()
    return Move(**dict(row))
