"""Groups of a split's cases that the evaluated network sees as alike, kept where an evaluation leaves them.

They are found again from the pixels at any time, so they lie with the prepared images: erasing a case takes them away.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.evaluation.kept_looks import look_key, read_look
from core.evaluation.predictor import ask_cases, list_stored
from core.measures.clusters import FEWEST_A_GROUP, find_clusters
from core.progress import Progress
from core.store.files import Files, array_bytes
from core.tasks import task_module
from core.training.records import Model
from core.training.stored import Answer, model_spec, network_of

VERSION = 1  # raise it when groups are found in another way
NAME = "appearance"  # as an attribute of the cases
FEWEST_CASES = 2 * FEWEST_A_GROUP  # fewer are not looked at


@dataclass(frozen=True)
class Appearance:
    """A group for each case in words, and how far it is from the middle of its group."""

    groups: list[str]
    distance: np.ndarray


def keep_appearance(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    case_ids: Sequence[int],
    scores: np.ndarray,
    progress: Progress,
) -> np.ndarray | None:
    """Find the groups of these cases and keep them; nothing is asked where they are kept already, or too few.

    Returns:
        the features `(cases, d)`, where the network was asked for them.

    Raises:
        Stopped: somebody asked to stop.
    """
    key = appearance_key(model, case_ids)
    if len(case_ids) < FEWEST_CASES or files.has("prepared", key):
        return None
    found = look_at(connection, files, model, case_ids, progress, doing="Grouping by appearance, ")
    features = np.zeros((len(case_ids), 0)) if found is None else found
    keep_groups(files, model, case_ids, features, scores, probabilities=model.task == "classification")
    return found


def keep_groups(
    files: Files,
    model: Model,
    case_ids: Sequence[int],
    features: np.ndarray,
    said: np.ndarray,
    *,
    probabilities: bool,
) -> None:
    """Group cases by their features `(cases, d)` beside what was said of them (`find_clusters`), and keep that."""
    found = find_clusters(features, said, probabilities=probabilities)
    kept = np.zeros((0, 2)) if found is None else np.column_stack([found.group, found.distance])
    files.put_under("prepared", appearance_key(model, case_ids), array_bytes(kept))


def read_appearance(files: Files, model: Model, case_ids: Sequence[int]) -> Appearance | None:
    """The kept groups of these cases; None where there are none, or they were cleared away."""
    kept = read_look(files, appearance_key(model, case_ids))
    if kept is None or len(kept) != len(case_ids):
        return None
    return Appearance([f"group {int(number) + 1}" for number in kept[:, 0]], kept[:, 1])


def appearance_key(model: Model, case_ids: Sequence[int]) -> str:
    """What the groups of these cases are kept by: the weights that see them, and the cases."""
    return look_key(NAME, VERSION, model, list(case_ids))


def look_at(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    case_ids: Sequence[int],
    progress: Progress,
    *,
    doing: str,
) -> np.ndarray | None:
    """Features `(cases, d)` of what comes before the answer, of an ensemble those of its members beside each other;
    None of a network that has no dense layer there."""
    raw = task_module(model.task).RAW
    tools = [tool for hashes in list_stored(model) if (tool := _open(files, *hashes, raw))]
    if len(tools) < len(list_stored(model)):
        return None

    def look(images: np.ndarray) -> np.ndarray:
        return np.concatenate([tool(images) for tool in tools], axis=1)

    spec = model_spec(model)
    return ask_cases(connection, files, spec, case_ids, look, progress, doing=doing)


def _open(files: Files, keras_hash: str, onnx_hash: str | None, raw: str) -> Answer | None:
    """What a network's last dense layer is given; None of an ONNX file that has no such layer."""
    if onnx_hash:
        return _open_onnx(files.read_bytes("models", onnx_hash))
    import keras

    network = network_of(files.read_bytes("models", keras_hash))
    before = keras.Model(network.input, network.get_layer(raw).input)
    return lambda images: np.asarray(before(images, training=False))


def _open_onnx(content: bytes) -> Answer | None:
    """An ONNX file with one more output: what its last matrix product is given. It needs no TensorFlow."""
    import onnx
    import onnxruntime

    graph = onnx.load_from_string(content)
    dense = [node for node in graph.graph.node if node.op_type in ("MatMul", "Gemm")]
    if not dense:
        return None
    before = dense[-1].input[0]
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(before))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: np.asarray(session.run([before], {name: images})[0])
