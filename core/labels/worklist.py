"""Which cases a reader is to see next, and how far the labelling is."""

import sqlite3
from dataclasses import dataclass
from typing import Literal, get_args

from core.errors import InvalidInput
from core.labels.sight import NOBODY_BLIND, Sight, answered_cases
from core.people.accounts import find_user
from core.projects.records import Project

WorklistKind = Literal["all", "unlabelled", "mine", "flagged", "disagreements"]

# One query each, by case id. `:reader` is the id of whoever reads, 0 for somebody without any label.
_QUERIES: dict[WorklistKind, str] = {
    "all": "SELECT id FROM cases WHERE project = :project ORDER BY id",
    "unlabelled": """
        SELECT id FROM cases WHERE project = :project
        AND id NOT IN (SELECT case_id FROM current_labels WHERE project = :project AND reader = :reader) ORDER BY id""",
    "mine": "SELECT case_id FROM current_labels WHERE project = :project AND reader = :reader ORDER BY case_id",
    "flagged": "SELECT id FROM cases WHERE project = :project AND flagged = 1 ORDER BY id",
    # Unsure or not, an answer is an answer; readers disagree when what they say differs.
    "disagreements": """
        SELECT current_labels.case_id FROM current_labels JOIN labels ON labels.id = current_labels.label
        WHERE current_labels.case_id IN (
            SELECT case_id FROM current_labels WHERE project = :project GROUP BY case_id HAVING count(*) > 1)
        GROUP BY current_labels.case_id
        HAVING count(DISTINCT CASE WHEN unusable THEN 'unusable' ELSE value END) > 1
        ORDER BY current_labels.case_id""",
}


@dataclass(frozen=True)
class Worklist:
    """A list of cases to read.

    `unlabelled` are the cases without an answer of this reader, `mine` those with one; `disagreements` are cases
    whose readers gave different answers.
    """

    kind: WorklistKind = "unlabelled"

    def __post_init__(self) -> None:
        if self.kind not in get_args(WorklistKind):
            raise InvalidInput(f"A worklist is one of {', '.join(get_args(WorklistKind))}. Received: {self.kind!r}")


@dataclass(frozen=True)
class LabelProgress:
    """How many cases there are, have an answer of this reader, of anyone, and a reference answer."""

    total: int
    mine: int
    labelled_by_anyone: int
    referenced: int


def list_case_ids(
    connection: sqlite3.Connection, project: Project, worklist: Worklist, reader: str, *, sight: Sight = NOBODY_BLIND
) -> list[int]:
    """The cases of a worklist in the order of their import. A reader whom nobody knows has labelled nothing.

    That others disagree about a case is nothing that a blind reader may know before they have answered it.
    """
    user = find_user(connection, reader)
    parameters = {"project": project.id, "reader": user.id if user else 0}
    ids = [row[0] for row in connection.execute(_QUERIES[worklist.kind], parameters)]
    if worklist.kind != "disagreements" or not sight.blind_to_others:
        return ids
    answered = answered_cases(connection, sight, ids)
    return [case_id for case_id in ids if case_id in answered]


def label_progress(connection: sqlite3.Connection, project: Project, reader: str) -> LabelProgress:
    """How far the labelling of a project is."""
    user = find_user(connection, reader)
    row = connection.execute(
        """SELECT (SELECT count(*) FROM cases WHERE project = :project),
                  (SELECT count(*) FROM current_labels WHERE project = :project AND reader = :reader),
                  (SELECT count(DISTINCT case_id) FROM current_labels WHERE project = :project),
                  (SELECT count(*) FROM reference_labels WHERE project = :project AND state = 'labelled')""",
        {"project": project.id, "reader": user.id if user else 0},
    ).fetchone()
    return LabelProgress(*row)
