"""A model that paints what is bright, whose masks are known by hand: kept, measured, and written beside files."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.erasing.erase import erase
from core.erasing.plan import plan_erasure
from core.errors import InvalidInput, Stopped
from core.evaluation.drafts import count_without_draft, make_drafts, set_assist_model
from core.evaluation.painting import paint, paint_cases
from core.evaluation.predict_files import predict_files
from core.evaluation.predictor import open_predictor
from core.evaluation.records import (
    find_decision,
    find_evaluation,
    find_predicted_masks,
    list_measured,
)
from core.evaluation.run import evaluate_model
from core.evaluation.volume_doubt import asks_volume_doubt, explain_volume_doubt, map_volume_doubt
from core.explain.doubt import entropy_of
from core.explain.run import check_explanations, explain_case
from core.images.records import get_case
from core.images.render import InputSpec, from_square, to_uint8
from core.images.volume_input import PatchSpec
from core.images.volumes import model_frames, volume_window
from core.labels.mask_store import read_kept_mask
from core.measures.segmentation import compare_masks
from core.progress import Silent
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import writing
from core.store.files import Files
from core.training.ensemble import make_ensemble, with_views
from core.training.recipe import change_recipe, named_recipe
from core.training.records import Model, add_model, get_model, get_run, set_model_fact, set_onnx
from core.training.request import request_training
from tests.core.conftest import PaintedSquares
from tests.core.images.drawn_dicom import COLUMNS, ROWS, write_series

SIZE = 16
THRESHOLD = 0.7


def make_painter(second: float = 0.0) -> bytes:
    """uint8 (n, 16, 16, 1) to probabilities (n, 16, 16, 2): how bright a pixel is, and `second` times that."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "scale"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "painter",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [None, SIZE, SIZE, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, SIZE, SIZE, 2])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1, 1, 1, 2], [1 / 255, second / 255])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


@pytest.fixture
def frozen(connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, actor: Actor) -> Snapshot:
    options: dict[str, Any] = {"ratios": (0.4, 0.2, 0.4), "seed": 1, "actor": actor, "progress": Silent()}
    return freeze_snapshot(connection, files, painted_squares.project, "first", **options)


@pytest.fixture
def painter(connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, frozen: Snapshot,
            actor: Actor) -> Model:  # fmt: skip
    recipe = change_recipe(named_recipe("unet2d"), {"input_size": SIZE, "filters": "4"})
    run, _ = request_training(connection, painted_squares.project, frozen, recipe, actor=actor)
    facts = {
        "input": {"size": SIZE, "channels": 1, "resize": "pad"},
        "task": "segmentation",
        "structures": [{"name": one.name, "colour": one.colour} for one in painted_squares.project.schema.structures],
        "calibration": {"thresholds": {"square": {"value": THRESHOLD}, "ghost": {"value": 0.5}}},
    }
    model = add_model(
        connection, run, keras_hash=files.put_bytes("models", b"not loaded here"), onnx_left_out_because=None,
        parameters=2, file_bytes=9, facts=facts, seconds=1.0, actor=actor,
    )  # fmt: skip
    set_onnx(connection, model.id, files.put_bytes("models", make_painter()), None)
    return get_model(connection, None, model.id)


def bright(files: Files, case: Any) -> np.ndarray:
    """What the painter should paint, from the pixels as they are shown."""
    seen = model_frames(files.read_array("pixels", case.pixel_hash), case, InputSpec(SIZE, 1, "pad"))
    return seen[..., 0].astype(np.float32) / np.float32(255) >= np.float32(THRESHOLD)


def evaluated(connection: sqlite3.Connection, files: Files, settings: Settings, model: Model, split: str = "test"):
    run = connection.execute("SELECT snapshot FROM runs WHERE id = ?", (model.run,)).fetchone()
    actor = Actor("anna", "command line")
    return evaluate_model(connection, files, settings, model.id, run["snapshot"], split, actor, Silent())


