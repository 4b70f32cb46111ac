"""The body of the evidence job: how far a method can be trusted on one model, over many of its cases."""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.datasets.loading import prepare_images
from core.datasets.records import SnapshotCase
from core.explain.asking import answer_of, open_answer
from core.explain.body import outside_body
from core.explain.building import build_asking, build_slopes, layer_kind
from core.explain.checks import rank_correlation, shuffle_weights
from core.explain.faithfulness import measure_faithfulness, move_map
from core.explain.judged_cases import list_judged
from core.explain.maps import COARSE, coarsen, explained_outputs, peak_of, resize_map
from core.explain.marked import marks_with_area
from core.explain.members import MeanTool
from core.explain.methods import Method, method_named
from core.explain.records import keep_evidence
from core.explain.run import build_tool, refuse_painting
from core.explain.seen import see_marks, whole_spec
from core.explain.verdict import CASES_NEEDED
from core.images.records import get_case
from core.measures.estimates import estimate_of, estimates_json
from core.measures.intervals import number_patients, patient_bootstrap
from core.measures.shares import share_of
from core.progress import Portion, Progress, stop_if_asked
from core.store.audit import Actor
from core.store.files import Files
from core.tasks import task_module
from core.training.ensemble import member_ids
from core.training.records import Model, get_model
from core.training.stored import Answer, load_network, mean_of

NOISE_LEVELS = 3.0  # of 255, standard deviation: about one hundredth, which nobody sees
AT_ONCE = 4
PREPARED = 0.1
UNDEFINED = {
    "pointing": "No reader marked what was explained.",
    "overlap": "No reader marked what was explained.",
    "outside": "No image has a background at its border.",
}


@dataclass(frozen=True)
class Material:
    """The cases that methods are judged on; `objects` are masks over what is seen, or None where nothing was marked."""

    images: np.ndarray
    patients: list[str]
    classes: np.ndarray
    names: tuple[str, ...]
    objects: list[np.ndarray | None]


@dataclass(frozen=True)
class Part:
    """A model by itself, or a member of an ensemble: its network, that with shuffled weights, and what it answers."""

    model: Model
    network: Any
    shuffled: Any
    answer: Answer


@dataclass(frozen=True)
class Bench:
    """A method at work on the model, the same on shuffled weights, and the model's answers."""

    tool: Any
    shuffled: Any
    answer: Answer


def gather_evidence(
    connection: sqlite3.Connection,
    files: Files,
    arguments: Mapping[str, Any],
    actor: Actor,
    progress: Progress,
) -> dict[str, Any]:
    """Answer `{"model": id, "methods": [names], "split": "validation", "cases": 50}`, one method after the other.

    Returns:
        `model` (name), `split`, and `methods`: by name what is kept of it, with its `verdict` and `sentence`.

    Raises:
        InvalidInput: an unknown method, a model that paints, or the test split: that is for the review.
    """
    methods = [method_named(name) for name in arguments["methods"]]
    model = get_model(connection, None, arguments["model"])
    refuse_painting(model)
    split, parts = arguments.get("split", "validation"), _parts_of(connection, files, model)
    answer = mean_of([part.answer for part in parts])
    wanted = int(arguments.get("cases", CASES_NEEDED))
    material = _material(connection, files, model, answer, split, wanted, Portion(progress, 0.0, PREPARED))
    found = {}
    for at, method in enumerate(methods):
        begin, end = (PREPARED + (1 - PREPARED) * part / len(methods) for part in (at, at + 1))
        part = Portion(progress, begin, end)
        part.report(0.0, f"Preparing {method.words}")
        tools = [_at_work(connection, files, one, method, part) for one in parts]
        shuffled = [_likewise(one, method, tool) for one, tool in zip(parts, tools, strict=True)]
        tool = _together(tools)
        bench = Bench(tool, _together(shuffled), answer)
        begun = time.monotonic()
        told = _measure(bench, material, method, part)
        told |= {"split": split, "seconds": time.monotonic() - begun, "layer": getattr(tool, "layer", "")}
        standing = keep_evidence(connection, model.id, method.name, told, actor).standing
        found[method.name] = told | {"verdict": standing.verdict, "sentence": standing.sentence}
    return {"model": model.name, "split": split, "methods": found}


