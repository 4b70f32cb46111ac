"""Tallies of pixels against Dice counted one by one; thresholds, decisions, and what cannot be learnt."""

import numpy as np
import pytest
import tensorflow as tf

from core.errors import CoreError, InvalidInput
from core.measures.segmentation import compare_masks
from core.projects.schema import make_segmentation
from core.tasks.segmentation import (
    LEVELS,
    calibrate,
    check_trainable,
    confidence_of,
    decode_scores,
    describe_schema,
    encode_targets,
    loss_name,
    measure,
    schema_of,
    score_validation,
    thresholds_of,
)
from core.training.steps import tally_pixels

TWO = make_segmentation(["liver", "lesion"])


@pytest.fixture
def split() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cases, masks and probabilities of 6 frames of 3 cases; the lesion is on the second case alone."""
    random = np.random.default_rng(0)
    masks = (random.random((6, 8, 8, 2)) > 0.6).astype(np.uint8)
    masks[[0, 1, 4, 5], ..., 1] = 0
    probabilities = np.clip(0.3 * masks + 0.7 * random.random(masks.shape), 0, 1).astype(np.float32)
    return np.array([7, 7, 3, 3, 9, 9]), masks, probabilities


def dice_of(split: tuple[np.ndarray, np.ndarray, np.ndarray], structure: int, threshold: float) -> float:
    cases, masks, probabilities = split
    found = [
        compare_masks(masks[cases == case, ..., structure], probabilities[cases == case, ..., structure] >= threshold,
                      (1, 1, 1)).dice
        for case in np.unique(cases)
    ]  # fmt: skip
    return float(np.nanmean(found))


def test_a_tally_tells_dice_at_every_threshold(split: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    cases, masks, probabilities = split
    tallies = tally_pixels(tf.constant(masks), tf.constant(probabilities)).numpy()
    assert tallies.shape == (6, 2, LEVELS, 2)
    assert (tallies.sum(axis=(1, 2)) == 64).all()
    expected = np.mean([dice_of(split, structure, 0.5) for structure in (0, 1)])
    assert score_validation(TWO, cases, tallies)["dice"] == pytest.approx(expected)
    chosen = calibrate(TWO, cases, tallies, list("abcdef"))["thresholds"]
    for structure, name in enumerate(TWO.names):
        every = {level / LEVELS: dice_of(split, structure, level / LEVELS) for level in range(1, LEVELS)}
        assert chosen[name]["dice"] == pytest.approx(max(every.values()))
        assert every[chosen[name]["value"]] == pytest.approx(max(every.values()))
        assert chosen[name]["dice_at_half"] == pytest.approx(every[0.5])
    assert chosen["liver"]["value"] != 0.5, "else the choice is not tested"


def test_what_is_painted_nowhere_keeps_one_half(split: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    cases, masks, probabilities = (some[:2] for some in split)
    tallies = tally_pixels(tf.constant(masks), tf.constant(probabilities)).numpy()
    calibration = calibrate(TWO, cases, tallies, list("ab"))
    assert calibration["thresholds"]["lesion"] == {"value": 0.5, "dice": None, "dice_at_half": None}
    assert thresholds_of(TWO, {}).tolist() == [0.5, 0.5]
    nothing = tally_pixels(tf.zeros((2, 8, 8, 2), tf.uint8), tf.constant(probabilities)).numpy()
    assert score_validation(TWO, cases, nothing) == {"dice": None}


def test_targets_decisions_and_confidence() -> None:
    values = [{"structures": ["lesion"]}, {"structures": []}]
    assert encode_targets(TWO, values).tolist() == [[0, 1], [0, 0]]
    assert decode_scores(TWO, np.array([0.0, 0.7])) == {"structures": ["lesion"]}
    assert confidence_of(TWO, np.array([0.9, 0.7])) == 0.7
    assert confidence_of(TWO, np.array([0.0, 0.0])) == 1.0
    assert schema_of(describe_schema(TWO)) == TWO


def test_nothing_painted_cannot_be_learnt() -> None:
    nothing, some = np.zeros((3, 2)), np.array([[1, 0], [0, 0]])
    for train, validation, said in (
        (nothing, some, "nothing is painted in the training split"),
        (some, nothing, "nothing is painted in the validation split"),
        (some, some[:0], "an empty validation split"),
        (some[:0], some, "an empty training split"),
    ):
        with pytest.raises(CoreError, match=said):
            check_trainable(TWO, train, validation)
    check_trainable(TWO, some, some)


def test_a_loss_of_another_task_is_refused() -> None:
    assert loss_name(TWO, "default") == "dice_cross_entropy"
    assert loss_name(TWO, "cross_entropy") == "pixel_cross_entropy"
    with pytest.raises(InvalidInput, match="loss of a segmentation is one of"):
        loss_name(TWO, "huber")


def test_the_numbers_come_with_their_thresholds() -> None:
    painted = np.eye(4)
    row = [compare_masks(painted, painted, (1, 1))] * 2
    told = measure(TWO, "mm", [row, row], ["a", "b"], {"thresholds": {"liver": {"value": 0.4}}}, seed=0)
    assert told["metrics"]["dice"]["value"] == 1
    assert told["structures"] == ["liver", "lesion"]
    assert told["thresholds"]["liver"]["value"] == 0.4
