"""A network learns to draw: the same loop, the same promises, and files that say what they are."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.errors import CoreError, InvalidInput
from core.jobs.asking_series import ask_series
from core.progress import Silent
from core.projects.schema import make_generation
from core.tasks.generation import DRAWER, RAW
from core.training.batches import Examples
from core.training.callbacks import KeepBestWeights, Quiet
from core.training.checkpoint import restore_checkpoint, save_checkpoint
from core.training.device import CPU
from core.training.drawing import KeepSamples
from core.training.drawn import Wanted, check_wanted, conditions_of, draw_with
from core.training.fit import Fit, fit_network
from core.training.networks import build_network, diffusion
from core.training.recipe import change_recipe, named_recipe
from core.training.recipe_fields import field_of
from core.training.records import get_model, get_run, list_epochs
from core.training.request import request_training
from core.training.run import build_fit, gather_material, run_training
from core.training.samples import list_samples, png_of, read_rows, sample_path
from core.training.sources import settle_sources
from core.training.starting import read_learnt, take_over
from core.training.stored import load_network

SIDE = 16
SMALL = {"input_size": SIDE, "filters": "8", "batch": 4, "epochs": 2, "learning_rate": 0.01, "ema": 0.5}


@pytest.fixture
def train(connection, files, settings, actor, sides, tmp_path: Path) -> Any:
    def run(network: str = "vae", *, folder: str = "job", progress: Any = None, **changes: Any) -> dict[str, Any]:
        recipe = change_recipe(named_recipe(network), {**SMALL, **changes})
        made, _ = request_training(connection, *sides, recipe, actor=actor)
        return run_training(connection, files, settings, made.id, tmp_path / folder, CPU, progress or Silent())

    return run


NEVER_SHOWN = [
    (Wanted("grey"), 1, "draws left, right"),
    (Wanted("left", "M"), 1, "no image of this sex; take F"),
    (Wanted("left", "F", 90.0), 1, "shown ages from"),
    (Wanted("left"), 0, "Draw 1 to"),
]


class SaveAfterTheFirst(Quiet):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def after_epoch(self, fit: Fit, facts: dict[str, Any]) -> None:
        if fit.epoch == 1:
            save_checkpoint(self._folder, fit, "recipe")


def test_a_model_draws_what_it_was_shown_and_says_so(connection, files, train, tmp_path) -> None:
    result = train(epochs=20)
    model = get_model(connection, None, result["model_id"])
    assert model.facts["calibration"]["shown"]["classes"] == {"left": 12, "right": 12}
    assert model.facts["calibration"]["shown"]["sex"] == {"F": 12, "M": 0}
    asked = [Wanted("left"), Wanted("right", "F", 30.0)] * 4
    images = draw_with(connection, files, model, conditions_of(model, asked), Silent(), seed=3)
    assert images.shape == (8, SIDE, SIDE, 1)
    assert images.dtype == np.uint8
    shift = images[:, :, SIDE // 2 :].mean(axis=(1, 2, 3)) - images[:, :, : SIDE // 2].mean(axis=(1, 2, 3))
    assert shift[1::2].mean() > 60
    assert shift[::2].mean() < -60
    again = draw_with(connection, files, model, conditions_of(model, asked[:3]), Silent(), seed=3)
    np.testing.assert_array_equal(images[:3], again)
    assert (images[2] != draw_with(connection, files, model, conditions_of(model, asked[:1]), Silent(), seed=4)).any()
    assert len(list_samples(tmp_path / "job")) == 20
    assert {"validation_drawing_error", "validation_kl"} <= set(list_epochs(connection, result["run"])[0])
    gap = model.facts["gap"]
    assert (gap["metric"], gap["training"]["cases"], gap["validation"]["cases"]) == ("drawing_error", 24, 12)
    assert gap["validation"]["value"] == pytest.approx(model.facts["validation"]["drawing_error"], rel=1e-4)
    assert gap["gap"] == pytest.approx(gap["validation"]["value"] / gap["training"]["value"] - 1)
    assert model.facts["advice"]["sentence"] == "Whether it overfits cannot be told from 12 validation patients."
    for wanted, n, sentence in NEVER_SHOWN:
        with pytest.raises(InvalidInput, match=sentence):
            check_wanted(model, wanted, n)
    marked = Image.open(io.BytesIO(png_of(images[0], {"Model": "größer"})))
    assert marked.text["Synthetic"].startswith("synthetic")
    assert Image.open(list_samples(tmp_path / "job")[0]).text["Synthetic"].startswith("synthetic")
    assert read_rows(list_samples(tmp_path / "job")[0].read_bytes()) == "left, right"


def test_a_diffusion_goes_on_from_its_checkpoint_to_the_same_weights(
    connection, files, sides, tmp_path, monkeypatch
) -> None:
    """Chance is the step's seed and nothing else: an epoch that is trained again is the same to the bit."""
    monkeypatch.setattr(diffusion, "STEPS", 3)
    changes = {**SMALL, "filters": "4", "batch": 12, "epochs": 2}
    recipe = change_recipe(named_recipe("diffusion"), changes)
    material = gather_material(connection, files, sides[1], recipe, None, Silent(), checked=True)
    fit = build_fit(recipe, sides[1], material, "float32")
    samples = KeepSamples(tmp_path, material.validation, ("normal", "pneumonia"))
    callbacks = [KeepBestWeights(), samples, SaveAfterTheFirst(tmp_path)]
    fit_network(fit, material.train, material.validation, callbacks)
    weights, drawn = fit.learner.network.get_weights(), sample_path(tmp_path, 2).read_bytes()
    assert restore_checkpoint(tmp_path, fit, "recipe")
    assert fit.epoch == 1
    assert any(not np.array_equal(*pair) for pair in zip(fit.learner.network.get_weights(), weights, strict=True))
    fit_network(fit, material.train, material.validation, callbacks)
    assert all(np.array_equal(*pair) for pair in zip(fit.learner.network.get_weights(), weights, strict=True))
    assert sample_path(tmp_path, 2).read_bytes() == drawn
    loss, conditions, parts = fit.learner.judge(material.validation)
    assert parts.shape == (12, 1)
    assert loss == pytest.approx(parts.mean(), rel=1e-5)
    assert conditions.shape == (12, 6)


