"""Training speed against a bare compiled loop and against `model.fit`, and memory and speed against the size of the
data.

Ours, the loop and `model.fit` train one and the same network on the same arrays with the same batch and dtype, without
augmentation: three networks, alike but for where weights and moments lie in memory (400 MB of `cnn` at 128 px), differ
by some percent. They take turns, epoch by epoch, so that a slow minute of the machine is a slow minute for all; our
epochs run with the callbacks that a real run calls after each step. While the others train, our stream holds its next
few chunks ready, as it would beside a validation.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.harness import Figure, Figures, Row, run_child
from core.progress import Silent
from core.projects.schema import make_classification, make_segmentation
from core.training.recipe import Recipe, change_recipe, named_recipe

REPEATS = 5
# Network and input side in pixels (of patches, rows and columns; their depth is half of that): examples in an epoch.
MEASURED = {
    ("resnet", 28): 1280,
    ("resnet", 128): 256,
    ("cnn", 28): 1280,
    ("cnn", 128): 256,
    ("unet2d", 64): 48,
    ("unet3d", 32): 32,
}
LARGER, LARGER_MEGABYTES, LEAST_LARGER = (("resnet", 28), ("resnet", 128), ("cnn", 28)), 2048, 0.95
BATCHES = {"unet2d": 8, "unet3d": 2}
PATCHES, VOLUME_SIDE = 4, 64  # of a volume in an epoch; patches are cut of volumes as they are in a run
PLAIN = {"rotation": 0, "zoom": 0, "shift": 0, "contrast": 0, "noise": 0, "epochs": REPEATS + 1, "dropout": 0}


def measure_speed() -> Figures:
    """Median ratios of images a second, ours over theirs, one child process for each size and network."""
    figures: Figures = []
    for network, size in MEASURED:
        figures += _ratios(network, size, run_child("bench.training_speed", network, str(size)))
    return figures


def _ratios(network: str, size: int, rates: dict[str, Any]) -> Figures:
    waited = f"{100 * max(rates['input_share']):.2f} % of the time was spent waiting for images"
    figures = [Figure(f"{network} {size} px, ours", statistics.median(rates["ours"]), "images/s", "", None, waited)]
    for rival, least, words in (("bare", 0.95, "a bare tf.function loop"), ("fit", 1.0, "model.fit on arrays")):
        ratios = [ours / theirs for ours, theirs in zip(rates["ours"], rates[rival], strict=True)]
        middle = statistics.median(ratios)
        figures.append(
            Figure(
                f"{network} {size} px, ratio to {words}",
                middle,
                "",
                f"at least {least}",
                middle >= least,
                f"{min(ratios):.3f} to {max(ratios):.3f}; steps per call: ours {rates['steps_per_call']}, "
                f"model.fit {rates['steps_per_call']}, bare 1",
            )
        )
    return figures


def _measure_one(network: str, size: int) -> dict[str, Any]:
    """Images a second of each of the three, epoch by epoch; runs in a process of its own."""
    from core.training.batches import Examples, plan_epoch
    from core.training.callbacks import KeepBestWeights, RefuseNan, ReportProgress, StopOnRequest
    from core.training.fit import Fit, fit_network
    from core.training.networks import build_network, input_of
    from core.training.steps import Learner

    recipe, count, rng = _recipe(network, size), MEASURED[network, size], np.random.default_rng(0)
    paints = network in BATCHES
    schema = make_segmentation(["one", "other"]) if paints else make_classification(["normal", "pneumonia"])
    images = rng.integers(0, 256, (count, *input_of(recipe).shape), dtype=np.uint8)
    classes = np.eye(2, dtype=np.float32)[rng.integers(0, 2, count)]
    targets = rng.integers(0, 2, (*images.shape[:-1], 2), dtype=np.uint8) if paints else classes
    plan = plan_epoch(count, recipe)
    weights = np.ones((2, 2), np.float32)

    learner = Learner(build_network(recipe, schema, weights), recipe, schema, plan, weights)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        prepared = stack.enter_context(_on_disk(Path(folder) / "images.npy", images))
        if network == "unet3d":
            ours = _patches(Path(folder), recipe, count)
        elif paints:
            masks = stack.enter_context(_on_disk(Path(folder) / "masks.npy", targets))
            ours = Examples(prepared, np.arange(count), np.arange(count), masks)
        else:
            ours = Examples(prepared, np.arange(count), targets)
        few = replace(ours, rows=ours.rows[:64], targets=ours.targets[:64])
        rivals = {"bare": _bare(learner, images, targets), "fit": _fit(learner, recipe, plan, images, targets)}
        rates: dict[str, Any] = {
            "ours": [],
            "bare": [],
            "fit": [],
            "input_share": [],
            "steps_per_call": plan.steps_per_call,
        }

        class TakeTurns:
            """After each of our epochs the others train one; the first of each is a warm-up."""

            def after_steps(self, fit: Fit) -> None:
                pass

            def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
                rates["ours"].append(facts["images_per_second"])
                rates["input_share"].append(facts["input_share"])
                for name, epoch in rivals.items():
                    began = time.monotonic()
                    seen = epoch()
                    rates[name].append(seen / (time.monotonic() - began))

        silent = Silent()
        callbacks = [RefuseNan(), KeepBestWeights(), ReportProgress(silent), StopOnRequest(silent), TakeTurns()]
        fit_network(Fit(learner, plan, recipe.epochs), ours, few, callbacks)
    return {name: rate[1:] if isinstance(rate, list) else rate for name, rate in rates.items()}


def _recipe(network: str, size: int) -> Recipe:
    changes = {**PLAIN, "input_size": size, "batch": BATCHES.get(network, 32)}
    if network == "unet3d":
        changes["patch_size"] = (size // 2, size, size)
    if network in BATCHES:
        changes |= {"loss": "cross_entropy", "ema": 0}  # as the rivals
    return change_recipe(named_recipe(network), changes)


def _patches(folder: Path, recipe: Recipe, count: int) -> Any:
    """Patches drawn of volumes on disk, as in a run."""
    from core.datasets.volumes import PreparedVolumes
    from core.training.patches import Draw, PatchExamples, Windows

    random, shape = np.random.default_rng(0), (VOLUME_SIDE,) * 3
    kept: dict[str, list[Any]] = {"image": [], "mask": []}
    for at in range(count // PATCHES):
        for what, most, channels in (("image", 256, 1), ("mask", 2, 2)):
            np.save(folder / f"{what}-{at}.npy", random.integers(0, most, (*shape, channels), np.uint8))
            kept[what].append(np.load(folder / f"{what}-{at}.npy", mmap_mode="r"))
    volumes, masks = (PreparedVolumes(tuple(some), tuple(range(len(some)))) for some in kept.values())
    spots = ((random.integers(0, VOLUME_SIDE, (1000, 3)),) * 2,) * len(volumes)
    depth, rows, columns = recipe.patch_size
    draw = Draw((shape,) * len(volumes), spots, (depth, rows, columns), PATCHES, recipe.painted_share, recipe.seed)
    places = np.arange(count)
    shown, painted = (Windows(some, draw.shape, draw.place_of) for some in (volumes, masks))
    return PatchExamples(shown, places, places // PATCHES, painted, draw=draw)


@contextmanager
def _on_disk(path: Path, images: np.ndarray) -> Iterator[Any]:
    """Images as a run reads them: from the prepared file, batch by batch."""
    from core.datasets.loading import PreparedImages

    np.save(path, images)
    with path.open("rb") as stream:
        yield PreparedImages(np.load(path, mmap_mode="r"), tuple(range(len(images))), path, stream.fileno())


def _bare(learner: Any, images: np.ndarray, targets: np.ndarray) -> Callable[[], int]:
    """One epoch of the plainest compiled loop: a step on slices of arrays in memory."""
    import keras
    import tensorflow as tf

    network, optimizer = learner.network, learner.optimizer
    loss_of = keras.losses.BinaryCrossentropy() if learner.task.PAINTS else keras.losses.CategoricalCrossentropy()

    @tf.function(jit_compile=False)
    def step(batch: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(wanted, network(batch, training=True)) + sum(network.losses)
        optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
        return loss

    batch = learner.plan.batch

    def epoch() -> int:
        for at in range(0, learner.plan.images, batch):
            loss = step(tf.constant(images[at : at + batch]), tf.constant(targets[at : at + batch]))
        float(loss)  # wait for the device
        return int(learner.plan.images)

    return epoch


def _fit(learner: Any, recipe: Recipe, plan: Any, images: np.ndarray, targets: np.ndarray) -> Callable[[], int]:
    """One epoch of `model.fit` on arrays, with as many steps per call as ours."""
    learner.network.compile(
        optimizer=learner.optimizer,
        loss="binary_crossentropy" if learner.task.PAINTS else "categorical_crossentropy",
        steps_per_execution=plan.steps_per_call,
        jit_compile=False,
    )

    def epoch() -> int:
        learner.network.fit(images[: plan.images], targets[: plan.images], batch_size=recipe.batch, epochs=1, verbose=0)
        return int(plan.images)

    return epoch


def measure_memory() -> Figures:
    """Peak anonymous memory of a training process on 1,000 and on 16,000 images of 128 px (16 and 262 MB)."""
    peaks = {count: float(run_child("bench.training_speed", "memory", str(count))) for count in (1_000, 16_000)}
    growth = peaks[16_000] - peaks[1_000]
    return [
        Figure("memory with 1,000 images", peaks[1_000], "MB"),
        Figure("memory with 16,000 images", peaks[16_000], "MB"),
        Figure("growth for 246 MB more data", growth, "MB", "under 50 MB", growth < 50),
    ]


def _memory_of(count: int) -> float:
    from core.datasets.loading import PreparedImages
    from core.training.batches import Examples, plan_epoch, stream_chunks
    from core.training.networks import build_network
    from core.training.steps import Learner

    recipe = change_recipe(named_recipe("resnet"), {**PLAIN, "epochs": 1, "filters": "4,8,8"})
    schema = make_classification(["normal", "pneumonia"])
    plan = plan_epoch(count, recipe)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.npy"
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, 128, 128, 1)).flush()
        with path.open("rb") as stream:
            prepared = PreparedImages(np.load(path, mmap_mode="r"), tuple(range(count)), path, stream.fileno())
            examples = Examples(prepared, np.arange(count), np.eye(2, dtype=np.float32)[np.arange(count) % 2])
            terms = np.ones((2, 2), np.float32)
            learner = Learner(build_network(recipe, schema, terms), recipe, schema, plan, terms)
            peak = 0.0
            for at, chunk in enumerate(stream_chunks(examples, recipe, plan, first_epoch=0)):
                learner.train(*chunk)
                if at % 10 == 0:
                    peak = max(peak, _anonymous_megabytes())
    return peak


def _anonymous_megabytes() -> float:
    """Memory of this process that no file stands behind; pages of the memory map are not counted."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("RssAnon"))


