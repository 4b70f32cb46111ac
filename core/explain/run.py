"""The body of an explanation job, and what the warm process keeps between two of them."""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.loading import prepare_images
from core.datasets.records import get_snapshot
from core.errors import InvalidInput
from core.explain.checks import check_randomised, choose_layer
from core.explain.grad_cam import METHOD, GradCam
from core.explain.members import MeanCam, combine_facts
from core.explain.overlay import crop_borders, draw_overlay
from core.images.frames import refuse_volume
from core.images.records import Case, get_case
from core.images.render import InputSpec, model_input, to_uint8
from core.progress import Progress, stop_if_asked
from core.store.files import Files, array_bytes, write_whole
from core.tasks import task_module
from core.training.ensemble import member_ids
from core.training.records import Model, get_model, get_run, set_model_fact
from core.training.request import training_cases
from core.training.stored import load_network, model_spec

FACT = "explanations"  # of a model: the layer chosen and the check passed, by method
CASES_CHECKED = 24
MODELS_KEPT = 3  # in the warm process; each takes some 100 MB


@dataclass(frozen=True)
class Explainer:
    """A model with its network loaded and its maps compiled; `names` are those of its outputs."""

    model: Model
    names: tuple[str, ...]
    spec: InputSpec
    cam: GradCam | MeanCam

    def explain(self, case: Case, pixels: np.ndarray, class_name: str | None) -> tuple[np.ndarray, np.ndarray, str]:
        """The map of a class (or of the number) on one case, the scores, and the class: without one, the predicted.

        Returns:
            map `(rows, columns)` float32 0 to 1 covering the whole image, at the layer's resolution (at the input's
            where borders were cut off); scores `(k,)`; what was explained.
        """
        if class_name is not None and class_name not in self.names:
            raise InvalidInput(f"This model answers with {', '.join(self.names)}. Received: {class_name}")
        image = model_input(pixels, case.photometric, case.windows, self.spec)[None]
        if class_name is None:
            class_name = self.names[int(np.asarray(self.cam.network(image, training=False))[0].argmax())]
        maps, scores = self.cam.explain(image, np.array([self.names.index(class_name)], np.int32))
        return crop_borders(maps[0], case.rows, case.columns, self.spec), scores[0], class_name


def explain_case(
    connection: sqlite3.Connection,
    files: Files,
    arguments: Mapping[str, Any],
    folder: Path,
    progress: Progress,
    kept: dict[str, Any],
) -> dict[str, Any]:
    """Answer `{"model": id, "case": id, "class": name or None, "method": "grad_cam", "overlay": bool}`.

    Args:
        kept: lives as long as the process; loaded models stay in it.

    Returns:
        `explanation` (key of the map on the shelf), `class` (or the quantity), `probabilities` (or `value`),
        `method`, `layer`, `check` (the model-randomisation check) and `layer_choice`, and with `overlay` the path of a
        PNG in `folder`.

    Raises:
        InvalidInput: an unknown method or class, a volume, or a case of another project.
    """
    if arguments.get("method", METHOD) != METHOD:
        raise InvalidInput(f"The method is {METHOD}. Received: {arguments['method']}")
    case = get_case(connection, arguments["case"])
    _demand_images(get_model(connection, None, arguments["model"]))
    refuse_volume(case, "explain")
    explainer = warm_explainer(connection, files, arguments["model"], progress, kept)
    model = explainer.model
    if case.project != model.project:
        raise InvalidInput(f"Choose a case of the model's own project. Received: case {case.id} for {model.name}")
    stop_if_asked(progress)
    pixels = files.read_array("pixels", case.pixel_hash)
    values, scores, class_name = explainer.explain(case, pixels, arguments.get("class"))
    key = explanation_key(model, case, METHOD, class_name, explainer.cam.layer)
    files.put_under("explanations", key, array_bytes(values))
    facts = model.facts[FACT][METHOD]
    result: dict[str, Any] = {
        "explanation": key,
        "model": model.id,
        "case": case.id,
        "class": class_name,
        **_said(explainer, scores),
        "method": METHOD,
        "layer": explainer.cam.layer,
        "check": facts["check"],
        "layer_choice": facts["layer_choice"],
    }
    if arguments.get("overlay"):
        path = folder / "overlay.png"
        write_whole(path, draw_overlay(to_uint8(pixels, case.photometric, case.windows), values))
        result["overlay"] = str(path)
    progress.report(1.0, f"Explained “{class_name}”")
    return result


def _said(explainer: Explainer, scores: np.ndarray) -> dict[str, Any]:
    if explainer.model.task == "regression":
        task, model = task_module("regression"), explainer.model
        return task.decode_scores(task.schema_of(model.facts), scores, model.calibration)
    return {"probabilities": dict(zip(explainer.names, map(float, scores), strict=True))}


