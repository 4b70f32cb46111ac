"""Networks that see volumes whole: a ball on the left or on the right, and how large it is."""

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.errors import InvalidInput
from core.evaluation.batch import predict_new_cases
from core.evaluation.drafts import count_without_draft, set_assist_model
from core.evaluation.predict_files import predict_files
from core.evaluation.predictor import predict_cases
from core.evaluation.run import evaluate_model
from core.explain.evidence import gather_evidence
from core.explain.run import check_explanations, explain_case
from core.images.records import Case, get_case
from core.images.volume_input import VolumeSpec, volume_input
from core.labels.marks import NewMark, add_mark
from core.labels.records import NewLabel, add_label, new_event
from core.people.accounts import ensure_user
from core.progress import Silent
from core.projects.records import Project, add_project, get_project
from core.projects.schema import Regression, make_classification
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.device import CPU
from core.training.ensemble import with_views
from core.training.fingerprint import settle_auto, take_fingerprint
from core.training.recipe import change_recipe, named_recipe
from core.training.records import Model
from core.training.request import request_training

SMALL = {
    "input_size": 16, "input_depth": 8, "filters": "6,12", "batch": 4, "epochs": 12, "learning_rate": 0.02, "shift": 0,
    "zoom": 0, "rotation": 0, "dropout": 0,
}  # fmt: skip


@pytest.fixture
def freeze_balls(connection: sqlite3.Connection, files: Files, actor: Actor, make_case: Callable[..., Case]):
    """24 volumes of different sizes and a snapshot of them; `answer(on_left, radius)` is what is said of each."""

    def make(schema: Any, answer: Callable[[bool, int], dict[str, Any]]) -> tuple[Project, Snapshot]:
        ensure_user(connection, actor.name)
        task = type(schema).__name__.lower()
        project = add_project(connection, name=task, task=task, schema=schema, actor=actor)
        random = np.random.default_rng(0)
        for at in range(24):
            shape, radius = (8 + at % 5, 16, 20), 2 + at % 3
            z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]]
            ball = (z - 4) ** 2 + (y - 8) ** 2 + (x - (5 if at % 2 else 14)) ** 2 <= radius**2
            volume = (random.integers(0, 40, shape) + 200 * ball).astype(np.uint8)
            known = {"frames": shape[0], "spacing_mm": (1.0, 1.0), "slice_spacing_mm": 1.0}
            case = make_case(f"{task}-{at}.nii", pixels=volume, into=project, **known)
            add_label(connection, NewLabel(new_event(), case.id, actor.name, answer(bool(at % 2), radius)), actor)
        options: dict[str, Any] = {"ratios": (0.5, 0.25, 0.25), "actor": actor, "progress": Silent()}
        return project, freeze_snapshot(connection, files, project, "first", **options)

    return make


