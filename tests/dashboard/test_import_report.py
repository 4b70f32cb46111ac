"""The report of an import as a table to take along."""

import csv
import io

import pandas as pd

from dashboard.import_report import csv_of


def test_a_file_named_like_a_formula_starts_none() -> None:
    table = pd.DataFrame({"file": ["=cmd|x.png", "a.png"], "case": ["/case?case=1", None], "reason": ["@sum", "-"]})
    rows = list(csv.reader(io.StringIO(csv_of(table))))
    assert rows == [["file", "case", "reason"], ["'=cmd|x.png", "/case?case=1", "'@sum"], ["a.png", "", "'-"]]
