"""What a measured number means to a model."""

import keras
import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from core.errors import CoreError, InvalidInput
from core.projects.schema import Regression
from core.tasks import module_of, task_module
from core.tasks.regression import (
    build_head,
    calibrate,
    check_trainable,
    decode_scores,
    describe_schema,
    encode_targets,
    interval_around,
    loss_name,
    loss_terms,
    raw_of,
    schema_of,
    score_validation,
)

AGE = Regression("age", "years", 0, 120)
TARGETS = np.array([[40.0], [50.0], [75.0]], np.float32)


def test_numbers_go_there_and_back() -> None:
    values = [{"value": 40.0}, {"value": 3.5}]
    assert [decode_scores(AGE, row) for row in encode_targets(AGE, values)] == values


@pytest.mark.parametrize("value", [{}, {"value": "40"}, {"value": None}, {"value": True}, {"value": float("nan")}])
def test_what_is_no_number_is_refused_with_its_place(value: dict) -> None:
    with pytest.raises(InvalidInput, match=r"one number.*at position 1"):
        encode_targets(AGE, [{"value": 1.0}, value])


def test_a_model_says_nothing_that_a_reader_may_not_say() -> None:
    assert decode_scores(AGE, np.array([-3.0])) == {"value": 0.0}
    assert decode_scores(AGE, np.array([140.0])) == {"value": 120.0}
    assert decode_scores(Regression("x", "mm", None, None), np.array([-3.0])) == {"value": -3.0}


def test_one_and_the_same_number_cannot_be_learnt() -> None:
    with pytest.raises(CoreError, match=r"nothing to tell apart. Received: 40 years"):
        check_trainable(AGE, TARGETS[[0, 0]], TARGETS)


@pytest.mark.parametrize(("train", "validation", "which"), [(0, 3, "training"), (3, 0, "validation")])
def test_empty_splits_cannot_be_trained(train: int, validation: int, which: str) -> None:
    with pytest.raises(CoreError, match=f"an empty {which} split"):
        check_trainable(AGE, TARGETS[:train], TARGETS[:validation])


def test_the_last_layer_gives_the_number_in_its_unit() -> None:
    terms = loss_terms(AGE, TARGETS, balanced=True)
    features = keras.Input((4,))
    network = keras.Model(features, build_head(features, AGE, terms))
    said = np.asarray(network(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)))
    raw = keras.Model(features, network.get_layer("standardised").output)
    inner = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.testing.assert_allclose(raw_of(AGE, said, terms), np.asarray(raw(inner)), atol=1e-5)
    np.testing.assert_allclose(said, np.asarray(raw(inner)) * TARGETS.std() + TARGETS.mean(), rtol=1e-5)


def test_validation_is_scored_as_scikit_learn_scores_it() -> None:
    random = np.random.default_rng(0)
    truth, said = random.normal(50, 10, (30, 1)), random.normal(50, 10, (30, 1))
    scored = score_validation(AGE, truth, said)
    assert scored["mae"] == pytest.approx(mean_absolute_error(truth, said))
    assert scored["rmse"] == pytest.approx(root_mean_squared_error(truth, said))
    assert scored["r2"] == pytest.approx(r2_score(truth, said))
    assert score_validation(AGE, TARGETS[[0, 0]], TARGETS[:2])["r2"] is None


def test_a_recipe_may_ask_for_another_loss_and_not_for_one_of_classes() -> None:
    assert [loss_name(AGE, wanted) for wanted in ("default", "absolute", "squared")] == ["huber", "absolute", "squared"]
    with pytest.raises(InvalidInput, match=r"huber, absolute, squared\. Received: focal"):
        loss_name(AGE, "focal")


def test_an_interval_around_a_number_stays_in_the_range() -> None:
    calibration = {"interval": {"half_width": 10.0, "level": 0.9, "n": 30}}
    assert interval_around(AGE, 50.0, calibration) == {**calibration["interval"], "low": 40.0, "high": 60.0}
    assert (interval_around(AGE, 5.0, calibration) or {})["low"] == 0
    assert (interval_around(AGE, 118.0, calibration) or {})["high"] == 120
    assert interval_around(AGE, 50.0, {"interval": None}) is None


def test_the_interval_stands_on_what_the_model_says_and_not_on_what_was_cut_off() -> None:
    truth, said = np.full((40, 1), 118.0, np.float32), np.full((40, 1), 300.0, np.float32)
    alone = [str(at) for at in range(40)]
    assert calibrate(AGE, truth, said, alone)["interval"]["half_width"] == 2.0
    assert score_validation(AGE, truth, said)["mae"] == 2.0
    assert calibrate(AGE, truth, said, ["one"] * 40)["interval"] is None, "one patient, however many images"


def test_a_stored_model_knows_what_it_learnt() -> None:
    assert schema_of(describe_schema(AGE)) == AGE
    assert task_module("regression") is module_of(AGE)
