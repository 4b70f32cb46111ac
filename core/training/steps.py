"""The compiled work of training: one step after another on a chunk of batches, and prediction."""

import math
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.tasks import TaskModule, TrainableSchema, module_of
from core.tasks.segmentation import LEVELS
from core.training.augmentation import augment, augment_masks, is_augmented
from core.training.average import WeightAverage
from core.training.batches import Examples, Plan
from core.training.deep import answer_deeply, halved_shares, pool_masks
from core.training.losses import LOSSES
from core.training.mixing import draw_mixture, mix_images
from core.training.networks import deep_layers
from core.training.recipe import Recipe
from core.training.schedules import make_schedule
from core.training.spread import part_chance, part_of, share_overflow, share_statistics

NO_DECAY = ["bias", "gamma", "beta"]  # shrinking these only shifts the layer
ANSWERED_AT_ONCE = 64  # images that are predicted together, unless they are large
VALUES_AT_ONCE = ANSWERED_AT_ONCE << 14  # as many pixels as 64 images of 128 px have
TIMES_A_BATCH = 4  # larger ones: what a step keeps of an image is several times what a prediction holds of it


class Learner:
    """A network with its optimiser, and the running sums of the epoch."""

    def __init__(
        self,
        network: Any,
        recipe: Recipe,
        schema: TrainableSchema,
        plan: Plan,
        terms: np.ndarray,
        *,
        validation_terms: np.ndarray | None = None,
        scale_loss: bool = False,
        proportions: float = 1.0,
        spread: Any = None,
    ) -> None:
        """`terms` are those of the task's `loss_terms`, `(2, k)`; `scale_loss` goes with half precision.

        `validation_terms` stand in for them where training balances its classes by what it draws. `spread` is the
        `tf.distribute.Strategy` in whose scope all this is made, where a step is shared between several devices.
        `proportions` are those in which images are turned (`core.training.augmentation`).
        """
        self.proportions = proportions
        self.network, self.recipe, self.schema, self.plan = network, recipe, schema, plan
        self._spread, self._devices = spread, spread.num_replicas_in_sync if spread else 1
        self._scaled, self._statistics = scale_loss, list(network.non_trainable_weights)
        weights = set(map(id, network.weights))
        self._seeds = [one for one in network.variables if id(one) not in weights]  # of dropout
        self.task: TaskModule = module_of(schema)
        self.loss = LOSSES[self.task.loss_name(schema, recipe.loss)]
        self.rate_factor = tf.Variable(1.0, trainable=False)
        self.optimizer = make_optimizer(recipe, plan.steps * recipe.epochs, self.rate_factor)
        if scale_loss:
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        self._to_raw = keras.Model(network.input, network.get_layer(self.task.RAW).output)
        self._learning, self._beside = self._to_raw, list[Any]()  # what a step asks, and variables for that alone
        if deep := deep_layers(recipe):
            self._learning, self._beside = answer_deeply(network, deep, self.task.RAW)
        self.optimizer.build([*network.trainable_variables, *self._beside])
        self._average = WeightAverage(network, recipe.ema) if recipe.ema else None
        self._terms = tf.constant(terms)
        self._validation_terms = terms if validation_terms is None else validation_terms
        self._sums = tf.Variable(tf.zeros(3), trainable=False)  # loss, what is counted beside it, images
        # XLA was slower on CPUs, five times at inference.
        # Two steps, since each has gradients of its own: of the whole, and of the last layer alone.
        self._steps_by_hold: dict[bool, Any] = {}
        self._held = False
        # Only the loop over a chunk needs AutoGraph; to rewrite all that a step calls took over a second of the first.
        self._count = tf.autograph.experimental.do_not_convert(self._count_step)
        images = tf.TensorSpec((None, *network.inputs[0].shape[1:]), tf.uint8)  # the last batch is smaller
        plain = {"jit_compile": False, "autograph": False}
        self._scores = tf.function(self._predict_batch, input_signature=[images], **plain)
        masks = tf.TensorSpec(network.output_shape, tf.uint8)
        self._tally = tf.function(self._tally_batch, input_signature=[images, masks], **plain)

    def begin_epoch(self, *, hold: bool = False) -> None:
        """Count anew; with `hold` only the last layer learns in this epoch, and normalisation layers stand still."""
        self._sums.assign(tf.zeros(3))
        if self._devices > 1:
            part_chance(self._seeds)
        if hold != self._held:
            self._held = hold
            for layer in self.network.layers:
                layer.trainable = not hold or layer.name == self.task.RAW

    def train(self, images: Any, targets: Any, seeds: Any) -> Any:
        """The steps of a chunk, compiled once for all epochs of their kind; as tensors, `core.training.batches`."""
        if self._held not in self._steps_by_hold:
            # Of any length: the last chunk of an epoch is shorter, and would be compiled anew within the first epoch.
            chunk = [tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in (images, targets, seeds)]
            compiled = tf.function(self._train_chunk, input_signature=chunk, jit_compile=False)
            self._steps_by_hold[self._held] = compiled
        return self._steps_by_hold[self._held](images, targets, seeds)

    def read_sums(self) -> tuple[float, float, int]:
        """Mean loss, mean of what the loss counts beside it, and images seen since the epoch began; waits for the
        device."""
        loss, beside, seen = self._sums.numpy()
        return float(loss / max(seen, 1)), float(beside / max(seen, 1)), int(seen)

    @property
    def learning_rate(self) -> float:
        return float(np.asarray(self.optimizer.learning_rate))  # perhaps a variable that lies on several devices

    @property
    def state(self) -> list[Any]:
        """What a training keeps beside network and optimiser, as variables; a checkpoint holds them too."""
        return [self.rate_factor, *(self._average.mean if self._average else ()), *self._beside]

    def averaged(self) -> AbstractContextManager[None]:
        """Within, the network has the weights that are kept: their running average, where the recipe asks for one."""
        return self._average.in_place() if self._average else nullcontext()

    def kept_weights(self) -> list[np.ndarray]:
        """The weights that are validated and stored."""
        return self._average.weights() if self._average else list(self.network.get_weights())

    def predict(self, examples: Examples) -> np.ndarray:
        """What the network says, `(n, k)`, in the order of the examples."""
        batch = self._answered_at_once()
        parts = [
            self._scores(tf.constant(examples.images.read(examples.rows[at : at + batch]))).numpy()
            for at in range(0, len(examples), batch)
        ]
        return np.concatenate(parts)

    def _answered_at_once(self) -> int:
        """How many are predicted together: of volumes as many as a step holds, of large images so many that no more
        memory is taken than the step that was tried."""
        shape: tuple[int, ...] = self.network.input_shape[1:]
        if len(shape) == 4:
            return self.plan.batch
        return min(ANSWERED_AT_ONCE, max(TIMES_A_BATCH * self._batch, VALUES_AT_ONCE // math.prod(shape)))

    def say(self, images: np.ndarray) -> np.ndarray:
        """What the network says of uint8 images `(n, size, size, channels)` that are in memory."""
        return np.asarray(self._scores(tf.constant(images)))

    def judge(self, validation: Examples) -> tuple[float, np.ndarray, np.ndarray]:
        """The loss as in training, without smoothing, and the targets and scores that the task's `score_validation`
        and `calibrate` take: of masks the case of each row, and its tally (`core.tasks.segmentation`)."""
        if validation.masks is None:
            scores = self.predict(validation)
            return self.validation_loss(validation.targets, scores), validation.targets, scores
        losses, tallies = [], []
        for at in range(0, len(validation), self.plan.batch):
            picked = np.arange(at, min(at + self.plan.batch, len(validation)))
            images, masks = validation.images.read(validation.rows[picked]), validation.read_targets(picked)
            loss, tally = self._tally(tf.constant(images), tf.constant(masks))
            losses.append(loss.numpy())
            tallies.append(tally.numpy())
        return float(np.concatenate(losses).mean()), validation.targets, np.concatenate(tallies)

    def _tally_batch(self, images: Any, masks: Any) -> tuple[Any, Any]:
        raw = self._to_raw(images, training=False)
        return self.loss.of_case(masks, raw, self._terms, 0.0), tally_pixels(masks, tf.nn.sigmoid(raw))

    def _predict_batch(self, images: Any) -> Any:
        return self.network(images, training=False)

    def _train_chunk(self, images: Any, targets: Any, seeds: Any) -> Any:
        """Nobody reads the answer: TensorFlow takes a tenth longer for a step of `cnn` at 128 px that has none."""
        if self.plan.steps_per_call == 1:
            self._count(images[0], targets[0], seeds[0])
        else:
            for at in tf.range(tf.shape(images)[0]):
                self._count(images[at], targets[at], seeds[at])
        return self._sums.read_value()

    def _count_step(self, images: Any, targets: Any, seed: Any) -> None:
        if self._spread is None:
            counted = self._step(images, targets, seed)
        else:
            parts = self._spread.run(self._step_of_part, args=(images, targets, seed))
            counted = self._spread.reduce(tf.distribute.ReduceOp.SUM, parts, axis=None)
        if self._average:
            self._average.follow(seed[1])
        self._sums.assign_add(counted)

    def _step_of_part(self, images: Any, targets: Any, seed: Any) -> Any:
        """The step of one of several devices: on its part of the batch, with random numbers of its own."""
        number, size = tf.distribute.get_replica_context().replica_id_in_sync_group, self._batch
        parts = (part_of(whole, number, self._devices) for whole in (images, targets))
        images, targets = (tf.ensure_shape(part, (size, *part.shape[1:])) for part in parts)
        return self._step(images, targets, tf.random.experimental.stateless_fold_in(seed, number))

    @property
    def _batch(self) -> int:
        """Images of a step on one device."""
        return self.plan.batch // self._devices

    def _step(self, images: Any, targets: Any, seed: Any) -> Any:
        """One step on one device; what it adds to the sums."""
        if is_augmented(self.recipe):
            images = augment(images, seed, self.recipe, self.proportions)
            if self.task.PAINTS:
                targets = augment_masks(targets, seed, self.recipe, self.proportions)
        share, partner = None, None
        if self.recipe.mixup:
            share, partner = draw_mixture(seed, self._batch, self.recipe.mixup)
            images = mix_images(images, share, partner)
        variables = [*self.network.trainable_variables, *self._beside]

        def blend(of_case: Any) -> Any:
            """What is counted of each case, with its partner's part in it."""
            if share is None:
                return of_case(targets)
            return share * of_case(targets) + (1 - share) * of_case(tf.gather(targets, partner))

        with tf.GradientTape() as tape:
            raw, *lower = self._answer(images, targets, seed)
            loss = tf.reduce_mean(blend(lambda wanted: self._loss_of_case(wanted, raw)))
            total = tf.add_n([self._with_lower(loss, lower, blend), *self._learning.losses])
            if self._devices > 1:
                total /= self._devices  # the optimiser adds up what the devices found
            scaled = self.optimizer.scale_loss(total)
        gradients = tape.gradient(scaled, variables)
        if self._scaled and self._devices > 1:
            gradients = share_overflow(gradients)
        self.optimizer.apply(gradients, variables)
        if self._devices > 1 and not self._held:
            share_statistics(self._statistics)
        beside = tf.reduce_sum(blend(lambda wanted: self.loss.beside(wanted, raw, self._terms)))
        return tf.stack([loss * self._batch, beside, float(self._batch)])

    def _loss_of_case(self, wanted: Any, raw: Any) -> Any:
        return self.loss.of_case(wanted, raw, self._terms, self.recipe.label_smoothing)

    def _with_lower(self, loss: Any, lower: list[Any], blend: Any) -> Any:
        """The loss with that of the answers at lower resolutions; what is counted of an epoch is the finest one's, as
        in validation."""
        if not lower:
            return loss

        def at(raw: Any) -> Any:
            return tf.reduce_mean(blend(lambda wanted: self._loss_of_case(pool_masks(wanted, raw.shape[1:-1]), raw)))

        losses = [loss, *map(at, lower)]
        return tf.add_n([share * one for share, one in zip(halved_shares(len(losses)), losses, strict=True)])

    def _answer(self, images: Any, targets: Any, seed: Any) -> list[Any]:
        """The raw outputs for a batch that is learnt from, the finest first."""
        told = self._learning(images, training=True)
        return told if isinstance(told, list) else [told]

    def validation_loss(self, targets: np.ndarray, scores: np.ndarray) -> float:
        """The loss of what the network says, weighted as in training, without smoothing."""
        terms = self._validation_terms
        raw = self.task.raw_of(self.schema, scores, terms)
        return float(tf.reduce_mean(self.loss.of_case(tf.constant(targets), tf.constant(raw), tf.constant(terms), 0.0)))


def tally_pixels(masks: Any, probabilities: Any) -> Any:
    """How many pixels outside and inside a mask have a probability of each level, int32 `(batch, 2, LEVELS, k)`."""
    n, k = tf.shape(masks)[0], masks.shape[-1]
    masks, probabilities = (tf.reshape(one, (n, -1, k)) for one in (masks, probabilities))
    level = tf.clip_by_value(tf.cast(tf.floor(probabilities * LEVELS), tf.int32), 0, LEVELS - 1)
    place = (tf.range(n)[:, None, None] * 2 + tf.cast(masks, tf.int32)) * LEVELS + level
    place = place * k + tf.range(k)
    size = n * 2 * LEVELS * k
    counts = tf.math.bincount(tf.reshape(place, [-1]), minlength=size, maxlength=size)
    return tf.reshape(counts, (n, 2, LEVELS, k))


def make_optimizer(recipe: Recipe, steps: int, rate_factor: Any = 1.0) -> Any:
    """The recipe's optimiser with its schedule over `steps` steps in all."""
    rate = make_schedule(recipe, steps, rate_factor)
    if recipe.optimiser == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=NO_DECAY)
        return optimizer
    if recipe.optimiser == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    return {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[recipe.optimiser](rate)
