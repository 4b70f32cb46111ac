"""Models: what training left, with everything it stands on."""

import pandas as pd
import streamlit as st

from core.datasets.records import get_snapshot, list_snapshots
from core.jobs.asking import ask_repetition
from core.people.roles import may
from core.reviews.registry import map_stages
from core.training.records import get_run, list_models, list_runs
from dashboard import frame, jobs_panel, members_view, messages, once, places, session, wording
from dashboard.model_view import draw_model
from dashboard.registry_view import draw_registry
from dashboard.told_view import draw_told

project = frame.need_project()
frame.draw_heading("Models", "Each with its curves, recipe, snapshot and files.", project=project)
frame.need_trainable(project, "training")
models = list_models(session.db(), project.id)
if not models:
    frame.end_without_model(project, "No model yet", "A model appears here when its training has ended.")
jobs_panel.watch_active_jobs(project.id, ("train",))

runs = {run.id: run for run in list_runs(session.db(), project.id)}
snapshots = {snapshot.id: snapshot.name for snapshot in list_snapshots(session.db(), project.id)}
stages = map_stages(session.db(), project.id)
ids = [model.id for model in models]
wanted = places.asked_number("model")
if wanted is not None and wanted not in ids:
    st.warning(f"There is no model {wanted} in this project; this is the newest one.")
shown = wanted if wanted in ids else ids[0]
table = pd.DataFrame(
    {
        "model": [model.name for model in models],
        "stage": [stages.get(model.id, "candidate") for model in models],
        "network": [members_view.describe_network(model, runs[model.run]) for model in models],
        "snapshot": [snapshots[runs[model.run].snapshot] for model in models],
        "fold": [wording.given(runs[model.run].fold) for model in models],
        "parameters": [f"{model.parameters:,}" for model in models],
        "size": [wording.size(model.file_bytes) for model in models],
        "took": [wording.duration(runs[model.run].seconds) for model in models],
        "device": [runs[model.run].device or "–" for model in models],
        "trained": [wording.moment(model.created_at) for model in models],
    }
)
if len(models) > 1:
    chosen = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=f"models_table_{ids[0]}",  # newest first: a row that was chosen is another model's once one comes in
        height="content" if len(models) < 5 else 176,
    )
    rows = chosen["selection"]["rows"]
    shown = ids[rows[0]] if rows else shown
places.remember(model=shown)
model = models[ids.index(shown)]
run = get_run(session.db(), model.run)
named, told, again = st.columns([4, 1, 1], vertical_alignment="center")
with named, st.container(horizontal=True, vertical_alignment="center"):
    st.subheader(f"{model.name} · {stages.get(shown, 'candidate')}", anchor=False, width="content")
    places.link("meeting", "Prepare a review", project=project.id, model=shown)
    draw_registry(project, {model.id: model for model in models})
with told:
    draw_told(run)
if may(session.db(), session.current_user(), "train", project.id) and again.button(
    "Train again",
    icon=":material/repeat:",
    key=once.key(f"repeat_{model.id}"),
    width="stretch",
    help="The same snapshot, fold, recipe and seed; when it is over, the weights are compared.",
):
    with messages.refusals_shown():
        repeated, _ = ask_repetition(session.db(), project, model, actor=session.actor())
        places.go("train", project=project.id, run=repeated.id)
draw_model(model, run, get_snapshot(session.db(), project.id, run.snapshot))
