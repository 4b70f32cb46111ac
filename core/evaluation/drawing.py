"""How good a model's drawn images are: a judge looks at them and at the real ones of a split, and each is held against
the training images, lest the model has learnt some by heart.
"""

import base64
import sqlite3
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.datasets.loading import PreparedImages, prepare_images
from core.datasets.records import SnapshotCase
from core.measures.drawing import Seen, close_limit, nearest_of
from core.progress import Portion, Progress
from core.projects.schema import Generation
from core.store.files import Files
from core.tasks.generation import encode_targets
from core.training.drawn import draw_with
from core.training.records import Model, get_run
from core.training.request import cases_of_run
from core.training.samples import png_of
from core.training.stored import image_spec

MOST_DRAWN = 1000
MOST_COMPARED = 3000  # training images whose nearest is looked for, to know how close real ones lie
SHOWN = 12  # pairs of a drawn image and its nearest training image
SEED = 0
JUDGE_READY, DRAWN = 0.45, 0.8  # shares of the progress bar


def look_at_drawn(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    schema: Generation,
    cases: Sequence[SnapshotCase],
    progress: Progress,
) -> tuple[Seen, Seen, dict[str, Any]]:
    """What the judge sees in the real images of some cases, and in as many drawn for the same class, sex and age.

    Returns:
        Both, and what a result keeps beside its numbers: `judge`, `limits` (distances below which an image counts as
        close), `n_training`, and `pairs`, the drawn images that lie closest and some others, each with its nearest
        training case.
    """
    from core.training.judge import find_judge

    judge = find_judge(connection, files, model, Portion(progress, 0.0, JUDGE_READY))
    conditions = encode_targets(schema, [case.value for case in cases])
    asked = conditions[np.unique(np.linspace(0, len(cases) - 1, min(len(cases), MOST_DRAWN)).astype(int))]
    drawn = draw_with(connection, files, model, asked, Portion(progress, JUDGE_READY, DRAWN), seed=SEED)
    run = get_run(connection, model.run)
    train, _ = cases_of_run(connection, run)
    spec, told = image_spec(model), Portion(progress, DRAWN, 1.0)
    known = prepare_images(connection, files, train, spec, Portion(told, 0.0, 0.2))
    real = prepare_images(connection, files, cases, spec, Portion(told, 0.2, 0.3))
    shares = ((known, 0.3, 0.8), (real, 0.8, 0.9), (drawn, 0.9, 1.0))
    looked = [judge.look(images, Portion(told, begin, end)) for images, begin, end in shares]
    pixels = [_flat(images) for images in (known, real, drawn)]
    features = [found for found, _ in looked]
    patients = np.unique([case.patient for case in train], return_inverse=True)[1]
    limits = {"pixels": _limit(pixels[0], patients), "features": _limit(features[0], patients)}
    near = [_nearest(pixels, features, at) for at in (1, 2)]
    seen = [
        Seen(features[at], looked[at][1] == wanted[:, : len(schema.names)].argmax(axis=1),
             close["pixels"][0] < limits["pixels"], close["features"][0] < limits["features"])
        for at, wanted, close in ((1, conditions, near[0]), (2, asked, near[1]))
    ]  # fmt: skip
    pairs = _pairs(schema, asked, drawn, near[1], seen[1], [case.case_id for case in train])
    facts = {"network": judge.recipe.network, "input_size": judge.recipe.input_size, "trained_on": len(train)}
    return seen[0], seen[1], {"judge": facts, "limits": limits, "n_training": len(train), "pairs": pairs}


def _flat(images: PreparedImages | np.ndarray) -> np.ndarray:
    """Grey values from 0 to 1 as rows of a matrix, float32 `(n, pixels)`."""
    pixels = images.read(range(len(images.case_ids))) if isinstance(images, PreparedImages) else images
    return pixels.reshape(len(pixels), -1).astype(np.float32) / 255


def _limit(known: np.ndarray, patients: np.ndarray) -> float:
    some = np.unique(np.linspace(0, len(known) - 1, min(len(known), MOST_COMPARED)).astype(int))
    return close_limit(nearest_of(known[some], known, (patients[some], patients))[0])


def _nearest(
    pixels: Sequence[np.ndarray], features: Sequence[np.ndarray], at: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {"pixels": nearest_of(pixels[at], pixels[0]), "features": nearest_of(features[at], features[0])}


def _pairs(
    schema: Generation,
    asked: np.ndarray,
    drawn: np.ndarray,
    near: dict[str, tuple[np.ndarray, np.ndarray]],
    seen: Seen,
    case_ids: Sequence[int],
) -> list[dict[str, Any]]:
    """The drawn images that lie closest by pixels, then others evenly from all of them."""
    closest = np.argsort(near["pixels"][0], kind="stable")[:SHOWN]
    rest = np.setdiff1d(np.linspace(0, len(drawn) - 1, min(len(drawn), SHOWN)).astype(int), closest)
    return [
        {
            "place": int(at),
            "closest": bool(at in closest),
            "class": schema.names[int(asked[at, : len(schema.names)].argmax())],
            "right": bool(seen.right[at]),
            "case": case_ids[near["pixels"][1][at]],
            "case_by_features": case_ids[near["features"][1][at]],
            "pixel_distance": float(near["pixels"][0][at]),
            "feature_distance": float(near["features"][0][at]),
            "memorised": bool(seen.close_pixels[at] and seen.close_features[at]),
            "png": base64.b64encode(png_of(drawn[at], {})).decode(),
        }
        for at in (*closest, *rest)
    ]
