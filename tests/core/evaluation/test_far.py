"""Distance to the training cases in what the network sees: a planted stranger is found, however sure the model is."""

import numpy as np
import pytest

from core.datasets.records import list_snapshot_cases
from core.evaluation.doubtful import far_from_training
from core.evaluation.far import keep_distances, measure_distances, read_distances
from core.evaluation.run import evaluate_model
from core.progress import Silent
from core.training.request import training_cases
from tests.core.evaluation.test_appearance import make_looking_onnx


@pytest.fixture
def looking(project, snapshot, add_brightness_model, monkeypatch):
    monkeypatch.setattr("core.evaluation.far.FEWEST", 4)
    return add_brightness_model(project, snapshot, onnx=make_looking_onnx())


def test_distances_are_those_of_the_nearest_counted_by_hand() -> None:
    training = np.array([[0.0, 5.0], [1.0, 5.0], [3.0, 5.0], [8.0, 5.0]])
    spread = training[:, 0].std()
    found = measure_distances(np.array([[2.0, 5.0], [2.0, 5.0 + spread / 2]]), training)
    # the second feature never moved in training: it counts by the mean spread, half of the first one's
    by_hand = [np.hypot(np.abs(training[:, 0] - 2) / spread, up).mean() for up in (0.0, 1.0)]
    np.testing.assert_allclose(found, by_hand)


def test_a_stranger_of_which_the_model_is_sure_is_first(
    connection, files, project, snapshot, looking, add_square
) -> None:
    """Black where all that it learnt was grey: surer than any of them, and further than any of them."""
    black = add_square(project, "black.png", "stranger", 0, ["normal"])
    train, validation = training_cases(connection, snapshot, None)
    usual = [case.case_id for case in validation]
    ids = [*usual, black.id]
    assert read_distances(files, looking, ids) is None
    keep_distances(connection, files, looking, ids, None, Silent())
    found = read_distances(files, looking, ids)
    assert found is not None
    assert (found.n_training, found.n_validation) == (len(train), len(validation))
    listed = far_from_training(found, ids)
    assert listed[0].case_id == black.id
    assert "times the usual limit" in listed[0].why
    assert len(listed) <= 2  # of the validation cases at most the one that makes the percentile
    assert found.limit == pytest.approx(np.percentile(found.distance[:-1], 99), rel=1e-6)


def test_an_evaluation_leaves_them_and_too_few_cases_leave_none(
    connection, files, settings, actor, snapshot, looking, monkeypatch
) -> None:
    evaluate_model(connection, files, settings, looking.id, snapshot.id, "test", actor, Silent())
    tested = [case.case_id for case in list_snapshot_cases(connection, snapshot.id, split="test")]
    assert read_distances(files, looking, tested) is not None
    monkeypatch.setattr("core.evaluation.far.FEWEST", 10_000)
    keep_distances(connection, files, looking, tested[1:], None, Silent())
    assert read_distances(files, looking, tested[1:]) is None


def test_a_network_without_a_dense_layer_has_no_distances(connection, files, snapshot, model, monkeypatch) -> None:
    monkeypatch.setattr("core.evaluation.far.FEWEST", 4)
    keep_distances(connection, files, model, [1, 2], None, Silent())
    assert read_distances(files, model, [1, 2]) is None