def test_the_grid_of_an_epoch_shows_the_first_classes_that_validation_has(tmp_path) -> None:
    conditions = np.zeros((2, 12), np.float32)
    conditions[:, 7] = 1  # beyond the rows that a grid has
    samples = KeepSamples(tmp_path, Examples(None, np.arange(2), conditions), tuple("abcdefgh"))
    assert samples._rows == ["h"]
    assert samples._conditions.shape == (8, 12)


def test_blending_is_refused() -> None:
    with pytest.raises(InvalidInput, match="mixup"):
        change_recipe(named_recipe("vae"), {"mixup": 0.2})


def test_sizes_meet_again_on_the_way_back() -> None:
    with pytest.raises(CoreError, match="that 8 divides"):
        change_recipe(named_recipe("vae"), {"input_size": 28})


@pytest.mark.parametrize("network", ["vae", "diffusion"])
def test_a_model_that_draws_is_taken_further(connection, files, actor, sides, train, network, tmp_path) -> None:
    """What draws begins where the earlier model ended, to the bit."""
    first = get_model(connection, None, train(network, folder="first", epochs=3)["model_id"])
    further = train(network, folder="further", epochs=1, start_from=first.name, ema=0)
    run = get_run(connection, further["run"])
    assert f"It begins from model {first.name} and" in str(run.told)
    assert ("begins anew" in str(run.told)) == (network == "vae")
    before, after = (list_epochs(connection, one)[0]["validation_drawing_error"] for one in (first.run, run.id))
    assert after < before
    [learnt] = read_learnt(files, run.recipe, run.told["sources"], Silent())
    fresh = build_network(run.recipe, make_generation(["left", "right"]), np.ones((2, 2), np.float32))
    take_over(fresh, learnt, RAW)
    wanted = load_network(files, first).get_weights()
    assert all(map(np.array_equal, fresh.get_layer(DRAWER).get_weights(), wanted))
    # The same by its file, which goes through the same looks as one of others, and through the child.
    (tmp_path / "theirs.keras").write_bytes(files.read_bytes("models", first.keras_hash))
    recipe = change_recipe(run.recipe, {"start_from": str(tmp_path / "theirs.keras")})
    settled, sources = settle_sources(connection, files, sides[1], recipe, {}, actor)
    [learnt] = read_learnt(files, settled, sources, Silent())
    empty = build_network(settled, make_generation(["left", "right"]), np.ones((2, 2), np.float32))
    take_over(empty, learnt, RAW)
    assert all(map(np.array_equal, empty.get_layer(DRAWER).get_weights(), wanted))


def test_what_draws_is_taken_further_only_with_its_own_classes_and_as_a_whole(
    connection, files, actor, sides, train
) -> None:
    """Refused before the queue: its classes are asked for in every layer."""
    first = get_model(connection, None, train(folder="first", epochs=1)["model_id"])
    _, snapshot = sides
    other = replace(snapshot, schema=make_generation(["left", "right", "both"]))
    recipe = change_recipe(named_recipe("vae"), {**SMALL, "start_from": first.name})
    with pytest.raises(InvalidInput, match=r"only .* with its own classes.*Received: left, right, both for"):
        settle_sources(connection, files, other, recipe, {}, actor)
    with pytest.raises(InvalidInput, match="input_size=16"):
        settle_sources(connection, files, snapshot, change_recipe(recipe, {"input_size": 32}), {}, actor)
    for network in ("vae", "diffusion"):
        with pytest.raises(InvalidInput, match="no last layer"):
            change_recipe(named_recipe(network), {"start_from": "first", "freeze_epochs": 1})
        assert not field_of("freeze_epochs").is_read(network, "generation")


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("network", ["vae", "diffusion"])
def test_networks_that_draw_are_there_for_32_to_128_pixels(network: str, side: int) -> None:
    """As their recipes come: the loss of an image is a number, and what is drawn has the size that was asked for."""
    recipe = change_recipe(named_recipe(network), {"input_size": side})
    whole = build_network(recipe, make_generation(["left", "right"]), np.ones((2, 2), np.float32))
    random = np.random.default_rng(0)
    shown = [random.integers(0, 256, (1, *whole.inputs[0].shape[1:]), np.uint8), np.eye(1, 6, dtype=np.float32)]
    shown += [random.random((1, *chance.shape[1:]), np.float32) for chance in whole.inputs[2:]]
    assert np.isfinite(np.asarray(whole(shown))).all()
    drawer = whole.get_layer(DRAWER)
    assert drawer.output.shape[1:] == (side, side, 1)
    assert whole.inputs[0].shape[1:] == (side, side, 1)


def test_seeds_of_what_draws_are_not_asked_to_become_one_model(connection, files, sides, actor) -> None:
    recipe = change_recipe(named_recipe("vae"), SMALL)
    options: dict[str, Any] = {"folds": [None], "seeds": 2, "actor": actor}
    with pytest.raises(InvalidInput, match="no answers to take the mean of"):
        ask_series(connection, files, *sides[:2], lambda _: (recipe, None), ensemble="mean", **options)
    assert len(ask_series(connection, files, *sides[:2], lambda _: (recipe, None), **options)) == 2