def explanation_key(model: Model, case: Case, method: str, class_name: str, layer: str) -> str:
    """The name of a map on the shelf: the same model file, pixels, window, method, layer and class give the same."""
    window = [case.windows[0].centre, case.windows[0].width] if case.windows else None
    parts = [model.keras_hash, case.pixel_hash, case.photometric, window, method, layer, class_name]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def warm_explainer(
    connection: sqlite3.Connection, files: Files, model_id: int, progress: Progress, kept: dict[str, Any]
) -> Explainer:
    """The explainer of a model, loaded and traced, from `kept` where it is there already."""
    explainers: dict[int, Explainer] = kept.setdefault("explainers", {})
    known = explainers.get(model_id)
    # The number of a model that was erased with its project may belong to another one now.
    if known and known.model.keras_hash == get_model(connection, None, model_id).keras_hash:
        explainers[model_id] = explainers.pop(model_id)  # the one asked for last leaves last
        return explainers[model_id]
    explainers.pop(model_id, None)
    progress.report(0.1, "Loading the model")
    model = check_explanations(connection, files, model_id, progress)
    task = task_module(model.task)
    single = [get_model(connection, None, number) for number in member_ids(model)] or [model]
    cams = [GradCam(load_network(files, one), _facts_of(one)["layer_choice"]["layer"], task.RAW) for one in single]
    cam = MeanCam(cams) if member_ids(model) else cams[0]
    cam.warm()
    while len(explainers) >= MODELS_KEPT:
        explainers.pop(next(iter(explainers)))
    names = task.output_names(task.schema_of(model.facts))
    explainers[model_id] = Explainer(model, names, _demand_images(model), cam)
    return explainers[model_id]


def check_explanations(connection: sqlite3.Connection, files: Files, model_id: int, progress: Progress) -> Model:
    """Choose the model's layer and run the randomisation check, once; both are kept among the model's facts.

    It takes some ten seconds, so a training job does it at its end and nobody waits for it at the first overlay.
    """
    model = get_model(connection, None, model_id)
    refuse_painting(model)
    _demand_images(model)
    if METHOD in model.facts.get(FACT, {}):
        return model
    if members := member_ids(model):
        parts = [_facts_of(check_explanations(connection, files, number, progress)) for number in members]
        set_model_fact(connection, model_id, FACT, {METHOD: combine_facts(parts)})
        return get_model(connection, None, model_id)
    progress.report(0.2, "Choosing the layer that explains best")
    network = load_network(files, model)
    images = _validation_images(connection, files, model, progress)
    cam, choice = choose_layer(network, model.facts["feature_layers"], task_module(model.task).RAW, images)
    stop_if_asked(progress)
    progress.report(0.6, "Checking explanations against shuffled weights")
    check = check_randomised(cam, images)
    facts = {**model.facts.get(FACT, {}), METHOD: {"layer_choice": choice.to_json(), "check": check.to_json()}}
    set_model_fact(connection, model_id, FACT, facts)
    return get_model(connection, None, model_id)


def _facts_of(model: Model) -> dict[str, Any]:
    """What was found out about a model's maps."""
    return dict(model.facts[FACT][METHOD])


def refuse_painting(model: Model) -> None:
    """Raise `InvalidInput` for a model that paints: there is no one answer whose reason a map could show."""
    if task_module(model.task).DRAWS:
        raise InvalidInput(
            f"Explanations are of an answer about an image; a model that draws gives none. Received: {model.name}"
        )
    if task_module(model.task).PAINTS:
        raise InvalidInput(
            f"Explanations are of one answer for a whole image; a model that paints shows its answer itself. "
            f"Received: {model.name}, {model.task}"
        )


def _demand_images(model: Model) -> InputSpec:
    """How images reach a model whose answers can be explained.

    Raises:
        InvalidInput: it sees volumes.
    """
    spec = model_spec(model)
    if not isinstance(spec, InputSpec):
        raise InvalidInput(
            f"Explanations are drawn over single images today; a model that sees whole volumes has none yet. "
            f"Received: {model.name}, which sees {' x '.join(map(str, spec.shape[:3]))} voxels"
        )
    return spec


def _validation_images(connection: sqlite3.Connection, files: Files, model: Model, progress: Progress) -> np.ndarray:
    """Some of the validation images of the model's own run, evenly spread."""
    run = get_run(connection, model.run)
    _, cases = training_cases(connection, get_snapshot(connection, run.project, run.snapshot), run.fold)
    step = -(-len(cases) // CASES_CHECKED)
    prepared = prepare_images(connection, files, cases[::step], _demand_images(model), progress)
    return prepared.read(range(len(prepared.case_ids)))
