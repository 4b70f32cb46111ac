"""PACS: search a server of the hospital, choose studies, and let them come into the project."""

import streamlit as st

from core.images.pacs.records import list_pacs
from core.jobs.records import Job, list_jobs
from dashboard import frame, jobs_panel, messages, places, session
from dashboard.deidentification_view import describe
from dashboard.import_report import draw_links, draw_undecided, end_with_asked_job
from dashboard.pacs_forms import draw_addition, draw_change, draw_server
from dashboard.pacs_search import draw_search

project = frame.need_project()
frame.draw_heading("PACS", "Studies come from the hospital's archive into this project.", project=project)
jobs_panel.warn_without_worker()


def draw_ways_on(job: Job) -> None:
    if job.state == "done":
        places.link("cases", "See the cases", project=project.id)
    places.link("pacs", "Search again", project=project.id)


end_with_asked_job("pull", project, draw_ways_on)
draw_undecided(project)

known = list_pacs(session.db())
is_administrator = session.may("administer")
if not known:
    if is_administrator:
        draw_addition(open_at_first=True)
        st.stop()
    messages.end_empty(
        "No PACS is known yet",
        "An administrator of this Readroom adds the address and the password of one on this page. "
        "Until then files and folders come in by the page Import.",
        step="Import files",
        to="import_images",
        project=project.id,
    )
chosen = draw_server(known, project)
draw_search(project, chosen)
st.caption(describe(project.deidentification))
if is_administrator:
    draw_addition()
    draw_change(chosen)
draw_links("pacs", list_jobs(session.db(), project=project.id, kinds=("pull",), limit=3), project)
