"""Two models on the same cases: what changed, whether it is more than chance, and than the seed of a training."""

from functools import partial

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.datasets.splits import list_view
from core.errors import InvalidInput
from core.evaluation.comparison import compare_models
from core.evaluation.records import store_predictions
from core.progress import Silent
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run, get_run


@pytest.fixture
def snapshot(connection, files, project, actor, make_case, answer):
    """80 patients of an image each, half of them ill."""
    for at in range(80):
        answer(make_case(f"{at}.png", patient=f"p{at}"), ("normal", "pneumonia")[at % 2])
    return freeze_snapshot(connection, files, project, "first", folds=4, actor=actor, progress=Silent())


@pytest.fixture
def add_scored(add_scored_on, snapshot):
    """A model of a seed that was never trained, with these probabilities of pneumonia on the test split (of a fold)."""
    return add_scored_on(snapshot)


@pytest.fixture
def add_scored_on(connection, project, actor):
    return lambda snapshot: partial(add_one, connection, project, actor, snapshot)


def add_one(connection, project, actor, snapshot, seed, chances, network="cnn", fold=None):
    recipe = change_recipe(named_recipe(network), {"seed": seed})
    run = add_run(connection, project=project.id, snapshot=snapshot.id, recipe=recipe, fold=fold, actor=actor)
    model = add_model(
        connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="a test", parameters=1,
        file_bytes=1, facts={"task": "classification", "classes": ["normal", "pneumonia"], "multi_label": False},
        seconds=1.0, actor=actor,
    )  # fmt: skip
    tested = [case for case in list_view(connection, snapshot.id, fold) if case.split == "test"]
    scores = {case.case_id: [1 - p, p] for case, p in zip(tested, chances(tested), strict=True)}
    store_predictions(connection, model, snapshot.schema, scores)
    return model


def truth_of(cases):
    return np.array([case.value["classes"] == ["pneumonia"] for case in cases], float)


def test_newly_right_and_newly_wrong_cases_are_named(connection, snapshot, add_scored):
    tested = list_snapshot_cases(connection, snapshot.id, split="test")

    def one_wrong(at):
        return lambda cases: np.abs(truth_of(cases) * 0.8 + 0.1 - (np.arange(len(cases)) == at))

    told = compare_models(
        connection, add_scored(0, one_wrong(0)), add_scored(0, one_wrong(2), "resnet"), snapshot, "test"
    )
    assert told["mcnemar"] == {"fixed": [tested[0].case_id], "broken": [tested[2].case_id], "p": 1.0}
    assert told["metrics"]["churn"]["value"] == pytest.approx(2 / len(tested))
    assert "Seed noise unknown" in told["sentence"]


