"""Patches of painted volumes: what is drawn, what is looked at, and a network that learns from them to the end."""

import io
import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.datasets.volumes import cut_patch, prepare_volume_masks, prepare_volumes
from core.errors import InvalidInput
from core.evaluation.painting import paint_cases
from core.evaluation.records import find_predicted_masks
from core.evaluation.run import evaluate_model
from core.images.records import Case, get_case
from core.images.volume_input import PatchSpec
from core.labels.mask_store import read_kept_mask
from core.labels.masks import put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.tasks import segmentation
from core.training.batches import Examples
from core.training.device import CPU
from core.training.ensemble import plan_ensemble
from core.training.gap import measure_gap
from core.training.handful import choose_handful
from core.training.patches import Draw, _windows, gather_patches
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import get_model, list_epochs, list_watched
from core.training.request import request_training, training_cases
from core.training.run import build_fit, gather_material, run_training
from core.training.settling import settle_spacing
from core.training.steps import tally_pixels
from core.training.stored import load_network
from core.training.watched import LOOKED_AT, WATCHED, draw_both, unpack_masks
from core.training.watched_volumes import WatchVolumes


@dataclass(frozen=True)
class Balls:
    """Volumes of different sizes and spacings, each with a bright ball and a dim rod, both painted."""

    project: Project
    snapshot: Snapshot
    masks: dict[int, np.ndarray]


@pytest.fixture
def balls(connection: sqlite3.Connection, files: Files, project: Project, actor: Actor, make_case: Any) -> Balls:
    ensure_user(connection, actor.name)
    schema = make_segmentation(["ball", "rod"])
    made = add_project(connection, name="Balls", task="segmentation", schema=schema, actor=actor)
    random, masks = np.random.default_rng(0), {}
    for at in range(10):
        shape = (10 + at % 3, 14 + at % 4, 16)
        z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
        ball = (z - 5) ** 2 + (y - 6) ** 2 + (x - 4 - at % 3) ** 2 <= 9
        rod = (abs(y - 10.5) < 1) & (abs(x - 11.5) < 1)
        volume = (random.integers(0, 30, shape) + 200 * ball + 120 * rod).astype(np.uint8)
        known = {"frames": shape[0], "spacing_mm": (1.0, 1.0), "slice_spacing_mm": 1.0 if at else 2.0}
        case = make_case(f"{at}.nii", pixels=volume, into=made, **known)
        for name, mask in (("ball", ball), ("rod", rod)):
            put_mask(connection, case, name, mask.astype(np.uint8), actor, event=new_event())
        add_label(connection, NewLabel(new_event(), case.id, actor.name, {"structures": ["ball", "rod"]}), actor)
        masks[case.id] = np.stack([ball, rod], axis=-1)
    options: dict[str, Any] = {"ratios": (0.6, 0.2, 0.2), "actor": actor, "progress": Silent()}
    return Balls(made, freeze_snapshot(connection, files, made, "first", **options), masks)


@pytest.fixture
def recipe() -> Recipe:
    changes = {"patch_size": "8,8,16", "filters": "8", "batch": 3, "epochs": 6, "learning_rate": 0.03, "patches": 4,
               "ema": 0, "shift": 0, "zoom": 0, "rotation": 5}  # fmt: skip
    return change_recipe(named_recipe("unet3d"), changes)


def test_volumes_and_masks_are_prepared_at_one_spacing_each_in_its_own_size(
    connection: sqlite3.Connection, files: Files, balls: Balls
) -> None:
    cases, spec = list_snapshot_cases(connection, balls.snapshot.id), PatchSpec((8, 8, 8), (1.0, 1.0, 1.0))
    volumes = prepare_volumes(connection, files, cases, spec, Silent())
    masks = prepare_volume_masks(connection, files, cases, spec, Silent())
    assert volumes.case_ids == masks.case_ids == tuple(case.case_id for case in cases)
    for case_id, volume, mask in zip(volumes.case_ids, volumes.volumes, masks.volumes, strict=True):
        case = get_case(connection, case_id)
        assert volume.shape == (case.frames * int(case.slice_spacing_mm or 0), case.rows, case.columns, 1)
        assert mask.shape == (*volume.shape[:3], 2)
        assert volume[..., 0][mask[..., 0] == 1].mean() > 180 > volume[..., 0][mask.max(axis=-1) == 0].mean() + 100
        if case.slice_spacing_mm == 1:
            assert np.array_equal(mask, balls.masks[case_id])
    kept = {path: path.stat().st_mtime_ns for path in (files.root / "prepared").glob("*/*")}
    assert len(kept) == 20
    wider = replace(spec, patch_size=(4, 4, 4))
    prepare_volumes(connection, files, cases, wider, Silent())
    assert set((files.root / "prepared").glob("*/*")) == set(kept), "a patch's size changes no file"


