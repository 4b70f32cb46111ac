"""Evaluate, tab by tab: all numbers with intervals, and what follows from them."""

import sqlite3
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from core.datasets.records import Snapshot, list_snapshot_cases
from core.evaluation import records
from core.evaluation.appearance import appearance_key
from core.evaluation.cross_validation import cross_validate
from core.evaluation.records import add_evaluation, find_evaluation, store_predictions
from core.jobs.records import add_job, claim_job, finish_job, list_jobs
from core.labels.case_lists import list_case_lists, list_cases_of
from core.measures.classification import measure_classification
from core.measures.shares import OF_FEW_CLUSTERS
from core.progress import Silent
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files, array_bytes
from core.training.recipe import named_recipe
from core.training.records import Model, add_model, add_run, get_run
from dashboard import numbers_view
from tests.pages.conftest import OpenPage, said


def test_all_numbers_stand_in_one_table_with_intervals(open_page: OpenPage, project: Project, model: Model) -> None:
    app = open_page("evaluate", project=project.id)
    assert "Calibration slope" not in said(app)  # what is not open is not drawn
    app.session_state["evaluate_tab"] = "All numbers"
    text = said(app.run())
    assert not app.exception
    for words in ("Kappa (Cohen)", "Matthews", "Brier score", "Calibration slope", "PPV at", "rr-whiskers"):
        assert words in text
    for words in ("Specificity, macro", "Specificity, weighted", "Specificity, micro", "Precision, weighted"):
        assert words in text
    assert "Recall, micro" not in text  # of exclusive classes the accuracy
    assert "recall, weighted, are the accuracy" in text
    for way in ("Wilson, d. e.", "bootstrap", "mirrored"):  # how each interval came about
        assert f"<small>{way}</small>" in text
    assert f"</b> {OF_FEW_CLUSTERS}" in text  # in sight, not only under the pointer


def test_a_predictive_value_follows_the_prevalence(open_page: OpenPage, project: Project, model: Model) -> None:
    app = open_page("evaluate", project=project.id)
    app.session_state["evaluate_tab"] = "All numbers"
    before = said(app.run())
    app.number_input(key="prevalence_pneumonia").set_value(1.0).run()
    assert "PPV at 1 %" in said(app)
    assert "PPV at 1 %" not in before


def test_two_models_are_compared_in_a_plain_sentence(
    connection: sqlite3.Connection,
    open_page: OpenPage,
    project: Project,
    snapshot: Snapshot,
    model: Model,
    actor: Actor,
) -> None:
    run = add_run(connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe("cnn"), actor=actor)
    other = add_model(
        connection, get_run(connection, run.id), keras_hash="1" * 64, onnx_left_out_because="none", parameters=10,
        file_bytes=10, facts={"classes": ["normal", "pneumonia"], "multi_label": False}, seconds=2.0, actor=actor,
    )  # fmt: skip
    tested = list_snapshot_cases(connection, snapshot.id, split="test")
    answers = {case.case_id: [0.1, 0.9] if case.value["classes"] == ["pneumonia"] else [0.9, 0.1] for case in tested}
    store_predictions(connection, other, snapshot.schema, answers)  # type: ignore[arg-type]
    app = open_page("evaluate", project=project.id, model=model.id)
    app.session_state["evaluate_tab"] = "Compare"
    text = said(app.run())
    assert not app.exception
    assert "Seed noise unknown" in text
    assert "Newly wrong: 1" in text
    app.button(key="newly_wrong_keep").click().run()
    (kept,) = list_case_lists(connection, project.id)
    assert list_cases_of(connection, project.id, kept.id) == [tested[0].case_id]


