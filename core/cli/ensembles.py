"""Commands about several models as one."""

from typing import Annotated

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, entered, model_named
from core.training.ensemble import make_ensemble


def ensemble(
    project: ProjectArgument,
    name: Annotated[str, typer.Argument(help="What to call it.")],
    models: Annotated[list[str], typer.Argument(help="Its members: models of the project.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make one model of several: it answers with the mean of what they say, each calibrated by itself."""
    with entered(home) as door:
        members = [model_named(door, project, one) for one in models]
        made = make_ensemble(door.connection, door.files, members[0].project, name, members, actor=door.actor)
    names = [member.name for member in members]
    document = {"model": made.name, "model_id": made.id, "members": names}
    answer(document, f"Ensemble {made.name} of {', '.join(names)}.", as_json=as_json)
