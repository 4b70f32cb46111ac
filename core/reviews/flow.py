"""How cases came from files into a snapshot and its splits: the flow of participants that STARD 2015
(doi:10.1136/bmj.h5527, item 19) and CLAIM 2024 (doi:10.1148/ryai.240300) ask for.

Every number is counted from what is stored. What was not kept is told as not recorded (None here): files of imports on
another machine, patients of cases that are gone.
"""

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from core.datasets.records import Snapshot, SnapshotCase
from core.datasets.splits import SPLITS, list_view
from core.evaluation.records import find_predictions
from core.images.records import set_of_synthetic
from core.labels import box_import, mask_import
from core.training.records import Model

NOT_RECORDED = "not recorded"
FLOW_NOTE = (
    "As STARD 2015 asks for it, counted from what is stored; what was erased is gone from the count of files, and what "
    "was never stored is told as not recorded."
)
BRINGING_FILES = ("import", "pull")  # kinds of jobs
# masks and boxes come in beside images, in the same reports
_OF_IMAGES = f"path NOT LIKE '{mask_import.PREFIX}%' AND path NOT LIKE '{box_import.PREFIX}%'"
STATUSES = {"imported": "became a case", "joined": "joined into a volume", "held": "held for a pixel check"}
NOT_TAKEN = {
    "failed": "refused",
    "skipped": "passed over: known already, or no image",
    "waiting": "waiting for the rest of their series",
}
REASONS = {"unlabelled": "without an answer", "tied": "readers tied"}  # else a reason is told in its own words


@dataclass(frozen=True)
class Box:
    """`n` cases, or files, of so many patients; `parts` are what `n` is made of and add up to it."""

    title: str
    n: int | None
    unit: str = "case"
    patients: int | None = None
    parts: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    tells_patients: bool = False  # else patients are not what the box is about, and None means nothing


@dataclass(frozen=True)
class Flow:
    """The boxes from above to below, and those beside them.

    `files` less `not_taken` came in; `cases` less `left_out` are in the `snapshot`; `snapshot` less `erased` and with
    `drawn` are the `splits`; of the last of these, test, `answered` less `unanswered` have an answer of the model.
    """

    files: Box
    not_taken: Box
    cases: Box
    left_out: Box
    snapshot: Box
    erased: Box
    drawn: Box
    splits: tuple[Box, Box, Box]
    answered: Box
    unanswered: Box

    @property
    def boxes(self) -> tuple[Box, ...]:
        """All that say something, in the order of reading."""
        beside = (self.erased, self.drawn)
        return (
            self.files, self.not_taken, self.cases, self.left_out, self.snapshot, *(one for one in beside if one.n),
            *self.splits, self.answered, *((self.unanswered,) if self.unanswered.n else ()),
        )  # fmt: skip


def describe_flow(connection: sqlite3.Connection, snapshot: Snapshot, model: Model, fold: int | None) -> Flow:
    """The flow into a snapshot, in its round `fold` of cross-validation, up to the answers of a model."""
    seen = list_view(connection, snapshot.id, fold)
    synthetic = set_of_synthetic(connection, [case.case_id for case in seen])
    real = [case for case in seen if case.case_id not in synthetic]
    test = [case for case in seen if case.split == "test"]
    known = find_predictions(connection, model.id, [case.case_id for case in test])
    answered = [case for case in test if case.case_id in known]
    files, not_taken = _files(connection, snapshot)
    left_out = _left_out(snapshot)
    at_freeze = len(real) + snapshot.erased_cases
    lacks = len(test) - len(answered)
    return Flow(
        files=files,
        not_taken=not_taken,
        cases=_cases(connection, snapshot, None if left_out.n is None else at_freeze + left_out.n),
        left_out=left_out,
        snapshot=_frozen(connection, snapshot, real, at_freeze),
        erased=Box("Erased since", snapshot.erased_cases),
        drawn=Box("Drawn images added", len(synthetic), notes=("of no patient, in train only",)),
        splits=tuple(_split(split, seen, synthetic) for split in SPLITS),  # type: ignore[arg-type]
        answered=_of_patients(f"Test with an answer of {model.name}", answered),
        unanswered=Box("Test without an answer", lacks),
    )


def describe_box(box: Box) -> list[str]:
    """What a box says: its title, then its number, then what that is made of; a line each."""
    lines = [box.title, _counted(box.n, box.unit)]
    if box.tells_patients:
        lines[1] += f", {_counted(box.patients, 'patient')}"
    return [*lines, *(f"{n:,} {words}" for words, n in box.parts), *box.notes]


