"""Commands about what is kept of a header, and about the way back from a pseudonym."""

import os
from dataclasses import asdict, fields, replace
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, entered
from core.errors import InvalidInput
from core.images.crosswalk import show, turn_off, turn_on
from core.projects.deidentification import Deidentification
from core.projects.records import get_project, set_deidentification

PASSPHRASE_VARIABLE = "READROOM_CROSSWALK_PASSPHRASE"
CHOICES = tuple(field.name for field in fields(Deidentification) if field.name != "crosswalk_key")


def deidentification(
    project: ProjectArgument,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help=f"NAME=on or NAME=off, of: {', '.join(CHOICES)}.")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show, or change with --set, what imports of a project keep. Turning it off altogether is audited by name."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        options = found.deidentification
        for text in setting or ():
            name, _, value = text.partition("=")
            if name not in CHOICES or value not in ("on", "off"):
                raise InvalidInput(f"Choose {', '.join(CHOICES)}, each on or off. Received: {text}")
            change: dict[str, Any] = {name: value == "on"}
            options = replace(options, **change)
        if options != found.deidentification:
            found = set_deidentification(door.connection, found, options, door.actor)
    told = {name: value for name, value in asdict(found.deidentification).items() if name in CHOICES}
    lines = [f"{name:<18} {'on' if value else 'off'}" for name, value in told.items()]
    answer({"project": found.id, "deidentification": told}, "\n".join(lines), as_json=as_json)


def crosswalk_on(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """From the next import on, keep whose pseudonym is whose, encrypted with a passphrase."""
    with entered(home) as door:
        found = turn_on(
            door.connection, door.settings, get_project(door.connection, project), _passphrase(new=True), door.actor
        )
    text = "The crosswalk is on. Without the passphrase nobody can read it, and nobody can bring it back."
    answer({"project": found.id, "crosswalk": True}, text, as_json=as_json)


def crosswalk_off(project: ProjectArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Forget for ever whose pseudonym is whose."""
    with entered(home) as door:
        found = turn_off(door.connection, door.settings, get_project(door.connection, project), door.actor)
    answer({"project": found.id, "crosswalk": False}, "The crosswalk is off and gone.", as_json=as_json)


def crosswalk_show(
    project: ProjectArgument,
    pseudonym: Annotated[str, typer.Option(help="As the list of cases names the patient: P and 16 digits.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """The patient's number behind a pseudonym; that you asked is written into the audit."""
    with entered(home) as door:
        found = get_project(door.connection, project)
        original = show(door.connection, door.settings, found, pseudonym, _passphrase(), door.actor)
    answer({"pseudonym": pseudonym, "original": original}, original, as_json=as_json)


def _passphrase(*, new: bool = False) -> str:
    """From the environment, for scripts, or from the keyboard; never from the command line, which others can read."""
    return os.environ.get(PASSPHRASE_VARIABLE) or str(
        typer.prompt("Passphrase", hide_input=True, confirmation_prompt=new, err=True)
    )