def test_where_a_class_has_one_patient_in_the_split_the_verdict_is_undefined(
    connection, files, project, actor, make_case, answer, add_scored_on
):
    """Patients who are drawn would never differ in that class, so an interval would promise too much."""
    for at in range(24):
        known = {"given_split": ("train", "validation", "test")[at // 8], "patient": f"p{at}"}
        answer(make_case(f"one-{at}.png", **known), "pneumonia" if at in (1, 2, 9, 10, 17) else "normal")
    frozen = freeze_snapshot(connection, files, project, "rare", split_column="split", actor=actor, progress=Silent())
    pair = [
        add_scored_on(frozen)(0, chances, name)
        for chances, name in ((lambda cases: 1 - guessed(cases), "cnn"), (right, "resnet"))
    ]
    told = compare_models(connection, *pair, frozen, "test")
    assert abs(told["metrics"]["auc_difference"]["value"]) > 0
    assert (told["verdict"], told["low"], told["high"], told["delong"]) == ("undefined", None, None, None)
    assert "cases of one patient only" in told["verdict_reason"]
    assert told["verdict_reason"] in told["sentence"]


def test_on_a_split_of_one_class_the_verdict_is_undefined_and_says_why(
    connection, files, project, actor, make_case, answer, add_scored_on
):
    for at in range(12):
        known = {"given_split": ("train", "validation", "test")[at // 4], "patient": f"p{at}"}
        answer(make_case(f"one-{at}.png", **known), "pneumonia" if at < 8 and at % 2 else "normal")
    frozen = freeze_snapshot(
        connection, files, project, "one class", split_column="split", actor=actor, progress=Silent()
    )
    pair = [add_scored_on(frozen)(seed, lambda cases: np.linspace(0, 0.4, len(cases))) for seed in (0, 1)]
    told = compare_models(connection, *pair, frozen, "test")
    assert (told["verdict"], told["better"]) == ("undefined", False)
    assert told["verdict_reason"] == "One of the classes has no case here, or every case."
    assert "undefined: One of the classes has no case here" in told["sentence"]


def test_three_seeds_of_a_recipe_tell_its_noise(connection, snapshot, add_scored):
    def shaken(seed, strength):
        return lambda cases: np.clip(
            0.5 + 0.3 * (truth_of(cases) - 0.5) + strength * np.random.default_rng(seed).normal(size=len(cases)), 0, 1
        )

    seeds = [add_scored(seed, shaken(seed, 0.3)) for seed in range(3)]
    other = add_scored(0, shaken(9, 0.0), "resnet")
    told = compare_models(connection, seeds[0], other, snapshot, "test")
    areas = [compare_models(connection, seed, other, snapshot, "test")["values"][0]["auc"] for seed in seeds]
    assert told["seed_noise"] == {"deviations": [pytest.approx(np.std(areas, ddof=1))], "seeds": [3]}
    assert "seed noise from 3 trainings" in told["sentence"]
    plain = told["delong"]
    assert told["high"] - told["low"] > plain["high"] - plain["low"]


def test_of_several_comparisons_the_verdict_stands_on_intervals_that_hold_together(connection, snapshot, add_scored):
    def shaken(seed):
        return lambda cases: np.clip(
            0.5 + 0.3 * (truth_of(cases) - 0.5) + 0.3 * np.random.default_rng(seed).normal(size=len(cases)), 0, 1
        )

    pair = add_scored(0, shaken(1)), add_scored(0, shaken(2), "resnet")
    alone = compare_models(connection, *pair, snapshot, "test")
    together = compare_models(connection, *pair, snapshot, "test", comparisons=5)
    assert together["metrics"] == alone["metrics"]
    assert together["delong"] == alone["delong"]
    assert "95 % interval" in alone["sentence"]
    assert "99 % interval" in together["sentence"]
    assert (together["high"] - together["low"]) / (alone["high"] - alone["low"]) == pytest.approx(
        2.576 / 1.960, rel=1e-3
    )


def right(cases):
    return truth_of(cases) * 0.8 + 0.1


def guessed(cases):
    return np.random.default_rng(7).random(len(cases))


def test_of_two_seeds_of_one_recipe_neither_is_better_while_their_noise_is_unknown(connection, snapshot, add_scored):
    bad, good = add_scored(0, guessed), add_scored(1, right)
    told = compare_models(connection, bad, good, snapshot, "test")
    assert (told["verdict"], told["better"]) == ("no difference beyond noise", False)
    assert told["low"] > 0  # by the cases alone it would be better
    assert "Seeds alone could do this" in told["sentence"]
    assert "Seed noise unknown" in told["sentence"]
    assert compare_models(connection, good, bad, snapshot, "test")["verdict"] == "no difference beyond noise"
    other = compare_models(connection, bad, add_scored(1, right, "resnet"), snapshot, "test")
    assert other["verdict"] == "better"
    assert "Seeds alone" not in other["sentence"]


def test_with_three_seeds_of_the_recipe_their_noise_decides(connection, snapshot, add_scored):
    seeds = [add_scored(seed, right) for seed in range(3)]
    told = compare_models(connection, seeds[0], seeds[1], snapshot, "test")
    assert told["seed_noise"]["seeds"] == [3]
    assert "Seeds alone" not in told["sentence"]


def test_two_models_of_one_fold_are_compared_on_the_cases_of_that_fold(connection, snapshot, add_scored):
    asked = [case for case in list_view(connection, snapshot.id, 1) if case.split == "test"]
    learnt = {case.case_id for case in list_snapshot_cases(connection, snapshot.id) if case.split != "test"}
    assert learnt & {case.case_id for case in asked}  # of the snapshot's own view these were to learn from
    told = compare_models(
        connection, add_scored(0, guessed, fold=1), add_scored(0, right, "resnet", fold=1), snapshot, "test"
    )
    assert (told["n_cases"], told["fold"], told["verdict"]) == (len(asked), 1, "better")
    missed = (guessed(asked) >= 0.5) != truth_of(asked)
    assert set(told["mcnemar"]["fixed"]) == {case.case_id for case, one in zip(asked, missed, strict=True) if one}


def test_models_of_two_folds_are_refused_in_a_sentence(connection, snapshot, add_scored):
    pair = add_scored(0, right, fold=0), add_scored(0, right, fold=1)
    with pytest.raises(InvalidInput, match="two folds have learnt each other's test cases"):
        compare_models(connection, *pair, snapshot, "test")


def test_the_share_decided_differently_has_wilsons_interval(connection, snapshot, add_scored):
    told = compare_models(connection, add_scored(0, right), add_scored(0, right, "resnet"), snapshot, "test")
    churn = told["metrics"]["churn"]
    assert churn["value"] == 0
    assert churn["high"] > 0  # a bootstrap of nothing but zeros would end there
    assert churn["method"].startswith("Wilson")
