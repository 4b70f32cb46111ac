"""What is found before the first step: whether the data are what was frozen, whether the disk and the memory have
room, how long it will take. What does not fit is refused here, with a way out, and not after an hour.
"""

import math
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil

from core.datasets.records import Snapshot, SnapshotCase
from core.datasets.room import bytes_to_prepare
from core.errors import CoreError, some_of
from core.images.records import get_cases
from core.images.render import InputSpec
from core.images.volume_input import Spec, spacing_of
from core.projects.schema import Classification, Generation, Segmentation
from core.store.files import Files, Shelf
from core.training.device import FULL, PRECISIONS
from core.training.networks import NETWORKS, count_weights, input_of, leaves_of, sized_by, tell_input
from core.training.recipe import Recipe, with_batch

MEMORY_SHARE = 0.8  # of what is free; the rest is for other programs
BYTES_A_VALUE = 4
KEPT_FOR_GRADIENTS = 3  # times a layer's output: kept from the way forward, its gradient, and what is in passing
KEPT_OF_WEIGHTS = 4  # times the weights while they are learnt: themselves, their gradients, and the optimiser's two
CHECKPOINT_SHARE = 5  # times the weights: live, best, averaged, and the optimiser's two
PREDICTION_SHARE = 0.35  # of what a training step takes for an image
SECONDS_BETWEEN_LOOKS = 0.01
NAMED_CASES = 5
CASES_AT_ONCE = 500
GIGABYTE = 1 << 30
WHY_WEIGHTS = "While weights are learnt there are four of each: itself, its gradient, and the optimiser's two."
WHY_REFUSED = "The system gave no more memory: other programs took what was free, or this one may take only so much."
WHY_IMAGES = "What the layers say of an image is kept until its gradients are known, beside the weights and theirs."
WITHOUT_CLASS = {
    "training": "it cannot be learnt.",
    "validation": "how well it is {done} cannot be followed.",
    "test": "how well it is {done} cannot be measured.",
}

Built = TypeVar("Built")  # a fit; the loop's own is not imported here, for requests come by and need no TensorFlow


class PreflightFailed(CoreError):
    """The run would not end well: what is the sentence, then what to do, and why where the sentence does not say."""

    def __init__(self, sentence: str, remedy: str, why: str = "", *, would_repeat: bool = False) -> None:
        super().__init__(sentence, remedy=remedy, why=why, would_repeat=would_repeat)


@dataclass(frozen=True)
class Trial:
    """Two calls of the compiled step: how long a step took in the second, and what the process grew by."""

    seconds_a_step: float
    memory_bytes: int


@dataclass(frozen=True)
class Preflight:
    """What the trial of a run found. `batch` is what fits into memory, the recipe's own or a part of it; `precision` is
    one of `core.training.device.PRECISIONS`."""

    batch: int
    seconds_a_step: float
    memory_bytes: int
    estimated_seconds: float
    notes: tuple[str, ...]
    precision: str = FULL

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "notes": list(self.notes)}


def look_at_splits(
    snapshot: Snapshot,
    train: Sequence[SnapshotCase],
    validation: Sequence[SnapshotCase],
    test: Sequence[SnapshotCase] = (),
) -> tuple[str, ...]:
    """What somebody should know who asks for a training and whom nothing forbids it.

    Args:
        test: its answers, of which only the classes or structures that are missing are named; without any nothing is
            said of it.
    """
    notes = []
    if isinstance(snapshot.schema, Classification | Segmentation):  # a generation is a classification in this, too
        splits = {"training": train, "validation": validation, **({"test": test} if test else {})}
        notes += [note for split, cases in splits.items() if (note := _on_missing(snapshot.schema, split, cases))]
    if snapshot.leaks_allowed_because:
        notes.append(
            f"This snapshot leaks ({len(snapshot.leaks)} leaks, allowed because: {snapshot.leaks_allowed_because}); "
            f"its results look better than they are."
        )
    return tuple(notes)


