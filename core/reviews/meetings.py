"""Reviews: meetings about a model, with criteria that lock when its test results are first opened, there or elsewhere.

The results of a review are those of one evaluation, chosen at that moment. Every opening is a row of its own that
stays for ever: whoever looks often finds something at last.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from core.clock import utc_now
from core.datasets.records import Snapshot, get_snapshot
from core.errors import Conflict, InvalidInput, NotFound
from core.evaluation.records import Evaluation, count_test_uses, find_evaluation, list_evaluations, say_times
from core.evaluation.subgroups import list_groupable, measure_by_value
from core.people.roles import demand_of
from core.projects.records import Project
from core.reviews.criteria import (
    Criterion,
    Outcome,
    check_criteria,
    criteria_from_json,
    criteria_json,
    judge,
    measured,
    outcomes_from_json,
    outcomes_json,
    parse_criteria,
)
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.tasks import trainable_schema
from core.training.records import Model, get_model, get_run

LONGEST_NAME = 120
ELSEWHERE = ", outside a meeting"  # behind the way by which somebody came, in the row of an opening


@dataclass(frozen=True)
class Review:
    """A meeting about a model. `evaluation` and `outcomes` are there once its test results were opened."""

    id: int
    project: int
    name: str
    model: int
    production: int | None
    snapshot: int
    criteria: tuple[Criterion, ...]
    criteria_at: str
    prepared_by: str
    prepared_at: str
    evaluation: int | None
    outcomes: tuple[Outcome, ...] | None
    locked_at: str | None
    locked_by: str | None

    @property
    def is_locked(self) -> bool:
        return self.locked_at is not None


@dataclass(frozen=True)
class TestUse:
    """How often the test cases of a review were looked at: measured by any model, and opened in meetings."""

    __test__ = False  # no test of pytest's

    evaluations: int
    openings: int  # in reviews on this snapshot
    openings_here: int
    elsewhere: int  # how often this model's results were shown outside of the meeting since it was prepared
    known_before: bool  # this model's test results were there before the criteria were written for the last time

    @property
    def sentence(self) -> str:
        """For the top of everything that shows the results."""
        opened = f"opened in meetings {say_times(self.openings)}, {say_times(self.openings_here)} in this one"
        told = (
            f"The test cases were measured {say_times(self.evaluations)} and "
            f"{opened if self.openings else 'never opened in a meeting'}."
        )
        if self.elsewhere:
            told += f" Outside of this meeting they were shown {say_times(self.elsewhere)} since it was prepared."
        if self.known_before:
            told += " The test results of this model were there before its criteria were written."
        return told


def add_review(
    connection: sqlite3.Connection,
    project: Project,
    model: Model,
    *,
    criteria: Sequence[Criterion],
    snapshot: Snapshot | None = None,
    production: Model | None = None,
    name: str = "",
    actor: Actor,
) -> Review:
    """Prepare a review; without a snapshot of the one that the model was trained on.

    Raises:
        InvalidInput: criteria that cannot be looked up, or models and snapshot that do not belong together.
        NotAllowed: the actor may not open test results here.
    """
    with writing(connection):
        demand_of(connection, actor, "open test results", project.id)
        chosen = snapshot or get_snapshot(connection, project.id, get_run(connection, model.run).snapshot)
        if production is not None and production.id == model.id:
            raise InvalidInput(f"Compare a model with another one. Received: {model.name} twice")
        others = (model.project, chosen.project, *([production.project] if production else []))
        if any(number != project.id for number in others):
            raise InvalidInput(f"Model, snapshot and review belong to one project. Received: {model.name}")
        if chosen.task != model.task:
            raise InvalidInput(f"Choose a snapshot of the model's task, {model.task}. Received: {chosen.task}")
        _check(connection, chosen, criteria)
        called = name.strip() or f"Review of {model.name}"
        if len(called) > LONGEST_NAME:
            raise InvalidInput(f"A review's name has at most {LONGEST_NAME} characters. Received: {len(called)}")
        now = utc_now()
        cursor = connection.execute(
            """INSERT INTO reviews (project, name, model, production, snapshot, criteria, criteria_at, prepared_by,
                                    prepared_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                project.id,
                called,
                model.id,
                production.id if production else None,
                chosen.id,
                json.dumps(criteria_json(criteria)),
                now,
                actor.name,
                now,
            ),
        )
        review_id = int(cursor.lastrowid or 0)
        told = [one.sentence for one in criteria]
        add_audit(connection, actor, "prepare review", f"review {review_id}", model=model.id, criteria=told)
        return get_review(connection, project.id, review_id)


