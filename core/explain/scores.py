"""How good is this one map? Its own numbers on request, where evidence tells of a method over many cases."""

import sqlite3
from collections.abc import Mapping
from typing import Any

import numpy as np

from core.explain.asking import answer_of, kept_answer
from core.explain.checks import rank_correlation
from core.explain.evidence import add_noise, judge_map
from core.explain.faithfulness import measure_faithfulness, move_map
from core.explain.maps import coarsen, resize_map
from core.explain.marked import marks_with_area
from core.explain.methods import method_named
from core.explain.run import tool_at_work, warm_explainer
from core.explain.seen import see, see_marks, whole_spec
from core.explain.shelf import scores_key
from core.images.records import get_case
from core.progress import Progress, stop_if_asked
from core.store.files import Files, array_bytes
from core.tasks import task_module
from core.training.ensemble import member_ids
from core.training.records import Model, get_model
from core.training.stored import Answer, mean_of

PLACES = 10  # random places that the same map is held against
FLAT = "The map is 0 everywhere, so there is nothing to judge."
KEPT = (  # in this order on the shelf
    "deletion", "insertion",
    *(f"{name}_random{part}" for name in ("deletion", "insertion") for part in ("", "_low", "_high")),
    "stability", "pointing", "overlap", "marked_by_chance", "outside", "outside_by_chance",
)  # fmt: skip


def score_map(
    connection: sqlite3.Connection,
    files: Files,
    arguments: Mapping[str, Any],
    explained: Mapping[str, Any],
    progress: Progress,
    kept: dict[str, Any],
) -> dict[str, Any]:
    """The numbers of the map that `core.explain.run.explain_case` gave for these arguments.

    Args:
        explained: what it returned.
        kept: as there.

    Returns:
        `key`, the name of the numbers on the shelf: the same map and marks give the same; `places`, how many random
        places the map was held against; and by name a number or None: `deletion` (lower is better) and `insertion`
        (higher is), `…_random` the mean of the same map at random places with `…_low` and `…_high`, the least and the
        most of them; `stability`, the rank correlation with the map of the image under noise that nobody sees; and
        where something was marked, or there is a background, `pointing` (1 or 0), `overlap`, `outside`, with what
        chance would give. `reason` says why a flat map has none.
    """
    case = get_case(connection, int(arguments["case"]))
    marks = marks_with_area(connection, case.id)
    key = scores_key(str(explained["explanation"]), marks)
    if files.has("explanations", key):
        return _told(key, np.load(files.path("explanations", key)))
    model = get_model(connection, None, int(arguments["model"]))
    method, spec = method_named(explained["method"]), whole_spec(model)
    task = task_module(model.task)
    class_name = str(explained["class"])
    which = list(task.output_names(task.schema_of(model.facts))).index(class_name)
    image = see(files.read_array("pixels", case.pixel_hash), case, spec)
    tool = tool_at_work(connection, files, model, method, progress, kept)
    answer = _answer(connection, files, model, progress, kept)
    fitting = [mark for mark in marks if mark.label in ("", class_name)]
    marked = see_marks(fitting, case, spec) if fitting else None
    draws, asked = np.random.default_rng(0), np.array([which], np.int32)
    progress.report(0.2, "Drawing the map again, and once under noise")
    values = tool.explain(image[None], asked)[0][0]
    again = tool.explain(add_noise(image[None], draws), asked)[0][0]
    found = dict.fromkeys(KEPT, np.nan)
    if values.any():
        known = judge_map(answer, image, values, which, marked, draws)
        found |= {name: known[name] for name in KEPT if name in known}
        found["stability"] = rank_correlation(coarsen(values), coarsen(again))
        whole = resize_map(values, *image.shape[:-1])
        elsewhere = []
        for at in range(PLACES):
            stop_if_asked(progress)
            progress.report(0.5 + 0.5 * at / PLACES, f"Holding it against random places, {at + 1} of {PLACES}")
            elsewhere.append(measure_faithfulness(answer, image, move_map(whole, draws), which))
        for name in ("deletion", "insertion"):
            random = [getattr(one, name) for one in elsewhere]
            found |= {
                f"{name}_random": np.mean(random), f"{name}_random_low": min(random), f"{name}_random_high": max(random)
            }  # fmt: skip
    numbers = np.array([found[name] for name in KEPT], np.float64)
    files.put_under("explanations", key, array_bytes(numbers))
    return _told(key, numbers)


def _told(key: str, numbers: np.ndarray) -> dict[str, Any]:
    known = {
        name: None if np.isnan(value) else float(value) for name, value in zip(KEPT, numbers.tolist(), strict=True)
    }
    reason = {"reason": FLAT} if known["deletion"] is None else {}
    return {"key": key, "places": PLACES, **known, **reason}


def _answer(
    connection: sqlite3.Connection, files: Files, model: Model, progress: Progress, kept: dict[str, Any]
) -> Answer:
    """What the model says, by ONNX where it has that; of an ensemble the mean of its members."""
    answers = []
    for number in member_ids(model) or (model.id,):
        one = get_model(connection, None, number)
        if one.onnx_hash and number == model.id:
            answers.append(kept_answer(files, one, kept))
        else:
            answers.append(answer_of(warm_explainer(connection, files, number, progress, kept).network))
    return mean_of(answers)
