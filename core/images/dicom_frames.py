"""Multi-frame objects: frames put in order by the geometry of their functional groups (PS3.3 C.7.6.16)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from core.images.decoded import Affine
from core.images.dicom_pixels import real_frames
from core.images.dicom_stacks import chosen_stack, stacks_of, stored_places
from core.images.planes import plane_of_instance
from core.images.series import FrameStack, Instance
from core.images.slices import Slices


@dataclass(frozen=True)
class Frames:
    """Frames of an object as they become a case: all of them, or those of the stack `part` of `parts`."""

    pixels: np.ndarray  # frames first, also where it is only one
    stack: FrameStack
    affine: Affine | None
    spacing_mm: tuple[float, float] | None
    part: int | None = None
    parts: int = 1


def read_frames(dataset: Dataset, frames: int, part: int | None = None) -> Frames:
    """Real values of the frames, in the order of a volume where they form one, else as they are stored.

    Args:
        part: of an object whose frames form several stacks that one, counted from 1; without it all as they are stored.

    Raises:
        InvalidInput: there is no such stack, or the pixels are damaged.
    """
    places = stored_places(dataset, frames)
    stacks = stacks_of(places)
    stack = chosen_stack(stacks, frames, part)
    stored = sorted(stack.frames)
    slices = Slices(len(stored))
    for pixels in real_frames(dataset, frames, stored):
        slices.add(pixels)
    stacked = slices.pixels()
    if list(stack.frames) != stored:
        at = {frame: number for number, frame in enumerate(stored)}
        _reorder(stacked, [at[frame] for frame in stack.frames])
    spacings = {places[frame].spacing_mm for frame in stored}
    affine = stack.geometry.affine if stack.geometry else None
    if len(stored) == 1 and len(stacks) > 1:
        affine = _affine_of_one(places[stored[0]])
    of_several = part if len(stacks) > 1 else None
    return Frames(stacked, stack, affine, spacings.pop() if len(spacings) == 1 else None, of_several, len(stacks))


def _affine_of_one(place: Instance) -> Affine | None:
    plane = plane_of_instance(place)
    return None if plane is None else tuple(tuple(float(number) for number in line) for line in plane)


def _reorder(stacked: np.ndarray, order: Sequence[int]) -> None:
    """In place, along the cycles of the order, so that no second volume is needed."""
    left = set(range(len(order)))
    while left:
        start = at = left.pop()
        held = stacked[start].copy()
        while (source := order[at]) != start:
            stacked[at] = stacked[source]
            left.discard(source)
            at = source
        stacked[at] = held
