import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.projects.schema import (
    Classification,
    ClassLabel,
    Regression,
    Segmentation,
    Structure,
    check_schema,
    check_value,
    make_classification,
    schema_from_json,
    schema_to_json,
)

NAMES = st.lists(
    st.text(alphabet="abcdefghij ", min_size=1, max_size=8).map(str.strip).filter(bool),
    min_size=2,
    max_size=12,
    unique_by=str.casefold,
)


def test_keys_and_colours_are_given_out_in_order() -> None:
    schema = make_classification(["normal", "bacterial", "viral"])
    assert [label.key for label in schema.classes] == ["1", "2", "3"]
    assert len({label.colour for label in schema.classes}) == 3


def test_the_tenth_class_has_no_digit() -> None:
    assert make_classification([f"class {n}" for n in range(10)]).classes[9].key == ""


@given(names=NAMES, multi_label=st.booleans())
def test_a_schema_survives_its_stored_form(names: list[str], multi_label: bool) -> None:
    schema = make_classification(names, multi_label=multi_label)
    assert schema_from_json("classification", schema_to_json(schema)) == schema


@pytest.mark.parametrize(
    "schema",
    [Segmentation((Structure("liver", "#ff0000"),)), Regression("age", "years", 0.0, None)],
)
def test_other_tasks_survive_their_stored_form(schema: Segmentation | Regression) -> None:
    task = "segmentation" if isinstance(schema, Segmentation) else "regression"
    assert schema_from_json(task, schema_to_json(schema)) == schema


@pytest.mark.parametrize("names", [[], ["one"], ["a", "A"], ["a", ""], ["a|b", "c"], ["a,b", "c"]])
def test_classes_that_no_reader_could_use_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        make_classification(names)


def test_two_classes_on_one_key_are_refused() -> None:
    twice = Classification((ClassLabel("a", "1", "#000000"), ClassLabel("b", "1", "#ffffff")), multi_label=False)
    with pytest.raises(InvalidInput, match="own digit"):
        check_schema(twice)


@given(names=NAMES, data=st.data())
def test_a_multi_label_answer_is_stored_in_the_order_of_the_schema(names: list[str], data: st.DataObject) -> None:
    schema = make_classification(names, multi_label=True)
    chosen = data.draw(st.lists(st.sampled_from(names)))
    stored = check_value(schema, {"classes": chosen})
    assert stored["classes"] == [name for name in names if name in chosen]
    assert check_value(schema, stored) == stored


@pytest.mark.parametrize(
    "value",
    [None, "normal", {}, {"classes": "normal"}, {"classes": []}, {"classes": ["other"]}, {"classes": ["a", "b"]}],
)
def test_an_answer_outside_the_schema_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        check_value(make_classification(["a", "b"]), value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 121, True, "40"])
def test_a_number_outside_its_range_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        check_value(Regression("age", "years", 0, 120), {"value": value})


def test_a_number_in_its_range_is_kept() -> None:
    assert check_value(Regression("age", "years", None, None), {"value": 40}) == {"value": 40.0}