def _material(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    answer: Answer,
    split: str,
    wanted: int,
    progress: Progress,
) -> Material:
    cases = list_judged(connection, model, split)
    marks = {case.case_id: marks_with_area(connection, case.case_id) for case in cases}
    chosen = choose_cases(cases, {case_id for case_id, found in marks.items() if found}, wanted)
    spec = whole_spec(model)
    prepared = prepare_images(connection, files, chosen, spec, progress)
    images = prepared.read(range(len(chosen)))
    task = task_module(model.task)
    names = task.output_names(task.schema_of(model.facts))
    classes = explained_outputs(answer, images, is_number=model.task == "regression")
    objects: list[np.ndarray | None] = []
    for case, which in zip(chosen, classes, strict=True):
        fitting = [mark for mark in marks[case.case_id] if mark.label in ("", names[which])]
        objects.append(see_marks(fitting, get_case(connection, case.case_id), spec) if fitting else None)
    return Material(images, [case.patient for case in chosen], classes, names, objects)


def choose_cases(cases: Sequence[SnapshotCase], marked: set[int], wanted: int) -> list[SnapshotCase]:
    """As many as are wanted, in their order: marked ones first, up to half, the others evenly spread over the rest."""
    with_marks = [case for case in cases if case.case_id in marked][: wanted // 2]
    taken = {case.case_id for case in with_marks}
    others = [case for case in cases if case.case_id not in taken]
    places = np.linspace(0, len(others) - 1, min(wanted - len(with_marks), len(others))).round().astype(int)
    taken |= {others[at].case_id for at in places}
    return [case for case in cases if case.case_id in taken]


def _parts_of(connection: sqlite3.Connection, files: Files, model: Model) -> list[Part]:
    parts = []
    for number in member_ids(model) or (model.id,):
        one = get_model(connection, None, number)
        network = load_network(files, one)
        answer = open_answer(files, one) if one.onnx_hash else answer_of(network)
        parts.append(Part(one, network, shuffle_weights(network, seed=0), answer))
    return parts


def _at_work(connection: sqlite3.Connection, files: Files, part: Part, method: Method, progress: Progress) -> Any:
    if method.way == "asking":
        return build_asking(method, part.answer, is_number=part.model.task == "regression")
    return build_tool(connection, files, part.model.id, method, part.network, progress)


def _likewise(part: Part, method: Method, tool: Any) -> Any:
    """The same method on the network of shuffled weights, at the same layer."""
    if method.way == "asking":
        return build_asking(method, answer_of(part.shuffled), is_number=part.model.task == "regression")
    raw = task_module(part.model.task).RAW
    if method.way == "slopes":
        return build_slopes(method, part.shuffled, raw)
    return layer_kind(method)(part.shuffled, tool.layer, raw)


def _together(tools: Sequence[Any]) -> Any:
    return tools[0] if len(tools) == 1 else MeanTool(tools)


def _measure(bench: Bench, material: Material, method: Method, progress: Progress) -> dict[str, Any]:
    whole = (bench.tool, bench.shuffled)
    for tool in (one for some in whole for one in getattr(some, "tools", [some])):
        if hasattr(tool, "report"):  # those that take long for one map
            tool.report = lambda _share: stop_if_asked(progress)
    draws, begun, n = np.random.default_rng(0), time.monotonic(), len(material.images)
    rows: list[dict[str, float]] = []
    coarse: list[np.ndarray] = []
    for start in range(0, n, AT_ONCE):
        stop_if_asked(progress)
        part = slice(start, start + AT_ONCE)
        images, classes = material.images[part], material.classes[part].astype(np.int32)
        noisy = add_noise(images, draws)
        maps, others, again = (
            tool.explain(given, classes)[0]
            for tool, given in ((bench.tool, images), (bench.shuffled, images), (bench.tool, noisy))
        )
        for at in range(len(images)):
            one = start + at
            rows.append(
                judge_map(bench.answer, images[at], maps[at], int(classes[at]), material.objects[one], draws)
                | {
                    "randomisation": rank_correlation(coarsen(maps[at]), coarsen(others[at])),
                    "stability": rank_correlation(coarsen(maps[at]), coarsen(again[at])),
                }
            )
            coarse.append(coarsen(maps[at]))
        left = (time.monotonic() - begun) / len(rows) * (n - len(rows))
        progress.report(
            len(rows) / n, f"{method.words}: {len(rows)} of {n} cases, {left:.0f} s left", seconds_left=left
        )
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        "n_cases": n,
        "n_patients": len(set(material.patients)),
        "n_marked": int((~np.isnan(values["pointing"])).sum()),
        "n_with_background": int((~np.isnan(values["outside"])).sum()),
        "measures": summarise(values, material.patients),
        "means": _mean_maps(coarse, material),
    }


