"""Changing the classes or structures of a project without losing what was said under them.

Answers are only ever added. So a class that is renamed gets, for every answer that counts and names it, a new row
with the new name, made by the same reader at the same time; the old rows stay in the history. Masks, marks and what
models said keep the name they were made under and are found under the present one.
"""

import json
import sqlite3
from dataclasses import asdict
from typing import Any

from core.clock import utc_now
from core.labels.answers import value_text
from core.labels.masks import rename_structure
from core.labels.records import settle_project
from core.people.roles import demand_of
from core.projects.changes import SchemaChange, present_names, store_change, under_present_names
from core.projects.records import Project, get_project
from core.store.audit import Actor, add_audit
from core.store.database import writing

__all__ = ["SchemaChange", "change_schema"]


def change_schema(connection: sqlite3.Connection, project: Project, change: SchemaChange, actor: Actor) -> Project:
    """Add, rename, recolour, retire or bring back one class or structure, or give a class another digit.

    Everything that was answered stays; snapshots keep the classes they were frozen with.

    Raises:
        InvalidInput: there is no such class, the name is or was another's, or too few would be left.
        Conflict: somebody else changed the classes meanwhile.
        NotAllowed: the actor does not administer the project.
    """
    with writing(connection):
        demand_of(connection, actor, "administer", project.id)
        before = get_project(connection, project.id)
        after = store_change(connection, project, change, actor.name)
        answers = 0
        if change.kind == "rename":
            names = present_names(connection, after)
            answers = _rewrite_answers(connection, before, after, names, actor)
            rename_structure(connection, after.id, change.name, change.to)
            settle_project(connection, after)
        told = {**asdict(change), "version": after.schema_version, "answers": answers}
        add_audit(connection, actor, "change classes", f"project {project.id}", **told)
        return after


def count_answers_with(connection: sqlite3.Connection, project: Project) -> dict[str, int]:
    """How many answers that count name each class or structure."""
    rows = connection.execute(
        """SELECT labels.value, count(*) AS amount FROM current_labels JOIN labels ON labels.id = label
           WHERE current_labels.project = ? AND value IS NOT NULL GROUP BY labels.value""",
        (project.id,),
    )
    counts: dict[str, int] = {}
    for row in rows:
        for said in json.loads(row["value"]).values():
            for name in said if isinstance(said, list) else ():
                counts[name] = counts.get(name, 0) + row["amount"]
    return counts


def _rewrite_answers(
    connection: sqlite3.Connection, before: Project, after: Project, names: dict[str, str], actor: Actor
) -> int:
    """A new row for each answer that counts and is worded otherwise now; how many."""
    rows = connection.execute(
        """SELECT labels.* FROM current_labels JOIN labels ON labels.id = label
           WHERE current_labels.project = ? AND value IS NOT NULL ORDER BY labels.id""",
        (before.id,),
    ).fetchall()
    rewritten = 0
    for row in rows:
        value = _in_present_words(row["value"], names)
        if value == row["value"]:
            continue
        told = dict(row) | {
            "event": f"schema-{after.schema_version}-{row['id']}",
            "value": value,
            "schema_version": after.schema_version,
            "replaces": row["id"],
            "entered_by": actor.name,
            "stored_at": max(utc_now(), row["stored_at"]),
        }
        del told["id"]
        cursor = connection.execute(
            f"INSERT INTO labels ({', '.join(told)}) VALUES ({', '.join(':' + key for key in told)})", told
        )
        connection.execute(
            "UPDATE current_labels SET label = ? WHERE case_id = ? AND reader = ?",
            (cursor.lastrowid, row["case_id"], row["reader"]),
        )
        rewritten += 1
    return rewritten


def _in_present_words(stored: str, names: dict[str, str]) -> str:
    value: dict[str, Any] = json.loads(stored)
    return value_text(under_present_names(value, names))
