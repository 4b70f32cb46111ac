"""DICOM Segmentation objects (PS3.3 A.51): binary, fractional and label maps, overlapping or of some frames only."""

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from core.errors import InvalidInput
from core.images.decoded import Pixels, check_size, reading
from core.images.dicom_decoders import refuse_syntax
from core.images.dicom_stacks import stored_places
from core.images.dicom_unwrap import unwrap
from core.images.planes import Frames, lay, plane_of_instance
from core.images.volumes import check_volume_size
from core.settings import Settings

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
THRESHOLD = 0.5  # of a fraction, from which on a pixel belongs to the segment


@dataclass(frozen=True)
class _Drawn:
    """One frame: of which segment (None: its numbers are the segments), where it lies, what it was drawn on."""

    segment: int | None
    plane: Pixels | None
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Segmentation:
    """The segments of an object; `values` are their frames."""

    names: Mapping[int, str]
    referenced: frozenset[str]
    frames: tuple[_Drawn, ...]
    values: Pixels
    least: float  # of a value that belongs to its segment

    def drawn(self, numbers: Sequence[int], on: Frames) -> Pixels:
        """The union of some segments, each frame on the frame that it was drawn on."""
        whole = np.zeros((on.count, on.rows, on.columns), np.uint8)
        for values, frame in zip(self.values, self.frames, strict=True):
            if frame.segment is not None and frame.segment not in numbers:
                continue
            mask = np.isin(values, numbers) if frame.segment is None else values >= self.least
            if not mask.any():
                continue
            at = _frame(frame, on)
            plane = on.planes[at]
            if frame.plane is not None and plane is not None:
                lay(mask, frame.plane, plane, whole[at])
            elif mask.shape == whole[at].shape:
                whole[at] |= mask
            else:
                raise InvalidInput(
                    f"The segmentation is of another size than its image. Received: {mask.shape[1]} x {mask.shape[0]} "
                    f"pixels, the image {on.columns} x {on.rows}"
                )
        return whole


def read_segmentation(content: bytes, settings: Settings, *, threshold: float = THRESHOLD) -> Segmentation:
    """The segments of an object.

    Args:
        threshold: of a fractional segmentation, which fraction is enough.

    Raises:
        InvalidInput: too large, damaged, or without segments.
    """
    with reading("DICOM segmentation"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(content))
        refuse_syntax(str(dataset.file_meta.get("TransferSyntaxUID") or ""))
        count = max(1, int(dataset.get("NumberOfFrames") or 1))
        check_size(int(dataset.Rows), int(dataset.Columns), settings)
        check_volume_size((count, int(dataset.Rows), int(dataset.Columns)), settings)
        names = {
            int(one.SegmentNumber): str(one.get("SegmentLabel", "")) for one in dataset.get("SegmentSequence") or []
        }
        if not names:
            raise InvalidInput("The segmentation names no segment; export it again. Received: no Segment Sequence")
        unwrap(dataset)
        values = np.asarray(dataset.pixel_array).reshape(count, int(dataset.Rows), int(dataset.Columns))
        kind = str(dataset.get("SegmentationType", "BINARY"))
        least = threshold * int(dataset.get("MaximumFractionalValue", 255)) if kind == "FRACTIONAL" else 1
        frames = tuple(_frames(dataset, count, is_map=kind == "LABELMAP"))
        series = [item for one in dataset.get("ReferencedSeriesSequence") or []
                  for item in one.get("ReferencedInstanceSequence") or []]  # fmt: skip
        listed = frozenset(str(item.ReferencedSOPInstanceUID) for item in series)
        return Segmentation(names, listed.union(*(frame.sources for frame in frames)), frames, values, least)


def _frames(dataset: Dataset, count: int, *, is_map: bool) -> list[_Drawn]:
    shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), Dataset())
    each = list(dataset.get("PerFrameFunctionalGroupsSequence") or [])
    found = []
    for number, place in enumerate(stored_places(dataset, count)):
        groups = [*each[number : number + 1], shared]
        segment = None if is_map else int(_item(groups, "SegmentIdentificationSequence").ReferencedSegmentNumber)
        sources = [
            str(source.ReferencedSOPInstanceUID)
            for group in groups
            for derivation in group.get("DerivationImageSequence") or []
            for source in derivation.get("SourceImageSequence") or []
        ]
        found.append(_Drawn(segment, plane_of_instance(place), tuple(sources)))
    return found


def _item(groups: Sequence[Dataset], word: str) -> Any:
    return next(item for group in groups for item in group.get(word) or [])


def _frame(frame: _Drawn, on: Frames) -> int:
    """The frame of the case on which it was drawn."""
    named = (on.frame_of(uid) for uid in frame.sources)
    at = (
        on.near(frame.plane[:3, 3], frame.sources)
        if frame.plane is not None
        else next((one for one in named if one is not None), None)
    )
    if at is None:
        place = "" if frame.plane is None else " at ({:.1f}, {:.1f}, {:.1f}) mm".format(*frame.plane[:3, 3])
        raise InvalidInput(f"A frame of the segmentation lies where its image has none. Received: a frame{place}")
    return at
