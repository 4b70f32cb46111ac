"""The failures of a model in a review, each with the cause that people see in it: its surest mistakes, of numbers its
largest errors, of painted structures the lowest Dice. A model that draws answers nothing about a case, so none fails.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from core.clock import utc_now
from core.datasets.records import get_snapshot
from core.errors import InvalidInput
from core.evaluation.records import MeasuredMask, list_measured
from core.evaluation.run import list_measurable
from core.images.records import get_case
from core.labels.case_lists import CaseList, add_case_list
from core.people.roles import demand_of
from core.projects.records import Project
from core.projects.schema import Classification, Generation, LabelSchema, Regression, Segmentation
from core.reviews.case_search import CaseFilter, CaseRow, Order, open_rows, search_cases
from core.reviews.meetings import Review, get_evaluation_of
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.tasks import trainable_schema
from core.training.records import get_model

Kind = Literal["missed", "false alarm", "largest error", "lowest Dice"]
Cause = Literal["label error", "image quality", "rare appearance", "shortcut", "other", ""]
CAUSES: tuple[Cause, ...] = get_args(Cause)[:-1]  # "" takes a tag back
LOOKED_AT = 500  # mistakes from which those of one class are taken


def list_failures(
    connection: sqlite3.Connection, project: Project, review: Review, kind: Kind, of: str = "", *, limit: int = 6
) -> list[CaseRow]:
    """The surest false negatives or false positives of a class, of a quantity the largest errors, of a structure the
    lowest Dice.

    Raises:
        NotFound: the test results of the review were not opened yet.
        InvalidInput: the kind, the class or the structure does not fit the task.
    """
    evaluation = get_evaluation_of(connection, review)
    schema = trainable_schema(get_snapshot(connection, review.project, review.snapshot).schema)
    if kind not in kinds_of(schema):
        raise InvalidInput(f"This task has no such failures. Received: {kind}")
    if not isinstance(schema, Regression) and of not in schema.names:
        what = "a structure" if isinstance(schema, Segmentation) else "a class"
        raise InvalidInput(f"Name {what} of the project: {', '.join(schema.names)}. Received: {of}")
    number, painted = isinstance(schema, Regression), isinstance(schema, Segmentation)
    fold = evaluation.result.get("fold")
    wanted = CaseFilter(
        model=review.model,
        snapshot=review.snapshot,
        split="test",
        fold=fold,
        outcome=None if number or painted else "wrong",
        among=list_measurable(connection, get_model(connection, None, review.model), review.snapshot, "test", fold),
    )
    if painted:
        return open_rows(
            connection, wanted, [one.case_id for one in list_worst_painted(connection, review, of)[:limit]]
        )
    order: Order = "largest error" if number else "most confident"
    rows = search_cases(connection, project, wanted, order=order, limit=limit if number else LOOKED_AT)
    if number:
        return rows
    return [row for row in rows if _is(row, kind, of)][:limit]


def count_failures(result: Mapping[str, Any], kind: Kind, of: str = "") -> int | None:
    """How many of a kind an evaluation has, from its document: of a class by its confusion matrix, of errors and of
    Dice every case that has one; None where the document does not tell."""
    if kind == "largest error":
        return int(result["n_cases"])
    if kind == "lowest Dice":
        counts = result.get("counts", {}).get(of)
        return int(counts["painted"]) if counts else None
    matrix, classes = result.get("confusion_matrix"), list(result.get("classes", ()))
    if matrix is None or of not in classes:
        return None
    at = classes.index(of)
    if isinstance(matrix[at][0], list):  # of several labels each has a matrix of its own: absent, present
        return int(matrix[at][1][0] if kind == "missed" else matrix[at][0][1])
    line = matrix[at] if kind == "missed" else [row[at] for row in matrix]
    return int(sum(line) - matrix[at][at])


def kinds_of(schema: LabelSchema) -> tuple[Kind, ...]:
    """The kinds of failures that a task has; none of one that draws."""
    if isinstance(schema, Generation):
        return ()
    if isinstance(schema, Classification):
        return ("missed", "false alarm")
    return ("largest error",) if isinstance(schema, Regression) else ("lowest Dice",)


def list_worst_painted(connection: sqlite3.Connection, review: Review, structure: str) -> list[MeasuredMask]:
    """How a structure was painted on each test case, the lowest Dice first; without cases on which it is in neither the
    reference nor the answer, which have no Dice.

    Raises:
        NotFound: the test results of the review were not opened yet.
    """
    measured = list_measured(connection, get_evaluation_of(connection, review).id)
    return [one for one in measured if one.structure == structure and one.dice is not None]


def _is(row: CaseRow, kind: Kind, of: str) -> bool:
    truly = of in (row.reference or {}).get("classes", ())
    said = of in (row.predicted or {}).get("classes", ())
    return truly and not said if kind == "missed" else said and not truly


def tag_failure(connection: sqlite3.Connection, review: Review, case_id: int, cause: Cause, *, actor: Actor) -> None:
    """Say why the model was wrong about a case; "" takes what was said back. The newest word counts, all are kept.

    Raises:
        InvalidInput: there is no such cause, or the case is of another project.
        NotAllowed: the actor may not open test results here.
    """
    if cause not in ("", *CAUSES):
        raise InvalidInput(f"A cause is one of {', '.join(CAUSES)}. Received: {cause}")
    with writing(connection):
        demand_of(connection, actor, "open test results", review.project)
        if get_case(connection, case_id).project != review.project:
            raise InvalidInput(f"Name a case of this project. Received: case {case_id}")
        connection.execute(
            "INSERT INTO failure_tags (project, review, case_id, cause, by, at) VALUES (?, ?, ?, ?, ?, ?)",
            (review.project, review.id, case_id, cause, actor.name, utc_now()),
        )
        add_audit(connection, actor, "tag failure", f"case {case_id}", review=review.id, cause=cause)


def map_causes(connection: sqlite3.Connection, review: Review) -> dict[int, Cause]:
    """{case: why the model was wrong about it} of those that somebody has tagged."""
    rows = connection.execute("SELECT case_id, cause FROM failure_tags WHERE review = ? ORDER BY id", (review.id,))
    newest = {row["case_id"]: row["cause"] for row in rows}
    return {case_id: cause for case_id, cause in newest.items() if cause}


def count_causes(connection: sqlite3.Connection, review: Review) -> dict[str, int]:
    """How often each cause was seen, the commonest first."""
    return dict(Counter(map_causes(connection, review).values()).most_common())


def keep_to_read_again(
    connection: sqlite3.Connection, project: Project, review: Review, case_ids: Sequence[int], *, actor: Actor
) -> CaseList:
    """Keep cases of a review as a worklist: their labels are to be read again.

    Raises:
        InvalidInput, NotAllowed: as `add_case_list`.
    """
    name = f"Read again: review {review.id}, {utc_now()[:16].replace('T', ' ')}"
    return add_case_list(connection, project, name, case_ids, actor=actor)