def test_the_side_of_a_ball_is_learnt_measured_and_offered_as_a_draft(
    connection: sqlite3.Connection, files: Files, settings: Settings, freeze_balls: Any, train_on: Any, actor: Actor,
    tmp_path: Path,
) -> None:  # fmt: skip
    project, snapshot = freeze_balls(
        make_classification(["right", "left"]), lambda left, _: {"classes": ["left" if left else "right"]}
    )
    with pytest.raises(InvalidInput, match="cannot train on or evaluate volumes with a network that sees single"):
        request_training(connection, project, snapshot, named_recipe("resnet"), actor=actor)
    model = train_on(project, snapshot, change_recipe(named_recipe("cnn3d"), SMALL))
    seen = {"depth": 8, "size": 16, "channels": 1, "resize": "stretch", "spacing_mm": None, "window": "as stored"}
    assert model.facts["input"] == seen
    result = evaluate_model(connection, files, settings, model.id, snapshot.id, "test", actor, Silent())
    assert result["n_cases"] == 6
    assert result["metrics"]["balanced_accuracy"]["value"] > 0.8
    shown = files.read_array("pixels", get_case(connection, snapshot_case(connection, snapshot)).pixel_hash)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(shown.transpose(2, 1, 0)), np.diag([-1, -1, 1, 1])), path)
    [row] = predict_files(files, settings, model, [path], Silent(), tmp_path)["cases"]
    expected = predict_cases(connection, files, model, [snapshot_case(connection, snapshot)], Silent())[0]
    assert list(row["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-6)
    set_assist_model(connection, project, model.id, actor=actor)
    assert count_without_draft(connection, get_project(connection, project.id)) == 18, "all but those of the test split"
    explained_as_volumes(connection, files, model, snapshot, actor, tmp_path)


@pytest.fixture
def freeze_in_turn(connection: sqlite3.Connection, files: Files, actor: Actor, make_case: Callable[..., Case]):
    """A project of cases without spacing, of one class and of the other in turn, and a snapshot of them; of three axes
    a volume, of two a single image."""

    def make(name: str, classes: list[str], pixels: Sequence[np.ndarray]) -> tuple[Project, Snapshot]:
        ensure_user(connection, actor.name)
        project = add_project(
            connection, name=name, task="classification", schema=make_classification(classes), actor=actor
        )
        for at, one in enumerate(pixels):
            known = {"frames": len(one) if one.ndim == 3 else 1, "spacing_mm": None}
            case = make_case(f"{at}.dcm", pixels=one, into=project, **known)
            answer = {"classes": [classes[at % 2]]}
            add_label(connection, NewLabel(new_event(), case.id, actor.name, answer), actor)
        options: dict[str, Any] = {"ratios": (0.5, 0.25, 0.25), "actor": actor, "progress": Silent()}
        return project, freeze_snapshot(connection, files, project, "first", allow_leaks="drawn alike", **options)

    return make


def test_a_cine_without_spacing_is_told_by_what_happens_in_it_and_not_by_any_frame(
    connection: sqlite3.Connection, files: Files, settings: Settings, freeze_in_turn: Any, train_on: Any, actor: Actor
) -> None:
    random, cines = np.random.default_rng(0), []
    for at in range(32):
        frames = 8 + at % 5
        wide = np.linspace(2, 9, frames)[:: -1 if at % 2 else 1, None, None]  # the same frames, forwards or backwards
        gap = np.abs(np.arange(20) - 9.5)[None, None, :] < wide
        cines.append((random.integers(0, 40, (frames, 16, 20)) + 200 * gap).astype(np.uint8))
    project, snapshot = freeze_in_turn("Valves", ["opens", "closes"], cines)
    for one in list_snapshot_cases(connection, snapshot.id):
        assert get_case(connection, one.case_id).slice_spacing_mm is None
    model = train_on(project, snapshot, change_recipe(named_recipe("cnn3d"), SMALL))
    assert model.facts["input"]["spacing_mm"] is None
    result = evaluate_model(connection, files, settings, model.id, snapshot.id, "test", actor, Silent())
    assert result["n_cases"] == 8
    assert result["metrics"]["balanced_accuracy"]["value"] > 0.8


@pytest.mark.parametrize("singles", [6, 0])
def test_single_images_are_asked_about_where_they_were_learnt_too(
    connection: sqlite3.Connection, files: Files, settings: Settings, make_case: Callable[..., Case],
    freeze_in_turn: Any, train_on: Any, actor: Actor, tmp_path: Path, singles: int,
) -> None:  # fmt: skip
    random = np.random.default_rng(0)
    pixels = [(random.integers(0, 40, (6, 16, 20)) + 200 * (at % 2)).astype(np.uint8) for at in range(18)]
    project, snapshot = freeze_in_turn(
        "Mixed", ["dark", "light"], [one[0] for one in pixels[:singles]] + pixels[singles:]
    )
    later = make_case("later.png", into=project)
    model = train_on(
        project, snapshot, change_recipe(named_recipe("cnn3d"), {**SMALL, "epochs": 1, "flip": "left-right"})
    )
    ensemble = with_views(connection, files, model, actor=actor)
    path = tmp_path / "later.png"
    Image.fromarray(files.read_array("pixels", later.pixel_hash)).save(path)
    for one in (model, ensemble):
        told = predict_new_cases(connection, files, one, [later.id], Silent())
        [row] = predict_files(files, settings, one, [path], Silent(), tmp_path)["cases"]
        assert (told["predicted"], "probabilities" in row) == ((1, True) if singles else (0, False))
        if not singles:
            assert "give it all slices of the series" in told["refused"][0]["reason"]
            assert "give it all slices of the series" in row["reason"]


def explained_as_volumes(
    connection: sqlite3.Connection, files: Files, model: Model, snapshot: Snapshot, actor: Actor, tmp_path: Path
) -> None:
    """Maps of each kind lie on the volume's own grid, on the ball of one side at least, and carry their evidence."""
    checked = check_explanations(connection, files, model.id, Silent()).facts["explanations"]["grad_cam"]
    assert checked["layer_choice"]["n"] == checked["check"]["n"] == 6
    assert set(checked["layer_choice"]["drops"]) == {"stage_1", "stage_2"}
    sides = {frozen.value["classes"][0]: frozen.case_id for frozen in list_snapshot_cases(connection, snapshot.id)}
    told, kept = Telling(), dict[str, Any]()
    for method in ("grad_cam", "integrated_gradients", "occlusion"):
        away = []  # a network may know one side by its ball, and the other by there being none
        for case in (get_case(connection, case_id) for case_id in sides.values()):
            asked = {"model": model.id, "case": case.id, "method": method, "overlay": True, "frame": 3}
            result = explain_case(connection, files, asked, tmp_path, told, kept)
            values = np.load(files.path("explanations", result["explanation"]))
            assert values.shape == (case.frames, case.rows, case.columns)
            assert Path(result["overlay"]).stat().st_size > 1000
            assert result["frame"] == 3
            if not values.any():
                continue
            assert values.max() == pytest.approx(1)
            found = np.array(np.unravel_index(values.argmax(), values.shape))
            ball = files.read_array("pixels", case.pixel_hash) > 150
            away.append(np.abs(found - np.argwhere(ball).mean(axis=0)).max())
        assert min(away) <= 5, method
    assert told.seconds_left[-1] == 0, "slow ones say how long they take yet"
    with pytest.raises(InvalidInput, match="The frames of this case are 1 to"):
        explain_case(connection, files, asked | {"frame": 99}, tmp_path, Silent(), kept)
    validation = [one for one in list_snapshot_cases(connection, snapshot.id) if one.split == "validation"]
    box = {"x": 0.0, "y": 0.0, "width": 10.0, "height": 16.0}
    for frame in range(get_case(connection, validation[0].case_id).frames):
        mark = NewMark(new_event(), validation[0].case_id, actor.name, f"m{frame}", "box", box, frame=frame)
        add_mark(connection, mark, actor)
    wanted = {"model": model.id, "methods": ["occlusion"], "split": "validation", "cases": 3}
    one = gather_evidence(connection, files, wanted, actor, Silent())["methods"]["occlusion"]
    assert (one["n_cases"], one["n_marked"]) == (3, 1)
    assert one["measures"]["marked_by_chance"]["value"] == pytest.approx(0.5)
    assert one["measures"]["pointing"]["value"] in (0, 1)
    assert one["measures"]["faithfulness"]["value"] is not None
    assert np.array(next(iter(one["means"].values()))["map"]).shape == (8, 8, 8)


class Telling(Silent):
    def __init__(self) -> None:
        self.seconds_left: list[float] = []

    def report(self, fraction: float, note: str, **facts: Any) -> None:
        if "seconds_left" in facts:
            self.seconds_left.append(facts["seconds_left"])


def snapshot_case(connection: sqlite3.Connection, snapshot: Snapshot) -> int:
    found = connection.execute("SELECT case_id FROM snapshot_cases WHERE snapshot = ?", (snapshot.id,)).fetchone()
    return int(found[0])


def test_a_size_is_learnt_at_one_spacing_and_auto_sees_to_that(
    connection: sqlite3.Connection, files: Files, settings: Settings, freeze_balls: Any, train_on: Any, actor: Actor
) -> None:
    project, snapshot = freeze_balls(Regression("radius", "mm", None, None), lambda _, radius: {"value": radius})
    recipe, choice = settle_auto(take_fingerprint(connection, snapshot, device=CPU), {})
    assert (recipe.network, recipe.input_depth, recipe.input_size) == ("cnn3d", 16, 24)
    assert recipe.spacing_mm == (1.1, 1.1, 1.1)
    assert recipe.zoom == 0
    assert "the number may hang on size" in " ".join(choice["sentences"])
    model = train_on(
        project, snapshot, change_recipe(named_recipe("cnn3d"), {**SMALL, "filters": "8", "spacing_mm": "1.2,1.2,1.2"})
    )
    assert model.facts["input"]["spacing_mm"] == [1.2, 1.2, 1.2]
    result = evaluate_model(connection, files, settings, model.id, snapshot.id, "test", actor, Silent())
    assert result["metrics"]["mae"]["value"] < 0.6


def test_at_one_spacing_a_ball_keeps_its_size_whatever_volume_it_is_in(make_case: Callable[..., Case]) -> None:
    spec = VolumeSpec(depth=16, size=24, spacing_mm=(1.0, 1.0, 1.0))
    counts = []
    for frames, rows, slice_mm in ((16, 24, 1.0), (8, 40, 2.0), (30, 20, 1.0)):
        z, y, x = np.mgrid[:frames, :rows, :rows]
        ball = ((z + 0.5 - frames / 2) * slice_mm) ** 2 + (y - rows // 2) ** 2 + (x - rows // 2) ** 2 <= 30
        volume = ball.astype(np.uint8) * 255
        known = {"frames": frames, "spacing_mm": (1.0, 1.0), "slice_spacing_mm": slice_mm}
        seen = volume_input(volume, make_case(f"{frames}.nii", pixels=volume, **known), spec)
        assert seen.shape == (16, 24, 24, 1)
        counts.append(int((seen > 127).sum()))
    assert max(counts) < 1.15 * min(counts)
