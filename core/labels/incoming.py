"""What a label, a mark and a stroke must be alike before one of them is kept."""

import math
import sqlite3
from datetime import datetime
from typing import Literal, get_args

from core.clock import utc_text
from core.errors import Conflict, InvalidInput
from core.people.roles import demand_of
from core.projects.records import Project
from core.store.audit import Actor

MadeIn = Literal["label page", "review", "import", "command line", "demo"]
MOST_SECONDS = 24 * 3600.0


def check_event(event: str) -> None:
    """Before anything is looked up by it: half a letter cannot even be asked for.

    Raises:
        InvalidInput: the id is empty, too long or no text.
    """
    if not event.strip() or len(event) > 200 or is_no_text(event):
        raise InvalidInput(f"An event needs an id of at most 200 characters. Received: {event!r}")


def check_origin(made_in: str, thing: str) -> None:
    """Raises `InvalidInput` where a thing was made nowhere that is known."""
    if made_in not in get_args(MadeIn):
        raise InvalidInput(f"A {thing} is made in one of {', '.join(get_args(MadeIn))}. Received: {made_in!r}")


def check_seconds(active_seconds: float | None) -> float | None:
    """The seconds that somebody was busy with a case, if they were counted.

    Raises:
        InvalidInput: nobody can have been.
    """
    if active_seconds is None:
        return None
    if not math.isfinite(active_seconds) or not 0 <= active_seconds <= MOST_SECONDS:
        raise InvalidInput(f"Active seconds lie between 0 and {MOST_SECONDS:.0f}. Received: {active_seconds}")
    return float(active_seconds)


def check_version(project: Project, schema_version: int) -> None:
    """Versions of before are good: names are found under what they are called today (`projects.changes`).

    Raises:
        Conflict: there was no such version.
    """
    if not 1 <= schema_version <= project.schema_version:
        raise Conflict(
            f"The classes of this project are not those of this page; reload it and answer again. "
            f"Received: version {schema_version} of {project.schema_version}"
        )


def demand_speaking(connection: sqlite3.Connection, actor: Actor, reader: str, project_id: int) -> None:
    """Refuse an actor who may not label here, or not in the name of this reader.

    Raises:
        NotAllowed: so it is.
    """
    demand_of(connection, actor, "label", project_id)
    if reader != actor.name:
        demand_of(connection, actor, "edit others' labels", project_id)


def to_utc(made_at: str) -> str:
    """A time as it is stored.

    Raises:
        InvalidInput: it is none, or nobody can tell of which zone.
    """
    try:
        moment = datetime.fromisoformat(made_at)
    except ValueError as error:
        raise InvalidInput(f"A time reads like 2026-11-22T10:42:03.123Z. Received: {made_at!r}") from error
    if moment.tzinfo is None:
        raise InvalidInput(f"A time needs its zone, such as a final Z. Received: {made_at!r}")
    try:
        return utc_text(moment)
    except OverflowError as error:
        raise InvalidInput(f"A time reads like 2026-11-22T10:42:03.123Z. Received: {made_at!r}") from error


def moment_made(said: str | None, stored_at: str) -> str:
    """When a thing was made that is stored now: as it is said, or as it is stored where nothing is said. Never later
    than that, since a clock that runs ahead must not outrank what comes after.

    Raises:
        InvalidInput: as `to_utc`.
    """
    return stored_at if said is None else min(to_utc(said), stored_at)


def is_no_text(text: str) -> bool:
    """Whether a text holds what SQLite or UTF-8 cannot."""
    return "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text)
