"""Commands that help to choose a training: augmented images to look at, and what more cases would bring."""

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import (
    HomeOption,
    JsonOption,
    answer,
    demand_place,
    entered,
    estimate_text,
    tell,
    wait_and_tell,
    written_to,
)
from core.cli.training import settle_recipe
from core.datasets.records import get_snapshot
from core.errors import InvalidInput, NotFound
from core.jobs.asking_trials import ask_learning_curve, ask_samples
from core.projects.records import get_project
from core.store.files import write_whole
from core.training.augmented import describe_samples, read_samples
from core.training.auto import AUTO
from core.training.learning_curve import FRACTIONS, expected_seconds, forecast_of
from core.training.preflight import duration
from core.training.recipe import RECIPE_NAMES

SnapshotOption = Annotated[str, typer.Option(help="The snapshot's name.")]
RecipeOption = Annotated[str, typer.Option(help=f"{', '.join([AUTO, *RECIPE_NAMES])}, or a JSON file.")]
ChangeOption = Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as needed.")]
FoldOption = Annotated[int | None, typer.Option(help="Of this fold of the snapshot.")]

PARTS = ",".join(f"{fraction:g}" for fraction in FRACTIONS)


def augmented(
    project: ProjectArgument,
    snapshot: SnapshotOption,
    out: Annotated[Path, typer.Option(help="Where the picture goes (PNG).")],
    recipe: RecipeOption = AUTO,
    change: ChangeOption = None,
    fold: FoldOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw some training images as they enter the network, and each several times augmented."""
    demand_place(out)
    with entered(home) as door:
        found = get_project(door.connection, project)
        frozen = get_snapshot(door.connection, found.id, snapshot)
        settled = settle_recipe(door, frozen, fold, recipe, change or [])
        job = ask_samples(door.connection, door.files, found, frozen, settled, fold=fold, actor=door.actor)
        key = wait_and_tell(door, job)["samples"]
        picture = read_samples(door.files, key)
        if picture is None:  # cleared away with all prepared images, as when a case is erased
            raise NotFound("picture of augmented images", key)
        with written_to(out):
            write_whole(out.resolve(), picture)
    answer({"samples": key, "out": str(out)}, f"Written to {out}. {describe_samples(settled)}", as_json=as_json)


def learning_curve(
    project: ProjectArgument,
    snapshot: SnapshotOption,
    recipe: RecipeOption = AUTO,
    change: ChangeOption = None,
    fold: FoldOption = None,
    parts: Annotated[str, typer.Option(help="Shares of the training cases.")] = PARTS,
    more: Annotated[
        int | None, typer.Option(help="How many more cases to speak of [default: a quarter of them].", min=1)
    ] = None,
    at_most: Annotated[
        float | None, typer.Option("--at-most", help="Refuse it where it would take more minutes.", min=0.1)
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a recipe on growing parts of the training cases, and say what more cases are expected to bring."""
    try:
        fractions = [float(part) for part in parts.split(",")]
    except ValueError as error:
        raise InvalidInput(f"Parts are numbers such as 0.25,0.5,1. Received: {parts}") from error
    with entered(home) as door:
        found = get_project(door.connection, project)
        frozen = get_snapshot(door.connection, found.id, snapshot)
        settled = settle_recipe(door, frozen, fold, recipe, change or [])
        seconds = expected_seconds(door.connection, frozen, settled, fractions)
        if seconds:
            tell(f"{len(fractions)} trainings, about {duration(seconds)} by an earlier run of this network.")
        job = ask_learning_curve(
            door.connection,
            found,
            frozen,
            settled,
            fold=fold,
            fractions=fractions,
            most_minutes=at_most,
            files=door.files,
            actor=door.actor,
        )
        curve = wait_and_tell(door, job)
    forecast = forecast_of(curve, more) if more else curve["forecast"]
    lines = [_point(point) for point in curve["points"]]
    shown = {key: value for key, value in curve.items() if key != "laws"} | {"forecast": forecast}
    answer(shown, "\n".join([*lines, forecast["sentence"]]), as_json=as_json)


def _point(point: dict[str, Any]) -> str:
    return f"{point['cases']:>7,} cases of {point['patients']:,} patients: {estimate_text(point)}"
