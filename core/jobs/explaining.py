"""Asking for an explanation: quick methods go to the warm process, slow ones are jobs beside it."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from core.explain.methods import method_named
from core.jobs.kind import Lane
from core.jobs.records import Job, add_job
from core.store.audit import Actor


def ask_explanation(connection: sqlite3.Connection, arguments: Mapping[str, Any], *, project: int, actor: Actor) -> Job:
    """Queue what `core.explain.run.explain_case` answers; whoever looks at other cases does not wait behind a slow one.

    Raises:
        InvalidInput: there is no such method.
        NotAllowed: the actor may not know what models say here.
    """
    lane: Lane = "explain" if method_named(arguments["method"]).is_quick else "work"
    return add_job(connection, "explain", arguments, lane=lane, project=project, actor=actor)