def look_at_spacing(connection: sqlite3.Connection, recipe: Recipe, cases: Sequence[SnapshotCase]) -> tuple[str, ...]:
    """What somebody should know of a training at a spacing: which volumes cannot be brought to it."""
    spec = input_of(recipe)
    if isinstance(spec, InputSpec) or spec.spacing_mm is None:
        return ()
    found = get_cases(connection, [case.case_id for case in cases])
    unknown = [case.id for case in found if case.frames > 1 and spacing_of(case) is None]
    if not unknown:
        return ()
    wanted = " x ".join(f"{side:g}" for side in spec.spacing_mm)
    return (
        f"{len(unknown)} of {len(found)} cases do not tell one spacing between all their frames, as where slices are "
        f"missing or unevenly apart; they keep their own voxels as if these were {wanted} mm: "
        f"case {some_of([str(case) for case in unknown], NAMED_CASES)}.",
    )


def _on_missing(schema: Classification | Segmentation, split: str, cases: Sequence[SnapshotCase]) -> str:
    """Which classes no case of a split is of, or which structures are painted on none; "" where all are there."""
    painted = isinstance(schema, Segmentation)
    key = "structures" if painted else "classes"
    seen = {name for case in cases for name in case.value.get(key, ())}
    missing = ", ".join(name for name in schema.names if name not in seen)
    if not missing:
        return ""
    done = "painted" if painted else "drawn" if isinstance(schema, Generation) else "told"
    where = f"On no {split} case is anything painted as {missing}" if painted else f"No {split} case is of {missing}"
    return f"{where}: {WITHOUT_CLASS[split].format(done=done)}"


def check_pixels(connection: sqlite3.Connection, files: Files, cases: Sequence[SnapshotCase]) -> None:
    """Refuse cases whose pixels or masks are not those that were frozen.

    Raises:
        PreflightFailed: a file was altered or is gone, or a case has other pixels now; it names the cases.
    """
    changed: list[int] = []
    for start in range(0, len(cases), CASES_AT_ONCE):
        some = cases[start : start + CASES_AT_ONCE]
        found = get_cases(connection, [case.case_id for case in some])
        changed += [now.id for now, then in zip(found, some, strict=True) if now.pixel_hash != then.pixel_hash]
    if changed:
        raise PreflightFailed(
            f"{_these(changed)} other pixels than when the snapshot was frozen, for example because something was "
            f"blacked out, so a result could not be repeated. Received: {len(changed)} of {len(cases)} cases",
            "Freeze a new snapshot and train on that.",
            would_repeat=True,
        )

    broken = _find_broken(files, "pixels", [(case.case_id, case.pixel_hash) for case in cases])
    if broken:
        raise PreflightFailed(
            f"{_these(broken)} pixels on disk that no longer match their hash: the files were altered, damaged or "
            f"removed since they were imported. Received: {len(broken)} of {len(cases)} cases",
            "Restore them from a backup (readroom restore), or delete the cases, then freeze a new snapshot.",
            "Each image is read once before the first step and compared with the hash it was frozen under; on other "
            "pixels a result could not be repeated.",
        )
    broken = _find_broken(files, "masks", [(case.case_id, mask.mask_hash) for case in cases for mask in case.masks])
    if broken:
        raise PreflightFailed(
            f"{_these(broken)} masks on disk that no longer match their hash: the files were altered, damaged or "
            f"removed since they were drawn. Received: {len(broken)} of {len(cases)} cases",
            "Restore them from a backup (readroom restore), or draw these masks again, then freeze a new snapshot.",
            "Each mask is read once before the first step and compared with the hash it was frozen under; from other "
            "masks a result could not be repeated.",
        )


def _find_broken(files: Files, shelf: Shelf, frozen: Sequence[tuple[int, str]]) -> list[int]:
    """The cases of which a stored file was altered or is gone; a file that several share is read once."""

    def is_broken(content_hash: str) -> bool:
        try:
            files.check(shelf, content_hash)
        except CoreError:
            return True
        return False

    hashes = list(dict.fromkeys(content_hash for _, content_hash in frozen))
    with ThreadPoolExecutor(max_workers=4) as threads:
        broken = {one for one, bad in zip(hashes, threads.map(is_broken, hashes), strict=True) if bad}
    return sorted({case_id for case_id, content_hash in frozen if content_hash in broken})


