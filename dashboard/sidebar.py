"""The left edge: project switcher, menu, and the status line."""

from html import escape
from pathlib import Path

import streamlit as st

from core.jobs.records import Job, list_jobs
from core.jobs.worker import worker_alive
from core.people.accounts import User
from core.projects.records import Project
from dashboard import places, session

LOGO = Path(__file__).parent / "assets" / "logo.svg"
STATUS_SECONDS = 4


def draw_sidebar(projects: list[Project], project: Project | None, user: User) -> None:
    """Everything left of the page."""
    st.logo(str(LOGO), size="medium", icon_image=str(LOGO.with_name("icon.svg")))
    with st.sidebar:
        _draw_switcher(projects, project)
        group = ""
        for place in sorted(places.PLACES, key=lambda place: place.group == "Readroom" and place.name != "projects"):
            if not place.group or (place.group in ("Collection", "Model") and project is None):
                continue
            if place.group != group and place.name not in ("projects", "jobs"):
                st.html(f'<div class="rr-group">{escape(place.group)}</div>')
            group = place.group
            places.link(place.name, project=project.id if project else None)
        with st.container(key="status"):
            _draw_status(user.name)


def _draw_switcher(projects: list[Project], project: Project | None) -> None:
    if not projects:
        return
    ids = [candidate.id for candidate in projects]
    names = {candidate.id: candidate.name for candidate in projects}
    # The address decides, not what the box showed last: a link may have opened another project.
    st.session_state["project_switch"] = project.id if project else None
    st.selectbox(
        "Project",
        ids,
        index=0 if project else None,  # without a project it may be empty, with one it may not be emptied
        format_func=names.__getitem__,
        key="project_switch",
        on_change=_switch_project,
        label_visibility="collapsed",
        placeholder="Open a project",
    )


def _switch_project() -> None:
    chosen = st.session_state["project_switch"]
    if chosen is not None:
        # What else the address says (a case, a model, a filter) belongs to the project that is left.
        st.query_params.from_dict({"project": str(chosen)})


@st.fragment(run_every=STATUS_SECONDS)
def _draw_status(name: str) -> None:
    """Signed in as, worker, running job; of fixed height."""
    alive = worker_alive(session.settings())
    running = list_jobs(session.db(), states=("running", "queued"), limit=20)
    st.html(f'<div class="rr-status">{_status_lines(name, alive, running)}</div>')


def _status_lines(name: str, alive: bool, jobs: list[Job]) -> str:
    worker = "Worker ready" if alive else "Worker is not running"
    lines = [
        f"<p>Signed in as <b>{escape(name)}</b></p>",
        f'<p><span class="rr-dot {"on" if alive else "off"}"></span>{worker}</p>',
    ]
    running = [job for job in jobs if job.state == "running"]
    if running:
        job = running[0]
        more = f" (+{len(jobs) - 1})" if len(jobs) > 1 else ""
        lines.append(
            f"<p>{escape(job.kind.capitalize())} {100 * job.fraction:.0f} %{more} · {escape(job.note)}</p>"
            f'<div class="rr-bar"><i style="width:{100 * job.fraction:.1f}%"></i></div>'
        )
    elif jobs:
        lines.append(f"<p>{len(jobs)} waiting</p>")
    return "".join(lines)
