"""Evaluate: how good a model is on a split, with intervals; the way from a number to its cases."""

import streamlit as st

from core.datasets.records import list_snapshots
from core.evaluation.records import count_test_uses, find_evaluation
from core.jobs.records import add_job, find_job
from core.people.roles import Action
from core.projects.schema import Generation, Regression, Segmentation
from core.tasks import trainable_schema
from core.training.records import get_run, list_models
from dashboard import (
    classified_view,
    drawn_view,
    evaluation_view,
    folds_view,
    frame,
    jobs_panel,
    measured_view,
    members_view,
    messages,
    once,
    places,
    quantity_view,
    session,
    wording,
)
from dashboard.shown_results import note_test_results

SPLITS = ("test", "validation", "train")


def start_evaluation() -> None:
    with messages.refusals_told():
        add_job(session.db(), "evaluate", arguments, project=project.id, actor=session.actor())


def open_cell(reference: str, predicted: str, of_class: str | None) -> None:
    places.go("review", **view, reference=reference, predicted=predicted, of_class=of_class)


def open_case(case: int) -> None:
    places.go("review", **view, result="all", case=case)


project = frame.need_project()
frame.draw_heading("Evaluate", "What a model gets right and wrong, and how sure that is.", project=project)
schema = frame.need_trainable(project, "evaluation")
models = {model.id: model for model in list_models(session.db(), project.id)}
if not models:
    frame.end_without_model(
        project, "No model to evaluate", "Train one first; it appears here when its training has ended."
    )

wanted = places.asked_number("model")
if wanted is not None and wanted not in models:
    st.warning(f"There is no model {wanted} in this project; this is the newest one.")
snapshots = {snapshot.id: snapshot for snapshot in list_snapshots(session.db(), project.id)}
first, second, third, fourth = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
model = models[
    first.selectbox(
        "Model",
        list(models),
        index=list(models).index(wanted) if wanted in models else 0,
        format_func=lambda number: models[number].name,
        key=f"evaluate_model_{wanted}",
    )
]
run = get_run(session.db(), model.run)
given = places.asked_number("snapshot")
home = given if given in snapshots else run.snapshot
snapshot = snapshots[
    second.selectbox(
        "Snapshot",
        list(snapshots),
        index=list(snapshots).index(home),
        key=f"evaluate_snapshot_{model.id}_{given}",
        format_func=lambda number: snapshots[number].name + (" (its own)" if number == run.snapshot else ""),
    )
]
asked = places.asked("split")
split = third.segmented_control(
    "Split", SPLITS, default=asked if asked in SPLITS else "test", required=True, key=f"evaluate_split_{asked}"
)
arguments = {"model": model.id, "snapshot": snapshot.id, "split": split}
view = {"project": project.id, **arguments}
places.remember(**view)
evaluation = find_evaluation(session.db(), model.id, snapshot.id, split)
needed: Action = "open test results" if split == "test" else "train"
may_start = session.may(needed, project)
fourth.button(
    "Evaluate again" if evaluation else "Evaluate",
    icon=":material/play_arrow:",
    key=once.key("evaluate_start"),
    type="secondary" if evaluation else "primary",
    on_click=once.callback(start_evaluation),
    width="stretch",
    disabled=not may_start,
    help=None if may_start else f"To evaluate on {split} you need a role that may {needed}; ask an administrator.",
)
if snapshot.loss:
    st.caption(f"{snapshot.loss} Evaluating it measures what is left.")
jobs_panel.watch_active_jobs(project.id, ("evaluate",))
asked_last = find_job(session.db(), "evaluate", arguments, states=jobs_panel.EVERY)
jobs_panel.draw_failed(asked_last, since=evaluation.created_at if evaluation else None)
fold = run.fold if run.snapshot == snapshot.id else None
uses = count_test_uses(session.db(), snapshot.id, fold)
if fold is not None and split == "test":
    folds_view.draw_folds(model, trainable_schema(snapshot.schema), may_start=may_start)
if evaluation is None:
    messages.end_empty(
        "Not evaluated on this split yet",
        ("Press Evaluate. " if may_start else "Ask somebody who may train in this project to evaluate it. ")
        + (f"Uses of its test cases so far: {uses:,}." if split == "test" else ""),
    )

if split == "test":
    note_test_results(evaluation)
result, schema = evaluation.result, trainable_schema(snapshot.schema)  # as frozen: classes may be renamed since
sample = evaluation_view.describe_sample(result, test_uses=uses if split == "test" else None)
if isinstance(schema, Generation):
    drawn_view.draw_headline(result)
    st.caption(f"{sample} {drawn_view.describe_sample(result)}")
elif isinstance(schema, Regression):
    part, at = quantity_view.choose_part(result, schema, f"evaluation_{evaluation.id}")
    quantity_view.draw_headline(part)
    st.caption(f"{sample} {quantity_view.describe_interval(part)}")
else:
    evaluation_view.draw_headline(result)
    st.caption(f"{sample} {evaluation_view.describe_thresholds(result)}")
if "spread" in result:
    st.caption(members_view.describe_spread(result))
for warning in [*result["warnings"], *filter(None, [evaluation.loss])]:
    st.warning(warning, icon=":material/warning:")
if isinstance(schema, Regression):
    measured_view.draw_number_tabs(
        project, schema, model, snapshot, evaluation, at, part=part, view=view, open_case=open_case
    )
    st.stop()
if isinstance(schema, Generation):
    drawn_view.draw_pairs(result, project)
    places.link("draw", "Draw with it", project=project.id, model=model.id)
    st.caption(f"Measured {wording.moment(evaluation.created_at)} by {evaluation.created_by}.")
    st.stop()
if isinstance(schema, Segmentation):
    measured_view.draw_structure_tabs(project, model, snapshot, evaluation, view=view)
    st.stop()
classified_view.draw_tabs(project, schema, model, snapshot, evaluation, view=view, open_cell=open_cell)
