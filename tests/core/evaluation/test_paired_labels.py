"""Two models that answer several labels at once: what differs for each label, and what is said of all of them."""

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.evaluation.comparison import compare_models
from core.evaluation.paired_labels import OF_LABEL, Sides, compare_labels
from core.evaluation.records import store_predictions
from core.measures.estimates import Estimate
from core.measures.paired import compare_aucs, mcnemar
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import make_classification
from core.training.recipe import change_recipe, named_recipe
from core.training.records import add_model, add_run, get_run

NAMES = ("mass", "nodule", "hernia")
ANSWERS = ([], ["mass"], ["nodule"], ["mass", "nodule"])


@pytest.fixture
def findings(request, connection, files, actor, add_square):
    """80 patients, each with one square; four have a hernia, and about two thirds are test cases. Asked for with a
    number, the hernias are of so many patients."""
    ill = getattr(request, "param", 80)
    schema = make_classification(NAMES, multi_label=True)
    project = add_project(connection, name="Findings", task="classification", schema=schema, actor=actor)
    for k in range(80):
        hernia, patient = (["hernia"], f"ill{k // 20 % ill}") if k % 20 == 0 else ([], f"q{k}")
        add_square(project, f"f{k}.png", patient, 60 + k, [*ANSWERS[k % 4], *hernia])
    return freeze_snapshot(
        connection, files, project, "several", ratios=(0.15, 0.15, 0.7), allow_leaks="squares look alike", actor=actor,
        progress=Silent(),
    )  # fmt: skip


@pytest.fixture
def add_answers(connection, findings, actor):
    """A model that was never trained, with these probabilities `(cases, labels)` on the test split."""

    def add(scores_of, seed=0, network="cnn"):
        recipe = change_recipe(named_recipe(network), {"seed": seed})
        run = add_run(connection, project=findings.project, snapshot=findings.id, recipe=recipe, actor=actor)
        model = add_model(
            connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="a test", parameters=1,
            file_bytes=1, facts={"task": "classification", "classes": list(NAMES), "multi_label": True}, seconds=1.0,
            actor=actor,
        )  # fmt: skip
        tested = list_snapshot_cases(connection, findings.id, split="test")
        truth = truth_of(tested)
        said = dict(zip([case.case_id for case in tested], scores_of(truth).tolist(), strict=True))
        store_predictions(connection, model, findings.schema, said)
        return model

    return add


def truth_of(cases):
    return np.array([[name in case.value["classes"] for name in NAMES] for case in cases], float)


def noisy(strengths, seed):
    """Probabilities that follow the truth, the less the more noise a label has."""

    def say(truth):
        noise = np.random.default_rng(seed).normal(size=truth.shape) * strengths
        return np.clip(0.5 + 0.4 * (truth - 0.5) + noise, 0, 1)

    return say


def test_each_label_has_its_differences_its_tests_and_its_changed_cases(connection, findings, add_answers):
    pair = [add_answers(noisy((0.6, 0.05, 0.1), 1)), add_answers(noisy((0.05, 0.05, 0.1), 2), network="resnet")]
    told = compare_models(connection, *pair, findings, "test")
    tested = list_snapshot_cases(connection, findings.id, split="test")
    truth = truth_of(tested)
    scores = [noisy((0.6, 0.05, 0.1), 1)(truth), noisy((0.05, 0.05, 0.1), 2)(truth)]
    mass = told["per_label"]["mass"]

    by_hand = compare_aucs(truth[:, 0] == 1, scores[0][:, 0], scores[1][:, 0], [case.patient for case in tested])
    assert mass["delong"] == by_hand.to_json()
    assert mass["metrics"]["auc_difference"]["value"] == pytest.approx(by_hand.difference)
    right = [(one[:, 0] >= 0.5) == (truth[:, 0] == 1) for one in scores]
    fixed = [case.case_id for case, a, b in zip(tested, *right, strict=True) if b and not a]
    broken = [case.case_id for case, a, b in zip(tested, *right, strict=True) if a and not b]
    assert mass["mcnemar"] == {"fixed": fixed, "broken": broken, "p": mcnemar(len(fixed), len(broken))}
    assert mass["metrics"]["churn"]["value"] == pytest.approx((len(fixed) + len(broken)) / len(tested))
    assert mass["n"] == int(truth[:, 0].sum())
    for name in ("auc_difference", "f1_difference", "balanced_accuracy_difference"):
        assert mass["metrics"][name]["low"] < mass["metrics"][name]["value"] < mass["metrics"][name]["high"]
    assert len(fixed) > len(broken)


def test_the_whole_is_the_mean_over_labels_and_the_sentence_names_those_that_differ(connection, findings, add_answers):
    pair = [add_answers(noisy((0.6, 0.05, 0.1), 1)), add_answers(noisy((0.05, 0.05, 0.1), 2), network="resnet")]
    told = compare_models(connection, *pair, findings, "test")
    for whole, one in (
        ("auc_difference",) * 2, ("f1_macro_difference", "f1_difference"), ("balanced_accuracy_difference",) * 2
    ):  # fmt: skip
        parts = [label["metrics"][one]["value"] for label in told["per_label"].values()]
        assert told["metrics"][whole]["value"] == pytest.approx(np.mean(parts))
        assert told["metrics"][whole]["low"] is not None
    assert told["verdict"] == "better"
    assert "better than" in told["sentence"]
    assert "by the mean over labels" in told["sentence"]
    assert "better on mass" in told["sentence"]
    assert "Seed noise unknown" in told["sentence"]


