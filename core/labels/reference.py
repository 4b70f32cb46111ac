"""The reference of a project: its rule, and what the rule makes of the answers."""

import sqlite3
from dataclasses import asdict, replace

from core.labels.consensus import Reference, ReferenceState, resolve_reference
from core.labels.records import settle_project
from core.people.accounts import get_user
from core.people.roles import demand_of
from core.projects.records import Project, ReferenceRule, check_rule, get_project, store_reference_rule
from core.store.audit import Actor, add_audit
from core.store.database import writing

__all__ = ["Reference", "ReferenceState", "resolve_reference", "set_reference_rule"]


def set_reference_rule(connection: sqlite3.Connection, project: Project, rule: ReferenceRule, actor: Actor) -> Project:
    """Change whose answers count, and settle every case anew in the same transaction.

    Snapshots keep the rule and the answers they were frozen with.

    Raises:
        NotFound: the rule names a reader whom nobody knows.
        InvalidInput: answers of the project's task cannot be settled by it.
        NotAllowed: the actor does not administer the project.
    """
    with writing(connection):
        demand_of(connection, actor, "administer", project.id)
        check_rule(project.task, rule)
        if rule.reader is not None:
            get_user(connection, rule.reader)
        # As it is now: under the classes of a page that was opened before a rename, answers of today name none.
        before = get_project(connection, project.id)
        store_reference_rule(connection, before, rule)
        changed = replace(before, reference_rule=rule)
        settle_project(connection, changed)
        told = {"before": asdict(before.reference_rule), "after": asdict(rule)}
        add_audit(connection, actor, "set reference rule", f"project {project.id}", **told)
        return changed