def test_a_patch_beyond_a_volume_is_empty_there() -> None:
    volume = np.full((3, 4, 5, 2), 7, np.uint8)
    patch = cut_patch(volume, (-1, 2, 4), (5, 4, 3))
    assert patch.shape == (5, 4, 3, 2)
    assert patch[1:4, :2, :1].min() == 7
    assert patch.sum() == 7 * 3 * 2 * 1 * 2
    assert not cut_patch(volume, (9, 0, 0), (2, 2, 2)).any()


def test_a_patch_hangs_on_seed_epoch_and_number_and_as_many_as_asked_are_centred_on_structures() -> None:
    spots = ((np.array([[20, 5, 5]]), np.array([[25, 30, 30]])),)
    draw = Draw(((40, 40, 40),), spots, (8, 8, 8), patches=400, painted_share=0.5, seed=1)
    places = [draw.place_of(row) for row in range(400)]
    assert places == [draw.place_of(row) for row in range(400)]
    assert places != [replace(draw, epoch=1).place_of(row) for row in range(400)]
    assert places != [replace(draw, seed=2).place_of(row) for row in range(400)]
    starts = np.array([start for _, start in places])
    assert starts.min() == 0
    assert starts.max() == 32
    centred = [int((starts == np.array(start)).all(axis=1).sum()) for start in ((16, 1, 1), (21, 26, 26))]
    assert all(70 < count < 130 for count in centred), "both structures, half of all patches together"
    small = replace(draw, sizes=((5, 40, 40),), spots=((np.empty((0, 3), int),) * 2,))
    assert {small.place_of(row)[1][0] for row in range(50)} == {-1}, "a thin volume lies in the middle"


def test_validation_sees_a_volume_as_a_model_would_and_of_a_large_one_a_fixed_part() -> None:
    spec = PatchSpec((8, 8, 8), (1.0, 1.0, 1.0))
    places = _windows(3, np.ones((9, 8, 5, 1), np.uint8), spec)
    assert places == [(3, (0, 0, -1)), (3, (1, 0, -1))], "a volume that is hardly larger is not cut in the middle"
    large = np.zeros((64, 64, 64, 1), np.uint8)
    large[40:44, 40:44, 40:44] = 1
    some = _windows(0, large, spec)
    assert len(some) == 16
    assert some == _windows(0, large, spec)
    painted = [start for _, start in some if cut_patch(large, start, (8, 8, 8)).any()]
    assert len(painted) == 8
    assert {tuple(np.argwhere(cut_patch(large, start, (8, 8, 8)))[0]) for start in painted} != {(0, 0, 0, 0)}


def test_the_spacing_is_the_median_of_the_training_volumes_unless_a_recipe_says_another(
    connection: sqlite3.Connection, balls: Balls, recipe: Recipe
) -> None:
    train, _ = training_cases(connection, balls.snapshot, None)
    assert settle_spacing(connection, recipe, train).spacing_mm == (1.0, 1.0, 1.0)
    told = change_recipe(recipe, {"spacing_mm": "2,1,1"})
    assert settle_spacing(connection, told, train) is told


def test_folds_that_would_each_settle_a_spacing_of_their_own_become_no_ensemble(
    connection: sqlite3.Connection, files: Files, balls: Balls, recipe: Recipe, actor: Actor
) -> None:
    options: dict[str, Any] = {"ratios": (0.6, 0.2, 0.2), "folds": 2, "actor": actor, "progress": Silent()}
    folds = freeze_snapshot(connection, files, balls.project, "folds", **options)
    thick = [case.case_id for case in list_snapshot_cases(connection, folds.id) if case.fold == 0]
    with connection:
        connection.execute("UPDATE cases SET slice_spacing_mm = 1")
        for case_id in thick:
            connection.execute("UPDATE cases SET slice_spacing_mm = 2 WHERE id = ?", (case_id,))

    def ask(recipe: Recipe) -> list[Any]:
        return [request_training(connection, balls.project, folds, recipe, fold=at, actor=actor)[0] for at in (0, 1)]

    with pytest.raises(InvalidInput, match="differ in spacing_mm; give one for all"):
        plan_ensemble(connection, "both", ask(recipe))
    plan_ensemble(connection, "both", ask(change_recipe(recipe, {"spacing_mm": "1,1,1"})))
    plan_ensemble(connection, "scaled", ask(change_recipe(recipe, {"spacing_mm": "1,1,1", "resize": "scale"})))


