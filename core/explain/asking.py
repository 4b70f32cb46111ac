"""What methods share that only ask a model for answers: through ONNX Runtime where it has such a file, else Keras."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import numpy as np

from core.explain.maps import at_once, blurred, in_parts, spoken_for, strength_of
from core.store.files import Files
from core.training.records import Model
from core.training.stored import Answer, load_network, mean_of, open_onnx

AT_ONCE = 32  # larger batches leave the processor's cache
Report = Callable[[float], None]


def open_answer(files: Files, model: Model) -> Answer:
    """uint8 `(n, size, size, channels)` to scores `(n, k)`, of several models their mean; without an ONNX file this
    imports TensorFlow."""
    if members := model.facts.get("members"):
        return mean_of(
            [
                open_answer(files, replace(model, keras_hash=one["keras_hash"], onnx_hash=one["onnx_hash"], facts={}))
                for one in members
            ]
        )
    return answer_of(load_network(files, model)) if model.onnx_hash is None else open_onnx(files, model.onnx_hash)


def kept_answer(files: Files, model: Model, kept: dict[str, Any]) -> Answer:
    """A model's answers; the last one asked stays loaded, for questions about one model come one after the other."""
    answers = kept.setdefault("answers", {})
    if model.keras_hash not in answers:
        answers.clear()
        answers[model.keras_hash] = open_answer(files, model)
    return cast(Answer, answers[model.keras_hash])


def answer_of(network: Any) -> Answer:
    """A network that is in memory, compiled for batches of any size."""
    import tensorflow as tf

    shape = tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8)
    compiled = tf.function(lambda images: network(images, training=False), input_signature=[shape], autograph=False)
    return lambda images: np.asarray(compiled(tf.constant(images)))


class Asking:
    """A method that hides parts of an image and asks again. What is hidden turns into its surroundings (a blur).

    Args:
        report: is told how much of an image is done, 0 to 1.
    """

    def __init__(self, answer: Answer, *, is_number: bool, seed: int = 0, report: Report = lambda share: None) -> None:
        self.answer, self.is_number, self.seed, self.report = answer, is_number, seed, report

    def explain(self, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As `GradCam.explain`, at the resolution of the input."""
        maps = [self.attribute(image, int(which)) for image, which in zip(images, classes, strict=True)]
        return spoken_for(np.stack(maps)), in_parts(self.answer, images)

    def attribute(self, image: np.ndarray, class_index: int) -> np.ndarray:
        """Signed map `(size, size)` of one image, `(depth, size, size)` of a volume."""
        raise NotImplementedError

    def ask(self, image: np.ndarray, seen: Iterator[np.ndarray], n: int, class_index: int) -> np.ndarray:
        """How strongly the model speaks `(n,)` where only a part is seen.

        Args:
            seen: `n` masks of the map's shape, 1 where the image is seen, 0 where it is hidden; all of bool or all of
                float, which mix.
        """
        hidden, spoken, step = blurred(image), [], at_once(image.shape, AT_ONCE)
        for start in range(0, n, step):
            masks = np.stack([next(seen) for _ in range(min(step, n - start))])[..., None]
            if masks.dtype == bool:
                batch = np.where(masks, image, hidden)
            else:
                batch = np.rint(hidden + masks * (image.astype(np.float32) - hidden)).astype(np.uint8)
            scores = self.answer(batch)
            classes = np.full(len(batch), class_index)
            spoken.append(strength_of(scores, classes, is_number=self.is_number))
            self.report((start + len(batch)) / n)
        return np.concatenate(spoken)
