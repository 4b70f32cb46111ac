"""The body of an explanation job, and what the warm process keeps between two of them."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from core.datasets.loading import prepare_images
from core.errors import InvalidInput
from core.explain.asking import Report, answer_of, kept_answer
from core.explain.building import build_asking, build_slopes, layer_kind
from core.explain.doubt import METHOD as DOUBT
from core.explain.doubt import explain_doubt
from core.explain.maps import explained_outputs
from core.explain.members import MeanTool, combine_facts, scores_by
from core.explain.methods import METHODS, Method, is_quick, method_named
from core.explain.records import find_evidence
from core.explain.seen import WholeSpec, onto_case, see, whole_spec
from core.explain.shelf import explanation_key, write_overlay
from core.images.records import get_case
from core.progress import Progress, stop_if_asked
from core.store.files import Files, array_bytes
from core.tasks import task_module
from core.training.ensemble import View, member_ids
from core.training.records import Model, get_model, get_run, set_model_fact
from core.training.request import cases_of_run
from core.training.stored import Answer, load_network, sees_volumes
from core.training.views import answer_views

FACT = "explanations"  # of a model: the layer chosen and the check passed, by method
CASES_CHECKED, VOLUMES_CHECKED = 24, 8
MODELS_KEPT = 3  # in the warm process; each takes some 100 MB
FIRST = METHODS["grad_cam"]
EMPTY = "The map is 0 everywhere: nothing that it tried moved this answer."
NOT_CHECKED = "Not checked on this model yet: the models page gathers the evidence."


@dataclass(frozen=True)
class Explainer:
    """A model with its network loaded and its maps compiled; `names` are those of its outputs.

    `tools` are the methods that are ready, by name; Grad-CAM is from the start.
    """

    model: Model
    names: tuple[str, ...]
    spec: WholeSpec
    network: Any
    tools: dict[str, Any] = field(default_factory=dict)


def explain_case(
    connection: sqlite3.Connection,
    files: Files,
    arguments: Mapping[str, Any],
    folder: Path,
    progress: Progress,
    kept: dict[str, Any],
) -> dict[str, Any]:
    """Answer `{"model": id, "case": id, "class": name or None, "method": "grad_cam", "overlay": bool}`.

    The overlay of a volume shows `frame`, counted from 1, or the one on which the map is highest.

    Args:
        kept: lives as long as the process; loaded models stay in it.

    Returns:
        `explanation` (key of the map on the shelf), `class` (or the quantity), `probabilities` (or `value`),
        `method`, `layer` (of methods that have one), `check` (how the method stands on this model, in a sentence) and
        `layer_choice`, and with `overlay` the path of a PNG in `folder`.

    Raises:
        InvalidInput: an unknown method or class, a volume for a model of single images, or a case of another project.
    """
    if arguments.get("method") == DOUBT:
        return explain_doubt(connection, files, arguments, folder, progress, kept)
    method = method_named(arguments.get("method", FIRST.name))
    case = get_case(connection, arguments["case"])
    model = get_model(connection, None, arguments["model"])
    refuse_painting(model)
    spec = whole_spec(model)
    if case.project != model.project:
        raise InvalidInput(f"Choose a case of the model's own project. Received: case {case.id} for {model.name}")
    task = task_module(model.task)
    names, wanted = task.output_names(task.schema_of(model.facts)), arguments.get("class")
    if wanted is not None and wanted not in names:
        raise InvalidInput(f"This model answers with {', '.join(names)}. Received: {wanted}")
    pixels = files.read_array("pixels", case.pixel_hash)
    image = see(pixels, case, spec)[None]
    tool = tool_at_work(connection, files, model, method, progress, kept)
    stop_if_asked(progress)
    class_name = wanted or names[_explained(tool, model, image)]
    layer = getattr(tool, "layer", "")
    key = explanation_key(model, case, method.name, class_name, layer)
    quick = is_quick(method, volumes=sees_volumes(model))
    if not quick and files.has("explanations", key):  # the same pixels, asked about as another case
        values, scores = np.load(files.path("explanations", key)), scores_by(tool, image)
    else:
        maps, scores = tool.explain(image, np.array([names.index(class_name)], np.int32))
        values = onto_case(maps[0], case, spec)
        files.put_under("explanations", key, array_bytes(values))
    if views := model.facts.get("views"):  # the map is of the image as it is; what is told is what the model answers
        scores = _answer_of_views(tool, views, image)
    result: dict[str, Any] = {
        "explanation": key,
        "model": model.id,
        "case": case.id,
        "class": class_name,
        **_said(model, names, scores[0]),
        "method": method.name,
        "layer": layer,
        **_standing(connection, model.id, method),
    }
    if not values.any():
        result["check"] = {**result["check"], "sentence": f"{EMPTY} {result['check']['sentence']}"}
    if arguments.get("overlay"):
        result |= write_overlay(folder, case, pixels, values, arguments.get("frame"))
    progress.report(1.0, f"Explained “{class_name}”")
    return result


def _explained(tool: Any, model: Model, image: np.ndarray) -> int:
    def answer(some: np.ndarray) -> np.ndarray:
        views = model.facts.get("views")
        return _answer_of_views(tool, views, some) if views else scores_by(tool, some)

    return int(explained_outputs(answer, image, is_number=model.task == "regression")[0])


def _answer_of_views(tool: Any, views: Sequence[View], images: np.ndarray) -> np.ndarray:
    """What a model says that answers by the mean over views of an image."""
    return answer_views(lambda some: scores_by(tool, some), views, paints=False)(images)


def tool_at_work(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    method: Method,
    progress: Progress,
    kept: dict[str, Any],
) -> Any:
    """A method at work on a model, or on each member of several. Those that only ask load no network where there is an
    ONNX file."""
    if members := member_ids(model):
        check_explanations(connection, files, model.id, progress, method=method)
        models = [get_model(connection, None, number) for number in members]
        return MeanTool([tool_at_work(connection, files, one, method, progress, kept) for one in models])
    if method.way == "asking" and model.onnx_hash:
        return _asking(method, model, kept_answer(files, model, kept), progress)
    explainer = warm_explainer(connection, files, model.id, progress, kept)
    if method.way == "asking":
        return _asking(method, model, answer_of(explainer.network), progress)
    if method.name not in explainer.tools:
        progress.report(0.3, f"Preparing {method.words}")
        explainer.tools[method.name] = build_tool(connection, files, model.id, method, explainer.network, progress)
    tool = explainer.tools[method.name]
    if method.way == "slopes" and sees_volumes(model):
        tool.report = _telling(progress)
    return tool


def _asking(method: Method, model: Model, answer: Answer, progress: Progress) -> Any:
    return build_asking(method, answer, is_number=model.task == "regression", report=_telling(progress))


def _telling(progress: Progress) -> Report:
    """Says how long a map takes yet, and ends it when somebody asks to stop."""
    begun = time.monotonic()

    def report(share: float) -> None:
        left = (time.monotonic() - begun) / share * (1 - share)
        progress.report(0.1 + 0.9 * share, f"Asking the model, {left:.0f} s left", seconds_left=left)
        stop_if_asked(progress)

    return report


def build_tool(
    connection: sqlite3.Connection, files: Files, model_id: int, method: Method, network: Any, progress: Progress
) -> Any:
    """A method that needs the network itself, traced; of those with a layer, at the layer that was chosen by test."""
    raw = task_module(get_model(connection, None, model_id).task).RAW
    if method.way == "slopes":
        return build_slopes(method, network, raw)
    checked = check_explanations(connection, files, model_id, progress, method=method, network=network)
    cam = layer_kind(method)(network, checked.facts[FACT][method.name]["layer_choice"]["layer"], raw)
    cam.warm()
    return cam


def _standing(connection: sqlite3.Connection, model_id: int, method: Method) -> dict[str, Any]:
    """`check` and, where the method has a layer, `layer_choice`; the evidence of many cases speaks before one check."""
    known = get_model(connection, None, model_id).facts.get(FACT, {}).get(method.name, {})
    check = known.get("check", {"passed": None, "n": 0, "sentence": NOT_CHECKED})
    if evidence := find_evidence(connection, model_id).get(method.name):
        check = evidence.check
    return {"check": check, "layer_choice": known.get("layer_choice")}


def _said(model: Model, names: tuple[str, ...], scores: np.ndarray) -> dict[str, Any]:
    if model.task == "regression":
        task = task_module("regression")
        return task.decode_scores(task.schema_of(model.facts), scores, model.calibration)
    return {"probabilities": dict(zip(names, map(float, scores), strict=True))}


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
    spec = whole_spec(model)
    task, network = task_module(model.task), load_network(files, model)
    names = task.output_names(task.schema_of(model.facts))
    tools = {FIRST.name: build_tool(connection, files, model_id, FIRST, network, progress)}
    while len(explainers) >= MODELS_KEPT:
        explainers.pop(next(iter(explainers)))
    explainers[model_id] = Explainer(model, names, spec, network, tools)
    return explainers[model_id]


def warm_model(
    connection: sqlite3.Connection, files: Files, model_id: int, progress: Progress, kept: dict[str, Any]
) -> None:
    """Load and trace a model, or the members of several, before somebody asks."""
    for number in member_ids(get_model(connection, None, model_id)) or [model_id]:
        warm_explainer(connection, files, number, progress, kept)


def check_explanations(
    connection: sqlite3.Connection,
    files: Files,
    model_id: int,
    progress: Progress,
    *,
    method: Method = FIRST,
    network: Any = None,
) -> Model:
    """Choose the layer of a method that has one and run the randomisation check, once; both are kept among the facts.

    It takes some ten seconds, so a training job does it at its end for Grad-CAM and nobody waits for it at the first
    overlay.

    Args:
        network: the model's, where it is loaded already.
    """
    model = get_model(connection, None, model_id)
    refuse_painting(model)
    known = model.facts.get(FACT, {})
    if method.name in known or method.way != "layer":
        return model
    if members := member_ids(model):
        parts = [check_explanations(connection, files, one, progress, method=method) for one in members]
        together = combine_facts([part.facts[FACT][method.name] for part in parts])
        set_model_fact(connection, model_id, FACT, {**known, method.name: together})
        return get_model(connection, None, model_id)
    from core.explain.checks import check_randomised, choose_layer

    progress.report(0.2, "Choosing the layer that explains best")
    network = load_network(files, model) if network is None else network
    images, kind = _validation_images(connection, files, model, progress), layer_kind(method)
    layers, raw = model.facts["feature_layers"], task_module(model.task).RAW
    cam, choice = choose_layer(network, layers, raw, images, kind=kind)
    stop_if_asked(progress)
    progress.report(0.6, "Checking explanations against shuffled weights")
    check = check_randomised(cam, images, kind=kind)
    known = get_model(connection, None, model_id).facts.get(FACT, {})
    found = {"layer_choice": choice.to_json(), "check": check.to_json()}
    set_model_fact(connection, model_id, FACT, {**known, method.name: found})
    return get_model(connection, None, model_id)


def is_explainable(model: Model) -> bool:
    """Whether a model gives one answer for a whole image, whose reason a map can show."""
    task = task_module(model.task)
    return not (task.PAINTS or task.DRAWS)


def refuse_painting(model: Model) -> None:
    """Raise `InvalidInput` for a model that paints or draws: it gives no one answer whose reason a map could show."""
    if task_module(model.task).DRAWS:
        raise InvalidInput(
            f"Explanations are of an answer about an image; a model that draws gives none. Received: {model.name}"
        )
    if not is_explainable(model):
        raise InvalidInput(
            f"Explanations are of one answer for a whole image; a model that paints shows its answer itself. "
            f"Received: {model.name}, {model.task}"
        )


def _validation_images(connection: sqlite3.Connection, files: Files, model: Model, progress: Progress) -> np.ndarray:
    """Some of the validation images of the model's own run, evenly spread; of volumes fewer, for each takes longer."""
    run = get_run(connection, model.run)
    _, cases = cases_of_run(connection, run)
    step = -(-len(cases) // (VOLUMES_CHECKED if sees_volumes(model) else CASES_CHECKED))
    prepared = prepare_images(connection, files, cases[::step], whole_spec(model), progress)
    return prepared.read(range(len(prepared.case_ids)))