def test_volumes_that_tell_no_even_spacing_are_named_before_the_training(
    connection: sqlite3.Connection, balls: Balls, recipe: Recipe, actor: Actor
) -> None:
    run, _ = request_training(connection, balls.project, balls.snapshot, recipe, actor=actor)
    assert "preflight" not in run.told
    train, validation = training_cases(connection, balls.snapshot, None)
    gappy = train[0].case_id
    connection.execute("UPDATE cases SET slice_spacing_mm = NULL WHERE id = ?", (gappy,))
    run, _ = request_training(connection, balls.project, balls.snapshot, recipe, actor=actor)
    (note,) = run.told["preflight"]["notes"]
    assert note.startswith(
        f"1 of {len(train) + len(validation)} cases do not tell one spacing between all their frames"
    )
    assert note.endswith(f"keep their own voxels as if these were 1 x 1 x 1 mm: case {gappy}.")


def test_patches_show_what_is_painted_and_validation_is_the_same_whenever(
    connection: sqlite3.Connection, files: Files, balls: Balls, recipe: Recipe
) -> None:
    train, validation = training_cases(connection, balls.snapshot, None)
    for case in list_snapshot_cases(connection, balls.snapshot.id):
        if case.split == "test":  # nobody looks at them
            files.path("pixels", case.pixel_hash).unlink()
    settled = settle_spacing(connection, change_recipe(recipe, {"painted_share": 1}), train)
    learnt, judged, exclusive = gather_patches(connection, files, train, validation, settled, Silent())
    assert exclusive
    assert len(learnt) == len(train) * 4
    epoch = learnt.of_epoch(0, 5)
    masks = epoch.read_targets(np.arange(len(learnt)))
    assert masks.any(axis=(1, 2, 3, 4)).all()
    assert not np.array_equal(masks, learnt.of_epoch(0, 6).read_targets(np.arange(len(learnt))))
    images = epoch.images.read(epoch.rows)
    assert images[masks[..., :1] == 1].mean() > 180
    assert list(dict.fromkeys(judged.targets)) == [case.case_id for case in validation]
    painted = judged.read_targets(np.arange(len(judged))).sum(axis=(1, 2, 3))
    for case in validation:  # overlaps count once for each window
        assert (
            painted[judged.targets == case.case_id].sum(axis=0) >= balls.masks[case.case_id].sum(axis=(0, 1, 2))
        ).all()


def test_the_gap_is_measured_in_the_same_windows_on_both_sides(
    connection: sqlite3.Connection, files: Files, balls: Balls, recipe: Recipe
) -> None:
    """Of the same volumes it is none, also for a network that paints too much where nothing is."""

    class PaintsTooMuch:
        schema, task = make_segmentation(["ball", "rod"]), segmentation

        def judge(self, examples: Examples) -> tuple[float, np.ndarray, np.ndarray]:
            images = examples.images.read(examples.rows)
            said = np.repeat(images > 25, 2, axis=-1).astype(np.float32)
            masks = examples.read_targets(np.arange(len(examples)))
            return 0.5, examples.targets, tally_pixels(tf.constant(masks), tf.constant(said)).numpy()

    train, others = training_cases(connection, balls.snapshot, None)
    settled = settle_spacing(connection, change_recipe(recipe, {"painted_share": 1}), train)
    learnt, *_ = gather_patches(connection, files, train, others, settled, Silent())
    _, judged, _ = gather_patches(connection, files, others, train, settled, Silent())
    found = measure_gap(PaintsTooMuch(), learnt, judged, {case.case_id: case.patient for case in train}, seed=0)
    assert found.training.value == pytest.approx(found.validation.value)
    assert found.training.cases == len(train)


