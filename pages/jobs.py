"""Jobs: everything that works or worked in the background, newest first, with its log."""

import pandas as pd
import streamlit as st

from core.errors import NotFound
from core.jobs.kinds import SEEING_A_JOB
from core.jobs.records import get_job, list_jobs
from core.jobs.waiting import read_log
from core.people.roles import may
from dashboard import frame, jobs_panel, messages, places, session, wording

LOG_LINES = 2000


def draw_one(job_id: int) -> None:
    try:
        job = get_job(session.db(), job_id)
    except NotFound as error:
        st.warning(f"{error} All jobs are listed below.")
        return
    if not may(session.db(), session.current_user(), SEEING_A_JOB, job.project):
        st.warning("This job belongs to a project that is not open to you. Jobs that are, are listed below.")
        return
    jobs_panel.watch_job(job)
    log, events = st.tabs(["Log", "Details"])
    with log, st.container(height=240, border=False, autoscroll=True):
        text = read_log(session.settings(), job.id)
        st.code("\n".join(text.splitlines()[-LOG_LINES:]) or "Nothing written yet.", language="text")
    events.json({"arguments": job.arguments, "facts": job.facts, "result": job.result}, expanded=1)


frame.draw_heading(
    "Jobs", "Background work: imports, training, evaluation, explanations. It goes on when you close the browser."
)
jobs_panel.warn_without_worker()
asked = places.asked_number("job")
if asked is not None:
    draw_one(asked)
jobs = list_jobs(session.db(), seen_by=session.current_user(), limit=200)
if not jobs:
    messages.end_empty("No job yet", "Importing, training and evaluating happen here in the background.", to="projects")
table = pd.DataFrame(
    {
        "job": [job.id for job in jobs],
        "what": [jobs_panel.KIND_WORDS.get(job.kind, job.kind) for job in jobs],
        "state": [jobs_panel.STATE_WORDS[job.state] for job in jobs],
        "progress": [100 if job.state == "done" else 100 * job.fraction for job in jobs],
        "note": [job.error or job.note for job in jobs],
        "by": [job.created_by for job in jobs],
        "asked": [wording.moment(job.created_at) for job in jobs],
        "took": [wording.duration(wording.seconds_between(job.started_at, job.finished_at)) for job in jobs],
    }
)
chosen = st.dataframe(
    table,
    hide_index=True,
    on_select="rerun",
    selection_mode="single-row",
    key=f"jobs_table_{jobs[0].id}",  # newest first: a row that was chosen is another job's once one comes in
    height="content" if len(jobs) < 12 else 440,
    column_config={"progress": st.column_config.ProgressColumn("progress", format="%d %%", min_value=0, max_value=100)},
)
rows = chosen["selection"]["rows"]
if rows and jobs[rows[0]].id != asked:
    places.go("jobs", job=jobs[rows[0]].id, project=places.asked_number("project"))
