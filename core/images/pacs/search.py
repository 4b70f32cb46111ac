"""Searching a PACS: whoever reads names there is in the audit, and what was asked and answered is not."""

import sqlite3
from dataclasses import fields

from core.images.pacs.client import client_of
from core.images.pacs.questions import Answer, Question
from core.images.pacs.records import Pacs
from core.people.roles import demand_of
from core.settings import Settings
from core.store.audit import Actor, add_audit


def search_studies(
    connection: sqlite3.Connection,
    settings: Settings,
    pacs: Pacs,
    question: Question,
    project: int | None,
    actor: Actor,
) -> Answer:
    """The studies that fit, for whoever may import into the project.

    Raises:
        NotAllowed: the actor may not import there, or the PACS does not let us in.
        Unavailable: it cannot be reached.
        InvalidInput: it refuses the question.
    """
    demand_of(connection, actor, "import", project)
    found = client_of(settings, pacs).find_studies(question)
    keys = [field.name for field in fields(question) if getattr(question, field.name)]
    add_audit(connection, actor, "search pacs", f"pacs {pacs.id}", keys=keys, found=len(found.studies))
    return found
