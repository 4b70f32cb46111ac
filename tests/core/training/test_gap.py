"""The gap between training and validation, and what the stated rules say of it."""

from typing import Any

import numpy as np
import pytest

from core.projects.schema import make_classification, make_generation, make_segmentation
from core.tasks import module_of
from core.training.advice import advise, advise_drawing, describe_course
from core.training.batches import Examples
from core.training.gap import Gap, Measured, measure_gap
from core.training.headline import headline_of
from core.training.networks import NETWORKS
from core.training.recipe import change_recipe, named_recipe

RECIPE = named_recipe("resnet")
FALLING_THEN_FLAT = [1.0, 0.6, 0.5, 0.5, 0.49, 0.5, 0.49, 0.495, 0.49, 0.49]


def told(losses: list[float] = FALLING_THEN_FLAT, *, skill: float = 0.9, gap: float = 0.01, patients: int = 100,
         low: float | None = None, cases: int = 300, parameters: int = 1000, **changes: Any) -> Any:  # fmt: skip
    side = Measured(0.3, 0.9, 0.85, 0.95, patients, patients)
    found = Gap("balanced_accuracy", side, side, skill, gap, gap - 0.05 if low is None else low, gap + 0.05)
    epochs = [{"epoch": at, "validation_loss": loss} for at, loss in enumerate(losses, start=1)]
    return advise(found, epochs, change_recipe(RECIPE, changes), training_cases=cases, parameters=parameters)


def test_a_gap_that_is_surely_there_is_overfitting_and_more_data_is_named() -> None:
    advice = told(gap=0.3)
    assert advice.verdict == "overfits"
    assert any("more data" in one for one in advice.tries)


def test_a_gap_whose_interval_reaches_nothing_is_not_called_overfitting() -> None:
    assert told(gap=0.3, low=-0.1).verdict == "goes together"
    assert told(gap=0.05).verdict == "goes together"


def test_augmentation_is_advised_first_where_there_is_hardly_any() -> None:
    barely = told(gap=0.3, rotation=0, zoom=0, shift=0, contrast=0)
    assert barely.tries[0].startswith("augmentation")
    assert not any(one.startswith("augmentation") for one in told(gap=0.3).tries)


def test_a_run_that_somebody_stopped_is_asked_to_go_on_and_not_for_twice_its_epochs() -> None:
    recipe, side = change_recipe(RECIPE, {"epochs": 300}), Measured(1.1, 0.33, 0.3, 0.4, 47, 36)
    for skill in (0.0, 0.2):
        found = Gap("balanced_accuracy", side, side, skill, 0.0, -0.05, 0.05)
        advice = advise(found, [{"validation_loss": 1.1}], recipe, training_cases=218, parameters=9, stopped=True)
        assert advice.tries[0] == "training to its end: it was stopped after 1 of 300 epochs"


def test_a_smaller_network_is_advised_where_few_cases_teach_many_weights() -> None:
    assert any("a smaller network" in one for one in told(gap=0.3, parameters=10_000_000).tries)
    assert not any("a smaller network" in one for one in told(gap=0.3, parameters=10_000).tries)


def test_a_size_is_advised_that_the_network_s_recipe_can_say() -> None:
    densenet = named_recipe("densenet")
    assert "filters" not in NETWORKS["densenet"].FIELDS
    for stages, larger in ((4, ()), (2, ("a larger network: more stages",))):
        known = {"network": "densenet", "stages": stages, "filters": densenet.filters[:stages]}
        smaller = [one for one in told(gap=0.3, parameters=10_000_000, **known).tries if "a smaller network" in one]
        assert smaller == ["a smaller network: fewer stages (10,000,000 weights learn from 300 cases)"]
        tries = told(skill=0.2, **known).tries
        assert tuple(one for one in tries if "a larger network" in one) == larger


def test_regularisation_is_advised_where_there_is_little() -> None:
    assert any("regularisation" in one for one in told(gap=0.3, dropout=0.0).tries)
    assert not any("regularisation" in one for one in told(gap=0.3, dropout=0.5).tries)
    assert any("(with the optimiser adamw)" in one for one in told(gap=0.3, dropout=0.5, optimiser="sgd").tries)


def test_a_loss_that_rose_after_its_lowest_point_asks_for_an_earlier_stop() -> None:
    losses = [1.0, 0.5, 0.4, 0.45, 0.5, 0.6, 0.7]
    advice = told(losses)
    assert advice.verdict == "too long"
    assert "After epoch 3 of 7" in advice.sentence
    assert any("earlier stop" in one for one in advice.tries)
    assert not any("earlier stop" in one for one in told(losses, early_stopping=2).tries)
    assert any("best epoch was 3 of 7" in one for one in told(losses, gap=0.3).tries)


