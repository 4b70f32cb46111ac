"""Which cases a reader is to see next, how far the labelling is, and how fast it goes."""

import json
import sqlite3
import statistics
from dataclasses import dataclass
from typing import Literal, get_args

from core.errors import InvalidInput
from core.labels.case_lists import list_cases_of
from core.labels.sight import NOBODY_BLIND, Sight, answered_cases
from core.people.accounts import find_user
from core.projects.records import Project

WorklistKind = Literal["all", "unlabelled", "mine", "flagged", "assigned", "disagreements", "review"]
CASES_FOR_PACE = 50  # the newest answers, whose median tells how long the next will take

# One query each, by case id. `:reader` is the id of whoever reads, 0 for somebody without any label.
_QUERIES: dict[WorklistKind, str] = {
    "all": "SELECT id FROM cases WHERE project = :project ORDER BY id",
    "unlabelled": """
        SELECT id FROM cases WHERE project = :project
        AND id NOT IN (SELECT case_id FROM current_labels WHERE project = :project AND reader = :reader) ORDER BY id""",
    "mine": "SELECT case_id FROM current_labels WHERE project = :project AND reader = :reader ORDER BY case_id",
    "flagged": "SELECT id FROM cases WHERE project = :project AND flagged = 1 ORDER BY id",
    # What is still to be done first.
    "assigned": """
        SELECT assignments.case_id FROM assignments
        LEFT JOIN current_labels ON current_labels.case_id = assignments.case_id AND current_labels.reader = :reader
        WHERE assignments.project = :project AND assignments.reader = :reader
        ORDER BY current_labels.label IS NOT NULL, assignments.case_id""",
    "review": """
        SELECT cases.id FROM json_each(:given) AS given JOIN cases ON cases.id = given.value
        WHERE cases.project = :project ORDER BY given.key""",
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

    `unlabelled` are the cases without an answer of this reader, `mine` those with one, `assigned` those that somebody
    asked this reader to read, what is still to be done first; `disagreements` are cases whose readers gave different
    answers. `review` are the cases of a list kept by its number (`labels.case_lists`), or given one by one.
    """

    kind: WorklistKind = "unlabelled"
    list_id: int | None = None
    case_ids: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(WorklistKind):
            raise InvalidInput(f"A worklist is one of {', '.join(get_args(WorklistKind))}. Received: {self.kind!r}")
        given = (self.list_id is not None) + (self.case_ids is not None)
        if given != (self.kind == "review"):
            raise InvalidInput(
                f"A worklist of a review names a list or cases, and no other does. "
                f"Received: {self.kind}, list {self.list_id}, {len(self.case_ids or ())} cases"
            )


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

    Of a review's list, those of its cases that are in the project, in its own order. That others disagree about a
    case is nothing that a blind reader may know before they have answered it.
    """
    user = find_user(connection, reader)
    parameters: dict[str, object] = {"project": project.id, "reader": user.id if user else 0}
    if worklist.kind == "review":
        given = worklist.case_ids
        if given is None:
            given = tuple(list_cases_of(connection, project.id, worklist.list_id or 0))
        parameters["given"] = json.dumps(list(dict.fromkeys(given)))
    held = connection.execute(
        "SELECT id FROM cases WHERE project = ? AND (held = 1 OR synthetic IS NOT NULL)", (project.id,)
    )
    waiting = {row[0] for row in held}  # until somebody has looked at their pixels nobody reads them; drawn ones never
    ids = [row[0] for row in connection.execute(_QUERIES[worklist.kind], parameters) if row[0] not in waiting]
    if worklist.kind != "disagreements" or not sight.blind_to_others:
        return ids
    answered = answered_cases(connection, sight, ids)
    return [case_id for case_id in ids if case_id in answered]


def label_progress(connection: sqlite3.Connection, project: Project, reader: str) -> LabelProgress:
    """How far the labelling of a project is."""
    user = find_user(connection, reader)
    row = connection.execute(
        """SELECT (SELECT count(*) FROM cases WHERE project = :project AND held = 0 AND synthetic IS NULL),
                  (SELECT count(*) FROM current_labels WHERE project = :project AND reader = :reader),
                  (SELECT count(DISTINCT case_id) FROM current_labels WHERE project = :project),
                  (SELECT count(*) FROM reference_labels WHERE project = :project AND state = 'labelled')""",
        {"project": project.id, "reader": user.id if user else 0},
    ).fetchone()
    return LabelProgress(*row)


@dataclass(frozen=True)
class Pace:
    """How fast a reader reads: the median of the seconds that their newest answers took, and what follows from it.

    `seconds_per_case` is None as long as no answer was timed; `cases` says how many were.
    """

    seconds_per_case: float | None
    cases: int

    @property
    def cases_per_hour(self) -> float | None:
        return 3600 / self.seconds_per_case if self.seconds_per_case else None

    def seconds_left(self, cases_left: int) -> float | None:
        """How long so many cases will take."""
        return None if self.seconds_per_case is None else cases_left * self.seconds_per_case


def reading_pace(connection: sqlite3.Connection, project: Project, reader: str) -> Pace:
    """How fast a reader went through their last cases, idle time not counted; imported answers have no time."""
    rows = connection.execute(
        """SELECT active_seconds FROM current_labels JOIN labels ON labels.id = label
           JOIN users ON users.id = current_labels.reader
           WHERE current_labels.project = ? AND users.name = ? AND active_seconds > 0
           ORDER BY labels.stored_at DESC, labels.id DESC LIMIT ?""",
        (project.id, reader, CASES_FOR_PACE),
    ).fetchall()
    seconds = [row["active_seconds"] for row in rows]
    return Pace(statistics.median(seconds) if seconds else None, len(seconds))
