"""The table of projects."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, get_args

from core.clock import utc_now
from core.errors import Conflict, InvalidInput, NotFound
from core.people.accounts import User
from core.people.roles import demand_of
from core.projects.deidentification import Deidentification, from_json, to_json
from core.projects.schema import (
    Classification,
    Generation,
    LabelSchema,
    Regression,
    Segmentation,
    Task,
    check_schema,
    schema_from_json,
    schema_to_json,
)
from core.store.audit import Actor, add_audit
from core.store.database import writing

CHANGEABLE = ("description", "intended_use", "digit_advances", "blind_first")
RuleKind = Literal["majority", "reader", "median", "only"]
# Which rules a task has; the first is the usual one. Most readers cannot say one number or one outline, so there is
# no majority of those: numbers have a middle, and of several painted masks somebody must choose.
RULES: Mapping[Task, tuple[RuleKind, ...]] = {
    "classification": ("majority", "reader"),
    "segmentation": ("only", "reader"),
    "regression": ("median", "reader"),
    "generation": ("majority", "reader"),
}
SCHEMAS: Mapping[Task, type] = {
    "classification": Classification,
    "segmentation": Segmentation,
    "regression": Regression,
    "generation": Generation,
}


@dataclass(frozen=True)
class ReferenceRule:
    """How readers' labels become the one answer that training and evaluation use.

    `reader`: the newest label of the named reader. `majority`: what most readers say; ties stay unlabelled.
    `median`: of the readers' numbers. `only`: the answer of the only reader; where several have answered, the case
    waits until one of them is named.
    """

    kind: RuleKind = "majority"
    reader: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(RuleKind):
            raise InvalidInput(f"A reference rule is one of {', '.join(get_args(RuleKind))}. Received: {self.kind!r}")
        if (self.kind == "reader") != bool(self.reader):
            raise InvalidInput(f"Name a reader for the rule 'reader', and none for another. Received: {self!r}")


def check_rule(task: Task, rule: ReferenceRule) -> ReferenceRule:
    """The rule itself, when answers of this task can be settled by it.

    Raises:
        InvalidInput: they cannot.
    """
    if rule.kind not in RULES[task]:
        raise InvalidInput(
            f"Answers of a {task} project are settled by {' or '.join(RULES[task])}: there is no majority of numbers "
            f"or of painted masks, and no median of classes. Received: {rule.kind}"
        )
    return rule


@dataclass(frozen=True)
class Project:
    """One question asked of one collection of images."""

    id: int
    name: str
    task: Task
    schema: LabelSchema
    schema_version: int
    description: str
    intended_use: str
    reference_rule: ReferenceRule
    digit_advances: bool
    created_at: str
    created_by: str
    blind_first: bool = False  # readers see nobody else's answer on a case, nor a model's, before their own
    assist_model: int | None = None  # whose answers readers are offered as drafts
    deidentification: Deidentification = field(default_factory=Deidentification)


def add_project(
    connection: sqlite3.Connection,
    *,
    name: str,
    task: Task,
    schema: LabelSchema,
    actor: Actor,
    description: str = "",
    intended_use: str = "",
    reference_rule: ReferenceRule | None = None,
    digit_advances: bool = True,
    blind_first: bool = False,
) -> Project:
    """Create a project.

    Raises:
        NotAllowed: the actor does not administer this Readroom.
        InvalidInput: the name is empty, there is no such task, or its schema or rule does not fit it.
        Conflict: there is a project of this name.
    """
    if not name.strip():
        raise InvalidInput(f"A project needs a name. Received: {name!r}")
    if task not in SCHEMAS:
        raise InvalidInput(f"A task is one of {', '.join(SCHEMAS)}. Received: {task}")
    if type(schema) is not SCHEMAS[task]:  # that of a generation is a kind of classification
        raise InvalidInput(f"A {task} project needs a schema of its task. Received: {type(schema).__name__}")
    check_schema(schema)
    rule = check_rule(task, reference_rule or ReferenceRule(RULES[task][0]))
    with writing(connection):
        demand_of(connection, actor, "administer", None)
        if connection.execute("SELECT 1 FROM projects WHERE name = ?", (name.strip(),)).fetchone():
            raise Conflict(f"There is a project of this name already; choose another. Received: {name.strip()}")
        # The number of an erased project is never given again: the audit goes on speaking of that one.
        number = connection.execute(
            """SELECT 1 + max(coalesce((SELECT max(id) FROM projects), 0),
                              coalesce((SELECT max(project) FROM erased_projects), 0))"""
        ).fetchone()[0]
        cursor = connection.execute(
            """INSERT INTO projects (id, name, task, label_schema, description, intended_use, reference_rule,
                                     digit_advances, blind_first, created_at, created_by)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                number,
                name.strip(),
                task,
                json.dumps(schema_to_json(schema)),
                description.strip(),
                intended_use.strip(),
                json.dumps(asdict(rule)),
                int(digit_advances),
                int(blind_first),
                utc_now(),
                actor.name,
            ),
        )
        project_id = int(cursor.lastrowid or 0)
        add_audit(connection, actor, "create project", f"project {project_id}", name=name.strip(), task=task)
        return get_project(connection, project_id)


