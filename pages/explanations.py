"""Explanations: which method can be trusted on a model, by which numbers, and what the model looks at on average."""

import streamlit as st

from core.explain.run import is_explainable
from core.training.records import list_models
from dashboard import evidence_view, frame, jobs_panel, messages, places, session

project = frame.need_project()
frame.draw_heading("Explanations", "Which method can be trusted on a model, and what it looks at.", project=project)
frame.need_trainable(project, "explaining")
models = {model.id: model for model in list_models(session.db(), project.id)}
if not models:
    jobs_panel.watch_active_jobs(project.id, ("train",))
    messages.end_empty(
        "Nothing to explain yet",
        "Methods are judged on a model's own cases; train one first.",
        step="Train a model",
        to="train",
        project=project.id,
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
    if is_explainable(model):
        evidence_view.draw_asking(model)
    places.link("review", "Review its cases", project=project.id, model=model.id)
places.remember(model=model.id)
if not is_explainable(model):
    messages.end_empty(
        "A model that paints shows its answer itself",
        "Its doubt and its errors lie over the image on the review page.",
        step="Review its cases",
        to="review",
        project=project.id,
        model=model.id,
    )
jobs_panel.watch_active_jobs(project.id, ("gather_evidence",))
evidence_view.draw_evidence(model)
evidence_view.draw_means(model)
