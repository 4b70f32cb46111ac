"""What is found before the first step, and that finding it changes nothing."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from core.datasets.freeze import freeze_snapshot
from core.datasets.leaks import Leak
from core.datasets.records import list_snapshot_cases
from core.datasets.room import bytes_to_prepare
from core.datasets.splits import SPLITS
from core.progress import Silent
from core.projects.schema import make_generation
from core.training import preflight
from core.training import run as run_module
from core.training.device import CPU
from core.training.networks import build_network, input_of
from core.training.preflight import (
    PreflightFailed,
    Trial,
    check_pixels,
    check_room,
    duration,
    estimate_judging,
    estimate_seconds,
    expected_memory,
    fit_into_memory,
    look_at_splits,
    try_steps,
)
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import get_model, get_run, list_runs
from core.training.request import request_training, training_cases
from core.training.run import gather_material, run_training

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def _no_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "make_onnx", lambda *_: (None, "left out in this test"))


def damage(files: Any, pixel_hash: str) -> None:
    path = files.path("pixels", pixel_hash)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(bytes(content))


def test_altered_pixels_are_refused_by_the_case_with_a_way_out(connection, files, planted) -> None:
    cases = list_snapshot_cases(connection, planted.snapshot.id, split="train")
    check_pixels(connection, files, cases)
    damage(files, cases[3].pixel_hash)
    with pytest.raises(
        PreflightFailed, match=rf"^Case {cases[3].case_id} has pixels on disk.*1 of 24 cases"
    ) as refusal:
        check_pixels(connection, files, cases)
    assert "backup" in refusal.value.remedy
    files.path("pixels", cases[5].pixel_hash).unlink()
    with pytest.raises(PreflightFailed, match=r"Cases .* have pixels"):
        check_pixels(connection, files, cases)


def test_pixels_replaced_since_the_snapshot_are_refused(connection, files, planted) -> None:
    case = list_snapshot_cases(connection, planted.snapshot.id, split="train")[0]
    connection.execute("UPDATE cases SET pixel_hash = ? WHERE id = ?", ("0" * 64, case.case_id))
    with pytest.raises(PreflightFailed, match=f"Case {case.case_id} has other pixels") as refusal:
        check_pixels(connection, files, [case])
    assert refusal.value.remedy == "Freeze a new snapshot and train on that."


def test_a_run_finds_altered_pixels_although_its_images_were_prepared_before(
    connection, files, settings, planted, actor, small_recipe, tmp_path
) -> None:
    quick = change_recipe(small_recipe, {"epochs": 1})
    first, _ = request_training(connection, planted.project, planted.snapshot, quick, actor=actor)
    result = run_training(connection, files, settings, first.id, tmp_path / "a", CPU, Silent())
    found = get_run(connection, first.id).told["preflight"]
    assert found["batch"] == 8
    assert found["seconds_a_step"] > 0
    assert found["estimated_seconds"] > 0
    assert get_model(connection, None, result["model_id"]).facts["preflight"] == found
    case = list_snapshot_cases(connection, planted.snapshot.id, split="validation")[0]
    damage(files, case.pixel_hash)
    second, _ = request_training(connection, planted.project, planted.snapshot, quick, actor=actor)
    with pytest.raises(PreflightFailed, match=f"Case {case.case_id} "):
        run_training(connection, files, settings, second.id, tmp_path / "b", CPU, Silent())


def test_a_full_disk_is_said_before_the_first_step(tmp_path: Path) -> None:
    check_room(tmp_path, 1000)
    with pytest.raises(PreflightFailed, match="GB free") as refusal:
        check_room(tmp_path, 10**15)
    assert "Make room" in refusal.value.remedy


class Fitted:
    """A fit that only knows how much its trial took: as many megabytes as its batch has images, a hundred each."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        layer = SimpleNamespace(output=np.zeros((1, 1)))
        self.learner = SimpleNamespace(network=SimpleNamespace(layers=[layer]))


