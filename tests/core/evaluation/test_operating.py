"""An operating point is looked for on validation and frozen as a model of its own."""

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.evaluation.operating import freeze_point, read_scored
from core.evaluation.records import count_test_uses, find_decision, find_predictions, store_predictions
from core.evaluation.run import evaluate_model
from core.progress import Silent
from core.training.records import get_run, get_run_of_weights


@pytest.fixture
def with_validation(connection, files, project, snapshot, actor):
    return freeze_snapshot(
        connection, files, project, "thirds", ratios=(0.4, 0.3, 0.3), allow_leaks="squares look alike", actor=actor,
        progress=Silent(),
    )  # fmt: skip


def test_a_frozen_point_is_a_new_model_whose_decisions_are_its_own(
    connection, files, settings, project, with_validation, add_brightness_model, actor
):
    model = add_brightness_model(project, with_validation)
    with pytest.raises(InvalidInput, match="on validation first"):
        freeze_point(connection, model, "pneumonia", 0.9, actor=actor)
    evaluate_model(connection, files, settings, model.id, with_validation.id, "validation", actor, Silent())
    seen = read_scored(connection, model, with_validation, "validation")
    highest = float(seen.scores[:, 1].max())
    made = freeze_point(connection, model, "pneumonia", (highest + 1) / 2, name="careful", actor=actor)
    assert made.keras_hash == model.keras_hash
    assert made.calibration["thresholds"]["pneumonia"]["n"] == len(seen.case_ids)
    assert made.calibration["thresholds"]["pneumonia"]["sensitivity"] == 0
    brightest = seen.case_ids[int(seen.scores[:, 1].argmax())]
    assert find_decision(connection, model.id, brightest)[0] == {"classes": ["pneumonia"]}
    assert find_decision(connection, made.id, brightest)[0] == {"classes": ["normal"]}
    # Of the test split nothing was read or copied: the new model's first look is counted when it is evaluated.
    tested = [case_id for case_id in range(1, 41) if case_id not in seen.case_ids]
    assert find_predictions(connection, made.id, tested) == {}
    before = count_test_uses(connection, with_validation.id)
    result = evaluate_model(connection, files, settings, made.id, with_validation.id, "test", actor, Silent())
    assert result["per_class"]["pneumonia"]["recall"]["value"] == 0
    assert count_test_uses(connection, with_validation.id) == before + 1
    later = freeze_point(connection, made, "pneumonia", 0.5, actor=actor)
    assert "after the test split had been used once" in later.calibration["thresholds"]["pneumonia"]["rule"]
    assert get_run_of_weights(connection, get_run(connection, later.run)).id == model.run


def test_answers_to_some_of_a_split_are_not_the_split(connection, project, with_validation, add_brightness_model):
    model = add_brightness_model(project, with_validation)
    cases = list_snapshot_cases(connection, with_validation.id, split="validation")
    store_predictions(connection, model, with_validation.schema, {cases[0].case_id: [0.2, 0.8]})
    with pytest.raises(InvalidInput, match=f"on validation first. Received: 1 of {len(cases)} cases answered"):
        read_scored(connection, model, with_validation, "validation")


@pytest.mark.parametrize(
    ("of_class", "value", "said"), [("normal", 0.5, "one of pneumonia"), ("pneumonia", 1.0, "between 0 and 1")]
)
def test_a_point_that_means_nothing_is_refused(connection, model, actor, of_class, value, said):
    with pytest.raises(InvalidInput, match=said):
        freeze_point(connection, model, of_class, value, actor=actor)
