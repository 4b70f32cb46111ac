"""Who did what, and by which door. Rows are only ever added."""

import json
import sqlite3
from dataclasses import dataclass
from typing import Literal

from core.clock import utc_now

Door = Literal["screen", "command line", "job"]


@dataclass(frozen=True)
class Actor:
    """Whoever acts: a user's name and the door they came by."""

    name: str
    via: Door


def add_audit(connection: sqlite3.Connection, actor: Actor, what: str, subject: str, **detail: object) -> None:
    """Write one row, in the transaction of the act itself."""
    connection.execute(
        "INSERT INTO audit (at, who, via, what, subject, detail) VALUES (?, ?, ?, ?, ?, ?)",
        (utc_now(), actor.name, actor.via, what, subject, json.dumps(detail, sort_keys=True)),
    )
