"""The learning-rate range test: on drawn curves, and on a snapshot."""

import json
import math
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from core.errors import CoreError
from core.jobs.asking import ask_rate_test
from core.jobs.bodies import find_rate as body
from core.progress import Silent
from core.training.device import CPU
from core.training.find_rate import (
    HIGHEST,
    LOWEST,
    has_left,
    rising_rates,
    run_rate_test,
    smooth_losses,
    suggest_rate,
)
from core.training.recipe import change_recipe
from core.training.records import list_models, list_runs
from core.training.steps import Learner


def test_rates_rise_by_the_same_factor_from_far_too_small_to_far_too_large() -> None:
    rates = rising_rates(13)
    assert (rates[0], rates[-1]) == pytest.approx((LOWEST, HIGHEST))
    np.testing.assert_allclose(rates[1:] / rates[:-1], rates[1] / rates[0])


def test_where_the_loss_falls_fastest_only_just_before_it_is_lowest_a_tenth_of_that_is_suggested() -> None:
    rates = rising_rates()
    losses = [1 - 0.5 * math.exp(-(math.log10(rate / 0.02) ** 2)) + (50 * max(0, rate - 0.3)) for rate in rates]
    found = suggest_rate(rates, losses)
    assert found.suggested == 0.002
    assert "is lowest at 0.02; take 0.002" in found.sentence


def test_where_the_loss_fell_long_before_the_rate_of_its_fastest_fall_is_suggested() -> None:
    rates = rising_rates()
    losses = [1 / (1 + math.exp(4 * (math.log10(rate) + 3))) + 0.4 - 0.01 * math.log10(rate) for rate in rates]
    found = suggest_rate(rates, losses)
    assert found.suggested == pytest.approx(0.001, rel=0.15)  # as near as the rates that were tried
    assert f"falls fastest at a rate of about {found.suggested:g}" in found.sentence


def test_a_lucky_second_batch_does_not_suggest_the_least_rate() -> None:
    rates = rising_rates()
    losses = [1 / (1 + math.exp(4 * (math.log10(rate) + 3))) + 0.4 for rate in rates]
    losses[0] += 3.0
    found = suggest_rate(rates, losses)
    assert found.suggested == pytest.approx(0.001, rel=0.15)


def test_easy_batches_after_which_the_loss_climbs_back_are_no_fall() -> None:
    """As found on 218 chest X-rays in batches of 16: a dip at 8e-6 was steeper than the long fall after 2e-4."""
    rates = rising_rates()
    falling = [1 / (1 + math.exp(2 * (math.log10(rate) + 3))) for rate in rates]
    dip = [0.4 * math.exp(-((4 * (math.log10(rate) + 5.1)) ** 2)) for rate in rates]
    found = suggest_rate(rates, [fall - dipped for fall, dipped in zip(falling, dip, strict=True)])
    assert found.suggested == pytest.approx(0.001, rel=0.15)


def test_a_flat_loss_suggests_nothing_and_says_so() -> None:
    found = suggest_rate([1e-4, 1e-3, 1e-2], [1.0, 0.995, 1.0])
    assert found.suggested is None
    assert "hardly falls" in found.sentence


def test_a_loss_that_is_no_number_ends_the_test_or_refuses_it() -> None:
    assert has_left([1.0, 0.5, math.nan])
    assert has_left([1.0, 0.5, 2.1])
    assert not has_left([1.0, 0.5, 1.9])
    assert len(suggest_rate([1e-4, 1e-3, 1e-2], [1.0, 0.5, math.nan]).rates) == 2
    with pytest.raises(CoreError, match="look at the data"):
        suggest_rate([1e-4, 1e-3], [math.nan, math.nan])


def test_the_running_mean_begins_at_the_first_loss() -> None:
    assert smooth_losses([2.0, 2.0, 2.0]) == pytest.approx([2, 2, 2])


def test_rates_are_tried_on_a_snapshot_and_no_model_is_made(connection, files, planted, small_recipe, actor) -> None:
    class Noted(Silent):
        notes: ClassVar[list[str]] = []

        def report(self, fraction: float, note: str, **facts: Any) -> None:
            assert 0 <= fraction <= 1
            self.notes.append(note)

    job = ask_rate_test(
        connection, planted.project, planted.snapshot, change_recipe(small_recipe, {"ema": 0.9}), actor=actor
    )
    context: Any = SimpleNamespace(connection=connection, files=files, job=job, device="cpu", progress=Noted())
    found = body.run(context)
    assert len(found["rates"]) == len(found["losses"]) > 20
    assert found["rates"] == sorted(found["rates"])
    assert found["suggested"] is None or LOWEST <= found["suggested"] <= HIGHEST
    assert (found["snapshot"], found["network"]) == (planted.snapshot.id, "resnet")
    assert any(note.startswith("Rate 1.0e-06, loss") for note in Noted.notes)
    assert Noted.notes[-1] == found["sentence"]
    assert json.loads(json.dumps(found)) == found
    assert not list_runs(connection, planted.project.id)
    assert not list_models(connection, planted.project.id)


def test_rates_are_those_of_a_recipe_of_which_a_share_is_left_to_what_was_learnt_before(
    connection, files, planted, small_recipe, monkeypatch
) -> None:
    """So that a run learns as the test did which takes what it suggests."""
    taken: list[float] = []
    step = Learner.train

    def train(self: Learner, *chunk: Any) -> Any:
        taken.append(self.learning_rate)
        return step(self, *chunk)

    monkeypatch.setattr(Learner, "train", train)
    monkeypatch.setattr("core.training.find_rate.rising_rates", lambda: np.geomspace(1e-4, 1e-2, 5))
    recipe = change_recipe(small_recipe, {"start_from": "an earlier one", "fine_tune_rate": 0.2})
    found = run_rate_test(connection, files, planted.snapshot, recipe, None, CPU, Silent())
    assert taken[2:] == pytest.approx([0.2 * rate for rate in found.rates]), "after the two steps that measure memory"


def test_rates_are_tried_with_the_batch_that_fits_into_memory_as_a_run_takes_it(
    connection, files, planted, small_recipe, monkeypatch
) -> None:
    step, batches = Learner.train, list[int]()

    def train(self: Learner, images: Any, *others: Any) -> Any:
        if images.shape[1] > small_recipe.batch // 2:
            raise MemoryError
        batches.append(images.shape[1])
        return step(self, images, *others)

    monkeypatch.setattr(Learner, "train", train)
    monkeypatch.setattr("core.training.find_rate.rising_rates", lambda: np.geomspace(1e-4, 1e-2, 5))
    found = run_rate_test(connection, files, planted.snapshot, small_recipe, None, CPU, Silent())
    assert len(found.rates) > 1
    assert set(batches) == {small_recipe.batch // 2}
