import json

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.datasets.splits import fold_view
from core.errors import InvalidInput, Stopped
from core.evaluation.comparison import compare_models
from core.evaluation.records import find_predictions, list_evaluations
from core.evaluation.run import evaluate_model
from core.evaluation.subgroups import measure_by_value
from core.images.records import get_case
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import make_classification
from core.training.recipe import change_recipe, named_recipe
from core.training.records import set_model_fact
from core.training.request import request_training

SIZE = 32


@pytest.fixture
def evaluate(connection, files, settings, actor):
    def run(model, snapshot, split="test", progress=None):
        return evaluate_model(connection, files, settings, model.id, snapshot.id, split, actor, progress or Silent())

    return run


def test_a_known_model_gets_the_numbers_that_can_be_counted_by_hand(connection, files, evaluate, model, snapshot):
    result = evaluate(model, snapshot)
    cases = list_snapshot_cases(connection, snapshot.id, split="test")
    matrix = np.zeros((2, 2), int)
    for case in cases:
        pixels = files.read_array("pixels", get_case(connection, case.case_id).pixel_hash)
        matrix[int(case.value["classes"] == ["pneumonia"]), int(pixels.mean() > 127)] += 1
    assert result["confusion_matrix"] == matrix.tolist()
    assert result["metrics"]["accuracy"]["value"] == pytest.approx(np.trace(matrix) / len(cases))
    assert (result["n_cases"], result["n_patients"]) == (len(cases), len({case.patient for case in cases}))
    assert (result["task"], result["split"], result["classes"]) == ("classification", "test", ["normal", "pneumonia"])


def test_the_document_is_json_and_is_stored_as_returned(connection, evaluate, model, snapshot):
    result = evaluate(model, snapshot)
    assert json.loads(json.dumps(result, allow_nan=False)) == list_evaluations(connection, model_id=model.id)[0].result


def test_the_whole_has_bands_around_its_curves_and_groups_of_it_that_nobody_draws_have_none(
    connection, evaluate, model, snapshot
):
    result = evaluate(model, snapshot)
    assert set(result["bands"]["roc"]) == set(result["curves"]["roc"]) == {"normal", "pneumonia"}
    assert len(result["bands"]["roc"]["pneumonia"]["low"]) == len(result["bands"]["at"])
    assert (result["bands"]["resamples"], result["bands"]["level"]) == (1000, 0.95)
    connection.execute('UPDATE cases SET attributes = iif(id % 2, \'{"sex": "F"}\', \'{"sex": "M"}\')')
    evaluation = list_evaluations(connection, model_id=model.id)[0]
    groups = measure_by_value(connection, model, snapshot, evaluation, "sex")
    assert [set(result) - set(group) for group in groups.values()] == [
        {"split", "fold", "model", "snapshot", "job", "bands", "seen_in_training", "warnings", "test_uses", "task"}
    ] * 2


def test_each_case_of_the_split_keeps_its_prediction(connection, evaluate, model, snapshot):
    evaluate(model, snapshot, "validation")
    cases = [case.case_id for case in list_snapshot_cases(connection, snapshot.id)]
    wanted = [case.case_id for case in list_snapshot_cases(connection, snapshot.id, split="validation")]
    stored = find_predictions(connection, model.id, cases)
    assert sorted(stored) == sorted(wanted)
    assert all(sum(scores) == pytest.approx(1, abs=1e-6) for scores in stored.values())


def test_a_second_evaluation_asks_the_model_nothing_and_is_counted(
    connection, files, evaluate, model, snapshot, monkeypatch
):
    first = evaluate(model, snapshot)

    def refuse(*_):
        raise AssertionError("the model was asked again")

    monkeypatch.setattr("core.evaluation.run.predict_cases", refuse)
    second = evaluate(model, snapshot)
    assert (first["test_uses"], second["test_uses"]) == (1, 2)
    assert first["metrics"] == second["metrics"]


def test_a_model_of_a_fold_is_tested_on_that_fold(connection, evaluate, project, snapshot, add_brightness_model):
    of_fold = add_brightness_model(project, snapshot, fold=2)
    result = evaluate(of_fold, snapshot)
    cases = [case for case in list_snapshot_cases(connection, snapshot.id) if case.fold == 2]
    assert (result["fold"], result["n_cases"], result["seen_in_training"]) == (2, len(cases), 0)
    validation = evaluate(of_fold, snapshot, "validation")
    view = fold_view(list_snapshot_cases(connection, snapshot.id), 2)
    assert validation["n_cases"] == sum(case.split == "validation" for case in view)


def test_cases_that_the_model_has_seen_are_counted_and_said(
    connection, evaluate, model, snapshot, project, files, actor
):
    assert evaluate(model, snapshot)["seen_in_training"] == 0
    other = freeze_snapshot(
        connection, files, project, "other", seed=5, allow_leaks="squares", actor=actor, progress=Silent()
    )
    result = evaluate(model, other)
    learnt = {c.patient for c in list_snapshot_cases(connection, snapshot.id) if c.split != "test"}
    expected = sum(c.patient in learnt for c in list_snapshot_cases(connection, other.id, split="test"))
    assert result["seen_in_training"] == expected > 0
    assert any("flatter" in warning for warning in result["warnings"])


