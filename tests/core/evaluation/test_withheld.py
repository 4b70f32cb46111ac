"""A rule of abstention is chosen on validation, and what it costs is told on test, within one look at that split."""

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.evaluation.abstention import freeze_rule, try_limit
from core.evaluation.records import count_test_uses, store_predictions
from core.evaluation.run import evaluate_model
from core.evaluation.withheld import find_measured_rule, measure_rule
from core.measures.segmentation import Compared
from core.progress import Silent
from tests.core.reviews.other_tasks import measured_bodies, measured_masks, measured_numbers


@pytest.fixture
def snapshot(connection, files, project, actor, add_square):
    """30 patients with two squares each: a third for validation, a third for test."""
    for k in range(60):
        bright = (k // 2) % 2 == 1
        add_square(project, f"{k}.png", f"p{k // 2}", 190 if bright else 60, ["pneumonia" if bright else "normal"])
    return freeze_snapshot(
        connection, files, project, "first", ratios=(0.2, 0.4, 0.4), allow_leaks="squares look alike", actor=actor,
        progress=Silent(),
    )  # fmt: skip


@pytest.fixture
def say(connection, snapshot, model, project):
    """Answers by hand on a split: sure at 0.9 and right, but for some that are unsure (0.55), or sure and wrong."""

    def store(split, *, unsure=(), wrong=()):
        cases = list_snapshot_cases(connection, snapshot.id, split=split)
        scores = {}
        for at, case in enumerate(cases):
            ill = case.value["classes"] == ["pneumonia"]
            p = 0.55 if at in unsure else 0.9
            p = p if ill != (at in wrong or at in unsure) else 1 - p
            scores[case.case_id] = [1 - p, p]
        store_predictions(connection, model, project.schema, scores)
        return cases

    return store


@pytest.fixture
def evaluate(connection, files, settings, actor, snapshot, model):
    return lambda split="test": evaluate_model(
        connection, files, settings, model.id, snapshot.id, split, actor, Silent()
    )


def test_a_frozen_rule_is_measured_on_test_with_the_evaluation_that_follows(
    connection, model, snapshot, actor, say, evaluate
):
    say("validation", unsure=(0, 1))
    tested = say("test", unsure=(0, 1, 2), wrong=(5,))
    rule = freeze_rule(connection, model, aim=0.95, unlike=False, actor=actor)
    assert find_measured_rule(connection, model) is None
    told = evaluate()["abstention"]
    n = len(tested)
    assert (told["split"], told["n"], told["n_answered"], told["limit"]) == ("test", n, n - 3, rule["limit"])
    assert told["coverage"]["value"] == pytest.approx((n - 3) / n)
    assert told["error"]["value"] == pytest.approx(1 / (n - 3))
    assert told["error_of_all"]["value"] == pytest.approx(4 / n)
    for name in ("coverage", "error", "error_of_all"):
        assert told[name]["low"] < told[name]["value"] < told[name]["high"]
    assert find_measured_rule(connection, model) == told
    assert count_test_uses(connection, snapshot.id) == 1


def test_the_limit_does_not_hang_on_the_test_cases(connection, model, say, actor):
    say("validation", unsure=(0, 1))
    before = try_limit(connection, model, 0.95)
    say("test", wrong=range(1000))
    assert try_limit(connection, model, 0.95) == before


def test_a_rule_frozen_after_a_look_at_test_says_so_and_is_measured_by_the_next_alone(
    connection, model, snapshot, actor, say, evaluate
):
    say("validation", unsure=(0, 1))
    say("test")
    assert "abstention" not in evaluate()
    rule = freeze_rule(connection, model, aim=0.95, actor=actor)
    assert rule["test_uses"] == 1
    assert find_measured_rule(connection, model) is None
    assert "abstention" not in evaluate("validation")
    assert evaluate()["abstention"]["coverage"]["value"] == 1
    assert count_test_uses(connection, snapshot.id) == 2


def test_where_nothing_is_answered_the_error_is_undefined_and_says_why(connection, model, actor, say, evaluate):
    tested = say("test", unsure=range(1000))
    say("validation")
    freeze_rule(connection, model, aim=0.95, unlike=False, actor=actor)
    told = evaluate()["abstention"]
    assert (told["n"], told["n_answered"]) == (len(tested), 0)
    assert (told["error"]["value"], told["error"]["reason"]) == (None, "Nothing is answered.")


def put_elsewhere(connection, found, number):
    """The first of the test cases come from a site that no training case is from, so that a rule keeps them back."""
    cases = list_snapshot_cases(connection, found.snapshot.id, split="test")
    ids = [case.case_id for case in cases[:number]]
    with connection:
        for case_id in ids:
            connection.execute("UPDATE cases SET attributes = ? WHERE id = ?", ('{"site": "C"}', case_id))
    return ids


def test_of_numbers_the_mean_errors_of_answered_and_withheld_are_told_apart(connection, files, settings, actor):
    found = measured_bodies(connection, files, actor)
    put_elsewhere(connection, found, 3)
    freeze_rule(connection, found.model, unlike=True, actor=actor)
    told = evaluate_model(connection, files, settings, found.model.id, found.snapshot.id, "test", actor, Silent())
    rule = told["abstention"]
    assert (rule["n"], rule["n_answered"]) == (8, 5)
    age = rule["parts"]["MAE of age, years"]
    errors = [8, 2] * 4  # of even and odd places
    assert age["withheld"]["value"] == pytest.approx(np.mean(errors[:3]))
    assert age["answered"]["value"] == pytest.approx(np.mean(errors[3:]))
    assert [(age[group]["n"], age[group]["n_patients"]) for group in ("answered", "withheld")] == [(5, 5), (3, 3)]
    assert age["answered"]["low"] < age["answered"]["value"] < age["answered"]["high"]
    assert rule["parts"]["MAE of body weight, kg"]["withheld"]["value"] == pytest.approx(4)


def test_of_structures_the_dice_of_answered_and_withheld_are_told_apart(connection, files, actor):
    found = measured_masks(connection, files, actor)
    put_elsewhere(connection, found, 2)
    freeze_rule(connection, found.model, unlike=True, actor=actor)
    cases = list_snapshot_cases(connection, found.snapshot.id, split="test")
    dice = [0.1, float("nan"), 0.8, 0.9, 0.7, 0.8, 0.9, 0.7]
    rows = [
        [Compared(dice=one, iou=0.5, hd95=1.0, surface_dice=0.9, reference_pixels=8, predicted_pixels=8)]
        for one in dice
    ]
    told = measure_rule(connection, found.model, found.snapshot.schema, cases, "px", rows)["abstention"]
    part = told["parts"]["Dice of liver"]
    assert (part["withheld"]["value"], part["withheld"]["n"]) == (0.1, 1), "an empty reference has no Dice"
    assert part["withheld"]["low"] is None, "one patient has no interval"
    assert (part["answered"]["value"], part["answered"]["n"]) == (pytest.approx(0.8), 6)


def test_where_everything_is_answered_nothing_is_said_of_the_withheld(connection, files, settings, actor):
    found = measured_numbers(connection, files, actor)
    freeze_rule(connection, found.model, unlike=True, actor=actor)
    told = evaluate_model(connection, files, settings, found.model.id, found.snapshot.id, "test", actor, Silent())
    withheld = told["abstention"]["parts"]["MAE, years"]["withheld"]
    assert (withheld["value"], withheld["n"], withheld["reason"]) == (None, 0, "There is no such case.")
