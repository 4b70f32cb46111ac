"""The watched cases of a network that paints volumes patch by patch: of each one patch, in the middle of the volume.

A whole volume would take as many patches as lie in it; one patch takes what other networks take for an image.
"""

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core.datasets.records import SnapshotCase
from core.datasets.volumes import cut_patch
from core.images.records import Case, get_cases
from core.images.volume_input import PatchSpec, nearest_frames
from core.training.handful import choose_handful
from core.training.patches import Windows, patch_on
from core.training.records import set_watched
from core.training.watched import HALF, LONGEST_SIDE_PX, WATCHED, pack_masks

if TYPE_CHECKING:
    from core.training.batches import Examples
    from core.training.fit import Fit


class WatchVolumes:
    """Writes after each epoch what the network paints on the middle frame of the watched volumes, the one that their
    thumbnails show. It reads; nothing of the fit changes."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        run_id: int,
        validation: "Examples",
        cases: Sequence[SnapshotCase],
        spec: PatchSpec,
        seed: int,
    ) -> None:
        self._connection, self._run = connection, run_id
        assert isinstance(validation.images, Windows)
        assert isinstance(validation.masks, Windows)
        volumes, painted = validation.images.volumes, validation.masks.volumes
        self._cases = get_cases(connection, [case.case_id for case in choose_handful(cases, WATCHED, seed)])
        patches, self._masks, self._starts, self._middles = [], [], [], []
        for case in self._cases:
            at = volumes.case_ids.index(case.id)
            middle = _middle(case, len(painted.volumes[at]))
            start = patch_on(painted.volumes[at], middle, spec.patch_size)
            patches.append(volumes.cut(at, start, spec.patch_size))
            self._masks.append(np.array(painted.volumes[at][middle]))
            self._starts.append(start)
            self._middles.append(middle - start[0])
        self._patches = np.stack(patches)

    def after_steps(self, fit: "Fit") -> None:
        pass

    def after_epoch(self, fit: "Fit", facts: dict[str, Any]) -> None:
        learner, batch = fit.learner, fit.plan.batch  # as many at once as a step holds
        with learner.averaged():
            said = [learner.say(self._patches[at : at + batch]) for at in range(0, len(self._patches), batch)]
        scores = np.concatenate(said)
        answers = {
            case.id: self._answer(at, case, scores[at, self._middles[at]] >= HALF)
            for at, case in enumerate(self._cases)
        }
        set_watched(self._connection, self._run, fit.epoch, answers)

    def _answer(self, at: int, case: Case, patch: np.ndarray) -> dict[str, Any]:
        """Both masks of a case on its own frame; and where the patch lies, unless it is all of the frame."""
        reference, (_, top, left) = self._masks[at] != 0, self._starts[at]
        frame = reference.shape[:2]
        painted, seen = (
            cut_patch(some, (-top, -left), frame) for some in (patch, np.ones((*patch.shape[:2], 1), bool))
        )
        told = {"reference": _on_frame(reference, case), "painted": _on_frame(painted, case)}
        return told if seen.all() else {**told, "seen": _on_frame(seen, case)}


def _middle(case: Case, depth: int) -> int:
    """Where the middle frame of a case lies among the frames at the model's spacing."""
    return min(int((case.frames // 2 + 0.5) * depth / case.frames), depth - 1)


def _on_frame(masks: np.ndarray, case: Case) -> dict[str, Any]:
    """Masks `(rows, columns, structures)` at the model's spacing in the proportions of the stored frame, packed."""
    scale = min(1.0, LONGEST_SIDE_PX / max(case.rows, case.columns))
    grid = (1, max(1, round(case.rows * scale)), max(1, round(case.columns * scale)))
    seen = [next(nearest_frames(masks[None, ..., k], grid)) for k in range(masks.shape[-1])]
    return pack_masks(np.stack(seen, axis=-1))
