"""A stored model made ready to answer: ONNX Runtime where there is an ONNX file, else Keras."""

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.loading import prepare_images
from core.images.render import InputSpec
from core.images.volume_input import PatchSpec, Spec, spec_of
from core.progress import Portion, Progress, stop_if_asked
from core.store.files import Files
from core.tasks import TrainableSchema, task_module
from core.training.records import Model
from core.training.stored import Answer, mean_of, network_of, open_onnx
from core.training.views import answer_views

OpenOne = Callable[[Files, str, str | None], Answer]
BATCH, VOLUMES_AT_ONCE = 64, 4
VALUES_AT_ONCE = BATCH << 16  # as many pixels as 64 images of 256 px have: a layer holds dozens of maps of each
PREPARED = 0.4  # share of the progress bar


@dataclass(frozen=True)
class Predictor:
    """`answer` takes uint8 `(n, *spec.shape)`, such as `(n, size, size, channels)`, and gives scores `(n, k)`, or maps
    of them, under `schema`. `room` is where large volumes are laid down while they are painted."""

    schema: TrainableSchema
    calibration: dict[str, Any]
    spec: Spec
    engine: str  # "ONNX Runtime" or "Keras", of an ensemble perhaps both
    answer: Answer
    room: Path | None = None


@dataclass(frozen=True)
class _Asked:
    case_id: int


def open_predictor(files: Files, model: Model, open_one: OpenOne | None = None) -> Predictor:
    """Load a model for prediction. Without an ONNX file this imports TensorFlow: only inside a job.

    Args:
        open_one: opens the network of a Keras file or of an ONNX file by their hashes, where more is wanted of it than
            its answers.

    Raises:
        NotFound, CoreError: the model's file is gone, or was altered on disk.
    """
    facts, stored = model.facts, list_stored(model)
    answer = mean_of([(open_one or _open)(files, *hashes) for hashes in stored])
    task = task_module(model.task)
    if facts.get("views"):
        answer = answer_views(answer, facts["views"], paints=task.PAINTS)
    engines = {"ONNX Runtime" if onnx_hash else "Keras" for _, onnx_hash in stored}
    return Predictor(
        schema=task.schema_of(facts),
        calibration=model.calibration,
        spec=spec_of(facts["input"]),
        engine=" and ".join(sorted(engines)),
        answer=answer,
        room=files.root,
    )


def list_stored(model: Model) -> list[tuple[str, str | None]]:
    """The hashes of a model's Keras file and of its ONNX file, where there is one; of an ensemble of each member's."""
    if members := model.facts.get("members"):
        return [(one["keras_hash"], one["onnx_hash"]) for one in members]
    return [(model.keras_hash, model.onnx_hash)]


def _open(files: Files, keras_hash: str, onnx_hash: str | None) -> Answer:
    if onnx_hash:
        return open_onnx(files, onnx_hash)
    network = network_of(files.read_bytes("models", keras_hash))
    return lambda images: np.asarray(network(images, training=False))


def predict_cases(
    connection: sqlite3.Connection, files: Files, model: Model, case_ids: Sequence[int], progress: Progress
) -> np.ndarray:
    """Scores `(cases, k)` in the order of `case_ids`, float32; nothing is stored.

    Raises:
        Stopped: somebody asked to stop.
    """
    return score_cases(connection, files, open_predictor(files, model), case_ids, progress)


def score_cases(
    connection: sqlite3.Connection, files: Files, predictor: Predictor, case_ids: Sequence[int], progress: Progress
) -> np.ndarray:
    """`predict_cases` by a model that is open already."""
    scores = ask_cases(connection, files, predictor.spec, case_ids, predictor.answer, progress)
    return scores.astype(np.float32)


def ask_cases(
    connection: sqlite3.Connection,
    files: Files,
    spec: Spec,
    case_ids: Sequence[int],
    ask: Answer,
    progress: Progress,
    *,
    doing: str = "",
) -> np.ndarray:
    """What something says of each case `(cases, k)` that is given their images batch by batch, as `spec` has them.

    Args:
        doing: what stands before the count of cases in the note.
    """
    assert not isinstance(spec, PatchSpec)  # what sees patches paints
    asked = [_Asked(case_id) for case_id in case_ids]
    prepared = prepare_images(connection, files, asked, spec, Portion(progress, 0.0, PREPARED))
    said, batch = [], batch_of(spec)
    for start in range(0, len(asked), batch):
        stop_if_asked(progress)
        rows = range(start, min(start + batch, len(asked)))
        said.append(ask(prepared.read(rows)))
        done = PREPARED + (1 - PREPARED) * rows.stop / len(asked)
        progress.report(done, f"{doing}{rows.stop} of {len(asked)} cases")
    return np.concatenate(said)


def batch_of(spec: Spec) -> int:
    """How many cases a network answers at once."""
    if not isinstance(spec, InputSpec):
        return VOLUMES_AT_ONCE
    return min(BATCH, max(1, VALUES_AT_ONCE // math.prod(spec.shape)))
