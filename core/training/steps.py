"""The compiled work of training: one step after another on a chunk of batches, and prediction."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from core.projects.schema import Classification
from core.tasks.classification import LOGITS, loss_name
from core.training.augmentation import augment, is_augmented
from core.training.batches import Examples, Plan
from core.training.recipe import Recipe

WARM_UP_SHARE = 0.05  # of all steps; the first steps of a fresh network are the wildest
NO_DECAY = ["bias", "gamma", "beta"]  # shrinking these only shifts the layer


class Learner:
    """A network with its optimiser, and the running sums of the epoch."""

    def __init__(
        self,
        network: Any,
        recipe: Recipe,
        schema: Classification,
        plan: Plan,
        weights: np.ndarray,
        *,
        scale_loss: bool = False,
    ) -> None:
        """`weights` are those of `class_weights`, `(2, k)`; `scale_loss` goes with half precision."""
        self.network, self.recipe, self.schema, self.plan = network, recipe, schema, plan
        self.optimizer = make_optimizer(recipe, plan.steps * recipe.epochs)
        if scale_loss:
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        self.optimizer.build(network.trainable_variables)
        self._to_logits = keras.Model(network.input, network.get_layer(LOGITS).output)
        self._weights = tf.constant(weights)
        self._sums = tf.Variable(tf.zeros(3), trainable=False)  # loss, right answers, images
        # XLA was slower on CPUs, five times at inference.
        self.train = tf.function(self._train_chunk, jit_compile=False)
        images = tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8)  # the last batch is smaller
        self._scores = tf.function(self._predict_batch, input_signature=[images], jit_compile=False)

    def begin_epoch(self) -> None:
        self._sums.assign(tf.zeros(3))

    def read_sums(self) -> tuple[float, float, int]:
        """Mean loss, share of right answers, and images seen since the epoch began; waits for the device."""
        loss, right, seen = self._sums.numpy()
        return float(loss / max(seen, 1)), float(right / max(seen, 1)), int(seen)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.learning_rate)

    def predict(self, examples: Examples, *, batch: int = 64) -> np.ndarray:
        """Probabilities `(n, classes)` in the order of the examples."""
        parts = [
            self._scores(tf.constant(examples.images.read(examples.rows[at : at + batch]))).numpy()
            for at in range(0, len(examples), batch)
        ]
        return np.concatenate(parts)

    def _predict_batch(self, images: Any) -> Any:
        return self.network(images, training=False)

    def _train_chunk(self, images: Any, targets: Any, seeds: Any) -> None:
        if self.plan.steps_per_call == 1:
            self._step(images[0], targets[0], seeds[0])
        else:
            for at in tf.range(tf.shape(images)[0]):
                self._step(images[at], targets[at], seeds[at])

    def _step(self, images: Any, targets: Any, seed: Any) -> None:
        if is_augmented(self.recipe):
            images = augment(images, seed, self.recipe)
        variables = self.network.trainable_variables
        with tf.GradientTape() as tape:
            logits = self._to_logits(images, training=True)
            loss = self._loss(targets, logits)
            total = tf.add_n([loss, *self._to_logits.losses])
            scaled = self.optimizer.scale_loss(total)
        self.optimizer.apply(tape.gradient(scaled, variables), variables)
        right = tf.reduce_sum(tf.cast(_right_answers(targets, logits, self.schema.multi_label), tf.float32))
        self._sums.assign_add(tf.stack([loss * self.plan.batch, right, float(self.plan.batch)]))

    def _loss(self, targets: Any, logits: Any) -> Any:
        return tf.reduce_mean(
            cross_entropy(loss_name(self.schema), targets, logits, self._weights, smoothing=self.recipe.label_smoothing)
        )

    def validation_loss(self, targets: np.ndarray, scores: np.ndarray) -> float:
        """The loss of probabilities, weighted as in training, without smoothing."""
        scores = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
        no, yes = self._weights.numpy()
        if self.schema.multi_label:
            each = -(targets * yes * np.log(scores) + (1 - targets) * no * np.log(1 - scores))
            return float(each.mean())
        return float(-(targets * yes * np.log(scores)).sum(axis=1).mean())


def cross_entropy(name: str, targets: Any, logits: Any, weights: Any, *, smoothing: float) -> Any:
    """Weighted cross entropy of each case, `(batch,)`, on logits.

    Args:
        name: `softmax_cross_entropy` or `sigmoid_cross_entropy`.
        weights: `(2, k)`, rows "not of the class" and "of the class".
    """
    if name == "sigmoid_cross_entropy":
        smooth = targets * (1 - smoothing) + 0.5 * smoothing
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels=smooth, logits=logits)
        return tf.reduce_mean(each * (targets * weights[1] + (1 - targets) * weights[0]), axis=1)
    smooth = targets * (1 - smoothing) + smoothing / targets.shape[-1]
    of_case = tf.reduce_sum(targets * weights[1], axis=1)
    return tf.nn.softmax_cross_entropy_with_logits(labels=smooth, logits=logits) * of_case


def _right_answers(targets: Any, logits: Any, multi_label: bool) -> Any:
    if multi_label:
        return tf.reduce_all(tf.equal(targets > 0.5, logits > 0.0), axis=1)
    return tf.equal(tf.argmax(targets, axis=1), tf.argmax(logits, axis=1))


def make_optimizer(recipe: Recipe, steps: int) -> Any:
    """The recipe's optimiser with its schedule over `steps` steps in all."""
    rate = make_schedule(recipe, steps)
    if recipe.optimiser == "adamw":
        optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=NO_DECAY)
        return optimizer
    if recipe.optimiser == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True)
    return {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}[recipe.optimiser](rate)


def make_schedule(recipe: Recipe, steps: int) -> Any:
    """A number for `constant`, else a function of the step."""
    rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        warm_up = int(steps * WARM_UP_SHARE)
        if not warm_up:
            return keras.optimizers.schedules.CosineDecay(rate, steps)
        return keras.optimizers.schedules.CosineDecay(
            rate / 20, steps - warm_up, warmup_target=rate, warmup_steps=warm_up
        )
    if recipe.schedule == "step":
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            [steps // 2, steps * 3 // 4], [rate, rate / 10, rate / 100]
        )
    return rate
