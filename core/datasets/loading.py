"""The pixels of a snapshot as a network takes them in: prepared once, kept on disk, read by the batch.

Memory does not grow with the data: images are prepared one after the other straight into a file, and
`PreparedImages.read` copies a batch out of that file. Reading through `images`, a memory map, is as fast but
lets the operating system count every page touched towards the process until it needs the memory elsewhere.
"""

import hashlib
import json
import os
import sqlite3
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from core.datasets.records import SnapshotCase
from core.errors import InvalidInput
from core.images.frames import case_pixels, refuse_unscaled, refuse_volume
from core.images.records import Case, get_cases
from core.images.render import SCALED, InputSpec, model_mask
from core.images.volume_input import VolumeSpec, spacing_of, volume_input
from core.images.volumes import frame_sight
from core.labels.mask_store import read_mask_frames
from core.progress import Progress, stop_if_asked
from core.store.array_heads import read_array_head
from core.store.files import Files, begin_part, plain_values

RENDERING = 1  # raise it when `model_input` changes what it makes, so that old files are not taken for new ones
AT_ONCE = 64
FRAMES_AT_ONCE = 16
VOLUMES_AT_ONCE = 4  # of those that are seen whole
SECONDS_A_DAY = 86_400

Render = Callable[[int], np.ndarray]  # a frame of a case, counted from 0, to its prepared row


class HasCase(Protocol):
    """A case of a snapshot, or anything else that names a case."""

    @property
    def case_id(self) -> int: ...


