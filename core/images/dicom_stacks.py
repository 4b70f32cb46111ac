"""What the functional groups of a multi-frame object say of its frames: where each lies, and what they form.

Told by the header alone (PS3.3 C.7.6.16), before any pixel is read.
"""

from collections.abc import Sequence
from dataclasses import replace

from pydicom.dataset import Dataset

from core.errors import InvalidInput
from core.images.dicom_instances import OF_FRAMES, instance_of
from core.images.series import MOST_STACKS, FrameStack, Group, Instance, depths_of, group_instances

GROUPS = (
    "PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence", "MREchoSequence",
    "MRDiffusionSequence", "CardiacSynchronizationSequence", "FrameContentSequence",
    "MRTimingAndRelatedParametersSequence",
)  # fmt: skip
COPIED = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "EffectiveEchoTime", "DiffusionBValue",
          "NominalPercentageOfCardiacPhase", "TemporalPositionIndex", "FlipAngle")  # fmt: skip
RENAMED = {"EffectiveEchoTime": "EchoTime", "TemporalPositionIndex": "TemporalPositionIdentifier"}


def stacks_of(places: Sequence[Instance]) -> tuple[FrameStack, ...]:
    """What becomes of the frames of an object: one volume, several cases, or one case of all frames as stored.

    Args:
        places: of each frame where it lies, `path` being its number as stored (`stored_places`).
    """
    whole = tuple(range(len(places)))
    if any(one.position is None or one.orientation is None for one in places):
        return (FrameStack(whole),)
    if len(places) > 1 and len({(one.position, one.orientation) for one in places}) == 1:
        return (FrameStack(whole),)  # a cine
    groups = group_instances(places)
    volumes = [group for group in groups if group.geometry is not None]
    if len(groups) == 1 and volumes:
        return (_stack(groups[0], groups[0].oddities),)
    names = [group.name for group in groups if group.name]
    told = f" ({'; '.join(names[:4])}{' ...' if len(names) > 4 else ''})" if names else ""
    if not volumes or len(groups) > MOST_STACKS:
        said = f"The {len(places)} frames form {len(groups)} stacks{told} and not one volume"
        return (FrameStack(whole, oddities=(f"{said}: they stay in stored order.",)),)
    of_object = f"The object holds {len(places)} frames in several parts; this is "
    return tuple(
        _stack(group, (f"{of_object}{group.name or f'stack {at}'}.", *_beside_the_split(group)))
        for at, group in enumerate(groups, 1)
    )


def chosen_stack(stacks: Sequence[FrameStack], frames: int, part: int | None) -> FrameStack:
    """The stack of an object that becomes a case; without `part` all its frames as they are stored.

    Raises:
        InvalidInput: there is no such stack.
    """
    if len(stacks) == 1:
        return stacks[0]
    if part is None:
        names = "; ".join(stack.name for stack in stacks[:4]) + (" ..." if len(stacks) > 4 else "")
        said = f"The {frames} frames form {len(stacks)} stacks ({names}) and not one volume: they stay in stored order."
        return FrameStack(tuple(range(frames)), oddities=(said,))
    if not 1 <= part <= len(stacks):
        raise InvalidInput(f"The object has {len(stacks)} stacks of frames. Received: stack {part}")
    return stacks[part - 1]


def _stack(group: Group, oddities: Sequence[str]) -> FrameStack:
    frames = tuple(int(one.path) for one in group.instances)
    depths = depths_of(group.instances) if len(frames) > 1 else ()
    return FrameStack(frames, group.name, group.geometry, tuple(oddities), depths)


def _beside_the_split(group: Group) -> tuple[str, ...]:
    """What is odd beside that it is one of several; that is said of slices, of which there are none here."""
    return group.oddities[1:] if group.split_by else group.oddities


def place_single(found: Instance, dataset: Dataset) -> Instance:
    """An object of a single frame, of which functional groups may say where it lies and what tells it apart."""
    if not any(word in dataset for word in OF_FRAMES):
        return found
    (place,) = stored_places(dataset, 1)
    return replace(
        found,
        position=place.position or found.position,
        orientation=place.orientation or found.orientation,
        spacing_mm=place.spacing_mm or found.spacing_mm,
        keys=(*found.keys, *place.keys),
    )


def stored_places(dataset: Dataset, frames: int) -> list[Instance]:
    """Where each frame lies as its functional groups say, in the order in which they are stored."""
    return [instance_of(said_in_groups(dataset, number), str(number)) for number in range(frames)]


def said_in_groups(dataset: Dataset, frame: int) -> Dataset:
    """What the functional groups of a frame say of its place and of what tells it apart, by the words that objects of
    single frames have for it."""
    told = Dataset()
    told.Rows, told.Columns = dataset.Rows, dataset.Columns
    shared, each = (dataset.get(word) or [] for word in OF_FRAMES)
    for groups in (*shared[:1], *each[frame : frame + 1]):
        for item in [item for name in GROUPS if (item := _first(groups.get(name))) is not None]:
            for word in COPIED:
                if word in item:
                    setattr(told, RENAMED.get(word, word), item.get(word))
    return told


def _first(sequence: Sequence[Dataset] | None) -> Dataset | None:
    return next(iter(sequence or ()), None)
