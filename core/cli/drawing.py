"""The command that draws: images of a class, for sex and age where the model knows them, marked as synthetic."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, demand_place, entered, model_named, wait_and_tell, written_to
from core.jobs.asking import ask_drawing
from core.jobs.bodies.generate import FOLDER
from core.jobs.context import job_folder
from core.projects.records import get_project
from core.training.drawn import Wanted
from core.training.keeping import demand_room, keep_drawn


def generate(
    project: ProjectArgument,
    model: str,
    name: Annotated[str, typer.Option("--class", help="The class to draw.")],
    out: Annotated[Path | None, typer.Option(help="The folder where the images go.")] = None,
    into: Annotated[str, typer.Option(help="Keep them as synthetic cases of this project.")] = "",
    sex: Annotated[str, typer.Option(help="F or M [default: open].")] = "",
    age: Annotated[float | None, typer.Option(help="In years [default: open].")] = None,
    n: Annotated[int, typer.Option("-n", "--number", help="How many.", min=1)] = 16,
    seed: Annotated[int, typer.Option(help="The same seed draws the same images.", min=0)] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Draw images with a model of generation: PNG files marked as synthetic and a drawn.json beside them, or cases.

    Synthetic cases are read by nobody and are only ever learnt from (snapshot … --synthetic).
    """
    if not (out or into):
        raise typer.BadParameter("Say where the images go: --out DIR, or --into PROJECT, or both.")
    if out:
        demand_place(out, folder=True)
    with entered(home) as door:
        target = get_project(door.connection, into) if into else None
        if target:
            demand_room(door.connection, target, name, door.actor)  # before minutes are spent on drawing
        drawer = model_named(door, project, model)
        wanted = Wanted(name, sex or None, age)
        job = ask_drawing(door.connection, drawer, wanted, n=n, seed=seed, actor=door.actor)
        result = wait_and_tell(door, job)
        drawn = job_folder(door.settings, job.id) / FOLDER
        if out:
            with written_to(out):
                out.mkdir(parents=True, exist_ok=True)
                for path in sorted(drawn.iterdir()):
                    shutil.copyfile(path, out / path.name)
        kept = keep_drawn(door.connection, door.files, target, drawn, None, door.actor) if target else []
    where = [f"in {out}"] * (out is not None) + [f"kept in project {into}"] * bool(into)
    document = {**result, "out": str(out) if out else None, "cases": kept}
    answer(document, f"{n} synthetic images, {' and '.join(where)}", as_json=as_json)
