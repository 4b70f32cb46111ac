"""Folders of the server that the worker looks into: what lies quiet in them and is new comes in by an ordinary import.

One folder for each project. Where it lies is encrypted with the home's secret, as names of folders name people too.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.clock import utc_now
from core.errors import InvalidInput
from core.images.known_files import find_known
from core.images.pseudonyms import load_secret
from core.images.sealed_paths import seal_text, unseal_text
from core.images.sources import SourceFile, list_sources, quiet_only
from core.people.roles import demand_of
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing

EVERY_SECONDS = 30.0
QUIET_SECONDS = 10.0
LEAST_SECONDS = 1.0
MOST_SECONDS = 86_400.0


@dataclass(frozen=True)
class WatchedFolder:
    """What is looked at and how often. `folder` is None where the home's secret is another than it was.

    `state` is what is wrong with it, in a sentence; empty where nothing is.
    """

    project: int
    folder: Path | None
    every_seconds: float
    quiet_seconds: float
    set_by: str
    set_at: str
    looked_at: str | None
    state: str


def watch_folder(
    connection: sqlite3.Connection,
    settings: Settings,
    project: Project,
    folder: Path,
    *,
    every_seconds: float = EVERY_SECONDS,
    quiet_seconds: float = QUIET_SECONDS,
    actor: Actor,
) -> WatchedFolder:
    """Look into a folder from now on, in the name of the actor; it takes the place of the project's one before.

    Args:
        quiet_seconds: for so long nothing may have been written in a file's folder: a series arrives slice by slice.

    Raises:
        InvalidInput: it is no folder of this server, lies in the home, or a number is out of reach.
        NotAllowed: the actor does not administer this Readroom; a folder is read that they may not be meant to see.
    """
    for seconds in (every_seconds, quiet_seconds):
        if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
            raise InvalidInput(f"Seconds are from {LEAST_SECONDS:g} to {MOST_SECONDS:g}. Received: {seconds:g}")
    with writing(connection):
        demand_of(connection, actor, "administer", None)
        demand_of(connection, actor, "import", project.id)
        if not folder.is_absolute() or not is_readable(folder):
            raise InvalidInput(f"Give the full path of a folder on the server that can be read. Received: {folder}")
        home, place = settings.home.resolve(), folder.resolve()
        if place == home or home in place.parents or place in home.parents:
            raise InvalidInput(f"A folder that holds Readroom's own files is not watched. Received: {folder}")
        connection.execute(
            """INSERT OR REPLACE INTO watched_folders (project, folder, every_seconds, quiet_seconds, set_by, set_at)
               VALUES (?, ?, ?, ?, ?, ?)""",
            (project.id, seal_text(settings, str(folder)), every_seconds, quiet_seconds, actor.name, utc_now()),
        )
        add_audit(connection, actor, "watch a folder", f"project {project.id}", every_seconds=every_seconds,
                  quiet_seconds=quiet_seconds)  # fmt: skip
    (found,) = list_watched(connection, settings, project.id)
    return found


def stop_watching(connection: sqlite3.Connection, project: Project, actor: Actor) -> None:
    """Look no longer; what came in stays.

    Raises:
        InvalidInput: no folder of the project is watched.
        NotAllowed: the actor does not administer this Readroom.
    """
    with writing(connection):
        demand_of(connection, actor, "administer", None)
        if not connection.execute("DELETE FROM watched_folders WHERE project = ?", (project.id,)).rowcount:
            raise InvalidInput(f"No folder of this project is watched. Received: {project.name}")
        add_audit(connection, actor, "stop watching a folder", f"project {project.id}")


def list_watched(connection: sqlite3.Connection, settings: Settings, project: int | None = None) -> list[WatchedFolder]:
    """The watched folders by project, or the one of a project."""
    rows = connection.execute(
        "SELECT * FROM watched_folders WHERE ? IS NULL OR project = ? ORDER BY project", (project, project)
    )
    found = []
    for row in rows:
        said = unseal_text(settings, row["folder"])
        found.append(WatchedFolder(**{**dict(row), "folder": Path(said) if said else None}))
    return found


def note_look(connection: sqlite3.Connection, project: int, state: str) -> None:
    """Keep that somebody looked just now, and what is wrong."""
    with writing(connection):
        connection.execute(
            "UPDATE watched_folders SET looked_at = ?, state = ? WHERE project = ?", (utc_now(), state, project)
        )


def list_news(
    connection: sqlite3.Connection, settings: Settings, watched: WatchedFolder, now: float
) -> Sequence[SourceFile]:
    """The files in the folder that lie quiet and that no import of the project has met.

    Args:
        now: seconds since the epoch.

    Raises:
        InvalidInput: the folder cannot be read.
    """
    if watched.folder is None or not is_readable(watched.folder):
        raise InvalidInput("The folder cannot be read; connect its disk again, or choose another.")
    files = quiet_only(list_sources([watched.folder], settings), watched.quiet_seconds, now)
    secret = load_secret(settings)
    known = find_known(connection, secret, watched.project, files)
    news = [file for file in files if file.size is not None and file.path not in known]
    # a file of several volumes is known by each of them; the first tells whether it was met, and nothing is opened
    firsts = [replace(file, time_point=1) for file in news]
    in_parts = find_known(connection, secret, watched.project, firsts)
    return [file for file in news if file.path not in in_parts]


def is_readable(folder: Path) -> bool:
    """Whether it is a folder that this process can list."""
    try:
        next(folder.iterdir(), None)
    except OSError:
        return False
    return True
