"""How many failures there are of a kind, of which a list shows the first few."""

import numpy as np
import pytest

from core.measures.classification import measure_classification
from core.reviews.failures import count_failures, list_failures
from core.reviews.meetings import add_review, get_evaluation_of, open_results
from tests.core.reviews.other_tasks import measured_masks, measured_numbers


def test_missed_and_false_alarms_are_counted_as_they_are_listed(connection, room, actor) -> None:
    review = open_results(
        connection, add_review(connection, room.project, room.model, criteria=[], actor=actor), actor=actor
    )
    result = get_evaluation_of(connection, review).result
    total = 0
    for kind in ("missed", "false alarm"):
        for name in ("normal", "pneumonia"):
            listed = list_failures(connection, room.project, review, kind, name, limit=100)
            assert count_failures(result, kind, name) == len(listed)
            total += len(listed)
    assert total, "nothing was wrong, so nothing was tested"


def test_of_several_labels_each_is_counted_by_itself() -> None:
    targets = np.array([[1, 0], [1, 1], [0, 1], [0, 0]] * 5)
    scores = np.array([[0.2, 0.9], [0.9, 0.1], [0.9, 0.1], [0.1, 0.1]] * 5)
    result = measure_classification(
        targets, scores, [f"p{at}" for at in range(20)], classes=("mass", "nodule"), multi_label=True, resamples=20
    ).to_json()
    assert [count_failures(result, "missed", one) for one in ("mass", "nodule")] == [5, 10]
    assert [count_failures(result, "false alarm", one) for one in ("mass", "nodule")] == [5, 5]


@pytest.mark.parametrize(("make", "kind", "of"), [(measured_numbers, "largest error", ""),
                                                  (measured_masks, "lowest Dice", "liver")])  # fmt: skip
def test_every_case_with_an_error_or_a_dice_counts(connection, files, actor, make, kind, of) -> None:
    found = make(connection, files, actor)
    review = open_results(
        connection, add_review(connection, found.project, found.model, criteria=[], actor=actor), actor=actor
    )
    listed = list_failures(connection, found.project, review, kind, of, limit=100)
    assert count_failures(get_evaluation_of(connection, review).result, kind, of) == len(listed) == 8


def test_a_document_that_does_not_tell_has_no_count() -> None:
    assert count_failures({}, "missed", "pneumonia") is None
    assert count_failures({"counts": {}}, "lowest Dice", "liver") is None