def _these(case_ids: Sequence[int]) -> str:
    named = some_of([str(case_id) for case_id in sorted(case_ids)], NAMED_CASES)
    return f"Case {named} has" if len(case_ids) == 1 else f"Cases {named} have"


def check_room(folder: Path, parameters: int) -> None:
    """Refuse to begin where checkpoint and model will not fit on the disk.

    Raises:
        PreflightFailed: too little room.
    """
    needed = parameters * BYTES_A_VALUE * (2 * CHECKPOINT_SHARE + 2)  # a checkpoint is written beside the one before
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise PreflightFailed(
            f"The disk of Readroom's home has too little room for the checkpoint and the model of this network. "
            f"Received: {free / GIGABYTE:.2f} GB free, {needed / GIGABYTE:.2f} GB needed",
            "Make room on that disk, or train a smaller network; then resume the job.",
        )


def check_room_for_images(
    connection: sqlite3.Connection, files: Files, cases: Sequence[SnapshotCase], spec: Spec, *, painted: bool
) -> None:
    """Refuse to begin where the prepared images will not fit on the disk; those that are there already take no more.

    Raises:
        PreflightFailed: too little room.
        CoreError: what preparing them refuses.
    """
    free = shutil.disk_usage(files.root).free
    if not painted and len(cases) * math.prod(spec.shape) <= free:
        return  # as a rule; what is there already need not be looked for, case by case
    needed = bytes_to_prepare(connection, files, cases, spec, painted=painted)
    if free < needed:
        raise PreflightFailed(
            f"Make room on the disk of Readroom's home, or see the images smaller: those that this training prepares "
            f"do not fit. Received: {free / GIGABYTE:.2f} GB free, {needed / GIGABYTE:.2f} GB needed",
            "Make room on that disk, then resume the job; or train with a smaller input size or a coarser spacing.",
        )


def expected_memory(network: Any, batch: int) -> int:
    """Bytes that a step will take for a batch, from the sizes of the layers' outputs, of inner networks too: nearly all
    of one that draws is in its `drawer`."""
    values = 0
    for layer in leaves_of(network):
        shape = getattr(layer.output, "shape", None)
        if shape is not None:
            values += int(np.prod([size or 1 for size in shape[1:]]))
    return values * batch * BYTES_A_VALUE * KEPT_FOR_GRADIENTS


def weights_memory(recipe: Recipe) -> int:
    """Bytes that the weights of a recipe's network take while they are learnt, known before it is built."""
    return count_weights(recipe) * BYTES_A_VALUE * KEPT_OF_WEIGHTS


def free_memory(device_bytes: int) -> int:
    """Bytes that a training may take: of the device's own memory, or of what is free in the machine."""
    return int((device_bytes or psutil.virtual_memory().available) * MEMORY_SHARE)


