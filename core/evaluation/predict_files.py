"""Predictions for files that were never imported; nothing of them is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import CoreError, InvalidInput
from core.evaluation.painting import paint_file
from core.evaluation.predictor import Predictor, batch_of, open_predictor
from core.images.decoded import DecodedImage
from core.images.decoding import decode
from core.images.frames import refuse_volume
from core.images.pseudonyms import load_secret
from core.images.render import InputSpec, model_input, refuse_window
from core.images.volume_input import Spec, VolumeSpec, volume_input
from core.progress import Progress, stop_if_asked
from core.projects.schema import Regression, Segmentation
from core.settings import Settings
from core.store.files import Files
from core.tasks import module_of, task_module
from core.tasks.regression import tell_numbers
from core.training.records import Model


def predict_files(
    files: Files, settings: Settings, model: Model, paths: Sequence[Path], progress: Progress, folder: Path
) -> dict[str, Any]:
    """One row per file, in order of path; a folder stands for the files in it.

    Returns:
        `{"model", "engine", "cases", "predicted", "failed"}`; a case is `{"path", "classes": [...], "probabilities":
        {class: p}}`, `{"path", "value", "unit", "interval"}` (see `interval_around`), of several
        quantities `{"path", "numbers": [{"target", "value", "unit", "interval"}]}`, `{"path", "structures": {name:
        {"pixels", "volume_ml", "probability", "file", "value"}}, "files"}` with masks in `folder`, or
        `{"path", "reason"}`.

    Raises:
        InvalidInput: there is no file under the paths.
        Stopped: somebody asked to stop.
    """
    if task_module(model.task).DRAWS:
        raise InvalidInput(f"A model that draws answers nothing about an image; use generate. Received: {model.name}")
    found = _list_files(paths)
    predictor, secret = open_predictor(files, model), load_secret(settings)
    rows: list[dict[str, Any]] = []
    batch = 1 if module_of(predictor.schema).PAINTS else batch_of(predictor.spec)
    for start in range(0, len(found), batch):
        stop_if_asked(progress)
        some = found[start : start + batch]
        if module_of(predictor.schema).PAINTS:
            rows += [_paint(predictor, path, settings, secret, folder, f"{len(rows):05}") for path in some]
        else:
            rows += _predict_batch(predictor, some, settings, secret)
        progress.report(len(rows) / len(found), f"{len(rows)} of {len(found)} files")
    failed = sum("reason" in row for row in rows)
    return {
        "model": model.name,
        "engine": predictor.engine,
        "cases": rows,
        "predicted": len(rows) - failed,
        "failed": failed,
    }


def _paint(
    predictor: Predictor, path: Path, settings: Settings, secret: bytes, folder: Path, stem: str
) -> dict[str, Any]:
    """One file, with its masks in the folder or the reason why there are none."""
    row: dict[str, Any] = {"path": str(path)}
    try:
        image = decode(path, settings, secret)
        refuse_window(predictor.spec.window, image.modality, str(image.pixels.dtype))
        return row | paint_file(predictor, path, image, folder, stem)
    except CoreError as error:
        return row | {"reason": str(error)}
    except OSError as error:
        return row | {"reason": _unreadable(error)}


def _unreadable(error: OSError) -> str:
    return f"It cannot be read; check the path and its permissions. Received: {error.strerror}"


def _predict_batch(
    predictor: Predictor, paths: Sequence[Path], settings: Settings, secret: bytes
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    inputs: list[np.ndarray] = []
    for path in paths:
        row: dict[str, Any] = {"path": str(path)}
        try:
            image = decode(path, settings, secret)
            refuse_window(predictor.spec.window, image.modality, str(image.pixels.dtype))
            inputs.append(_input_of(image, predictor.spec))
        except CoreError as error:
            row["reason"] = str(error)
        except OSError as error:
            row["reason"] = _unreadable(error)
        rows.append(row)
    if inputs:
        scores = predictor.answer(np.stack(inputs))
        answered = iter(scores)
        for row in rows:
            if "reason" not in row:
                row |= _answer(predictor, next(answered))
    return rows


def _input_of(image: DecodedImage, spec: Spec) -> np.ndarray:
    if isinstance(spec, VolumeSpec):
        return volume_input(image.pixels, image, spec)
    assert isinstance(spec, InputSpec)  # what sees patches paints
    refuse_volume(image, "predict on")
    return model_input(image.pixels, image.photometric, image.windows, spec, image.spacing_mm)


def _answer(predictor: Predictor, scores: np.ndarray) -> dict[str, Any]:
    schema = predictor.schema
    assert not isinstance(schema, Segmentation)
    answer = module_of(schema).decode_scores(schema, scores, predictor.calibration)
    if isinstance(schema, Regression):
        return tell_numbers(schema, answer, predictor.calibration)
    return answer | {"probabilities": {name: float(score) for name, score in zip(schema.names, scores, strict=True)}}


def _list_files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
        else:
            found.append(path)  # one that is absent gets its own row with the reason
    if not found:
        raise InvalidInput(f"Name image files, or folders with some. Received: {', '.join(map(str, paths)) or 'none'}")
    return found