def add_noise(images: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Images, uint8 of any shape, with noise that nobody sees."""
    noise = draws.normal(0, NOISE_LEVELS, images.shape)
    return np.asarray(np.clip(np.rint(images + noise), 0, 255).astype(np.uint8))


def judge_map(
    answer: Answer,
    image: np.ndarray,
    values: np.ndarray,
    class_index: int,
    marked: np.ndarray | None,
    draws: np.random.Generator,
) -> dict[str, float]:
    """The numbers of one map; NaN where there is nothing to measure against.

    `pointing` is whether its maximum lies in what was marked (Zhang et al. 2018, doi:10.1007/s11263-017-1059-x),
    `overlap` the share of it inside, and `marked_by_chance` what both are of a map that knows nothing: the share of the
    image that is marked. `outside` is its share on the background beside the body, `outside_by_chance` the image's.
    """
    true = measure_faithfulness(answer, image, values, class_index)
    moved = measure_faithfulness(answer, image, move_map(resize_map(values, *image.shape[:-1]), draws), class_index)
    whole, beside = np.maximum(resize_map(values, *image.shape[:-1]), 0), outside_body(image)
    found = {
        "faithfulness": true.score - moved.score,
        "deletion": true.deletion,
        "insertion": true.insertion,
        "outside": _inside(whole, beside) if beside.any() else np.nan,
        "outside_by_chance": float(beside.mean()) if beside.any() else np.nan,
        **dict.fromkeys(("pointing", "overlap", "marked_by_chance"), np.nan),
    }
    if marked is not None and marked.any():
        found |= {
            "pointing": float(marked[peak_of(whole)] and whole.max() > 0),
            "overlap": _inside(whole, marked),
            "marked_by_chance": float(marked.mean()),
        }
    return found


def summarise(values: Mapping[str, np.ndarray], patients: Sequence[str]) -> dict[str, dict[str, object]]:
    """The mean of each over the cases that have one, with its interval over patients, as JSON; of the pointing game,
    a plain share of cases, that interval is Wilson's."""

    def measure(weights: np.ndarray) -> dict[str, np.ndarray]:
        found = {}
        for name, one in values.items():
            known = ~np.isnan(one)
            total = weights[:, known].sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                found[name] = np.where(total > 0, weights[:, known] @ one[known] / total, np.nan)
        return found

    whole, intervals = measure(np.ones((1, len(patients)))), patient_bootstrap(measure, patients)
    found = {
        name: estimate_of(
            float(whole[name][0]), intervals[name], undefined=UNDEFINED.get(name, "There is nothing to compare.")
        )
        for name in values
    }
    if "pointing" in values and len(set(patients)) > 1:
        hit, marked = values["pointing"] == 1, ~np.isnan(values["pointing"])
        found["pointing"] = share_of(hit, marked, number_patients(patients), UNDEFINED["pointing"])
    return estimates_json(found)


def _inside(values: np.ndarray, mask: np.ndarray) -> float:
    """The share of a map inside a mask; of an empty map that of chance."""
    total = float(values.sum())
    return float(values[mask].sum()) / total if total > 0 else float(mask.mean())


def _mean_maps(coarse: Sequence[np.ndarray], material: Material) -> dict[str, dict[str, Any]]:
    """By class what its maps show on average, `COARSE` cells a side, each map counting alike."""
    found = {}
    for at, name in enumerate(material.names):
        those = [values for values, which in zip(coarse, material.classes, strict=True) if which == at]
        if those:
            mean = np.mean([values / max(float(values.max()), 1e-12) for values in those], axis=0)
            found[name] = {"n": len(those), "side": COARSE, "map": np.round(mean, 3).tolist()}
    return found
