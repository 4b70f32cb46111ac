"""Commands about the registry: which model is used, which was, and back to the one before."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import Door, HomeOption, JsonOption, answer, entered, model_named
from core.projects.records import get_project
from core.reviews.registry import (
    Move,
    find_production,
    list_moves,
    map_stages,
    promote_model,
    retire_model,
    roll_back,
)
from core.training.records import get_model, list_models

ReasonOption = Annotated[str, typer.Option(help="Why; kept for ever.")]


def show(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the stage of each model, and the whole history of who was in production when."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        stages = map_stages(door.connection, found.id)
        models = [
            {"model": model.name, "stage": stages.get(model.id, "candidate")}
            for model in list_models(door.connection, found.id)
        ]
        production = find_production(door.connection, found.id)
        moves = [_facts(door, move) for move in list_moves(door.connection, found.id)]
    lines = [f"{one['model']:<24} {one['stage']}" for one in models]
    lines += [f"{one['at'][:16]}  {one['model']} {one['stage']}, by {one['by']}. {one['reason']}" for one in moves]
    document = {"production": production.name if production else None, "models": models, "history": moves}
    answer(document, "\n".join(lines) or "No model yet: readroom train PROJECT …", as_json=as_json)


def promote(
    project: ProjectArgument,
    model: str,
    reason: ReasonOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a model into production; a signed approval of it must be in force."""
    with entered(home) as door:
        move = promote_model(door.connection, model_named(door, project, model), reason=reason, actor=door.actor)
        _tell(door, move, as_json=as_json)


def retire(
    project: ProjectArgument,
    model: str,
    reason: ReasonOption = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take the model in production out of use."""
    with entered(home) as door:
        move = retire_model(door.connection, model_named(door, project, model), reason=reason, actor=door.actor)
        _tell(door, move, as_json=as_json)


def rollback(
    project: ProjectArgument, reason: ReasonOption = "", home: HomeOption = None, as_json: JsonOption = False
) -> None:
    """Put the model that was in production before back."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        _tell(door, roll_back(door.connection, found.id, reason=reason, actor=door.actor), as_json=as_json)


def _facts(door: Door, move: Move) -> dict[str, Any]:
    return {**asdict(move), "model": get_model(door.connection, None, move.model).name}


def _tell(door: Door, move: Move, *, as_json: bool) -> None:
    facts = _facts(door, move)
    answer(facts, f"{facts['model']} is {move.stage}.", as_json=as_json)
