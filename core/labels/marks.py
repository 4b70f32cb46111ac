"""The table of marks: boxes, outlines, points and measurements that readers draw on images; it only ever grows.

A mark goes by an id that the browser gave it (`mark`). Moving it, naming it or taking it away is a new row of the
same mark, and the newest by the time it was made counts, however late it arrives.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.clock import utc_now
from core.errors import Conflict, InvalidInput
from core.images.records import Case, get_case
from core.labels.geometry import check_geometry
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
from core.labels.records import project_of
from core.people.accounts import User, get_user
from core.projects.changes import present_names
from core.projects.records import Project
from core.projects.schema import Classification, Segmentation
from core.store.audit import Actor, add_audit
from core.store.database import writing

LONGEST_ID = 100


@dataclass(frozen=True)
class NewMark:
    """A mark on its way in, or a change of it. Without a `label` it belongs to no class.

    Without `made_at` it is made as it is stored: after what the reader drew before, by whatever clock.
    """

    event: str
    case_id: int
    reader: str
    mark: str
    kind: str
    geometry: Mapping[str, Any]
    frame: int = 0
    label: str = ""
    deleted: bool = False
    schema_version: int = 1
    made_in: MadeIn = "label page"
    made_at: str | None = None
    active_seconds: float | None = None


@dataclass(frozen=True)
class Mark:
    """A stored row of a mark; its `label` is called as it is today."""

    id: int
    event: str
    case_id: int
    reader: str
    mark: str
    kind: str
    frame: int
    geometry: dict[str, Any]
    label: str
    deleted: bool
    schema_version: int
    made_in: MadeIn
    entered_by: str
    made_at: str
    stored_at: str
    active_seconds: float | None = None


_SELECT = "SELECT marks.*, users.name AS reader_name FROM marks JOIN users ON users.id = marks.reader"


def add_mark(connection: sqlite3.Connection, new: NewMark, actor: Actor, *, audited: bool = True) -> Mark:
    """Store a mark, a change or a removal once, however often it is sent.

    Args:
        audited: False for who adds many in one act and writes one audit row for all of them.

    Raises:
        Deleted, NotFound: the case was erased, or there is no such case or reader.
        InvalidInput: the shape is none or lies outside the image, the class is unknown or no longer offered.
        Conflict: this event id came before and said something else.
        NotAllowed: the actor may not label here, or not in the name of this reader.
    """
    check_event(new.event)
    with writing(connection):
        project = project_of(connection, new.case_id)
        demand_speaking(connection, actor, new.reader, project.id)
        reader = get_user(connection, new.reader)
        names = present_names(connection, project)
        geometry, label = _checked(get_case(connection, new.case_id), new), names.get(new.label, new.label)
        known = find_mark_event(connection, project.id, new.event, names)
        if known is not None:
            return _same_mark(known, new, geometry, label)
        check_version(project, new.schema_version)
        if label and not new.deleted:
            _check_label(connection, project, reader, new, label, names)
        stored_at = max(utc_now(), _last_stored_at(connection, new.case_id, reader.id))
        cursor = connection.execute(
            """INSERT INTO marks (event, project, case_id, reader, mark, kind, frame, geometry, label, deleted,
                                  schema_version, active_seconds, made_in, entered_by, made_at, stored_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                new.event,
                project.id,
                new.case_id,
                reader.id,
                new.mark,
                new.kind,
                new.frame,
                json.dumps(geometry),
                label,
                int(new.deleted),
                project.schema_version,
                check_seconds(new.active_seconds),
                new.made_in,
                actor.name,
                moment_made(new.made_at, stored_at),
                stored_at,
            ),
        )
        # one's own marks are their own record: who, when, what, and nothing is lost
        if audited and new.reader != actor.name:
            add_audit(connection, actor, "add mark", f"case {new.case_id}", reader=new.reader, after=cursor.lastrowid)
        row = connection.execute(f"{_SELECT} WHERE marks.id = ?", (cursor.lastrowid,)).fetchone()
        return _mark(row, names)


