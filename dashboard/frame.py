"""The frame of a page: its heading, and the guards that every page about a project needs."""

from html import escape

import streamlit as st

from core.projects.records import Project
from core.projects.schema import Classification
from dashboard import messages, places, session


def draw_heading(title: str, lead: str) -> None:
    """The page's name and one sentence on what it is for."""
    st.title(title, anchor=False)
    st.html(f'<p class="rr-lead">{escape(lead)}</p>')


def need_project() -> Project:
    """The project that the address or the switcher names; without one the page ends in its next step."""
    project = session.current_project()
    if project is None:
        asked = places.asked("project")
        messages.end_empty(
            f"There is no project {asked}" if asked else "No project is open",
            "Everything in Readroom belongs to a project: one question asked of one collection of images.",
            step="Open or create a project",
            to="projects",
        )
    places.remember(project=project.id)
    return project


def need_classification(project: Project, doing: str) -> Classification:
    """The classes of the project; for the other tasks the page ends politely."""
    if not isinstance(project.schema, Classification):
        messages.end_empty(
            f"{project.task.capitalize()} is not here yet",
            f"Readroom keeps this {project.task} project as it is, but {doing} works for classification today. "
            "Nothing is lost; the task gets its own release.",
            step="Open another project",
            to="projects",
        )
    return project.schema