def test_a_model_paints_each_case_on_its_own_pixels_once(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, painter: Model
) -> None:
    cases = [painted_squares.cases[at] for at in (0, 1, 17)]
    paint_cases(connection, files, painter, [case.id for case in cases], Silent())
    for case in cases:
        ghost, square = find_predicted_masks(connection, painter.id, case.id)
        expected = bright(files, case)
        assert np.array_equal(read_kept_mask(files, square.mask_hash, case), expected)
        assert (square.pixels, ghost.pixels) == (expected.sum(), 0)
        value, scores = find_decision(connection, painter.id, case.id)
        assert value == {"structures": ["square"] if expected.any() else []}
        assert (scores[0] >= THRESHOLD) == bool(expected.any())
        assert scores[1] == 0
    files.path("models", painter.onnx_hash).unlink()
    paint_cases(connection, files, painter, [case.id for case in cases], Silent())  # nothing is asked again


@pytest.mark.parametrize("exclusive", [True, False])
def test_a_pixel_goes_to_one_structure_where_none_had_two(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, painter: Model, exclusive: bool
) -> None:
    case = painted_squares.cases[1]
    onnx = files.put_bytes("models", make_painter(0.9))
    calibration = {**painter.calibration, "exclusive": exclusive}
    model = replace(painter, onnx_hash=onnx, facts={**painter.facts, "calibration": calibration})
    masks = paint(open_predictor(files, model), files.read_array("pixels", case.pixel_hash), case).masks
    assert np.array_equal(masks["square"], bright(files, case)), "the more probable one keeps all it claims"
    assert masks["ghost"].any() != exclusive


def test_an_evaluation_measures_every_structure_and_keeps_every_case(
    connection: sqlite3.Connection, files: Files, settings: Settings, painted_squares: PaintedSquares, painter: Model,
    frozen: Snapshot,
) -> None:  # fmt: skip
    result = evaluated(connection, files, settings, painter)
    test = list_snapshot_cases(connection, frozen.id, split="test")
    assert (result["task"], result["n_cases"]) == ("segmentation", len(test))
    dice, volumes = [], []
    for one in test:
        case = get_case(connection, one.case_id)
        found = compare_masks(painted_squares.masks[case.id], bright(files, case), (1, 1, 1))
        dice.append(found.dice)
        if case.frames > 1:
            volumes.append((found.predicted_pixels - found.reference_pixels) * 0.5 * 0.5 * 2.0 / 1000)
    assert volumes, "a volume is in the test split, else its millilitres are not tested"
    square = result["per_structure"]["square"]
    assert square["dice"]["value"] == pytest.approx(np.nanmean(dice))
    assert result["metrics"]["dice"] == square["dice"], "the ghost is nowhere and counts apart"
    assert result["metrics"]["dice"]["low"] <= result["metrics"]["dice"]["value"] <= result["metrics"]["dice"]["high"]
    assert result["per_structure"]["ghost"]["dice"]["value"] is None
    assert result["counts"]["ghost"] == {"painted": 0, "missed": 0, "empty": len(test), "left_empty": len(test)}
    assert square["volume_bias_ml"]["value"] == pytest.approx(np.mean(volumes))
    assert (result["unit"], result["tolerance"]) == ("mm", 1.0)
    assert {"iou", "hd95_mm", "surface_dice"} <= set(result["metrics"])
    assert result["thresholds"]["square"]["value"] == THRESHOLD
    rows = list_measured(connection, find_evaluation(connection, painter.id).id)
    squares = [row for row in rows if row.structure == "square" and row.dice is not None]
    assert [row.dice for row in squares] == pytest.approx(sorted(value for value in dice if not np.isnan(value)))
    assert all(row.dice is None for row in rows[len(squares) :]), "empty references come last"
    assert not any("detector" in one for one in result["warnings"])


def test_distances_of_projections_are_said_to_be_those_at_the_detector(
    connection: sqlite3.Connection, files: Files, settings: Settings, painter: Model, frozen: Snapshot
) -> None:
    test = list_snapshot_cases(connection, frozen.id, split="test")
    with writing(connection):
        connection.execute(
            "UPDATE cases SET spacing_mm = '[0.2, 0.2]', spacing_at = 'detector' WHERE id = ?", (test[0].case_id,)
        )
    result = evaluated(connection, files, settings, painter)
    assert [one for one in result["warnings"] if one.startswith(f"1 of these {len(test)} cases are projections")]


