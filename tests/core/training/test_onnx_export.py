"""The ONNX file: the same answers as Keras within the memory limit, or none and the reason."""

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
from scipy.special import expit, softmax

from core.progress import Silent
from core.projects.schema import Quantity, Regression, make_classification, make_segmentation
from core.store.files import Files
from core.tasks.classification import calibrate_network
from core.training import onnx_child, onnx_export
from core.training.networks import build_network
from core.training.onnx_export import make_onnx, watch_child
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import Model
from core.training.stored import load_network, network_bytes, open_onnx

PLENTY = 6 << 30


def stored_model(files: Files, recipe: Recipe, *, multi_label: bool = False) -> Model:
    network = build_network(recipe, make_classification(["a", "b", "c"], multi_label=multi_label), np.ones((2, 3)))
    content = network_bytes(network)
    facts = {"input": {"size": recipe.input_size, "channels": recipe.channels, "resize": recipe.resize}}
    return Model(
        1, 1, 1, "m", files.put_bytes("models", content), None, None, network.count_params(), len(content), facts, ""
    )


@pytest.fixture
def small(small_recipe: Recipe) -> Recipe:
    return change_recipe(small_recipe, {"channels": 3})


def test_the_file_says_what_keras_says(files: Files, small: Recipe, tmp_path: Path) -> None:
    model = stored_model(files, small, multi_label=True)
    onnx_hash, reason = make_onnx(files, model, tmp_path, PLENTY, Silent())
    assert reason is None
    assert onnx_hash is not None
    session = onnxruntime.InferenceSession(files.path("models", onnx_hash), providers=["CPUExecutionProvider"])
    images = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), np.uint8)
    (given,) = session.run(None, {session.get_inputs()[0].name: images})
    np.testing.assert_allclose(given, np.asarray(load_network(files, model)(images)), atol=1e-4)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_temperature_is_in_both_files(files: Files, small: Recipe, tmp_path: Path, multi_label: bool) -> None:
    """What is stored answers with the logits divided by it, whoever reads the file."""
    schema = make_classification(["a", "b", "c"], multi_label=multi_label)
    keras.utils.set_random_seed(0)  # of the weights
    bare = build_network(small, schema, np.ones((2, 3)))
    hot = bare.get_layer("logits")
    hot.set_weights([weights * 3 for weights in hot.get_weights()])  # so sure of itself that cooling shows
    calm = calibrate_network(bare, schema, {"temperature": {"temperature": 2.5}})
    content = network_bytes(calm)
    facts = {"input": {"size": 16, "channels": 3, "resize": small.resize}}
    kept = files.put_bytes("models", content)
    model = Model(1, 1, 1, "m", kept, None, None, calm.count_params(), len(content), facts, "")
    onnx_hash, reason = make_onnx(files, model, tmp_path, PLENTY, Silent())
    assert (reason, onnx_hash is None) == (None, False)
    images = np.random.default_rng(2).integers(0, 256, (5, 16, 16, 3), np.uint8)
    logits = np.asarray(keras.Model(bare.input, hot.output)(images)).astype(np.float64)
    wanted, plain = ((expit if multi_label else softmax_of)(logits / kelvin) for kelvin in (2.5, 1.0))
    assert np.abs(wanted - plain).max() > 0.01
    np.testing.assert_allclose(np.asarray(load_network(files, model)(images)), wanted, atol=1e-5)
    np.testing.assert_allclose(open_onnx(files, str(onnx_hash))(images), wanted, atol=1e-4)


def softmax_of(logits: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(logits, axis=1))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of the exporter itself
def test_the_classic_stack_exports_too(tmp_path: Path) -> None:
    recipe = change_recipe(named_recipe("cnn"), {"input_size": 16, "filters": "4,8", "dense_units": 8})
    path = tmp_path / "model.keras"
    build_network(recipe, make_classification(["a", "b"]), np.ones((2, 2))).save(path)
    assert onnx_child.export(path, tmp_path / "model.onnx") < 1e-4


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of the exporter itself
def test_a_u_net_in_3_d_exports_too_and_more_is_allowed_of_the_worst_voxel(tmp_path: Path) -> None:
    recipe = change_recipe(named_recipe("unet3d"), {"patch_size": "4,8,8", "filters": "2,4"})
    network = build_network(recipe, make_segmentation(["a", "b"]), np.ones((2, 2)))
    network.save(tmp_path / "model.keras")
    assert onnx_child.export(tmp_path / "model.keras", tmp_path / "model.onnx") < 1e-4
    patches = np.random.default_rng(1).integers(0, 256, (1, 4, 8, 8, 1), np.uint8)
    off_by_half_a_thousandth = np.asarray(network(patches)) + 5e-4
    worst = onnx_child.compare(tmp_path / "model.onnx", patches, off_by_half_a_thousandth)
    assert 1e-4 < worst < onnx_child.LARGEST_DIFFERENCE * onnx_child.IN_A_MAP


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of the exporter itself
def test_numbers_are_compared_in_standard_deviations_and_not_in_their_units(tmp_path: Path) -> None:
    recipe = change_recipe(named_recipe("cnn"), {"input_size": 16, "filters": "4,8", "dense_units": 8})
    path, schema = tmp_path / "model.keras", Regression("cells", "cells", None, None, None, (Quantity("dose", "mGy"),))
    large = np.array([[4e6, 2.0], [1e6, 0.5]])
    build_network(recipe, schema, large).save(path)
    assert onnx_child.export(path, tmp_path / "model.onnx") < 1e-4


def test_an_export_beyond_the_memory_limit_is_left_out_with_the_reason(
    files: Files, small: Recipe, tmp_path: Path
) -> None:
    onnx_hash, reason = make_onnx(files, stored_model(files, small), tmp_path, 50 << 20, Silent())
    assert onnx_hash is None
    assert "the export went beyond it" in str(reason)
    assert not (tmp_path / "model.onnx").exists()


def test_weights_alone_beyond_the_limit_start_no_child(
    files: Files, small: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export.subprocess, "Popen", None)
    _, reason = make_onnx(files, stored_model(files, small), tmp_path, 1000, Silent())
    assert "its weights alone take" in str(reason)


def test_a_stop_ends_the_export() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert "stopped before the export" in str(watch_child(child, PLENTY, lambda: True))
    assert child.returncode is not None


def test_a_file_that_predicts_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    network = keras.Sequential([keras.Input((4, 4, 1), dtype="uint8"), keras.layers.Flatten(), keras.layers.Dense(2)])
    network.save(tmp_path / "model.keras")
    monkeypatch.setattr(onnx_child, "export", lambda source, out: 0.02)
    assert onnx_child.main([str(tmp_path / "model.keras"), str(tmp_path / "out.onnx")]) == 1
    assert "differs from Keras by 0.02" in capsys.readouterr().out
    assert not (tmp_path / "out.onnx").exists()


def test_a_file_that_answers_with_no_number_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN is not larger than any limit, so that a file of nothing else passed the comparison."""

    def export(source: Path, out: Path) -> float:
        out.write_bytes(b"onnx")
        return float("nan")

    monkeypatch.setattr(onnx_child, "export", export)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "a").write_bytes(b"keras")
    assert onnx_child.main([str(tmp_path / "a"), str(tmp_path / "b.onnx")]) == 1
    assert not (tmp_path / "b.onnx").exists()
