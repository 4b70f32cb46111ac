"""What an evaluation keeps of what the network sees, and what it is worth: a planted blind spot is found."""

import json

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.evaluation.appearance import NAME, keep_appearance, read_appearance
from core.evaluation.records import list_evaluations
from core.evaluation.run import evaluate_model
from core.evaluation.subgroups import find_worst
from core.measures.groups import Answers
from core.progress import Silent
from core.training.records import get_model
from tests.core.reviews.other_tasks import measured_numbers

SIZE = 32


def make_looking_onnx(weights: np.ndarray | None = None, last: str = "Softmax") -> bytes:
    """uint8 (n, 32, 32, 1): the grey of four rows of the image, then a dense layer that answers by the first alone."""
    from onnx import TensorProto, helper

    if weights is None:
        weights = np.zeros((4, 2), np.float32)
        weights[0] = -0.02, 0.02
    nodes = [
        helper.make_node("Cast", ["image"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["real", "shape"], ["rows"]),
        helper.make_node("ReduceMean", ["rows"], ["seen"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["seen", "weights"], ["logits"]),
        helper.make_node(last, ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(
        nodes,
        "looking",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [None, SIZE, SIZE, 1])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, weights.shape[1]])],
        [
            helper.make_tensor("shape", TensorProto.INT64, [3], [-1, 4, SIZE * SIZE // 4]),
            helper.make_tensor("weights", TensorProto.FLOAT, list(weights.shape), weights.ravel().tolist()),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


@pytest.fixture
def looking(project, snapshot, add_brightness_model):
    return add_brightness_model(project, snapshot, onnx=make_looking_onnx())


def test_the_last_features_are_grouped_and_kept_with_the_cases(
    connection, files, snapshot, looking, monkeypatch
) -> None:
    """Bright and dark squares, of which the model's answer tells nothing: the two groups are they."""
    monkeypatch.setattr("core.evaluation.appearance.FEWEST_CASES", 20)
    monkeypatch.setattr("core.measures.clusters.FEWEST_A_GROUP", 20)
    rows = connection.execute("SELECT id, source, pixel_hash FROM cases ORDER BY id").fetchall()
    ids = [row["id"] for row in rows]
    bright = [files.read_array("pixels", row["pixel_hash"]).mean() > 127 for row in rows]
    scores = np.full((len(ids), 2), 0.5)
    assert read_appearance(files, looking, ids) is None
    keep_appearance(connection, files, looking, ids, scores, Silent())
    kept = read_appearance(files, looking, ids)
    assert kept is not None
    assert len(set(zip(kept.groups, bright, strict=True))) == 2
    assert set(kept.groups) == {"group 1", "group 2"}
    assert len(kept.distance) == len(ids)
    assert read_appearance(files, looking, ids[1:]) is None  # other cases, another look


def test_an_evaluation_leaves_the_groups_of_its_split(
    connection, files, settings, actor, snapshot, looking, monkeypatch
) -> None:
    monkeypatch.setattr("core.evaluation.appearance.FEWEST_CASES", 2)
    evaluate_model(connection, files, settings, looking.id, snapshot.id, "test", actor, Silent())
    assert len(list_evaluations(connection, model_id=looking.id)) == 1
    assert len(list((settings.home / "prepared").glob("*/*.npy"))) == 2  # the images, and that they are too few


def test_a_group_that_only_the_network_sees_is_the_worst_slice() -> None:
    random, n = np.random.default_rng(2), 900
    seen = random.integers(0, 3, n)
    positive = random.random(n) < 0.5
    called = positive & (random.random(n) > np.where(seen == 1, 0.4, 0.05))
    answers = Answers(positive, called, random.random(n), called == positive, np.arange(n))
    groups = [f"group {number + 1}" for number in seen]
    worst, tried = find_worst(answers, {NAME: groups, "sex": ["F", "M"] * (n // 2)}, "sensitivity")
    assert dict(worst[0].where)[NAME] == "group 2"
    assert worst[0].differs
    assert tried == 3 + 2 + 6


def test_an_evaluation_of_numbers_leaves_groups_too(connection, files, settings, actor, monkeypatch) -> None:
    found = measured_numbers(connection, files, actor)
    rows = connection.execute("SELECT id, pixel_hash FROM cases WHERE project = ?", (found.project.id,)).fetchall()
    for at, row in enumerate(rows):  # stripes of two kinds, of which the answer, a sum over the rows, tells nothing
        stripes = np.random.default_rng(at).integers(0, 9, (SIZE, SIZE)).astype(np.uint8)
        stripes[SIZE // 4 * (at % 2) : SIZE // 4 * (at % 2 + 1)] += 200
        connection.execute(
            "UPDATE cases SET pixel_hash = ?, rows = ?, columns = ? WHERE id = ?",
            (files.put_array("pixels", stripes), SIZE, SIZE, row["id"]),
        )
    facts = {**found.model.facts, "input": {"size": SIZE, "channels": 1, "resize": "stretch"}}
    onnx = files.put_bytes("models", make_looking_onnx(np.full((4, 1), 0.1, np.float32), "Identity"))
    connection.execute(
        "UPDATE models SET onnx_hash = ?, facts = ? WHERE id = ?", (onnx, json.dumps(facts), found.model.id)
    )
    monkeypatch.setattr("core.evaluation.appearance.FEWEST_CASES", 2)
    monkeypatch.setattr("core.measures.clusters.FEWEST_A_GROUP", 3)
    evaluate_model(connection, files, settings, found.model.id, found.snapshot.id, "test", actor, Silent())
    tested = [case.case_id for case in list_snapshot_cases(connection, found.snapshot.id, split="test")]
    kept = read_appearance(files, get_model(connection, None, found.model.id), tested)
    assert kept is not None
    kinds = {row["id"]: at % 2 for at, row in enumerate(rows)}
    assert len(set(zip(kept.groups, (kinds[case_id] for case_id in tested), strict=True))) == 2