def test_masks_and_numbers_of_an_erased_case_go_with_it(
    connection: sqlite3.Connection, files: Files, settings: Settings, painted_squares: PaintedSquares, painter: Model,
    frozen: Snapshot, actor: Actor,
) -> None:  # fmt: skip
    evaluated(connection, files, settings, painter)
    test = list_snapshot_cases(connection, frozen.id, split="test")
    gone = next(one for one in test if one.masks[0].pixels)
    _, square = find_predicted_masks(connection, painter.id, gone.case_id)
    plan = plan_erasure(connection, files, painted_squares.project, case_ids=[gone.case_id])
    assert erase(connection, files, plan, actor=actor, reason="")
    assert not files.has("masks", square.mask_hash)
    assert find_predicted_masks(connection, painter.id, gone.case_id) == ()
    rows = list_measured(connection, find_evaluation(connection, painter.id).id)
    assert gone.case_id not in {row.case_id for row in rows}
    assert len(rows) == 2 * (len(test) - 1)


def test_files_get_masks_with_the_place_of_the_input(
    files: Files, settings: Settings, painter: Model, tmp_path: Path
) -> None:
    given = tmp_path / "given"
    given.mkdir()
    image = np.zeros((20, 30), np.uint8)
    image[4:12, 6:16] = 255
    Image.fromarray(image).save(given / "film.png")
    volume = np.zeros((9, 8, 5), np.int16)
    volume[2:6, 3:7, 1:4] = 500
    affine = np.array([[0.0, 1.5, 0, -10], [-2, 0, 0, 20], [0, 0, 3, 5], [0, 0, 0, 1]])
    nibabel.save(nibabel.Nifti1Image(volume, affine), given / "scan.nii.gz")
    (given / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    result = predict_files(files, settings, painter, [given], Silent(), tmp_path / "out")
    broken, film, scan = result["cases"]
    assert "Received" in broken["reason"]
    assert (result["predicted"], result["failed"]) == (2, 1)
    drawn = np.asarray(Image.open(tmp_path / "out" / film["files"][0]))
    assert drawn.shape == image.shape
    agree = (drawn == 1) == (image == 255)
    assert agree.mean() > 0.95
    assert film["structures"]["square"] | {"probability": 1} == {
        "pixels": int((drawn == 1).sum()), "volume_ml": None, "probability": 1, "file": film["files"][0], "value": 1,
    }  # fmt: skip
    masks = nibabel.load(tmp_path / "out" / scan["files"][0])
    np.testing.assert_allclose(masks.affine, affine, atol=1e-5)
    found = np.asarray(masks.dataobj)
    assert found.shape == volume.shape
    assert ((found == 1) == (volume == 500)).mean() > 0.95
    assert scan["structures"]["square"]["volume_ml"] == pytest.approx((found == 1).sum() * 1.5 * 2 * 3 / 1000)


def test_masks_of_a_series_with_a_gap_are_arrays_and_the_row_says_so(
    files: Files, settings: Settings, painter: Model, tmp_path: Path
) -> None:
    write_series(tmp_path / "scan", [0, 2, 4, 8, 10])
    (row,) = predict_files(files, settings, painter, [tmp_path / "scan"], Silent(), tmp_path / "out")["cases"]
    assert row["note"] == "Its slices are missing, shifted or unevenly apart: nothing is measured across them."
    told = row["structures"]["square"]
    mask = np.load(tmp_path / "out" / told["file"])
    assert (len(row["files"]), told["file"][-4:], mask.shape) == (2, ".npy", (5, ROWS, COLUMNS))
    assert (told["value"], told["volume_ml"]) == (1, None)
    assert told["pixels"] == int(mask.sum())


def test_a_raw_file_is_cropped_and_windowed_as_its_case_and_nothing_is_painted_on_what_was_cut(
    connection: sqlite3.Connection, files: Files, settings: Settings, painted_squares: PaintedSquares, painter: Model,
    make_case: Any, tmp_path: Path,
) -> None:  # fmt: skip
    seen = {"size": SIZE, "channels": 1, "resize": "crop", "window": "training set", "window_values": [500.0, 1000.0]}
    set_model_fact(connection, painter.id, "input", seen)
    model = get_model(connection, None, painter.id)
    pixels = np.full((20, 60), 100, np.uint16)
    pixels[4:14, 24:36] = 900  # seen
    pixels[4:14, 2:12] = 900  # beyond the middle square
    pixels[16:18, 30:33] = 700  # too dark for the threshold, whatever else is on the image
    Image.fromarray(pixels).save(tmp_path / "film.png")
    case = make_case("film.png", pixels=pixels, into=painted_squares.project)
    paint_cases(connection, files, model, [case.id], Silent())
    square = next(mask for mask in find_predicted_masks(connection, model.id, case.id) if mask.structure == "square")
    kept = read_kept_mask(files, square.mask_hash, case)[0]
    told = predict_files(files, settings, model, [tmp_path / "film.png"], Silent(), tmp_path / "out")["cases"][0]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / told["files"][0])), kept)
    wanted = pixels == 900
    wanted[:, :20] = False
    assert (kept == wanted).mean() > 0.97
    assert not kept[:, :20].any()
    assert not kept[16:].any()


