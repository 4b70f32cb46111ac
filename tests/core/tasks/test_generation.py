"""What a generation says of its conditions."""

import numpy as np
import pytest

from core.errors import CoreError, InvalidInput
from core.projects.schema import make_generation
from core.tasks.generation import (
    check_trainable,
    decode_scores,
    describe_conditions,
    encode_targets,
    output_names,
    sampling_shares,
)

SCHEMA = make_generation(["normal", "pneumonia"])
VALUES = [{"classes": ["normal"], "sex": "F", "age": 50.0}, {"classes": ["pneumonia"], "sex": "M"}] + [
    {"classes": ["pneumonia"]}
] * 2


def test_class_sex_and_age_are_the_condition_and_what_is_unknown_is_nought() -> None:
    conditions = encode_targets(SCHEMA, VALUES)
    assert output_names(SCHEMA) == ("normal", "pneumonia", "sex F", "sex M", "age known", "age")
    np.testing.assert_allclose(conditions[:3], [[1, 0, 1, 0, 1, 0.5], [0, 1, 0, 1, 0, 0], [0, 1, 0, 0, 0, 0]])
    assert describe_conditions(SCHEMA, conditions) == {
        "classes": {"normal": 1, "pneumonia": 3},
        "sex": {"F": 1, "M": 1},
        "age": {"n": 1, "low": 50.0, "high": 50.0},
    }
    shares = sampling_shares(SCHEMA, conditions)
    assert shares[0] == pytest.approx(shares[1:].sum())


def test_a_class_that_was_never_seen_cannot_be_learnt() -> None:
    conditions = encode_targets(SCHEMA, VALUES)
    check_trainable(SCHEMA, conditions, conditions)
    with pytest.raises(CoreError, match="no training case of normal"):
        check_trainable(SCHEMA, conditions[1:], conditions)


def test_two_classes_at_once_and_answers_about_an_image_are_refused() -> None:
    with pytest.raises(InvalidInput, match="exactly one class"):
        encode_targets(SCHEMA, [{"classes": ["normal", "pneumonia"]}])
    with pytest.raises(InvalidInput, match="answers nothing"):
        decode_scores(SCHEMA, np.zeros(6))
