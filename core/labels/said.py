"""What rows of the audit said, which name labels by number only: the answers themselves, while they are there.

The audit stays when a case is erased, so no answer is written into it; who looks before that reads the answer.
"""

import json
import sqlite3
from collections.abc import Sequence

from core.labels.answers import label_text
from core.store.audit import AuditRow, Said

ADDED = "add label"


def answers_of(connection: sqlite3.Connection, label_ids: Sequence[int]) -> dict[tuple[str, int], str]:
    """The answers of these labels in words, by the subject they are told of and by number; those that were erased are
    left out."""
    rows = connection.execute(
        "SELECT id, case_id, value, unsure, unusable FROM labels WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(label_ids)),),
    )
    return {(f"case {row['case_id']}", row["id"]): _in_words(row) for row in rows}


def say_answers(connection: sqlite3.Connection, rows: Sequence[AuditRow]) -> dict[int, Said]:
    """Of each row that added a label, by the row's number: the answer before and the answer after.

    The number of an erased label may be that of a new one on another case by now; the number of a case is never given
    again.
    """
    added = [(row, _number(row, "before"), _number(row, "after")) for row in rows if row.what == ADDED]
    known = answers_of(connection, [label for _, *both in added for label in both])
    return {
        row.id: Said(known.get((row.subject, before), ""), known.get((row.subject, after), ""))
        for row, before, after in added
    }


def _number(row: AuditRow, key: str) -> int:
    number = row.detail.get(key)
    return number if isinstance(number, int) else 0


def _in_words(row: sqlite3.Row) -> str:
    value = json.loads(row["value"]) if row["value"] else None
    said = "unusable" if row["unusable"] else label_text(value) or "withdrawn"
    return f"{said} (unsure)" if row["unsure"] else said
