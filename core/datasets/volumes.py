"""Volumes as a network in 3-D takes them in: resampled once to one spacing, a file a case, for their sizes differ."""

import os
import sqlite3
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from core.datasets.loading import HasCase, in_batches, key_of, prepare_file
from core.datasets.records import SnapshotCase
from core.errors import InvalidInput
from core.images.frames import case_pixels
from core.images.records import Case
from core.images.volume_input import (
    PatchSpec,
    Shape,
    Spacing,
    nearest_frames,
    resampled_frames,
    resampled_grid,
    spacing_of,
)
from core.labels.mask_store import read_mask_frames
from core.progress import Portion, Progress
from core.store.files import Files

FRAMES_AT_ONCE = 16
UNKNOWN_MM: Spacing = (1.0, 1.0, 1.0)  # where no volume tells its spacing, every one keeps its voxels
WINDOW = ("window", "window_values")  # of a spec
FILES_BESIDE = 256  # that a process may have open apart from these


@dataclass(frozen=True)
class PreparedVolumes:
    """`volumes` are read-only memory maps, uint8 `(depth, rows, columns, channels)` each, in the order of the cases.

    Of masks the channels are structures. What is cut of them is copied, so memory does not grow with the data.
    """

    volumes: tuple[np.ndarray, ...]
    case_ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.volumes)

    def cut(self, at: int, start: Sequence[int], shape: Sequence[int]) -> np.ndarray:
        """A patch of volume `at` as a fresh array; nothing (0) where it reaches beyond the volume."""
        return cut_patch(self.volumes[at], start, shape)


def cut_patch(volume: np.ndarray, start: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """uint8 `(*shape, channels)` from `start` on, which may lie before the volume; nothing (0) beyond its edges. Of an
    image, whose axes are two, likewise."""
    patch = np.zeros((*shape, volume.shape[-1]), np.uint8)
    low = [max(0, first) for first in start]
    high = [min(side, first + length) for side, first, length in zip(volume.shape, start, shape, strict=False)]
    if all(end > first for first, end in zip(low, high, strict=True)):
        source = tuple(slice(first, end) for first, end in zip(low, high, strict=True))
        into = tuple(slice(part.start - first, part.stop - first) for part, first in zip(source, start, strict=True))
        patch[into] = volume[source]
    return patch


def prepare_volumes(
    connection: sqlite3.Connection, files: Files, cases: Sequence[HasCase], spec: PatchSpec, progress: Progress
) -> PreparedVolumes:
    """These cases at the spacing of `spec`, in this order; each is made at most once for the same pixels and spacing.

    A case whose own spacing is not known keeps its voxels.

    Raises:
        InvalidInput: there are no cases.
        NotFound: a case or its pixels are gone.
        Stopped: somebody asked to stop.
    """

    def prepare(case: Case, part: Progress) -> np.ndarray:
        key, grid = volume_key(case, spec)

        def frames() -> Iterator[np.ndarray]:
            pixels = case_pixels(files, case)
            return _in_pieces(resampled_frames(pixels, case, grid, spec))

        return _prepare_one(files, key, (*grid, spec.channels), frames, part)

    return _prepare_all(connection, [case.case_id for case in cases], prepare, progress, "volumes")


def prepare_volume_masks(
    connection: sqlite3.Connection, files: Files, cases: Sequence[SnapshotCase], spec: PatchSpec, progress: Progress
) -> PreparedVolumes:
    """The frozen masks of these cases as they lie on `prepare_volumes` of them, 0 and 1, a structure a channel.

    Raises:
        NotFound, CoreError: a mask is gone or was altered.
        Stopped: somebody asked to stop.
    """
    frozen = {one.case_id: one for one in cases}

    def prepare(case: Case, part: Progress) -> np.ndarray:
        masks = frozen[case.id].masks
        key, grid = volume_masks_key(case, frozen[case.id], spec)

        def frames() -> Iterator[np.ndarray]:
            painted = [nearest_frames(read_mask_frames(files, mask.mask_hash, case), grid) for mask in masks]
            return _in_pieces(np.stack(frame, axis=-1) for frame in zip(*painted, strict=True))

        return _prepare_one(files, key, (*grid, len(masks)), frames, part)

    return _prepare_all(connection, list(frozen), prepare, progress, "masks")


def volume_key(case: Case, spec: PatchSpec) -> tuple[str, Shape]:
    """The name of the file of a case that `prepare_volumes` makes, and how many voxels are in it."""
    seen = {key: value for key, value in spec.to_json().items() if key in ("spacing_mm", "channels", *WINDOW)}
    grid, window = case_grid(case, spec), case.windows[0].to_json() if case.windows else None
    return key_of(["volume", seen], [case.pixel_hash, case.photometric, window, case.frames, grid]), grid


def volume_masks_key(case: Case, frozen: SnapshotCase, spec: PatchSpec) -> tuple[str, Shape]:
    """The same of the masks that `prepare_volume_masks` makes."""
    grid = case_grid(case, spec)
    told = [case.frames, case.rows, case.columns, grid, [mask.mask_hash for mask in frozen.masks]]
    return key_of(["volume masks"], [told]), grid


def median_spacing(cases: Sequence[Case]) -> Spacing:
    """Millimetres between frames, rows and columns: of each the median over the cases that tell theirs."""
    known = [spacing for spacing in map(spacing_of, cases) if spacing is not None]
    if not known:
        return UNKNOWN_MM
    frames, rows, columns = (round(statistics.median(sides), 4) for sides in zip(*known, strict=True))
    return frames, rows, columns


def case_grid(case: Case, spec: PatchSpec) -> Shape:
    """How many voxels a case has at the spacing of `spec`.

    Raises:
        InvalidInput: absurdly many.
    """
    shape = (case.frames, case.rows, case.columns)
    return resampled_grid(shape, spacing_of(case), spec.spacing_mm, f" (case {case.id}, {case.source})")


def _prepare_all(
    connection: sqlite3.Connection,
    case_ids: Sequence[int],
    prepare: Callable[[Case, Progress], np.ndarray],
    progress: Progress,
    what: str,
) -> PreparedVolumes:
    if not case_ids:
        raise InvalidInput(f"There is no volume to prepare. Received: {len(case_ids)} cases")
    _allow_open_files(2 * len(case_ids))
    volumes: list[np.ndarray] = []
    for case in in_batches(connection, case_ids):
        at, n = len(volumes), len(case_ids)
        volumes.append(prepare(case, Portion(progress, at / n, (at + 1) / n)))
        progress.report((at + 1) / n, f"preparing {what}, {at + 1} of {n}")
    return PreparedVolumes(tuple(volumes), tuple(case_ids))


def _prepare_one(
    files: Files, key: str, shape: tuple[int, ...], frames: Callable[[], Iterator[np.ndarray]], progress: Progress
) -> np.ndarray:
    volume, file = prepare_file(files, key, shape, frames, progress)
    os.close(file)  # the memory map holds the file by itself
    return volume


def _in_pieces(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    held: list[np.ndarray] = []
    for frame in frames:
        held.append(frame)
        if len(held) == FRAMES_AT_ONCE:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)


def _allow_open_files(count: int) -> None:
    """Each memory map holds a file open; systems allow a process some 1,000 until it asks for more."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + FILES_BESIDE
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
