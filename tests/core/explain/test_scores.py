"""The numbers of one map on request: against random places, under noise, and where readers marked something."""

from typing import Any

import numpy as np
import pytest

from core.errors import InvalidInput
from core.explain import scores as explain_scores
from core.explain.run import explain_case
from core.explain.scores import FLAT, PLACES, score_map
from core.explain.told_scores import describe_scores
from core.jobs.explaining import ask_explanation
from core.labels.marks import NewMark, add_mark
from core.labels.records import new_event
from core.progress import Silent


@pytest.fixture
def ask(connection, files, model, tmp_path):
    kept: dict[str, Any] = {}

    def of(case_id: int, method: str = "occlusion") -> dict[str, Any]:
        arguments = {"model": model.id, "case": case_id, "class": "pneumonia", "method": method}
        explained = explain_case(connection, files, arguments, tmp_path, Silent(), kept)
        return score_map(connection, files, arguments, explained, Silent(), kept)

    return of


def mark(connection, actor, planted, case_id: int) -> None:
    (rows, columns) = np.nonzero(planted.masks[case_id])
    box = {"x": float(columns.min()), "y": float(rows.min()), "width": 5.0, "height": 5.0}
    add_mark(connection, NewMark(new_event(), case_id, actor.name, "m1", "box", box, label="pneumonia"), actor)


def test_a_map_that_marks_what_decides_beats_random_places_and_points_at_the_mark(
    connection, planted, actor, ask, monkeypatch
) -> None:
    case_id = next(case for case, mask in planted.masks.items() if mask.any())
    unmarked = ask(case_id)
    assert (unmarked["pointing"], unmarked["overlap"], unmarked["marked_by_chance"]) == (None, None, None)
    assert "no reader marked" in str(describe_scores(unmarked))
    mark(connection, actor, planted, case_id)
    told = ask(case_id)
    assert told["key"] != unmarked["key"], "what was marked since is another question"
    assert told["deletion"] < told["deletion_random"]
    assert told["insertion"] > told["insertion_random"]
    for name in ("deletion", "insertion"):
        assert told[f"{name}_random_low"] <= told[f"{name}_random"] <= told[f"{name}_random_high"]
        assert told[name] == unmarked[name]
    assert told["stability"] > 0.5
    assert told["pointing"] == 1
    assert told["overlap"] > told["marked_by_chance"]
    assert told["places"] == PLACES
    lines = {name: (value, against) for name, value, against in describe_scores(told)}
    assert lines["pointing"][0] == "hit"
    assert "at 10 random places" in lines["deletion"][1]
    monkeypatch.setattr(explain_scores, "tool_at_work", lambda *_: pytest.fail("it is kept"))
    assert ask(case_id) == told


def test_a_flat_map_has_no_numbers_and_says_why(planted, ask, monkeypatch) -> None:
    class Flat:
        def explain(self, images, classes):
            return np.zeros((len(images), 4, 4), np.float32), np.full((len(images), 2), 0.5)

    monkeypatch.setattr(explain_scores, "tool_at_work", lambda *_: Flat())
    told = ask(next(iter(planted.masks)))
    assert told["reason"] == FLAT
    assert {told[name] for name in ("deletion", "insertion_random", "stability", "overlap")} == {None}
    assert describe_scores(told) == [("no numbers", "undefined", FLAT)]


def test_scores_wait_beside_the_quick_ones_and_are_not_of_doubt(connection, planted, model, actor) -> None:
    asked = {"model": model.id, "case": next(iter(planted.masks)), "class": None, "method": "grad_cam"}
    project = planted.project.id
    lanes = [
        ask_explanation(connection, asked | more, project=project, actor=actor).lane for more in ({}, {"scores": True})
    ]
    assert lanes == ["explain", "work"]
    with pytest.raises(InvalidInput, match=r"evidence\. Received: doubt"):
        ask_explanation(connection, asked | {"method": "doubt", "scores": True}, project=project, actor=actor)