def test_the_drafts_of_a_model_that_paints_are_its_masks_on_every_case_images_and_volumes_alike(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, painter: Model, actor: Actor
) -> None:
    assisted = set_assist_model(connection, painted_squares.project, painter.id, actor=actor)
    assert count_without_draft(connection, assisted) == 18
    assert make_drafts(connection, files, assisted, Silent())["cases"] == 18
    assert count_without_draft(connection, assisted) == 0
    assert all(find_predicted_masks(connection, painter.id, case.id) for case in painted_squares.cases)


def test_what_is_not_for_masks_says_so(connection: sqlite3.Connection, files: Files, painter: Model) -> None:
    with pytest.raises(InvalidInput, match="a model that paints shows its answer itself"):
        check_explanations(connection, files, painter.id, Silent())


def test_an_ensemble_paints_where_the_mean_of_its_members_is_sure_and_moved_views_come_back(
    connection: sqlite3.Connection, files: Files, settings: Settings, painted_squares: PaintedSquares, painter: Model,
    frozen: Snapshot, actor: Actor,
) -> None:  # fmt: skip
    run, _ = request_training(
        connection, painted_squares.project, frozen, get_run(connection, painter.run).recipe, actor=actor
    )
    blind = add_model(
        connection, run, keras_hash="0" * 64, onnx_left_out_because=None, parameters=2, file_bytes=9,
        facts=painter.facts, seconds=1.0, actor=actor,
    )  # fmt: skip
    set_onnx(connection, blind.id, files.put_bytes("models", make_painter(second=0.9)), None)
    both = make_ensemble(
        connection, files, painter.project, "both", [painter, get_model(connection, None, blind.id)], actor=actor
    )
    images = np.full((1, SIZE, SIZE, 1), 200, np.uint8)
    np.testing.assert_allclose(open_predictor(files, both).answer(images)[0, 0, 0], [200 / 255, 90 / 255], rtol=1e-5)
    alone, together = (evaluated(connection, files, settings, model) for model in (painter, both))
    assert together["metrics"] == alone["metrics"]  # they say the same of squares, and half is too little for a ghost
    assert "spread" not in together
    moved = with_views(connection, files, painter, actor=actor)
    assert evaluated(connection, files, settings, moved)["metrics"]["dice"]["value"] > 0.8


def test_a_painters_doubt_is_mapped_where_its_probability_is_near_one_half(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, painter: Model, tmp_path: Path
) -> None:
    np.testing.assert_allclose(entropy_of(np.array([0.5, 0, 1, 0.11])), [1, 0, 0, 0.4999], atol=1e-4)
    case = painted_squares.cases[1]
    asked = {"model": painter.id, "case": case.id, "class": "square", "method": "doubt", "overlay": True}
    result = explain_case(connection, files, asked, tmp_path, Silent(), {})
    found = np.load(files.path("explanations", result["explanation"]))
    assert found.shape == (case.rows, case.columns)
    assert 0 <= found.min() <= result["mean_doubt"] <= found.max() <= 1
    assert Path(result["overlay"]).exists()
    with pytest.raises(InvalidInput, match=r"structures are square, ghost\. Received: .liver"):
        explain_case(connection, files, asked | {"class": "liver"}, tmp_path, Silent(), {})
    with pytest.raises(InvalidInput, match="Received: 4 frames"):
        explain_case(connection, files, asked | {"case": painted_squares.cases[-1].id}, tmp_path, Silent(), {})


