"""A rule of abstention is chosen on validation, and what it costs is told on test, within one look at that split."""

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.evaluation.abstention import freeze_rule, try_limit
from core.evaluation.records import count_test_uses, store_predictions
from core.evaluation.run import evaluate_model
from core.evaluation.withheld import find_measured_rule
from core.progress import Silent


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
