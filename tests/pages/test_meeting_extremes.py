"""Results that leave a number undefined, or too good to be believed: no step of a meeting breaks, each says why."""

import sqlite3
from collections.abc import Callable

import numpy as np
import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import Snapshot, list_snapshot_cases
from core.evaluation.records import add_evaluation, store_predictions
from core.images.records import Case
from core.measures.bands import bands_of
from core.measures.classification import measure_classification
from core.progress import Silent
from core.projects.records import Project
from core.reviews.criteria import parse_criterion
from core.reviews.meetings import Review, add_review, open_results
from core.store.audit import Actor
from core.store.files import Files
from core.tasks.classification import encode_targets
from core.training.recipe import named_recipe
from core.training.records import add_model, add_run, get_run
from dashboard.meeting_view import STEPS
from tests.pages.conftest import CLASSES, OpenPage, said

Scores = Callable[[np.ndarray], np.ndarray]
SENSITIVE = parse_criterion("sensitivity of normal at least 0.5")


def reviewed(connection: sqlite3.Connection, project: Project, snapshot: Snapshot, say: Scores, actor: Actor) -> Review:
    """An opened review of a model that says what `say` makes of the 0/1 targets, compared with a twin of it."""
    tested = list_snapshot_cases(connection, snapshot.id, split="test")
    targets = encode_targets(snapshot.schema, [case.value for case in tested]).astype(int)  # type: ignore[arg-type]
    answers = {case.case_id: row.tolist() for case, row in zip(tested, say(targets), strict=True)}
    patients = [case.patient for case in tested]
    measured = measure_classification(targets, say(targets), patients, classes=CLASSES, resamples=50).to_json()
    measured["bands"] = bands_of(targets, say(targets), patients, classes=CLASSES, resamples=50)
    made = []
    for name in ("extreme", "twin"):
        run = add_run(
            connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe("cnn"), name=name, actor=actor
        )
        model = add_model(
            connection, get_run(connection, run.id), keras_hash="0" * 64, onnx_left_out_because="it is a test",
            parameters=1, file_bytes=1, facts={"classes": list(CLASSES), "multi_label": False}, seconds=1.0,
            actor=actor,
        )  # fmt: skip
        store_predictions(connection, model, snapshot.schema, answers)  # type: ignore[arg-type]
        result = {"task": "classification", "split": "test", "warnings": [], "test_uses": 1, **measured}
        add_evaluation(connection, model_id=model.id, snapshot_id=snapshot.id, split="test", result=result, actor=actor)
        made.append(model)
    review = add_review(connection, project, made[0], criteria=[SENSITIVE], production=made[1], actor=actor)
    return open_results(connection, review, actor=actor)


def walk(open_page: OpenPage, review: Review) -> dict[str, str]:
    """What each step says; none of them breaks."""
    app = open_page("meeting", project=review.project, review=review.id)
    app.session_state[f"meeting_opened_{review.id}"] = True
    told = {}
    for step in (one for one in STEPS if one.opens):
        app.query_params["step"] = step.key
        told[step.key] = said(app.run())
        assert not app.exception, (step.key, app.exception)
    return told


@pytest.mark.parametrize(
    ("say", "step", "words"),
    [
        (lambda targets: targets * 0.98 + 0.01, "failures", "None on the test split"),
        (lambda targets: 0.99 - targets * 0.98, "numbers", "<b>0.000</b>"),
        (lambda targets: np.full(targets.shape, 0.5), "numbers", "<b>0.500</b>"),
    ],
    ids=["all right", "all wrong", "constant scores"],
)
def test_no_step_breaks_on(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, snapshot: Snapshot, actor: Actor,
    say: Scores, step: str, words: str,
) -> None:  # fmt: skip
    told = walk(open_page, reviewed(connection, project, snapshot, say, actor))
    assert words in told[step]
    assert "difference beyond noise" in told["comparison"] or "cannot be told apart" in told["comparison"]


def test_one_patient_and_a_class_without_a_case_are_undefined_with_the_reason(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, project: Project, cases: list[Case],
    actor: Actor,
) -> None:  # fmt: skip
    connection.execute("UPDATE cases SET given_split = CASE WHEN patient = 'P11' THEN 'test' "
                       "WHEN patient IN ('P9', 'P10') THEN 'validation' ELSE 'train' END")  # fmt: skip
    snapshot = freeze_snapshot(connection, files, project, "lone", split_column="split", actor=actor, progress=Silent())
    review = reviewed(connection, project, snapshot, lambda targets: targets * 0.8 + 0.1, actor)
    (outcome,) = review.outcomes or ()
    assert outcome.state == "not met (undefined)"
    told = walk(open_page, review)
    assert "not met (undefined)" in told["criteria"]
    assert "no interval" in told["numbers"]
    assert "undefined" in told["threshold"]  # no case is without the class, so there is no specificity
    assert "cannot be told apart" in told["comparison"]