def fit_into_memory(
    build: Callable[[Recipe], Built],
    recipe: Recipe,
    examples: int,
    read: Callable[[Built], Any],
    memory_bytes: int,
    *,
    devices: int = 1,
) -> tuple[Built, Trial]:
    """A freshly built fit whose steps were tried, with the recipe's batch or the largest part of it that fits.

    Args:
        build: makes the fit of a recipe; called again for each smaller batch.
        examples: training images; a batch is never larger.
        read: the first chunk of a fit's training images.
        memory_bytes: what a step may take.
        devices: how many share it, whatever number the recipe asks for.

    Raises:
        PreflightFailed: the network does not fit, or not even one image on each device.
    """
    import tensorflow as tf

    batch = whole = min(recipe.batch, examples)
    weights = weights_memory(recipe)
    if weights > memory_bytes:  # to build it would starve the machine, and all else that runs there
        raise _too_large(recipe, memory_bytes, WHY_WEIGHTS)
    while True:
        fit: Any = None  # the one before goes first: two may not fit beside each other
        try:
            fit = build(recipe if batch == whole else with_batch(recipe, batch))
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:  # a smaller batch has as many weights
            raise _too_large(recipe, memory_bytes, WHY_REFUSED) from error
        needed = weights + expected_memory(fit.learner.network, batch)
        if needed <= memory_bytes:
            try:
                trial = try_steps(fit, read(fit))
            except (tf.errors.ResourceExhaustedError, MemoryError):
                needed = memory_bytes + 1
            else:
                if trial.memory_bytes <= memory_bytes:
                    return fit, trial
                needed = trial.memory_bytes
        if batch < 2 * devices:  # each has an image at least
            single = "a single image" + ("" if devices == 1 else " a device")
            raise PreflightFailed(
                f"Even {single} of this recipe does not fit into memory. Received: {recipe.network} at "
                f"{tell_input(recipe)}, {needed / GIGABYTE:.1f} GB for {memory_bytes / GIGABYTE:.1f} GB",
                f"Close other programs and resume the job, or train with a smaller {sized_by(recipe)} or network.",
                WHY_IMAGES,
            )
        batch //= 2


def _too_large(recipe: Recipe, memory_bytes: int, why: str) -> PreflightFailed:
    return PreflightFailed(
        f"The network of this recipe does not fit into memory, whatever the batch. Received: {recipe.network} with "
        f"{count_weights(recipe) / 1e6:,.1f} million weights, {weights_memory(recipe) / GIGABYTE:.1f} GB while they "
        f"are learnt, for {memory_bytes / GIGABYTE:.1f} GB",
        f"Make {' or '.join(NETWORKS[recipe.network].WEIGHED_BY)} smaller and start a new run; or close other programs "
        f"and resume the job.",
        why,
    )


def try_steps(fit: Any, chunk: Any) -> Trial:
    """Run the compiled step twice and put everything back as it was, to the bit.

    The step is compiled for the run itself too, so that only the two steps are extra.
    """
    learner = fit.learner
    variables = [*learner.network.variables, *learner.optimizer.variables, *learner.state]
    kept = [np.array(np.asarray(variable)) for variable in variables]
    with _Peak() as peak:
        learner.train(*chunk)
        learner.read_sums()  # waits for the device
        began = time.monotonic()
        learner.train(*chunk)
        learner.read_sums()
        seconds = time.monotonic() - began
    for variable, value in zip(variables, kept, strict=True):
        variable.assign(value)
    return Trial(seconds / len(chunk[0]), peak.grown_bytes)


def estimate_judging(trial: Trial, batch: int, validation: int) -> float:
    """How long a judgement of the validation will take."""
    return validation * trial.seconds_a_step / max(batch, 1) * PREDICTION_SHARE


def estimate_seconds(trial: Trial, steps: int, judging: float, epochs: int) -> float:
    """How long all epochs will take, their validation with them."""
    return epochs * (steps * trial.seconds_a_step + judging)


def describe_trial(found: Preflight, recipe: Recipe) -> str:
    """The trial as a sentence for whoever waits."""
    made = "" if found.batch >= recipe.batch else f" The batch was made {found.batch}, because more does not fit."
    return (
        f"A step takes {found.seconds_a_step * 1000:.0f} ms and {found.memory_bytes / GIGABYTE:.1f} GB, "
        f"all of it about {duration(found.estimated_seconds)}, in {PRECISIONS[found.precision]}.{made}"
    )


def duration(seconds: float) -> str:
    """`90` reads "1.5 minutes"."""
    if seconds < 1.5:
        return "1 second"  # nobody waits shorter, and "0 seconds" reads as a fault
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.1f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


class _Peak:
    """What this process grew by while the block ran: looked at often, for a step frees what it took."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._over = threading.Event()
        self._before = self._most = self._process.memory_info().rss

    def __enter__(self) -> "_Peak":
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(SECONDS_BETWEEN_LOOKS):
            self._most = max(self._most, self._process.memory_info().rss)

    @property
    def grown_bytes(self) -> int:
        return int(max(0, self._most - self._before))
