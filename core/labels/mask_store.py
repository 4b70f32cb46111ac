"""Whole masks as files of the store, named by their content: what a snapshot has frozen and what a model has painted.

A file holds the run-length code of all frames one after the other (`labels.runs`), so equal masks are one file.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from core.errors import CoreError, InvalidInput
from core.images.records import Case
from core.labels.runs import DecodedFrames, decode_runs, encode_runs
from core.store.files import Files


@dataclass(frozen=True)
class KeptMask:
    """The mask of one structure: the name of its file, and how many pixels are painted."""

    structure: str
    mask_hash: str
    pixels: int


def code_mask(structure: str, mask: np.ndarray) -> tuple[KeptMask, bytes]:
    """A mask `(frames, rows, columns)` as the content of its file, and what that is called; nothing is stored."""
    content = encode_runs(mask)
    return KeptMask(structure, hashlib.sha256(content).hexdigest(), int(np.count_nonzero(mask))), content


def keep_mask(files: Files, structure: str, mask: np.ndarray) -> KeptMask:
    """Store a mask `(frames, rows, columns)`."""
    kept, content = code_mask(structure, mask)
    files.put_under("masks", kept.mask_hash, content)
    return kept


def read_kept_mask(files: Files, mask_hash: str, case: Case) -> np.ndarray:
    """A stored mask of a case: uint8 `(frames, rows, columns)` of 0 and 1.

    Raises:
        NotFound, CoreError: the file is gone, was altered, or is of another case.
    """
    content = files.read_bytes("masks", mask_hash)
    with _fitting():
        return decode_runs(content, case.frames * case.rows, case.columns).reshape(case.frames, case.rows, case.columns)


def read_mask_frames(files: Files, mask_hash: str, case: Case) -> DecodedFrames:
    """The same frame by frame, of a volume that may be larger than memory.

    Raises:
        NotFound, CoreError: the file is gone, was altered, or is of another case.
    """
    content = files.read_bytes("masks", mask_hash)
    with _fitting():
        return DecodedFrames(content, case.frames, case.rows, case.columns)


@contextmanager
def _fitting() -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise CoreError(f"A stored mask does not fit its case; restore both from a backup. {error}") from error
