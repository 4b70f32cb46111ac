"""Batches from a memory map to the network: uint8 all the way, read ahead while a step runs.

The order of an epoch comes from (seed, epoch) and the seed of a step from (seed, step), so a run
that resumes at an epoch sees exactly what an unbroken one would have seen.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from core.errors import InvalidInput
from core.training.networks import NETWORKS, input_of
from core.training.recipe import Recipe

PIXELS_PER_CALL = 300_000  # small images go several steps a call: the way into TensorFlow costs half a millisecond
MOST_STEPS_PER_CALL = 16
CHUNKS_AHEAD = 2


class Images(Protocol):
    """Prepared images on disk (`core.datasets.loading`), or anything else that gives batches by row."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """uint8 `(len(rows), size, size, channels)`, or `(len(rows), depth, rows, columns, channels)`."""


@dataclass(frozen=True)
class Examples:
    """Images with their targets; the images are never in memory together.

    rows: which of the images belong here, `(n,)`.
    targets: float32 `(n, classes)`; where there are masks, which case each row is a frame of, `(n,)`.
    masks: what is to be learnt where it is painted: of the same rows as the images, a structure a channel.
    shares: how often each is drawn in an epoch, in proportion, `(n,)`; None draws each once.
    """

    images: Images
    rows: np.ndarray
    targets: np.ndarray
    masks: Images | None = None
    shares: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def read_targets(self, picked: np.ndarray) -> np.ndarray:
        """What is to be said of the examples at these places: float32 `(n, classes)`, or masks as uint8."""
        return self.targets[picked] if self.masks is None else self.masks.read(self.rows[picked])

    def of_epoch(self, seed: int, epoch: int) -> "Examples":
        """As they are in one epoch: images are in every epoch the same, patches (`core.training.patches`) are not."""
        return self

    def as_judged(self, cases: np.ndarray) -> "Examples":
        """Those of some cases as a model is judged on them, each once: images as they are; of volumes not the patches
        that are learnt (`core.training.patches`)."""
        kept = np.flatnonzero(np.isin(self.case_ids, cases))
        return replace(self, rows=self.rows[kept], targets=self.targets[kept], shares=None)

    @property
    def case_ids(self) -> np.ndarray:
        """The case of each example, `(n,)`. Where nothing is painted, rows are prepared images, which know theirs."""
        if self.masks is not None:
            return self.targets
        return np.asarray(self.images.case_ids)[self.rows]  # type: ignore[attr-defined, no-any-return]

    @property
    def target_shape(self) -> tuple[int, ...]:
        """Of one example."""
        return self.read_targets(np.zeros(1, np.int64)).shape[1:]


@dataclass(frozen=True)
class Plan:
    """How an epoch is cut: steps of `batch` images, several steps to one call of the compiled function."""

    batch: int
    steps: int
    steps_per_call: int

    @property
    def calls(self) -> int:
        return -(-self.steps // self.steps_per_call)

    @property
    def images(self) -> int:
        return self.steps * self.batch


def plan_epoch(examples: int, recipe: Recipe, devices: int = 1) -> Plan:
    """The last images that fill no batch wait for the next epoch, which has another order.

    Several devices take parts of the same size. A network that answers for every pixel goes one step a call: its steps
    are long, and were slower in a loop.

    Raises:
        InvalidInput: fewer images than devices, so that one of them would have nothing to do.
    """
    if examples < devices:
        raise InvalidInput(
            f"Take fewer GPUs (devices): each sees another part of the training images at a step. "
            f"Received: {devices} devices for {examples} training images"
        )
    batch = min(recipe.batch, examples)
    batch = max(batch - batch % devices, devices)
    if "segmentation" in NETWORKS[recipe.network].TASKS:
        return Plan(batch, examples // batch, 1)
    pixels = batch * math.prod(input_of(recipe).shape)
    return Plan(batch, examples // batch, max(1, min(MOST_STEPS_PER_CALL, PIXELS_PER_CALL // pixels)))


def epoch_order(examples: int, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch, a permutation of `range(examples)`."""
    return np.random.default_rng((seed, epoch)).permutation(examples)


def draw_by_shares(shares: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """The order of one epoch in which cases come as often as their shares say, some twice and others not at all.

    Drawn in even steps over the shuffled cases (systematic sampling), which strays less from the shares than drawing
    each by itself.
    """
    random, n = np.random.default_rng((seed, epoch)), len(shares)
    order = random.permutation(n)
    edges = np.cumsum(shares[order], dtype=np.float64)
    marks = (np.arange(n) + random.random()) * (edges[-1] / n)
    drawn = order[np.minimum(np.searchsorted(edges, marks, side="right"), n - 1)]
    return random.permutation(drawn)


def _order_of(examples: Examples, seed: int, epoch: int) -> np.ndarray:
    if examples.shares is None:
        return epoch_order(len(examples), seed, epoch)
    return draw_by_shares(examples.shares, seed, epoch)


def stream_chunks(examples: Examples, recipe: Recipe, plan: Plan, *, first_epoch: int) -> tf.data.Dataset:
    """Chunks from `first_epoch` to the recipe's last: images `(steps, batch, ...)`, targets, seeds `(steps, 2)`.

    One stream for the whole run: a new one for each epoch would cost a start-up each time.
    """

    def read(call: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return read_chunk(examples, recipe, plan, int(call))

    def load(call: Any) -> tuple[Any, Any, Any]:
        images, targets, seeds = tf.numpy_function(read, [call], (tf.uint8, kind, tf.int32))
        images.set_shape((None, plan.batch, *shape))
        targets.set_shape((None, plan.batch, *of_target))
        seeds.set_shape((None, 2))
        return images, targets, seeds

    shape = input_of(recipe).shape
    of_target, kind = examples.target_shape, tf.float32 if examples.masks is None else tf.uint8
    calls = tf.data.Dataset.range(first_epoch * plan.calls, recipe.epochs * plan.calls)
    return calls.map(load, num_parallel_calls=1).prefetch(CHUNKS_AHEAD)


def read_chunk(examples: Examples, recipe: Recipe, plan: Plan, call: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The chunk of one call of the compiled function, counted through the whole run."""
    epoch, within = divmod(call, plan.calls)
    first = within * plan.steps_per_call
    steps = np.arange(first, min(first + plan.steps_per_call, plan.steps))
    order = _order_of(examples, recipe.seed, epoch)
    picked = order[first * plan.batch : (steps[-1] + 1) * plan.batch].reshape(len(steps), plan.batch)
    picked = np.sort(picked, axis=1)  # the disk is read forwards
    seeds = np.stack([np.full(len(steps), recipe.seed), epoch * plan.steps + steps], axis=1).astype(np.int32)
    examples = examples.of_epoch(recipe.seed, epoch)
    images = examples.images.read(examples.rows[picked.ravel()])
    targets = examples.read_targets(picked.ravel())
    return images.reshape(*picked.shape, *images.shape[1:]), targets.reshape(*picked.shape, *targets.shape[1:]), seeds