def get_project(connection: sqlite3.Connection, name_or_id: str | int) -> Project:
    """A project by its id or its name; a name of digits only is found by name first.

    Raises:
        NotFound: there is none.
    """
    row = None
    if isinstance(name_or_id, str):
        row = connection.execute("SELECT * FROM projects WHERE name = ?", (name_or_id,)).fetchone()
    if row is None:
        row = connection.execute("SELECT * FROM projects WHERE id = ?", (name_or_id,)).fetchone()
    if row is None:
        raise NotFound("project", name_or_id)
    return _project(row)


def list_projects(connection: sqlite3.Connection, *, seen_by: User | None = None) -> list[Project]:
    """All projects, or those that a user is a member of; newest first."""
    if seen_by is None or seen_by.role == "admin":
        return [_project(row) for row in connection.execute("SELECT * FROM projects ORDER BY id DESC")]
    rows = connection.execute(
        "SELECT * FROM projects WHERE id IN (SELECT project FROM members WHERE user = ?) ORDER BY id DESC",
        (seen_by.id,),
    )
    return [_project(row) for row in rows]


def change_project(
    connection: sqlite3.Connection,
    project: Project,
    *,
    description: str,
    intended_use: str,
    digit_advances: bool,
    blind_first: bool | None = None,
    actor: Actor,
) -> Project:
    """Change what may change without touching a label: texts, the key-press setting, whether readers answer blind.

    Raises:
        NotAllowed: the actor does not administer the project.
    """
    with writing(connection):
        demand_of(connection, actor, "administer", project.id)
        before = get_project(connection, project.id)
        after = replace(
            before,
            description=description.strip(),
            intended_use=intended_use.strip(),
            digit_advances=digit_advances,
            blind_first=before.blind_first if blind_first is None else blind_first,
        )
        connection.execute(
            "UPDATE projects SET description = ?, intended_use = ?, digit_advances = ?, blind_first = ? WHERE id = ?",
            (after.description, after.intended_use, int(after.digit_advances), int(after.blind_first), project.id),
        )
        changed = [name for name in CHANGEABLE if getattr(before, name) != getattr(after, name)]
        add_audit(
            connection,
            actor,
            "change project",
            f"project {project.id}",
            before={name: getattr(before, name) for name in changed},
            after={name: getattr(after, name) for name in changed},
        )
        return after


def store_reference_rule(connection: sqlite3.Connection, project: Project, rule: ReferenceRule) -> None:
    """Keep a rule; `labels.reference.set_reference_rule` calls this and settles every case anew."""
    with writing(connection):
        connection.execute(
            "UPDATE projects SET reference_rule = ? WHERE id = ?", (json.dumps(asdict(rule)), project.id)
        )


def store_assist_model(connection: sqlite3.Connection, project: Project, model_id: int | None) -> None:
    """Keep whose answers are offered as drafts; `evaluation.drafts.set_assist_model` calls this."""
    with writing(connection):
        connection.execute("UPDATE projects SET assist_model = ? WHERE id = ?", (model_id, project.id))


def set_deidentification(
    connection: sqlite3.Connection, project: Project, options: Deidentification, actor: Actor
) -> Project:
    """Choose what imports from now on keep; what is stored already stays as it is.

    Raises:
        NotAllowed: the actor does not administer the project; or, to turn it off or on, this Readroom.
    """
    with writing(connection):
        before = get_project(connection, project.id)
        switched = before.deidentification.enabled != options.enabled
        demand_of(connection, actor, "administer", None if switched else project.id)
        connection.execute("UPDATE projects SET deidentification = ? WHERE id = ?", (to_json(options), project.id))
        said, says = asdict(before.deidentification), asdict(options)
        changed = [name for name in said if said[name] != says[name]]
        what = "change de-identification"
        if switched:
            what = "turn on de-identification" if options.enabled else "turn off de-identification"
        add_audit(connection, actor, what, f"project {project.id}", before={name: said[name] for name in changed},
                  after={name: says[name] for name in changed})  # fmt: skip
        return get_project(connection, project.id)


def _project(row: sqlite3.Row) -> Project:
    return Project(
        id=row["id"],
        name=row["name"],
        task=row["task"],
        schema=schema_from_json(row["task"], json.loads(row["label_schema"])),
        schema_version=row["schema_version"],
        description=row["description"],
        intended_use=row["intended_use"],
        reference_rule=ReferenceRule(**json.loads(row["reference_rule"])),
        digit_advances=bool(row["digit_advances"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        blind_first=bool(row["blind_first"]),
        assist_model=row["assist_model"],
        deidentification=from_json(row["deidentification"]),
    )
