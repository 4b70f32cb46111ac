"""The table of labels, which only ever grows, and the two tables derived from it.

A label is one reader's answer on one case; a correction is a new row. What counts is decided by when an
answer was made, not by when it arrived: a browser that was offline may deliver late and in any order.
`current_labels` (each reader's answer that counts) and `reference_labels` (the answer of the case) are
written in the transaction that adds the label, so no reader of the database ever sees them disagree.
"""

import json
import sqlite3
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Literal

from core.clock import utc_now, utc_text
from core.errors import Conflict, Deleted, InvalidInput, NotFound
from core.labels.answers import value_text
from core.labels.consensus import Reference, resolve_reference
from core.labels.incoming import (
    MadeIn,
    check_event,
    check_origin,
    check_seconds,
    check_version,
    demand_speaking,
    is_no_text,
    moment_made,
)
from core.people.accounts import get_user
from core.projects.changes import present_names, under_present_names
from core.projects.records import Project, get_project
from core.projects.schema import check_value
from core.store.audit import Actor, add_audit
from core.store.database import writing

__all__ = ["MadeIn"]

Outcome = Literal["accepted", "edited", "rejected"]
OUTCOMES: tuple[Outcome, ...] = ("accepted", "edited", "rejected")
LONGEST_NOTE = 10_000
LONGEST_REASON = 200
CASES_AT_ONCE = 1000


@dataclass(frozen=True)
class NewLabel:
    """An answer on its way in. Neither value nor `unusable` means that the reader withdraws their answer.

    Without `made_at` it is made as it is stored: after what the reader said before, by whatever clock.
    `confidence` is 1 (a guess) to 5 (certain). `draft` is what a model had proposed and what became of it:
    {"model": id, "outcome": "accepted", "edited" or "rejected", "value": ...}.
    """

    event: str
    case_id: int
    reader: str
    value: Mapping[str, Any] | None
    unsure: bool = False
    unusable: bool = False
    note: str = ""
    schema_version: int = 1
    made_in: MadeIn = "label page"
    made_at: str | None = None
    confidence: int | None = None
    unusable_reason: str = ""
    active_seconds: float | None = None
    draft: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Label:
    """A stored answer. `replaces` is the reader's newest earlier answer that was stored before this one."""

    id: int
    event: str
    case_id: int
    reader: str
    reader_id: int
    value: dict[str, Any] | None
    unsure: bool
    unusable: bool
    note: str
    schema_version: int
    replaces: int | None
    made_in: MadeIn
    entered_by: str
    made_at: str
    stored_at: str
    confidence: int | None = None
    unusable_reason: str = ""
    active_seconds: float | None = None
    draft: dict[str, Any] | None = None

    @property
    def withdrawn(self) -> bool:
        """Whether the reader took their answer back; a withdrawn answer counts nowhere."""
        return self.value is None and not self.unusable


_SELECT = "SELECT labels.*, users.name AS reader_name FROM labels JOIN users ON users.id = labels.reader"


def new_event() -> str:
    """A fresh event id for an answer that was not made in a browser."""
    return str(uuid.uuid4())


def add_label(connection: sqlite3.Connection, new: NewLabel, actor: Actor) -> Label:
    """Store an answer once, however often it is sent: the same event gives the same label.

    Raises:
        NotFound: there is no such case or reader.
        InvalidInput: the answer does not fit the project's schema, or the event, note or time cannot be kept.
        Conflict: this event id came before with another answer, or under classes that never were.
        NotAllowed: the actor may not label here, or not in the name of this reader.
    """
    check_event(new.event)
    with writing(connection):
        project = project_of(connection, new.case_id)
        demand_speaking(connection, actor, new.reader, project.id)
        is_new = find_label(connection, project.id, new.event) is None
        label = put_label(connection, project, new, entered_by=actor.name)
        if is_new:
            told = {"reader": label.reader, "before": label.replaces, "after": label.id}  # by number, not text
            add_audit(connection, actor, "add label", f"case {new.case_id}", **told)
        return label


