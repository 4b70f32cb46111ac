"""Cells that go out start no formula, and come back to the last byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cells import FORMULA_STARTS, NUMBER, guard, unguard

TEXTS = st.text(max_size=8) | st.text(alphabet=FORMULA_STARTS + "'1.ea", max_size=8)


@given(TEXTS)
def test_a_cell_starts_no_formula_and_comes_back(text: str) -> None:
    assert unguard(guard(text)) == text
    assert guard(text)[:1] not in [*FORMULA_STARTS] or NUMBER.fullmatch(text)


@pytest.mark.parametrize("number", ["-1.5", "+2", "-3,75", "-1e-3", "12"])
def test_a_number_stays_a_number(number: str) -> None:
    assert guard(number) == number


@pytest.mark.parametrize("text", ["-1+2", "=1", "+A1", "-", "@x", "-1 mm"])
def test_what_is_no_plain_number_is_guarded(text: str) -> None:
    assert guard(text) == f"'{text}"


@pytest.mark.parametrize("text", ["'tis", "it's", "", "'", "a'=1"])
def test_an_apostrophe_that_guards_nothing_stays(text: str) -> None:
    assert unguard(text) == text
