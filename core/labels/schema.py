"""Changing the classes or structures of a project without losing what was said under them.

Answers are only ever added. So a class that is renamed gets, for every answer that counts and names it, a new row
with the new name, made by the same reader at the same time; the old rows stay in the history. Masks, marks and what
models said keep the name they were made under and are found under the present one.
"""

import sqlite3
from dataclasses import asdict

from core.labels.masks import rename_structure
from core.labels.records import count_values, reword_answers, settle_project
from core.people.roles import demand_of
from core.projects.changes import SchemaChange, present_names, store_change, under_present_names
from core.projects.records import Project
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
        after = store_change(connection, project, change, actor.name)
        answers = 0
        if change.kind == "rename":
            names = present_names(connection, after)
            answers = reword_answers(
                connection, after, lambda value: under_present_names(value, names), entered_by=actor.name
            )
            rename_structure(connection, after.id, change.name, change.to)
            settle_project(connection, after)
        told = {**asdict(change), "version": after.schema_version, "answers": answers}
        add_audit(connection, actor, "change classes", f"project {project.id}", **told)
        return after


def count_answers_with(connection: sqlite3.Connection, project: Project) -> dict[str, int]:
    """How many answers that count name each class or structure."""
    counts: dict[str, int] = {}
    for value, amount in count_values(connection, project.id):
        for said in value.values():
            for name in said if isinstance(said, list) else ():
                counts[name] = counts.get(name, 0) + amount
    return counts
