"""Multi-frame objects: frames put in order by the geometry of their functional groups (PS3.3 C.7.6.16)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset

from core.images.dicom_instances import instance_of
from core.images.dicom_pixels import real_frames
from core.images.series import Geometry, Instance, group_instances
from core.images.slices import Slices

GROUPS = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "MREchoSequence",
    "MRDiffusionSequence", "CardiacSynchronizationSequence", "TemporalPositionSequence",
    "MRTimingAndRelatedParametersSequence",
)  # fmt: skip
COPIED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "EffectiveEchoTime", "DiffusionBValue",
          "NominalPercentageOfCardiacPhase", "TemporalPositionIndex", "FlipAngle")  # fmt: skip
RENAMED = {"EffectiveEchoTime": "EchoTime", "TemporalPositionIndex": "TemporalPositionIdentifier"}


@dataclass(frozen=True)
class Frames:
    """All frames of an object. `geometry` is there where they form one volume, in whose order they then are.

    `order`: which stored frame each of them is.
    """

    pixels: np.ndarray
    order: tuple[int, ...]
    geometry: Geometry | None
    spacing_mm: tuple[float, float] | None
    oddities: tuple[str, ...]


def read_frames(dataset: Dataset, frames: int) -> Frames:
    """Real values of every frame, in the order of a volume where they form one, else as they are stored."""
    places = list(_places(dataset, frames))
    order, geometry, oddities = _arranged(places)
    slices = Slices(frames)
    for pixels in real_frames(dataset, frames):
        slices.add(pixels)
    stacked = slices.pixels()
    if order != list(range(frames)):
        _reorder(stacked, order)
    spacings = {one.spacing_mm for one in places}
    return Frames(stacked, tuple(order), geometry, spacings.pop() if len(spacings) == 1 else None, oddities)


def spacing_in_groups(dataset: Dataset) -> tuple[float, float] | None:
    """Of an enhanced object of a single frame, the spacing that stands with its functional groups."""
    if "SharedFunctionalGroupsSequence" not in dataset and "PerFrameFunctionalGroupsSequence" not in dataset:
        return None
    return next(_places(dataset, 1)).spacing_mm


def frame_order(dataset: Dataset) -> list[int]:
    """Which stored frame each frame of the case is, told from a header alone: what an export refers to."""
    return _arranged(list(_places(dataset, max(1, int(dataset.get("NumberOfFrames") or 1)))))[0]


def stored_places(dataset: Dataset, frames: int) -> list[Instance]:
    """Where each frame lies as its functional groups say, in the order in which they are stored."""
    return list(_places(dataset, frames))


def _arranged(places: Sequence[Instance]) -> tuple[list[int], Geometry | None, tuple[str, ...]]:
    as_stored = list(range(len(places)))
    if any(one.position is None or one.orientation is None for one in places):
        return as_stored, None, ()
    groups = group_instances(places)
    if len(groups) == 1 and groups[0].geometry is not None:
        return [int(one.path) for one in groups[0].instances], groups[0].geometry, groups[0].said
    names = [group.name for group in groups if group.name]
    told = f" ({'; '.join(names[:4])}{' ...' if len(names) > 4 else ''})" if names else ""
    said = f"The {len(places)} frames form {len(groups)} stacks{told} and not one volume: they stay in stored order."
    return as_stored, None, (said,)


def _places(dataset: Dataset, frames: int) -> Iterator[Instance]:
    shared = _first(dataset.get("SharedFunctionalGroupsSequence"))
    each = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    for number in range(frames):
        told = Dataset()
        told.Rows, told.Columns = dataset.Rows, dataset.Columns
        for groups in [some for some in (shared, *each[number : number + 1]) if some is not None]:
            for item in [item for name in GROUPS if (item := _first(groups.get(name))) is not None]:
                for word in COPIED:
                    if word in item:
                        setattr(told, RENAMED.get(word, word), item.get(word))
        yield instance_of(told, str(number))


def _first(sequence: Sequence[Dataset] | None) -> Dataset | None:
    return next(iter(sequence or ()), None)


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
