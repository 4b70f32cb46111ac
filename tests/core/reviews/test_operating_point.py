"""At which cut points the numbers of a review were measured: told from the document that its decision binds."""

import json

import pytest

from core.projects.schema import Regression, make_classification, make_segmentation
from core.reviews.decisions import bind
from core.reviews.meetings import add_review, get_evaluation_of, open_results
from core.reviews.operating_point import OF_RANKS, describe_operating_point
from core.reviews.report import write_report
from core.reviews.report_sections import describe_report

TWO, THREE = make_classification(["normal", "ill"]), make_classification(["a", "b", "c"])
SEVERAL = make_classification(["mass", "nodule"], multi_label=True)
POINT = {"value": 0.4123, "rule": "highest balanced accuracy", "n": 1200}


@pytest.mark.parametrize(
    ("schema", "chosen", "told"),
    [
        (
            TWO,
            {"ill": POINT},
            "Decided at this cut point: ill from a probability of 0.412 on (highest balanced accuracy, n = 1,200).",
        ),
        (TWO, {}, "No cut point decides: each case has the class of the highest probability."),
        (THREE, {}, "No cut point decides: each case has the class of the highest probability."),
        (
            SEVERAL,
            {"mass": POINT},
            "Decided at these cut points: mass from a probability of 0.412 on (highest balanced accuracy, n = 1,200), "
            "nodule from a probability of 0.500 on (none was chosen).",
        ),
    ],
)
def test_of_classes_the_cut_points_are_told_with_the_rule_that_chose_them(schema, chosen, told) -> None:
    assert describe_operating_point(schema, {"thresholds": chosen}) == f"{told} {OF_RANKS}"


def test_of_structures_the_cut_points_are_those_of_the_pixels() -> None:
    chosen = {"cell": {"value": 0.55, "dice": 0.8, "dice_at_half": 0.7},
              "spot": {"value": 0.5, "dice": None, "dice_at_half": None}}  # fmt: skip
    assert describe_operating_point(make_segmentation(["cell", "spot"]), {"thresholds": chosen}) == (
        "Painted at these cut points, chosen on validation by the mean Dice: cell from a probability of 0.550 on, "
        "spot from a probability of 0.500 on (validation had none to choose by)."
    )


def test_a_number_is_not_cut_and_an_old_document_says_that_it_kept_none() -> None:
    assert describe_operating_point(Regression("age", "years", 0, 120), {}) == ""
    assert "was not kept" in describe_operating_point(TWO, {})


def test_the_record_of_a_review_tells_its_cut_point_and_its_decision_binds_it(connection, room, actor) -> None:
    made = add_review(connection, room.project, room.model, criteria=[], actor=actor)
    review = open_results(connection, made, actor=actor)
    result = get_evaluation_of(connection, review).result | {"thresholds": {"pneumonia": POINT}}
    before = bind(connection, review)
    connection.execute("UPDATE evaluations SET result = ? WHERE id = ?", (json.dumps(result), review.evaluation))
    assert bind(connection, review).metrics_hash != before.metrics_hash
    told = "Decided at this cut point: pneumonia from a probability of 0.412 on"
    assert told in write_report(connection, room.project, review, "html", actor=actor).decode()
    sections, _ = describe_report(connection, room.project, review)  # the PDF draws the same
    (criteria,) = [one for one in sections if one.title == "Acceptance criteria"]
    assert any(str(block).startswith(told) for block in criteria.blocks)
