"""Training on painted structures: images and the frames of volumes, from a frozen snapshot to a model."""

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.loading import WithNeighbours, prepare_images, prepare_masks
from core.datasets.records import Snapshot, list_snapshot_cases
from core.errors import InvalidInput
from core.evaluation.painting import paint
from core.evaluation.predictor import open_predictor
from core.images.records import get_cases
from core.images.render import InputSpec
from core.images.volumes import with_neighbours
from core.labels.mask_store import read_kept_mask
from core.labels.masks import put_mask
from core.labels.records import new_event
from core.progress import Silent
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.device import CPU
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import get_model, list_epochs
from core.training.request import request_training
from core.training.run import run_training
from core.training.stored import load_network
from tests.core.conftest import PaintedSquares

pytestmark = pytest.mark.usefixtures("no_onnx")


@pytest.fixture
def frozen(connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, actor: Actor) -> Snapshot:
    options: dict[str, Any] = {"ratios": (0.6, 0.3, 0.1), "folds": 2, "actor": actor, "progress": Silent()}
    return freeze_snapshot(connection, files, painted_squares.project, "first", **options)


@pytest.fixture
def recipe() -> Recipe:
    changes = {"input_size": 16, "filters": "8", "batch": 4, "epochs": 7, "learning_rate": 0.02, "shift": 0}
    return change_recipe(named_recipe("unet2d"), changes)


@pytest.fixture
def ask(connection: sqlite3.Connection, actor: Actor, painted_squares: PaintedSquares, frozen: Snapshot):
    """The number of a new run of a recipe."""

    def run(recipe: Recipe) -> int:
        return request_training(connection, painted_squares.project, frozen, recipe, actor=actor)[0].id

    return run


@pytest.fixture
def train(connection: sqlite3.Connection, files: Files, settings: Settings, tmp_path: Path):
    def run(number: int) -> dict[str, Any]:
        return run_training(connection, files, settings, number, tmp_path / str(number), CPU, Silent())

    return run


@pytest.mark.parametrize("spec", [InputSpec(24, 1, "pad"), InputSpec(8, 1, "stretch")])
def test_masks_are_prepared_row_on_row_with_their_frames(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, frozen: Snapshot, spec: InputSpec
) -> None:
    cases = list_snapshot_cases(connection, frozen.id)
    images = prepare_images(connection, files, cases, spec, Silent(), frames=True)
    masks = prepare_masks(connection, files, cases, spec, Silent())
    assert images.case_ids == masks.case_ids
    assert len(masks.case_ids) == 16 + 2 * 4
    for at in range(len(masks.case_ids)):
        image, mask = images.read([at])[0, ..., 0], masks.read([at])[0]
        assert set(np.unique(mask)) <= {0, 1}
        assert not mask[..., 1].any(), "the ghost is nowhere"
        if mask[..., 0].any():
            assert image[mask[..., 0] == 1].mean() > image[mask[..., 0] == 0].mean() + 40
        case = get_cases(connection, [masks.case_ids[at]])[0]
        share = painted_squares.masks[case.id].mean() if case.frames == 1 else None
        assert share is None or abs(mask[..., 0].mean() - share) < 0.06


def test_a_frozen_mask_is_what_training_reads_whatever_is_painted_later(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, frozen: Snapshot, actor: Actor
) -> None:
    case = painted_squares.cases[0]
    put_mask(connection, case, "square", np.ones((1, 16, 16), np.uint8), actor, event=new_event())
    (one,) = [one for one in list_snapshot_cases(connection, frozen.id) if one.case_id == case.id]
    assert not prepare_masks(connection, files, [one], InputSpec(16), Silent()).read([0]).any()
    assert not read_kept_mask(files, one.masks[0].mask_hash, case).any()