def test_a_loss_that_still_falls_asks_for_longer_training() -> None:
    advice = told([1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], epochs=8)
    assert advice.verdict == "still learns"
    assert advice.tries[0] == "longer training: 16 epochs"


def test_one_that_knows_little_even_of_its_training_cases_underfits() -> None:
    assert told(skill=0.2).verdict == "underfits"


def test_one_that_is_no_better_than_chance_has_not_learnt_even_where_patients_are_few() -> None:
    advice = told([0.7] * 8, skill=0.01, gap=0.0, patients=4)
    assert advice.verdict == "learnt nothing"
    assert "no better than chance" in advice.sentence
    assert told([1.0, 0.9, 0.8, 0.7, 0.6, 0.5], skill=0.01, gap=0.0).verdict == "still learns"


def test_a_loss_that_went_wild_is_named_and_a_lower_rate_advised() -> None:
    advice = told([1.0, 1608.0, 900.0], skill=0.2, gap=0.0, learning_rate=1.0)
    assert advice.verdict == "learnt nothing"
    assert "1,608" in advice.sentence
    assert advice.tries == ("a lower learning rate than 1 (the learning-rate test suggests one)",)
    assert told([20.0, 1.0, 0.2], skill=0.9).verdict != "learnt nothing"  # it found its way


def test_from_few_patients_or_without_a_number_nothing_is_told() -> None:
    assert told(patients=5, gap=0.5).verdict == "cannot be told"
    side = Measured(0.3, None, None, None, 100, 100)
    nothing = Gap("dice", side, side, None, None, None, None)
    assert advise(nothing, [], RECIPE, training_cases=9, parameters=9).verdict == "cannot be told"


def told_of_drawing(
    network: str = "diffusion",
    losses: list[float] = FALLING_THEN_FLAT,
    *,
    gap: float = 0.01,
    patients: int = 100,
    low: float | None = None,
    parameters: int = 1000,
    **changes: Any,
) -> Any:
    side = Measured(0.3, 0.2, 0.15, 0.25, patients, patients)
    found = Gap("drawing_error", side, side, None, gap, gap - 0.05 if low is None else low, gap + 0.05)
    epochs = [{"epoch": at, "validation_loss": loss} for at, loss in enumerate(losses, start=1)]
    recipe = change_recipe(named_recipe(network), changes)
    return advise_drawing(found, epochs, recipe, training_cases=300, parameters=parameters)


def test_what_draws_nearer_to_what_it_learnt_from_overfits_and_is_not_told_to_augment() -> None:
    advice = told_of_drawing(gap=0.3, parameters=10_000_000)
    assert (advice.verdict, advice.sentence) == (
        "overfits", "It overfits: it draws clearly nearer to what it learnt from than to new images.",
    )  # fmt: skip
    assert advice.tries[0].startswith("more training cases")
    assert advice.tries[1].startswith("a smaller network")
    assert "regularisation: more dropout" in advice.tries
    assert not any("augmentation" in one or "learning curve" in one for one in advice.tries)
    assert any(one.startswith("fewer latent numbers") for one in told_of_drawing("vae", gap=0.3).tries)
    rising = [1.0, 0.5, 0.4, 0.45, 0.5, 0.6, 0.7]
    assert "earlier stop: its best epoch was 3 of 7" in told_of_drawing(losses=rising, gap=0.3).tries


def test_of_drawing_the_other_rules_are_those_of_the_other_tasks() -> None:
    assert told_of_drawing(gap=0.3, low=-0.1).verdict == "goes together"
    assert told_of_drawing(gap=0.3, patients=5).verdict == "cannot be told"
    assert told_of_drawing(losses=[1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3], epochs=8).verdict == "still learns"
    late = told_of_drawing(losses=[1.0, 0.5, 0.4, 0.45, 0.5, 0.6, 0.7])
    assert late.verdict == "too long"
    assert "more training cases" in late.tries


class Fixed:
    """A learner whose answers are the images themselves."""

    def __init__(self, schema: Any) -> None:
        self.schema, self.task = schema, module_of(schema)

    def judge(self, examples: Examples) -> tuple[float, np.ndarray, np.ndarray]:
        return 0.5, examples.targets, examples.images.read(examples.rows)


