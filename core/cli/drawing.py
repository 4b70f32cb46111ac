"""The command that draws: images of a class, for sex and age where the model knows them, marked as synthetic."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, entered, model_named, wait_and_tell
from core.jobs.asking import ask_drawing
from core.jobs.bodies.generate import FOLDER
from core.jobs.context import job_folder
from core.training.drawn import Wanted


def generate(
    project: ProjectArgument,
    model: str,
    name: Annotated[str, typer.Option("--class", help="The class to draw.")],
    out: Annotated[Path, typer.Option(help="The folder where the images go.")],
    sex: Annotated[str, typer.Option(help="F or M [default: open].")] = "",
    age: Annotated[float | None, typer.Option(help="In years [default: open].")] = None,
    n: Annotated[int, typer.Option("-n", "--number", help="How many.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="The same seed draws the same images.", min=0)] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw images with a model of generation: PNG files marked as synthetic, and a drawn.json beside them."""
    with entered(home) as door:
        drawer = model_named(door, project, model)
        wanted = Wanted(name, sex or None, age)
        job = ask_drawing(door.connection, drawer, wanted, n=n, seed=seed, actor=door.actor)
        result = wait_and_tell(door, job)
        out.mkdir(parents=True, exist_ok=True)
        for path in sorted((job_folder(door.settings, job.id) / FOLDER).iterdir()):
            shutil.copyfile(path, out / path.name)
    answer({**result, "out": str(out)}, f"{n} synthetic images in {out}", as_json=as_json)
