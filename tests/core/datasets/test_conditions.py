"""What an image is drawn for is frozen with its class."""

import pytest

from core.datasets.conditions import check_frozen, read_attributes
from core.errors import InvalidInput
from core.projects.schema import make_classification, make_generation


@pytest.mark.parametrize(
    ("attributes", "known"),
    [
        ({"sex": "female", "age": "061Y"}, {"sex": "F", "age": 61.0}),
        ({"sex": "M", "age": "forty"}, {"sex": "M"}),
        ({"sex": " Male "}, {"sex": "M"}),
        ({"sex": "missing", "age": "7"}, {"age": 7.0}),
        ({"sex": "Mujer"}, {}),
        ({"sex": "f/m"}, {}),
        ({"sex": "O", "age": "-3"}, {}),
        ({"age": "nan"}, {}),
        ({}, {}),
    ],
)
def test_sex_and_age_are_read_where_they_can_be(attributes: dict[str, str], known: dict[str, object]) -> None:
    assert read_attributes(attributes) == known


def test_a_frozen_answer_keeps_what_it_is_drawn_for_and_no_other_task_has_that() -> None:
    value = {"classes": ["a"], "sex": "F", "age": 61.0}
    assert check_frozen(make_generation(["a"]), value) == value
    with pytest.raises(InvalidInput):
        check_frozen(make_classification(["a", "b"]), value)
    for wrong in ({"sex": "X"}, {"age": 900}, {"age": True}, {"height": 3}):
        with pytest.raises(InvalidInput):
            check_frozen(make_generation(["a"]), {"classes": ["a"], **wrong})
