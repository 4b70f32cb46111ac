"""Images of different pixel spacing, brought to one scale: discs whose size in mm is asked for, or is painted."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.loading import prepare_images
from core.datasets.records import Snapshot, list_snapshot_cases
from core.datasets.scales import measure_scales
from core.errors import InvalidInput
from core.evaluation.batch import predict_new_cases
from core.evaluation.painting import paint
from core.evaluation.predict_files import predict_files
from core.evaluation.predictor import open_predictor, predict_cases
from core.evaluation.run import evaluate_model
from core.explain.run import explain_case
from core.images.records import Case, get_cases
from core.images.volume_input import spec_of
from core.labels.masks import put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.measures.segmentation import compare_masks
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import Project, add_project
from core.projects.schema import Regression, make_segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.device import CPU
from core.training.ensemble import plan_ensemble
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.networks import input_of
from core.training.recipe import Recipe, change_recipe, named_recipe
from core.training.records import get_run
from core.training.request import request_training
from core.training.settling import settle_input
from core.training.stored import load_network

SPACINGS = (0.5, 1.0, 2.0)
SIDE = 32  # pixels of each image, so that one field of view is 16 mm wide, another 64 mm
SMALL = {
    "input_size": 32, "filters": "8,16", "batch": 6, "epochs": 10, "learning_rate": 0.01, "shift": 0, "zoom": 0,
    "rotation": 0, "dropout": 0, "noise": 0, "contrast": 0,
}  # fmt: skip


def draw_disc(at: int) -> tuple[np.ndarray, float, float]:
    """An image, the spacing of its pixels and the radius of its disc, both in mm."""
    spacing, radius = SPACINGS[at % 3], 3.0 + at % 4
    random = np.random.default_rng(at)
    row, column = (np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5) * spacing
    disc = row**2 + column**2 <= radius**2
    return (random.integers(0, 40, disc.shape) + 200 * disc).astype(np.uint8), spacing, radius


@pytest.fixture
def freeze_discs(connection: sqlite3.Connection, files: Files, actor: Actor, make_case: Callable[..., Case]):
    """36 images of 36 patients, frozen with two folds; the schema says whether discs are measured or painted."""

    def make(schema: Any, **fields: Any) -> tuple[Project, Snapshot]:
        ensure_user(connection, actor.name)
        task = type(schema).__name__.lower()
        project = add_project(connection, name=f"{task} {fields}", task=task, schema=schema, actor=actor)
        for at in range(36):
            pixels, spacing, radius = draw_disc(at)
            known = {"spacing_mm": (spacing, spacing), **fields} if at else {"spacing_mm": (spacing, spacing)}
            case = make_case(f"{at}.dcm", pixels=pixels, into=project, **known)
            value: dict[str, Any] = {"value": radius}
            if task == "segmentation":
                put_mask(connection, case, "disc", pixels[np.newaxis] > 150, actor, event=new_event())
                value = {"structures": ["disc"]}
            add_label(connection, NewLabel(new_event(), case.id, actor.name, value), actor)
        options: dict[str, Any] = {"ratios": (0.5, 0.25, 0.25), "folds": 2, "actor": actor, "progress": Silent()}
        return project, freeze_snapshot(connection, files, project, "first", allow_leaks="discs", **options)

    return make


def radius_schema() -> Regression:
    return Regression(target="radius", unit="mm", low=0.0, high=20.0)


def ids_of(connection: sqlite3.Connection, snapshot: Snapshot, split: str) -> list[int]:
    return [case.case_id for case in list_snapshot_cases(connection, snapshot.id, split=split)]


def test_a_size_in_mm_is_learnt_to_scale_and_a_raw_file_gets_the_answer_of_its_case(
    connection: sqlite3.Connection, files: Files, settings: Settings, freeze_discs: Any, train_on: Any, tmp_path: Path,
    make_case: Callable[..., Case], actor: Actor,
) -> None:  # fmt: skip
    project, snapshot = freeze_discs(radius_schema())
    recipe = change_recipe(named_recipe("resnet"), {**SMALL, "resize": "scale"})
    model = train_on(project, snapshot, recipe)
    told = model.facts["input"]
    assert told["resize"] == "scale"
    assert get_run(connection, model.run).recipe.pixel_mm == 0, "what was asked for stays what it was"
    train_cases = get_cases(connection, ids_of(connection, snapshot, "train"))
    assert told["pixel_mm"] == measure_scales(train_cases).pixel_for(32) == 2.0, "64 mm have their place in 32 pixels"
    same = train_on(project, snapshot, recipe)
    for one, other in zip(*(load_network(files, each).get_weights() for each in (model, same)), strict=True):
        assert np.array_equal(one, other), "a repetition is bit-identical"
    fitted = train_on(project, snapshot, change_recipe(recipe, {"resize": "pad"}))
    errors = [
        evaluate_model(connection, files, settings, one.id, snapshot.id, "test", actor, Silent())["metrics"]["mae"]
        for one in (model, fitted)
    ]
    assert errors[0]["value"] < errors[1]["value"] / 1.5, "fitted into the square, a size in mm is not to be seen"
    [first, *_] = get_cases(connection, ids_of(connection, snapshot, "test"))
    pixels = files.read_array("pixels", first.pixel_hash)
    raw, bare = tmp_path / "raw.nii.gz", tmp_path / "bare.png"
    turned = np.ascontiguousarray(pixels.T[..., np.newaxis])
    nibabel.save(nibabel.Nifti1Image(turned, np.diag([-first.spacing_mm[1], -first.spacing_mm[0], 1, 1])), raw)
    Image.fromarray(pixels).save(bare)
    of_png, of_nifti = predict_files(files, settings, model, [bare, raw], Silent(), tmp_path)["cases"]
    expected = predict_cases(connection, files, model, [first.id], Silent())[0, 0]
    assert of_nifti["value"] == pytest.approx(expected, rel=1e-5)
    assert "this file does not tell how far apart its pixels are" in of_png["reason"]
    without = make_case("bare.png", pixels=pixels, into=project)
    refused = predict_new_cases(connection, files, model, [without.id, first.id], Silent())["refused"]
    assert [one["case"] for one in refused] == [without.id]
    asked = {"model": model.id, "case": without.id, "method": "grad_cam"}
    with pytest.raises(InvalidInput, match=r"no pixel spacing \(case \d+, bare.png\)"):
        explain_case(connection, files, asked, tmp_path, Silent(), {})


def test_structures_are_painted_to_scale_and_their_masks_lie_on_the_images_own_pixels(
    connection: sqlite3.Connection, files: Files, freeze_discs: Any, train_on: Any
) -> None:
    project, snapshot = freeze_discs(make_segmentation(["disc"]))
    changes = {**SMALL, "input_size": 64, "resize": "scale", "pixel_mm": 1.0, "epochs": 4}
    model = train_on(project, snapshot, change_recipe(named_recipe("unet2d"), changes))
    assert spec_of(model.facts["input"]).pixel_mm == 1.0
    predictor, dice = open_predictor(files, model), list[float]()
    for case in get_cases(connection, ids_of(connection, snapshot, "test")):
        pixels = files.read_array("pixels", case.pixel_hash)
        mask = paint(predictor, pixels, case).masks["disc"]
        assert mask.shape == (1, SIDE, SIDE)
        dice.append(compare_masks(pixels[np.newaxis] > 150, mask, (1.0, 1.0, 1.0)).dice)
    assert np.mean(dice) > 0.8
    assert min(dice) > 0.6, "a disc of 3 mm has 4 pixels where they are 2 mm wide"


def test_the_scale_is_settled_on_the_training_images_alone(
    connection: sqlite3.Connection, files: Files, freeze_discs: Any
) -> None:
    _, snapshot = freeze_discs(radius_schema())
    recipe = change_recipe(named_recipe("resnet"), {**SMALL, "resize": "scale", "input_size": 128})
    train = list_snapshot_cases(connection, snapshot.id, split="train")
    for other in (*ids_of(connection, snapshot, "validation"), *ids_of(connection, snapshot, "test")):
        connection.execute("UPDATE cases SET spacing_mm = '[50, 50]' WHERE id = ?", (other,))
    settled = settle_input(connection, files, recipe, train, Silent())
    spacings = [case.spacing_mm[0] for case in get_cases(connection, [case.case_id for case in train])]
    assert settled.pixel_mm == float(np.median(spacings))
    assert settle_input(connection, files, settled, train, Silent()) is settled, "a size that is told stays"
    assert input_of(settled).pixel_mm == settled.pixel_mm
    assert settle_input(connection, files, change_recipe(recipe, {"resize": "pad"}), train, Silent()).pixel_mm == 0


def test_the_same_pixels_further_apart_are_prepared_anew(
    connection: sqlite3.Connection, files: Files, freeze_discs: Any
) -> None:
    _, snapshot = freeze_discs(radius_schema())
    cases = list_snapshot_cases(connection, snapshot.id, split="test")
    spec = input_of(change_recipe(named_recipe("resnet"), {**SMALL, "resize": "scale", "pixel_mm": 1.0}))
    before = prepare_images(connection, files, cases, spec, Silent())
    connection.execute("UPDATE cases SET spacing_mm = '[3, 3]' WHERE id = ?", (cases[0].case_id,))
    after = prepare_images(connection, files, cases, spec, Silent())
    assert not np.array_equal(before.read([0]), after.read([0]))
    assert np.array_equal(before.read([1]), after.read([1]))


def test_a_training_to_scale_without_a_spacing_is_refused_before_the_queue(
    connection: sqlite3.Connection, freeze_discs: Any, actor: Actor
) -> None:
    project, snapshot = freeze_discs(radius_schema(), spacing_mm=None)
    recipe = change_recipe(named_recipe("resnet"), {**SMALL, "resize": "scale"})
    with pytest.raises(InvalidInput, match=r"one scale.*Received: no pixel spacing \(case"):
        request_training(connection, project, snapshot, recipe, actor=actor)
    chosen, choice = settle_auto(take_fingerprint(connection, snapshot, device=CPU), {})
    assert chosen.resize == "stretch", "auto brings none to scale unless all tell theirs"
    known = choice["fingerprint"]["scales"]
    assert known is None or known["known"] == 1
    with pytest.raises(InvalidInput, match="spacing_mm, along all three axes"):
        change_recipe(named_recipe("cnn3d"), {"resize": "scale"})


def test_auto_brings_images_of_different_size_to_one_scale_where_the_answer_hangs_on_it(
    connection: sqlite3.Connection, freeze_discs: Any
) -> None:
    _, snapshot = freeze_discs(radius_schema())
    chosen, choice = settle_auto(take_fingerprint(connection, snapshot, device=CPU), {})
    assert (chosen.resize, chosen.input_size, chosen.pixel_mm) == ("scale", 64, 1.0)
    assert choice["fingerprint"]["scales"]["pixels_mm"] == [0.5, 1.0, 2.0]
    assert choice["fingerprint"]["scales"]["sides_mm"] == [16.0, 32.0, 64.0]
    told = " ".join(choice["sentences"])
    assert "pixels of 0.5 to 2 mm (median 1)" in told
    assert "brought to one scale, because the number may hang on size" in told
    _, painted = freeze_discs(make_segmentation(["disc"]))
    chosen, choice = settle_auto(take_fingerprint(connection, painted, device=CPU), {})
    assert (chosen.network, chosen.resize, chosen.input_size) == ("unet2d", "scale", 64)
    _, alike = freeze_discs(make_segmentation(["disc", "ghost"]), spacing_mm=(0.5, 0.5))
    connection.execute("UPDATE cases SET spacing_mm = '[0.5, 0.5]'")
    chosen, _ = settle_auto(take_fingerprint(connection, alike, device=CPU), {})
    assert chosen.resize == "pad", "images of one size are of one scale already"


def test_folds_that_would_each_settle_a_scale_of_their_own_become_no_ensemble(
    connection: sqlite3.Connection, freeze_discs: Any, actor: Actor
) -> None:
    project, snapshot = freeze_discs(radius_schema())
    recipe = change_recipe(named_recipe("resnet"), {**SMALL, "resize": "scale"})

    def ask(recipe: Recipe) -> list[Any]:
        return [request_training(connection, project, snapshot, recipe, fold=at, actor=actor)[0] for at in (0, 1)]

    with pytest.raises(InvalidInput, match="give one for all"):
        plan_ensemble(connection, "both", ask(recipe))
    plan_ensemble(connection, "both", ask(change_recipe(recipe, {"pixel_mm": 1.0})))
