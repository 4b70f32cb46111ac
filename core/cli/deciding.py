"""Commands about how a model decides: its operating point."""

from typing import Annotated

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, entered, model_named
from core.errors import InvalidInput
from core.evaluation.operating import classes_with_threshold, freeze_point
from core.tasks.classification import schema_of


def threshold(
    project: ProjectArgument,
    model: str,
    value: Annotated[float, typer.Argument(help="From this probability on the class is decided for.")],
    of_class: Annotated[str, typer.Option("--class", help="The class [default: the second of two].")] = "",
    name: Annotated[str, typer.Option(help="What to call the new model.")] = "",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Freeze another operating point, as a new model of the same weights. Evaluate on validation first."""
    with entered(home) as door:
        found = model_named(door, project, model)
        if found.task != "classification":
            raise InvalidInput(f"Thresholds are of classifiers. Received: {found.task}")
        asked = of_class or next(iter(classes_with_threshold(schema_of(found.facts))), "")
        made = freeze_point(door.connection, found, asked, value, name=name, actor=door.actor)
    kept = made.calibration["thresholds"][asked]
    answer(
        {"model": made.name, "class": asked, **kept},
        f"{made.name}: {asked} from {value:g} on, {kept['rule']} (n = {kept['n']}).",
        as_json=as_json,
    )