@dataclass(frozen=True)
class PreparedImages:
    """`images` is a read-only memory map of uint8 (n, size, size, channels), or of whole volumes (n, depth, size, size,
    channels), row i being of case `case_ids[i]`.

    A row is an image, or a frame of a volume, whose frames follow one another. Of masks the channels are structures.
    """

    images: np.memmap
    case_ids: tuple[int, ...]
    path: Path
    file: int  # descriptor for `read`; closed with this object

    def read(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """A batch as a fresh array (len(rows), size, size, channels). Safe to call from several threads."""
        batch = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        start, stride = int(self.images.offset), int(np.prod(self.images.shape[1:]))
        for at, row in enumerate(rows):
            if not 0 <= row < len(self.images):
                raise IndexError(f"row {row} of {len(self.images)}")
            os.preadv(self.file, [batch[at].data], start + int(row) * stride)
        return batch


class WithNeighbours:
    """Rows of prepared images, each with its neighbours within its own case as channels (2.5-D)."""

    def __init__(self, images: PreparedImages, neighbours: int) -> None:
        self._images, self._neighbours = images, neighbours
        cases = np.array(images.case_ids)
        starts = np.flatnonzero(np.r_[True, cases[1:] != cases[:-1]])
        lengths = np.diff(np.r_[starts, len(cases)])
        self._first, self._last = np.repeat(starts, lengths), np.repeat(starts + lengths - 1, lengths)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """uint8 (len(rows), size, size, channels times `2 * neighbours + 1`), the frames before first."""
        steps = range(-self._neighbours, self._neighbours + 1)
        around = (np.clip(rows + step, self._first[rows], self._last[rows]) for step in steps)
        return np.concatenate([self._images.read(some) for some in around], axis=-1)


def prepare_images(
    connection: sqlite3.Connection,
    files: Files,
    cases: Sequence[HasCase],
    spec: InputSpec | VolumeSpec,
    progress: Progress,
    *,
    frames: bool = False,
) -> PreparedImages:
    """The network's view of these cases, in this order; made at most once for the same pixels and `spec`.

    Args:
        frames: of a volume every frame is a row; a `VolumeSpec` sees a whole case as one row.

    Raises:
        InvalidInput: there are no cases, or there is a volume among them that the network does not take in.
        NotFound: a case or its pixels are gone.
        Stopped: somebody asked to stop; what was made so far is thrown away.
    """
    key, rows = images_key(connection, cases, spec, frames=frames)
    own = without_neighbours(spec)

    def see(case: Case) -> Render:
        pixels = case_pixels(files, case)
        if isinstance(own, InputSpec):
            return frame_sight(pixels, case, own)
        whole = own
        return lambda _: volume_input(pixels, case, whole)

    at_once = AT_ONCE if isinstance(own, InputSpec) else VOLUMES_AT_ONCE
    batches = _batches(connection, [case.case_id for case in cases], see, at_once, by_frame=len(rows) > len(cases))
    return _prepare(files, key, rows, own.shape, batches, progress)


def without_neighbours(spec: InputSpec | VolumeSpec) -> InputSpec | VolumeSpec:
    """What one row of `prepare_images` holds: the neighbours of a frame are rows by themselves."""
    return replace(spec, neighbours=0) if isinstance(spec, InputSpec) else spec


def images_key(
    connection: sqlite3.Connection, cases: Sequence[HasCase], spec: InputSpec | VolumeSpec, *, frames: bool = False
) -> tuple[str, list[int]]:
    """The name of the file of `prepare_images`, and the case of each of its rows.

    Raises:
        CoreError: what `prepare_images` refuses.
    """
    if not cases:
        raise InvalidInput(f"There is no image to prepare. Received: {len(cases)} cases")
    rows, told = list[int](), list[object]()
    for case in in_batches(connection, [case.case_id for case in cases]):
        if not frames and isinstance(spec, InputSpec):
            refuse_volume(case, "train on or evaluate")
        refuse_unscaled(case, spec)
        window = case.windows[0].to_json() if case.windows else None
        rows += [case.id] * (case.frames if isinstance(spec, InputSpec) else 1)
        told.append([case.pixel_hash, case.photometric, window, *([case.frames] if case.frames > 1 else [])])
        if isinstance(spec, VolumeSpec) and spec.spacing_mm:
            told.append(spacing_of(case))
        if isinstance(spec, InputSpec) and spec.resize == SCALED:
            told.append(case.spacing_mm)
    return key_of(["images", without_neighbours(spec).to_json()], told), rows


def prepare_masks(
    connection: sqlite3.Connection, files: Files, cases: Sequence[SnapshotCase], spec: InputSpec, progress: Progress
) -> PreparedImages:
    """The frozen masks of these cases as they lie on `prepare_images` of them, uint8 of 0 and 1, a structure a channel.

    Raises:
        NotFound, CoreError: a mask is gone or was altered.
        Stopped: somebody asked to stop; what was made so far is thrown away.
    """
    key, rows = masks_key(connection, cases, spec)
    frozen = {one.case_id: one for one in cases}

    def see(case: Case) -> Render:
        painted = [read_mask_frames(files, mask.mask_hash, case) for mask in frozen[case.id].masks]
        return lambda at: np.stack([model_mask(mask[at], spec, case.spacing_mm) for mask in painted], axis=-1)

    batches = _batches(connection, list(frozen), see, AT_ONCE, by_frame=len(rows) > len(cases))
    shape = (spec.size, spec.size, len(cases[0].masks))
    return _prepare(files, key, rows, shape, batches, progress)


def masks_key(connection: sqlite3.Connection, cases: Sequence[SnapshotCase], spec: InputSpec) -> tuple[str, list[int]]:
    """The name of the file of `prepare_masks`, and the case of each of its rows."""
    frozen = {one.case_id: one for one in cases}
    rows, told = list[int](), list[object]()
    for case in in_batches(connection, list(frozen)):
        rows += [case.id] * case.frames
        told.append([case.frames, case.rows, case.columns, [mask.mask_hash for mask in frozen[case.id].masks]])
        if spec.resize == SCALED:
            told.append(case.spacing_mm)
    return key_of(["masks", without_neighbours(spec).to_json()], told), rows


def _prepare(
    files: Files,
    key: str,
    rows: Sequence[int],
    shape: tuple[int, ...],
    batches: Callable[[], Iterator[np.ndarray]],
    progress: Progress,
) -> PreparedImages:
    """The file of a key, made of the batches where it is not there."""
    images, file = prepare_file(files, key, (len(rows), *shape), batches, progress)
    progress.report(1.0, f"{len(rows)} images prepared")
    prepared = PreparedImages(images, tuple(rows), files.path("prepared", key), file)
    weakref.finalize(prepared, os.close, prepared.file)
    return prepared


def prepare_file(
    files: Files, key: str, shape: tuple[int, ...], batches: Callable[[], Iterator[np.ndarray]], progress: Progress
) -> tuple[np.memmap, int]:
    """The file of a key as a memory map and a descriptor, made of the batches where it is not there."""
    target = files.path("prepared", key)
    opened = _opened(target) if _touched(target) else None
    while opened is None:  # erasing a case takes away every prepared file at once, so also just before it is opened
        _write(target, shape, batches, progress)
        opened = _opened(target)
    images, file = opened
    if images.shape != shape:
        os.close(file)
        raise InvalidInput(f"Delete this file, it is not what its name says. Received: {target}")
    return images, file


def remove_unused_images(files: Files, *, now: datetime, keep_days: float) -> int:
    """Remove prepared images not used for so many days, and what a killed process left half-made; how many files.

    They can be made again from the pixels. Whoever has one open reads on undisturbed; still the caller sees to it
    that no job runs, so that none is removed between the look for it and its opening.
    """
    oldest = now.timestamp() - keep_days * SECONDS_A_DAY
    removed = 0
    for path in (files.root / "prepared").glob("*/*"):
        if path.is_file() and path.stat().st_mtime < oldest:
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _opened(target: Path) -> tuple[np.memmap, int] | None:
    """The images as a memory map and a descriptor for `read`; None where the file is gone."""
    try:
        file = os.open(target, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        with open(file, "rb", closefd=False) as stream:
            shape, kind = read_array_head(stream)
            return np.memmap(target, kind, "r", stream.tell(), shape), file
    except FileNotFoundError:
        os.close(file)
        return None


def _touched(target: Path) -> bool:
    """Note on an existing file that it is used now; False where there is none."""
    try:
        os.utime(target)
    except FileNotFoundError:
        return False
    return True


def key_of(what: Sequence[object], told: Sequence[object]) -> str:
    """A hash of everything that decides the prepared bytes."""
    digest = hashlib.sha256(json.dumps([RENDERING, *what], sort_keys=True).encode())
    for one in told:
        digest.update(json.dumps(one, sort_keys=True).encode())
    return digest.hexdigest()


def _write(
    target: Path, shape: tuple[int, ...], batches: Callable[[], Iterator[np.ndarray]], progress: Progress
) -> None:
    """Whole or absent, like every file of the store; two processes that prepare the same at once do no harm."""
    handle, part = begin_part(target)
    try:
        with os.fdopen(handle, "wb") as stream:
            _write_header(stream, shape)
            done = 0
            for images in batches():
                stop_if_asked(progress)
                stream.write(plain_values(images))
                done += len(images)
                progress.report(done / shape[0], f"preparing images, {done} of {shape[0]}")
            stream.flush()
            os.fsync(stream.fileno())
        Path(part).replace(target)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _write_header(stream: BinaryIO, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)


def _batches(
    connection: sqlite3.Connection,
    case_ids: Sequence[int],
    see: Callable[[Case], Render],
    at_once: int,
    *,
    by_frame: bool,
) -> Callable[[], Iterator[np.ndarray]]:
    """Batches of prepared rows, of `at_once` cases with one row each; where the frames of volumes are rows
    (`by_frame`), of one case at a time, of which only the frames of a batch are held.

    Threads help: hashing, windowing and resizing let go of the interpreter.
    """

    def batches() -> Iterator[np.ndarray]:
        with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as threads:
            if not by_frame:
                for start in range(0, len(case_ids), at_once):
                    cases = get_cases(connection, case_ids[start : start + at_once])
                    yield np.stack(list(threads.map(lambda case: see(case)(0), cases)))
                return
            for case in in_batches(connection, case_ids):
                render = see(case)
                for start in range(0, case.frames, FRAMES_AT_ONCE):
                    some = range(start, min(start + FRAMES_AT_ONCE, case.frames))
                    yield np.stack(list(threads.map(render, some)))

    return batches


def in_batches(connection: sqlite3.Connection, case_ids: Sequence[int]) -> Iterator[Case]:
    for start in range(0, len(case_ids), 1000):
        yield from get_cases(connection, case_ids[start : start + 1000])
