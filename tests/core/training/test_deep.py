"""Answers at lower resolutions, asked for while a network learns and never stored."""

import sqlite3
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from core.datasets.freeze import freeze_snapshot
from core.errors import InvalidInput
from core.progress import Silent
from core.projects.schema import make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training import onnx_child
from core.training.batches import Plan
from core.training.deep import halved_shares, pool_masks
from core.training.device import CPU
from core.training.networks import build_network, deep_layers
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import get_model, list_epochs
from core.training.request import request_training
from core.training.run import run_training
from core.training.steps import Learner
from core.training.stored import load_network
from tests.core.conftest import PaintedSquares

PAINTED, ONES = make_segmentation(["a", "b"]), np.ones((2, 2), np.float32)
CHANGES = {
    "unet2d": {"input_size": 16, "filters": "3,4,5,6", "batch": 2},
    "unet3d": {"patch_size": "5,16,16", "filters": "3,4,5,6", "batch": 2},
}


def deep(name: str, answers: int = 2, **changes: object) -> Recipe:
    still = {"rotation": 0, "zoom": 0, "shift": 0, "contrast": 0, "noise": 0, "dropout": 0, "warm_up": 0, "ema": 0}
    return change_recipe(named_recipe(name), CHANGES[name] | still | {"deep_supervision": answers, **changes})


def learner_of(recipe: Recipe) -> Learner:
    keras.utils.set_random_seed(recipe.seed)
    return Learner(build_network(recipe, PAINTED, ONES), recipe, PAINTED, Plan(2, 30, 1), ONES)


def chunk(recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """Two images whose bright part is one structure and whose dark part the other."""
    shape = (recipe.input_size,) * 2 if recipe.network == "unet2d" else recipe.patch_size
    first = np.zeros((1, 2, *shape), np.uint8)
    first[:, 0, ..., : shape[-1] // 2] = 1
    first[:, 1, ..., : shape[-1] // 4] = 1
    return first[..., np.newaxis] * np.uint8(200), np.stack([first, 1 - first], axis=-1)


@pytest.mark.parametrize("name", CHANGES)
def test_a_step_asks_at_halved_sizes_and_the_network_itself_has_one_answer_as_before(name: str) -> None:
    recipe = deep(name)
    learner, plain = learner_of(recipe), learner_of(change_recipe(recipe, {"deep_supervision": 0}))
    told = [tuple(one.shape[1:]) for one in learner._learning(tf.constant(chunk(recipe)[0][0]), training=False)]
    sizes = {"unet2d": [(16, 16, 2), (8, 8, 2), (4, 4, 2)], "unet3d": [(5, 16, 16, 2), (5, 8, 8, 2), (5, 4, 4, 2)]}
    assert told == sizes[name]
    assert learner.network.output_names == ["probabilities"]
    assert learner.network.count_params() == plain.network.count_params()
    same = zip(learner.network.get_weights(), plain.network.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in same), "it begins from the same weights"
    assert len(learner.state) == len(plain.state) + 4, "a kernel and a bias of each lower answer go into checkpoints"


def test_the_loss_falls_at_every_resolution_and_the_same_seed_gives_the_same_weights() -> None:
    recipe = deep("unet3d", learning_rate=0.01, schedule="constant")
    images, masks = chunk(recipe)

    def lower_losses(learner: Learner) -> list[float]:
        _, *lower = learner._learning(tf.constant(images[0]), training=False)
        wanted = [pool_masks(masks[0], raw.shape[1:-1]) for raw in lower]
        pairs = zip(wanted, lower, strict=True)
        return [float(tf.reduce_mean(learner.loss.of_case(one, raw, ONES, 0.0))) for one, raw in pairs]

    def train() -> tuple[Learner, list[float]]:
        learner, losses = learner_of(recipe), list[float]()
        for step in range(30):
            learner.begin_epoch()
            learner.train(images, masks, np.array([[0, step]], np.int32))
            losses.append(learner.read_sums()[0])
        return learner, losses

    before = lower_losses(learner_of(recipe))
    first, losses = train()
    assert losses[-1] < 0.5 * losses[0]
    assert all(after < one for after, one in zip(lower_losses(first), before, strict=True))
    again, _ = train()
    same = zip([*first.network.get_weights(), *first.state], [*again.network.get_weights(), *again.state], strict=True)
    assert all(np.array_equal(one, other) for one, other in same)


def test_each_lower_answer_counts_half_as_much_and_masks_become_shares() -> None:
    assert halved_shares(1) == [1.0]
    assert halved_shares(3) == pytest.approx([4 / 7, 2 / 7, 1 / 7])
    masks = np.random.default_rng(0).integers(0, 2, (2, 4, 6, 8, 3), np.uint8)
    pooled = pool_masks(masks, (4, 3, 2)).numpy()
    assert pooled.shape == (2, 4, 3, 2, 3)
    assert np.allclose(pooled, masks.reshape(2, 4, 3, 2, 2, 4, 3).mean(axis=(3, 5)))
    flat = pool_masks(masks[:, 0], (2, 2)).numpy()
    assert np.allclose(flat, masks[:, 0].reshape(2, 2, 3, 2, 4, 3).mean(axis=(2, 4)))


def test_it_is_off_unless_asked_for_and_no_coarser_than_the_way_up() -> None:
    for name in CHANGES:
        assert deep_layers(named_recipe(name)) == ()
        assert deep_layers(deep(name)) == ("up_2", "up_3")
        with pytest.raises(InvalidInput, match=r"at most 2\. Received: 3 of 4 stages"):
            deep(name, 3)
    assert deep_layers(change_recipe(named_recipe("resnet"), {"deep_supervision": 3})) == (), "others do not read it"


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # of the exporter itself
def test_a_run_goes_on_after_a_kill_and_its_model_and_onnx_file_have_one_output(
    connection: sqlite3.Connection, files: Files, settings: Settings, painted_squares: PaintedSquares, actor: Actor,
    tmp_path: Path, no_onnx: None, checkpoint_of_epoch: Any,
) -> None:  # fmt: skip
    options: dict[str, Any] = {"ratios": (0.6, 0.3, 0.1), "actor": actor, "progress": Silent()}
    snapshot = freeze_snapshot(connection, files, painted_squares.project, "first", **options)
    recipe = deep("unet2d", 1, filters="3,4,5", batch=4, epochs=3, ema=0.9)
    first, again = (
        request_training(connection, painted_squares.project, snapshot, recipe, actor=actor)[0].id for _ in range(2)
    )
    checkpoint_of_epoch(2, tmp_path / str(again))
    run, resumed = (
        run_training(connection, files, settings, number, tmp_path / str(number), CPU, Silent())
        for number in (first, again)
    )
    assert [epoch["epoch"] for epoch in list_epochs(connection, again)] == [3]
    whole, after = (load_network(files, get_model(connection, None, one["model_id"])) for one in (run, resumed))
    same = zip(whole.get_weights(), after.get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in same)
    assert whole.output_names == ["probabilities"]
    assert whole.output_shape == (None, 16, 16, 2)
    whole.save(tmp_path / "model.keras")
    assert onnx_child.export(tmp_path / "model.keras", tmp_path / "model.onnx") < 1e-4
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert len(session.get_outputs()) == 1
