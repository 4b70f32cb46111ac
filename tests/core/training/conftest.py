"""Recipes small enough for a test."""

import pytest

from core.training.recipe import Recipe, change_recipe, named_recipe


@pytest.fixture
def small_recipe() -> Recipe:
    """A residual network that learns the planted square in a second or two."""
    changes = {
        "input_size": 16,
        "filters": "4,8",
        "batch": 8,
        "epochs": 4,
        "learning_rate": 0.01,
        "zoom": 0,
        "shift": 0,
    }
    return change_recipe(named_recipe("resnet"), changes)
