"""What `auto` sees of a snapshot, and the choice that is stored with a run."""

import sqlite3
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from core.datasets.records import Snapshot, SnapshotCase, map_shapes
from core.datasets.scales import measure_scales
from core.datasets.volumes import median_spacing
from core.images.records import get_cases
from core.images.render import InputSpec
from core.images.volume_input import grid_at, spacing_of
from core.projects.schema import Classification
from core.tasks import task_module
from core.training.auto import AUTO, Fingerprint, choose_recipe
from core.training.auto_volumes import Volumes
from core.training.device import Device, choose_device, list_devices
from core.training.networks import input_of, networks_of
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.request import training_cases


def take_fingerprint(
    connection: sqlite3.Connection, snapshot: Snapshot, fold: int | None = None, device: Device | None = None
) -> Fingerprint:
    """Look at the training and the validation cases of a snapshot or of one of its folds.

    Args:
        device: where it will be trained; by default what this machine would give it.

    Raises:
        CoreError: models cannot be trained for the task, a split is empty, there is no such fold.
    """
    task = task_module(snapshot.task)
    train, validation = training_cases(connection, snapshot, fold)
    targets = task.encode_targets(snapshot.schema, [case.value for case in (*train, *validation)])
    task.check_trainable(snapshot.schema, targets[: len(train)], targets[len(train) :])
    by_case = map_shapes(connection, snapshot.id)
    shapes = [by_case[case.case_id] for case in (*train, *validation)]
    sides = sorted(min(rows, columns) for _, rows, columns, _ in shapes)
    ratios = [columns / rows for _, rows, columns, _ in shapes]
    schema = snapshot.schema
    classes = schema.names if isinstance(schema, Classification) else ()
    counts = targets[: len(train)].sum(axis=0).astype(int).tolist()
    known = device or _own_device()
    are_volumes = all if task.PAINTS else any  # a network for single images can paint slices, and answer for none
    return Fingerprint(
        task=snapshot.task,
        classes=tuple(zip(classes, counts[: len(classes)], strict=True)) if classes else (),
        multi_label=isinstance(schema, Classification) and schema.multi_label,
        training=len(train),
        frames=sum(frames for frames, *_ in shapes[: len(train)]),
        training_patients=len({case.patient for case in train}),
        validation=len(validation),
        sides_px=(sides[0], int(statistics.median_low(sides)), sides[-1]),
        proportions=(round(min(ratios), 3), round(max(ratios), 3)),
        coloured=all(channels >= 3 for *_, channels in shapes),
        device=known.kind if known else "cpu",
        volumes=_look_at_volumes(connection, train) if are_volumes(shape[0] > 1 for shape in shapes) else None,
        scales=measure_scales(get_cases(connection, [case.case_id for case in (*train, *validation)])),
    )


def _look_at_volumes(connection: sqlite3.Connection, train: Sequence[SnapshotCase]) -> Volumes:
    cases = get_cases(connection, [case.case_id for case in train])
    spacing = median_spacing(cases)
    grids = [grid_at((case.frames, case.rows, case.columns), spacing_of(case), spacing) for case in cases]
    frames, rows, columns = (int(statistics.median_low(sides)) for sides in zip(*grids, strict=True))
    painted: Counter[str] = Counter()
    for one in train:
        painted.update({mask.structure: mask.pixels for mask in one.masks})
    voxels = sum(case.frames * case.rows * case.columns for case in cases)
    share = round(max(painted.values(), default=0) / voxels, 4)
    return Volumes((frames, rows, columns), spacing, any(map(spacing_of, cases)), share)


def part_networks(seen: Fingerprint) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the networks that can learn what was seen, and of those that could if volumes were images, or images
    volumes. Structures in volumes are also learnt slice by slice."""
    volumes, names = seen.volumes is not None or seen.frames > seen.training, networks_of(seen.task)

    def fits(name: str) -> bool:
        along_frames = not isinstance(input_of(named_recipe(name)), InputSpec)
        return along_frames == volumes or (volumes and task_module(seen.task).PAINTS)

    return tuple(filter(fits, names)), tuple(name for name in names if not fits(name))


@cache
def _own_device() -> Device | None:
    """What this machine would give a training; asking the driver takes a while, and a page asks at every click."""
    return choose_device(list_devices(), busy=())


def settle_auto(seen: Fingerprint, changes: Mapping[str, object]) -> tuple[Recipe, dict[str, Any]]:
    """The recipe that `auto` chooses, with what somebody changed of it, and the choice as it is stored with the run:
    `recipe`, `fingerprint`, `sentences`, and `changed`, the values by key that differ from what was chosen.
    """
    chosen, sentences = choose_recipe(seen)
    settled = change_recipe(chosen, changes)
    changed = {key: str(value) for key, value in vars(settled).items() if value != getattr(chosen, key)}
    return settled, {
        "recipe": AUTO,
        "fingerprint": seen.to_json(),
        "sentences": list(sentences),
        "changed": changed,
    }
