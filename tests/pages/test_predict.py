"""The page Predict: what it offers, what it shows of answers, and the alarm of the drift watch on the home page."""

import json
import sqlite3
from typing import Any, Literal

import pandas as pd

from core.datasets.records import Snapshot, list_snapshot_cases
from core.evaluation.abstention import freeze_rule
from core.evaluation.records import add_evaluation, store_abstention, store_predictions
from core.evaluation.run import evaluate_model
from core.images.records import Case
from core.jobs.records import add_job, claim_job, finish_job, list_jobs
from core.progress import Silent
from core.projects.records import Project
from core.reviews.meetings import add_review, open_results
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.training.records import Model
from tests.core.reviews.other_tasks import measured_numbers
from tests.pages.conftest import OpenPage, said

RULE = {
    "unlike": False, "limit": 0.8, "aim": 0.95, "n": 40, "n_patients": 20, "n_answered": 30,
    "coverage": {"value": 0.75, "low": 0.6, "high": 0.86}, "accuracy": {"value": 0.967, "low": 0.83, "high": 0.99},
    "curve": {"limits": [0.9, 0.8], "coverage": [0.5, 0.75], "accuracy": [1.0, 0.967]},
}  # fmt: skip
SHIFT = {
    "name": "pixels: brightness", "distance": 0.61, "low": 0.42, "high": 0.8, "p": 0.0001, "n_before": 80, "n_now": 40,
    "before": "120", "now": "60", "alarms": True,
}  # fmt: skip


def forget_snapshot_case(connection: sqlite3.Connection, case: Case) -> None:
    """As if the case had come in after the snapshot was frozen."""
    with connection:
        connection.execute("DELETE FROM snapshot_cases WHERE case_id = ?", (case.id,))


def test_new_cases_are_asked_about_and_withheld_answers_keep_their_numbers(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model, actor: Actor
) -> None:
    for case in cases[:3]:
        forget_snapshot_case(connection, case)
    with connection:
        connection.execute("DELETE FROM predictions")
    store_predictions(connection, model, project.schema, {cases[0].id: [0.9, 0.1], cases[1].id: [0.45, 0.55]})  # type: ignore[arg-type]
    with connection:
        store_abstention(connection, model, RULE, actor)
    app = open_page("predict", project=project.id, model=model.id)
    assert not app.exception
    table = app.dataframe[0].value
    assert table["answer"].tolist() == ["normal", "no answer: read it yourself"]
    assert table["withheld because"].tolist()[1] == "sure at 0.550, below 0.800"
    assert table["p(normal)"].isna().tolist() == [False, True]
    button = app.button(key="predict_start")
    assert button.label == "Predict 1 case"
    button.click().run()
    (job,) = list_jobs(connection, kinds=("predict_cases",))
    assert job.arguments == {"model": model.id, "cases": [cases[2].id]}


def test_what_a_model_cannot_take_in_and_why_it_failed_is_told_beside_what_waits(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model, actor: Actor
) -> None:
    odd, *others = cases[:3]
    for case in cases[:3]:
        forget_snapshot_case(connection, case)
    with connection:
        connection.execute("DELETE FROM predictions")
    store_predictions(connection, model, project.schema, {one.id: [0.9, 0.1] for one in others})  # type: ignore[arg-type]
    refused = [{"case": odd.id, "reason": "Received: MR"}, {"case": others[0].id, "reason": "answered since"}]

    def end(state: Literal["done", "failed"], **told: Any) -> None:
        add_job(connection, "predict_cases", {"model": model.id, "cases": []}, project=project.id, actor=actor)
        running = claim_job(connection, "work", "cpu")
        assert running is not None
        finish_job(connection, running, state, **told)

    end("done", result={"refused": refused})
    app = open_page("predict", project=project.id, model=model.id)
    assert not app.exception
    assert app.dataframe[0].value["reason"].tolist() == ["Received: MR"]
    end("failed", error="The pixels of case 7 were altered.")
    app = open_page("predict", project=project.id, model=model.id)
    assert [one.value for one in app.error] == ["The pixels of case 7 were altered."]
    with connection:
        connection.execute("UPDATE projects SET assist_model = ? WHERE id = ?", (model.id, project.id))
    add_job(connection, "draft", {"project": project.id}, project=project.id, actor=actor)
    running = claim_job(connection, "work", "cpu")
    assert running is not None
    finish_job(connection, running, "done", result={"model_id": model.id, "refused": refused[:1]})
    home = open_page("overview", project=project.id)
    assert not home.exception
    assert ["Received: MR"] in [table.value.get("reason", pd.Series()).tolist() for table in home.dataframe]


