import numpy as np
import pytest

from core.errors import CoreError
from core.evaluation.predictor import batch_of, open_predictor
from core.images.render import InputSpec
from core.images.volume_input import VolumeSpec

SIZE = 32  # as in conftest


def brightness_keras(tmp_path) -> bytes:
    """The same model in Keras."""
    import keras

    image = keras.Input((SIZE, SIZE, 1), dtype="uint8")
    centred = keras.layers.Rescaling(1.0, offset=-127.0)(image)
    logits = keras.layers.Dense(2, use_bias=False, name="logits")(keras.layers.GlobalAveragePooling2D()(centred))
    network = keras.Model(image, keras.layers.Softmax()(logits))
    network.get_layer("logits").set_weights([np.array([[-1 / 50, 1 / 50]])])
    path = tmp_path / "made.keras"
    network.save(path)
    return path.read_bytes()


def test_keras_answers_as_onnx_runtime_where_there_is_no_onnx_file(
    files, project, snapshot, model, add_brightness_model, tmp_path
):
    kept = add_brightness_model(project, snapshot, onnx=b"", keras=brightness_keras(tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (5, SIZE, SIZE, 1), np.uint8)
    images[:2] //= 3
    by_keras, by_onnx = open_predictor(files, kept), open_predictor(files, model)
    assert (by_keras.engine, by_onnx.engine) == ("Keras", "ONNX Runtime")
    assert np.allclose(by_keras.answer(images), by_onnx.answer(images), atol=1e-5)


def test_a_model_file_altered_on_disk_is_not_loaded(files, model, brightness_onnx):
    path = files.path("models", model.onnx_hash)
    path.write_bytes(brightness_onnx(3))
    with pytest.raises(CoreError, match="altered on disk"):
        open_predictor(files, model)


def test_the_input_is_what_the_model_was_trained_with(files, model):
    predictor = open_predictor(files, model)
    assert (predictor.spec.size, predictor.spec.channels, predictor.schema.names) == (SIZE, 1, ("normal", "pneumonia"))


def test_large_images_are_answered_a_few_at_a_time() -> None:
    asked = [batch_of(InputSpec(side, channels)) for side, channels in ((224, 1), (256, 1), (1024, 1), (2048, 3))]
    assert asked == [64, 64, 4, 1]
    assert batch_of(VolumeSpec(32, 64)) == 4