def test_all_folds_are_measured_together_once_each_has_a_model(
    connection: sqlite3.Connection,
    files: Files,
    settings: Settings,
    open_page: OpenPage,
    project: Project,
    snapshot: Snapshot,
    model: Model,
    actor: Actor,
) -> None:
    def add(fold: int) -> Model:
        run = add_run(
            connection, project=project.id, snapshot=snapshot.id, recipe=named_recipe("cnn"), fold=fold, actor=actor
        )
        return add_model(
            connection, run, keras_hash=f"{fold}" * 64, onnx_left_out_because="none", parameters=10, file_bytes=10,
            facts={"classes": ["normal", "pneumonia"], "multi_label": False}, seconds=2.0, actor=actor,
        )  # fmt: skip

    first = add(0)
    assert "All folds together" not in said(open_page("evaluate", project=project.id, model=model.id))
    app = open_page("evaluate", project=project.id, model=first.id)
    assert "Train the other folds by the same recipe first, 1." in said(app)
    second = add(1)
    app = open_page("evaluate", project=project.id, model=second.id)
    app.button(key=f"evaluate_folds_{first.id}").click().run()
    assert not app.exception
    (job,) = list_jobs(connection, kinds=("evaluate",))
    assert job.arguments["folds"] == [first.id, second.id]
    cases = list_snapshot_cases(connection, snapshot.id)
    for fold, one in enumerate((first, second)):
        answers = {
            case.case_id: [0.1, 0.9] if case.value["classes"] == ["pneumonia"] else [0.9, 0.1]
            for case in cases
            if case.fold == fold
        }
        store_predictions(connection, one, snapshot.schema, answers)  # type: ignore[arg-type]
        result: dict[str, Any] = {"metrics": {"balanced_accuracy": {"value": 1.0}}, "n_cases": len(answers)}
        add_evaluation(connection, model_id=one.id, snapshot_id=snapshot.id, split="test", result=result, actor=actor)
    claimed = claim_job(connection, "work", "cpu")
    assert claimed
    pooled = cross_validate(connection, files, settings, job.arguments["folds"], actor, Silent())
    finish_job(connection, claimed, "done", result=pooled)
    text = said(open_page("evaluate", project=project.id, model=second.id))
    assert f"{len(cases)} cases of {len(cases) // 2} patients." in text
    assert "balanced accuracy of each fold by itself: fold 0: 1.000" in text
    assert "erased since" not in text
    forget_two = "DELETE FROM snapshot_cases WHERE case_id IN (?, ?)"
    connection.execute(forget_two, (cases[0].case_id, cases[1].case_id))
    connection.commit()
    text = said(open_page("evaluate", project=project.id, model=second.id))
    assert "2 of these cases were erased since; the numbers still count what was erased." in text


def test_subgroups_are_shown_with_n_and_small_ones_greyed(open_page: OpenPage, project: Project, model: Model) -> None:
    app = open_page("evaluate", project=project.id, model=model.id)
    app.session_state["evaluate_tab"] = "Subgroups"
    text = said(app.run())
    assert not app.exception
    assert '<tr class=\\"few\\"><td>sex F' in text
    assert "difference to the rest" in text
    assert "Bonferroni" in text


def test_cases_that_the_network_sees_as_alike_are_subgroups_too(
    connection: sqlite3.Connection,
    open_page: OpenPage,
    files: Files,
    project: Project,
    snapshot: Snapshot,
    model: Model,
) -> None:
    tested = [case.case_id for case in list_snapshot_cases(connection, snapshot.id, split="test")]
    kept = np.column_stack([np.arange(len(tested)) % 2, np.zeros(len(tested))])
    files.put_under("prepared", appearance_key(model, tested), array_bytes(kept))
    app = open_page("evaluate", project=project.id, model=model.id)
    app.session_state["evaluate_tab"] = "Subgroups"
    app.run()
    app.multiselect(key="groups_of").set_value(["appearance"])
    text = said(app.run())
    assert not app.exception
    assert "appearance group 2" in text
    assert "2 groups of cases that the network sees as alike" in text


