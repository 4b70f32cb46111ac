"""The report of an import as a table to take along."""

import csv
import io
import sqlite3

import pandas as pd

from core.jobs.records import add_job, claim_job, finish_job, get_job
from core.store.audit import Actor
from dashboard.import_report import csv_of, say_result


def test_a_file_named_like_a_formula_starts_none() -> None:
    table = pd.DataFrame({"file": ["=cmd|x.png", "a.png"], "case": ["/case?case=1", None], "reason": ["@sum", "-"]})
    rows = list(csv.reader(io.StringIO(csv_of(table))))
    assert rows == [["file", "case", "reason"], ["'=cmd|x.png", "/case?case=1", "'@sum"], ["a.png", "", "'-"]]


def test_files_of_masks_that_were_refused_are_counted_beside_the_masks(
    connection: sqlite3.Connection, actor: Actor
) -> None:
    job = add_job(connection, "import", {}, actor=actor)
    claimed = claim_job(connection, "work", "cpu")
    assert claimed
    result = {"imported": 0, "skipped": 0, "failed": 0, "masks": {"added": 6, "failed": 1}}
    finish_job(connection, claimed, "done", result=result)
    said = say_result(get_job(connection, job.id))
    assert said == "0 imported, 0 skipped, 0 refused, 6 masks, 1 file of masks refused"