def change_criteria(
    connection: sqlite3.Connection, review: Review, criteria: Sequence[Criterion], *, actor: Actor
) -> Review:
    """Write the criteria anew, as long as nobody has opened the test results.

    Raises:
        Conflict: they were opened.
        InvalidInput: criteria that cannot be looked up.
        NotAllowed: the actor may not open test results here.
    """
    with writing(connection):
        demand_of(connection, actor, "open test results", review.project)
        now = get_review(connection, review.project, review.id)
        if now.is_locked:
            raise Conflict(
                f"The test results were opened on {(now.locked_at or '')[:10]} by {now.locked_by}; since then the "
                f"criteria are fixed. Prepare a new review for others. Received: review {review.id}"
            )
        _check(connection, get_snapshot(connection, review.project, review.snapshot), criteria)
        connection.execute(
            "UPDATE reviews SET criteria = ?, criteria_at = ? WHERE id = ?",
            (json.dumps(criteria_json(criteria)), utc_now(), review.id),
        )
        before, after = [one.sentence for one in now.criteria], [one.sentence for one in criteria]
        add_audit(connection, actor, "change criteria", f"review {review.id}", before=before, after=after)
        return get_review(connection, review.project, review.id)


def open_results(connection: sqlite3.Connection, review: Review, *, actor: Actor) -> Review:
    """Open the test results: the first time, that locks the criteria and settles them; every time is counted.

    Raises:
        InvalidInput: the model was not evaluated on the test split of the snapshot yet.
        Conflict: the criteria were changed in this very moment.
        NotAllowed: the actor may not open test results here.
    """
    demand_of(connection, actor, "open test results", review.project)
    return _open(connection, review, actor)


def note_shown(
    connection: sqlite3.Connection, model_id: int, snapshot_id: int, *, counts: bool = True, actor: Actor
) -> list[Review]:
    """The test results of a model on a snapshot are shown outside of a meeting: whatever review of them is not decided
    yet locks its criteria by that, and has the look counted.

    Nothing happens as long as there are no such results. What the actor may see was asked where it is shown.

    Args:
        counts: whether this is a look of its own; a new evaluation is counted as such already.

    Returns:
        The reviews that it locked.
    """
    rows = connection.execute(
        """SELECT * FROM reviews WHERE model = ? AND snapshot = ?
           AND id NOT IN (SELECT review FROM decisions) ORDER BY id""",
        (model_id, snapshot_id),
    ).fetchall()
    if not rows or find_evaluation(connection, model_id, snapshot_id) is None:
        return []
    locked = []
    for before in map(_review, rows):
        if counts or not before.is_locked:
            after = _open(connection, before, actor, outside=True, counts=counts)
            locked += [] if before.is_locked else [after]
    return locked


def _open(
    connection: sqlite3.Connection, review: Review, actor: Actor, *, outside: bool = False, counts: bool = True
) -> Review:
    review = get_review(connection, review.project, review.id)
    settled = None if review.is_locked else settle_criteria(connection, review)  # up to seconds: before the transaction
    with writing(connection):
        now = get_review(connection, review.project, review.id)
        if not now.is_locked:
            if settled is None or now.criteria != review.criteria:
                raise Conflict(f"The criteria were changed just now; read them first. Received: review {review.id}")
            evaluation, outcomes = settled
            connection.execute(
                "UPDATE reviews SET evaluation = ?, outcomes = ?, locked_at = ?, locked_by = ? WHERE id = ?",
                (evaluation.id, json.dumps(outcomes_json(outcomes)), utc_now(), actor.name, review.id),
            )
        if counts:
            via = f"{actor.via}{ELSEWHERE if outside else ''}"
            connection.execute(
                """INSERT INTO test_openings (project, review, model, snapshot, by, via, at)
                   VALUES (?, ?, ?, ?, ?, ?, ?)""",
                (review.project, review.id, review.model, review.snapshot, actor.name, via, utc_now()),
            )
        where = {"outside": "a meeting"} if outside else {}
        add_audit(connection, actor, "open test results", f"review {review.id}", snapshot=review.snapshot, **where)
        return get_review(connection, review.project, review.id)


