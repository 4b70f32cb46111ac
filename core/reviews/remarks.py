"""The tables of what is said in a review, threaded, and of where whoever presents it stands."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.clock import utc_now
from core.errors import InvalidInput, NotFound
from core.images.records import Case, get_case
from core.labels.incoming import is_no_text
from core.people.roles import demand_of
from core.reviews.meetings import Review, list_reviews
from core.store.audit import Actor, add_audit
from core.store.database import writing

LONGEST_REMARK = 10_000
# What a step may show beside which step it is; of attributes several.
CHOICES = (
    "class", "attribute", "attributes", "metric", "prevalence", "tab", "quantity", "structure", "overlay", "case",
)  # fmt: skip
LONGEST_CHOICES = 2_000  # characters of all of them together
Choice = str | int | float | bool | list[str]
Choices = Mapping[str, Choice]


@dataclass(frozen=True)
class Remark:
    """One remark about the model (`step` ""), a step of the meeting, or a case; `parent` is what it answers."""

    id: int
    step: str
    case_id: int | None
    parent: int | None
    author: str
    text: str
    at: str


@dataclass(frozen=True)
class Presented:
    """The step that somebody shows to the others, the case that is open in it, and what is chosen there by the names
    of `CHOICES`."""

    step: str
    by: str
    at: str
    case_id: int | None = None
    choices: Choices = field(default_factory=dict)


def add_remark(
    connection: sqlite3.Connection,
    review: Review,
    text: str,
    *,
    step: str = "",
    case_id: int | None = None,
    parent: int | None = None,
    actor: Actor,
) -> Remark:
    """Keep what somebody says; an answer is about what its parent is about.

    Raises:
        InvalidInput: it is empty, too long or no plain text, or about a case of another project.
        NotFound: the review has no such parent.
        NotAllowed: the actor may not open test results here.
    """
    text = text.strip()
    if not 0 < len(text) <= LONGEST_REMARK:
        raise InvalidInput(f"A remark has 1 to {LONGEST_REMARK} characters. Received: {len(text)}")
    if is_no_text(text):
        raise InvalidInput(f"A remark is plain text. Received: {text!r}")
    with writing(connection):
        demand_of(connection, actor, "open test results", review.project)
        if parent is not None:
            above = next((one for one in list_remarks(connection, review) if one.id == parent), None)
            if above is None:
                raise NotFound("remark", parent)
            step, case_id = above.step, above.case_id
        if case_id is not None and get_case(connection, case_id).project != review.project:
            raise InvalidInput(f"Name a case of this project. Received: case {case_id}")
        cursor = connection.execute(
            """INSERT INTO remarks (project, review, step, case_id, parent, author, text, at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)""",
            (review.project, review.id, step, case_id, parent, actor.name, text, utc_now()),
        )
        add_audit(connection, actor, "remark", f"review {review.id}", remark=cursor.lastrowid, case=case_id)
        return next(one for one in list_remarks(connection, review) if one.id == cursor.lastrowid)


def list_remarks(connection: sqlite3.Connection, review: Review) -> list[Remark]:
    """Everything that was said in a review, oldest first."""
    rows = connection.execute(
        "SELECT id, step, case_id, parent, author, text, at FROM remarks WHERE review = ? ORDER BY id", (review.id,)
    )
    return [Remark(**dict(row)) for row in rows]


def list_reviews_of_case(connection: sqlite3.Connection, case: Case) -> list[Review]:
    """The reviews on a snapshot that a case is in, newest first: where something can be said of it."""
    rows = connection.execute("SELECT DISTINCT snapshot FROM snapshot_cases WHERE case_id = ?", (case.id,))
    snapshots = {row["snapshot"] for row in rows}
    return [review for review in list_reviews(connection, case.project) if review.snapshot in snapshots]


def thread(remarks: list[Remark]) -> list[tuple[int, Remark]]:
    """(how deep, remark) in the order of reading: each answer under what it answers."""
    under: dict[int | None, list[Remark]] = {}
    for one in remarks:
        under.setdefault(one.parent, []).append(one)

    def walk(parent: int | None, depth: int) -> list[tuple[int, Remark]]:
        return [entry for one in under.get(parent, ()) for entry in ((depth, one), *walk(one.id, depth + 1))]

    return walk(None, 0)


def present_step(
    connection: sqlite3.Connection,
    review: Review,
    step: str,
    *,
    case_id: int | None = None,
    choices: Choices | None = None,
    actor: Actor,
) -> None:
    """Note which step the actor shows, which case, and what is chosen there; those who follow see it. Not audited: it
    says nothing about anybody.

    Raises:
        InvalidInput: the case is of another project, or a choice is none that is known.
        NotAllowed: the actor may not open test results here.
    """
    where = step if case_id is None else f"{step}/{case_id}"
    if choices:
        where += f" {_told_choices(choices)}"
    with writing(connection):
        demand_of(connection, actor, "open test results", review.project)
        if case_id is not None and get_case(connection, case_id).project != review.project:
            raise InvalidInput(f"Name a case of this project. Received: case {case_id}")
        connection.execute(
            """INSERT INTO presented_steps (review, project, step, by, at) VALUES (?, ?, ?, ?, ?)
               ON CONFLICT (review) DO UPDATE SET step = excluded.step, by = excluded.by, at = excluded.at""",
            (review.id, review.project, where, actor.name, utc_now()),
        )


def _told_choices(choices: Choices) -> str:
    if unknown := sorted(set(choices) - set(CHOICES)):
        raise InvalidInput(f"A step shows {', '.join(CHOICES)}. Received: {', '.join(unknown)[:80]}")
    told = json.dumps(dict(choices), sort_keys=True)
    if len(told) > LONGEST_CHOICES:
        raise InvalidInput(f"What a step shows fits {LONGEST_CHOICES} characters. Received: {len(told)}")
    return told


def find_presented(connection: sqlite3.Connection, review: Review) -> Presented | None:
    """What is being shown, or was last; without a case that was erased meanwhile."""
    row = connection.execute("SELECT step, by, at FROM presented_steps WHERE review = ?", (review.id,)).fetchone()
    if row is None:
        return None
    # the place is one text: the step, behind a slash the case, behind a space the choices
    place, _, told = row["step"].partition(" ")
    step, _, case = place.partition("/")
    there = case and connection.execute("SELECT 1 FROM cases WHERE id = ?", (int(case),)).fetchone()
    return Presented(step, row["by"], row["at"], int(case) if there else None, json.loads(told) if told else {})
