"""The table of jobs: a row that stays, from `queued` over `running` to `done`, `failed` or `stopped`.

A finished job is never changed except by `resume_job`, and no row is ever deleted. `attempt`
grows by one at every claim; whoever writes to a running job names the attempt it belongs to,
so that a process that was given up cannot touch what a later one does.
"""

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.clock import utc_now
from core.errors import Conflict, InvalidInput, NotFound
from core.jobs.kinds import KINDS, SEEING_A_JOB, Lane, actions_of
from core.people.accounts import User
from core.people.roles import ROLE_ACTIONS, Action, demand_of
from core.store.audit import Actor, add_audit
from core.store.database import writing

State = Literal["queued", "running", "done", "failed", "stopped"]
ATTEMPTS_OF_UNKNOWN_KINDS = 3
WOULD_REPEAT = "would_repeat"  # among the facts of a job that failed
SAID_IN_AUDIT = ("split", "evaluate", "class", "method")


@dataclass(frozen=True)
class Job:
    """One piece of background work. `fraction` is 0 to 1; `pid_started` is the process's start in epoch seconds."""

    id: int
    project: int | None
    kind: str
    lane: Lane
    arguments: dict[str, Any]
    state: State
    fraction: float
    note: str
    facts: dict[str, Any]
    result: dict[str, Any] | None
    error: str | None
    remedy: str | None
    traceback: str | None
    attempt: int
    attempts_allowed: int
    stop_requested: bool
    device: str | None
    pid: int | None
    pid_started: float | None
    created_at: str
    created_by: str
    started_at: str | None
    finished_at: str | None
    heartbeat_at: str | None
    why: str | None = None

    @property
    def can_resume(self) -> bool:
        """Whether work is left that a further attempt would do."""
        return self.state == "failed" or (self.state == "stopped" and self.result is None)

    @property
    def would_repeat(self) -> bool:
        """Whether it failed in a way in which a further attempt would fail too."""
        return self.state == "failed" and bool(self.facts.get(WOULD_REPEAT))

    @property
    def actions(self) -> frozenset[Action]:
        """What asking for it took, and stopping or resuming it takes."""
        return actions_of(self.kind, self.arguments)

    @property
    def is_active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")


def add_job(
    connection: sqlite3.Connection,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    actor: Actor,
    project: int | None = None,
    lane: Lane | None = None,
    attempts_allowed: int | None = None,
) -> Job:
    """Queue work of a kind; the kind gives lane and attempts unless they are named.

    Raises:
        InvalidInput: the kind is unknown and no lane is named.
        NotAllowed: the actor may not do this kind of work in the project.
    """
    known = KINDS.get(kind)
    if known is None and lane is None:
        raise InvalidInput(f"A job is one of {', '.join(KINDS)}. Received: {kind}")
    allowed = attempts_allowed or (known.attempts_allowed if known else ATTEMPTS_OF_UNKNOWN_KINDS)
    with writing(connection):
        for action in actions_of(kind, arguments):
            demand_of(connection, actor, action, project)
        cursor = connection.execute(
            """INSERT INTO jobs (project, kind, lane, arguments, state, attempts_allowed, created_at, created_by)
               VALUES (?, ?, ?, ?, 'queued', ?, ?, ?)""",
            (
                project,
                kind,
                lane or (known.lane if known else None),
                _arguments_text(arguments),
                allowed,
                utc_now(),
                actor.name,
            ),
        )
        job_id = int(cursor.lastrowid or 0)
        add_audit(connection, actor, f"queue {kind}", f"job {job_id}", arguments=_without_names(arguments))
        return get_job(connection, job_id)