class Answers:
    def __init__(self, scores: np.ndarray) -> None:
        self.scores, self.case_ids = scores, tuple(range(len(scores)))

    def read(self, rows: Any) -> np.ndarray:
        return self.scores[np.asarray(rows)]


def test_the_gap_is_between_skills_and_its_interval_over_patients() -> None:
    n, random = 200, np.random.default_rng(0)
    targets = np.eye(2, dtype=np.float32)[np.arange(n) % 2]
    wrong = (np.arange(n) >= 100) & (random.random(n) < 0.3)  # of the second hundred some are answered wrongly
    scores = np.where(wrong[:, None], 1 - targets, targets) * 0.8 + 0.1
    images = Answers(scores)
    sides = [Examples(images, rows, targets[rows]) for rows in (np.arange(100), np.arange(100, 200))]  # type: ignore[arg-type]
    patients = {case: f"p{case // 2}" for case in range(n)}
    found = measure_gap(Fixed(make_classification(["a", "b"])), *sides, patients, seed=0)
    assert found.training.value == 1.0
    right = [1 - wrong[100:][(np.arange(100) % 2) == k].mean() for k in (0, 1)]
    assert found.validation.value == pytest.approx(np.mean(right))
    assert found.gap == pytest.approx(2 * (1 - np.mean(right)))  # chance is one half
    assert found.gap_low < found.gap < found.gap_high
    assert (found.validation.cases, found.validation.patients) == (100, 50)


def test_the_gap_of_drawing_is_a_share_of_the_training_error_over_patients() -> None:
    n, random = 200, np.random.default_rng(0)
    error = np.where(np.arange(n) < 100, 0.2, 0.3) + random.normal(0, 0.02, n)
    images = Answers(np.stack([error, np.full(n, 5.0)], axis=1))  # the second part of the loss says nothing here
    targets = np.zeros((n, 6), np.float32)
    sides = [Examples(images, rows, targets[rows]) for rows in (np.arange(100), np.arange(100, 200))]  # type: ignore[arg-type]
    patients = {case: f"p{case // 2}" for case in range(n)}
    found = measure_gap(Fixed(make_generation(["a", "b"])), *sides, patients, seed=0)
    assert (found.metric, found.training_skill) == ("drawing_error", None)
    assert found.training.value == pytest.approx(error[:100].mean())
    assert found.gap == pytest.approx(error[100:].mean() / error[:100].mean() - 1)
    assert 0.4 < found.gap_low < found.gap < found.gap_high < 0.6
    assert (found.validation.cases, found.validation.patients) == (100, 50)


def test_the_weighted_headline_is_that_of_the_epochs() -> None:
    random, n = np.random.default_rng(1), 30
    ones = np.ones((1, n))
    for multi_label, classes in ((False, ["a", "b", "c"]), (True, ["a", "b"])):
        schema = make_classification(classes, multi_label=multi_label)
        scores = random.random((n, len(classes)))
        targets = (random.random(scores.shape) < 0.4) if multi_label else np.eye(len(classes))[random.integers(0, 3, n)]
        wanted = module_of(schema).score_validation(schema, targets.astype(np.float32), scores)["balanced_accuracy"]
        assert headline_of(schema, False, targets, scores)(ones)[0] == pytest.approx(wanted)
    schema = make_segmentation(["x", "y"])
    rows, tallies = np.arange(n) // 3, random.integers(0, 9, (n, 2, 20, 2))
    tallies[:6, 1, :, 1] = 0  # two cases without the second structure
    wanted = module_of(schema).score_validation(schema, rows, tallies)["dice"]
    assert headline_of(schema, True, rows, tallies)(np.ones((1, 10)))[0] == pytest.approx(wanted)


def test_a_patient_drawn_twice_counts_twice() -> None:
    targets, scores = np.eye(2)[[0, 1, 1]], np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    measure = headline_of(make_classification(["a", "b"]), False, targets, scores)
    assert measure(np.array([[1.0, 1, 1], [1, 2, 1], [0, 1, 1]])).tolist()[:2] == pytest.approx([0.75, 2 / 3])
    assert np.isnan(measure(np.array([[0.0, 1, 1]]))[0])  # no case of a class that there is


def test_a_run_that_is_not_over_says_when_its_loss_rises() -> None:
    epochs = [{"epoch": at, "validation_loss": loss} for at, loss in enumerate([1.0, 0.5, 0.4, 0.5, 0.6], start=1)]
    assert describe_course(epochs).startswith("Since epoch 3")
    assert describe_course(epochs[:3]) == ""
