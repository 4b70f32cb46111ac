"""Draw: images that a model draws for a class, sex and age; each is synthetic and stays so."""

import streamlit as st

from core.errors import NotFound
from core.jobs.asking import ask_drawing
from core.jobs.records import get_job, list_jobs
from core.training.drawn import Wanted
from core.training.records import list_models
from dashboard import drawing_form, frame, jobs_panel, messages, once, places, session


def start_drawing(wanted: Wanted, n: int, seed: int) -> None:
    with messages.refusals_shown():
        job = ask_drawing(session.db(), model, wanted, n=n, seed=seed, actor=session.actor())
        places.go("draw", project=project.id, model=model.id, job=job.id)


project = frame.need_project()
frame.draw_heading("Draw", "What a model draws is no patient, and stays marked as synthetic.", project=project)
if project.task != "generation":
    messages.end_empty(
        "Nothing is drawn here",
        "Models of a project of generation draw images; this project asks another question.",
        step="Open another project",
        to="projects",
    )
jobs_panel.warn_without_worker()
models = {model.id: model for model in list_models(session.db(), project.id)}
if not models:
    frame.end_without_model(
        project, "No model to draw with", "Train one first; it appears here when its training has ended."
    )
asked = places.asked_number("model")
model = models[
    st.selectbox(
        "Model",
        list(models),
        index=list(models).index(asked) if asked in models else 0,
        format_func=lambda number: models[number].name,
        key=f"draw_model_{asked}",
    )
]
wanted, n, seed = drawing_form.draw_wanted(model)
if st.button("Draw", type="primary", icon=":material/brush:", key=once.key("draw_start"), shortcut="ctrl+enter"):
    start_drawing(wanted, n, seed)
drawings = list_jobs(session.db(), project=project.id, kinds=("generate",), limit=1)
number = places.asked_number("job") or (drawings[0].id if drawings else None)
if number is not None:
    try:
        job = get_job(session.db(), number)
    except NotFound:
        st.stop()
    if (job.kind, job.project) == ("generate", project.id):
        if job.state != "done":
            jobs_panel.watch_job(job)
        else:
            drawing_form.draw_result(job, project)
