"""DICOM objects that draw on others: which kind one is, and where the frames of a case lie for them."""

import io
import sqlite3
import warnings
from collections import Counter
from collections.abc import Mapping

import pydicom

from core.errors import InvalidInput
from core.images.decoded import reading
from core.images.dicom_instances import instance_of
from core.images.dicom_rtstruct import STRUCTURE_SET, read_structure_set
from core.images.dicom_seg import LABEL_MAP_SEGMENTATION, SEGMENTATION, THRESHOLD, read_segmentation
from core.images.dicom_stacks import chosen_stack, stacks_of, stored_places
from core.images.grids import is_uneven
from core.images.headers import list_headers
from core.images.planes import Frames, Segments, plane_of_instance, planes_of
from core.images.pseudonyms import pseudonymous_uid
from core.images.records import Case
from core.images.series import STACK, Instance
from core.settings import Settings
from core.store.files import Files


def read_segments(content: bytes, settings: Settings, *, threshold: float = THRESHOLD) -> Segments:
    """What a SEG or RTSTRUCT object draws.

    Raises:
        InvalidInput: it is another object, or damaged.
    """
    with reading("DICOM file"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True, specific_tags=["SOPClassUID"])
        kind = str(head.get("SOPClassUID", ""))
    if kind in (SEGMENTATION, LABEL_MAP_SEGMENTATION):
        return read_segmentation(content, settings, threshold=threshold)
    if kind == STRUCTURE_SET:
        return read_structure_set(content)
    raise InvalidInput(
        f"Of DICOM, masks are SEG and RTSTRUCT objects. Received: {pydicom.uid.UID(kind).name or 'none'}"
    )


def frames_of_case(connection: sqlite3.Connection, files: Files, case: Case, secret: bytes) -> Frames:
    """The frames of a case by its kept DICOM headers, each with its own place; else by its affine where that tells."""
    headers = list_headers(connection, case.id)
    planes = planes_of(None if is_uneven(case) else case.affine, case.frames)
    by_uid: dict[str, int] = {}
    if headers and len(headers) == case.frames and STACK not in case.attributes:
        times = Counter(header.sop_uid for header in headers)  # a UID of several slices says nothing of which is meant
        by_uid = {header.sop_uid: header.frame for header in headers if times[header.sop_uid] == 1}
        contents = (files.read_bytes("headers", header.header_hash) for header in headers)
        planes = tuple(plane_of_instance(_instances(content, 1, {})[0]) for content in contents)
    elif len(headers) == 1:
        content = files.read_bytes("headers", headers[0].header_hash)
        instances = _instances(content, case.frames, case.attributes, is_volume=case.affine is not None)
        planes = tuple(map(plane_of_instance, instances)) or planes

    def frame_of(uid: str) -> int | None:
        return by_uid.get(uid, by_uid.get(pseudonymous_uid(secret, uid)))

    return Frames(case.rows, case.columns, case.frames, planes, frame_of)


def _instances(content: bytes, count: int, attributes: Mapping[str, str], *, is_volume: bool = False) -> list[Instance]:
    """Where each frame of a case lies; none of a stack that its kept header does not tell apart, or of a volume that is
    told apart today and was not when the case came in."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(content))
        if count == 1 and "ImagePositionPatient" in dataset:
            return [instance_of(dataset, "")]
        places = stored_places(dataset, max(count, int(dataset.get("NumberOfFrames") or 1)))
        stacks = stacks_of(places)
        if STACK not in attributes and is_volume and len(stacks) > 1:
            return []
        if STACK not in attributes:
            return [places[at] for at in chosen_stack(stacks, len(places), None).frames[:count]]
        part, _, parts = attributes[STACK].partition(" of ")
        if str(len(stacks)) != parts:
            return []
        order = chosen_stack(stacks, len(places), int(part)).frames
        return [places[at] for at in order] if len(order) == count else []