def test_drift_is_told_on_the_home_page_with_the_way_to_what_to_do(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model
) -> None:
    told = {"state": "drifted", "sentence": "New cases differ in brightness.", "quantities": [SHIFT], "notes": []}
    with connection:
        connection.execute(
            """INSERT INTO stages (project, model, stage, reason, by, at)
               VALUES (?, ?, 'production', '', 'anna', '2026-01-02T00:00:00.000Z')""",
            (project.id, model.id),
        )
        connection.execute(
            "INSERT INTO drift_checks (project, model, told, made_at) VALUES (?, ?, ?, '2026-01-03T00:00:00.000Z')",
            (project.id, model.id, json.dumps(told)),
        )
    home = open_page("projects")
    assert not home.exception
    assert [one.value for one in home.warning if "differ" in one.value] == ["New cases differ in brightness."]
    assert "See the drift and what to do" in said(home)
    page = open_page("predict", project=project.id)
    assert "drift_now" not in [button.key for button in page.button], "only the tab that is open is drawn"
    page = open_page("predict", project=project.id, tab="drift")
    assert [button.key for button in page.button if button.key in ("drift_now", "predict_start")] == ["drift_now"]
    assert "Evaluate the model on some that are labelled" in said(page)
    assert page.dataframe[-1].value["distance"].tolist() == ["0.61 (0.42 to 0.80)"]


def test_a_rule_names_the_split_of_each_of_its_numbers(
    open_page: OpenPage,
    connection: sqlite3.Connection,
    project: Project,
    snapshot: Snapshot,
    model: Model,
    actor: Actor,
) -> None:
    with connection:
        store_abstention(connection, model, RULE | {"test_uses": 1}, actor)
    text = said(open_page("predict", project=project.id, model=model.id, tab="abstention"))
    assert "On **validation**, where the limit was chosen (so these numbers flatter)" in text
    assert "frozen after the test split had been used once." in text
    assert "Not told on **test** yet" in text
    share = {"value": 0.8, "low": 0.7, "high": 0.9}
    told = {"n": 40, "n_patients": 20, "n_answered": 32, "coverage": share, "error": share, "error_of_all": share}
    result = {"task": "classification", "split": "test", "abstention": told}
    add_evaluation(connection, model_id=model.id, snapshot_id=snapshot.id, split="test", result=result, actor=actor)
    text = said(open_page("predict", project=project.id, model=model.id, tab="abstention"))
    assert "On **test** it answers **80.0 % (70.0 to 90.0)** of 40 cases of 20 patients" in text
    assert "wrongly (n = 32)" in text
    assert "Not told on" not in text


def test_drift_says_how_many_patients_are_missing_and_queues_nothing_until_they_are_there(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, cases: list[Case], model: Model
) -> None:
    with connection:
        connection.execute(
            """INSERT INTO stages (project, model, stage, reason, by, at)
               VALUES (?, ?, 'production', '', 'anna', '2020-01-02T00:00:00.000Z')""",
            (project.id, model.id),
        )
    for case in cases[:5]:  # of three patients
        forget_snapshot_case(connection, case)
    app = open_page("predict", project=project.id, tab="drift")
    assert "3 of 30 patients with new cases have come in" in said(app)
    assert "27 more are needed" in said(app)
    assert app.button(key="drift_now").disabled
    with connection:
        for number, case in enumerate(cases):
            connection.execute("UPDATE cases SET patient = ? WHERE id = ?", (f"Q{number}", case.id))
    for case in cases:
        forget_snapshot_case(connection, case)
    assert "24 of 30 patients" in said(app.run())


def test_of_numbers_the_errors_of_answered_and_withheld_are_told_wherever_the_rule_is(
    open_page: OpenPage, connection: sqlite3.Connection, files: Files, settings: Settings, actor: Actor
) -> None:
    found = measured_numbers(connection, files, actor)
    tested = list_snapshot_cases(connection, found.snapshot.id, split="test")
    query = "UPDATE cases SET attributes = ? WHERE id = ?"
    with connection:
        connection.executemany(query, [('{"site": "C"}', case.case_id) for case in tested[:3]])
    freeze_rule(connection, found.model, unlike=True, actor=actor)
    evaluate_model(connection, files, settings, found.model.id, found.snapshot.id, "test", actor, Silent())
    review = open_results(
        connection, add_review(connection, found.project, found.model, criteria=[], actor=actor), actor=actor
    )
    at = {"project": found.project.id, "model": found.model.id}
    meeting = open_page("meeting", project=found.project.id, review=review.id, step="numbers")
    meeting.session_state[f"meeting_opened_{review.id}"] = True
    for app in (open_page("predict", tab="abstention", **at), open_page("evaluate", **at), meeting.run()):
        assert not app.exception
        text = said(app)
        assert "MAE, years: **4.40 (2.00 to " in text
        assert "; n = 5)** among the answered, 6.00 (2.00 to 8.00; n = 3) among those kept back." in text
