"""A handful of validation cases that are watched while a run learns: what its network says of each after every epoch.

They are chosen once by the recipe's seed. Of each only the last answer is kept, beside the run and not among the
predictions: these are of a model that is not there yet.
"""

import base64
import io
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from core.datasets.records import SnapshotCase
from core.images.records import Case, get_cases
from core.images.render import InputSpec, off_square
from core.images.volume_input import VolumeSpec
from core.training.handful import choose_handful, middle_rows
from core.training.records import set_watched

if TYPE_CHECKING:
    from core.training.batches import Examples
    from core.training.fit import Fit

WATCHED = 6
HALF = 0.5
LONGEST_SIDE_PX = 256  # of an outline, as of a thumbnail
REFERENCE, PAINTED = (240, 228, 66), (86, 180, 233)  # yellow and sky blue of Okabe and Ito (2008)
LOOKED_AT = (160, 160, 160)  # around the patch that was painted, where it is not all of the frame


class WatchCases:
    """Writes after each epoch what the network says of the watched cases. It reads; nothing of the fit changes."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        run_id: int,
        validation: "Examples",
        cases: Sequence[SnapshotCase],
        spec: InputSpec | VolumeSpec,
        seed: int,
    ) -> None:
        self._connection, self._run, self._spec = connection, run_id, spec
        chosen = {case.case_id for case in choose_handful(cases, WATCHED, seed)}
        ids = validation.case_ids
        places = [place for place in middle_rows(ids.tolist()) if int(ids[place]) in chosen]
        self._ids = [int(ids[place]) for place in places]
        self._images = validation.images.read(validation.rows[places])
        self._masks = validation.masks.read(validation.rows[places]) if validation.masks is not None else None
        self._cases = {case.id: case for case in get_cases(connection, self._ids)}

    def after_steps(self, fit: "Fit") -> None:
        pass

    def after_epoch(self, fit: "Fit", facts: dict[str, Any]) -> None:
        learner = fit.learner
        with learner.averaged():
            scores = learner.say(self._images)
        answers: dict[int, Any] = {}
        for at, case_id in enumerate(self._ids):
            if self._masks is None:
                answers[case_id] = {"scores": [round(float(score), 4) for score in scores[at]]}
            else:
                case = self._cases[case_id]
                answers[case_id] = {
                    "reference": self._packed(self._masks[at] != 0, case),
                    "painted": self._packed(scores[at] >= HALF, case),
                }
        set_watched(self._connection, self._run, fit.epoch, answers)

    def _packed(self, masks: np.ndarray, case: Case) -> dict[str, Any]:
        """Masks `(size, size, structures)` as they lie on the image, as text."""
        assert isinstance(self._spec, InputSpec)  # what sees whole volumes does not paint
        return pack_masks(off_square(masks, case.rows, case.columns, self._spec, case.spacing_mm))


def pack_masks(masks: np.ndarray) -> dict[str, Any]:
    """Masks `(rows, columns, structures)` as text."""
    packed = zlib.compress(np.packbits(masks != 0).tobytes())
    return {"shape": list(masks.shape), "bits": base64.b64encode(packed).decode()}


def unpack_masks(packed: Mapping[str, Any]) -> np.ndarray:
    """Bool `(rows, columns, structures)`."""
    bits = np.frombuffer(zlib.decompress(base64.b64decode(packed["bits"])), np.uint8)
    shape = packed["shape"]
    return np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)


def draw_both(answer: Mapping[str, Any]) -> bytes:
    """A transparent PNG with the outlines of what a reader and of what the network painted, to lie over a thumbnail;
    and of the patch that it painted, where that is not all of the frame."""
    reference, painted = (unpack_masks(answer[key]) for key in ("reference", "painted"))
    scale = max(1, LONGEST_SIDE_PX // max(reference.shape[:2]))
    picture = np.zeros((reference.shape[0] * scale, reference.shape[1] * scale, 4), np.uint8)
    outlined = [(painted, PAINTED), (reference, REFERENCE)]
    if "seen" in answer:
        outlined.insert(0, (unpack_masks(answer["seen"]), LOOKED_AT))
    for masks, colour in outlined:
        for k in range(masks.shape[2]):
            picture[_outline(masks[..., k].repeat(scale, axis=0).repeat(scale, axis=1))] = (*colour, 255)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _outline(mask: np.ndarray) -> np.ndarray:
    """The pixels of a mask that have a neighbour outside it."""
    around = np.pad(mask, 1)
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    return np.asarray(mask & ~inside)
