"""The networks: what goes in, what comes out, that every setting reaches them, and that one is one file."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from core.errors import InvalidInput
from core.projects.schema import make_classification, make_generation, make_segmentation
from core.settings import PROJECT_ROOT
from core.training.networks import (
    FIRST,
    NETWORKS,
    build_network,
    check_network,
    check_weights,
    count_weights,
    feature_layers,
    first_network,
    input_of,
    networks_of,
)
from core.training.recipe import FIELDS, RECIPE_NAMES, change_recipe, named_recipe

TWO = make_classification(["a", "b"])
PAINTED = make_segmentation(["a", "b", "c"])
# of a ready-made network the first two stages
SMALL = {"input_size": 16, "input_depth": 8, "filters": "4,8", "dense_units": 16}
CLASSIFIERS = networks_of("classification")


def built(name: str, schema=TWO, **changes):
    return build_network(
        change_recipe(named_recipe(name), {**SMALL, **changes}), schema, np.ones((2, len(schema.names)))
    )


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_uint8_goes_in_and_probabilities_come_out(name: str) -> None:
    network = built(name, channels=3)
    images = np.random.default_rng(0).integers(0, 256, (3, *network.input_shape[1:]), np.uint8)
    scores = np.asarray(network(images))
    assert network.input_shape[2:] == (16, 16, 3) or network.input_shape[1:] == (16, 16, 3)
    assert network.input.dtype == "uint8"
    assert network.output_names == ["probabilities"]
    assert scores.shape == (3, 2)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_several_labels_are_independent(name: str) -> None:
    network = built(name, make_classification(["a"], multi_label=True))
    assert network.get_layer("probabilities").activation is keras.activations.sigmoid
    assert network.output_shape == (None, 1)


@pytest.mark.parametrize("name", [name for name in RECIPE_NAMES if name not in networks_of("generation")])
def test_the_layers_for_explanations_are_there(name: str) -> None:
    network = built(name, TWO if name in CLASSIFIERS else PAINTED)
    assert network.input_shape[1:] == input_of(change_recipe(named_recipe(name), SMALL)).shape
    for layer in feature_layers(change_recipe(named_recipe(name), SMALL)):
        assert len(network.get_layer(layer).output.shape) == len(network.input_shape)


def test_a_u_net_answers_for_every_pixel_and_structure() -> None:
    keras.utils.set_random_seed(0)  # of the weights
    network = built("unet2d", PAINTED, channels=3, stages=3, filters="4,6,8", blocks=2)
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    scores = np.asarray(network(images))
    assert network.output_names == ["probabilities"]
    assert scores.shape == (2, 16, 16, 3)
    assert scores.min() > 0
    assert scores.max() < 1
    assert [network.get_layer(f"stage_{stage}").output.shape[1] for stage in (1, 2, 3)] == [16, 8, 4]
    # By the bridge at full size a pixel reaches its own answer unblurred: with the way down cut off, it still does.
    shown = images.copy()
    shown[:, 5, 5] = 255 - shown[:, 5, 5]
    moved = np.abs(np.asarray(network(shown)) - scores).max(axis=(0, 3))
    assert np.unravel_index(moved.argmax(), moved.shape)[0] in range(2, 9)


def test_a_u_net_takes_sizes_that_meet_again_on_the_way_up() -> None:
    with pytest.raises(InvalidInput, match=r"that 8 divides, for example 96\. Received: 100 pixels"):
        change_recipe(named_recipe("unet2d"), {"input_size": 100})


def test_a_u_net_in_3_d_answers_for_every_voxel_and_halves_only_what_is_long_enough() -> None:
    network = built("unet3d", PAINTED, channels=3, filters="4,6,8", patch_size="5,16,24")
    patches = np.random.default_rng(0).integers(0, 256, (2, 5, 16, 24, 3), np.uint8)
    scores = np.asarray(network(patches))
    assert scores.shape == (2, 5, 16, 24, 3)
    assert 0 < scores.min() < scores.max() < 1
    stages = [network.get_layer(f"stage_{stage}").output.shape[1:4] for stage in (1, 2, 3)]
    assert stages == [(5, 16, 24), (5, 8, 12), (5, 4, 6)], "five thick slices stay five"
    for sides in ("16,16", "2,16,16", "512,512,512"):
        with pytest.raises(InvalidInput, match=r"depth, rows and columns|must be whole numbers"):
            built("unet3d", PAINTED, patch_size=sides)
    with pytest.raises(InvalidInput, match="three numbers"):
        built("unet3d", PAINTED, spacing_mm="1,1,0")


def test_a_network_says_which_tasks_it_learns() -> None:
    assert first_network("classification") == first_network("regression") == FIRST
    assert first_network("segmentation") == "unet2d"
    check_network("unet2d", "segmentation")
    with pytest.raises(InvalidInput, match="does not learn segmentation; take unet2d"):
        check_network("resnet", "segmentation")
    with pytest.raises(InvalidInput, match="take resnet, cnn, cnn3d"):
        check_network("unet2d", "classification")


def test_the_classic_stack_has_the_weights_it_should() -> None:
    recipe = change_recipe(named_recipe("cnn"), {"input_size": 64, "channels": 3})
    network = build_network(recipe, TWO, np.ones((2, 2)))
    convolutions = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.filters for layer in convolutions] == [32, 64, 128]
    assert [layer.kernel_size for layer in convolutions] == [(3, 3)] * 3
    # Three convolutions, 8 x 8 x 128 features into 1024 units, two classes.
    expected = (9 * 3 + 1) * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 128 + (8 * 8 * 128 + 1) * 1024 + 1025 * 2
    assert network.count_params() == expected


def test_every_setting_of_the_classic_stack_reaches_it() -> None:
    network = built(
        "cnn", kernel_size=5, pooling="average", pool_size=3, activation="tanh", dropout=0.25, l2=0.01, filters="4"
    )
    kinds = {type(layer): layer for layer in network.layers}
    assert kinds[keras.layers.AveragePooling2D].pool_size == (3, 3)
    assert kinds[keras.layers.Conv2D].kernel_size == (5, 5)
    assert kinds[keras.layers.Conv2D].kernel_regularizer.l2 == pytest.approx(0.01)
    assert network.get_layer("stage_1").activation is keras.activations.tanh
    assert network.get_layer("dropout").rate == 0.25
    assert len(network.losses) == 3


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_weights_are_counted_without_building(name: str) -> None:
    schemas = {"classification": TWO, "segmentation": PAINTED, "generation": make_generation(["a", "b"])}
    schema = schemas[NETWORKS[name].TASKS[0]]
    fields, first = NETWORKS[name].FIELDS, {"input_size": 32}
    others = {"kernel_size": 5, "blocks": 3, "latent": 100, "dense_units": 100}
    changed = {**first, "filters": "16,48,64", **{key: value for key, value in others.items() if key in fields}}
    for changes in (first, changed) if "filters" in fields else (first,):
        recipe = change_recipe(named_recipe(name), changes)
        network = build_network(recipe, schema, np.ones((2, len(schema.names))))
        assert 0.93 < count_weights(recipe) / network.count_params() <= 1
        assert set(NETWORKS[name].WEIGHED_BY) <= {"input_size", *fields}


ABSURD = {"filters": ",".join(["1024"] * 6), "kernel_size": 11, "blocks": 8, "input_size": 1024, "batch": 4096}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("resnet", ABSURD),
        ("cnn", {**ABSURD, "dense_units": 1}),
        ("cnn3d", {**ABSURD, "input_size": 64}),
        ("unet2d", ABSURD),
        ("unet3d", ABSURD),
        ("diffusion", ABSURD),
        ("vae", {"filters": "64", "latent": 512, "input_size": 1024}),
    ],
)
def test_a_network_beyond_every_memory_is_refused_with_the_fields_to_make_smaller(name: str, changes: dict) -> None:
    with pytest.raises(InvalidInput, match="million weights, and 500 million is the limit") as refused:
        check_weights(change_recipe(named_recipe(name), changes))
    said, received = str(refused.value).split(" Received: ")
    for key in NETWORKS[name].WEIGHED_BY:
        assert key in said
        assert f"{key} " in received


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_no_network_is_refused_as_its_recipe_begins_even_on_large_images(name: str) -> None:
    check_weights(named_recipe(name))
    if name != "cnn":
        check_weights(change_recipe(named_recipe(name), {"input_size": 256}))


def test_a_residual_network_grows_with_its_blocks() -> None:
    assert built("resnet", blocks=2).count_params() > built("resnet", blocks=1).count_params()
    assert built("resnet").get_layer("stage_2").output.shape[1] == 8


def test_large_images_are_halved_at_once_and_small_ones_are_not() -> None:
    assert built("resnet", input_size=64).get_layer("stage_1").output.shape[1] == 32
    assert built("resnet", input_size=28).get_layer("stage_1").output.shape[1] == 28


def test_every_network_is_a_file_and_every_file_a_network() -> None:
    folder = PROJECT_ROOT / "core" / "training" / "networks"
    assert set(NETWORKS) == {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert next(iter(NETWORKS)) == FIRST


@pytest.mark.parametrize("name", RECIPE_NAMES)
def test_a_network_names_the_fields_that_it_reads(name: str) -> None:
    """In `recipe.<field>`: a control that changes nothing would be a lie, and so would one that is missing."""
    source = (PROJECT_ROOT / "core" / "training" / "networks" / f"{name}.py").read_text("utf-8")
    read = {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "recipe"
    }
    its_own = {field.key for field in FIELDS if field.group == "network"} - {"network"}
    assert set(NETWORKS[name].FIELDS) <= its_own
    # Filters are given for each stage, whether or not a network counts them again.
    assert set(NETWORKS[name].FIELDS) - {"stages"} == (read & its_own) - {"stages"}


def test_a_copy_of_a_file_under_a_new_name_is_a_network_that_trains(tmp_path: Path) -> None:
    """As CONTRIBUTING says, in a copy of the engine: chosen by name, on the command line too, and trained two steps."""
    shutil.copytree(PROJECT_ROOT / "core", tmp_path / "core")  # with its byte-code, which takes seconds to make
    networks = tmp_path / "core" / "training" / "networks"
    shutil.copy(networks / "cnn.py", networks / "little.py")
    script = """
import sys
from core.cli.app import app
from core.training.recipe import RECIPES, change_recipe, named_recipe, recipe_from_json, recipe_to_json
from core.training.recipe_fields import field_of

assert not {"keras", "tensorflow"} & set(sys.modules), "listing networks must not load Keras"
assert "little" in RECIPES
assert list(RECIPES) == ["resnet", *sorted(set(RECIPES) - {"resnet"})]
assert field_of("network").choices == tuple(RECIPES)
assert field_of("pool_size").networks == ("cnn", "little")
recipe = change_recipe(named_recipe("little"), {"input_size": 16, "filters": "4,8", "dense_units": 8, "batch": 4})
assert (recipe.network, recipe.optimiser) == ("little", "adam")
assert recipe_from_json(recipe_to_json(recipe)) == recipe

from core.training.device import CPU
from core.training.trial import try_device

assert try_device(CPU, recipe, 2) > 0
assert not {"matplotlib", "sklearn", "pandas"} & set(sys.modules), "Keras brought along what is never called"
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
