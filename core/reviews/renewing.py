"""The review that follows a retraining: criteria as before, against the model of before, and what has changed."""

import sqlite3
from collections import Counter
from collections.abc import Sequence

from core.datasets.records import Snapshot, get_snapshot, list_snapshot_cases
from core.datasets.splits import SPLITS
from core.errors import InvalidInput
from core.evaluation.subgroups import list_groupable
from core.projects.records import get_project
from core.reviews.corrections import Corrections, compare_references
from core.reviews.criteria import Criterion, check_criteria
from core.reviews.meetings import Review, add_review, list_reviews
from core.reviews.remarks import add_remark
from core.store.audit import Actor
from core.store.database import writing
from core.tasks import trainable_schema
from core.training.records import Model, get_model, get_run

MOST_NAMED = 200  # cases by their numbers: more say no more


def renew_review(connection: sqlite3.Connection, review: Review, model: Model, *, actor: Actor) -> Review:
    """Prepare the review of a model that was trained anew after another review, on the snapshot that it has learnt.

    Its first remark says what changed, and nothing of any result. Asked twice, it is prepared once: one of this model
    against that of before is taken for it.

    Raises:
        InvalidInput: as `add_review`.
        NotAllowed: the actor may not open test results here.
    """
    snapshot = get_snapshot(connection, review.project, get_run(connection, model.run).snapshot)
    before = get_model(connection, review.project, review.model)
    with writing(connection):
        if there := find_renewed(connection, review, model.id):
            return there
        kept, dropped = _take_over(connection, review.criteria, snapshot)
        project = get_project(connection, review.project)
        made = add_review(connection, project, model, criteria=kept, snapshot=snapshot, production=before, actor=actor)
        add_remark(connection, made, describe_renewal(connection, review, before, snapshot, dropped), actor=actor)
    return made


def find_renewed(connection: sqlite3.Connection, review: Review, model: int) -> Review | None:
    """The review of a retrained model, by its number, against that of an earlier review, the first there was."""
    every = [one for one in list_reviews(connection, review.project, model=model) if one.production == review.model]
    return every[-1] if every else None


def describe_renewal(
    connection: sqlite3.Connection, review: Review, before: Model, snapshot: Snapshot, dropped: Sequence[Criterion] = ()
) -> str:
    """What is other than in the review of before, in sentences: labels with their cases, cases left out, counts."""
    stood_on = get_snapshot(connection, review.project, get_run(connection, before.run).snapshot)
    cases, later = (list_snapshot_cases(connection, one.id) for one in (stood_on, snapshot))
    found = compare_references(connection, stood_on.schema, cases, later)
    split_of = {case.case_id: case.split for case in cases}
    told = [
        f"Retrained after review {review.id}, with the recipe and the seed of {before.name}, on {snapshot.name}.",
        f"Labels changed since {stood_on.name}: {_changes(found, split_of)}.",
        f"Left out, without a reference now: {_named(found.gone, split_of) if found.gone else 'none'}.",
    ]
    counts = [Counter(case.split for case in some) for some in (cases, later)]
    sizes = [f"{split} {counts[0][split]:,} → {counts[1][split]:,}" for split in SPLITS]
    told.append(f"Cases: {', '.join(sizes)}.")
    told.append(f"Criteria are those of review {review.id}.")
    if dropped:
        told.append(f"Not taken over, for they fit no more: {'; '.join(one.sentence for one in dropped)}.")
    return " ".join(told)


def _changes(found: Corrections, split_of: dict[int, str]) -> str:
    return f"{'; '.join(found.told)} ({_named(found.changed, split_of)})" if found.changed else "none"


def _named(case_ids: Sequence[int], split_of: dict[int, str]) -> str:
    """`cases 3, 17; train 1, test 1`; of very many the first only."""
    shown = ", ".join(str(case) for case in case_ids[:MOST_NAMED])
    more = f" and {len(case_ids) - MOST_NAMED:,} more" if len(case_ids) > MOST_NAMED else ""
    counted = Counter(split_of[case] for case in case_ids)
    splits = ", ".join(f"{split} {counted[split]:,}" for split in SPLITS if counted[split])
    return f"case{'' if len(case_ids) == 1 else 's'} {shown}{more}; {splits}"


def _take_over(
    connection: sqlite3.Connection, criteria: Sequence[Criterion], snapshot: Snapshot
) -> tuple[list[Criterion], list[Criterion]]:
    """The criteria that can still be looked up, and those that cannot: an attribute may be gone with its cases."""
    attributes = list_groupable(connection, snapshot)
    kept: list[Criterion] = []
    dropped: list[Criterion] = []
    for one in criteria:
        try:
            check_criteria([one], trainable_schema(snapshot.schema), snapshot.task, attributes)
            kept.append(one)
        except InvalidInput:
            dropped.append(one)
    return kept, dropped
