"""Which references have changed since a snapshot was frozen: what a training with corrected labels learns anew."""

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.datasets.conditions import with_conditions
from core.datasets.records import Candidate, Snapshot, SnapshotCase, list_candidates, list_snapshot_cases
from core.images.records import set_of_synthetic
from core.labels.answers import label_text
from core.projects.schema import Generation, LabelSchema, Segmentation


@dataclass(frozen=True)
class Corrections:
    """Cases of a snapshot whose reference is another one today, and those that have none any more."""

    changed: tuple[int, ...]
    gone: tuple[int, ...]
    told: tuple[str, ...]  # each change in words with how often it was made, the commonest first

    @property
    def sentence(self) -> str:
        """What changed, for people; "" where nothing did."""
        gone = f"{len(self.gone):,} without a reference now" if self.gone else ""
        return "; ".join(filter(None, (*self.told, gone)))


def find_corrections(connection: sqlite3.Connection, snapshot: Snapshot) -> Corrections:
    """Today's references against those of a snapshot. Painted masks count as changed where another label stands."""
    candidates = list_candidates(connection, snapshot.project)
    if isinstance(snapshot.schema, Generation):  # its answers are frozen with sex and age
        candidates = with_conditions(connection, candidates)
    cases = list_snapshot_cases(connection, snapshot.id)
    return compare_references(connection, snapshot.schema, cases, candidates)


def compare_references(
    connection: sqlite3.Connection,
    schema: LabelSchema,
    cases: Sequence[SnapshotCase],
    later: Sequence[Candidate] | Sequence[SnapshotCase],
) -> Corrections:
    """The cases of a snapshot of this schema against what they, or those that are left of them, are later."""
    now: Mapping[int, Candidate | SnapshotCase] = {some.case_id: some for some in later}
    painted = isinstance(schema, Segmentation)
    changed, gone, told = [], [], Counter[str]()
    drawn = set_of_synthetic(connection, [case.case_id for case in cases])  # nobody reads these
    for case in cases:
        if case.case_id in drawn:
            continue
        some = now.get(case.case_id)
        if some is None:
            gone.append(case.case_id)
        elif some.value != case.value or (painted and some.label_ids != case.label_ids):
            changed.append(case.case_id)
            said = label_text(case.value), label_text(some.value)
            again = "painted anew" if painted else "of another sex or age"
            told[again if said[0] == said[1] else f"{said[0]} to {said[1]}"] += 1
    return Corrections(tuple(changed), tuple(gone), tuple(f"{n:,} {what}" for what, n in told.most_common()))
