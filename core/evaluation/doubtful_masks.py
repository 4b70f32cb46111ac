"""Painted masks that deserve a second look: one that the model contradicts surely, readers who say otherwise whether a
structure is there, a twin that was painted in another way."""

import sqlite3
from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from core.datasets.records import Snapshot, SnapshotCase
from core.datasets.splits import list_view
from core.evaluation.doubtful import LEAST_SURE, Apart, Doubtful, unlearnt
from core.evaluation.mask_looks import read_looks
from core.evaluation.records import Evaluation, MeasuredMask, find_predictions, list_measured
from core.images.records import get_case
from core.labels.mask_store import read_kept_mask
from core.labels.records import list_current_labels
from core.measures.mask_errors import Contradicted, suspect_masks
from core.projects.changes import present_names
from core.projects.records import Project
from core.store.files import Files
from core.training.records import Model


@dataclass(frozen=True)
class SaidMasks:
    """What an evaluation knows of one structure on the cases of a split; `new` are those that the model was not
    trained on, and `looked_at` those of them of which it is known how surely the model contradicts the mask."""

    structure: str
    cases: list[SnapshotCase]
    measured: dict[int, MeasuredMask]
    new: list[SnapshotCase]
    looked_at: dict[int, Contradicted]

    @property
    def case_ids(self) -> list[int]:
        return [case.case_id for case in self.cases]


def read_said_masks(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    snapshot: Snapshot,
    evaluation: Evaluation,
    structure: str,
) -> SaidMasks:
    """One structure on the cases of an evaluation."""
    rows = {row.case_id: row for row in list_measured(connection, evaluation.id) if row.structure == structure}
    view = list_view(connection, snapshot.id, evaluation.result.get("fold"))
    cases = [case for case in view if case.case_id in rows]
    new = unlearnt(connection, model, cases)
    looks = read_looks(files, model, new)
    return SaidMasks(
        structure, cases, rows, new, {case_id: look.contradicted[structure] for case_id, look in looks.items()}
    )


def suspect_painting(said: SaidMasks) -> list[Doubtful]:
    """Cases of whose mask an unusually large share is contradicted surely (`core.measures.mask_errors`)."""
    case_ids = list(said.looked_at)
    found = [said.looked_at[case_id] for case_id in case_ids]
    return [Doubtful(case_ids[k], _tell(found[k], said.measured[case_ids[k]])) for k in suspect_masks(found).tolist()]


def _tell(found: Contradicted, row: MeasuredMask) -> str:
    if not row.reference_pixels:
        return f"none read, model paints {row.predicted_pixels:,} px, {found.missing:,} surely ({found.sure:.2f})"
    if not row.predicted_pixels:
        return f"read, model paints none; {found.surplus:,} of {row.reference_pixels:,} px surely ({found.sure:.2f})"
    told = [f"{n:,} px {word}" for n, word in ((found.missing, "missing"), (found.surplus, "too many")) if n]
    return f"{100 * found.share:.0f} % contradicted at {found.sure:.2f}: {', '.join(told)}"


def against_readers(connection: sqlite3.Connection, project: Project, said: SaidMasks) -> list[Doubtful]:
    """Cases on which the model paints the structure and readers say that it is not there, or the other way round, most
    such readers first; then those on which readers disagree about that."""
    names = present_names(connection, project)
    present = names.get(said.structure, said.structure)
    read: dict[int, list[bool]] = defaultdict(list)
    for label in list_current_labels(connection, [case.case_id for case in said.new]):
        if label.value is not None:
            read[label.case_id].append(present in label.value["structures"])
    found = []
    for case in said.new:
        painted, answers = said.measured[case.case_id].predicted_pixels > 0, read[case.case_id]
        against, kinds = sum(one != painted for one in answers), len(set(answers))
        if against or kinds > 1:
            apart = ", who disagree" if kinds > 1 else ""
            does = "paints it" if painted else "paints none"
            why = f"{does} against {against} of {len(answers)} readers{apart}"
            found.append((-against, kinds < 2, Doubtful(case.case_id, why)))
    return [one for *_, one in sorted(found, key=lambda row: row[:2])]


def least_sure_painted(connection: sqlite3.Connection, model: Model, said: SaidMasks, at: int) -> list[Doubtful]:
    """The twentieth of the cases on which the model has painted the structure, at its place in the schema, and is least
    sure of it: by the mean probability of what it painted."""
    scores = {case_id: row[at] for case_id, row in find_predictions(connection, model.id, said.case_ids).items()}
    painted = sorted((score, case_id) for case_id, score in scores.items() if score > 0)
    return [Doubtful(case_id, f"sure at {score:.2f}") for score, case_id in painted[: round(LEAST_SURE * len(painted))]]


def apart_by_masks(connection: sqlite3.Connection, files: Files, said: SaidMasks) -> Apart:
    """What the Dice of two references lacks of one; of masks on other grids only whether both have the structure."""
    masks = {case.case_id: mask for case in said.cases for mask in case.masks if mask.structure == said.structure}

    def apart(one: int, other: int) -> tuple[float, str]:
        pair = [masks[one], masks[other]]
        if bool(pair[0].pixels) != bool(pair[1].pixels):
            return 1.0, "painted on one of them"
        if pair[0].mask_hash == pair[1].mask_hash or not pair[0].pixels:
            return 0.0, ""
        a, b = (
            read_kept_mask(files, mask.mask_hash, get_case(connection, case)) != 0
            for mask, case in zip(pair, (one, other), strict=True)
        )
        if a.shape != b.shape:
            return 0.0, ""
        lacking = 1 - 2 * int(np.count_nonzero(a & b)) / (pair[0].pixels + pair[1].pixels)
        return lacking, f"Dice of their masks {1 - lacking:.2f}"

    return apart