def get_job(connection: sqlite3.Connection, job_id: int) -> Job:
    """One job.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise NotFound("job", job_id)
    return _job(row)


def list_jobs(
    connection: sqlite3.Connection,
    *,
    project: int | None = None,
    states: Sequence[State] | None = None,
    kinds: Sequence[str] | None = None,
    seen_by: User | None = None,
    limit: int = 50,
) -> list[Job]:
    """Jobs, newest first; with `seen_by` those of projects where this user may know what models say."""
    wanted, values = ["1"], list[Any]()
    if seen_by is not None and seen_by.role != "admin":
        roles = [role for role, actions in ROLE_ACTIONS.items() if SEEING_A_JOB in actions]
        marks = ", ".join("?" * len(roles))
        wanted.append(f"project IN (SELECT project FROM members WHERE user = ? AND role IN ({marks}))")
        values += [seen_by.id, *roles]
    if project is not None:
        wanted.append("project = ?")
        values.append(project)
    for column, choices in (("state", states), ("kind", kinds)):
        if choices is not None:
            wanted.append(f"{column} IN ({', '.join('?' * len(choices))})")
            values.extend(choices)
    query = f"SELECT * FROM jobs WHERE {' AND '.join(wanted)} ORDER BY id DESC LIMIT ?"
    return [_job(row) for row in connection.execute(query, (*values, limit))]


def find_job(
    connection: sqlite3.Connection,
    kind: str,
    arguments: Mapping[str, Any],
    *,
    states: Sequence[State] = ("queued", "running", "done"),
) -> Job | None:
    """The newest job of a kind that was asked for with just these arguments, or None."""
    row = connection.execute(
        f"""SELECT * FROM jobs WHERE kind = ? AND arguments = ? AND state IN ({", ".join("?" * len(states))})
            ORDER BY id DESC LIMIT 1""",
        (kind, _arguments_text(arguments), *states),
    ).fetchone()
    return _job(row) if row else None


def list_jobs_after(connection: sqlite3.Connection, project_id: int, kind: str, review: int) -> list[Job]:
    """The jobs of a kind that were asked for from a review, newest first."""
    rows = connection.execute(
        """SELECT * FROM jobs WHERE project = ? AND kind = ? AND json_extract(arguments, '$.review') = ?
           ORDER BY id DESC""",
        (project_id, kind, review),
    )
    return [_job(row) for row in rows]


def find_explaining_job(connection: sqlite3.Connection, explanation: str) -> Job | None:
    """The newest job that made an explanation, or None: the map itself does not say which project it belongs to."""
    row = connection.execute(
        """SELECT * FROM jobs WHERE kind = 'explain' AND json_extract(result, '$.explanation') = ?
           ORDER BY id DESC LIMIT 1""",
        (explanation,),
    ).fetchone()
    return _job(row) if row else None


def list_undecided(connection: sqlite3.Connection, *, project: int | None = None) -> list[Job]:
    """Imports and pulls that are done and left odd series waiting that nobody has brought in, newest first."""
    rows = connection.execute(
        """SELECT * FROM jobs AS held WHERE kind IN ('import', 'pull') AND state = 'done'
           AND json_extract(result, '$.waiting') > 0
           AND (kind = 'pull' OR json_extract(arguments, '$.hold_back') = 'odd')
           AND (:project IS NULL OR project = :project)
           AND NOT EXISTS (SELECT 1 FROM jobs WHERE kind = 'import' AND state IN ('queued', 'running', 'done')
                           AND json_extract(arguments, '$.again.job') = held.id
                           AND json_extract(arguments, '$.again.status') = 'waiting')
           ORDER BY id DESC""",
        {"project": project},
    )
    return [_job(row) for row in rows]


def uploads_asked_for(connection: sqlite3.Connection) -> set[str]:
    """The folders of uploads for which an import was ever asked."""
    rows = connection.execute(
        "SELECT DISTINCT json_extract(arguments, '$.remove_after') AS folder FROM jobs WHERE kind = 'import'"
    )
    return {row["folder"] for row in rows if row["folder"]}


def list_running(connection: sqlite3.Connection) -> list[Job]:
    """Every running job, oldest first."""
    return [_job(row) for row in connection.execute("SELECT * FROM jobs WHERE state = 'running' ORDER BY id")]


def has_queued(connection: sqlite3.Connection, lane: Lane) -> bool:
    """Whether anything waits in a lane."""
    query = "SELECT 1 FROM jobs WHERE state = 'queued' AND lane = ? LIMIT 1"
    return connection.execute(query, (lane,)).fetchone() is not None


def request_stop(connection: sqlite3.Connection, job_id: int, actor: Actor) -> Job:
    """Ask a job to stop: at once where it waits, in good order where it runs. A finished job stays as it is.

    Raises:
        NotFound: there is no such job.
        NotAllowed: the actor may not do this kind of work in the job's project.
    """
    with writing(connection):
        job = get_job(connection, job_id)
        _demand_its_actions(connection, actor, job)
        if job.is_active and not job.stop_requested:
            connection.execute(
                """UPDATE jobs SET stop_requested = 1,
                       finished_at = CASE state WHEN 'queued' THEN ? END,
                       note = CASE state WHEN 'queued' THEN 'Stopped before it began.' ELSE note END,
                       state = CASE state WHEN 'queued' THEN 'stopped' ELSE state END
                   WHERE id = ?""",
                (utc_now(), job_id),
            )
            add_audit(connection, actor, "stop job", f"job {job_id}")
        return get_job(connection, job_id)


def resume_job(connection: sqlite3.Connection, job_id: int, actor: Actor) -> Job:
    """Queue a failed or stopped job again, with a fresh number of attempts; it goes on from what it kept.

    Raises:
        NotFound: there is no such job.
        NotAllowed: the actor may not do this kind of work in the job's project.
        Conflict: it is done, it still waits or runs, or it stopped and its result was kept (a stopped training
            leaves its best weights as a model, and a model never changes).
    """
    with writing(connection):
        job = get_job(connection, job_id)
        _demand_its_actions(connection, actor, job)
        if not job.can_resume:
            kept = " and has kept its result; start a new one to go on" if job.state == "stopped" else ""
            raise Conflict(
                f"Only a failed or stopped job can be resumed. Received: job {job_id}, which is {job.state}{kept}"
            )
        known = KINDS.get(job.kind)
        connection.execute(
            """UPDATE jobs SET state = 'queued', stop_requested = 0, attempts_allowed = attempt + ?, note = '',
                   error = NULL, why = NULL, remedy = NULL, traceback = NULL, finished_at = NULL, pid = NULL,
                   pid_started = NULL
               WHERE id = ?""",
            (known.attempts_allowed if known else ATTEMPTS_OF_UNKNOWN_KINDS, job_id),
        )
        add_audit(connection, actor, "resume job", f"job {job_id}")
        return get_job(connection, job_id)


def find_next(connection: sqlite3.Connection, lane: Lane) -> Job | None:
    """The oldest waiting job of a lane, which is the next to be claimed."""
    row = connection.execute(
        "SELECT * FROM jobs WHERE state = 'queued' AND lane = ? ORDER BY id LIMIT 1", (lane,)
    ).fetchone()
    return _job(row) if row else None


def claim_job(
    connection: sqlite3.Connection,
    lane: Lane,
    device: str,
    *,
    pid: int | None = None,
    pid_started: float | None = None,
) -> Job | None:
    """Take the oldest waiting job of a lane, or None. However many ask at once, one of them gets it."""
    now = utc_now()
    with writing(connection):
        row = connection.execute(
            """UPDATE jobs SET state = 'running', attempt = attempt + 1, device = ?, pid = ?, pid_started = ?,
                   started_at = COALESCE(started_at, ?), heartbeat_at = ?
               WHERE id = (SELECT id FROM jobs WHERE state = 'queued' AND lane = ? ORDER BY id LIMIT 1)
               RETURNING *""",
            (device, pid, pid_started, now, now, lane),
        ).fetchone()
        return _job(row) if row else None


def begin_job(connection: sqlite3.Connection, job_id: int, attempt: int, pid: int, pid_started: float) -> Job | None:
    """The child says that it is the one process of this attempt; None where the job was given to another."""
    with writing(connection):
        row = connection.execute(
            """UPDATE jobs SET pid = ?, pid_started = ?, heartbeat_at = ?
               WHERE id = ? AND state = 'running' AND attempt = ? AND pid IS NULL RETURNING *""",
            (pid, pid_started, utc_now(), job_id, attempt),
        ).fetchone()
        return _job(row) if row else None


def report_job(
    connection: sqlite3.Connection, job: Job, *, fraction: float, note: str, facts: Mapping[str, Any]
) -> bool:
    """Store how far the job is, and that it lives; False where it is no longer this attempt's."""
    with writing(connection):
        updated = connection.execute(
            """UPDATE jobs SET fraction = ?, note = ?, facts = ?, heartbeat_at = ?
               WHERE id = ? AND state = 'running' AND attempt = ?""",
            (fraction, note, plain_json(facts), utc_now(), job.id, job.attempt),
        )
        return updated.rowcount == 1


