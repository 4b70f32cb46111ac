"""Images moved for test-time augmentation: where things go, and that they come back."""

from dataclasses import replace

import numpy as np
import pytest

from core.training.ensemble import views_of
from core.training.recipe import Recipe
from core.training.views import answer_views, move

STILL = {"right": 0.0, "down": 0.0, "turn": 0.0, "mirrored": 0.0, "inverted": 0.0}


def spot(row: int, column: int) -> np.ndarray:
    image = np.zeros((1, 20, 20, 1), np.uint8)
    image[0, row, column] = 200
    return image


def place(image: np.ndarray) -> tuple[int, int]:
    return tuple(int(at) for at in np.unravel_index(image[0, ..., 0].argmax(), (20, 20)))


@pytest.mark.parametrize(
    ("view", "goes_to"),
    [
        ({}, (5, 12)),
        ({"right": 0.1}, (5, 14)),
        ({"down": 0.1}, (7, 12)),
        ({"mirrored": 1.0}, (5, 7)),
        ({"inverted": 1.0}, (14, 12)),
        ({"turn": 90.0}, (12, 14)),
    ],
)
def test_a_spot_goes_where_a_view_says_and_comes_back(view: dict, goes_to: tuple[int, int]) -> None:
    moved = move(spot(5, 12), {**STILL, **view})
    assert place(moved) == goes_to
    assert place(move(moved, {**STILL, **view}, back=True)) == (5, 12)


def test_what_is_painted_is_moved_back_before_it_is_averaged() -> None:
    views = views_of(Recipe(shift=0.2, rotation=20, flip="both"))
    assert len(views) == 9
    painted = answer_views(lambda images: images.astype(np.float32), views, paints=True)(spot(8, 11))
    assert place(painted) == (8, 11)
    assert painted[0, 8, 11, 0] > 100


def test_views_stay_within_what_training_did() -> None:
    assert views_of(Recipe(shift=0, rotation=0, zoom=0.5)) == [STILL]
    for view in views_of(replace(Recipe(), shift=0.1, rotation=8)):
        assert abs(view["right"]) <= 0.1
        assert abs(view["turn"]) <= 8
        assert not view["mirrored"] + view["inverted"]
    assert sum(view["mirrored"] for view in views_of(Recipe(flip="left-right"))) == 1


def test_of_a_volume_every_frame_is_moved_alike() -> None:
    frames = np.random.default_rng(0).random((3, 9, 9, 1)).astype(np.float32)
    view = {"right": 0.1, "down": 0.0, "turn": 5.0, "mirrored": 1.0, "inverted": 0.0}
    assert np.array_equal(move(frames[np.newaxis], view)[0], move(frames, view))
