"""Import: images and a label table become cases; every file is imported, skipped or refused with a reason."""

import streamlit as st

from core.jobs.asking import ask_import
from core.jobs.records import Job, list_jobs
from dashboard import frame, jobs_panel, messages, once, places, session
from dashboard.deidentification_view import describe
from dashboard.import_beside import draw_beside
from dashboard.import_form import UPLOADER, draw_label_table, draw_pattern, draw_source, draw_time_point
from dashboard.import_report import draw_links, draw_undecided, end_with_asked_job
from dashboard.uploader import forget_upload
from dashboard.watched_view import draw_watched

project = frame.need_project()
frame.draw_heading("Import", "Readroom takes the pixels; your files stay where they are.", project=project)
jobs_panel.warn_without_worker()


def draw_ways_on(job: Job) -> None:
    if job.state == "done":
        places.link("cases", "See the cases", project=project.id)
        places.link("label", "Label them", project=project.id)
        places.link("import_images", "Import more", project=project.id)


end_with_asked_job("import", project, draw_ways_on)

draw_undecided(project)
st.caption(describe(project.deidentification))
source = draw_source()
if source is not None:
    with messages.refusals_shown():
        beside = draw_beside(source, project)
        arguments = {**draw_label_table(source, project), **beside.arguments} if beside.has_images else beside.arguments
        pattern, time_point = (draw_pattern(), draw_time_point()) if beside.has_images else (None, None)
        with st.container(horizontal=True, vertical_alignment="center"):
            go = st.button(
                "Import", type="primary", icon=":material/upload:", key=once.key("import_start"), shortcut="ctrl+enter"
            )
            look = beside.has_images and st.button(
                "Look first",
                icon=":material/search:",
                key=once.key("import_look"),
                help="Reads the headers and says what each file and series would become; nothing is stored.",
            )
            if beside.has_images:
                st.caption("Series in which something is odd wait until you have seen them, either way.")
        if go or look:
            job = ask_import(
                session.db(),
                session.settings(),
                project,
                source.paths if beside.has_images else [],
                **arguments,
                patient_from=pattern,
                remove_after=source.remove_after,
                volume=time_point,
                hold_back="all" if look else "odd",
                actor=session.actor(),
            )
            forget_upload(UPLOADER)
            places.go("import_images", project=project.id, job=job.id)
draw_watched(project)

before = list_jobs(session.db(), project=project.id, kinds=("import",), limit=5)
if before:
    st.subheader("Imports so far", anchor=False)
    draw_links("import_images", before, project)
else:
    st.caption(
        "The slices of a DICOM series become one case, as do multi-frame DICOM, NIfTI and NRRD volumes and the pages "
        "of a TIFF."
    )