def _refuse_synthetic(connection: sqlite3.Connection, case_id: int) -> None:
    if connection.execute("SELECT 1 FROM cases WHERE id = ? AND synthetic IS NOT NULL", (case_id,)).fetchone():
        raise InvalidInput(f"A synthetic image is not read: what it shows was asked for. Received: case {case_id}")


def put_label(connection: sqlite3.Connection, project: Project, new: NewLabel, *, entered_by: str) -> Label:
    """`add_label` for those who add many in one act and write one audit row for all of them.

    Such an act takes minutes, in which classes and the reference rule may change: the project counts as it is now.
    """
    check_event(new.event)
    with writing(connection):
        project = get_project(connection, project.id)
        _refuse_synthetic(connection, new.case_id)
        reader = get_user(connection, new.reader)
        known = find_label(connection, project.id, new.event)
        if known is not None:
            return _same_answer(connection, project, known, new)
        value, draft = _checked(connection, project, new)
        # The server's clock may have been set back since the answer before: what comes later stays later.
        stored_at = max(utc_now(), _last_stored_at(connection, new.case_id, reader.id))
        made_at = _free_moment(connection, new.case_id, reader.id, moment_made(new.made_at, stored_at))
        stored_at = max(stored_at, made_at)
        earlier = connection.execute(
            "SELECT id FROM labels WHERE case_id = ? AND reader = ? AND made_at <= ? ORDER BY made_at DESC, id DESC",
            (new.case_id, reader.id, made_at),
        ).fetchone()
        cursor = connection.execute(
            """INSERT INTO labels (event, project, case_id, reader, value, unsure, unusable, note, schema_version,
                                   replaces, made_in, entered_by, made_at, stored_at, confidence, unusable_reason,
                                   active_seconds, draft)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                new.event,
                project.id,
                new.case_id,
                reader.id,
                value,
                int(new.unsure),
                int(new.unusable),
                new.note,
                project.schema_version,  # the names are those of today, whichever page they came from
                earlier["id"] if earlier else None,
                new.made_in,
                entered_by,
                made_at,
                stored_at,
                new.confidence,
                new.unusable_reason.strip(),
                check_seconds(new.active_seconds),
                draft,
            ),
        )
        _settle_reader(connection, project, new.case_id, reader.id)
        _put_reference(connection, project, new.case_id, current_labels(connection, new.case_id))
        return get_label(connection, int(cursor.lastrowid or 0))


def find_label(connection: sqlite3.Connection, project_id: int, event: str) -> Label | None:
    """The label of this event, or None."""
    row = connection.execute(f"{_SELECT} WHERE project = ? AND event = ?", (project_id, event)).fetchone()
    return _label(row) if row else None


def get_label(connection: sqlite3.Connection, label_id: int) -> Label:
    """A label by its id.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(f"{_SELECT} WHERE labels.id = ?", (label_id,)).fetchone()
    if row is None:
        raise NotFound("label", label_id)
    return _label(row)


def list_labels(connection: sqlite3.Connection, case_id: int) -> list[Label]:
    """The whole history of a case, newest answer first, withdrawals included."""
    rows = connection.execute(f"{_SELECT} WHERE case_id = ? ORDER BY made_at DESC, labels.id DESC", (case_id,))
    return [_label(row) for row in rows]


def list_project_labels(connection: sqlite3.Connection, project_id: int, *, history: bool) -> Iterator[Label]:
    """A project's labels in the order they were made: those that count now, or all there ever were."""
    current = "" if history else "AND labels.id IN (SELECT label FROM current_labels WHERE project = labels.project)"
    for row in connection.execute(f"{_SELECT} WHERE project = ? {current} ORDER BY made_at, event", (project_id,)):
        yield _label(row)


def current_labels(connection: sqlite3.Connection, case_id: int) -> list[Label]:
    """Each reader's answer that counts on this case, by reader's name; withdrawn answers are not among them."""
    rows = connection.execute(
        f"{_SELECT} JOIN current_labels ON current_labels.label = labels.id "
        "WHERE current_labels.case_id = ? ORDER BY users.name",
        (case_id,),
    )
    return [_label(row) for row in rows]


def list_current_labels(connection: sqlite3.Connection, case_ids: Sequence[int]) -> Iterator[Label]:
    """The answers that count on any of these cases; withdrawn answers are not among them."""
    for start in range(0, len(case_ids), CASES_AT_ONCE):
        some = case_ids[start : start + CASES_AT_ONCE]
        rows = connection.execute(
            f"{_SELECT} JOIN current_labels ON current_labels.label = labels.id "
            f"WHERE current_labels.case_id IN ({', '.join('?' * len(some))})",
            tuple(some),
        )
        yield from map(_label, rows)


def find_current_label(connection: sqlite3.Connection, case_id: int, reader: str) -> Label | None:
    """One reader's answer that counts on this case, or None."""
    row = connection.execute(
        f"{_SELECT} JOIN current_labels ON current_labels.label = labels.id "
        "WHERE current_labels.case_id = ? AND users.name = ?",
        (case_id, reader),
    ).fetchone()
    return _label(row) if row else None


def find_reference(connection: sqlite3.Connection, case_id: int) -> Reference | None:
    """The reference of a case, or None where nobody who counts has answered."""
    row = connection.execute("SELECT * FROM reference_labels WHERE case_id = ?", (case_id,)).fetchone()
    if row is None:
        return None
    value = json.loads(row["value"]) if row["value"] else None
    return Reference(row["state"], value, tuple(json.loads(row["labels"])))


def find_last_saved(connection: sqlite3.Connection, reader_id: int) -> str | None:
    """When this reader's newest answer was stored (UTC), or None."""
    query = "SELECT stored_at FROM labels WHERE reader = ? ORDER BY id DESC LIMIT 1"
    row = connection.execute(query, (reader_id,)).fetchone()
    return str(row["stored_at"]) if row else None


def count_values(connection: sqlite3.Connection, project_id: int) -> list[tuple[dict[str, Any], int]]:
    """Each different answer that counts in a project, and how often it was given."""
    rows = connection.execute(
        """SELECT labels.value, count(*) AS amount FROM current_labels JOIN labels ON labels.id = label
           WHERE current_labels.project = ? AND value IS NOT NULL GROUP BY labels.value""",
        (project_id,),
    )
    return [(json.loads(row["value"]), row["amount"]) for row in rows]


def reword_answers(
    connection: sqlite3.Connection,
    project: Project,
    reword: Callable[[dict[str, Any]], dict[str, Any]],
    *,
    entered_by: str,
) -> int:
    """Add a new row for each answer that counts and reads otherwise after `reword`; how many.

    It is the same reader's, made at the same time, so that whatever the reader said later still counts; the caller
    holds the transaction and settles the references afterwards.
    """
    rows = connection.execute(
        """SELECT labels.* FROM current_labels JOIN labels ON labels.id = label
           WHERE current_labels.project = ? AND value IS NOT NULL ORDER BY labels.id""",
        (project.id,),
    ).fetchall()
    reworded = 0
    for row in rows:
        value = value_text(reword(json.loads(row["value"])))
        if value == row["value"]:
            continue
        told = dict(row) | {
            "event": new_event(),  # of its own in every Readroom: tables carry events from one to another
            "value": value,
            "schema_version": project.schema_version,
            "replaces": row["id"],
            "entered_by": entered_by,
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
        reworded += 1
    return reworded


def settle_project(connection: sqlite3.Connection, project: Project) -> None:
    """Resolve every case of a project anew, after its rule has changed."""
    with writing(connection):
        rows = connection.execute(
            f"{_SELECT} JOIN current_labels ON current_labels.label = labels.id "
            "WHERE current_labels.project = ? ORDER BY labels.case_id",
            (project.id,),
        ).fetchall()
        connection.execute("DELETE FROM reference_labels WHERE project = ?", (project.id,))
        for case_id, answers in groupby(map(_label, rows), key=lambda label: label.case_id):
            _put_reference(connection, project, case_id, list(answers))


def _settle_reader(connection: sqlite3.Connection, project: Project, case_id: int, reader_id: int) -> None:
    """Point to the reader's newest answer, or to none when that one withdraws."""
    newest = connection.execute(
        """SELECT id, value IS NULL AND NOT unusable AS withdrawn FROM labels
           WHERE case_id = ? AND reader = ? ORDER BY made_at DESC, id DESC""",
        (case_id, reader_id),
    ).fetchone()
    if newest["withdrawn"]:
        connection.execute("DELETE FROM current_labels WHERE case_id = ? AND reader = ?", (case_id, reader_id))
        return
    connection.execute(
        """INSERT INTO current_labels (case_id, reader, label, project) VALUES (?, ?, ?, ?)
           ON CONFLICT (case_id, reader) DO UPDATE SET label = excluded.label""",
        (case_id, reader_id, newest["id"], project.id),
    )


def _put_reference(connection: sqlite3.Connection, project: Project, case_id: int, answers: list[Label]) -> None:
    reference = resolve_reference(project.reference_rule, project.schema, answers)
    if reference is None:
        connection.execute("DELETE FROM reference_labels WHERE case_id = ?", (case_id,))
        return
    value = value_text(reference.value) if reference.value is not None else None
    connection.execute(
        """INSERT INTO reference_labels (case_id, project, state, value, labels) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (case_id) DO UPDATE
           SET state = excluded.state, value = excluded.value, labels = excluded.labels""",
        (case_id, project.id, reference.state, value, json.dumps(reference.label_ids)),
    )


def project_of(connection: sqlite3.Connection, case_id: int) -> Project:
    """The project of a case that something is said about.

    Raises:
        Deleted: the case was erased.
        NotFound: there never was one.
    """
    row = connection.execute("SELECT project FROM cases WHERE id = ?", (case_id,)).fetchone()
    if row is not None:
        return get_project(connection, row["project"])
    if connection.execute("SELECT 1 FROM erased_cases WHERE case_id = ?", (case_id,)).fetchone():
        raise Deleted("case", case_id)
    raise NotFound("case", case_id)


def _last_stored_at(connection: sqlite3.Connection, case_id: int, reader: int) -> str:
    query = "SELECT COALESCE(MAX(stored_at), '') FROM labels WHERE case_id = ? AND reader = ?"
    return str(connection.execute(query, (case_id, reader)).fetchone()[0])


def _free_moment(connection: sqlite3.Connection, case_id: int, reader: int, made_at: str) -> str:
    """The moment, or the next millisecond at which this reader said nothing of the case: of two answers of one moment
    an export could not tell which is the correction, and another home would take either."""
    query = "SELECT made_at FROM labels WHERE case_id = ? AND reader = ? AND made_at >= ?"
    taken = {row["made_at"] for row in connection.execute(query, (case_id, reader, made_at))}
    while made_at in taken:
        made_at = utc_text(datetime.fromisoformat(made_at) + timedelta(milliseconds=1))
    return made_at


def _checked(connection: sqlite3.Connection, project: Project, new: NewLabel) -> tuple[str | None, str | None]:
    """The answer and the draft as stored text."""
    check_origin(new.made_in, "label")
    if len(new.note) > LONGEST_NOTE:
        raise InvalidInput(f"Keep a note below {LONGEST_NOTE} characters. Received: {len(new.note)}")
    if is_no_text(new.note):
        raise InvalidInput(f"A note is plain text. Received: {new.note!r}")
    _check_details(new)
    check_version(project, new.schema_version)
    names = present_names(connection, project)
    value = None
    if new.value is not None:
        said = under_present_names(new.value, names)
        value = value_text(check_value(project.schema, said, retired=new.made_in == "import"))
    draft = None
    if new.draft is not None:
        draft = value_text(_checked_draft(connection, project, new.draft, names, imported=new.made_in == "import"))
    return value, draft


def _check_details(new: NewLabel) -> None:
    if new.confidence is not None and not 1 <= new.confidence <= 5:
        raise InvalidInput(f"Confidence goes from 1 (a guess) to 5 (certain). Received: {new.confidence}")
    if new.unusable_reason.strip() and not new.unusable:
        raise InvalidInput(
            f"A reason belongs to an image that is said to be unusable. Received: {new.unusable_reason[:80]!r}"
        )
    if len(new.unusable_reason) > LONGEST_REASON or is_no_text(new.unusable_reason):
        raise InvalidInput(
            f"Say in at most {LONGEST_REASON} characters why the image is unusable. "
            f"Received: {new.unusable_reason[:80]!r}"
        )


def _checked_draft(
    connection: sqlite3.Connection,
    project: Project,
    draft: Mapping[str, Any],
    names: Mapping[str, str],
    *,
    imported: bool,
) -> dict[str, Any]:
    """What a model had proposed and what became of it, in its stored form."""
    outcome, model, value = draft.get("outcome"), draft.get("model"), draft.get("value")
    if set(draft) - {"model", "outcome", "value"} or outcome not in OUTCOMES or not _is_id(model):
        raise InvalidInput(
            f'A draft reads {{"model": number, "outcome": {" or ".join(OUTCOMES)}, "value": ...}}. '
            f"Received: {str(dict(draft))[:120]}"
        )
    query = "SELECT 1 FROM models WHERE id = ? AND project = ?"
    # A table may come from another Readroom, whose models are not here; what became of the draft is true all the same.
    if not imported and not connection.execute(query, (model, project.id)).fetchone():
        raise NotFound("model", model)
    if value is not None:
        if not isinstance(value, Mapping):
            raise InvalidInput(f"The value of a draft is an answer. Received: {str(value)[:80]}")
        value = check_value(project.schema, under_present_names(value, names), retired=True)
    return {"model": model, "outcome": outcome, "value": value}


def _is_id(number: object) -> bool:
    return type(number) is int and 0 < number < 1 << 63


def _same_answer(connection: sqlite3.Connection, project: Project, known: Label, new: NewLabel) -> Label:
    """The label that this event made before; both are compared by the names of today."""
    names = present_names(connection, project)

    def today(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
        return None if value is None else check_value(project.schema, under_present_names(value, names), retired=True)

    said = (new.case_id, new.reader, today(new.value), new.unsure, new.unusable, new.note)
    kept = (known.case_id, known.reader, today(known.value), known.unsure, known.unusable, known.note)
    details = (new.confidence, new.unusable_reason.strip(), (new.draft or {}).get("outcome"))
    if said != kept or details != (known.confidence, known.unusable_reason, (known.draft or {}).get("outcome")):
        raise Conflict(f"This event was stored before with another answer; send a new one. Received: {new.event}")
    return known


def _label(row: sqlite3.Row) -> Label:
    return Label(
        id=row["id"],
        event=row["event"],
        case_id=row["case_id"],
        reader=row["reader_name"],
        reader_id=row["reader"],
        value=json.loads(row["value"]) if row["value"] is not None else None,
        unsure=bool(row["unsure"]),
        unusable=bool(row["unusable"]),
        note=row["note"],
        schema_version=row["schema_version"],
        replaces=row["replaces"],
        made_in=row["made_in"],
        entered_by=row["entered_by"],
        made_at=row["made_at"],
        stored_at=row["stored_at"],
        confidence=row["confidence"],
        unusable_reason=row["unusable_reason"],
        active_seconds=row["active_seconds"],
        draft=json.loads(row["draft"]) if row["draft"] is not None else None,
    )
