"""The bodies of the jobs by kind, as a child asks for them: `core.jobs.handlers:HANDLERS`."""

import sqlite3
from typing import Any

from core.jobs.bodies import BODIES
from core.jobs.context import Body
from core.progress import Silent
from core.settings import Settings
from core.store.files import Files

HANDLERS: dict[str, Body] = {kind: body.run for kind, body in BODIES.items()}


def preload(
    connection: sqlite3.Connection, files: Files, settings: Settings, model_id: int, kept: dict[str, Any]
) -> None:
    """Load a model into the warm child before the first question about it."""
    from core.explain.run import warm_model

    warm_model(connection, files, model_id, Silent(), kept)
