"""Review: one case after the other beside what the model says of it; the address alone reproduces the view."""

import streamlit as st

from core.projects.schema import Generation, Segmentation
from core.training.records import list_models
from dashboard import frame, messages, places, session
from dashboard.painted_view import draw_painted_review
from dashboard.review_view import draw_case, draw_position, draw_result_choice, find_evaluated, find_position, read_view
from dashboard.shown_results import note_test_results

project = frame.need_project()
left, middle, right = st.columns([6.2, 3.2, 1.1], vertical_alignment="center")
head = left.container(gap=None)
with head:
    frame.draw_heading("Review", project=project)
schema = frame.need_trainable(project, "review")
models = {model.id: model for model in list_models(session.db(), project.id)}
if not models:
    frame.end_without_model(
        project,
        "Nothing to review yet",
        "Review shows a model's cases beside their reference; train and evaluate one first.",
    )
view = read_view(project, models)
if isinstance(schema, Generation):
    messages.end_empty(
        "Nothing to review here",
        "A model that draws answers nothing about a case. How good its images are is told by an evaluation.",
        step="Evaluate",
        to="evaluate",
        project=project.id,
    )
evaluation = find_evaluated(view)
if view.split == "test" and evaluation:
    note_test_results(evaluation)
if isinstance(schema, Segmentation):
    draw_painted_review(project, view, evaluation)
    st.stop()
if evaluation is None:
    messages.end_empty(
        f"{view.model.name} has not answered {view.split} of {view.snapshot.name} yet",
        "An evaluation predicts every case of a split; review then walks through them.",
        step="Evaluate it",
        to="evaluate",
        **view.numbers,
    )
position = find_position(project, view)
if position is None:
    messages.end_empty(
        "No such case here",
        f"Nothing on {view.split} is {view.said}, or the case in the address is not of this project.",
        step="Back to the numbers",
        to="evaluate",
        **view.numbers,
    )
places.remember(**view.address, case=position.case_id)
with head:
    draw_position(view, position)
with middle:
    draw_result_choice(view)
with right:
    places.link("evaluate", "Numbers", **view.numbers)
draw_case(project, schema, view, position)
