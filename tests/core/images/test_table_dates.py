"""Dates of a label table: moved as they are written, and never guessed."""

import pytest

from core.images.table_dates import DATED, moved, order_of


@pytest.mark.parametrize(
    ("value", "after"),
    [
        ("20200301", "20200229"), ("2020-03-01", "2020-02-29"), ("2020/3/1", "2020/02/29"),
        ("2020.03.01", "2020.02.29"),
        ("202031", None),
        ("2020-03-01T10:15:00+01:00", "2020-02-29T10:15:00+01:00"), ("20200301101500", None), ("2020", None),
        ("2020-13-01", None), ("0001-01-01", None), ("tomorrow", None), ("2020-03-01 Doe", None), ("01.03.2020", None),
    ],
)  # fmt: skip
def test_a_date_is_moved_as_it_is_written(value: str, after: str | None) -> None:
    assert moved(value, -1, None) == after


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (["1/2/2020", "13/2/2020"], "day"), (["1/2/2020", "2/13/2020"], "month"), (["1/2/2020"], None),
        (["13/2/2020", "2/13/2020"], None), (["1.2.2020"], "day"), (["2020-01-02"], None), ([], None),
    ],
)  # fmt: skip
def test_the_order_is_told_by_the_whole_column(values: list[str], order: str | None) -> None:
    assert order_of(values) == order


def test_years_that_come_last() -> None:
    assert moved("01.03.2020 08:00", -1, "day") == "29.02.2020 08:00"
    assert moved("3/1/2020", -1, "month") == "02/29/2020"


@pytest.mark.parametrize(
    ("name", "is_dated"),
    [("date", True), ("Study_Date", True), ("examdate", True), ("dates", True), ("visit_datetime", True),
     ("date_of_exam", True), ("timestamp", True), ("update", False), ("candidate", False), ("mandate", False),
     ("dated_by", False), ("age", False)],
)  # fmt: skip
def test_which_columns_hold_dates(name: str, is_dated: bool) -> None:
    assert bool(DATED.fullmatch(name)) == is_dated
