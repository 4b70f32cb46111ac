"""The command about the folder of the server that a project's images come from by themselves."""

from pathlib import Path
from typing import Annotated

import typer

from core.cli.collection import ProjectArgument
from core.cli.door import HomeOption, JsonOption, answer, entered
from core.images.watched_folders import EVERY_SECONDS, QUIET_SECONDS, list_watched, stop_watching, watch_folder
from core.jobs.worker import worker_alive
from core.projects.records import get_project


def watch(
    project: ProjectArgument,
    folder: Annotated[Path | None, typer.Argument(help="A folder of this machine; none shows what is watched.")] = None,
    every: Annotated[float, typer.Option(help="Look so often, in seconds.")] = EVERY_SECONDS,
    quiet: Annotated[
        float, typer.Option(help="Seconds for which nothing may have been written in a file's folder.")
    ] = QUIET_SECONDS,
    off: Annotated[bool, typer.Option("--off", help="Watch no longer; what came in stays.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import what is put into a folder by itself; series in which something is odd wait for --accept."""
    if off and folder:
        raise typer.BadParameter("--off takes no folder.")
    with entered(home) as door:
        found = get_project(door.connection, project)
        if off:
            stop_watching(door.connection, found, door.actor)
        elif folder:
            watch_folder(
                door.connection, door.settings, found, folder.expanduser().absolute(),
                every_seconds=every, quiet_seconds=quiet, actor=door.actor,
            )  # fmt: skip
        now = next(iter(list_watched(door.connection, door.settings, found.id)), None)
        runs = worker_alive(door.settings)
    if now is None:
        answer({"project": found.id, "folder": None}, "No folder of this project is watched.", as_json=as_json)
        return
    document = {
        "project": found.id,
        "folder": str(now.folder) if now.folder else None,
        "every_seconds": now.every_seconds,
        "quiet_seconds": now.quiet_seconds,
        "looked_at": now.looked_at,
        "state": now.state,
        "worker": runs,
    }
    text = f"{now.folder} is looked into every {now.every_seconds:g} s, last at {now.looked_at or 'never yet'}."
    text += f" {now.state}" if now.state else ""
    text += "" if runs else " No worker runs: start one with readroom up, or readroom worker."
    answer(document, text, as_json=as_json)
