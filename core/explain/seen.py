"""What a model sees of a case, and a map of that back on the case: images and whole volumes behind one door."""

from collections.abc import Sequence

import numpy as np

from core.errors import InvalidInput
from core.explain.marked import marked_mask
from core.explain.overlay import crop_borders
from core.explain.volume_maps import onto_volume, seen_mask
from core.images.frames import refuse_unscaled, refuse_volume
from core.images.records import Case
from core.images.render import InputSpec, model_input, model_mask
from core.images.volume_input import PatchSpec, VolumeSpec, volume_input
from core.labels.marks import Mark
from core.training.records import Model
from core.training.stored import model_spec

WholeSpec = InputSpec | VolumeSpec


def whole_spec(model: Model) -> WholeSpec:
    """How cases reach a model that answers for a whole image or volume.

    Raises:
        InvalidInput: it sees patches.
    """
    spec = model_spec(model)
    if isinstance(spec, PatchSpec):
        raise InvalidInput(
            f"This takes a model that sees an image or a volume as a whole. Received: {model.name}, which sees patches"
        )
    return spec


def see(pixels: np.ndarray, case: Case, spec: WholeSpec) -> np.ndarray:
    """uint8 of `spec.shape`: `(size, size, channels)`, or `(depth, size, size, channels)`.

    Raises:
        InvalidInput: this is a volume, and the model sees single images; or nothing tells its scale, which the model
            needs.
    """
    if isinstance(spec, VolumeSpec):
        return volume_input(pixels, case, spec)
    refuse_volume(case, "explain")
    refuse_unscaled(case, spec)
    return model_input(pixels, case.photometric, case.windows, spec, case.spacing_mm)


def onto_case(values: np.ndarray, case: Case, spec: WholeSpec) -> np.ndarray:
    """A map of what was seen as it lies on the case: `(rows, columns)` of any resolution, or
    `(frames, rows, columns)` on the volume's own grid, the highest again 1: in between it was mixed with less."""
    if isinstance(spec, VolumeSpec):
        found = onto_volume(values, case, spec)
        return np.asarray(found / max(float(found.max()), 1e-12), np.float32)
    return crop_borders(values, case.rows, case.columns, spec, case.spacing_mm)


def see_marks(marks: Sequence[Mark], case: Case, spec: WholeSpec) -> np.ndarray:
    """Bool, what readers marked as it lies on what is seen; a mark counts on the frame that it was drawn on."""
    if isinstance(spec, InputSpec):
        return model_mask(marked_mask(marks, case.rows, case.columns), spec, case.spacing_mm) > 0
    frames = np.zeros((case.frames, case.rows, case.columns), np.uint8)
    for frame in {mark.frame for mark in marks if mark.frame < case.frames}:
        frames[frame] = marked_mask([mark for mark in marks if mark.frame == frame], case.rows, case.columns)
    return seen_mask(frames, case, spec)
