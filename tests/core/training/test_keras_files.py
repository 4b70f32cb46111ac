"""Keras files from elsewhere: what is let through to Keras, and a sentence for each that is not."""

import io
import json
import zipfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import keras
import numpy as np
import pytest

from core.errors import InvalidInput
from core.projects.schema import Regression, make_classification, make_generation
from core.tasks.generation import DRAWER
from core.training.keras_files import check_keras_file
from core.training.networks import build_network, networks_of
from core.training.recipe import change_recipe, named_recipe
from core.training.stored import network_bytes


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small, harmless model as Keras saves it."""
    image = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(2, 3, activation="relu", kernel_regularizer="l2")(image)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.BatchNormalization()(x))
    path = tmp_path_factory.mktemp("keras") / "a.keras"
    keras.Model(image, keras.layers.Dense(2, "softmax")(x)).save(path)
    return path.read_bytes()


def changed(content: bytes, change: Callable[[dict], Any] | None = None, **members: bytes) -> bytes:
    """The file with its description changed, and members replaced or added."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "config.json" and change:
                config = json.loads(part)
                change(config)
                part = json.dumps(config).encode()
            new.writestr(name, members.pop(name, part))
        for name, part in members.items():
            new.writestr(name, part)
    return buffer.getvalue()


def test_a_model_of_plain_layers_is_let_through(saved: bytes) -> None:
    check_keras_file(saved)


def test_all_networks_of_our_own_are_let_through() -> None:
    small = {"input_size": 16, "filters": "4,8", "dense_units": 8, "l2": 0.1}
    for name in networks_of("classification"):
        recipe = change_recipe(named_recipe(name), small)
        check_keras_file(network_bytes(build_network(recipe, make_classification(["a", "b"]), np.ones((2, 2)))))
    for name in networks_of("generation"):
        whole = build_network(
            change_recipe(named_recipe(name), {"input_size": 16, "filters": "4,8"}), make_generation(["a", "b"]),
            np.ones((2, 2)),
        )  # fmt: skip
        check_keras_file(network_bytes(whole.get_layer(DRAWER)))
    number = Regression("age", "years", None, None)
    check_keras_file(
        network_bytes(build_network(change_recipe(named_recipe("resnet"), small), number, np.ones((2, 1))))
    )


def layer_of(config: dict, kind: str) -> dict:
    return next(layer for layer in config["config"]["layers"] if layer["class_name"] == kind)


CHANGES: dict[str, tuple[Callable[[dict], Any], str]] = {
    "lambda": (lambda config: layer_of(config, "Dense").update(class_name="Lambda"), "code of its own"),
    "function": (
        lambda config: layer_of(config, "Dense")["config"].update(
            activation={"module": "os", "class_name": "function", "config": "system", "registered_name": "function"}
        ),
        "code of its own",
    ),
    "module": (lambda config: layer_of(config, "Dense").update(module="os.path"), "does not let in.*os.path"),
    "own layer": (lambda config: layer_of(config, "Dense").update(registered_name="theirs>Dense"), "does not let in"),
    "unknown layer": (
        lambda config: layer_of(config, "Dense").update(class_name="TextVectorization"),
        "does not let in",
    ),
    "list for a name": (lambda config: layer_of(config, "Dense").update(class_name=["Dense"]), "does not let in"),
    "list for a module": (lambda config: layer_of(config, "Dense").update(module=["keras.layers"]), "does not let in"),
    "path": (lambda config: layer_of(config, "Dense")["config"].update(vocabulary="/etc/passwd"), "names a path"),
    "size": (lambda config: layer_of(config, "Dense")["config"].update(units=10**9), "a size beyond"),
    "size beyond all": (lambda config: layer_of(config, "Dense")["config"].update(units=10**400), "a size beyond"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_description_of_anything_else_is_refused(name: str, saved: bytes) -> None:
    change, sentence = CHANGES[name]
    with pytest.raises(InvalidInput, match=sentence):
        check_keras_file(changed(saved, change))


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A model with another inside, which was never compiled."""
    image = keras.Input((8, 8, 1))
    inner = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    path = tmp_path_factory.mktemp("keras") / "nested.keras"
    keras.Model(image, inner(image)).save(path)
    return path.read_bytes()


def test_what_keras_reads_of_a_model_inside_is_looked_at(nested: bytes) -> None:
    """Loading without compiling leaves out how the whole was compiled; of a part, Keras builds what stands there."""
    check_keras_file(nested)
    check_keras_file(changed(nested, lambda config: config.update(compile_config={"optimizer": "/a/path"})))
    loss = {"module": "keras.layers", "class_name": "TextVectorization", "config": {"vocabulary": "/etc/hostname"}}
    compiled = {"compile_config": {"optimizer": "sgd", "loss": loss}}
    with pytest.raises(InvalidInput, match=r"inside it was compiled.*Received: Sequential"):
        check_keras_file(changed(nested, lambda config: layer_of(config, "Sequential").update(compiled)))
    built = {"build_config": {"input_shape": [None, 10**9]}}
    with pytest.raises(InvalidInput, match="a size beyond"):
        check_keras_file(changed(nested, lambda config: layer_of(config, "Sequential").update(built)))


def test_what_is_no_keras_file_is_refused(saved: bytes) -> None:
    for content in (b"", b"not a zip", saved[: len(saved) // 2], changed(saved, **{"config.json": b"{"})):
        with pytest.raises(InvalidInput, match=r"not a Keras file|cannot be read"):
            check_keras_file(content)
    with pytest.raises(InvalidInput, match="of no model"):
        check_keras_file(changed(saved, **{"config.json": b"[]"}))
    with pytest.raises(InvalidInput, match="cannot be read"):
        check_keras_file(changed(saved, **{"config.json": b"[" * 100_000}))


@pytest.mark.parametrize("packed", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_file_that_was_damaged_on_the_way_ends_in_a_sentence(packed: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        archive.writestr("config.json", json.dumps({"class_name": "Sequential", "names": list(range(500))}))
        archive.writestr("model.weights.h5", b"x")
    content = buffer.getvalue()
    for at in range(len("config.json") + 30, 200):  # behind what a zip says of its first file
        with suppress(InvalidInput):  # a few bytes do not matter; what does is refused, and never a traceback
            check_keras_file(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])


def test_a_path_and_a_bomb_inside_are_refused(saved: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"another file or path. Received: '\.\./evil'"):
        check_keras_file(changed(saved, **{"../evil": b"x"}))
    with pytest.raises(InvalidInput, match="zip bomb"):
        check_keras_file(changed(saved, **{"model.weights.h5": bytes(8 << 20)}))
    with pytest.raises(InvalidInput, match="unpack to more than 1 MB"):
        check_keras_file(changed(saved, **{"metadata.json": bytes(2 << 20)}))


@pytest.mark.parametrize(
    ("module", "name"),
    [("keras.src.ops.numpy", "Einsum"), ("os.path", "Add"), ("keras.src.ops.core", "Multiply"), ("os", "__numpy__")],
)
def test_of_operations_only_plain_ones_are_let_through(saved: bytes, module: str, name: str) -> None:
    def put_in(config: dict) -> None:
        config["config"]["layers"].append({"module": module, "class_name": name, "config": {}, "registered_name": name})

    with pytest.raises(InvalidInput, match=f"does not let in. Received: {name} of {module}"):
        check_keras_file(changed(saved, put_in))