def beat_job(connection: sqlite3.Connection, job: Job) -> bool:
    """Store that the job lives; False where it is no longer this attempt's."""
    with writing(connection):
        updated = connection.execute(
            "UPDATE jobs SET heartbeat_at = ? WHERE id = ? AND state = 'running' AND attempt = ?",
            (utc_now(), job.id, job.attempt),
        )
        return updated.rowcount == 1


def is_stop_requested(connection: sqlite3.Connection, job: Job) -> bool:
    """Whether somebody asked this job to stop, or it is no longer this attempt's to do."""
    row = connection.execute("SELECT state, attempt, stop_requested FROM jobs WHERE id = ?", (job.id,)).fetchone()
    return bool(row["stop_requested"]) or (row["state"], row["attempt"]) != ("running", job.attempt)


def finish_job(
    connection: sqlite3.Connection,
    job: Job,
    state: Literal["done", "failed", "stopped"],
    *,
    result: Mapping[str, Any] | None = None,
    note: str | None = None,
    error: str | None = None,
    why: str | None = None,
    remedy: str | None = None,
    traceback: str | None = None,
    would_repeat: bool = False,
) -> bool:
    """Settle a running attempt for good; False where somebody settled it before.

    Args:
        would_repeat: of a failed one whether a further attempt would fail in the same way.
    """
    with writing(connection):
        updated = connection.execute(
            """UPDATE jobs SET state = ?, result = ?, note = COALESCE(?, note), error = ?, why = ?, remedy = ?,
                   traceback = ?, finished_at = ?, fraction = CASE ? WHEN 'done' THEN 1.0 ELSE fraction END,
                   facts = CASE ? WHEN 1 THEN json_set(facts, ?, json('true')) ELSE json_remove(facts, ?) END
               WHERE id = ? AND state = 'running' AND attempt = ?""",
            (
                state,
                None if result is None else plain_json(result),
                note,
                error,
                why,
                remedy,
                traceback,
                utc_now(),
                state,
                would_repeat,
                *(2 * (f"$.{WOULD_REPEAT}",)),
                job.id,
                job.attempt,
            ),
        )
        return updated.rowcount == 1