def test_no_label_is_better_of_two_seeds_of_one_recipe(connection, findings, add_answers):
    pair = [add_answers(noisy((0.6, 0.05, 0.1), 1)), add_answers(noisy((0.05, 0.05, 0.1), 2), seed=1)]
    told = compare_models(connection, *pair, findings, "test")
    assert told["verdict"] == told["per_label"]["mass"]["verdict"] == "no difference beyond noise"
    assert "Seeds alone could do this" in told["sentence"]


def test_a_rare_label_is_never_said_to_be_better(connection, findings, add_answers):
    def backwards(truth):
        return np.stack([truth[:, 0], truth[:, 1], 1 - truth[:, 2]], axis=1) * 0.8 + 0.1

    told = compare_models(
        connection, add_answers(backwards), add_answers(noisy((0, 0, 0), 0), network="resnet"), findings, "test"
    )
    hernia = told["per_label"]["hernia"]
    assert hernia["n"] < 10
    assert hernia["small"]
    assert hernia["metrics"]["auc_difference"]["value"] == 1.0
    assert hernia["verdict"] == "too few cases to tell"


@pytest.mark.parametrize("findings", [2], indirect=True)  # one of the two is a test patient
def test_no_difference_that_hangs_on_a_label_of_one_patient_has_an_interval(connection, findings, add_answers):
    """Drawing patients never tells how its recall differs between patients: F1 and balanced accuracy hang on it too."""
    pair = add_answers(noisy((0.6, 0.6, 0.6), 1)), add_answers(noisy((0.1, 0.1, 0.6), 2), network="resnet")
    told = compare_models(connection, *pair, findings, "test")
    assert (told["verdict"], told["per_label"]["hernia"]["n"]) == ("undefined", 2)
    hernia, mass = (told["per_label"][name]["metrics"] for name in ("hernia", "mass"))
    for name in ("auc_difference", "f1_difference", "balanced_accuracy_difference"):
        whole = told["metrics"]["f1_macro_difference" if name == "f1_difference" else name]
        assert hernia[name]["low"] is None
        assert whole["low"] is None
        assert "cases of one patient only" in hernia[name]["note"]
        assert mass[name]["low"] is not None
    assert told["metrics"]["accuracy_difference"]["low"] is not None


def test_a_model_against_one_of_the_same_answers_changes_nothing(connection, findings, add_answers):
    same = noisy((0.3, 0.3, 0.3), 5)
    told = compare_models(connection, add_answers(same), add_answers(same, network="resnet"), findings, "test")
    assert told["verdict"] == "no difference beyond noise"
    assert told["metrics"]["churn"]["value"] == 0
    assert all(one["mcnemar"] == {"fixed": [], "broken": [], "p": 1.0} for one in told["per_label"].values())


def test_three_seeds_tell_the_noise_of_the_mean_over_labels(connection, findings, add_answers):
    seeds = [add_answers(noisy((0.3, 0.3, 0.3), 10 + seed), seed) for seed in range(3)]
    other = add_answers(noisy((0.01, 0.01, 0.01), 9), network="resnet")
    told = compare_models(connection, seeds[0], other, findings, "test")
    areas = [compare_models(connection, one, other, findings, "test")["values"][0]["auc"] for one in seeds]
    assert told["seed_noise"] == {"deviations": [pytest.approx(np.std(areas, ddof=1))], "seeds": [3]}
    assert told["high"] - told["low"] > (
        told["metrics"]["auc_difference"]["high"] - told["metrics"]["auc_difference"]["low"]
    )


def test_of_equal_models_no_more_than_one_in_twenty_is_called_better_or_worse_on_some_label():
    """Of 60 pairs of equal noise, 3 labels each: 3 are expected at most, and 8 would be far beyond chance."""
    truth = (np.random.default_rng(3).random((120, 3)) < (0.5, 0.3, 0.4)).astype(int)
    patients = [f"p{at}" for at in range(120)]
    nothing = Estimate(0.0, None, None)
    metrics = {f"{name}/{k}": nothing for name in (*OF_LABEL, "churn") for k in range(3)}
    loud = 0
    for at in range(60):
        scores = [noisy((0.3, 0.3, 0.3), 2 * at + side)(truth.astype(float)) for side in (0, 1)]
        said = [(one >= 0.5).astype(int) for one in scores]
        sides = Sides(NAMES, truth, scores, said, list(range(120)), patients)
        plain = [dict.fromkeys(metrics, 0.0)] * 2
        found = compare_labels(sides, metrics, plain, lambda area: None)
        loud += any(one["verdict"] in ("better", "worse") for one in found.values())
    assert loud <= 8
