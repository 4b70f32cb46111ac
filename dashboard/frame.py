"""The frame of a page: its heading, and the guards that every page about a project needs."""

from html import escape
from typing import NoReturn

import streamlit as st

from core.people.members import list_administrators
from core.people.roles import Action
from core.projects.records import Project, list_projects
from core.tasks import TRAINED_TASKS, TrainableSchema
from dashboard import jobs_panel, messages, places, session


def draw_heading(title: str, lead: str = "", *, project: Project | None = None) -> None:
    """The first line of every page: its name, the project it is about, and at most one sentence on what it is for."""
    of = f'<span class="rr-of" title="{escape(project.name)}">{escape(project.name)}</span>' if project else ""
    said = f"<p>{escape(lead)}</p>" if lead else ""
    st.html(f'<header class="rr-head"><h1>{escape(title)}</h1>{of}{said}</header>')


def need_admission(name: str, project: Project | None) -> None:
    """By the shell, before a page: whoever may not open it is told whom to ask, and the page is not run."""
    if not session.may_open(name, project):
        place = places.BY_NAME[name]
        where = f"in {place.where}" if place.where != "any project" else "in at least one project"
        _end_closed(f"{place.title} is not open to you", f"It is for those who may {place.action} {where}.", project)


def need_action(action: Action, project: Project) -> None:
    """For a page whose project only turns up on the way: whoever may not do this there is told whom to ask."""
    if not session.may(action, project):
        _end_closed("This is not open to you", f"It is for those who may {action} in its project.", None)


def _end_closed(title: str, text: str, project: Project | None) -> NoReturn:
    names = list_administrators(session.db(), project.id if project else None)
    messages.end_empty(
        title,
        f"{text} Ask {messages.listed(names) or 'an administrator'} for a role.",
        step="All projects",
        to="projects",
    )


def need_project() -> Project:
    """The project that the address or the switcher names; without one the page ends in its next step."""
    project = session.current_project()
    if project is None:
        asked = places.asked("project")
        number = places.asked_number("project")
        if number is not None and number in {project.id for project in list_projects(session.db())}:
            _end_closed(f"Project {number} is not open to you", "It is for its members.", None)
        messages.end_empty(
            f"There is no project {asked}" if asked else "No project is open",
            "Everything in Readroom belongs to a project: one question asked of one collection of images.",
            step="Open or create a project",
            to="projects",
        )
    places.remember(project=project.id)
    return project


def end_without_model(project: Project, title: str, text: str) -> NoReturn:
    """The empty state of a page about models, in a project that has none; a training that runs is shown above it."""
    jobs_panel.watch_active_jobs(project.id, ("train",))
    messages.end_empty(title, text, step="Train a model", to="train", project=project.id)


def need_trainable(project: Project, doing: str) -> TrainableSchema:
    """The schema of a project whose question a model can learn; for the other tasks the page ends politely."""
    if not isinstance(project.schema, TrainableSchema):
        messages.end_empty(
            f"{project.task.capitalize()} is not here yet",
            f"Readroom keeps this {project.task} project as it is, but {doing} works for "
            f"{messages.listed(TRAINED_TASKS)} today. Nothing is lost; the task gets its own release.",
            step="Open another project",
            to="projects",
        )
    return project.schema
