"""A stored model made ready to answer: ONNX Runtime where there is an ONNX file, else Keras."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.datasets.loading import prepare_images
from core.evaluation.views import answer_views
from core.images.render import InputSpec
from core.images.volume_input import PatchSpec, Spec, spec_of
from core.progress import Portion, Progress, stop_if_asked
from core.store.files import Files
from core.tasks import TrainableSchema, task_module
from core.training.records import Model
from core.training.stored import Answer, mean_of, network_of, open_onnx

BATCH, VOLUMES_AT_ONCE = 64, 4
PREPARED = 0.4  # share of the progress bar


@dataclass(frozen=True)
class Predictor:
    """`answer` takes uint8 `(n, *spec.shape)`, such as `(n, size, size, channels)`, and gives scores `(n, k)`, or maps
    of them, under `schema`."""

    schema: TrainableSchema
    calibration: dict[str, Any]
    spec: Spec
    engine: str  # "ONNX Runtime" or "Keras", of an ensemble perhaps both
    answer: Answer


@dataclass(frozen=True)
class _Asked:
    case_id: int


def open_predictor(files: Files, model: Model) -> Predictor:
    """Load a model for prediction. Without an ONNX file this imports TensorFlow: only inside a job.

    Raises:
        NotFound, CoreError: the model's file is gone, or was altered on disk.
    """
    facts = model.facts
    members = facts.get("members") or [{"keras_hash": model.keras_hash, "onnx_hash": model.onnx_hash}]
    answer = mean_of([_open(files, **{key: one[key] for key in ("keras_hash", "onnx_hash")}) for one in members])
    task = task_module(model.task)
    if facts.get("views"):
        answer = answer_views(answer, facts["views"], paints=task.PAINTS)
    engines = {"ONNX Runtime" if one["onnx_hash"] else "Keras" for one in members}
    return Predictor(
        schema=task.schema_of(facts),
        calibration=model.calibration,
        spec=spec_of(facts["input"]),
        engine=" and ".join(sorted(engines)),
        answer=answer,
    )


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
    predictor = open_predictor(files, model)
    asked, spec = [_Asked(case_id) for case_id in case_ids], predictor.spec
    assert not isinstance(spec, PatchSpec)  # what sees patches paints
    prepared = prepare_images(connection, files, asked, spec, Portion(progress, 0.0, PREPARED))
    scores = []
    batch = batch_of(spec)
    for start in range(0, len(asked), batch):
        stop_if_asked(progress)
        rows = range(start, min(start + batch, len(asked)))
        scores.append(predictor.answer(prepared.read(rows)))
        progress.report(PREPARED + (1 - PREPARED) * rows.stop / len(asked), f"{rows.stop} of {len(asked)} cases")
    return np.concatenate(scores).astype(np.float32)


def batch_of(spec: Spec) -> int:
    """How many cases a network answers at once."""
    return BATCH if isinstance(spec, InputSpec) else VOLUMES_AT_ONCE
