"""The cases that methods of explanation are judged on for a model."""

import sqlite3

from core.datasets.records import SnapshotCase, get_snapshot
from core.datasets.splits import list_view
from core.errors import InvalidInput
from core.training.ensemble import runs_learnt
from core.training.records import Model, get_run


def list_judged(connection: sqlite3.Connection, model: Model, split: str) -> list[SnapshotCase]:
    """Those of a split; of validation those that no member of an ensemble was trained on, and no model that it began
    from.

    Raises:
        InvalidInput: the test split, which is for the review, or no case is left.
    """
    if split not in ("train", "validation"):
        raise InvalidInput(f"Methods are judged on validation or train; test is for the review. Received: {split}")
    run = get_run(connection, model.run)
    view = list_view(connection, get_snapshot(connection, run.project, run.snapshot).id, run.fold)
    cases, learnt = [case for case in view if case.split == split], set[int]()
    if split == "validation":
        for one in runs_learnt(connection, model):
            learnt |= {case.case_id for case in list_view(connection, one.snapshot, one.fold) if case.split == "train"}
    left = [case for case in cases if case.case_id not in learnt]
    if not left:
        raise InvalidInput(
            f"No case is left to judge it on: members of an ensemble, or a model that it began from, may have learnt "
            f"those of validation. Choose train, or a single model. Received: {split}, {len(cases)} cases"
        )
    return left
