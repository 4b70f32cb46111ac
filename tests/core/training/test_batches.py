"""Batches: order from seed and epoch, every image once, several steps a call, the same after a resumption."""

from dataclasses import replace

import numpy as np
import pytest

from core.training.batches import Examples, Plan, draw_by_shares, epoch_order, plan_epoch, stream_chunks
from core.training.recipe import Recipe, change_recipe, named_recipe


class InMemory:
    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def read(self, rows: np.ndarray) -> np.ndarray:
        return self.images[rows]


@pytest.fixture
def recipe() -> Recipe:
    return change_recipe(Recipe(), {"input_size": 16, "batch": 4, "epochs": 3, "stages": 2})


@pytest.fixture
def examples() -> Examples:
    """23 images among others; image i is filled with i."""
    images = np.arange(40, dtype=np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 1), np.uint8)
    return Examples(InMemory(images), np.arange(10, 33), np.eye(2, dtype=np.float32)[np.arange(23) % 2])


def seen(examples: Examples, recipe: Recipe, first_epoch: int = 0) -> list[tuple]:
    """(image, class, seed) of each step of the stream."""
    plan = plan_epoch(len(examples), recipe)
    return [
        (images[at, :, 0, 0, 0].tolist(), targets[at].argmax(1).tolist(), seeds[at].tolist())
        for images, targets, seeds in stream_chunks(examples, recipe, plan, first_epoch=first_epoch).as_numpy_iterator()
        for at in range(len(images))
    ]


def test_an_epoch_shows_every_image_at_most_once_with_its_own_target(examples: Examples, recipe: Recipe) -> None:
    steps = seen(examples, recipe)
    assert len(steps) == 3 * 5
    for epoch in range(3):
        shown = [image for images, _, _ in steps[epoch * 5 : epoch * 5 + 5] for image in images]
        assert len(set(shown)) == 20
        assert set(shown) <= set(range(10, 33))
    for images, classes, _ in steps:
        assert classes == [(image - 10) % 2 for image in images]


def test_each_step_has_a_seed_of_its_own_and_each_epoch_an_order_of_its_own(examples: Examples, recipe: Recipe) -> None:
    steps = seen(examples, recipe)
    assert [seed for _, _, seed in steps] == [[0, step] for step in range(15)]
    assert epoch_order(23, 0, 0).tolist() != epoch_order(23, 0, 1).tolist() != epoch_order(23, 1, 1).tolist()


def test_sampling_shows_a_rare_class_as_often_as_a_frequent_one_and_each_epoch_anew(
    examples: Examples, recipe: Recipe
) -> None:
    classes = np.array([0] * 90 + [1] * 10)
    shares = np.where(classes == 0, 100 / 180, 100 / 20)
    drawn = [draw_by_shares(shares, 0, epoch) for epoch in range(20)]
    assert np.mean([classes[order].mean() for order in drawn]) == pytest.approx(0.5, abs=0.02)
    assert not np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[3], draw_by_shares(shares, 0, 3))
    assert set(np.concatenate(drawn)) == set(range(100)), "nothing is left out for good"
    sampled = replace(examples, shares=np.where(np.arange(23) % 2, 1.0, 0.0))
    assert {answer for _, answers, _ in seen(sampled, recipe) for answer in answers} == {1}
    assert seen(sampled, recipe, first_epoch=2) == seen(sampled, recipe)[10:]


def test_a_stream_begun_later_goes_on_as_the_whole_one(examples: Examples, recipe: Recipe) -> None:
    assert seen(examples, recipe, first_epoch=2) == seen(examples, recipe)[10:]


def test_small_images_go_several_steps_a_call_and_large_ones_do_not(recipe: Recipe) -> None:
    assert plan_epoch(23, recipe).steps_per_call == 16
    assert plan_epoch(23, recipe).calls == 1
    large = plan_epoch(100, change_recipe(Recipe(), {"batch": 32, "input_size": 128}))
    assert (large.steps, large.steps_per_call, large.calls) == (3, 1, 3)


def test_fewer_images_than_a_batch_make_one_batch(recipe: Recipe) -> None:
    plan = plan_epoch(3, recipe)
    assert (plan.batch, plan.steps, plan.images) == (3, 1, 3)


def test_a_network_that_paints_goes_one_step_a_call() -> None:
    assert plan_epoch(100, change_recipe(named_recipe("unet2d"), {"input_size": 16, "batch": 8})) == Plan(8, 12, 1)
    assert plan_epoch(100, change_recipe(named_recipe("resnet"), {"input_size": 16, "batch": 8})).steps_per_call > 1
