"""Commands that help to choose a training: augmented images to look at."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, entered, wait_and_tell
from core.cli.training import settle_recipe
from core.datasets.records import get_snapshot
from core.errors import NotFound
from core.jobs.asking_trials import ask_samples
from core.projects.records import get_project
from core.store.files import write_whole
from core.training.augmented import read_samples, why_mirrored
from core.training.auto import AUTO
from core.training.recipe import RECIPE_NAMES

SnapshotOption = Annotated[str, typer.Option(help="The snapshot's name.")]
RecipeOption = Annotated[str, typer.Option(help=f"{', '.join([AUTO, *RECIPE_NAMES])}, or a JSON file.")]
ChangeOption = Annotated[list[str] | None, typer.Option("--set", help="key=value, as often as needed.")]
FoldOption = Annotated[int | None, typer.Option(help="Of this fold of the snapshot.")]


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
    with entered(home) as door:
        found = get_project(door.connection, project)
        frozen = get_snapshot(door.connection, found.id, snapshot)
        settled = settle_recipe(door, frozen, fold, recipe, change or [])
        job = ask_samples(door.connection, door.files, found, frozen, settled, fold=fold, actor=door.actor)
        key = wait_and_tell(door, job)["samples"]
        picture = read_samples(door.files, key)
        if picture is None:  # cleared away with all prepared images, as when a case is erased
            raise NotFound("picture of augmented images", key)
        write_whole(out.resolve(), picture)
    answer({"samples": key, "out": str(out)}, f"Written to {out}. {why_mirrored(settled)}", as_json=as_json)
