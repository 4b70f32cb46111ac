"""Drawn images in a snapshot: so many as were asked for, all in train, none that resembles what is tested on."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from core.datasets.duplicates import pair_near_duplicates
from core.datasets.records import Candidate, Snapshot, SnapshotCase, list_snapshot_cases, list_synthetic
from core.errors import InvalidInput
from core.images.records import set_of_synthetic
from core.progress import Progress
from core.projects.changes import offered_names
from core.projects.records import Project
from core.projects.schema import Classification
from core.store.files import Files


def take_synthetic(connection: sqlite3.Connection, project: Project, wanted: int, folds: int) -> list[Candidate]:
    """So many drawn images of the project, the classes alike.

    Raises:
        InvalidInput: there are not so many, the project has another task, or folds are asked for.
    """
    if not wanted:
        return []
    if project.task != "classification" or not isinstance(project.schema, Classification):
        raise InvalidInput(f"Synthetic images help to train a classification. Received: {project.name}, {project.task}")
    if folds:
        raise InvalidInput(f"Synthetic images belong to no fold; freeze them with a split. Received: {folds} folds")
    there = list_synthetic(connection, project.id, offered_names(connection, project))
    if not 0 < wanted <= len(there):
        raise InvalidInput(
            f"Draw images into project {project.name} first (readroom generate … --into): it has {len(there):,} of its "
            f"classes. Received: {wanted:,} synthetic"
        )
    return there[:wanted]


def same_synthetic(connection: sqlite3.Connection, project: Project, earlier: Snapshot) -> list[Candidate]:
    """The drawn images of an earlier snapshot that are there still."""
    taken = set_of_synthetic(connection, [case.case_id for case in list_snapshot_cases(connection, earlier.id)])
    if not taken:
        return []
    there = list_synthetic(connection, project.id, offered_names(connection, project))
    return [one for one in there if one.case_id in taken]


def add_synthetic(
    connection: sqlite3.Connection,
    files: Files,
    cases: Sequence[SnapshotCase],
    real: Sequence[Candidate],
    drawn: Sequence[Candidate],
    progress: Progress,
) -> tuple[list[SnapshotCase], list[Candidate], list[str]]:
    """The frozen cases with drawn ones after them in train, the candidates in the same order, and what to say of it.

    A drawn image that is nearly the same as a real one of validation or test is left out: it would carry that one into
    training.
    """
    if not drawn:
        return list(cases), list(real), []
    apart = {case.case_id for case in cases if case.split != "train"}
    hidden = {case.pixel_hash for case in cases if case.split != "train"}
    everything = [*real, *drawn]
    near = set()
    for pair in pair_near_duplicates(connection, files, everything, progress):
        ids = [everything[at].case_id for at in pair]
        if apart.intersection(ids):
            near.update(ids)
    kept = [one for one in drawn if one.case_id not in near and one.pixel_hash not in hidden]
    group = max((case.group for case in cases), default=-1) + 1
    added = [
        SnapshotCase(
            len(cases) + at, one.case_id, one.patient, "train", None, one.value, (), one.pixel_hash, group + at
        )
        for at, one in enumerate(kept)
    ]
    notes = [f"{len(kept):,} images of train are synthetic: drawn by a model, of no patient."]
    if len(kept) < len(drawn):
        notes.append(
            f"{len(drawn) - len(kept):,} synthetic images were left out, because they are nearly the same as images of "
            f"validation or test."
        )
    return [*cases, *added], [*real, *(replace(one, split="train") for one in kept)], notes