def test_a_u_net_learns_to_paint_and_goes_on_after_a_kill_as_if_nothing_was(
    connection: sqlite3.Connection, files: Files, frozen: Snapshot, ask: Any, train: Any, recipe: Recipe,
    checkpoint_of_epoch: Any, tmp_path: Path,
) -> None:  # fmt: skip
    cases = list_snapshot_cases(connection, frozen.id)
    needed = {mask.mask_hash for case in cases for mask in case.masks if case.split != "test"}
    tested = [case for case in cases if case.split == "test"]
    assert tested
    for case in tested:  # training never looks at them
        files.path("pixels", case.pixel_hash).unlink()
        for mask in case.masks:
            if mask.mask_hash not in needed:
                files.path("masks", mask.mask_hash).unlink()
    first, again = ask(recipe), ask(recipe)
    checkpoint_of_epoch(2, tmp_path / str(again))
    result = train(first)
    model = get_model(connection, None, result["model_id"])
    assert (model.name, model.task) == ("unet2d 1", "segmentation")
    assert [one["name"] for one in model.facts["structures"]] == ["square", "ghost"]
    epochs = list_epochs(connection, model.run)
    assert {"dice", "validation_dice", "validation_loss"} <= set(epochs[0])
    assert model.facts["validation"]["dice"] == epochs[result["best_epoch"] - 1]["validation_dice"]
    assert model.facts["validation"]["dice"] > 0.7
    assert model.calibration["thresholds"]["square"]["dice"] >= model.facts["validation"]["dice"]
    assert model.calibration["thresholds"]["ghost"]["value"] == 0.5
    assert model.calibration["exclusive"] is True, "the ghost is nowhere, so no pixel is of two structures"
    resumed = get_model(connection, None, train(again)["model_id"])
    assert [epoch["epoch"] for epoch in list_epochs(connection, again)] == [3, 4, 5, 6, 7]
    whole, after = (load_network(files, one).get_weights() for one in (model, resumed))
    assert all(np.array_equal(one, other) for one, other in zip(whole, after, strict=True))


def test_a_network_or_a_loss_of_another_task_is_refused_before_the_queue(ask: Any, recipe: Recipe) -> None:
    with pytest.raises(InvalidInput, match="does not learn segmentation; take unet2d"):
        ask(named_recipe("resnet"))
    with pytest.raises(InvalidInput, match="loss of a segmentation"):
        ask(change_recipe(recipe, {"loss": "focal"}))


def test_neighbours_are_those_of_the_own_volume_and_a_model_paints_with_them(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, frozen: Snapshot, ask: Any,
    train: Any, recipe: Recipe,
) -> None:  # fmt: skip
    cases, spec = list_snapshot_cases(connection, frozen.id), InputSpec(16, 1, "pad", neighbours=1)
    images = prepare_images(connection, files, cases, spec, Silent(), frames=True)
    shown = WithNeighbours(images, 1).read(np.arange(len(images.case_ids)))
    assert shown.shape == (24, *spec.shape) == (24, 16, 16, 3)
    for case_id in set(images.case_ids):
        rows = np.flatnonzero(np.array(images.case_ids) == case_id)
        whole = with_neighbours(images.read(rows), 1)
        assert np.array_equal(shown[rows], whole)
        assert np.array_equal(whole[0, ..., 0], whole[0, ..., 1])
        assert np.array_equal(whole[1:, ..., 0], whole[:-1, ..., 1])
        assert np.array_equal(whole[:-1, ..., 2], whole[1:, ..., 1])
    model = get_model(connection, None, train(ask(change_recipe(recipe, {"neighbours": 1, "epochs": 1})))["model_id"])
    seen = {"size": 16, "channels": 1, "resize": "pad", "window": "as stored", "neighbours": 1}
    assert model.facts["input"] == seen
    volume = painted_squares.cases[16]
    painted = paint(open_predictor(files, model), files.read_array("pixels", volume.pixel_hash), volume)
    assert painted.masks["square"].shape == (4, 16, 16)
