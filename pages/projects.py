"""Home: all projects with their progress, and the way to a new one."""

from html import escape

import streamlit as st

from core.labels.worklist import label_progress
from core.people.members import list_administrators
from core.projects.records import Project, list_projects
from core.projects.schema import Classification, Regression, Segmentation
from dashboard import frame, messages, places, session, wording
from dashboard.drift_view import draw_alarm
from dashboard.project_form import draw_project_form


@st.dialog("New project", width="medium")
def create_project() -> None:
    draw_project_form()


def draw_card(project: Project) -> None:
    progress = label_progress(session.db(), project, session.current_user().name)
    share = progress.referenced / progress.total if progress.total else 0
    schema = project.schema
    ones = schema.offered if isinstance(schema, (Classification, Segmentation)) else ()
    chips = [wording.chip(one.name, one.colour) for one in ones]
    if isinstance(schema, Regression):
        chips = [wording.chip(f"{one.target} in {one.unit}", "") for one in schema.quantities]
    with st.container(border=True, key=f"project_{project.id}", gap="small"):
        name, door = st.columns([4, 1], vertical_alignment="center")
        name.subheader(project.name, anchor=False)
        with door:
            places.link("overview", "Open", icon=":material/arrow_forward:", project=project.id)
        st.html(
            "".join(chips)
            + f'<p class="rr-quiet">{escape(project.description) or "No description yet."}</p>'
            + f'<div class="rr-bar"><i style="width:{100 * share:.1f}%"></i></div>'
            + f'<p class="rr-quiet">{wording.count(progress.total, "case")}, '
            + f"{progress.referenced:,} with a reference ({wording.percent(share)}), "
            + f"{progress.mine:,} answered by you</p>"
        )
        draw_alarm(project)


projects = list_projects(session.db(), seen_by=session.current_user())
may_create = session.may("administer")
left, right = st.columns([5, 1], vertical_alignment="bottom")
with left:
    frame.draw_heading(
        "Projects", "One question asked of one collection of images, from the first label to the review."
    )
if projects:
    if may_create and right.button(
        "New project", icon=":material/add:", type="primary", key="new_project", width="stretch"
    ):
        create_project()
    for row in range(0, len(projects), 2):
        for column, project in zip(st.columns(2), projects[row : row + 2], strict=False):
            with column:
                draw_card(project)
elif not may_create:
    names = messages.listed(list_administrators(session.db()))
    messages.end_empty("No project is open to you yet", f"Ask {names or 'an administrator'} for a role in one.")
else:
    form, story = st.columns([3, 2], gap="large")
    with form, st.container(border=True):
        st.subheader("Your first project", anchor=False)
        draw_project_form()
    with story:
        st.subheader("What happens next", anchor=False)
        st.markdown(
            "1. **Import** images: PNG, JPEG, TIFF, DICOM or NIfTI, with or without a table of labels.\n"
            "2. **Label** them, one key for each class.\n"
            "3. **Freeze a snapshot**: patients are split into train, validation and test.\n"
            "4. **Train** a model in the background.\n"
            "5. **Evaluate** it, with intervals.\n"
            "6. **Review** its cases, with a map of where it looked."
        )
