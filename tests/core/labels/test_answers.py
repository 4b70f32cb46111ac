"""Answers as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.labels.answers import label_text, parse_label_text, value_text
from core.projects.schema import Quantity, Regression, make_classification

SINGLE = make_classification(["normal", "Pneumonia"])
MULTI = make_classification(["effusion", "nodule", "Fraktur ü"], multi_label=True)


@given(st.lists(st.sampled_from(MULTI.names), unique=True))
def test_a_multi_label_answer_survives_the_table(names: list[str]) -> None:
    value = {"classes": [name for name in MULTI.names if name in names]}
    assert parse_label_text(MULTI, label_text(value)) == value


@given(st.floats(-1000, 1000))
def test_a_number_survives_the_table_to_the_last_bit(number: float) -> None:
    schema = Regression("age", "years", None, None)
    assert parse_label_text(schema, label_text({"value": number})) == {"value": number}


BODY = Regression("age", "years", None, None, None, (Quantity("body weight", "kg"),))


@given(st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_several_numbers_survive_the_table_to_the_last_bit(age: float, weight: float) -> None:
    value = {"values": {"age": age, "body weight": weight}}
    assert parse_label_text(BODY, label_text(value)) == value


@pytest.mark.parametrize("text", ["62", "age=62", "age=62|body weight=", "age=old|body weight=70", "height=1"])
def test_what_is_not_all_of_several_numbers_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        parse_label_text(BODY, text)


def test_an_empty_cell_is_no_answer_and_a_bar_is_none_of_the_classes() -> None:
    assert parse_label_text(MULTI, "  ") is None
    assert parse_label_text(MULTI, "|") == {"classes": []}
    assert label_text(None) == ""


def test_case_and_blanks_do_not_matter() -> None:
    assert parse_label_text(SINGLE, " PNEUMONIA ") == {"classes": ["Pneumonia"]}


@pytest.mark.parametrize("text", ["flu", "normal|Pneumonia", "|"])
def test_what_is_no_single_known_class_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        parse_label_text(SINGLE, text)


def test_a_word_is_no_number() -> None:
    with pytest.raises(InvalidInput, match="is a number"):
        parse_label_text(Regression("age", "years", None, None), "old")


def test_equal_answers_are_equal_text() -> None:
    assert value_text({"classes": ["Fraktur ü"]}) == '{"classes": ["Fraktur ü"]}'
