"""The left edge: project switcher, menu, and the status line."""

from html import escape
from pathlib import Path

import streamlit as st

from core.jobs.records import Job, list_jobs
from core.jobs.worker import worker_alive
from core.labels.records import find_last_saved
from core.projects.records import Project
from dashboard import places, session, wording
from dashboard.jobs_panel import KIND_WORDS, NO_WORKER
from dashboard.prefix import at
from dashboard.theme_switch import draw_theme_switch

LOGO = Path(__file__).parent / "assets" / "logo.svg"
STATUS_SECONDS = 4
OF_A_PROJECT = ("Collection", "Model")
ACCOUNT_LINKS = (("/account", "Your account"), ("/sign-out", "Sign out"))


def draw_sidebar(projects: list[Project], project: Project | None) -> None:
    """Everything left of the page."""
    st.logo(str(LOGO), size="medium", icon_image=str(LOGO.with_name("icon.svg")))
    with st.sidebar:
        _draw_switcher(projects, project)
        _draw_menu(project)
        with st.container(key="status"):
            _draw_status()
            links = [f'<a href="{at(path)}" target="_self">{words}</a>' for path, words in ACCOUNT_LINKS]
            st.html(f'<div class="rr-person">{" · ".join(links)}</div>')
            draw_theme_switch()


def _draw_menu(project: Project | None) -> None:
    """The start page, then the project's pages by group, then what concerns the whole Readroom."""
    shown = [place for place in session.open_places(project) if project or place.group not in OF_A_PROJECT]
    start = places.PLACES[0]
    places.link(start.name, project=project.id if project else None)
    for group in (*OF_A_PROJECT, start.group):
        members = [place for place in shown if place.group == group and place != start]
        if members:
            st.html(f'<div class="rr-group">{escape(group)}</div>')
        for place in members:
            places.link(place.name, project=project.id if project else None)


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
def _draw_status() -> None:
    """Signed in as, last answer saved, worker, running job and its device; of fixed height."""
    user = session.current_user()
    alive = worker_alive(session.settings())
    running = list_jobs(session.db(), states=("running", "queued"), seen_by=user, limit=20)
    saved = find_last_saved(session.db(), user.id)
    st.html(f'<div class="rr-status">{_status_lines(user.name, saved, alive, running)}</div>')


def _status_lines(name: str, saved: str | None, alive: bool, jobs: list[Job]) -> str:
    """Four lines and a bar; without a worker the lower half is for what to do about that. The height never changes."""
    person = (
        f"<p>Signed in as <b>{escape(name)}</b></p>"
        f"<p>{f'Last answer saved {wording.clock(saved)}' if saved else 'No answer of yours yet'}</p>"
    )
    if not alive:
        waiting = f"{wording.count(len(jobs), 'job')} waiting"
        remedy = NO_WORKER.format(command="<code>readroom up</code>")
        return f'{person}<p class="rr-remedy" title="{waiting}"><span class="rr-dot off"></span>{remedy}</p>'
    state = "busy" if jobs else "on"
    job = next((job for job in jobs if job.state == "running"), None)
    others = f", {len(jobs) - 1} more" if job and len(jobs) > 1 else ""
    if job:
        what = f"{escape(KIND_WORDS.get(job.kind, job.kind))} {wording.percent(job.fraction)}{others}"
        what += f" · {escape(job.device)}" if job.device else ""
    else:
        what = f"{wording.count(len(jobs), 'job')} waiting" if jobs else "No job is running"
    return (
        f'{person}<p><span class="rr-dot {state}"></span>Worker ready</p>'
        f'<p title="{escape(job.note) if job else ""}">{what}</p>'
        f'<div class="rr-bar"><i style="width:{100 * job.fraction if job else 0:.1f}%"></i></div>'
    )
