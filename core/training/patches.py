"""Patches of volumes: drawn anew in each epoch for training, and always the same ones for validation.

A patch hangs on the seed, the epoch and its own number alone, so a run that goes on draws what an unbroken one would
have drawn. Validation looks at the windows in which a model would see a volume, whose overlaps count once for each;
of large volumes at a fixed part of them.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.datasets.records import SnapshotCase
from core.datasets.volumes import PreparedVolumes, cut_patch, prepare_volume_masks, prepare_volumes
from core.errors import InvalidInput
from core.images.volume_input import PatchSpec, window_starts
from core.progress import Portion, Progress
from core.store.files import Files
from core.training.batches import Examples
from core.training.networks import NETWORKS, input_of
from core.training.recipe import Recipe

MOST_SPOTS = 10_000  # painted voxels of a structure of a case that patches may be centred on
MOST_WINDOWS = 16  # of a validation volume

Place = tuple[int, tuple[int, int, int]]  # which volume, and where a patch begins in it


@dataclass(frozen=True)
class Windows:
    """Patches of volumes by row, as `core.training.batches.Images`."""

    volumes: PreparedVolumes
    shape: tuple[int, int, int]
    place_of: Callable[[int], Place]

    def read(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([self.volumes.cut(at, start, self.shape) for at, start in map(self.place_of, map(int, rows))])


@dataclass(frozen=True)
class Draw:
    """Where the patches of an epoch lie. `spots` are painted voxels `(n, 3)` of each structure of each volume."""

    sizes: tuple[tuple[int, ...], ...]
    spots: tuple[tuple[np.ndarray, ...], ...]
    shape: tuple[int, int, int]
    patches: int
    painted_share: float
    seed: int
    epoch: int = 0

    def place_of(self, row: int) -> Place:
        at, random = row // self.patches, np.random.default_rng((self.seed, self.epoch, row))
        painted = [spots for spots in self.spots[at] if len(spots)]
        on_structure = random.random() < self.painted_share
        if painted and on_structure:
            spots = painted[random.integers(len(painted))]
            middle = spots[random.integers(len(spots))]
            return at, patch_around(middle, self.sizes[at], self.shape)
        free = zip(self.sizes[at], self.shape, strict=True)
        wanted = [int(random.integers(max(side - length, 0) + 1)) for side, length in free]
        return at, _within_all(wanted, self.sizes[at], self.shape)


@dataclass(frozen=True)
class PatchExamples(Examples):
    """Patches drawn of volumes; `targets` name the case of each row."""

    draw: Draw | None = None
    spec: PatchSpec | None = None

    def of_epoch(self, seed: int, epoch: int) -> Examples:
        assert self.draw is not None
        assert isinstance(self.images, Windows)
        assert isinstance(self.masks, Windows)
        place_of = replace(self.draw, seed=seed, epoch=epoch).place_of
        images, masks = (replace(windows, place_of=place_of) for windows in (self.images, self.masks))
        return replace(self, images=images, masks=masks)

    def as_judged(self, cases: np.ndarray) -> Examples:
        """The windows that validation looks at in its own volumes: half of the patches lie around what is painted, and
        a network that paints too much elsewhere would look better on them."""
        assert self.spec is not None
        assert isinstance(self.images, Windows)
        assert isinstance(self.masks, Windows)
        volumes, masks = self.images.volumes, self.masks.volumes
        wanted = [at for at, case_id in enumerate(volumes.case_ids) if case_id in cases]
        return _all_windows(volumes, masks, wanted, self.spec)


def gather_patches(
    connection: sqlite3.Connection,
    files: Files,
    train: Sequence[SnapshotCase],
    validation: Sequence[SnapshotCase],
    recipe: Recipe,
    progress: Progress,
) -> tuple[Examples, Examples, bool]:
    """Patches to learn, windows to validate on, and whether no voxel of a training case belongs to two structures.

    Raises:
        InvalidInput: nothing is painted on what is left of the training volumes at this spacing.
        Stopped: somebody asked to stop.
    """
    spec, cases, first = input_of(recipe), [*train, *validation], len(train)
    assert isinstance(spec, PatchSpec)
    volumes = prepare_volumes(connection, files, cases, spec, Portion(progress, 0.0, 0.7))
    masks = prepare_volume_masks(connection, files, cases, spec, Portion(progress, 0.7, 1.0))
    patches, share = NETWORKS[recipe.network].sampling_of(recipe)  # type: ignore[attr-defined]
    spots = tuple(_spots(volume) for volume in masks.volumes[:first])
    if not any(len(one) for of_case in spots for one in of_case):
        raise InvalidInput(
            f"Take a finer spacing: at this one nothing painted is left. "
            f"Received: {', '.join(f'{side:g}' for side in spec.spacing_mm)} mm"
        )
    sizes = tuple(volume.shape[:3] for volume in volumes.volumes)
    draw = Draw(sizes, spots, spec.patch_size, patches, share, recipe.seed)
    rows, case_ids = np.arange(first * patches), np.array(volumes.case_ids)
    shown, painted = (Windows(some, spec.patch_size, draw.place_of) for some in (volumes, masks))
    learnt = PatchExamples(shown, rows, case_ids[rows // patches], painted, draw=draw, spec=spec)
    judged = _all_windows(volumes, masks, range(first, len(cases)), spec)
    exclusive = all(frame.sum(axis=-1).max() <= 1 for volume in masks.volumes[:first] for frame in volume)
    return learnt, judged, exclusive


def _spots(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Painted voxels of each structure, `(n, 3)`: all, or as many of them as are kept."""
    random, found = np.random.default_rng(0), []
    for structure in range(mask.shape[-1]):
        counts = [int(np.count_nonzero(frame[..., structure])) for frame in mask]
        n = sum(counts)  # of the painted voxels, frame by frame, those that are kept
        picked = random.choice(n, MOST_SPOTS, replace=False) if n > MOST_SPOTS else np.arange(n)
        spots, before = np.empty((len(picked), 3), np.int32), 0
        for at, count in enumerate(counts):
            here = (before <= picked) & (picked < before + count)
            if here.any():
                painted = np.argwhere(mask[at, ..., structure])
                spots[here, 0], spots[here, 1:] = at, painted[picked[here] - before]
            before += count
        found.append(spots)
    return tuple(found)


