"""What to try next, from how a run went: stated rules, one pure function.

The rules, in the order in which they are asked; a skill is 0 for a model that knows nothing and 1 for one that is never
wrong (`core.training.gap`):

1. The loss went wild (above `WILD_LOSS`) and training skill is below `POOR_SKILL`, or training and validation skill are
   below `NO_SKILL` and the loss falls no more: it learnt nothing.
2. Fewer than `FEW_PATIENTS` validation patients, or no number on a split: it cannot be told.
3. The gap between training and validation skill is above `NOTABLE_GAP`, and its interval above `NO_GAP`: overfits.
4. The validation loss still fell by more than `STILL_FALLING` over the last fifth of the epochs, and the best epoch was
   the last but few: train longer.
5. Training skill below `POOR_SKILL`: underfits.
6. The validation loss ended more than `RISEN` above its lowest: too long; the kept weights are from before.
7. Else training and validation go together.

Of drawing rules 2, 3, 4, 6 and 7 are asked, of the drawing error in the place of skill: its gap is by how much the
validation error is larger than the training error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from core.training.gap import Gap
from core.training.networks import NETWORKS
from core.training.recipe import Recipe

Verdict = Literal[
    "learnt nothing", "cannot be told", "overfits", "still learns", "underfits", "too long", "goes together"
]  # fmt: skip

FEW_PATIENTS = 20
NOTABLE_GAP, NO_GAP = 0.1, 0.02
POOR_SKILL = 0.5
NO_SKILL = 0.05
WILD_LOSS = 10.0  # a model that knows nothing of a standardised number or a few classes has a loss of about 1
KNOWS_NOTHING = {
    "mae": "it is no better than the same number for every case",
    "dice": "next to nothing that it paints is right",
}
STILL_FALLING = 0.02  # of the loss itself
LAST_PART = 0.2  # of the epochs
RISEN = 0.1  # of the lowest loss
WEAK_ROTATION, WEAK_SHARE = 5.0, 0.05  # below these augmentation hardly changes an image
MANY_WEIGHTS = 2000  # for each training case
FEW_EPOCHS = 5  # too few to see where a loss is going


@dataclass(frozen=True)
class Advice:
    """What was seen, in a sentence, and what to try, the most promising first."""

    verdict: Verdict
    sentence: str
    tries: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "tries": list(self.tries)}


def advise(
    gap: Gap,
    epochs: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    *,
    training_cases: int,
    parameters: int,
    stopped: bool = False,
) -> Advice:
    """What the rules above say of a run.

    Args:
        epochs: the facts of its epochs in order, with `validation_loss`.
        parameters: weights of its network.
        stopped: somebody ended it before its last epoch; then it is asked to go on to there, not for twice as long.
    """
    losses = [float(epoch["validation_loss"]) for epoch in epochs if epoch.get("validation_loss") is not None]
    longer = _longer(len(epochs), recipe, stopped)
    skill, distance, surely = gap.training_skill, gap.gap, gap.gap_low
    if nothing := _nothing_learnt(gap, epochs, losses, recipe, longer):
        return nothing
    if skill is None or distance is None or surely is None or gap.validation.patients < FEW_PATIENTS:
        return _cannot_be_told(gap)
    if distance > NOTABLE_GAP and surely > NO_GAP:
        return _overfits(losses, recipe, training_cases, parameters)
    if _still_falls(losses):
        return _still_learns(longer, stopped)
    if skill < POOR_SKILL:
        return _underfits(recipe, longer)
    if losses and _is_too_long(losses):
        return _too_long(losses, recipe)
    return Advice(
        "goes together",
        "Training and validation go together: nothing here says that it overfits.",
        ("more data: the learning curve says how much it would bring",),
    )


def advise_drawing(
    gap: Gap,
    epochs: Sequence[Mapping[str, Any]],
    recipe: Recipe,
    *,
    training_cases: int,
    parameters: int,
    stopped: bool = False,
) -> Advice:
    """What the rules above say of a run that learns to draw; as `advise`.

    Augmentation is not among what to try: turned and stretched images would be drawn so.
    """
    losses = [float(epoch["validation_loss"]) for epoch in epochs if epoch.get("validation_loss") is not None]
    distance, surely = gap.gap, gap.gap_low
    if distance is None or surely is None or gap.validation.patients < FEW_PATIENTS:
        return _cannot_be_told(gap)
    if distance > NOTABLE_GAP and surely > NO_GAP:
        known = NETWORKS[recipe.network].FIELDS
        tries = ["more training cases, the surest help against images learnt by heart"]
        if parameters > MANY_WEIGHTS * training_cases:
            tries.append(_smaller(recipe, parameters, training_cases))
        if "dropout" in known and recipe.dropout < 0.3:
            tries.append("regularisation: more dropout")
        elif not _decays(recipe):
            tries.append(f"regularisation: {_decay(recipe)}")
        if "latent" in known:
            tries.append(f"fewer latent numbers than {recipe.latent}")
        tries += _earlier(losses, recipe)
        tries.append("a look at the evaluation: it tells how many drawn images are memorised")
        return Advice(
            "overfits", "It overfits: it draws clearly nearer to what it learnt from than to new images.", tuple(tries)
        )
    if _still_falls(losses):
        return _still_learns(_longer(len(epochs), recipe, stopped), stopped)
    if losses and _is_too_long(losses):
        return _too_long(losses, recipe, more="more training cases")
    return Advice(
        "goes together",
        "Training and validation go together: nothing here says that it overfits.",
        ("an evaluation: it tells how good what it draws is, and whether anything is memorised",),
    )


def describe_course(epochs: Sequence[Mapping[str, Any]]) -> str:
    """Where the validation loss of a run that is not over is going; "" where nothing is to be said."""
    losses = [float(epoch["validation_loss"]) for epoch in epochs if epoch.get("validation_loss") is not None]
    if not _is_too_long(losses):
        return ""
    best = int(np.argmin(losses)) + 1
    return f"Since epoch {best} the validation loss has risen; the weights of epoch {best} are kept."


def _nothing_learnt(
    gap: Gap, epochs: Sequence[Mapping[str, Any]], losses: Sequence[float], recipe: Recipe, longer: str
) -> Advice | None:
    """None where something was learnt, or may still be."""
    skill = gap.training_skill
    if skill is None or gap.gap is None or skill >= POOR_SKILL:
        return None
    lower = f"a lower learning rate than {recipe.learning_rate:g} (the learning-rate test suggests one)"
    wildest = max(
        (float(epoch.get(name) or 0.0) for epoch in epochs for name in ("loss", "validation_loss")), default=0.0
    )
    if wildest > WILD_LOSS:
        return Advice("learnt nothing", f"It did not learn: its loss went wild, up to {_large(wildest)}.", (lower,))
    if max(skill, skill - gap.gap) >= NO_SKILL or _still_falls(losses):
        return None
    known = KNOWS_NOTHING.get(gap.metric, "it is no better than chance")
    return Advice(
        "learnt nothing",
        f"It did not learn: {known}, on validation and on what it learnt from.",
        (longer, lower, "a look at the labels, and at how images enter the network"),
    )


def _large(loss: float) -> str:
    return f"{loss:,.0f}" if loss < 1e6 else f"{loss:.0e}"


def _cannot_be_told(gap: Gap) -> Advice:
    n = gap.validation.patients
    return Advice(
        "cannot be told",
        f"Whether it overfits cannot be told from {n} validation patient{'' if n == 1 else 's'}.",
        ("more validation cases: at least 20 patients",),
    )


def _longer(done: int, recipe: Recipe, stopped: bool) -> str:
    if stopped:
        return f"training to its end: it was stopped after {done:,} of {recipe.epochs:,} epochs"
    return f"longer training: {max(2 * recipe.epochs, 10):,} epochs"


def _still_learns(longer: str, stopped: bool) -> Advice:
    return Advice(
        "still learns",
        f"The validation loss was still falling when {'it was stopped' if stopped else 'the epochs were over'}.",
        (longer, "a higher learning rate (the learning-rate test)"),
    )


def _smaller(recipe: Recipe, parameters: int, training_cases: int) -> str:
    fewer = "filters" if _has_filters(recipe) else "stages"
    return f"a smaller network: fewer {fewer} ({parameters:,} weights learn from {training_cases:,} cases)"


def _larger(recipe: Recipe) -> list[str]:
    if _has_filters(recipe):
        return ["a larger network: more filters or stages"]
    stages = len(getattr(NETWORKS[recipe.network], "STAGES", ()))
    return ["a larger network: more stages"] if recipe.stages < stages else []


def _has_filters(recipe: Recipe) -> bool:
    """Whether they are for a recipe to say: ready-made networks have their own."""
    return "filters" in NETWORKS[recipe.network].FIELDS


def _decays(recipe: Recipe) -> bool:
    """Whether weights are held small at all: weight decay is adamw's alone, the other optimisers ignore it."""
    return recipe.l2 > 0 or (recipe.optimiser == "adamw" and recipe.weight_decay > 0)


