"""Groups of a split's cases that the evaluated network sees as alike, kept where an evaluation leaves them.

They are found again from the pixels at any time, so they lie with the prepared images: erasing a case takes them away.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.datasets.loading import prepare_images
from core.evaluation.predictor import batch_of
from core.images.volume_input import PatchSpec, spec_of
from core.measures.clusters import FEWEST_A_GROUP, find_clusters
from core.progress import Portion, Progress, stop_if_asked
from core.store.files import Files, array_bytes
from core.tasks import task_module
from core.training.records import Model
from core.training.stored import network_of

VERSION = 1  # raise it when groups are found in another way
PREPARED = 0.2
NAME = "appearance"  # as an attribute of the cases
FEWEST_CASES = 2 * FEWEST_A_GROUP  # fewer are not looked at

Features = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Appearance:
    """A group for each case in words, and how far it is from the middle of its group."""

    groups: list[str]
    distance: np.ndarray


@dataclass(frozen=True)
class _Asked:
    case_id: int


def keep_appearance(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    case_ids: Sequence[int],
    scores: np.ndarray,
    progress: Progress,
) -> None:
    """Find the groups of these cases and keep them; nothing is asked where they are kept already, or too few.

    Raises:
        Stopped: somebody asked to stop.
    """
    key = appearance_key(model, case_ids)
    if len(case_ids) < FEWEST_CASES or files.has("prepared", key):
        return
    features = _look(connection, files, model, case_ids, progress)
    found = None if features is None else find_clusters(features, scores)
    kept = np.zeros((0, 2)) if found is None else np.column_stack([found.group, found.distance])
    files.put_under("prepared", key, array_bytes(kept))


def read_appearance(files: Files, model: Model, case_ids: Sequence[int]) -> Appearance | None:
    """The kept groups of these cases; None where there are none, or they were cleared away."""
    path = files.path("prepared", appearance_key(model, case_ids))
    try:
        os.utime(path)  # what is looked at is not cleared away
        kept = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    if len(kept) != len(case_ids):
        return None
    return Appearance([f"group {int(number) + 1}" for number in kept[:, 0]], kept[:, 1])


def appearance_key(model: Model, case_ids: Sequence[int]) -> str:
    """What the groups of these cases are kept by: the weights that see them, and the cases."""
    weights = [one["keras_hash"] for one in model.facts.get("members") or []] or [model.keras_hash]
    return hashlib.sha256(json.dumps([NAME, VERSION, weights, list(case_ids)]).encode()).hexdigest()


def _look(
    connection: sqlite3.Connection, files: Files, model: Model, case_ids: Sequence[int], progress: Progress
) -> np.ndarray | None:
    """Features `(cases, d)` of what comes before the answer, of an ensemble those of its members beside each other."""
    spec = spec_of(model.facts["input"])
    assert not isinstance(spec, PatchSpec)  # what sees patches paints
    members = model.facts.get("members") or [{"keras_hash": model.keras_hash, "onnx_hash": model.onnx_hash}]
    tools = [_open(files, one["keras_hash"], one["onnx_hash"], task_module(model.task).RAW) for one in members]
    if any(tool is None for tool in tools):
        return None
    asked = [_Asked(case_id) for case_id in case_ids]
    images = prepare_images(connection, files, asked, spec, Portion(progress, 0.0, PREPARED))
    found, batch = [], batch_of(spec)
    for start in range(0, len(asked), batch):
        stop_if_asked(progress)
        rows = range(start, min(start + batch, len(asked)))
        some = images.read(rows)
        found.append(np.concatenate([tool(some) for tool in tools if tool], axis=1))
        done = PREPARED + (1 - PREPARED) * rows.stop / len(asked)
        progress.report(done, f"Grouping by appearance, {rows.stop} of {len(asked)} cases")
    return np.concatenate(found)


def _open(files: Files, keras_hash: str, onnx_hash: str | None, raw: str) -> Features | None:
    """What a network's last dense layer is given; None of an ONNX file that has no such layer."""
    if onnx_hash:
        return _open_onnx(files.read_bytes("models", onnx_hash))
    import keras

    network = network_of(files.read_bytes("models", keras_hash))
    before = keras.Model(network.input, network.get_layer(raw).input)
    return lambda images: np.asarray(before(images, training=False))


def _open_onnx(content: bytes) -> Features | None:
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
