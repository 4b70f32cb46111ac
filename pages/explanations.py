"""Explanations: which method can be trusted on a model, by which numbers, and what the model looks at on average."""

import streamlit as st

from core.tasks import task_module
from core.training.records import list_models
from dashboard import doubt_evidence_view, evidence_view, frame, jobs_panel, messages, places, session

project = frame.need_project()
frame.draw_heading("Explanations", "Which method can be trusted on a model, and what it looks at.", project=project)
frame.need_trainable(project, "explaining")
models = {model.id: model for model in list_models(session.db(), project.id)}
if not models:
    frame.end_without_model(
        project, "Nothing to explain yet", "Methods are judged on a model's own cases; train one first."
    )
asked = places.asked_number("model")
with st.container(horizontal=True, vertical_alignment="bottom"):
    shown = st.selectbox(
        "Model",
        list(models),
        index=list(models).index(asked) if asked in models else 0,
        format_func=lambda number: models[number].name,
        key="explained_model",
        width=320,
    )
    model = models[shown]
    if not task_module(model.task).DRAWS:
        evidence_view.draw_asking(model)
    places.link("review", "Review its cases", project=project.id, model=model.id)
places.remember(model=model.id)
if task_module(model.task).DRAWS:
    messages.end_empty(
        "A model that draws gives no answer to be explained",
        "How faithful its images are stands on the page Evaluate.",
        step="Evaluate it",
        to="evaluate",
        project=project.id,
        model=model.id,
    )
jobs_panel.watch_active_jobs(project.id, ("gather_evidence",))
jobs_panel.draw_failed(jobs_panel.find_last(project.id, "gather_evidence", model.id))
if task_module(model.task).PAINTS:
    st.caption("A model that paints shows its answer itself; its errors and its doubt lie over the image on Review.")
    doubt_evidence_view.draw_doubt_maps(model)
else:
    evidence_view.draw_evidence(model)
    evidence_view.draw_means(model)