def test_of_watched_volumes_one_patch_is_painted_on_the_frame_of_the_thumbnail(
    connection: sqlite3.Connection, files: Files, balls: Balls, recipe: Recipe, actor: Actor
) -> None:
    run, _ = request_training(connection, balls.project, balls.snapshot, recipe, actor=actor)
    train, validation = training_cases(connection, balls.snapshot, None)
    settled = settle_spacing(connection, recipe, train)
    material = gather_material(connection, files, balls.snapshot, settled, None, Silent(), checked=True)
    fit = build_fit(settled, balls.snapshot, material, "float32")
    fit.epoch, asked = 3, []
    say = fit.learner.say
    fit.learner.say = lambda patches: asked.append(patches) or say(patches)  # type: ignore[method-assign, func-returns-value]
    spec = PatchSpec((8, 8, 16), (1.0, 1.0, 1.0))
    WatchVolumes(connection, run.id, material.validation, validation, spec, 0).after_epoch(fit, {})
    watched = list_watched(connection, run.id)
    chosen = [case.case_id for case in choose_handful(validation, WATCHED, 0)]
    patches = dict(zip(chosen, np.concatenate(asked), strict=True))  # a patch a case, whatever the volume's size
    assert set(watched) == {case.case_id for case in validation}
    for case_id, (epoch, answer) in watched.items():
        assert epoch == 3
        whole = balls.masks[case_id]
        middle = whole[len(whole) // 2]
        reference, painted, seen = (unpack_masks(answer[key]) for key in ("reference", "painted", "seen"))
        assert np.array_equal(reference, middle)
        assert seen.sum() == 8 * 16, "a patch is lower than the frame"
        assert not painted[~seen[..., 0]].any()
        top, first = int(np.argwhere(seen)[0][0]), min(max(len(whole) // 2 - 4, 0), len(whole) - 8)
        patch = patches.pop(case_id)
        ball = whole[first : first + 8, top : top + 8, :, 0]
        assert patch[ball].mean() > 180 > patch[~ball].mean() + 100, "it is the patch around the middle"
        scores = say(patch[None])[0]
        assert (painted[top : top + 8] == (scores[len(whole) // 2 - first] >= 0.5)).mean() > 0.99
        picture = np.asarray(Image.open(io.BytesIO(draw_both(answer))))
        assert (picture[..., :3] == LOOKED_AT).all(axis=2).any()


def test_a_u_net_learns_volumes_goes_on_after_a_kill_and_paints_them_on_their_own_grid(
    connection: sqlite3.Connection, files: Files, settings: Settings, balls: Balls, recipe: Recipe, actor: Actor,
    tmp_path: Path, no_onnx: None, checkpoint_of_epoch: Any,
) -> None:  # fmt: skip
    def train(number: int) -> dict[str, Any]:
        return run_training(connection, files, settings, number, tmp_path / str(number), CPU, Silent())

    def ask() -> int:
        return request_training(connection, balls.project, balls.snapshot, recipe, actor=actor)[0].id

    first, again = ask(), ask()
    checkpoint_of_epoch(2, tmp_path / str(again))
    model = get_model(connection, None, train(first)["model_id"])
    assert model.facts["input"] == {
        "patch_size": [8, 8, 16], "spacing_mm": [1.0, 1.0, 1.0], "channels": 1, "overlap": 0.25, "window": "as stored",
    }  # fmt: skip
    assert model.facts["validation"]["dice"] > 0.6
    assert {epoch for epoch, _ in list_watched(connection, first).values()} == {6}
    resumed = get_model(connection, None, train(again)["model_id"])
    assert [epoch["epoch"] for epoch in list_epochs(connection, again)] == [3, 4, 5, 6]
    whole, after = (load_network(files, one).get_weights() for one in (model, resumed))
    assert all(np.array_equal(one, other) for one, other in zip(whole, after, strict=True))
    _looks_right(connection, files, settings, balls, model, actor)


def _looks_right(
    connection: sqlite3.Connection, files: Files, settings: Settings, balls: Balls, model: Any, actor: Actor
) -> None:
    case: Case = get_case(connection, min(balls.masks))  # its frames lie twice as far apart as the model's
    assert case.slice_spacing_mm == 2
    paint_cases(connection, files, model, [case.id], Silent())
    painted = {mask.structure: mask for mask in find_predicted_masks(connection, model.id, case.id)}
    ball = read_kept_mask(files, painted["ball"].mask_hash, case)
    assert ball.shape == (case.frames, case.rows, case.columns)
    assert (ball & balls.masks[case.id][..., 0]).sum() * 2 / (ball.sum() + balls.masks[case.id][..., 0].sum()) > 0.6
    result = evaluate_model(connection, files, settings, model.id, balls.snapshot.id, "test", actor, Silent())
    assert result["n_cases"] == 2
    assert result["per_structure"]["ball"]["dice"]["value"] > 0.6