def test_a_suspected_label_becomes_a_worklist_with_one_click(
    connection: sqlite3.Connection, open_page: OpenPage, project: Project, snapshot: Snapshot, model: Model
) -> None:
    app = open_page("evaluate", project=project.id, model=model.id)
    app.session_state["evaluate_tab"] = "Cases to check"
    app.run()
    assert not app.exception
    app.button(key="doubtful_labels_keep").click().run()
    (kept,) = list_case_lists(connection, project.id)
    tested = list_snapshot_cases(connection, snapshot.id, split="test")
    assert list_cases_of(connection, project.id, kept.id) == [tested[0].case_id]
    assert kept.name.startswith("Suspected label errors")
    for which in ("readers", "unsure", "far", "unlike", "twins"):
        app.session_state["doubtful_list"] = which
        app.run()
        assert not app.exception


def test_kept_distances_are_read_once_and_only_for_the_list_of_them(
    open_page: OpenPage, project: Project, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Mock(return_value=None)
    monkeypatch.setattr("dashboard.doubtful_view.read_distances", read)
    app = open_page("evaluate", project=project.id, model=model.id)
    app.session_state["evaluate_tab"] = "Cases to check"
    app.run()
    read.assert_not_called()
    app.session_state["doubtful_list"] = "far"
    assert "The distance to the training cases is not kept" in said(app.run())
    read.assert_called_once()


@pytest.mark.parametrize("page", ["review", "evaluate"])
def test_the_document_of_an_evaluation_is_read_once_in_a_draw(
    open_page: OpenPage, project: Project, model: Model, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """Of many classes it is large; what else a page asks of evaluations, it asks without it."""
    read = Mock(wraps=records._evaluation)
    monkeypatch.setattr(records, "_evaluation", read)
    app = open_page(page, project=project.id)
    assert not app.exception
    assert read.call_count == 1


def test_shortcuts_of_too_few_patients_are_undefined_and_say_why(
    open_page: OpenPage, project: Project, model: Model
) -> None:
    app = open_page("evaluate", project=project.id, model=model.id)
    app.session_state["evaluate_tab"] = "Shortcuts"
    app.run()
    assert not app.exception
    assert "Too few patients with and without the class" in said(app)
    assert "is shown to predict the class well" not in said(app)


def test_of_several_labels_every_average_stands_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]] * 5)
    scores = np.where(targets == 1, 0.8, 0.2)
    scores[0] = 0.8
    result = measure_classification(
        targets, scores, [str(k) for k in range(20)], classes=["a", "b"], multi_label=True, resamples=20
    ).to_json()
    drawn: list[str] = []
    monkeypatch.setattr(numbers_view.st, "html", drawn.append)
    numbers_view.draw_numbers(result, multi_label=True)
    for measure in ("Precision", "Recall", "Specificity", "F1"):
        for kind in ("macro", "weighted", "micro"):
            assert f"<td>{measure}, {kind}</td>" in drawn[0]


def test_why_an_evaluation_failed_stays_on_the_page_until_another_one_ended_well(
    connection: sqlite3.Connection,
    open_page: OpenPage,
    project: Project,
    snapshot: Snapshot,
    model: Model,
    actor: Actor,
) -> None:
    """The page is drawn anew when a job ends: nobody had time to read what its card said."""
    asked = {"model": model.id, "snapshot": snapshot.id, "split": "train"}
    add_job(connection, "evaluate", asked, project=project.id, actor=actor)
    running = claim_job(connection, "work", "cpu")
    assert running is not None
    finish_job(connection, running, "failed", error="Each of these was learnt by one.")
    page = open_page("evaluate", project=project.id, model=model.id, split="train")
    assert [one.value for one in page.error] == ["Each of these was learnt by one."]
    assert "Not evaluated on this split yet" in said(page)
    assert not open_page("evaluate", project=project.id, model=model.id, split="test").error
    tested = find_evaluation(connection, model.id)
    assert tested is not None
    add_evaluation(
        connection, model_id=model.id, snapshot_id=snapshot.id, split="train",
        result={**tested.result, "split": "train"}, actor=actor,
    )  # fmt: skip
    assert not open_page("evaluate", project=project.id, model=model.id, split="train").error
