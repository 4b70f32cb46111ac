"""Where a model that paints is unsure: the entropy of the probability of a structure at each pixel.

It is the doubt that the model states; of what it never saw it may be sure and wrong (Kendall and Gal 2017,
arXiv:1703.04977, call this part aleatoric).
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import InvalidInput
from core.explain.asking import kept_answer
from core.explain.methods import DOUBT
from core.explain.records import find_doubt_maps
from core.explain.shelf import explanation_key, write_overlay
from core.images.records import Case, get_case
from core.images.render import from_square, model_input
from core.progress import Progress, stop_if_asked
from core.projects.schema import Segmentation
from core.store.files import Files, array_bytes
from core.tasks import task_module
from core.training.records import Model, get_model
from core.training.stored import image_spec
from core.training.views import answer_views

METHOD = DOUBT
SENTENCE = "Entropy of the model's own probability, in bits: 1 where it is one half, 0 where the model is sure."


def entropy_of(probabilities: np.ndarray) -> np.ndarray:
    """Binary entropy in bits, 0 to 1, of any shape."""
    sure = np.clip(probabilities.astype(np.float64), 1e-9, 1 - 1e-9)
    return np.asarray(-(sure * np.log2(sure) + (1 - sure) * np.log2(1 - sure)), np.float32)


def structure_index(schema: Segmentation, structure: str | None) -> int:
    """Which structure a name means; the first without one.

    Raises:
        InvalidInput: there is no such structure.
    """
    if structure is not None and structure not in schema.names:
        raise InvalidInput(f"The structures are {', '.join(schema.names)}. Received: {structure[:80]!r}")
    return schema.names.index(structure) if structure else 0


def explain_doubt(
    connection: sqlite3.Connection,
    files: Files,
    arguments: Mapping[str, Any],
    folder: Path,
    progress: Progress,
    kept: dict[str, Any],
) -> dict[str, Any]:
    """Answer as `core.explain.run.explain_case` does, with `mean_doubt`: the doubt about the structure that `class`
    names (the first, without a name) on an image, `(rows, columns)` float32; of volumes `core.evaluation.volume_doubt`
    maps it.

    Raises:
        InvalidInput: no model that paints, a case of another project or of several frames, or no such structure.
    """
    case, model = get_case(connection, arguments["case"]), get_model(connection, None, arguments["model"])
    schema = refuse_unpainted(model, case)
    at = structure_index(schema, arguments.get("class"))
    if case.frames > 1:
        raise InvalidInput(
            f"Doubt is mapped on single images here; on a volume it takes longer and is a job of its own. "
            f"Received: {case.frames} frames"
        )
    progress.report(0.1, "Loading the model")
    answer, spec = kept_answer(files, model, kept), image_spec(model)
    if views := model.facts.get("views"):  # as it paints
        answer = answer_views(answer, views, paints=True)
    stop_if_asked(progress)
    pixels = files.read_array("pixels", case.pixel_hash)
    image = model_input(pixels, case.photometric, case.windows, spec, case.spacing_mm)[None]
    square = answer(image)[0, ..., at]
    values = entropy_of(from_square(square, case.rows, case.columns, spec, case.spacing_mm))
    result = keep_doubt(connection, files, model, case, schema.names[at], values, float(values.mean()))
    if arguments.get("overlay"):
        result |= write_overlay(folder, case, pixels, values)
    progress.report(1.0, f"Mapped the doubt about “{schema.names[at]}”")
    return result


def keep_doubt(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    case: Case,
    structure: str,
    values: np.ndarray,
    mean: float,
) -> dict[str, Any]:
    """Put a map of doubt on the shelf; what is told of it, with the evidence that it carries for this model."""
    evidence = find_doubt_maps(connection, model.id)
    check = evidence.check(structure) if evidence else {"passed": None, "n": 0, "sentence": SENTENCE}
    key = explanation_key(model, case, METHOD, structure, "")
    files.put_under("explanations", key, array_bytes(values))
    return {
        "explanation": key, "model": model.id, "case": case.id, "class": structure, "mean_doubt": mean,
        "method": METHOD, "layer": "", "check": check,
    }  # fmt: skip


def refuse_unpainted(model: Model, case: Case) -> Segmentation:
    """The structures that a model paints; raise `InvalidInput` for one that does not, or a case of another project."""
    schema = task_module(model.task).schema_of(model.facts)
    if not isinstance(schema, Segmentation) or case.project != model.project:
        raise InvalidInput(
            f"Doubt is mapped of a model that paints, on a case of its own project. "
            f"Received: {model.name}, {model.task}, case {case.id}"
        )
    return schema
