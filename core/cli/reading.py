"""Commands about who reads what, and about what is asked of readers: assignments, classes, drafts."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, cases_named, entered, wait_and_tell
from core.errors import InvalidInput
from core.evaluation.drafts import set_assist_model
from core.jobs.asking import ask_drafts
from core.labels.assignments import assign_cases, draw_unread, list_assigned, unassign_cases
from core.labels.schema import change_schema
from core.projects.changes import ChangeKind, SchemaChange
from core.projects.records import get_project
from core.projects.schema import schema_to_json
from core.training.records import get_model


def assign(
    project: ProjectArgument,
    reader: Annotated[str, typer.Argument(help="Who is asked to read; without a name, show who was.")] = "",
    cases: Annotated[str, typer.Option(help="Numbers, ranges or file names: 1,5,10-20")] = "",
    chosen_by_chance: Annotated[
        int, typer.Option("--random", help="So many cases by chance that nobody is asked to read yet.")
    ] = 0,
    seed: Annotated[int, typer.Option(help="Of the choice by chance.")] = 0,
    remove: Annotated[bool, typer.Option("--remove", help="Ask no longer: these cases, or any.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a reader to read cases; they find them in the worklist "assigned to me"."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        named = cases_named(door, found.id, cases) if cases else None
        if reader and remove:
            unassign_cases(door.connection, found, reader, named, actor=door.actor)
        elif reader:
            if (named is None) == (chosen_by_chance == 0):
                given = cases or "neither"
                raise InvalidInput(f"Name cases with --cases, or how many with --random. Received: {given}")
            ids = named or draw_unread(door.connection, found, reader, chosen_by_chance, seed=seed)
            assign_cases(door.connection, found, reader, ids, actor=door.actor)
        told = list_assigned(door.connection, found.id)
    lines = [f"{one.reader}: {one.answered} of {one.cases} cases answered" for one in told]
    answer({"assigned": [asdict(one) for one in told]}, "\n".join(lines) or "Nobody is asked yet.", as_json=as_json)


def change_classes(
    project: ProjectArgument,
    kind: Annotated[str, typer.Argument(help="add, rename, recolour, retire, restore or key.")],
    name: Annotated[str, typer.Argument(help="The class or structure.")],
    to: Annotated[str, typer.Argument(help="Its new name, colour (#56b4e9) or digit.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Change one class or structure; everything that was answered stays."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        change = SchemaChange(_kind(kind), name, to)
        changed = change_schema(door.connection, found, change, door.actor)
    document = {"schema_version": changed.schema_version, "schema": schema_to_json(changed.schema)}
    answer(document, f"Done; this is version {changed.schema_version} of the classes.", as_json=as_json)


def assist(
    project: ProjectArgument,
    model: Annotated[str, typer.Argument(help="Whose answers readers are offered as drafts.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Offer no drafts.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Offer a model's answers to readers as drafts, or stop that; new cases are looked at when it is asked again."""
    if bool(model) == off:
        raise InvalidInput(f"Name a model, or say --off. Received: {model or 'no model'}")
    with entered(home) as door:
        found = get_project(door.connection, project)
        chosen = None if off else get_model(door.connection, found.id, model).id
        changed = set_assist_model(door.connection, found, chosen, actor=door.actor)
        done: dict[str, Any] = {"cases": 0, "refused": []}
        if chosen:
            done = wait_and_tell(door, ask_drafts(door.connection, changed, actor=door.actor))
    text = "Drafts are off." if off else f"Drafts of {model} are on; {done['cases']} cases were looked at."
    lines = [text, *(f"case {one['case']}: {one['reason']}" for one in done["refused"])]
    document = {"assist_model": chosen, "cases": done["cases"], "refused": done["refused"]}
    answer(document, "\n".join(lines), as_json=as_json)


def _kind(text: str) -> ChangeKind:
    return text  # type: ignore[return-value]  # `SchemaChange` refuses what is none