def measure_larger() -> Figures:
    """Images a second from a file of which nothing is in memory, over those from a small file that is."""
    figures: Figures = []
    for network, size in LARGER:
        told = run_child("bench.training_speed", "larger", network, str(size), str(LARGER_MEGABYTES))
        ratios = [large / small for large, small in zip(told["larger"], told["small"], strict=True)]
        middle, fetched = statistics.median(ratios), min(told["fetched_megabytes"])
        figures += [
            Figure(f"{network} {size} px, from {LARGER_MEGABYTES:,} MB on disk", statistics.median(told["larger"]),
                   "images/s", "", None, f"{max(told['input_share']):.2%} of the time was spent waiting for images"),
            Figure(f"{network} {size} px, ratio to a small file in memory", middle, "", f"at least {LEAST_LARGER}, "
                   "each image read from the disk", middle >= LEAST_LARGER and fetched >= told["epoch_megabytes"],
                   f"{min(ratios):.3f} to {max(ratios):.3f}; at least {fetched:.1f} MB fetched from the disk in an "
                   f"epoch of {told['epoch_megabytes']:.1f} MB"),
        ]  # fmt: skip
    return figures


def _measure_larger(network: str, size: int, megabytes: int) -> dict[str, Any]:
    """Epochs in turns from both files, by one learner; before each from the large file, the system forgets it.

    An epoch takes as many images of either, of the large one drawn from all over it: no image was read before, which is
    the worst that a file beyond all memory can do.
    """
    from core.training.batches import Examples, plan_epoch
    from core.training.callbacks import RefuseNan, ReportProgress, StopOnRequest
    from core.training.fit import Fit, fit_network
    from core.training.networks import build_network, input_of
    from core.training.steps import Learner

    recipe, count, rng = _recipe(network, size), MEASURED[network, size], np.random.default_rng(0)
    shape = input_of(recipe).shape
    images_in_all = max(count, (megabytes << 20) // int(np.prod(shape)))
    plan, terms = plan_epoch(count, recipe), np.ones((2, 2), np.float32)
    schema = make_classification(["normal", "pneumonia"])
    learner = Learner(build_network(recipe, schema, terms), recipe, schema, plan, terms)
    targets = np.eye(2, dtype=np.float32)[rng.integers(0, 2, count)]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        files = {
            name: stack.enter_context(_random_on_disk(Path(folder) / f"{name}.npy", (number, *shape)))
            for name, number in (("small", count), ("larger", images_in_all))
        }
        spread = rng.choice(images_in_all, count, replace=False)
        parts = {
            "small": Examples(files["small"], np.arange(count), targets),
            "larger": Examples(files["larger"], spread, targets),
        }
        few = replace(parts["small"], rows=np.arange(32), targets=targets[:32])
        told: dict[str, list[float]] = {name: [] for name in ("small", "larger", "input_share", "fetched_megabytes")}

        class Note:
            """Keeps what an epoch was like."""

            def after_steps(self, fit: Fit) -> None:
                pass

            def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
                told[name].append(facts["images_per_second"])
                if name == "larger":
                    told["input_share"].append(facts["input_share"])

        silent = Silent()
        callbacks = [RefuseNan(), ReportProgress(silent), StopOnRequest(silent), Note()]
        for epoch in range(recipe.epochs):
            for name, examples in parts.items():
                if name == "larger":
                    os.posix_fadvise(files[name].file, 0, 0, os.POSIX_FADV_DONTNEED)
                before = _fetched_megabytes()
                fit_network(Fit(learner, plan, epoch + 1, epoch=epoch), examples, few, callbacks)
                if name == "larger":
                    told["fetched_megabytes"].append(_fetched_megabytes() - before)
    epoch_megabytes = plan.images * int(np.prod(shape)) / (1 << 20)
    return {"epoch_megabytes": epoch_megabytes} | {name: some[1:] for name, some in told.items()}  # the first warms up


@contextmanager
def _random_on_disk(path: Path, shape: tuple[int, ...]) -> Iterator[Any]:
    """Noise as prepared images, on the disk to the last page: what is still to be written would stay in memory."""
    from core.datasets.loading import PreparedImages

    random = np.random.default_rng(1)
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for start in range(0, shape[0], 256):
            stream.write(random.bytes(min(256, shape[0] - start) * int(np.prod(shape[1:]))))
        stream.flush()
        os.fsync(stream.fileno())
    with path.open("rb") as stream:
        yield PreparedImages(np.load(path, mmap_mode="r"), (), path, stream.fileno())


def _fetched_megabytes() -> float:
    """What this process has had fetched from a disk so far (`read_bytes` of proc(5))."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) / (1 << 20) for line in lines if line.startswith("read_bytes"))


ROWS = [
    Row("training_speed", "quick", measure_speed),
    Row("training_memory", "quick", measure_memory),
    Row("training_larger", "full", measure_larger),
]

if __name__ == "__main__":
    if sys.argv[1] == "memory":
        print(_memory_of(int(sys.argv[2])))
    elif sys.argv[1] == "larger":
        print(json.dumps(_measure_larger(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    else:
        print(json.dumps(_measure_one(sys.argv[1], int(sys.argv[2]))))
