"""PACS: search a server of the hospital, choose studies, and let them come into the project."""

import streamlit as st

from core.errors import NotFound
from core.images.pacs.records import list_pacs
from core.jobs.records import get_job, list_jobs
from dashboard import frame, jobs_panel, messages, places, session, wording
from dashboard.deidentification_view import describe
from dashboard.import_report import draw_report, say_result
from dashboard.pacs_forms import draw_addition, draw_change, draw_server
from dashboard.pacs_search import draw_search

project = frame.need_project()
frame.draw_heading("PACS", "Studies come from the hospital's archive into this project.", project=project)
jobs_panel.warn_without_worker()
asked = places.asked_number("job")
if asked is not None:
    try:
        job = get_job(session.db(), asked)
        if job.kind == "pull" and job.project == project.id:
            jobs_panel.watch_job(job)
            draw_report(job)
            with st.container(horizontal=True):
                if job.state == "done":
                    places.link("cases", "See the cases", project=project.id)
                places.link("pacs", "Search again", project=project.id)
            st.stop()
    except NotFound as error:
        st.warning(str(error))

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
for job in list_jobs(session.db(), project=project.id, kinds=("pull",), limit=3):
    places.link(
        "pacs",
        f"{wording.moment(job.created_at)}: {say_result(job)}",
        icon=":material/receipt_long:",
        project=project.id,
        job=job.id,
    )
