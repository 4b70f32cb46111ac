"""A model that paints, and what its network sees on the way: the mean and the spread of the map before its answer.

Both come of one pass, for a pass over volumes takes minutes.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from core.evaluation.predictor import Predictor, open_predictor
from core.store.files import Files
from core.tasks import task_module
from core.training.records import Model
from core.training.stored import Answer, network_of

Tell = Callable[[np.ndarray], None]  # a map (n, channels, pixels)


class Seen:
    """Sums over the pixels that a network was shown since they were last taken."""

    def __init__(self) -> None:
        self._n, self._sums, self._squares = 0, np.zeros(0), np.zeros(0)

    def add(self, features: np.ndarray) -> None:
        """A map `(n, channels, pixels)`; every pixel of every image counts the same."""
        if not self._n:
            self._sums, self._squares = np.zeros((2, features.shape[1]))
        self._n += features.shape[0] * features.shape[2]
        self._sums += features.sum(axis=(0, 2), dtype=np.float64)
        self._squares += np.square(features, dtype=np.float64).sum(axis=(0, 2))

    def take(self) -> np.ndarray:
        """Means and standard deviations of the channels `(2 * channels,)`; empty where nothing was seen."""
        if not self._n:
            return np.zeros(0)
        mean = self._sums / self._n
        spread = np.sqrt(np.maximum(self._squares / self._n - np.square(mean), 0.0))
        self._n = 0
        return np.concatenate([mean, spread])


def open_looking(files: Files, model: Model) -> tuple[Predictor, Sequence[Seen]]:
    """As `open_predictor`, with what each network of the model sees while it answers; nothing is seen in an ONNX file
    that does not end with a convolution."""
    raw, seen = task_module(model.task).RAW, list[Seen]()

    def open_one(files: Files, keras_hash: str, onnx_hash: str | None) -> Answer:
        seen.append(Seen())
        if onnx_hash:
            return _open_onnx(files.read_bytes("models", onnx_hash), seen[-1].add)
        return _open_keras(network_of(files.read_bytes("models", keras_hash)), raw, seen[-1].add)

    return open_predictor(files, model, open_one), seen


def _open_keras(network: Any, raw: str, tell: Tell) -> Answer:
    import keras

    both = keras.Model(network.input, [network.output, network.get_layer(raw).input])

    def answer(images: np.ndarray) -> np.ndarray:
        said, before = (np.asarray(one) for one in both(images, training=False))
        tell(np.moveaxis(before.reshape(len(before), -1, before.shape[-1]), -1, 1))
        return said

    return answer


def _open_onnx(content: bytes, tell: Tell) -> Answer:
    import onnx
    import onnxruntime

    graph = onnx.load_from_string(content)
    wanted = [graph.graph.output[0].name]
    last = [node for node in graph.graph.node if node.op_type == "Conv"][-1:]
    if last:
        graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(last[0].input[0]))
        wanted.append(last[0].input[0])
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def answer(images: np.ndarray) -> np.ndarray:
        said, *before = session.run(wanted, {name: images})
        for one in before:  # a convolution of ONNX has its channels second
            tell(one.reshape(*one.shape[:2], -1))
        return np.asarray(said)

    return answer
