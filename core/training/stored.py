"""A stored model as a network again, and the images it takes. Importing this does not import Keras."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.images.render import InputSpec
from core.images.volume_input import Spec, spec_of
from core.store.files import Files
from core.training.records import Model

Answer = Callable[[np.ndarray], np.ndarray]  # what a network sees, to scores or maps of them


def model_spec(model: Model) -> Spec:
    """How images or volumes reach this model."""
    return spec_of(model.facts["input"])


def image_spec(model: Model) -> InputSpec:
    """How images reach a model that sees them one by one.

    Raises:
        InvalidInput: it sees volumes.
    """
    spec = model_spec(model)
    if not isinstance(spec, InputSpec):
        raise InvalidInput(f"This takes a model of single images. Received: {model.name}, which sees volumes")
    return spec


def sees_volumes(model: Model) -> bool:
    """Whether it answers for whole volumes."""
    return "depth" in model.facts.get("input", {})


def learnt_singles(model: Model) -> bool:
    """Whether single images were among the cases that it, or each member of an ensemble, has learnt."""
    return bool(model.facts.get("learnt_singles"))


def load_network(files: Files, model: Model) -> Any:
    """The Keras network, for prediction and explanation only (it is not compiled). Takes some 0.3 s."""
    return network_of(files.read_bytes("models", model.keras_hash))


def network_of(content: bytes) -> Any:
    """The network of a `.keras` file that Readroom wrote itself."""
    import keras

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.keras"  # Keras knows its format by the name, and a stored file has none
        path.write_bytes(content)
        return keras.models.load_model(path, compile=False)


def open_onnx(files: Files, onnx_hash: str) -> Answer:
    """What a stored ONNX file answers; it needs no TensorFlow."""
    import onnxruntime

    session = onnxruntime.InferenceSession(files.read_bytes("models", onnx_hash), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.asarray(session.run(None, {name: images})[0])


def mean_of(answers: Sequence[Answer]) -> Answer:
    """What an ensemble says: the mean of its members' numbers, or calibrated probabilities of a class or a pixel."""
    if len(answers) == 1:
        return answers[0]
    return lambda images: np.asarray(np.mean([answer(images) for answer in answers], axis=0, dtype=np.float32))


def network_bytes(network: Any) -> bytes:
    """A network as the bytes of a `.keras` file."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.keras"
        network.save(path)
        return path.read_bytes()