def settle_criteria(connection: sqlite3.Connection, review: Review) -> tuple[Evaluation, tuple[Outcome, ...]]:
    """The newest test evaluation of a review's model, and what each criterion becomes by it.

    Raises:
        InvalidInput: there is none.
    """
    evaluation = find_evaluation(connection, review.model, review.snapshot)
    if evaluation is None:
        raise InvalidInput(
            "Evaluate the model on the test split of this snapshot first; then its results can be opened. "
            f"Received: review {review.id}"
        )
    model = get_model(connection, review.project, review.model)
    snapshot = get_snapshot(connection, review.project, review.snapshot)
    groups = {
        name: measure_by_value(connection, model, snapshot, evaluation, name)
        for name in sorted({one.by for one in review.criteria if one.by})
    }
    return evaluation, tuple(
        judge(
            one,
            [measured(one, result, group) for group, result in groups[one.by].items()]
            if one.by
            else [measured(one, evaluation.result)],
            n_cases=evaluation.result["n_cases"],
        )
        for one in review.criteria
    )


def get_review(connection: sqlite3.Connection, project_id: int, review_id: int) -> Review:
    """
    Raises:
        NotFound: the project has no such review.
    """
    row = connection.execute("SELECT * FROM reviews WHERE id = ? AND project = ?", (review_id, project_id)).fetchone()
    if row is None:
        raise NotFound("review", review_id)
    return _review(row)


def list_reviews(connection: sqlite3.Connection, project_id: int, *, model: int | None = None) -> list[Review]:
    """The reviews of a project, or of one model, newest first."""
    rows = connection.execute(
        "SELECT * FROM reviews WHERE project = :project AND (:model IS NULL OR model = :model) ORDER BY id DESC",
        {"project": project_id, "model": model},
    )
    return [_review(row) for row in rows]


def get_evaluation_of(connection: sqlite3.Connection, review: Review) -> Evaluation:
    """What a review's numbers are.

    Raises:
        NotFound: its test results were not opened yet.
    """
    every = list_evaluations(connection, model_id=review.model)
    found = next((one for one in every if one.id == review.evaluation), None)
    if found is None:
        raise NotFound("opened result of review", review.id)
    return found


def count_test_looks(connection: sqlite3.Connection, review: Review) -> TestUse:
    """How often the test cases were looked at, for ever and in this review."""
    run = get_run(connection, get_model(connection, review.project, review.model).run)
    fold = run.fold if run.snapshot == review.snapshot else None
    row = connection.execute(
        """SELECT coalesce(sum(NOT outside), 0) AS openings, coalesce(sum(NOT outside AND here), 0) AS here,
                  coalesce(sum(outside AND here), 0) AS elsewhere
           FROM (SELECT via LIKE '%' || ? AS outside, review = ? AS here FROM test_openings WHERE snapshot = ?)""",
        (ELSEWHERE, review.id, review.snapshot),
    ).fetchone()
    first = connection.execute(
        "SELECT min(created_at) FROM evaluations WHERE model = ? AND snapshot = ? AND split = 'test'",
        (review.model, review.snapshot),
    ).fetchone()[0]
    return TestUse(
        evaluations=count_test_uses(connection, review.snapshot, fold),
        openings=row["openings"],
        openings_here=row["here"],
        elsewhere=row["elsewhere"],
        known_before=first is not None and first <= review.criteria_at,
    )


def list_asked(connection: sqlite3.Connection, snapshot: Snapshot, texts: Sequence[str]) -> list[Criterion]:
    """The criteria that sentences ask for, "no subgroup below" of each attribute that tells groups of its cases apart.

    Raises:
        InvalidInput: a sentence is no criterion.
    """
    return parse_criteria(texts, list_groupable(connection, snapshot))


def _check(connection: sqlite3.Connection, snapshot: Snapshot, criteria: Sequence[Criterion]) -> None:
    check_criteria(criteria, trainable_schema(snapshot.schema), snapshot.task, list_groupable(connection, snapshot))


def _review(row: sqlite3.Row) -> Review:
    return Review(
        **{
            **dict(row),
            "criteria": criteria_from_json(json.loads(row["criteria"])),
            "outcomes": None if row["outcomes"] is None else outcomes_from_json(json.loads(row["outcomes"])),
        }
    )
