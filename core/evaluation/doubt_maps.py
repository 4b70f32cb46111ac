"""Whether a map of doubt marks where a model that paints is wrong: the evidence that this method carries for a model.

Over many cases, for each structure: how well doubt tells wrong pixels from right ones within a case, whether it does
so better than nearness to the painted edge, where any model errs most, and how alike the map is with shuffled weights
and under noise that nobody sees.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import roc_auc_score

from core.evaluation.painting import paint
from core.evaluation.predictor import Predictor, list_stored, open_predictor
from core.explain.asking import answer_of
from core.explain.checks import rank_correlation, shuffle_weights
from core.explain.doubt import METHOD, entropy_of
from core.explain.evidence import add_noise, choose_cases, summarise
from core.explain.judged_cases import list_judged
from core.explain.maps import coarsen
from core.explain.records import DoubtMaps, keep_told
from core.explain.verdict import CASES_OF_DOUBT
from core.images.frames import case_pixels
from core.images.records import Case, get_case
from core.labels.mask_store import read_kept_mask
from core.progress import Portion, Progress, stop_if_asked
from core.projects.schema import Segmentation
from core.store.audit import Actor
from core.store.files import Files
from core.tasks import task_module
from core.training.records import Model, get_model
from core.training.stored import mean_of, network_of
from core.training.views import answer_views

MOST_PIXELS = 50_000  # wrong ones, and right ones, that are ranked of a case: of more, as many are drawn
SEED = 0
NAMES = ("finds_errors", "beyond_edge", "randomisation", "stability")


@dataclass(frozen=True)
class _Looked:
    """Doubt in bits, float16, and what was painted, bool: both (structures, frames, rows, columns)."""

    doubt: np.ndarray
    painted: np.ndarray

    @property
    def coarse(self) -> list[np.ndarray]:
        """The doubt about each structure as it is compared with other maps: in the plane where there is one frame."""
        return [coarsen((one[0] if len(one) == 1 else one).astype(np.float32)) for one in self.doubt]


def gather_doubt_maps(
    connection: sqlite3.Connection, files: Files, arguments: Mapping[str, Any], actor: Actor, progress: Progress
) -> dict[str, Any]:
    """Answer `{"model": id, "split": "validation", "cases": 200}` of a model that paints; an ensemble is judged whole.

    Returns:
        `model` (name), `split`, and `structures`: by name what is kept of it, with its `verdict` and `sentence`.

    Raises:
        InvalidInput: the test split, which is for the review, or no case is left.
        Stopped: somebody asked to stop.
    """
    model, split = get_model(connection, None, arguments["model"]), arguments.get("split", "validation")
    schema = task_module(model.task).schema_of(model.facts)
    assert isinstance(schema, Segmentation)
    chosen = choose_cases(list_judged(connection, model, split), set(), int(arguments.get("cases", CASES_OF_DOUBT)))
    progress.report(0.0, "Loading the model")
    predictor = open_predictor(files, model)
    shuffled = replace(predictor, answer=_shuffled(files, model))
    draws, begun = np.random.default_rng(SEED), time.monotonic()
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in schema.names}
    for at, frozen in enumerate(chosen, 1):
        stop_if_asked(progress)
        case = get_case(connection, frozen.case_id)
        pixels = case_pixels(files, case)
        begin, third = (at - 1) / len(chosen), 1 / (3 * len(chosen))
        parts = [Portion(progress, begin + k * third, begin + (k + 1) * third) for k in range(3)]
        noisy = replace(predictor, answer=_noisy(predictor))
        # of a large volume three maps at once would be too much: of two of them what is compared stays
        others = _look(shuffled, pixels, case, parts[0]).coarse
        again = _look(noisy, pixels, case, parts[1]).coarse
        ours = _look(predictor, pixels, case, parts[2])
        mine = ours.coarse
        references = {mask.structure: mask.mask_hash for mask in frozen.masks}
        for of, name in enumerate(schema.names):
            reference = read_kept_mask(files, references[name], case) > 0
            rows[name].append(judge_doubt_map(ours.doubt[of], ours.painted[of], reference, draws, _steps(case)) | {
                "randomisation": _alike(mine[of], others[of]),
                "stability": _alike(mine[of], again[of]),
            })  # fmt: skip
        left = (time.monotonic() - begun) / at * (len(chosen) - at)
        progress.report(at / len(chosen), f"{at} of {len(chosen)} cases, {left:.0f} s left", seconds_left=left)
    patients = [one.patient for one in chosen]
    structures = {name: _told(found, patients) for name, found in rows.items()}
    told = {"n_cases": len(chosen), "split": split, "seconds": time.monotonic() - begun, "structures": structures}
    keep_told(connection, model.id, METHOD, told, actor)
    return {"model": model.name, "split": split, "structures": DoubtMaps(told).judged}


def judge_doubt_map(
    doubt: np.ndarray,
    painted: np.ndarray,
    reference: np.ndarray,
    draws: np.random.Generator,
    steps: Sequence[float] = (1, 1, 1),
) -> dict[str, float]:
    """Of one structure on one case; NaN where every pixel is right, or every one wrong.

    `finds_errors` is the area under the ROC curve of doubt as a sign of wrong pixels, 0.5 by chance; `beyond_edge` what
    it exceeds that of nearness to the painted edge by, undefined where nothing was painted.

    Args:
        doubt: (frames, rows, columns), as are the masks, bool.
        steps: between frames, rows and columns, in one unit.
    """
    wrong = painted != reference
    if not wrong.any() or wrong.all():
        return {"finds_errors": np.nan, "beyond_edge": np.nan}
    bad, good = (_drawn(np.flatnonzero(some), draws) for some in (wrong, ~wrong))
    places = np.concatenate([bad, good])
    found = _area(doubt.ravel()[places], len(bad))
    if not painted.any() or painted.all():
        return {"finds_errors": found, "beyond_edge": np.nan}
    away = sum(distance_transform_edt(side, sampling=steps).ravel()[places] for side in (painted, ~painted))
    return {"finds_errors": found, "beyond_edge": found - _area(-np.asarray(away), len(bad))}


def _steps(case: Case) -> tuple[float, float, float]:
    if case.frames == 1 or not (case.spacing_mm and case.slice_spacing_mm):
        return 1.0, 1.0, 1.0
    return case.slice_spacing_mm, *case.spacing_mm


def _area(signs: np.ndarray, bad: int) -> float:
    """Under the ROC curve, the first `bad` of the signs being of wrong pixels."""
    return float(roc_auc_score(np.arange(len(signs)) < bad, signs))


def _drawn(places: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    return draws.choice(places, MOST_PIXELS, replace=False) if len(places) > MOST_PIXELS else places


def _shuffled(files: Files, model: Model) -> Any:
    networks = [network_of(files.read_bytes("models", keras_hash)) for keras_hash, _ in list_stored(model)]
    answer = mean_of([answer_of(shuffle_weights(network, seed=SEED)) for network in networks])
    return answer_views(answer, model.facts["views"], paints=True) if model.facts.get("views") else answer


def _noisy(predictor: Predictor) -> Any:
    draws = np.random.default_rng(SEED)

    def answer(images: np.ndarray) -> np.ndarray:
        return predictor.answer(add_noise(images, draws))

    return answer


def _look(predictor: Predictor, pixels: np.ndarray, case: Case, progress: Progress) -> _Looked:
    doubt: list[np.ndarray] = []
    painted: list[np.ndarray] = []

    def watch(_frame: int, probable: np.ndarray, claimed: np.ndarray) -> None:
        doubt.append(entropy_of(probable).astype(np.float16))
        painted.append(claimed.copy())

    paint(predictor, pixels, case, progress, watch)
    return _Looked(np.stack(doubt, axis=1), np.stack(painted, axis=1))


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Two coarse maps of a case; undefined where one is flat, as of a structure of whose absence a model is sure."""
    return np.nan if np.ptp(one) == 0 or np.ptp(other) == 0 else rank_correlation(one, other)


def _told(rows: Sequence[Mapping[str, float]], patients: Sequence[str]) -> dict[str, Any]:
    values = {name: np.array([row[name] for row in rows]) for name in NAMES}
    return {
        "n_cases": len(rows),
        "n_patients": len(set(patients)),
        "n_wrong": int((~np.isnan(values["finds_errors"])).sum()),
        "measures": summarise(values, patients),
    }
