"""A network over a whole volume, patch by patch: overlapping windows whose answers are averaged with Gaussian weights.

As nnU-Net does (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z): in the middle of a window a network knows what
lies around, at its edges it does not. Windows go through the volume in layers, and frames that no later layer reaches
leave at once: memory holds the answers of one layer, however many frames there are.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from core.datasets.volumes import cut_patch
from core.images.volume_input import window_starts
from core.progress import Progress, Silent, stop_if_asked

SIGMA = 1 / 8  # of the Gaussian, in sides of a window


def slide(
    answer: Callable[[np.ndarray], np.ndarray],
    volume: np.ndarray,
    patch_size: Sequence[int],
    overlap: float,
    progress: Progress | None = None,
) -> Iterator[np.ndarray]:
    """What a network says of each frame, float32 (rows, columns, k), in order.

    Args:
        answer: uint8 (1, *patch_size, channels) to (1, *patch_size, k).
        volume: uint8 (depth, rows, columns, channels).

    Raises:
        Stopped: somebody asked to stop.
    """
    progress = progress or Silent()
    starts = [window_starts(side, length, overlap) for side, length in zip(volume.shape[:3], patch_size, strict=True)]
    bells = [_bell(length) for length in patch_size]
    # Windows lie on a grid, so the weights that a voxel has gathered are a product of what its three places have.
    axes = zip(volume.shape[:3], starts, bells, strict=True)
    gathered = [_gathered(side, of_axis, bell) for side, of_axis, bell in axes]
    weights = np.einsum("i,j,k->ijk", *bells)[..., None]
    over_plane = np.outer(gathered[1], gathered[2])[..., None]
    layer = np.empty(0)
    for at, first in enumerate(starts[0]):
        done = at / len(starts[0])
        for row, column in itertools.product(*starts[1:]):
            stop_if_asked(progress)
            said = answer(cut_patch(volume, (first, row, column), patch_size)[np.newaxis])[0]
            if not layer.size:
                layer = np.zeros((patch_size[0], *volume.shape[1:3], said.shape[-1]), np.float32)
            _add(layer, said * weights, row, column)
        progress.report(done, f"painting, frame {max(first, 0)} of {len(volume)}")
        last = at == len(starts[0]) - 1
        finished = (len(volume) if last else starts[0][at + 1]) - first
        for frame in range(max(-first, 0), finished):
            yield layer[frame] / (over_plane * gathered[0][first + frame])
        if not last:  # what later windows add to stays
            layer = np.concatenate([layer[finished:], np.zeros_like(layer[:finished])])


def _add(layer: np.ndarray, said: np.ndarray, row: int, column: int) -> None:
    """Add a window's answers to a layer, without what lies beyond its edges."""
    rows = slice(max(row, 0), min(row + said.shape[1], layer.shape[1]))
    columns = slice(max(column, 0), min(column + said.shape[2], layer.shape[2]))
    of_rows = slice(rows.start - row, rows.stop - row)
    layer[:, rows, columns] += said[:, of_rows, columns.start - column : columns.stop - column]


def _bell(length: int) -> np.ndarray:
    away = (np.arange(length) - (length - 1) / 2) / (length * SIGMA)
    return np.asarray(np.exp(-0.5 * away**2), np.float32)


def _gathered(side: int, starts: Sequence[int], bell: np.ndarray) -> np.ndarray:
    """The sum of the weights of all windows at each place of an axis."""
    total = np.zeros(side, np.float32)
    for start in starts:
        inside = slice(max(start, 0), min(start + len(bell), side))
        total[inside] += bell[inside.start - start : inside.stop - start]
    return total
