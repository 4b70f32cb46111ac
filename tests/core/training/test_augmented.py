"""The picture of augmented images: what stands in it, and when it is the same one."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.errors import CoreError
from core.images.render import InputSpec, model_input
from core.jobs.asking_trials import ask_samples
from core.jobs.bodies import augmented as body
from core.labels.masks import put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import add_project
from core.projects.schema import make_classification, make_segmentation
from core.training.augmentation import augment
from core.training.augmented import (
    CASES,
    GAP_PX,
    TIMES,
    describe_samples,
    draw_samples,
    make_samples,
    read_samples,
    samples_key,
    why_mirrored,
)
from core.training.mixing import draw_mixture, mix_images
from core.training.recipe import change_recipe, named_recipe


def tile(picture: np.ndarray, row: int, column: int, side: int) -> np.ndarray:
    top, left = row * (side + GAP_PX) + GAP_PX, column * (side + GAP_PX) + GAP_PX
    return picture[top : top + side, left : left + side]


def test_a_job_draws_training_images_and_each_again_as_a_step_would_see_it(
    connection, files, planted, small_recipe, actor
) -> None:
    job = ask_samples(connection, files, planted.project, planted.snapshot, small_recipe, actor=actor)
    context: Any = SimpleNamespace(connection=connection, files=files, job=job, progress=Silent())
    key = body.run(context)["samples"]
    content = read_samples(files, key)
    assert content is not None
    picture = np.asarray(Image.open(io.BytesIO(content)))
    side = 8 * 16  # small images are enlarged
    assert picture.shape == (CASES * (side + GAP_PX), (1 + TIMES) * (side + GAP_PX), 3)
    entering = np.stack([tile(picture, row, 0, side)[::8, ::8, :1] for row in range(CASES)])
    hashes = [case.pixel_hash for case in list_snapshot_cases(connection, planted.snapshot.id, split="train")]
    stored = [files.read_array("pixels", one) for one in hashes]
    training = [model_input(pixels, "MONOCHROME2", (), InputSpec(16)) for pixels in stored]
    assert all(any(np.array_equal(shown, one) for one in training) for shown in entering)
    augmented = np.stack([tile(picture, row, 2, side)[::8, ::8, :1] for row in range(CASES)])
    assert np.array_equal(augmented, augment(tf.constant(entering), tf.constant([0, 1]), small_recipe))
    assert not np.array_equal(augmented, entering)


def test_masks_move_with_their_images(recipe_that_turns) -> None:
    image = np.zeros((1, 64, 64, 1), np.uint8)
    image[0, 10:30, 20:50] = 200
    picture = draw_samples(image, (image > 0).astype(np.uint8), recipe_that_turns, ["#ff0000"])
    for column in range(1 + TIMES):
        seen = tile(picture, 0, column, 128)
        line = (seen == [255, 0, 0]).all(axis=2)
        inside = seen[..., 2] > 100
        assert line.sum() > 50
        # Around what is bright runs the line: bright pixels end within a pixel or two of it.
        rows, columns = np.nonzero(line)
        bright_rows, bright_columns = np.nonzero(inside)
        assert abs(int(rows.min()) - int(bright_rows.min())) <= 3
        assert abs(int(columns.max()) - int(bright_columns.max())) <= 3


@pytest.fixture
def recipe_that_turns():
    return change_recipe(named_recipe("unet2d"), {"rotation": 30, "zoom": 0.2, "shift": 0.1, "noise": 0, "contrast": 0})


def test_what_mixup_blends_is_shown_blended_as_a_step_would_see_it(small_recipe) -> None:
    recipe = change_recipe(small_recipe, {"mixup": 0.4})
    images = np.random.default_rng(0).integers(0, 256, (CASES, 128, 128, 1), np.uint8)
    picture, plain = (draw_samples(images, None, one, []) for one in (recipe, small_recipe))
    for time in range(TIMES):
        seed = tf.constant([recipe.seed, time])
        moved = augment(tf.constant(images), seed, recipe)
        expected = mix_images(moved, *draw_mixture(seed, CASES, recipe.mixup)).numpy()  # the step of `Learner`
        shown = np.stack([tile(picture, row, 1 + time, 128)[..., :1] for row in range(CASES)])
        assert np.array_equal(shown, expected)
    assert not np.array_equal(picture, plain)
    assert np.array_equal(tile(picture, 0, 0, 128), tile(plain, 0, 0, 128)), "as it enters the network none is blended"


def test_of_painted_images_that_are_blended_both_masks_are_outlined() -> None:
    still = {"rotation": 0, "zoom": 0, "shift": 0, "noise": 0, "contrast": 0, "mixup": 0.4}
    recipe = change_recipe(named_recipe("unet2d"), still)
    masks = np.zeros((CASES, 64, 64, 1), np.uint8)
    for at in range(CASES):
        masks[at, 8 + 12 * at : 16 + 12 * at, 20:40] = 1
    picture = draw_samples(masks * 200, masks, recipe, ["#ff0000"])
    rows = [
        sum((tile(picture, row, 1, 128) == [255, 0, 0]).all(axis=2)[16 + 24 * at].any() for at in range(CASES))
        for row in range(CASES)
    ]
    partner = draw_mixture(tf.constant([recipe.seed, 0]), CASES, recipe.mixup)[1].numpy()
    assert rows == [1 if other == at else 2 for at, other in enumerate(partner)]
    assert 2 in rows


def test_that_images_are_blended_is_said_under_the_picture(small_recipe) -> None:
    assert describe_samples(small_recipe) == why_mirrored(small_recipe)
    assert "Mixup blends each with another" in describe_samples(change_recipe(small_recipe, {"mixup": 0.4}))


def test_painted_cases_are_shown_where_most_is_painted(connection, files, painted_squares, actor) -> None:
    options: dict[str, Any] = {"ratios": (0.6, 0.3, 0.1), "actor": actor, "progress": Silent()}
    frozen = freeze_snapshot(connection, files, painted_squares.project, "first", **options)
    recipe = change_recipe(named_recipe("unet2d"), {"input_size": 16, "rotation": 0, "zoom": 0, "shift": 0})
    picture = np.load(files.path("prepared", make_samples(connection, files, frozen, recipe, None, Silent())))
    red = tuple(int(frozen.schema.structures[0].colour[at : at + 2], 16) for at in (1, 3, 5))
    outlined = [(tile(picture, row, 0, 128) == red).all(axis=2).any() for row in range(CASES)]
    assert sum(outlined) >= 2  # half of the cases have a square, and answers are shown in turn


@pytest.mark.parametrize("network", ["unet3d", "cnn3d"])
def test_of_volumes_one_frame_is_shown_of_each_moved_as_a_whole(
    connection, files, project, make_case, actor, network
) -> None:
    ensure_user(connection, actor.name)
    painted = network == "unet3d"
    schema = make_segmentation(["ball"]) if painted else make_classification(["left", "right"])
    made = add_project(
        connection, name="Balls", task="segmentation" if painted else "classification", schema=schema, actor=actor
    )
    random = np.random.default_rng(0)
    for at in range(12):
        z, y, x = np.mgrid[:12, :24, :24]
        ball = (z - 6) ** 2 + (y - 8) ** 2 + (x - (6 if at % 2 else 18)) ** 2 <= 16
        known = {"frames": 12, "spacing_mm": (1.0, 1.0), "slice_spacing_mm": 2.0}
        case = make_case(
            f"{at}.nii", pixels=(random.integers(0, 30, ball.shape) + 200 * ball).astype(np.uint8), into=made, **known
        )
        if painted:
            put_mask(connection, case, "ball", ball.astype(np.uint8), actor, event=new_event())
        said = {"structures": ["ball"]} if painted else {"classes": ["left" if at % 2 else "right"]}
        add_label(connection, NewLabel(new_event(), case.id, actor.name, said), actor)
    frozen = freeze_snapshot(connection, files, made, "first", ratios=(0.5, 0.25, 0.25), actor=actor, progress=Silent())
    shape = {"patch_size": "8,16,16"} if painted else {"input_depth": 12, "input_size": 24}
    changes = {**shape, "rotation": 25, "shift": 0.1, "noise": 0, "contrast": 0}
    recipe = change_recipe(named_recipe(network), changes)
    job = ask_samples(connection, files, made, frozen, recipe, actor=actor)
    context: Any = SimpleNamespace(connection=connection, files=files, job=job, progress=Silent())
    key = body.run(context)["samples"]
    assert key == samples_key(frozen, recipe, None)
    picture = np.load(files.path("prepared", key))
    side = 128 if painted else 6 * 24
    assert picture.shape == (CASES * (side + GAP_PX), (1 + TIMES) * (side + GAP_PX), 3)
    colour = [int(frozen.schema.structures[0].colour[at : at + 2], 16) for at in (1, 3, 5)] if painted else None
    for row in range(CASES):
        tiles = [tile(picture, row, column, side) for column in range(1 + TIMES)]
        assert all((one[..., 2] > 150).any() for one in tiles), "the ball is on each frame that is shown"
        assert sum(not np.array_equal(one, tiles[0]) for one in tiles) == TIMES
        for one in tiles if painted else ():
            lines = np.argwhere((one == colour).all(axis=2))
            bright = np.argwhere(one.min(axis=2) > 150)
            assert np.abs(lines.mean(axis=0) - bright.mean(axis=0)).max() < 10, "the outline moves with the ball"


def test_only_what_changes_the_images_makes_another_picture(planted, small_recipe) -> None:
    def key(changes: dict[str, Any], fold: int | None = None) -> str:
        return samples_key(planted.snapshot, change_recipe(small_recipe, changes), fold)

    assert key({}) == key({"epochs": 9, "learning_rate": 0.5})
    others = [key({}, 1), *(key({name: value}) for name, value in
                            (("rotation", 20), ("seed", 1), ("input_size", 32), ("mixup", 0.4)))]  # fmt: skip
    assert len({key({}), *others}) == 6


def test_asked_again_the_picture_that_is_there_is_shown(connection, files, planted, small_recipe, actor) -> None:
    def ask() -> int:
        return ask_samples(connection, files, planted.project, planted.snapshot, small_recipe, actor=actor).id

    assert ask() == ask()


def test_a_fold_that_is_not_there_is_refused(connection, files, planted, small_recipe, actor) -> None:
    with pytest.raises(CoreError, match="fold"):
        ask_samples(connection, files, planted.project, planted.snapshot, small_recipe, fold=7, actor=actor)


def test_why_images_are_not_mirrored_is_said_and_what_mirroring_costs(small_recipe) -> None:
    assert "not mirrored" in why_mirrored(small_recipe)
    assert "heart" in why_mirrored(change_recipe(small_recipe, {"flip": "both"}))