def _decay(recipe: Recipe) -> str:
    return "weight decay" if recipe.optimiser == "adamw" else "weight decay (with the optimiser adamw)"


def _earlier(losses: Sequence[float], recipe: Recipe) -> list[str]:
    if recipe.early_stopping or not losses or not _is_too_long(losses):
        return []
    return [f"earlier stop: its best epoch was {int(np.argmin(losses)) + 1} of {len(losses)}"]


def _overfits(losses: Sequence[float], recipe: Recipe, training_cases: int, parameters: int) -> Advice:
    tries = []
    if _is_barely_augmented(recipe):
        tries.append("augmentation: rotation, zoom, shift and contrast")
    tries.append("more data: the learning curve says how much it would bring")
    if parameters > MANY_WEIGHTS * training_cases:
        tries.append(_smaller(recipe, parameters, training_cases))
    if recipe.dropout < 0.3 or not _decays(recipe):
        tries.append(f"regularisation: more dropout or {_decay(recipe)}")
    if not _is_barely_augmented(recipe):
        tries.append("stronger augmentation")
    tries += _earlier(losses, recipe)
    return Advice(
        "overfits", "It overfits: it is clearly better on what it learnt from than on new cases.", tuple(tries)
    )


def _underfits(recipe: Recipe, longer: str) -> Advice:
    tries = [longer, *_larger(recipe)]
    if recipe.input_size < 128:
        tries.append("a larger image size, if what tells the cases apart is small")
    if recipe.dropout > 0.3 or recipe.l2 > 0:
        tries.append("less regularisation: lower dropout, no L2")
    tries.append("a look at the labels: it does not even tell the cases apart from which it learnt")
    return Advice("underfits", "It underfits: it knows little even of what it learnt from.", tuple(tries))


