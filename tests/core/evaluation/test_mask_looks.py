"""What an evaluation of masks keeps beside them: how surely they are contradicted, and what the network sees."""

import sqlite3
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.datasets.records import Snapshot, list_snapshot_cases
from core.evaluation.appearance import read_appearance
from core.evaluation.doubtful import pair_twins
from core.evaluation.doubtful_masks import (
    SaidMasks,
    against_readers,
    apart_by_masks,
    least_sure_painted,
    read_said_masks,
    suspect_painting,
)
from core.evaluation.looking import Seen, _open_keras, open_looking
from core.evaluation.mask_looks import keep_painted_appearance, read_looks
from core.evaluation.painting import compare_cases, paint_cases, probable_frames
from core.evaluation.predictor import open_predictor
from core.evaluation.records import find_evaluation, find_predictions
from core.images.records import get_case
from core.labels.mask_store import keep_mask
from core.labels.records import NewLabel, add_label, new_event
from core.measures.mask_errors import Contradicted
from core.people.accounts import ensure_user
from core.progress import Silent
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.tasks.segmentation import thresholds_of
from core.training.records import Model
from tests.core.conftest import PaintedSquares
from tests.core.evaluation.test_painting import SIZE, evaluated, frozen, painter  # noqa: F401


def make_convolving() -> bytes:
    """uint8 (n, 16, 16, 1) to probabilities (n, 16, 16, 2) by a convolution of size 1 over grey and its square, with
    channels second, as an export writes it."""
    from onnx import TensorProto, helper

    def constant(name: str, values: Any, shape: list[int], kind: int = TensorProto.FLOAT) -> Any:
        return helper.make_tensor(name, kind, shape, values)

    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "scale"], ["grey"]),
        helper.make_node("Transpose", ["grey"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Mul", ["first", "first"], ["squared"]),
        helper.make_node("Concat", ["first", "squared"], ["features"], axis=1),
        helper.make_node("Conv", ["features", "weights", "bias"], ["logits"], kernel_shape=[1, 1]),
        helper.make_node("Sigmoid", ["logits"], ["said"]),
        helper.make_node("Transpose", ["said"], ["probabilities"], perm=[0, 2, 3, 1]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolving",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [None, SIZE, SIZE, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, SIZE, SIZE, 2])],
        [
            constant("scale", [1 / 255], [1]),
            constant("weights", [20.0, 0.0, 0.0, 0.0], [2, 2, 1, 1]),
            constant("bias", [-14.0, -9.0], [2]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


@pytest.fixture
def convolving(files: Files, painter: Model, connection: sqlite3.Connection) -> Model:  # noqa: F811
    onnx = files.put_bytes("models", make_convolving())
    connection.execute("UPDATE models SET onnx_hash = ? WHERE id = ?", (onnx, painter.id))
    return replace(painter, onnx_hash=onnx)


def said_of(
    connection: sqlite3.Connection, files: Files, model: Model, snapshot: Snapshot, structure: str = "square"
) -> SaidMasks:
    evaluation = find_evaluation(connection, model.id)
    assert evaluation is not None
    return read_said_masks(connection, files, model, snapshot, evaluation, structure)


def test_an_evaluation_keeps_how_surely_each_mask_is_contradicted_of_images_and_of_volumes(
    connection: sqlite3.Connection, files: Files, settings: Settings, convolving: Model,
    frozen: Snapshot, painted_squares: PaintedSquares,  # noqa: F811
) -> None:  # fmt: skip
    evaluated(connection, files, settings, convolving)
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    looks = read_looks(files, convolving, tested)
    assert set(looks) == {case.case_id for case in tested}
    predictor, thresholds = open_predictor(files, convolving), thresholds_of(frozen.schema, convolving.calibration)
    counted, volumes = 0, 0
    for one in tested:
        case = get_case(connection, one.case_id)
        pixels = files.read_array("pixels", case.pixel_hash)
        probable = np.stack([frame[0] for frame in probable_frames(predictor, pixels, case)])
        painted, reference = probable >= thresholds[0], painted_squares.masks[case.id]
        found = looks[case.id].contradicted["square"]
        missing, surplus = painted & ~reference & (probable >= 0.9), reference & ~painted & (probable <= 0.1)
        assert (found.painted, found.missing, found.surplus) == (
            (painted | reference).sum(), missing.sum(), surplus.sum(),
        )  # fmt: skip
        assert looks[case.id].contradicted["ghost"].painted == 0
        counted, volumes = counted + found.missing + found.surplus, volumes + (case.frames > 1)
        grey = seen_grey(predictor, pixels, case)
        assert looks[case.id].features == pytest.approx(
            [grey.mean(), (grey**2).mean(), grey.std(), (grey**2).std()], abs=1e-5
        )
    assert counted
    assert volumes


def seen_grey(predictor: Any, pixels: np.ndarray, case: Any) -> np.ndarray:
    from core.images.volumes import model_frames

    return np.asarray(model_frames(pixels, case, predictor.spec), np.float64) / 255


def test_what_was_painted_before_is_looked_at_once_and_stays_as_it_is(
    connection: sqlite3.Connection, files: Files, settings: Settings, convolving: Model, frozen: Snapshot,  # noqa: F811
) -> None:  # fmt: skip
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    paint_cases(connection, files, convolving, [case.case_id for case in tested], Silent())
    masks = [tuple(row) for row in connection.execute("SELECT * FROM predicted_masks ORDER BY case_id, structure")]
    assert read_looks(files, convolving, tested) == {}
    evaluated(connection, files, settings, convolving)
    assert len(read_looks(files, convolving, tested)) == len(tested)
    assert masks == [
        tuple(row) for row in connection.execute("SELECT * FROM predicted_masks ORDER BY case_id, structure")
    ]
    files.path("models", convolving.onnx_hash or "").unlink()
    evaluated(connection, files, settings, convolving)  # nothing is asked again


def test_where_the_weights_are_gone_what_was_painted_is_still_measured_and_nothing_is_suspected(
    connection: sqlite3.Connection, files: Files, settings: Settings, convolving: Model, frozen: Snapshot,  # noqa: F811
) -> None:  # fmt: skip
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    paint_cases(connection, files, convolving, [case.case_id for case in tested], Silent())
    files.path("models", convolving.onnx_hash or "").unlink()
    assert evaluated(connection, files, settings, convolving)["n_cases"] == len(tested)
    said = said_of(connection, files, convolving, frozen)
    assert said.new
    assert (said.looked_at, suspect_painting(said)) == ({}, [])


def test_cases_are_grouped_by_what_the_network_sees_beside_how_much_it_paints(
    connection: sqlite3.Connection, files: Files, settings: Settings, convolving: Model, frozen: Snapshot,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("core.measures.clusters.FEWEST_A_GROUP", 3)
    evaluated(connection, files, settings, convolving)
    tested = list_snapshot_cases(connection, frozen.id, split="test")
    ids = [case.case_id for case in tested]
    kept = read_appearance(files, convolving, ids)
    assert kept is not None
    assert len(kept.groups) == len(tested)
    assert {"group 1", "group 2"} <= set(kept.groups)
    other = replace(convolving, keras_hash="f" * 64)  # of which nothing was looked at
    _, compared = compare_cases(connection, files, convolving, tested, Silent())
    keep_painted_appearance(connection, files, other, tested, compared)
    assert read_appearance(files, other, ids) is None


def test_a_mask_in_another_place_is_suspected_and_the_reader_who_says_otherwise_is_named(
    connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor, painted_squares: PaintedSquares,
    convolving: Model, frozen: Snapshot,  # noqa: F811
) -> None:  # fmt: skip
    """One frozen mask lies elsewhere, and of another case a second reader says that nothing is there."""
    moved, other = [
        case for case in painted_squares.cases if case.frames == 1 and painted_squares.masks[case.id].any()
        and case.id in {one.case_id for one in list_snapshot_cases(connection, frozen.id, split="test")}
    ][:2]  # fmt: skip
    mask = keep_mask(files, "square", np.roll(painted_squares.masks[moved.id], SIZE // 2, axis=(1, 2)))
    connection.execute(
        "UPDATE snapshot_masks SET mask_hash = ?, pixels = ? WHERE snapshot = ? AND case_id = ? AND structure = ?",
        (mask.mask_hash, mask.pixels, frozen.id, moved.id, "square"),
    )
    ensure_user(connection, "zoe")
    add_label(connection, NewLabel(new_event(), other.id, "zoe", {"structures": []}), actor)
    evaluated(connection, files, settings, convolving)
    said = said_of(connection, files, convolving, frozen)
    listed = suspect_painting(said)
    assert listed[0].case_id == moved.id
    found = said.looked_at[moved.id]
    assert listed[0].why == (
        f"{100 * found.share:.0f} % contradicted at {found.sure:.2f}: {found.missing:,} px missing, "
        f"{found.surplus:,} px too many"
    )
    first, *rest = against_readers(connection, painted_squares.project, said)
    assert (first.case_id, first.why) == (other.id, "paints it against 1 of 2 readers, who disagree")
    said_empty = {case_id for case_id, row in said.measured.items() if not row.reference_pixels}
    assert {one.case_id for one in rest} <= said_empty
    same = moved.pixel_hash
    connection.execute("UPDATE cases SET pixel_hash = ? WHERE id = ?", (same, other.id))
    ((one, _),) = pair_twins(connection, files, [moved.id, other.id], apart_by_masks(connection, files, said), Silent())
    assert "the same pixels" in one.why
    assert "Dice of their masks 0." in one.why


def test_a_structure_on_one_side_alone_is_told_as_such_and_learnt_cases_are_left_out(
    connection: sqlite3.Connection, files: Files, settings: Settings, convolving: Model, frozen: Snapshot,  # noqa: F811
) -> None:  # fmt: skip
    evaluated(connection, files, settings, convolving)
    said = said_of(connection, files, convolving, frozen)
    one, other = list(said.looked_at)[:2]
    sided = replace(
        said,
        looked_at={one: Contradicted(200, 190, 0, 0.95), other: Contradicted(120, 0, 80, 0.97)},
        measured={
            one: replace(said.measured[one], reference_pixels=0, predicted_pixels=200),
            other: replace(said.measured[other], reference_pixels=120, predicted_pixels=0),
        },
    )
    assert [found.why for found in suspect_painting(sided)] == [
        "none read, model paints 200 px, 190 surely (0.95)",
        "read, model paints none; 80 of 120 px surely (0.97)",
    ]
    evaluated(connection, files, settings, convolving, "train")
    evaluation = find_evaluation(connection, convolving.id, split="train")
    assert evaluation is not None
    learnt = read_said_masks(connection, files, convolving, frozen, evaluation, "square")
    assert learnt.cases
    assert (learnt.new, learnt.looked_at, suspect_painting(learnt)) == ([], {}, [])


def test_the_least_sure_of_what_is_painted_is_listed_by_its_mean_probability(
    connection: sqlite3.Connection, files: Files, settings: Settings, convolving: Model, frozen: Snapshot,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("core.evaluation.doubtful_masks.LEAST_SURE", 0.4)
    evaluated(connection, files, settings, convolving)
    said = said_of(connection, files, convolving, frozen)
    scores = {case: row[0] for case, row in find_predictions(connection, convolving.id, said.case_ids).items()}
    painted = sorted((score, case) for case, score in scores.items() if score > 0)
    listed = least_sure_painted(connection, convolving, said, 0)
    assert [one.case_id for one in listed] == [case for _, case in painted[: round(0.4 * len(painted))]]
    assert listed[0].why == f"sure at {painted[0][0]:.2f}"


def test_means_and_spreads_are_over_all_pixels_since_they_were_last_taken() -> None:
    random, seen = np.random.default_rng(0), Seen()
    assert seen.take().size == 0
    parts = [random.normal(3, 2, (n, 4, 25)).astype(np.float32) for n in (2, 5, 1)]
    for part in parts:
        seen.add(part)
    whole = np.concatenate([np.moveaxis(part, 1, 0).reshape(4, -1) for part in parts], axis=1)
    assert seen.take() == pytest.approx(np.concatenate([whole.mean(axis=1), whole.std(axis=1)]), abs=1e-5)
    seen.add(parts[0])
    assert seen.take()[:4] == pytest.approx(parts[0].mean(axis=(0, 2)), abs=1e-5)


def test_a_model_that_is_looked_at_answers_as_it_does_otherwise(files: Files, convolving: Model) -> None:
    images = np.random.default_rng(0).integers(0, 255, (3, SIZE, SIZE, 1), np.uint8)
    predictor, (seen,) = open_looking(files, convolving)
    assert np.array_equal(predictor.answer(images), open_predictor(files, convolving).answer(images))
    assert seen.take()[0] == pytest.approx(images.mean() / 255, abs=1e-5)


def test_of_a_keras_file_the_map_before_the_last_convolution_is_seen() -> None:
    import keras

    image = keras.Input((8, 8, 1))
    before = keras.layers.Rescaling(2.0, offset=1.0)(image)
    logits = keras.layers.Conv2D(1, 1, name="logits")(before)
    network = keras.Model(image, keras.layers.Activation("sigmoid", name="probabilities")(logits))
    told: list[np.ndarray] = []
    images = np.random.default_rng(0).random((2, 8, 8, 1)).astype(np.float32)
    said = _open_keras(network, "logits", told.append)(images)
    assert said == pytest.approx(np.asarray(network(images)), abs=1e-6)
    assert told[0].shape == (2, 1, 64)
    assert told[0].reshape(images.shape) == pytest.approx(2 * images + 1, abs=1e-6)
