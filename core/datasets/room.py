"""How much room on the disk the prepared images of a training will take, before any of them is made."""

import math
import sqlite3
from collections.abc import Sequence

from core.datasets.loading import images_key, in_batches, masks_key, without_neighbours
from core.datasets.records import SnapshotCase
from core.datasets.volumes import volume_key, volume_masks_key
from core.images.render import InputSpec
from core.images.volume_input import PatchSpec, Spec
from core.store.files import Files


def bytes_to_prepare(
    connection: sqlite3.Connection, files: Files, cases: Sequence[SnapshotCase], spec: Spec, *, painted: bool
) -> int:
    """Bytes of the images and, where the task is `painted`, of the masks that are not prepared yet.

    Where a window is still to be measured, the name of a file is not known, and it counts as not there.

    Raises:
        CoreError: what `prepare_images` refuses.
    """
    wanted: list[tuple[str, int]] = []  # the name of a file, and its bytes
    if isinstance(spec, PatchSpec):
        frozen = {case.case_id: case for case in cases}
        for case in in_batches(connection, list(frozen)):
            masks = frozen[case.id]
            for (key, grid), channels in (
                (volume_key(case, spec), spec.channels),
                (volume_masks_key(case, masks, spec), len(masks.masks)),
            ):
                wanted.append((key, math.prod(grid) * channels))
    else:
        key, rows = images_key(connection, cases, spec, frames=painted)
        wanted.append((key, len(rows) * math.prod(without_neighbours(spec).shape)))
        if painted and isinstance(spec, InputSpec):
            key, rows = masks_key(connection, cases, spec)
            wanted.append((key, len(rows) * spec.size**2 * len(cases[0].masks)))
    return sum(size for key, size in dict(wanted).items() if not files.has("prepared", key))
