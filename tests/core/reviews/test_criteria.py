"""Criteria as sentences and as data, and the verdicts on them."""

import pytest

from core.errors import InvalidInput
from core.measures.paired import OF_ONE_PATIENT
from core.projects.schema import Regression, make_classification, make_segmentation
from core.reviews.criteria import Criterion, check_criteria, judge, measured, parse_criteria, parse_criterion

CHEST = make_classification(["normal", "pneumonia"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "sensitivity of pneumonia at least 0.90, lower bound at least 0.85",
            Criterion("recall", "at least", 0.9, of="pneumonia", bound=0.85),
        ),
        ("recall for pneumonia >= 0.9", Criterion("recall", "at least", 0.9, of="pneumonia")),
        ("accuracy by sex at least 0.80", Criterion("accuracy", "at least", 0.8, by="sex")),
        (
            "dice of left lung in every subgroup of site at least 0.9",
            Criterion("dice", "at least", 0.9, "left lung", "site"),
        ),
        ("mae at most 5, upper bound at most 7", Criterion("mae", "at most", 5, bound=7)),
        ("mae at most 1000000, upper bound at most 1234567.5", Criterion("mae", "at most", 1e6, bound=1234567.5)),
        ("memorised at most 0.00001", Criterion("memorised", "at most", 1e-5)),
    ],
)
def test_a_sentence_is_a_criterion_and_back(text: str, expected: Criterion) -> None:
    assert parse_criterion(text) == expected
    assert parse_criterion(expected.sentence) == expected


def test_no_subgroup_below_is_a_criterion_of_its_own_for_each_attribute() -> None:
    whole, sex, site = parse_criteria(
        ["sensitivity for pneumonia at least 0.90, lower bound at least 0.85, no subgroup below 0.80"], ["sex", "site"]
    )
    assert whole == Criterion("recall", "at least", 0.9, of="pneumonia", bound=0.85)
    assert sex == Criterion("recall", "at least", 0.8, of="pneumonia", by="sex")
    assert site == Criterion("recall", "at least", 0.8, of="pneumonia", by="site")
    assert parse_criteria(["mae at most 5 and no subgroup by site above 7"], []) == [
        Criterion("mae", "at most", 5),
        Criterion("mae", "at most", 7, by="site"),
    ]


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("accuracy at least 0.9, no subgroup above 0.8", ["sex"]),
        ("accuracy by sex at least 0.9, no subgroup below 0.8", ["sex"]),
        ("accuracy at least 0.9, no subgroup below 0.8", []),
    ],
)
def test_subgroups_that_cannot_be_asked_for_are_refused(text: str, attributes: list[str]) -> None:
    with pytest.raises(InvalidInput, match=f"no subgroup by sex below 0.9.*Received: {text}"):
        parse_criteria([text], attributes)


@pytest.mark.parametrize(
    "text", ["good", "accuracy is 0.9", "accuracy at least", "mae at most 5, lower bound at most 7"]
)
def test_what_is_no_criterion_is_refused_with_what_was_received(text: str) -> None:
    with pytest.raises(InvalidInput, match=f"Received: {text}"):
        parse_criterion(text)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("sensitivity of tuberculosis at least 0.9", "This project knows normal, pneumonia"),
        ("recall at least 0.9", "Name its class"),
        ("beauty at least 0.9", "A criterion here is about accuracy"),
        ("accuracy at most 0.9", "is asked to be at least"),
        ("accuracy at least 90", "between 0 and 1"),
        ("accuracy by ward at least 0.9", "here sex"),
        ("accuracy at least 0.8, lower bound at least 0.9", "ask less of it"),
    ],
)
def test_what_could_never_be_looked_up_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_criteria([parse_criterion(text)], CHEST, "classification", {"sex"})


def test_each_task_has_criteria_of_its_own() -> None:
    check_criteria([parse_criterion("dice of liver at least 0.9")], make_segmentation(["liver"]), "segmentation", ())
    age = Regression("age", "years", 0, 120)
    check_criteria([parse_criterion("mae at most 5")], age, "regression", ())
    with pytest.raises(InvalidInput, match="it says one number"):
        check_criteria([parse_criterion("mae of liver at most 5")], age, "regression", ())
    twice = [parse_criterion("mae at most 5")] * 2
    with pytest.raises(InvalidInput, match="once"):
        check_criteria(twice, age, "regression", ())


