"""What one user may see of what others, and models, say about the cases of a project."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from core.images.pixel_checks import may_see_held
from core.images.records import PatientFrom
from core.people.accounts import User
from core.people.roles import actions_in
from core.projects.records import Project


@dataclass(frozen=True)
class Sight:
    """How much of a project is open to one reader.

    `blind_to_others`: of a case that the reader has not answered, nothing that another reader said is told, nor
    what came with it and may say the answer: where its file lay, the attributes and the split of its table, a
    patient's name that a table or a file name gave. A flag is shown, whoever set it: it asks for a second look, says
    neither what was seen nor by whom, and is how cases are handed on.
    `models`: what models say may be told at all. `held`: cases are shown whose pixels somebody has to look at
    first. `NOBODY_BLIND` is for whoever sees everything.
    """

    reader: int = 0
    blind_to_others: bool = False
    models: bool = True
    held: bool = True


NOBODY_BLIND = Sight()


def sight_of(connection: sqlite3.Connection, user: User, project: Project) -> Sight:
    """Who may not open test results hears of no model, and, where the project says so, answers blind first."""
    models = "open test results" in actions_in(connection, user, project.id)
    held = may_see_held(connection, user, project.id)
    return Sight(user.id, project.blind_first and not models, models, held)


def may_see_others(connection: sqlite3.Connection, sight: Sight, case_id: int) -> bool:
    """Whether what others said of this case may be told: always, or once the reader's own answer stands."""
    return not sight.blind_to_others or case_id in answered_cases(connection, sight, [case_id])


def covered_source(case_id: int) -> str:
    """What stands in place of a file's path where that may not be told."""
    return f"case {case_id}"


def covered_patient(case_id: int, patient: str, patient_from: PatientFrom) -> str:
    """What stands in place of a patient's name where that may not be told; a pseudonym of ours, from DICOM, may be."""
    return patient if patient_from == "dicom" else covered_source(case_id)


def answered_cases(connection: sqlite3.Connection, sight: Sight, case_ids: Sequence[int]) -> set[int]:
    """Those of the cases on which the reader has an answer that counts. One that was taken back opens nothing."""
    rows = connection.execute(
        """SELECT case_id FROM current_labels
           WHERE reader = ? AND case_id IN (SELECT value FROM json_each(?))""",
        (sight.reader, json.dumps(list(case_ids))),
    )
    return {row["case_id"] for row in rows}
