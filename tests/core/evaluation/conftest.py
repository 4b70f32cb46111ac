"""A collection of grey squares, and a model that calls bright ones "pneumonia": its answers are known by hand."""

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot
from core.images.records import NewCase, insert_case
from core.labels.records import NewLabel, add_label
from core.people.accounts import ensure_user
from core.progress import Silent
from core.training.recipe import change_recipe, named_recipe
from core.training.records import Model, add_model, get_model, set_onnx
from core.training.request import request_training

SIZE = 32
PATIENTS = 20  # two images each


@pytest.fixture
def add_square(connection, files, actor):
    """Import a square of one brightness with a little texture, and label it."""
    ensure_user(connection, "anna")

    def add(project, source, patient, brightness, answer):
        random = np.random.default_rng(list(source.encode()))
        pixels = np.clip(brightness + random.integers(-20, 21, (40, 40)), 0, 255).astype(np.uint8)
        pixels[0] = np.repeat([0, 255], 20)  # a black and a white corner, so that the display window keeps the grey
        pixel_hash = files.put_array("pixels", pixels)
        case = insert_case(
            connection,
            NewCase(
                project=project.id, source=source, patient=patient, patient_from="table", pixel_hash=pixel_hash,
                file_hash=pixel_hash, perceptual_hash=None, rows=40, columns=40, channels=1, dtype="uint8",
                photometric="MONOCHROME2", imported_by="anna",
            ),
        )  # fmt: skip
        add_label(connection, NewLabel(f"event-{source}", case.id, "anna", {"classes": answer}), actor)
        return case

    return add


@pytest.fixture
def snapshot(connection, files, project, actor, add_square) -> Snapshot:
    """20 patients with two squares each; in every fifth patient the answer contradicts the brightness."""
    for k in range(2 * PATIENTS):
        patient, bright = k // 2, (k // 2) % 2 == 1
        answer = bright != (patient % 5 == 0)
        add_square(project, f"{k}.png", f"p{patient}", 190 if bright else 60, ["pneumonia" if answer else "normal"])
    return freeze_snapshot(
        connection, files, project, "first", folds=4, allow_leaks="squares look alike", actor=actor, progress=Silent()
    )


@pytest.fixture(scope="session")
def brightness_onnx():
    return make_brightness_onnx


def make_brightness_onnx(classes: int = 2, *, sigmoid: bool = False, sign: float = 1.0) -> bytes:
    """uint8 (n, 32, 32, 1) to probabilities: logits are +-(mean - 127) / 50 times `sign`, else a constant."""
    from onnx import TensorProto, helper

    signs = np.zeros(classes, np.float32)
    signs[:2] = -sign / 50, sign / 50
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Sub", ["mean", "middle"], ["centred"]),
        helper.make_node("Mul", ["centred", "signs"], ["logits"]),
        helper.make_node("Sigmoid" if sigmoid else "Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [None, SIZE, SIZE, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, classes])],
        [
            helper.make_tensor("middle", TensorProto.FLOAT, [1], [127.0]),
            helper.make_tensor("signs", TensorProto.FLOAT, [1, classes], signs.tolist()),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


@pytest.fixture
def add_brightness_model(connection, files, actor):
    """Store the brightness model as what a run on a snapshot left."""

    def add(project, snapshot, *, fold=None, onnx=None, keras=b"not loaded in these tests", multi_label=False):
        recipe = change_recipe(named_recipe("cnn"), {"input_size": SIZE})
        run, _ = request_training(connection, project, snapshot, recipe, fold=fold, actor=actor)
        facts = {
            "input": {"size": SIZE, "channels": 1, "resize": "stretch"},
            "classes": list(project.schema.names),
            "multi_label": multi_label,
        }
        model = add_model(
            connection, run, keras_hash=files.put_bytes("models", keras), onnx_left_out_because=None, parameters=2,
            file_bytes=len(keras), facts=facts, seconds=1.0, actor=actor,
        )  # fmt: skip
        if onnx != b"":
            set_onnx(connection, model.id, files.put_bytes("models", onnx or make_brightness_onnx()), None)
        return get_model(connection, None, model.id)

    return add


@pytest.fixture
def model(project, snapshot, add_brightness_model) -> Model:
    return add_brightness_model(project, snapshot)