def test_a_small_subgroup_does_not_pass_whatever_its_number_is() -> None:
    one = parse_criterion("accuracy by sex at least 0.9")
    few = measured(one, result_of(1.0) | {"n_patients": 29}, "F")
    assert (few.state, few.reason) == ("not met (undefined)", "too few to tell, 29 of at least 30 patients")
    assert measured(one, result_of(1.0) | {"n_patients": 30}, "F").state == "met"
    assert measured(one, result_of(0.5) | {"n_patients": 29}, "F").state == "not met"
    assert measured(one, result_of(1.0) | {"n_patients": 29}).state == "met"  # the whole is no subgroup


def test_cases_in_no_subgroup_are_told() -> None:
    one = parse_criterion("accuracy by sex at least 0.9")
    outcome = judge(one, [measured(one, result_of(0.95), "F")], n_cases=43)
    assert (outcome.state, outcome.reason) == ("met", "3 of 43 cases do not say their sex and are in no group")
    assert judge(one, [measured(one, result_of(0.95), "F")], n_cases=40).reason == ""


def test_a_bound_that_hangs_on_one_patient_is_not_met_and_a_number_alone_is() -> None:
    """The class is of one patient, so drawing patients makes an interval that promises too much."""
    result = result_of(0.95, 0.9, 1.0)
    result["metrics"]["accuracy"]["note"] = f"{OF_ONE_PATIENT}: the interval is too narrow."  # type: ignore[index]
    bounded = measured(parse_criterion("accuracy at least 0.9, lower bound at least 0.8"), result)
    assert (bounded.state, bounded.reason[:32]) == ("not met (undefined)", OF_ONE_PATIENT[:32])
    assert measured(parse_criterion("accuracy at least 0.9"), result).state == "met"
    short = measured(parse_criterion("accuracy at least 0.9, lower bound at least 0.93"), result)
    assert short.state == "not met"


def result_of(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, object]:
    found = {"value": value, "low": low, "high": high, "reason": "There are no cases."}
    return {"n_cases": 40, "n_patients": 40, "metrics": {"accuracy": found, "mae": found}}


@pytest.mark.parametrize(
    ("text", "found", "state", "reason"),
    [
        ("accuracy at least 0.9", (0.9, 0.8, 1.0), "met", ""),
        ("accuracy at least 0.9", (0.899, 0.8, 1.0), "not met", "it is 0.899"),
        ("accuracy at least 0.9", (0.89996, 0.8, 1.0), "not met", "it is 0.89996"),
        ("accuracy at least 0.7", ((0.7 + 0.7 + 0.7) / 3, 0.6, 0.8), "met", ""),
        ("mae at most 1230", (1234.0, 1200.0, 1250.0), "not met", "it is 1234"),
        ("accuracy at least 0.9, lower bound at least 0.85", (0.95, 0.8, 1.0), "not met", "the lower bound is 0.8"),
        ("accuracy at least 0.9, lower bound at least 0.8", (0.95, 0.8, 1.0), "met", ""),
        ("mae at most 5, upper bound at most 6", (4.0, 3.0, 6.5), "not met", "the upper bound is 6.5"),
        ("accuracy at least 0.9", (None,), "not met (undefined)", "There are no cases."),
        ("accuracy at least 0.9, lower bound at least 0.8", (0.95,), "not met (undefined)", "There is no interval."),
    ],
)
def test_a_number_meets_its_criterion_or_says_why_not(
    text: str, found: tuple[float | None, ...], state: str, reason: str
) -> None:
    one = parse_criterion(text)
    outcome = judge(one, [measured(one, result_of(*found))])
    assert (outcome.state, outcome.reason) == (state, reason)


def test_every_subgroup_must_reach_it_and_one_without_a_number_does_not() -> None:
    one = parse_criterion("accuracy by sex at least 0.9")
    good, bad, none = (measured(one, result_of(value), sex) for sex, value in (("F", 0.95), ("M", 0.5), ("X", None)))
    assert judge(one, [good]).state == "met"
    assert judge(one, [good, none]).state == "not met (undefined)"
    both = judge(one, [good, bad, none])
    assert (both.state, both.reason) == ("not met", "M: it is 0.5")
    assert judge(one, []).state == "not met (undefined)"
