"""A rule of abstention in lines for people."""

import pytest

from core.cli.modelling import _called
from core.cli.predicting import _widths, rule_lines
from core.errors import InvalidInput
from tests.core.cli.conftest import Run


def test_a_table_that_would_not_be_written_is_refused(run: Run) -> None:
    assert "--csv belongs to --cases" in run("predict", "Chest", "best", "a.png", "--csv", "answers.csv", code=2).output


@pytest.mark.parametrize("named", [",", " , ,"])
@pytest.mark.parametrize("remove", [[], ["--remove"]])
def test_a_list_that_names_no_case_is_refused_as_such(run: Run, named: str, remove: list[str]) -> None:
    run("project", "create", "Chest", "--classes", "normal,pneumonia")
    told = run("assign", "Chest", "anna", "--cases", named, *remove, code=1)
    assert str(told.exception) == f"Name cases by number or file name, as 1,5,10-20. Received: {named!r}"


def test_a_rule_is_told_with_its_n_and_intervals() -> None:
    rule = {
        "limit": 0.8312, "aim": 0.95, "n": 40, "n_patients": 20, "n_answered": 30, "unlike": True,
        "coverage": {"value": 0.75, "low": 0.6, "high": 0.86}, "accuracy": {"value": 0.967, "low": 0.83, "high": 0.99},
    }  # fmt: skip
    assert rule_lines(rule) == [
        "answers where it is sure at 0.831 or more (aim: 95% right)",
        "answered 0.750 (0.600 to 0.860), n = 40 cases of 20 patients, validation",
        "right among the answered 0.967 (0.830 to 0.990), n = 30, validation: the limit was chosen there, so this "
        "flatters; evaluate on test once it is frozen",
        "says nothing about cases unlike all that it was trained on",
    ]
    assert rule_lines({"most_half_width": 5.0, "unlike": False}) == ["answers while half its interval is at most 5"]


def test_of_several_quantities_each_width_is_read_and_told_with_its_unit() -> None:
    assert _widths(["age=5", "body weight = 2.5"]) == {"age": 5.0, "body weight": 2.5}
    with pytest.raises(InvalidInput, match="NAME=NUMBER"):
        _widths(["age"])
    rule = {"most_half_widths": {"body weight": {"value": 2.5, "unit": "kg"}}, "unlike": False}
    assert rule_lines(rule) == ["answers while half the interval of body weight is at most 2.5 kg"]


def test_a_series_is_told_by_its_first_slice_and_how_many_they_are() -> None:
    assert _called({"path": "in/1.dcm"}) == "in/1.dcm"
    row = {"path": "in/1.dcm", "slices": 5, "left_out": "1 of its files could not be read. It is empty."}
    assert _called(row) == "in/1.dcm and its series, 5 slices (1 of its files could not be read. It is empty.)"