@pytest.mark.parametrize("exhausted", [False, True])
def test_the_batch_is_halved_until_it_fits(monkeypatch: pytest.MonkeyPatch, exhausted: bool) -> None:
    def trial(fit: Any, _: Any) -> Trial:
        if exhausted and fit.recipe.batch > 10:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM")
        return Trial(0.1, fit.recipe.batch * 100 * MEGABYTE)

    monkeypatch.setattr(preflight, "try_steps", trial)
    wanted = change_recipe(Recipe(), {"batch": 32})
    fit, found = fit_into_memory(Fitted, wanted, 500, lambda _: None, 1000 * MEGABYTE)
    assert fit.recipe.batch == 8
    assert found.memory_bytes == 800 * MEGABYTE
    with pytest.raises(PreflightFailed, match="Even a single image of this recipe") as refused:
        fit_into_memory(Fitted, Recipe(), 500, lambda _: None, 50 * MEGABYTE)
    assert refused.value.why
    assert "resume" in refused.value.remedy
    with pytest.raises(PreflightFailed, match="unet3d at patches of 32 x 64 x 64 voxels") as refused:
        fit_into_memory(Fitted, named_recipe("unet3d"), 500, lambda _: None, 50 * MEGABYTE)
    assert "a smaller patch size or network" in refused.value.remedy


@pytest.mark.parametrize(("devices", "batch"), [(2, 2), (3, 7), (2, 4096)])
def test_several_devices_have_an_image_each_or_it_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, devices: int, batch: int
) -> None:
    monkeypatch.setattr(preflight, "try_steps", lambda *_: Trial(0.1, 1000 * MEGABYTE))
    shared = change_recipe(Recipe(), {"devices": devices, "batch": batch})
    with pytest.raises(PreflightFailed, match="Even a single image a device of this recipe does not fit into memory"):
        fit_into_memory(Fitted, shared, 500, lambda _: None, 500 * MEGABYTE, devices=devices)