def test_what_an_earlier_model_has_learnt_a_model_that_goes_on_from_it_has_seen(
    connection, evaluate, project, snapshot, files, actor, model, add_brightness_model
):
    """Its own snapshot has them in the test split; told before the queue, with the numbers, and to who compares."""
    other = freeze_snapshot(
        connection, files, project, "other", seed=5, allow_leaks="squares", actor=actor, progress=Silent()
    )
    begun = {"start_from": {"hash": model.keras_hash, "model": model.id, "said": "the first"}}
    recipe = change_recipe(named_recipe("cnn"), {"start_from": model.keras_hash, "input_size": SIZE})
    asked, _ = request_training(connection, project, other, recipe, sources=begun, actor=actor)
    further = add_brightness_model(project, other, keras=b"further")
    connection.execute("UPDATE runs SET told = ? WHERE id = ?", (json.dumps({"sources": begun}), further.run))
    learnt = {c.patient for c in list_snapshot_cases(connection, snapshot.id) if c.split != "test"}
    expected = sum(c.patient in learnt for c in list_snapshot_cases(connection, other.id, split="test"))
    assert any(f"{expected} of " in note and "before this one" in note for note in asked.told["preflight"]["notes"])
    result = evaluate(further, other)
    assert result["seen_in_training"] == expected > 0
    assert any("flatter" in warning for warning in result["warnings"])
    with pytest.raises(InvalidInput, match="was made with patients of this split"):
        compare_models(connection, further, further, other, "test")

    # From the same split it has seen nothing of the test, and nothing is said.
    again, _ = request_training(connection, project, snapshot, recipe, sources=begun, actor=actor)
    assert "before this one" not in str(again.told)
    connection.execute("UPDATE runs SET snapshot = ? WHERE id = ?", (snapshot.id, further.run))
    assert evaluate(further, snapshot)["seen_in_training"] == 0


def test_allowed_leaks_are_said_with_every_result(evaluate, model, snapshot):
    said = evaluate(model, snapshot)["warnings"]
    assert any("squares look alike" in warning for warning in said) == bool(snapshot.leaks)


def test_multi_label_results_have_one_table_per_class(
    connection, files, actor, evaluate, add_square, add_brightness_model, brightness_onnx
):
    project = add_project(
        connection, name="Several", task="classification", actor=actor,
        schema=make_classification(["dark", "bright"], multi_label=True),
    )  # fmt: skip
    for k in range(24):
        answer = [[], ["bright"], ["dark"], ["dark", "bright"]][k % 4]
        add_square(project, f"m{k}.png", f"p{k}", 190 if "bright" in answer else 60, answer)
    frozen = freeze_snapshot(
        connection, files, project, "s", ratios=(0.4, 0.2, 0.4), allow_leaks="squares", actor=actor, progress=Silent()
    )
    made = add_brightness_model(project, frozen, onnx=brightness_onnx(sigmoid=True), multi_label=True)
    result = evaluate(made, frozen)
    assert np.array(result["confusion_matrix"]).shape == (2, 2, 2)
    assert result["per_class"]["bright"]["auc"]["value"] == 1


@pytest.mark.parametrize("split", ["everything", "Test"])
def test_an_unknown_split_is_refused(evaluate, model, snapshot, split):
    with pytest.raises(InvalidInput, match=f"Received: {split}"):
        evaluate(model, snapshot, split)


def test_an_empty_split_is_refused(connection, files, evaluate, model, project, actor):
    frozen = freeze_snapshot(
        connection, files, project, "no test", ratios=(0.8, 0.2, 0), allow_leaks="squares", actor=actor,
        progress=Silent(),
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="test of snapshot no test is empty"):
        evaluate(model, frozen)


def test_a_model_of_other_classes_is_refused(connection, evaluate, model, snapshot):
    connection.execute("""UPDATE models SET facts = json_set(facts, '$.classes', json('["a", "b"]'))""")
    with pytest.raises(InvalidInput, match=r"has learnt, a, b\. Received: normal, pneumonia"):
        evaluate(model, snapshot)


def test_stopping_stores_nothing(connection, evaluate, model, snapshot):
    class Hurried(Silent):
        def should_stop(self):
            return True

    with pytest.raises(Stopped):
        evaluate(model, snapshot, progress=Hurried())
    assert list_evaluations(connection, model_id=model.id) == []


def test_images_that_the_window_of_a_model_is_not_for_are_told_beside_its_numbers(
    connection, evaluate, model, snapshot
):
    assert not any("Hounsfield" in one for one in evaluate(model, snapshot)["warnings"])
    tested = list_snapshot_cases(connection, snapshot.id, split="test")
    set_model_fact(connection, model.id, "input", {**model.facts["input"], "window": "lung"})
    connection.execute("UPDATE cases SET modality = iif(id = ?, 'MR', 'CT')", (tested[0].case_id,))
    (told,) = [one for one in evaluate(model, snapshot)["warnings"] if "Hounsfield" in one]
    assert told.startswith(f"1 of these {len(tested)} cases are no images that the model is asked about.")
