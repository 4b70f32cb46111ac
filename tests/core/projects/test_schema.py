import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput
from core.images.label_table import ANSWER_COLUMNS, CASE_COLUMNS, LATER_COLUMNS
from core.projects.schema import (
    NAMES_OF_COLUMNS,
    Classification,
    ClassLabel,
    Quantity,
    Regression,
    Segmentation,
    Structure,
    check_schema,
    check_value,
    make_classification,
    make_segmentation,
    numbers_of,
    schema_from_json,
    schema_to_json,
    value_of_numbers,
    without_retired,
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
    [
        Segmentation((Structure("liver", "#ff0000"), Structure("old", "#00ff00", retired=True))),
        Regression("age", "years", 0.0, None),
        Regression("heart width", "mm", None, None, "length"),
        Regression("age", "years", 0.0, None, None, (Quantity("weight", "kg", 20.0, None),)),
    ],
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


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 121, True, "40", 10**400])
def test_a_number_outside_its_range_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        check_value(Regression("age", "years", 0, 120), {"value": value})


def test_a_number_in_its_range_is_kept() -> None:
    assert check_value(Regression("age", "years", None, None), {"value": 40}) == {"value": 40.0}


BODY = Regression("weight", "kg", 20, None, None, (Quantity("age", "years", 0, 120),))


def test_several_numbers_are_kept_in_the_order_in_which_they_are_asked() -> None:
    value = check_value(BODY, {"values": {"age": 62, "weight": 70.5}})
    assert list(value["values"].items()) == [("weight", 70.5), ("age", 62.0)]
    assert value_of_numbers(BODY, numbers_of(BODY, value)) == value


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"values": {"age": 62}}, "half an answer is none. Received: no weight"),
        ({"values": {"age": 62, "weight": None}}, "Received: no weight"),
        ({"values": {"age": 62, "weight": "70"}}, "weight: give a number"),
        ({"values": {"age": 121, "weight": 70}}, "age lies between 0 and 120 years"),
        ({"values": {"age": 62, "weight": 70, "height": 1}}, "An answer reads"),
        ({"value": 62}, "An answer reads"),
    ],
)
def test_half_an_answer_of_several_numbers_is_none(value: dict, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_value(BODY, value)


def test_the_names_of_a_tables_other_columns_are_known() -> None:
    assert {*CASE_COLUMNS, *ANSWER_COLUMNS, *LATER_COLUMNS} == NAMES_OF_COLUMNS


def test_what_came_later_is_told_only_where_it_is_set() -> None:
    """The hash of a snapshot is over this form, and must stay what it was."""
    assert schema_to_json(make_classification(["a", "b"])) == {
        "classes": ({"name": "a", "key": "1", "colour": "#56b4e9"}, {"name": "b", "key": "2", "colour": "#e69f00"}),
        "multi_label": False,
    }
    assert schema_to_json(Regression("age", "years", 0, None)) == {
        "target": "age", "unit": "years", "low": 0, "high": None,
    }  # fmt: skip
    assert schema_to_json(make_segmentation(["liver"])) == {"structures": ({"name": "liver", "colour": "#56b4e9"},)}


def test_retired_classes_are_good_for_old_answers_alone() -> None:
    schema = Classification(
        (
            ClassLabel("a", "1", "#000000"),
            ClassLabel("b", "2", "#ffffff"),
            ClassLabel("old", "", "#ff0000", retired=True),
        ),
        multi_label=True,
    )
    with pytest.raises(InvalidInput, match=r"No longer offered.*\['old'\]"):
        check_value(schema, {"classes": ["a", "old"]})
    assert check_value(schema, {"classes": ["old", "a"]}, retired=True) == {"classes": ["a", "old"]}
    assert without_retired(schema).names == ("a", "b")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ({"structures": ["lesion", "liver"]}, ["liver", "lesion"]),
        ({"structures": []}, []),
        ({"structures": ["spleen"]}, None),
        ({"structures": "liver"}, None),
        ({"structures": [["liver"]]}, None),
        ({"classes": ["liver"]}, None),
    ],
)
def test_a_segmentation_is_answered_by_the_structures_found(value: object, stored: list[str] | None) -> None:
    schema = make_segmentation(["liver", "lesion"])
    if stored is not None:
        assert check_value(schema, value) == {"structures": stored}
        return
    with pytest.raises(InvalidInput, match="Received"):
        check_value(schema, value)


@pytest.mark.parametrize("names", [[], [""], ["a", "A"], ["a|b"], ["a,b"], ["x" * 101], ["a\nb"]])
def test_structures_that_no_reader_could_use_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidInput, match="Received"):
        make_segmentation(names)


@pytest.mark.parametrize(
    ("quantity", "sentence"),
    [
        (Regression("", "years", None, None), "Name the quantity"),
        (Regression("age", " ", None, None), "Name the unit"),
        (Regression("age", "years", 10, 10), "from a lower to a higher"),
        (Regression("age", "years", float("nan"), None), "from a lower to a higher"),
        (Regression("width", "px", None, None, "length"), "comes in mm or cm"),
        (Regression("width", "mm", None, None, "width"), "length, angle, area"),  # type: ignore[arg-type]
        (Regression("width", "mm", None, None, "length", (Quantity("age", "years"),)), "the only one of its project"),
        (Regression("age", "years", None, None, None, (Quantity("Age", "months"),)), "its own name"),
        (Regression("age", "years", None, None, None, (Quantity("weight", ""),)), "Name the unit"),
        (Regression("age", "years", None, None, None, (Quantity("reader", "people"),)), "another column's"),
        (Regression("age", "years", None, None, None, (Quantity("a=b", "kg"),)), "without ="),
        (Regression("age", "years", None, None, None, tuple(Quantity(f"q{at}", "kg") for at in range(8))), "at most 8"),
    ],
)
def test_a_quantity_that_nobody_could_measure_is_refused(quantity: Regression, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        check_schema(quantity)


@pytest.mark.parametrize("colour", ["red", "#12345", "#1234567", "#12345g", "url(x)"])
def test_a_colour_is_six_digits_and_nothing_else(colour: str) -> None:
    with pytest.raises(InvalidInput, match="A colour reads like"):
        check_schema(Segmentation((Structure("liver", colour),)))