def _too_long(
    losses: Sequence[float],
    recipe: Recipe,
    *,
    more: str = "more data: the learning curve says how much it would bring",
) -> Advice:
    best = int(np.argmin(losses)) + 1
    tries = [] if recipe.early_stopping else ["earlier stop: early stopping saves the time after it"]
    return Advice(
        "too long",
        f"After epoch {best} of {len(losses)} the validation loss rose again; the weights of epoch {best} are kept.",
        (*tries, "a lower learning rate", more),
    )


def _still_falls(losses: Sequence[float]) -> bool:
    if len(losses) < FEW_EPOCHS:
        return False
    part = max(2, round(LAST_PART * len(losses)))
    before, last = float(np.mean(losses[-2 * part : -part])), float(np.mean(losses[-part:]))
    return before - last > STILL_FALLING * abs(before) and int(np.argmin(losses)) >= len(losses) - part


def _is_too_long(losses: Sequence[float]) -> bool:
    if len(losses) < FEW_EPOCHS:
        return False
    return float(np.mean(losses[-2:])) > (1 + RISEN) * min(losses)


def _is_barely_augmented(recipe: Recipe) -> bool:
    return recipe.rotation < WEAK_ROTATION and max(recipe.zoom, recipe.shift, recipe.contrast) < WEAK_SHARE
