"""The model card says what its words mean, and when a number is a limit and no finding."""

import math
from dataclasses import replace

import numpy as np
import pytest

from core.measures.calibration import HOTTEST, fit_temperature
from core.reviews.meetings import add_review
from core.reviews.model_card import _calibrated, describe_card


@pytest.mark.parametrize(
    ("temperature", "told"),
    [
        (1.6, "temperature 1.60 (n = 30): its logits are divided by it, so that it is less sure"),
        (0.7, "temperature 0.70 (n = 30): its logits are divided by it, so that it is more sure"),
        (1.0, "temperature 1.00 (n = 30): its logits are divided by it, so nothing is changed"),
        (19.9999, "temperature 20.00 (n = 30): its logits are divided by it, the highest that is tried"),
        (0.05001, "temperature 0.05 (n = 30): its logits are divided by it, the lowest that is tried"),
    ],
)
def test_a_temperature_is_explained_and_a_limit_is_called_one(room, temperature, told) -> None:
    calibration = {"temperature": {"temperature": temperature, "n": 30}}
    model = replace(room.model, facts={**room.model.facts, "calibration": calibration})
    assert told in _calibrated(model)


def test_probabilities_that_tell_nothing_end_at_the_limit_that_the_card_speaks_of(room) -> None:
    truth = np.eye(2)[[0, 1] * 20]
    against = -8.0 * (2 * truth - 1)  # sure and wrong on every case
    found = fit_temperature(against, truth, multi_label=False)
    assert math.isclose(found.temperature, HOTTEST, rel_tol=1e-3)
    model = replace(room.model, facts={**room.model.facts, "calibration": {"temperature": found.to_json()}})
    assert "told next to nothing" in _calibrated(model)


def test_one_parameter_is_one_parameter(connection, room, actor) -> None:
    review = add_review(connection, room.project, room.model, criteria=[], actor=actor)
    assert room.model.parameters == 1
    assert ", 1 parameter, input" in describe_card(connection, room.project, review)["Model"]