def requeue_job(connection: sqlite3.Connection, job: Job, note: str, *, counts: bool = True) -> bool:
    """Put a broken-off attempt back into the queue (`stopped` where that was asked for).

    Where it `counts` not, the job may be tried once more for it. False where somebody settled
    the attempt before, or a process took it up since `job` was read.
    """
    with writing(connection):
        updated = connection.execute(
            """UPDATE jobs SET state = CASE stop_requested WHEN 1 THEN 'stopped' ELSE 'queued' END,
                   finished_at = CASE stop_requested WHEN 1 THEN ? END,
                   note = ?, pid = NULL, pid_started = NULL, attempts_allowed = attempts_allowed + ?
               WHERE id = ? AND state = 'running' AND attempt = ? AND pid IS ?""",
            (utc_now(), note, 0 if counts else 1, job.id, job.attempt, job.pid),
        )
        return updated.rowcount == 1


def _demand_its_actions(connection: sqlite3.Connection, actor: Actor, job: Job) -> None:
    for action in job.actions:
        demand_of(connection, actor, action, job.project)


def _job(row: sqlite3.Row) -> Job:
    columns = dict(row)
    for name in ("arguments", "facts", "result"):
        columns[name] = None if columns[name] is None else json.loads(columns[name])
    columns["stop_requested"] = bool(columns["stop_requested"])
    return Job(**columns)


def _arguments_text(arguments: Mapping[str, Any]) -> str:
    """Equal arguments give equal text, so that `find_job` can compare them in SQL."""
    return json.dumps(dict(arguments), sort_keys=True)


def _without_names(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit keeps for ever of a job: numbers and choices, and no paths, which may name a patient."""
    told = {key: value for key, value in arguments.items() if key in SAID_IN_AUDIT or isinstance(value, (int, float))}
    paths = arguments.get("paths")
    return told | ({"paths": len(paths)} if isinstance(paths, (list, tuple)) else {})


def plain_json(value: Mapping[str, Any]) -> str:
    """JSON text of facts or of a result: NumPy numbers become plain ones, NaN and infinities become null."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy arrays and scalars
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
