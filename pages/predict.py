"""Predict: a model on cases that are new to it, when it says nothing, and whether new cases are like the old ones."""

import streamlit as st

from core.reviews.registry import find_production
from core.training.records import list_models
from dashboard import frame, jobs_panel, messages, places, session
from dashboard.abstention_view import draw_abstention
from dashboard.answers_view import draw_answers
from dashboard.drift_view import draw_drift

project = frame.need_project()
frame.draw_heading("Predict", "What a model says of cases that it was not made with.", project=project)
if project.task == "generation":
    messages.end_empty(
        "Nothing is predicted here",
        "Models of a project of generation draw images; they answer nothing about one.",
        step="Draw images",
        to="draw",
        project=project.id,
    )
jobs_panel.warn_without_worker()
models = {model.id: model for model in list_models(session.db(), project.id)}
if not models:
    frame.end_without_model(project, "No model to predict with", "It appears here when its training has ended.")
production = find_production(session.db(), project.id)
asked = places.asked_number("model")
first = asked if asked in models else production.id if production else next(iter(models))
model = models[
    st.selectbox(
        "Model",
        list(models),
        index=list(models).index(first),
        format_func=lambda number: (
            models[number].name + (" · in production" if production and number == production.id else "")
        ),
        key=f"predict_model_{asked}",
        label_visibility="collapsed",
    )
]
places.remember(model=model.id)
tabs = {"answers": "Answers", "abstention": "When it says nothing", "drift": "Drift"}
answers, abstention, drift = st.tabs(
    list(tabs.values()), default=tabs.get(places.asked("tab") or ""), key="predict_tab", on_change="rerun"
)
if answers.open:  # only the tab that is open is drawn: each reads answers and predictions of its own
    with answers:
        draw_answers(project, model)
if abstention.open:
    with abstention:
        draw_abstention(model)
if drift.open:
    with drift:
        draw_drift(project, production)
