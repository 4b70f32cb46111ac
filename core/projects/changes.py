"""How a project's classes or structures change after people have answered: one small change at a time, kept for ever.

A name never passes from one class to another: what an old answer, a late event or a stored prediction called by a
name is still found under the name that it bears today (`present_names`).
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, cast, get_args

from core.clock import utc_now
from core.errors import Conflict, InvalidInput
from core.projects.records import Project, get_project
from core.projects.schema import (
    COLOURS,
    HOT_KEYS,
    Classification,
    ClassLabel,
    LabelSchema,
    Segmentation,
    Structure,
    check_schema,
    schema_to_json,
)

ChangeKind = Literal["add", "rename", "recolour", "retire", "restore", "key"]


@dataclass(frozen=True)
class SchemaChange:
    """One change of one class or structure. `to` is the new name, colour or digit key, as the kind needs it.

    `add`: a new one called `name`, in the colour `to` or the next free one. `retire` takes it off what is offered,
    `restore` brings it back.
    """

    kind: ChangeKind
    name: str
    to: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(ChangeKind):
            raise InvalidInput(f"A change is one of {', '.join(get_args(ChangeKind))}. Received: {self.kind!r}")


@dataclass(frozen=True)
class StoredChange:
    """A change as it was made; `version` is that of the schema since."""

    version: int
    change: SchemaChange
    changed_by: str
    changed_at: str


One = ClassLabel | Structure


def apply_change(schema: LabelSchema, change: SchemaChange, former_names: Mapping[str, str]) -> LabelSchema:
    """The schema after a change. `former_names` are the names of before, as `present_names` gives them.

    Raises:
        InvalidInput: there is no such class, its name is taken or was another's, or too few would be left.
    """
    if isinstance(schema, Classification):
        classes = _changed(schema.classes, change, former_names)
        return check_schema(replace(schema, classes=cast(tuple[ClassLabel, ...], classes)))
    if isinstance(schema, Segmentation):
        structures = _changed(schema.structures, change, former_names)
        return check_schema(replace(schema, structures=cast(tuple[Structure, ...], structures)))
    raise InvalidInput(f"This project has no classes or structures to change. Received: {change.kind} {change.name!r}")


def _changed(ones: Sequence[One], change: SchemaChange, former_names: Mapping[str, str]) -> tuple[One, ...]:
    if change.kind == "add":
        _check_free(change.name, None, ones, former_names)
        return (*ones, _added(ones, change))
    if change.name not in {one.name for one in ones}:
        raise InvalidInput(f"The project has {', '.join(one.name for one in ones)}. Received: {change.name!r}")
    if change.kind == "rename":
        _check_free(change.to, change.name, ones, former_names)
    return tuple(_edited(one, ones, change) if one.name == change.name else one for one in ones)


def _check_free(name: str, of: str | None, ones: Sequence[One], former_names: Mapping[str, str]) -> None:
    """A name that another bears or bore would mix up answers of before and after."""
    folded = {former.casefold(): present for former, present in former_names.items()}
    bearer = folded.get(name.casefold())
    if bearer is not None and bearer != of:
        raise InvalidInput(f"{bearer} bears or bore this name; choose another. Received: {name!r}")
    if name == of:
        raise InvalidInput(f"That is its name already. Received: {name!r}")


def _added(ones: Sequence[One], change: SchemaChange) -> One:
    colours = [one.colour for one in ones]
    colour = change.to or next((one for one in COLOURS if one not in colours), COLOURS[len(ones) % len(COLOURS)])
    if isinstance(ones[0], ClassLabel):
        return ClassLabel(change.name, _free_key(ones), colour)
    return Structure(change.name, colour)


def _edited(one: One, ones: Sequence[One], change: SchemaChange) -> One:
    if change.kind == "rename":
        return replace(one, name=change.to)
    if change.kind == "recolour":
        return replace(one, colour=change.to)
    if change.kind == "key":
        if not isinstance(one, ClassLabel):
            raise InvalidInput(f"Structures have no digit of their own. Received: {change.name!r}")
        return replace(one, key=change.to)
    if one.retired == (change.kind == "retire"):
        raise InvalidInput(f"{one.name} is {'retired' if one.retired else 'offered'} already. Received: {change.kind}")
    if not isinstance(one, ClassLabel):
        return replace(one, retired=change.kind == "retire")
    # Its digit is free for another while it is away.
    return replace(one, retired=change.kind == "retire", key="" if change.kind == "retire" else _free_key(ones))


def _free_key(ones: Sequence[One]) -> str:
    taken = {one.key for one in ones if isinstance(one, ClassLabel) and not one.retired}
    return next((key for key in HOT_KEYS if key not in taken), "")


# ---- the table


def store_change(connection: sqlite3.Connection, project: Project, change: SchemaChange, who: str) -> Project:
    """Keep a change and the schema after it, in the caller's transaction.

    `labels.schema.change_schema` calls this and sees to the answers of before.

    Raises:
        InvalidInput: it cannot be made.
        Conflict: somebody else changed the schema meanwhile.
    """
    now = get_project(connection, project.id)
    if now.schema_version != project.schema_version:
        raise Conflict(
            f"Somebody changed the classes meanwhile; look again. "
            f"Received: version {project.schema_version} of {now.schema_version}"
        )
    schema = apply_change(now.schema, change, present_names(connection, now))
    version = now.schema_version + 1
    connection.execute(
        "UPDATE projects SET label_schema = ?, schema_version = ? WHERE id = ?",
        (json.dumps(schema_to_json(schema)), version, now.id),
    )
    connection.execute(
        "INSERT INTO schema_changes (project, version, change, changed_by, changed_at) VALUES (?, ?, ?, ?, ?)",
        (now.id, version, json.dumps(asdict(change), ensure_ascii=False), who, utc_now()),
    )
    return get_project(connection, now.id)


def list_changes(connection: sqlite3.Connection, project_id: int) -> list[StoredChange]:
    """Every change of a project's schema, oldest first."""
    rows = connection.execute("SELECT * FROM schema_changes WHERE project = ? ORDER BY version", (project_id,))
    return [
        StoredChange(row["version"], SchemaChange(**json.loads(row["change"])), row["changed_by"], row["changed_at"])
        for row in rows
    ]


def present_names(connection: sqlite3.Connection, project: Project) -> dict[str, str]:
    """Every name that a class or structure of the project ever had, with the name it bears today."""
    if not isinstance(project.schema, (Classification, Segmentation)):
        return {}
    names = {name: name for name in project.schema.names}
    if project.schema_version > 1:
        for stored in reversed(list_changes(connection, project.id)):
            if stored.change.kind == "rename" and stored.change.to in names:
                names.setdefault(stored.change.name, names[stored.change.to])
    return names


def offered_names(connection: sqlite3.Connection, project: Project) -> dict[str, str]:
    """Of the classes on offer every name that they ever had, with the name of today: of a retired class none."""
    if not isinstance(project.schema, Classification):
        return {}
    offered = {label.name for label in project.schema.offered}
    return {name: today for name, today in present_names(connection, project).items() if today in offered}


def under_present_names(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """An answer with its classes or structures called as they are today; unknown names stay as they are."""
    return {
        key: [names.get(name, name) if isinstance(name, str) else name for name in said]
        if key in ("classes", "structures") and isinstance(said, (list, tuple))
        else said
        for key, said in value.items()
    }