def _counted(n: int | None, unit: str) -> str:
    if n is None:
        return f"{unit}s {NOT_RECORDED}"
    return f"{n:,} {unit if n == 1 else f'{unit}s'}"


def _is_from_elsewhere(snapshot: Snapshot) -> bool:
    return "exported_from" in snapshot.split_rule


def _files(connection: sqlite3.Connection, snapshot: Snapshot) -> tuple[Box, Box]:
    """The files that imports met before the snapshot was frozen, and those of them of which nothing came in."""
    titles = ("Files that imports met", "Files not taken")
    if _is_from_elsewhere(snapshot):
        told = ("the snapshot was frozen in another home",)
        return Box(titles[0], None, "file", notes=told), Box(titles[1], None, "file")
    rows = connection.execute(
        f"""SELECT status, count(*) AS n FROM import_files JOIN jobs ON jobs.id = import_files.job
            WHERE jobs.project = ? AND jobs.kind IN {BRINGING_FILES} AND jobs.created_at <= ?
                  AND {_OF_IMAGES} GROUP BY status""",
        (snapshot.project, snapshot.created_at),
    )
    met = {row["status"]: int(row["n"]) for row in rows}
    if not met:
        return Box(titles[0], None, "file"), Box(titles[1], None, "file")
    came, refused = (tuple((words, met[key]) for key, words in kinds.items() if key in met)
                     for kinds in (STATUSES, NOT_TAKEN))  # fmt: skip
    note = ("a file that several imports met counts in each",) if "skipped" in met else ()
    return (
        Box(titles[0], sum(met.values()), "file", parts=came, notes=note),
        Box(titles[1], sum(n for _, n in refused), "file", parts=refused),
    )


def _cases(connection: sqlite3.Connection, snapshot: Snapshot, n: int | None) -> Box:
    """The cases that there were; their patients are known where all of them are there still."""
    row = connection.execute(
        f"""SELECT count(*) AS n, count(DISTINCT patient) AS patients,
                  sum(id NOT IN (SELECT case_id FROM import_files WHERE case_id IS NOT NULL AND {_OF_IMAGES}))
                  AS unrecorded
           FROM cases WHERE project = ? AND synthetic IS NULL AND imported_at <= ?""",
        (snapshot.project, snapshot.created_at),
    ).fetchone()
    whole = not _is_from_elsewhere(snapshot) and row["n"] == n
    unrecorded = row["unrecorded"] if whole else 0
    notes = (f"{unrecorded:,} came without a recorded import",) if unrecorded else ()
    return Box(
        "Cases of the project then", n, patients=row["patients"] if whole else None, notes=notes, tells_patients=True
    )


def _left_out(snapshot: Snapshot) -> Box:
    counted = snapshot.split_rule.get("left_out")
    if counted is None:
        return Box("Left out", None)
    parts = tuple((REASONS.get(reason, reason), int(n)) for reason, n in counted.items() if n)
    return Box("Left out", sum(n for _, n in parts), parts=parts)


def _frozen(connection: sqlite3.Connection, snapshot: Snapshot, real: Sequence[SnapshotCase], n: int) -> Box:
    patients = None if snapshot.erased_cases else len({case.patient for case in real})
    unknown = connection.execute(
        """SELECT count(*) FROM snapshot_cases JOIN cases ON cases.id = case_id
           WHERE snapshot = ? AND patient_from = 'none' AND synthetic IS NULL""",
        (snapshot.id,),
    ).fetchone()[0]
    notes = (f"{unknown:,} of no known patient count as one each",) if unknown else ()
    title = f"Snapshot {snapshot.name}, with a reference"
    return Box(title, n, patients=patients, notes=notes, tells_patients=True)


def _split(split: str, seen: Sequence[SnapshotCase], synthetic: Collection[int]) -> Box:
    own = [case for case in seen if case.split == split]
    drawn = sum(case.case_id in synthetic for case in own)
    parts = (("real", len(own) - drawn), ("drawn", drawn)) if drawn else ()
    patients = len({case.patient for case in own if case.case_id not in synthetic})
    return Box(split.capitalize(), len(own), patients=patients, parts=parts, tells_patients=True)


def _of_patients(title: str, cases: Sequence[SnapshotCase]) -> Box:
    return Box(title, len(cases), patients=len({case.patient for case in cases}), tells_patients=True)
