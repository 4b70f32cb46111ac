"""Meeting: a review from its criteria to a signed decision, step by step, by the arrow keys."""

import streamlit as st

from core.datasets.records import get_snapshot
from core.errors import NotFound
from core.reviews.meetings import count_test_looks, get_review
from core.tasks import trainable_schema
from core.training.records import get_run, list_models
from dashboard import frame, messages, places, session
from dashboard.full_screen import draw_full_screen
from dashboard.meeting_decision import draw_decision, draw_discussion
from dashboard.meeting_explanations import draw_explanations
from dashboard.meeting_failures import draw_failures
from dashboard.meeting_form import draw_preparation
from dashboard.meeting_measures import draw_comparison, draw_subgroups, draw_threshold
from dashboard.meeting_steps import (
    draw_calibration,
    draw_card,
    draw_criteria,
    draw_curves,
    draw_numbers,
    draw_population,
    draw_reference,
)
from dashboard.meeting_view import Meeting, draw_presenting, draw_step, draw_steps, draw_title, find_step

DRAWS = {
    "card": draw_card,
    "population": draw_population,
    "reference": draw_reference,
    "criteria": draw_criteria,
    "numbers": draw_numbers,
    "curves": draw_curves,
    "threshold": draw_threshold,
    "calibration": draw_calibration,
    "subgroups": draw_subgroups,
    "comparison": draw_comparison,
    "failures": draw_failures,
    "explanations": draw_explanations,
    "discussion": draw_discussion,
    "decision": draw_decision,
}

project = frame.need_project()
left, right, full = st.columns([8, 2.4, 1.5], vertical_alignment="center")
with left:
    frame.draw_heading("Meeting", project=project)
schema = frame.need_trainable(project, "a review meeting")
models = {model.id: model for model in list_models(session.db(), project.id)}
if not models:
    frame.end_without_model(project, "No model to review", "A review is about a model; train one first.")
asked = places.asked_number("review")
if asked is None:
    draw_preparation(project, schema, models)
    st.stop()
try:
    review = get_review(session.db(), project.id, asked)
except NotFound:
    messages.end_empty(
        f"There is no review {asked} here", "It may be of another project.", step="All reviews", to="meeting"
    )
model = models[review.model]
run = get_run(session.db(), model.run)
snapshot = get_snapshot(session.db(), project.id, review.snapshot)
schema = trainable_schema(snapshot.schema)  # as it was frozen: classes may have other names today
meeting = Meeting(
    project=project,
    schema=schema,
    review=review,
    model=model,
    snapshot=snapshot,
    fold=run.fold if run.snapshot == review.snapshot else None,
    looks=count_test_looks(session.db(), review),
)
step = find_step(schema)
with left:
    draw_title(meeting)
with right:
    draw_presenting(meeting, step)
with full:
    draw_full_screen()
draw_steps(meeting, step)
with st.container(key="meeting_body"):
    draw_step(meeting, step, DRAWS)