def patch_around(middle: Sequence[int], sides: Sequence[int], shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Where a patch begins that has this voxel in its middle, as far as the volume reaches."""
    wanted = [int(place) - length // 2 for place, length in zip(middle, shape, strict=True)]
    return _within_all(wanted, sides, shape)


def patch_on(mask: np.ndarray, frame: int, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Where a patch begins that has in its middle what a reader painted on a frame of a mask `(depth, rows, columns,
    structures)`, as far as the volume reaches; the middle of the frame where nothing is painted on it."""
    painted = np.argwhere(mask[frame].any(axis=-1))
    row, column = painted.mean(axis=0) if len(painted) else (side / 2 for side in mask.shape[1:3])
    return patch_around((frame, int(row), int(column)), mask.shape[:3], shape)


def _within_all(wanted: Sequence[int], sides: Sequence[int], shape: tuple[int, int, int]) -> tuple[int, int, int]:
    first, second, third = (_within(*axis) for axis in zip(wanted, sides, shape, strict=True))
    return first, second, third


def _within(start: int, side: int, length: int) -> int:
    """The start moved so that a patch lies in the volume; in its middle where the volume is the smaller one."""
    return min(max(start, 0), side - length) if side >= length else -((length - side) // 2)


def _all_windows(volumes: PreparedVolumes, masks: PreparedVolumes, wanted: Sequence[int], spec: PatchSpec) -> Examples:
    """The windows of the volumes at these places."""
    looks = [place for at in wanted for place in _windows(at, masks.volumes[at], spec)]
    seen, painted = (Windows(some, spec.patch_size, looks.__getitem__) for some in (volumes, masks))
    return Examples(seen, np.arange(len(looks)), np.array(volumes.case_ids)[[at for at, _ in looks]], painted)


def _windows(at: int, mask: np.ndarray, spec: PatchSpec) -> list[Place]:
    """The windows in which a model would see a volume. Of more than `MOST_WINDOWS` half are spread over those with
    something painted and the rest over those without, so that small structures are not missed."""
    sides = zip(mask.shape[:3], spec.patch_size, strict=True)
    starts = [window_starts(side, length, spec.overlap) for side, length in sides]
    places: list[Place] = [(at, (i, j, k)) for i in starts[0] for j in starts[1] for k in starts[2]]
    if len(places) <= MOST_WINDOWS:
        return places
    painted = [place for place in places if cut_patch(mask, place[1], spec.patch_size).any()]
    empty = [place for place in places if place not in painted]
    on_structures = _spread(painted, max(MOST_WINDOWS // 2, MOST_WINDOWS - len(empty)))
    return [*on_structures, *_spread(empty, MOST_WINDOWS - len(on_structures))]


def _spread(places: list[Place], most: int) -> list[Place]:
    if len(places) <= most:
        return places
    return [places[part * len(places) // most] for part in range(most)]
