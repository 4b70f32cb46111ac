"""The masks of a snapshot: those of the reader whose answer is the reference, as they are when it is frozen."""

import base64
import hashlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from core.datasets.records import Candidate, SnapshotCase, map_readers
from core.errors import CoreError, InvalidInput
from core.images.records import get_case
from core.labels.mask_store import KeptMask, code_mask
from core.labels.masks import compose_mask
from core.labels.runs import decode_runs
from core.progress import Progress, stop_if_asked
from core.projects.records import Project
from core.projects.schema import Segmentation
from core.store.database import writing
from core.store.files import Files

DAMAGED = "The export is damaged; export the snapshot again."


def code_masks(
    connection: sqlite3.Connection,
    project: Project,
    schema: Segmentation,
    candidates: Sequence[Candidate],
    progress: Progress,
) -> tuple[list[Candidate], dict[str, bytes]]:
    """The candidates with the masks of their reference, and the content of each mask by its hash; nothing is stored.

    What is painted decides which structures a case has: a stroke may have come after the reader's answer.

    Raises:
        Stopped: somebody asked to stop.
    """
    readers = map_readers(connection, project.id)
    contents: dict[str, bytes] = {}
    coded = []
    for at, candidate in enumerate(candidates):
        stop_if_asked(progress)
        case = get_case(connection, candidate.case_id)
        (label,) = candidate.label_ids  # the rules of a segmentation choose one reader
        masks = []
        for name in schema.names:
            kept, content = code_mask(name, compose_mask(connection, case, readers[label], name))
            contents[kept.mask_hash] = content
            masks.append(kept)
        value = {"structures": [mask.structure for mask in masks if mask.pixels]}
        coded.append(replace(candidate, value=value, masks=tuple(masks)))
        progress.report((at + 1) / len(candidates), f"reading masks, {at + 1} of {len(candidates)}")
    return coded, contents


def store_masks(files: Files, contents: Mapping[str, bytes]) -> None:
    """Put masks on their shelf; what is there already is not written again."""
    for mask_hash, content in contents.items():
        files.put_under("masks", mask_hash, content)


@contextmanager
def keeping_masks(connection: sqlite3.Connection, files: Files, contents: Mapping[str, bytes]) -> Iterator[None]:
    """The transaction in which a snapshot names these masks: they are on their shelf before it, and still in it."""
    store_masks(files, contents)
    with writing(connection):
        store_masks(files, contents)  # those that an erasing took away just now; the others are there
        yield


def export_masks_of(files: Files, cases: Iterable[SnapshotCase]) -> dict[str, str]:
    """The masks of frozen cases by hash, packed as text (zlib, base64)."""
    hashes = sorted({mask.mask_hash for case in cases for mask in case.masks})
    return {one: base64.b64encode(zlib.compress(files.read_bytes("masks", one), 9)).decode() for one in hashes}


def unpack_masks(packed: Mapping[str, Any]) -> dict[str, bytes]:
    """The masks of an export by hash.

    Raises:
        InvalidInput: one is not what its name says.
    """
    contents = {}
    for name, text in packed.items():
        try:
            content = zlib.decompress(base64.b64decode(text, validate=True))
        except (ValueError, TypeError, zlib.error) as error:
            raise InvalidInput(f"{DAMAGED} Received: mask {name[:12]} ({error})") from error
        if hashlib.sha256(content).hexdigest() != name:
            raise InvalidInput(f"{DAMAGED} Received: mask {name[:12]}, which has another content")
        contents[name] = content
    return contents


def masks_of_row(
    connection: sqlite3.Connection, schema: Segmentation, case_id: int, said: object, contents: Mapping[str, bytes]
) -> tuple[KeptMask, ...]:
    """The masks that a row of an export names, checked against the case that they belong to.

    Raises:
        InvalidInput: not one for each structure, a mask that the export lacks, or one of another size.
    """
    if not isinstance(said, Mapping) or set(said) != set(schema.names) or not set(said.values()) <= set(contents):
        raise InvalidInput(f"{DAMAGED} Received: masks {said!r}"[:300])
    case, masks = get_case(connection, case_id), []
    for name in schema.names:
        try:
            painted = decode_runs(contents[said[name]], case.frames * case.rows, case.columns)
        except CoreError as error:
            raise InvalidInput(f"A mask of the export does not fit its image. Received: {case.source}") from error
        masks.append(KeptMask(name, said[name], int(np.count_nonzero(painted))))
    return tuple(masks)
