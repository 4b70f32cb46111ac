"""Recipes: what may be set, what is refused, and that they survive JSON."""

import json
import subprocess
import sys
from contextlib import suppress
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import InvalidInput, NotFound
from core.settings import PROJECT_ROOT
from core.training.recipe import (
    FIELDS,
    RECIPE_NAMES,
    Recipe,
    change_recipe,
    named_recipe,
    recipe_from_json,
    recipe_hash,
    recipe_to_json,
)
from core.training.recipe_fields import field_of


def test_the_classic_stack_is_as_described() -> None:
    recipe = named_recipe("cnn")
    assert (recipe.stages, recipe.filters, recipe.dense_units) == (3, (32, 64, 128), 1024)
    assert (recipe.pooling, recipe.pool_size, recipe.kernel_size, recipe.activation) == ("max", 2, 3, "relu")


def test_chests_are_not_mirrored_by_default() -> None:
    assert {named_recipe(name).flip for name in RECIPE_NAMES} == {"none"}


def test_every_value_explains_itself_and_its_effect_on_fitting() -> None:
    assert {field.key for field in FIELDS} == {field.name for field in fields(Recipe)}
    for field in FIELDS:
        assert field.explanation.endswith("."), field.key
        assert any(word in field.effect for word in ("fit", "learn", "trust", "false")), field.key
        field.check(field.default)


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_a_recipe_survives_json(name: str) -> None:
    recipe = named_recipe(name)
    again = recipe_from_json(json.loads(json.dumps(recipe_to_json(recipe))))
    assert again == recipe
    assert recipe_hash(again) == recipe_hash(recipe)


def test_recipes_that_differ_have_different_hashes() -> None:
    assert recipe_hash(Recipe()) != recipe_hash(change_recipe(Recipe(), {"seed": 1}))


def test_text_is_read_as_the_field_s_kind() -> None:
    changed = change_recipe(
        Recipe(), {"batch": "16", "learning_rate": "1e-3", "filters": "8, 16", "channels": "3", "flip": "both"}
    )
    assert (changed.batch, changed.learning_rate, changed.filters) == (16, 0.001, (8, 16))
    assert (changed.channels, changed.flip, changed.stages) == (3, "both", 2)


def test_a_new_stage_has_twice_the_filters_of_the_one_before() -> None:
    assert change_recipe(Recipe(), {"stages": 5}).filters == (32, 64, 128, 256, 512)
    assert change_recipe(Recipe(), {"stages": 2}).filters == (32, 64)


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"epochs": 0}, "0"),
        ({"batch": "many"}, "'many'"),
        ({"batch": 2.5}, "2.5"),
        ({"batch": True}, "True"),
        ({"learning_rate": float("nan")}, "nan"),
        ({"activation": "magic"}, "'magic'"),
        ({"filters": "8,,8"}, "'8,,8'"),
        ({"filters": None}, "None"),
        ({"stages": 99}, "99"),
        ({"stages": 2, "filters": "8"}, "2 stages"),
        ({"colour": 1}, "colour"),
        ({"stages": 6, "input_size": 32}, "6 stages, 32 pixels"),
    ],
)
def test_what_cannot_be_trained_is_refused(changes: dict, received: str) -> None:
    with pytest.raises(InvalidInput, match=f"Received: .*{received}"):
        change_recipe(Recipe(), changes)


@pytest.mark.parametrize("changes", [{"pool_size": 8, "input_size": 64}, {"input_size": 512}, {"pool_size": 1}])
def test_a_stack_without_pixels_or_beyond_memory_is_refused(changes: dict) -> None:
    with pytest.raises(InvalidInput, match="smaller"):
        change_recipe(named_recipe("cnn"), changes)


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(NotFound, match="vgg"):
        named_recipe("vgg")
    with pytest.raises(InvalidInput, match="'vgg'"):
        recipe_from_json({"network": "vgg"})
    with pytest.raises(InvalidInput, match="list"):
        recipe_from_json([])  # type: ignore[arg-type]


@given(st.one_of(st.text(max_size=8), st.integers(), st.floats(), st.none(), st.lists(st.integers(), max_size=3)))
def test_no_value_ends_in_anything_but_a_refusal(value: object) -> None:
    for field in FIELDS:
        with suppress(InvalidInput):
            field.check(field.read(value))


def test_a_number_has_no_classes_to_weigh_and_no_certainty_to_smooth() -> None:
    for key in ("class_weights", "label_smoothing"):
        assert field_of(key).is_read("resnet", "classification")
        assert not field_of(key).is_read("resnet", "regression")
    assert field_of("learning_rate").is_read("resnet", "regression")
    assert not field_of("dense_units").is_read("resnet", "classification")


def test_allowed_values_are_said_in_words() -> None:
    assert field_of("rotation").allowed() == "a number from 0 to 180"
    assert field_of("pooling").allowed() == "one of max, average"


def test_recipes_and_records_need_no_tensorflow() -> None:
    script = (
        "import sys, core.training.recipe, core.training.records, core.training.request, core.training.device, "
        "core.training.stored, core.training.kept, core.tasks\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, check=True)


def test_every_recipe_can_be_chosen_on_screen_and_its_name_is_its_network() -> None:
    assert field_of("network").choices == RECIPE_NAMES
    assert [named_recipe(name).network for name in RECIPE_NAMES] == list(RECIPE_NAMES)


def test_a_key_that_is_nearly_one_of_a_recipe_is_answered_with_that_one_and_not_with_all_fifty() -> None:
    with pytest.raises(InvalidInput, match=r"no epohcs; did you mean epochs\? Received: epohcs"):
        field_of("epohcs")
    with pytest.raises(InvalidInput, match=r"no zzz; it has network, .*, mixup\. Received: zzz"):
        field_of("zzz")