def test_one_device_halves_the_batch_of_a_recipe_for_eight_until_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a recipe of a large machine is repeated on a small one."""
    monkeypatch.setattr(preflight, "try_steps", lambda fit, _: Trial(0.1, fit.recipe.batch * 100 * MEGABYTE))
    shared = change_recipe(Recipe(), {"devices": 8, "batch": 8})
    fit, _ = fit_into_memory(Fitted, shared, 500, lambda _: None, 250 * MEGABYTE)
    assert (fit.recipe.batch, fit.recipe.devices) == (2, 2)
    with pytest.raises(PreflightFailed, match="Even a single image of this recipe"):
        fit_into_memory(Fitted, shared, 500, lambda _: None, 50 * MEGABYTE)


def test_a_network_whose_weights_do_not_fit_is_refused_before_it_is_built() -> None:
    large = change_recipe(Recipe(), {"filters": "1024,1024"})  # 55 million weights, four times 0.2 GB while learnt
    built: list[Recipe] = []
    with pytest.raises(PreflightFailed, match=r"does not fit into memory.* 0.6 GB while .* for 0.5 GB") as refused:
        fit_into_memory(built.append, large, 500, lambda _: None, 500 * MEGABYTE)
    assert not built
    assert "Make filters or kernel_size or blocks smaller" in refused.value.remedy
    assert "four of each" in refused.value.why


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")])
def test_a_network_for_which_the_system_gives_no_memory_does_not_fit(error: Exception) -> None:
    tried: list[int] = []

    def build(recipe: Recipe) -> Any:
        tried.append(recipe.batch)
        raise error

    with pytest.raises(PreflightFailed, match="does not fit into memory, whatever the batch") as refused:
        fit_into_memory(build, Recipe(), 500, lambda _: None, 1000 * MEGABYTE)
    assert tried == [32], "a smaller batch has as many weights"
    assert "gave no more memory" in refused.value.why
    assert "resume the job" in refused.value.remedy


def test_what_a_batch_takes_is_known_without_trying_it() -> None:
    layers = [SimpleNamespace(output=np.zeros((1, 4, 4, 2))), SimpleNamespace(output=np.zeros((1, 3)))]
    plain = SimpleNamespace(layers=layers)
    assert expected_memory(plain, 2) == 2 * (32 + 3) * 4 * 3
    assert expected_memory(SimpleNamespace(layers=[plain, layers[1]]), 2) == 2 * (32 + 3 + 3) * 4 * 3


@pytest.mark.parametrize(("name", "gigabytes"), [("diffusion", 3.0), ("vae", 0.8)])
def test_what_draws_is_measured_with_its_inner_network(name: str, gigabytes: float) -> None:
    recipe = change_recipe(named_recipe(name), {"input_size": 64, "batch": 64})
    network = build_network(recipe, make_generation(["a", "b"]), np.ones((2, 2)))
    assert expected_memory(network, 64) > gigabytes * 1e9
    inner = next(layer for layer in network.layers if layer.name == "drawer")
    assert expected_memory(network, 64) > expected_memory(inner, 64) > 0.5 * gigabytes * 1e9


def test_the_trial_leaves_every_variable_as_it_was() -> None:
    class Counting:
        def __init__(self) -> None:
            self.network = SimpleNamespace(variables=[tf.Variable([1.0, 2.0])])
            self.optimizer = SimpleNamespace(variables=[tf.Variable(3)])
            self.state = [tf.Variable(4.0)]
            self.calls = 0

        def train(self, *_: Any) -> None:
            self.calls += 1
            for variable in (*self.network.variables, *self.optimizer.variables, *self.state):
                variable.assign(variable * 2)

        def read_sums(self) -> None:
            pass

    learner = Counting()
    trial = try_steps(SimpleNamespace(learner=learner), [np.zeros((4, 1)), None])
    assert learner.calls == 2
    assert learner.network.variables[0].numpy().tolist() == [1.0, 2.0]
    assert (int(learner.optimizer.variables[0]), float(learner.state[0])) == (3, 4.0)
    assert trial.seconds_a_step >= 0


def test_the_whole_time_counts_steps_and_validation() -> None:
    trial = Trial(0.1, 0)
    assert estimate_judging(trial, batch=10, validation=100) == pytest.approx(0.35)
    assert estimate_seconds(trial, steps=100, judging=0.0, epochs=3) == pytest.approx(30)
    assert estimate_seconds(trial, steps=100, judging=0.35, epochs=3) == pytest.approx(31.05)
    assert [duration(seconds) for seconds in (0.3, 1.4, 20, 90, 7200)] == [
        "1 second",
        "1 second",
        "20 seconds",
        "1.5 minutes",
        "2.0 hours",
    ]


def test_missing_classes_and_leaks_are_said_when_a_training_is_asked_for(
    connection, planted, actor, small_recipe
) -> None:
    cases = list_snapshot_cases(connection, planted.snapshot.id)
    train = [case for case in cases if case.split == "train"]
    normal = [case for case in cases if case.split == "validation" and case.value == {"classes": ["normal"]}]
    leak = Leak("patient", (1, 2), ("train", "test"), "one patient")
    leaking = replace(planted.snapshot, leaks=(leak,), leaks_allowed_because="published so")
    notes = look_at_splits(leaking, train, normal)
    assert notes[0] == "No validation case is of pneumonia: how well it is told cannot be followed."
    assert "published so" in notes[1]
    run, _ = request_training(connection, planted.project, leaking, small_recipe, actor=actor)
    assert run.told["preflight"]["notes"] == [notes[1]]
    assert look_at_splits(planted.snapshot, train, train) == ()
    (note,) = look_at_splits(planted.snapshot, train, train, normal)
    assert note == "No test case is of pneumonia: how well it is told cannot be measured."
    connection.execute(
        "UPDATE snapshot_cases SET split = 'train' WHERE snapshot = ? AND split = 'test' AND value LIKE '%pneumonia%'",
        (planted.snapshot.id,),
    )
    run, _ = request_training(connection, planted.project, planted.snapshot, small_recipe, actor=actor)
    assert run.told["preflight"]["notes"] == [note]


def test_what_is_said_of_the_devices_is_said_once_however_often_a_run_is_begun(
    connection, files, settings, planted, actor, small_recipe, tmp_path
) -> None:
    class Killed(Silent):
        def report(self, fraction: float, note: str, **facts: Any) -> None:
            if note.startswith("A step takes"):
                raise KeyboardInterrupt

    recipe = change_recipe(small_recipe, {"devices": 2, "epochs": 1})
    run, _ = request_training(connection, planted.project, planted.snapshot, recipe, actor=actor)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run_training(connection, files, settings, run.id, tmp_path, CPU, Killed())
        notes = get_run(connection, run.id).told["preflight"]["notes"]
        assert notes == ["It asked for 2 GPUs, and this machine gave it cpu."]


def test_a_structure_that_a_split_lacks_is_said_as_a_missing_class_is(
    connection, files, painted_squares, actor, small_recipe
) -> None:
    """Here `ghost`, which is painted on a test case alone: something else is painted in the other splits."""
    snapshot = freeze_snapshot(
        connection, files, painted_squares.project, "first", ratios=(0.5, 0.25, 0.25), actor=actor, progress=Silent()
    )
    cases = list_snapshot_cases(connection, snapshot.id)
    train, validation, test = ([one for one in cases if one.split == split] for split in SPLITS)
    both = [replace(one, value={"structures": ["square", "ghost"]}) for one in test]
    assert look_at_splits(snapshot, train, validation, both) == (
        "On no training case is anything painted as ghost: it cannot be learnt.",
        "On no validation case is anything painted as ghost: how well it is painted cannot be followed.",
    )
    assert look_at_splits(snapshot, both, both) == ()
    assert look_at_splits(snapshot, both, both, train) == (
        "On no test case is anything painted as ghost: how well it is painted cannot be measured.",
    )
    recipe = change_recipe(named_recipe("unet2d"), {"input_size": 16, "filters": "8", "stages": 1})
    run, _ = request_training(connection, painted_squares.project, snapshot, recipe, actor=actor)
    assert run.told["preflight"]["notes"][0].startswith("On no training case is anything painted as ghost")


def test_a_class_that_cannot_be_drawn_for_validation_is_said(connection, sides) -> None:
    cases = list_snapshot_cases(connection, sides[1].id)
    train = [one for one in cases if one.split == "train"]
    left = [one for one in cases if one.split != "train" and one.value["classes"] == ["left"]]
    assert look_at_splits(sides[1], train, left, left) == (
        "No validation case is of right: how well it is drawn cannot be followed.",
        "No test case is of right: how well it is drawn cannot be measured.",
    )


def test_a_disk_without_room_for_the_prepared_images_is_said_before_the_queue(
    connection, files, planted, actor, small_recipe, monkeypatch
) -> None:
    images = sum(case.split != "test" for case in list_snapshot_cases(connection, planted.snapshot.id))
    free = images * 16 * 16 - 1
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    options: dict[str, Any] = {"files": files, "actor": actor}
    with pytest.raises(PreflightFailed, match=r"^Make room .* Received: 0.00 GB free"):
        request_training(connection, planted.project, planted.snapshot, small_recipe, **options)
    assert not list_runs(connection, planted.project.id)
    material_of(connection, files, planted.snapshot, small_recipe)
    assert request_training(connection, planted.project, planted.snapshot, small_recipe, **options), "they are there"
    free = images * 16 * 16
    assert request_training(
        connection, planted.project, planted.snapshot, change_recipe(small_recipe, {"resize": "pad"}), **options
    )


def material_of(connection, files, snapshot, recipe) -> Any:
    return gather_material(connection, files, snapshot, recipe, None, Silent(), checked=True)


def test_masks_and_volumes_are_counted_as_large_as_they_will_be(connection, files, painted_squares, actor) -> None:
    frozen = freeze_snapshot(
        connection, files, painted_squares.project, "first", ratios=(0.6, 0.3, 0.1), actor=actor, progress=Silent()
    )
    train, validation = training_cases(connection, frozen, None)
    cases = [*train, *validation]
    flat = change_recipe(named_recipe("unet2d"), {"input_size": 16})
    deep = change_recipe(named_recipe("unet3d"), {"patch_size": "4,8,8", "spacing_mm": "1,1,1"})
    for recipe in (flat, deep):
        before = sum(path.stat().st_size for path in (files.root / "prepared").glob("*/*"))
        counted = bytes_to_prepare(connection, files, cases, input_of(recipe), painted=True)
        made = material_of(connection, files, frozen, recipe)
        assert made
        after = [path.stat().st_size for path in (files.root / "prepared").glob("*/*")]
        assert 0 <= sum(after) - before - counted < 256 * len(after), "but for a head of each file"
        assert bytes_to_prepare(connection, files, cases, input_of(recipe), painted=True) == 0
