"""All folds together: each case by the model that never saw it, decided as that model decides."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.splits import list_view
from core.errors import InvalidInput
from core.evaluation.cross_validation import cross_validate, describe_folds, list_fold_models
from core.evaluation.records import count_test_uses, list_evaluations, store_painted, store_predictions
from core.images.records import get_case
from core.jobs.asking_folds import ask_cross_validation
from core.jobs.bodies import evaluate as body
from core.labels.mask_store import keep_mask, read_kept_mask
from core.progress import Silent
from core.projects.schema import Regression
from core.tasks import regression
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run, get_run, set_model_fact, set_run_told

THRESHOLDS = (0.2, 0.4, 0.6, 0.8)  # by fold


@pytest.fixture
def folds(connection, project, snapshot, add_brightness_model):
    """A model for each of four folds with a threshold of its own, which is wrong of its first case and right of the
    others; its answers are made by hand."""
    made = []
    for fold, threshold in enumerate(THRESHOLDS):
        model = add_brightness_model(project, snapshot, fold=fold)
        chosen = {"thresholds": {"pneumonia": {"value": threshold, "rule": "by hand", "n": 6}}}
        set_model_fact(connection, model.id, "calibration", chosen)
        cases = [case for case in list_view(connection, snapshot.id, fold) if case.split == "test"]
        said = {}
        for at, case in enumerate(cases):
            positive = (case.value["classes"] == ["pneumonia"]) != (at == 0)
            score = threshold + (0.05 if positive else -0.05)
            said[case.case_id] = (1 - score, score)
        store_predictions(connection, model, snapshot.schema, said)
        made.append(model)
    return made


def test_every_case_is_measured_once_by_the_model_that_never_saw_it(
    connection, files, settings, snapshot, folds, actor
) -> None:
    job = ask_cross_validation(connection, folds[2], actor=actor)
    context: Any = SimpleNamespace(
        connection=connection, files=files, settings=settings, job=job, actor=actor, progress=Silent()
    )
    result = body.run(context)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    cases = list_view(connection, snapshot.id, None)
    assert (result["n_cases"], result["n_patients"]) == (len(cases), len({case.patient for case in cases}))
    accuracy = result["metrics"]["accuracy"]
    assert accuracy["value"] == pytest.approx(1 - 4 / len(cases)), "one mistake a fold, each by its own threshold"
    assert accuracy["low"] < accuracy["value"] < accuracy["high"]
    assert result["metrics"]["accuracy_at_half"]["value"] < 0.8, "a threshold for all would decide otherwise"
    assert sum(map(sum, result["confusion_matrix"])) == len(cases)
    scores, truth = [], []
    for fold, threshold in enumerate(THRESHOLDS):
        for at, case in enumerate(one for one in list_view(connection, snapshot.id, fold) if one.split == "test"):
            positive = case.value["classes"] == ["pneumonia"]
            truth.append(positive)
            scores.append(threshold + (0.05 if positive != (at == 0) else -0.05))
    wins = np.subtract.outer(np.array(scores)[truth], np.array(scores)[~np.array(truth)])
    assert result["metrics"]["auc"]["value"] == pytest.approx(np.mean((wins > 1e-9) + 0.5 * (abs(wins) < 1e-9)))
    assert [(one["fold"], one["model_id"]) for one in result["folds"]] == [(at, m.id) for at, m in enumerate(folds)]
    assert sum(one["n_cases"] for one in result["folds"]) == len(cases)
    assert "balanced accuracy of each fold by itself: fold 0: " in describe_folds(result["folds"])
    assert result["bands"]["roc"]["pneumonia"]["low"][-1] == 1, "the curve of all folds is drawn with its band"
    assert (result["split"], result["thresholds"]) == ("out of fold", {})


def test_a_fold_that_was_measured_is_not_used_once_more(connection, files, settings, snapshot, folds, actor) -> None:
    numbers = [model.id for model in folds]
    for _ in range(2):
        cross_validate(connection, files, settings, numbers, actor, Silent(), job=7)
    assert [count_test_uses(connection, snapshot.id, fold) for fold in range(4)] == [1] * 4
    assert len(list_evaluations(connection, model_id=numbers[0])) == 1


def test_what_a_model_of_a_fold_began_from_has_seen_is_counted(
    connection, files, settings, snapshot, folds, actor
) -> None:
    set_run_told(connection, folds[0].run, "sources", {"start_from": {"hash": folds[1].keras_hash}})
    result = cross_validate(connection, files, settings, [one.id for one in folds], actor, Silent())
    of_fold = [case for case in list_view(connection, snapshot.id, 0) if case.split == "test"]
    assert result["seen_in_training"] == len(of_fold)  # the model of fold 1 has learnt all of fold 0


def test_folds_belong_together_by_snapshot_recipe_and_seed_the_newest_of_each(
    connection, project, snapshot, folds, add_brightness_model
) -> None:
    assert [model.id for model in list_fold_models(connection, folds[1])] == [model.id for model in folds]
    again = add_brightness_model(project, snapshot, fold=3)
    assert list_fold_models(connection, folds[1])[3].id == again.id
    assert list_fold_models(connection, folds[3])[3].id == folds[3].id, "of its own fold it is the one that is asked"
    with pytest.raises(InvalidInput, match="trained for a fold"):
        list_fold_models(connection, add_brightness_model(project, snapshot))
    connection.execute("UPDATE runs SET recipe_hash = 'other' WHERE id = ?", (folds[2].run,))
    with pytest.raises(InvalidInput, match=r"the other folds by the same recipe first, 2\. Received: 3 of 4 folds"):
        list_fold_models(connection, folds[0])
    told = {"choice": {"changed": {"epochs": "7"}}}
    for number in (*(model.run for model in folds), again.run):  # where auto chose, each fold has a recipe of its own
        connection.execute("UPDATE runs SET told = ? WHERE id = ?", (json.dumps(told), number))
    assert get_run(connection, folds[2].run).recipe_hash == "other"
    assert len(list_fold_models(connection, folds[0])) == 4


def test_models_that_are_not_those_of_all_folds_are_refused(connection, files, settings, folds, actor) -> None:
    for numbers in ([folds[0].id, folds[1].id], [folds[1].id, folds[0].id, folds[2].id, folds[3].id]):
        with pytest.raises(InvalidInput, match="one model for each fold"):
            cross_validate(connection, files, settings, numbers, actor, Silent())


def test_intervals_of_numbers_are_those_of_the_model_that_said_them() -> None:
    schema = Regression("age", "years", 0, 100)
    said = np.array([[10.0], [20.0], [30.0], [40.0]])
    wide, narrow = ({"interval": {"level": 0.9, "n": 30, "half_width": half}} for half in (5.0, 1.0))
    patients = ["a", "b", "c", "d"]
    together = regression.measure(schema, said + 3, said, patients, [wide, narrow, wide, narrow], seed=0)
    assert together["metrics"]["coverage"]["value"] == 0.5
    assert together["interval"] is None
    unsure = regression.measure(schema, said + 3, said, patients, [wide, {}, wide, narrow], seed=0)
    assert "coverage" not in unsure["metrics"]


def test_painted_folds_are_compared_with_what_their_own_models_painted(
    connection, files, settings, painted_squares, actor, monkeypatch
) -> None:
    """One model has painted the references themselves on its fold, and the other nothing."""
    for asked in ("look_at_masks", "keep_painted_appearance"):  # neither model has weights
        monkeypatch.setattr(f"core.evaluation.run.{asked}", lambda *_: None)
    frozen = freeze_snapshot(
        connection, files, painted_squares.project, "folds", folds=2, ratios=(0.6, 0.3, 0.1), actor=actor,
        progress=Silent(),
    )  # fmt: skip
    models = [paint_by_hand(connection, painted_squares.project, frozen, fold, files, actor) for fold in (0, 1)]
    result = cross_validate(connection, files, settings, [model.id for model in models], actor, Silent())
    assert result["n_cases"] == len(list_view(connection, frozen.id, None))
    dice = result["per_structure"]["square"]["dice"]
    values = {one["fold"]: one["value"] for one in result["folds"]}
    assert values[0] == 0
    assert values[1] == 1
    painted = result["counts"]["square"]["painted"]
    right = sum(
        bool(mask.pixels)
        for case in list_view(connection, frozen.id, 1)
        if case.split == "test"
        for mask in case.masks
        if mask.structure == "square"
    )
    assert dice["value"] == pytest.approx(right / painted)

    def refuse(*_, **__):
        raise AssertionError("masks that were compared are compared again")

    monkeypatch.setattr("core.evaluation.painting.compare_masks", refuse)
    numbers = [model.id for model in models]
    assert cross_validate(connection, files, settings, numbers, actor, Silent()) == result
    assert result["unit"] == "mm"
    surfaces = result["per_structure"]["square"]["surface_dice"]["value"]
    assert surfaces == 0, "the fold that was painted right has distances in pixels, which are not joined with mm"


def paint_by_hand(connection, project, frozen, fold, files, actor) -> Any:
    recipe = change_recipe(named_recipe("unet2d"), {"input_size": 16})
    run = add_run(connection, project=project.id, snapshot=frozen.id, recipe=recipe, fold=fold, actor=actor)
    facts = {
        "task": "segmentation", "input": {"size": 16, "channels": 1, "resize": "pad"},
        "structures": [{"name": one.name, "colour": one.colour} for one in frozen.schema.structures],
    }  # fmt: skip
    model = add_model(
        connection, run, keras_hash=files.put_bytes("models", b"none"), onnx_left_out_because="none", parameters=1,
        file_bytes=1, facts=facts, seconds=1.0, actor=actor,
    )  # fmt: skip
    for case in list_view(connection, frozen.id, fold):
        if case.split == "test":
            known = get_case(connection, case.case_id)
            masks = [read_kept_mask(files, mask.mask_hash, known) * np.uint8(fold) for mask in case.masks]
            kept = [keep_mask(files, mask.structure, one) for mask, one in zip(case.masks, masks, strict=True)]
            store_painted(connection, model, frozen.schema, case.case_id, kept, [0.9] * len(kept))
    return model
