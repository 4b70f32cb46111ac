"""What an evaluation of painted masks keeps of each case beside them: how surely the model contradicts the reference,
and what its network sees there.

Both are found again from the pixels at any time, so they lie with the prepared images: erasing a case takes them away.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.datasets.records import SnapshotCase
from core.evaluation.appearance import keep_groups
from core.evaluation.kept_looks import look_key, read_look
from core.evaluation.looking import open_looking
from core.evaluation.painting import paint_case
from core.evaluation.predictor import list_stored
from core.evaluation.records import find_predicted_masks
from core.images.records import Case, get_case, get_cases
from core.labels.mask_store import read_kept_mask
from core.measures.mask_errors import Contradicted, Contradictions, contradicted_of
from core.measures.segmentation import Compared
from core.progress import Portion, Progress, stop_if_asked
from core.store.files import Files, array_bytes
from core.training.records import Model

VERSION = 1  # raise it when either is found in another way
COUNTS = 4  # numbers a structure


@dataclass(frozen=True)
class MaskLook:
    """By structure how surely the reference is contradicted; `features` `(d,)` are what the network sees."""

    contradicted: Mapping[str, Contradicted]
    features: np.ndarray


def look_at_masks(
    connection: sqlite3.Connection, files: Files, model: Model, cases: Sequence[SnapshotCase], progress: Progress
) -> None:
    """Let a model paint those of the cases that it has not painted, or not looked at, and keep each at once.

    Where its weights are gone, what it has painted stays all that is known.

    Raises:
        Stopped: somebody asked to stop; what was painted until then is kept.
    """
    there = all(files.has("models", onnx_hash or keras_hash) for keras_hash, onnx_hash in list_stored(model))
    known = [get_case(connection, case.case_id) for case in cases]
    missing = [
        (case, frozen)
        for case, frozen in zip(known, cases, strict=True)
        if not find_predicted_masks(connection, model.id, case.id)
        or (there and not files.has("prepared", _key(model, frozen)))
    ]
    if not missing:
        return
    predictor, seen = open_looking(files, model)
    for at, (case, frozen) in enumerate(missing):
        stop_if_asked(progress)
        part = Portion(progress, at / len(missing), (at + 1) / len(missing))
        watch = _Against(_read_reference(files, case, frozen), case.columns)
        paint_case(connection, files, model, predictor, case, part, watch)
        kept = np.concatenate([watch.counts.to_array().ravel(), *(one.take() for one in seen)])
        files.put_under("prepared", _key(model, frozen), array_bytes(kept))
        progress.report((at + 1) / len(missing), f"{at + 1} of {len(missing)} cases painted")


class _Against:
    """Compares each frame that is painted with the reference, which lies here with eight pixels in a byte: beside what
    is being painted a second volume would be as large."""

    def __init__(self, packed: np.ndarray, columns: int) -> None:
        self.counts = Contradictions(len(packed))
        self._packed, self._columns = packed, columns

    def __call__(self, frame: int, probable: np.ndarray, claimed: np.ndarray) -> None:
        reference = np.unpackbits(self._packed[:, frame], axis=-1, count=self._columns).astype(bool)
        self.counts.add(reference, claimed, probable)


def _read_reference(files: Files, case: Case, frozen: SnapshotCase) -> np.ndarray:
    """The frozen masks, `(structures, frames, rows, columns / 8)`."""
    return np.stack([np.packbits(read_kept_mask(files, mask.mask_hash, case) != 0, axis=-1) for mask in frozen.masks])


def keep_painted_appearance(
    connection: sqlite3.Connection,
    files: Files,
    model: Model,
    cases: Sequence[SnapshotCase],
    compared: Sequence[Sequence[Compared]],
) -> None:
    """Group the cases by what the network sees in them beside how much it paints, and keep the groups; nothing is
    kept where some were not looked at."""
    looks = read_looks(files, model, cases)
    features = [looks[case.case_id].features for case in cases if case.case_id in looks]
    if len(features) < len(cases) or len({len(one) for one in features}) != 1:
        return
    sizes = [case.frames * case.rows * case.columns for case in get_cases(connection, [one.case_id for one in cases])]
    painted = [[one.predicted_pixels for one in row] for row in compared]
    shares = np.array(painted, float) / np.array(sizes, float)[:, np.newaxis]
    keep_groups(files, model, [case.case_id for case in cases], np.stack(features), shares, probabilities=False)


def read_looks(files: Files, model: Model, cases: Sequence[SnapshotCase]) -> dict[int, MaskLook]:
    """By case what was kept; nothing of those that were not looked at, or whose file was cleared away."""
    found = {}
    for case in cases:
        kept = read_look(files, _key(model, case))
        if kept is None:
            continue
        names = [mask.structure for mask in case.masks]
        counts = kept[: COUNTS * len(names)].reshape(len(names), COUNTS)
        told = {name: contradicted_of(row) for name, row in zip(names, counts, strict=True)}
        found[case.case_id] = MaskLook(told, kept[COUNTS * len(names) :])
    return found


def _key(model: Model, frozen: SnapshotCase) -> str:
    """What a look is kept by: the weights and thresholds, the pixels, and the reference."""
    reference = [[mask.structure, mask.mask_hash] for mask in frozen.masks]
    how = [model.calibration, model.facts.get("views"), model.facts.get("input")]
    return look_key("masks looked at", VERSION, model, how, frozen.pixel_hash, reference)