def list_marks(connection: sqlite3.Connection, case_id: int, reader: str | None = None) -> list[Mark]:
    """The marks that are on a case now, of one reader or of all, in the order in which they were first drawn."""
    rows = connection.execute(
        f"""{_SELECT} WHERE case_id = :case AND (:reader IS NULL OR users.name = :reader)
            ORDER BY marks.reader, mark, made_at, marks.id""",
        {"case": case_id, "reader": reader},
    ).fetchall()
    if not rows:
        return []
    names = present_names(connection, project_of(connection, case_id))
    first: dict[tuple[int, str], tuple[str, int]] = {}
    newest: dict[tuple[int, str], sqlite3.Row] = {}
    for row in rows:
        key = (row["reader"], row["mark"])
        first.setdefault(key, (row["made_at"], row["id"]))
        newest[key] = row
    return [_mark(newest[key], names) for key in sorted(first, key=first.__getitem__) if not newest[key]["deleted"]]


def find_mark_event(
    connection: sqlite3.Connection, project_id: int, event: str, names: Mapping[str, str] | None = None
) -> Mark | None:
    """What this event stored, or None."""
    row = connection.execute(f"{_SELECT} WHERE project = ? AND event = ?", (project_id, event)).fetchone()
    return _mark(row, names or {}) if row else None


def _checked(case: Case, new: NewMark) -> dict[str, Any]:
    """The shape in its stored form."""
    check_origin(new.made_in, "mark")
    if not new.mark.strip() or len(new.mark) > LONGEST_ID or is_no_text(new.mark):
        raise InvalidInput(f"A mark needs an id of at most {LONGEST_ID} characters. Received: {new.mark[:120]!r}")
    if not 0 <= new.frame < case.frames:
        raise InvalidInput(f"Case {case.id} has {case.frames} frames, counted from 0. Received: {new.frame}")
    return check_geometry(new.kind, new.geometry, case.rows, case.columns)


def _check_label(
    connection: sqlite3.Connection, project: Project, reader: User, new: NewMark, label: str, names: Mapping[str, str]
) -> None:
    offered: tuple[str, ...] = ()
    if isinstance(project.schema, (Classification, Segmentation)):
        offered = tuple(one.name for one in project.schema.offered)
    if label in offered:
        return
    row = connection.execute(
        """SELECT label FROM marks WHERE case_id = ? AND reader = ? AND mark = ? ORDER BY made_at DESC, id DESC""",
        (new.case_id, reader.id, new.mark),
    ).fetchone()
    if row is not None and names.get(row["label"], row["label"]) == label:
        return  # a class that was retired since the mark was drawn: it may still be moved
    if label in names:
        raise InvalidInput(f"No longer offered in this project; choose another. Received: {label!r}")
    raise InvalidInput(f"A mark belongs to one of {', '.join(offered) or 'no classes'}. Received: {label[:120]!r}")


def _same_mark(known: Mark, new: NewMark, geometry: dict[str, Any], label: str) -> Mark:
    said = (new.case_id, new.reader, new.mark, new.kind, new.frame, geometry, label, new.deleted)
    kept = (known.case_id, known.reader, known.mark, known.kind, known.frame, known.geometry, known.label,
            known.deleted)  # fmt: skip
    if said != kept:
        raise Conflict(f"This event was stored before with another mark; send a new one. Received: {new.event}")
    return known


def _last_stored_at(connection: sqlite3.Connection, case_id: int, reader: int) -> str:
    query = "SELECT COALESCE(MAX(stored_at), '') FROM marks WHERE case_id = ? AND reader = ?"
    return str(connection.execute(query, (case_id, reader)).fetchone()[0])


def _mark(row: sqlite3.Row, names: Mapping[str, str]) -> Mark:
    return Mark(
        id=row["id"],
        event=row["event"],
        case_id=row["case_id"],
        reader=row["reader_name"],
        mark=row["mark"],
        kind=row["kind"],
        frame=row["frame"],
        geometry=json.loads(row["geometry"]),
        label=names.get(row["label"], row["label"]),
        deleted=bool(row["deleted"]),
        schema_version=row["schema_version"],
        made_in=row["made_in"],
        entered_by=row["entered_by"],
        made_at=row["made_at"],
        stored_at=row["stored_at"],
        active_seconds=row["active_seconds"],
    )
