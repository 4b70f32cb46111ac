"""How the learning rate moves over the steps of a run: a climb at the beginning, then what the recipe names."""

from typing import Any

import keras

from core.training.recipe import Recipe

FIRST_SHARE = 1 / 20  # of the rate's height, where a climb begins
CUT = 0.3  # what a plateau leaves of the rate


def make_schedule(recipe: Recipe, steps: int, factor: Any = 1.0) -> Any:
    """A number where the rate never moves, else a function of the step.

    Args:
        steps: those of the whole run.
        factor: what a plateau has left of the rate; a variable, so that the compiled step sees it change.
    """
    rate, climb = recipe.highest_rate, int(steps * recipe.warm_up)
    if recipe.schedule == "cosine":
        if not climb:
            return keras.optimizers.schedules.CosineDecay(rate, steps)
        return keras.optimizers.schedules.CosineDecay(
            rate * FIRST_SHARE, max(steps - climb, 1), warmup_target=rate, warmup_steps=climb
        )
    if recipe.schedule == "step":
        fall = keras.optimizers.schedules.PiecewiseConstantDecay(
            [steps // 2, steps * 3 // 4], [rate, rate / 10, rate / 100]
        )
        return Climb(fall, climb) if climb else fall
    if recipe.schedule == "plateau":
        return Climb(lambda _: rate * factor, climb)
    return Climb(lambda _: rate, climb) if climb else rate


class Climb(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Another schedule, whose first steps rise evenly from a twentieth to the whole of it."""

    def __init__(self, after: Any, steps: int) -> None:
        self._after, self._steps = after, steps

    def __call__(self, step: Any) -> Any:
        done = keras.ops.minimum(keras.ops.cast(step, "float32") / max(self._steps, 1), 1.0) if self._steps else 1.0
        return self._after(step) * (FIRST_SHARE + (1 - FIRST_SHARE) * done)