def test_the_doubt_of_a_volume_is_mapped_frame_by_frame_or_from_windows(
    connection: sqlite3.Connection, files: Files, painted_squares: PaintedSquares, painter: Model, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    case = painted_squares.cases[17]
    asked = {"model": painter.id, "case": case.id, "class": None, "method": "doubt", "overlay": True}
    assert asks_volume_doubt(connection, asked)
    assert not asks_volume_doubt(connection, asked | {"case": painted_squares.cases[1].id})
    assert not asks_volume_doubt(connection, asked | {"method": "grad_cam"})
    result = explain_volume_doubt(connection, files, asked, tmp_path, Silent())
    found = np.load(files.path("explanations", result["explanation"]))
    seen = model_frames(files.read_array("pixels", case.pixel_hash), case, InputSpec(SIZE, 1, "pad"))
    assert found.shape == (case.frames, case.rows, case.columns)
    expected = [entropy_of(from_square(frame[..., 0] / 255, case.rows, case.columns, InputSpec(SIZE, 1, "pad")))
                for frame in seen]  # fmt: skip
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert result["mean_doubt"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert result["frame"] == 1 + int(np.argmax([frame.mean() for frame in expected]))
    assert Path(result["overlay"]).exists()
    with pytest.raises(InvalidInput, match=r"The structures are square, ghost\. Received: 'moon'"):
        explain_volume_doubt(connection, files, asked | {"class": "moon"}, tmp_path, Silent())
    in_windows = replace(
        open_predictor(files, painter), spec=PatchSpec((4, 8, 8), (2.0, 0.5, 0.5)),
        answer=lambda patches: np.repeat(patches / np.float32(255), 2, axis=-1),
    )  # fmt: skip
    pixels = files.read_array("pixels", case.pixel_hash)
    whole = map_volume_doubt(in_windows, case, pixels, 0, Silent())
    assert whole.values.shape == pixels.shape
    assert whole.values[0].astype(float) == pytest.approx(entropy_of(_shown(case, pixels)[0] / 255), abs=2e-3)
    monkeypatch.setattr("core.evaluation.volume_doubt.MOST_KEPT", pixels.size // 4)
    smaller = map_volume_doubt(in_windows, case, pixels, 0, Silent())
    assert smaller.values.shape == (4, 8, 8)
    assert (smaller.mean, smaller.frame) == (whole.mean, whole.frame)


def _shown(case: Any, pixels: np.ndarray) -> np.ndarray:
    return np.stack([to_uint8(frame, case.photometric, (volume_window(pixels),)) for frame in pixels])


def test_a_volume_that_is_painted_window_by_window_tells_how_far_it_is_and_stops_when_asked(
    files: Files, settings: Settings, painter: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Watched(Silent):
        def __init__(self) -> None:
            self.told: list[tuple[float, str]] = []

        def report(self, fraction: float, note: str, **facts: object) -> None:
            self.told.append((fraction, note))

    class Impatient(Watched):
        def should_stop(self) -> bool:
            return any("painting" in note for _, note in self.told)

    in_windows = replace(
        open_predictor(files, painter), spec=PatchSpec((4, 8, 8), (1.0, 1.0, 1.0)),
        answer=lambda patches: np.repeat(patches / np.float32(255), 2, axis=-1),
    )  # fmt: skip
    monkeypatch.setattr("core.evaluation.predict_files.open_predictor", lambda *_: in_windows)
    values = np.random.default_rng(0).integers(0, 200, (12, 12, 16)).astype(np.int16)
    for name in ("one.nii", "two.nii"):
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / name)
    paths, out = [tmp_path / "one.nii", tmp_path / "two.nii"], tmp_path / "out"
    watched = Watched()
    assert predict_files(files, settings, painter, paths, watched, out)["predicted"] == 2
    fractions = [fraction for fraction, _ in watched.told]
    assert fractions == sorted(fractions)
    assert any("painting, frame" in note and 0.5 <= fraction < 1 for fraction, note in watched.told)
    with pytest.raises(Stopped):
        predict_files(files, settings, painter, paths, Impatient(), out)
