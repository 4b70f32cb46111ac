"""Who may do what: one table of roles and actions, asked by pages, routes and engine functions alike.

A role is held in one project (`members`). An administrator of this Readroom (`User.role`) has every
role everywhere. Whoever can run commands on the home can read and write its files anyway, so the
command line passes; what it does is recorded under the operating system's user name and marked so.
A job passes because asking for it did not.

What each action covers:

- see: the project in lists, its cases, pixels and thumbnails, the reader's own answers.
- label: answer, draw and paint for oneself, on the label page or while reviewing; take one's own answer back; flag;
  comment; keep cases as a list; see drafts where the project offers them.
- edit others' labels: answer, correct, withdraw, draw or paint in the name of another reader.
- import: images and label tables. A table speaks for the readers it names, so importing is enough for that;
  every such label says that it was imported, and by whom. A path on the server is for administrators of this
  Readroom only, because it reads the server's disk.
- freeze: make a snapshot, or bring an exported one back.
- train: trainings, and evaluations on train and validation. One evaluation on test may be asked for with a
  training only by who may also open test results.
- open test results: whatever a model says, of one case or of many: evaluations on test, predictions,
  explanations, review, meetings up to their decision; the pages of snapshots and models, and the jobs with their
  logs, which name such numbers.
- sign: decisions about models, each with the signer's password; which model is in production.
- export: labels, masks, snapshots and model files out of Readroom.
- administer: the project's texts, classes, reference rule, members, whether readers answer blind, whose drafts they are
  offered, and who is asked to read which cases.

Stopping or resuming a job needs what asking for it needs (`core.jobs.kinds`). Making projects and accounts is
for administrators of this Readroom; who administers one project may invite people into it. Functions that write
ask here themselves (`demand_of`); functions that only read know no reader, so the door that calls them asks
before (`demand`, `may`). Who may not open test results is blind where the project says so (`core.labels.sight`).
"""

import sqlite3
from collections.abc import Mapping
from typing import Literal, get_args

from core.errors import NotAllowed
from core.people.accounts import User, find_user
from core.store.audit import Actor

ProjectRole = Literal["reader", "scientist", "reviewer", "admin"]
Action = Literal[
    "see", "label", "edit others' labels", "import", "freeze", "train", "open test results", "sign", "export",
    "administer",
]  # fmt: skip
ACTIONS: tuple[Action, ...] = get_args(Action)
ROLES: tuple[ProjectRole, ...] = get_args(ProjectRole)

ROLE_ACTIONS: Mapping[ProjectRole, frozenset[Action]] = {
    "reader": frozenset({"see", "label"}),
    "scientist": frozenset({"see", "label", "import", "freeze", "train", "open test results", "export"}),
    "reviewer": frozenset({"see", "label", "edit others' labels", "open test results", "sign", "export"}),
    "admin": frozenset(ACTIONS),
}
ROLE_WORDS: Mapping[ProjectRole, str] = {
    "reader": "labels images",
    "scientist": "imports, freezes snapshots, trains and evaluates models",
    "reviewer": "reviews models and corrects labels",
    "admin": "does everything in the project",
}
DOORS_WITH_FILES = ("command line", "job")


def role_in(connection: sqlite3.Connection, user: User, project: int) -> ProjectRole | None:
    """What a user is in a project; None for a stranger to it."""
    if user.role == "admin":
        return "admin"
    row = connection.execute("SELECT role FROM members WHERE project = ? AND user = ?", (project, user.id)).fetchone()
    return row["role"] if row else None


def actions_in(connection: sqlite3.Connection, user: User, project: int) -> frozenset[Action]:
    """Everything that a user may do in a project; nothing for a stranger."""
    role = role_in(connection, user, project)
    return ROLE_ACTIONS[role] if role else frozenset()


def may_somewhere(connection: sqlite3.Connection, user: User, action: Action) -> bool:
    """Whether a user may do this in at least one project; an administrator of this Readroom always may."""
    if user.role == "admin":
        return True
    rows = connection.execute("SELECT DISTINCT role FROM members WHERE user = ?", (user.id,))
    return any(action in ROLE_ACTIONS[row["role"]] for row in rows)


def may(connection: sqlite3.Connection, user: User, action: Action, project: int | None) -> bool:
    """Whether a user may do this in a project, or, without a project, to this Readroom as a whole."""
    if project is None:
        return user.role == "admin"
    role = role_in(connection, user, project)
    return role is not None and action in ROLE_ACTIONS[role]


def demand(connection: sqlite3.Connection, user: User, action: Action, project: int | None) -> None:
    """Refuse a user who may not do this.

    Raises:
        NotAllowed: the role does not include the action; the text says whom to ask.
    """
    if may(connection, user, action, project):
        return
    role = role_in(connection, user, project) if project is not None else None
    where = "in this project" if project is not None else "in this Readroom"
    raise NotAllowed(
        f"To {action} {where} you need another role; ask an administrator. "
        f"Received: {user.name}, {role or 'without a role here'}"
    )


def demand_of(connection: sqlite3.Connection, actor: Actor, action: Action, project: int | None) -> None:
    """`demand` for engine functions, which know an actor: asked where the act is written down.

    Raises:
        NotAllowed: an actor before a screen has not the role, or is nobody.
    """
    if actor.via in DOORS_WITH_FILES:
        return
    user = find_user(connection, actor.name)
    if user is None or not user.active:
        raise NotAllowed(f"Sign in first. Received: {actor.name}")
    demand(connection, user, action, project)
