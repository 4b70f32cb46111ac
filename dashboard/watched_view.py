"""The folder of the server from which a project's images come by themselves: its state, and an administrator's form."""

from html import escape
from pathlib import Path

import streamlit as st

from core.images.watched_folders import (
    EVERY_SECONDS,
    QUIET_SECONDS,
    WatchedFolder,
    list_watched,
    stop_watching,
    watch_folder,
)
from core.jobs.worker import worker_alive
from core.projects.records import Project
from dashboard import messages, session, wording

REFRESH_SECONDS = 5.0


def draw_watched(project: Project) -> None:
    """What is watched, for all who import; where and how often, for administrators of this Readroom."""
    watched = next(iter(list_watched(session.db(), session.settings(), project.id)), None)
    if watched:
        _draw_state(project.id)
    if not session.may("administer"):
        return
    with st.expander("Watched folder", icon=":material/folder_eye:"):
        st.caption(
            "Whatever is put into this folder of the server comes in by itself, each file once. "
            "Series in which something is odd wait for your word."
        )
        _draw_form(project, watched)


@st.fragment(run_every=REFRESH_SECONDS)
def _draw_state(project_id: int) -> None:
    session.need("import", project_id)
    watched = next(iter(list_watched(session.db(), session.settings(), project_id)), None)
    if watched is None:
        return
    runs = worker_alive(session.settings())
    fine = runs and not watched.state
    looked = f"looked at {wording.moment(watched.looked_at)}" if watched.looked_at else "not looked at yet"
    said = watched.state or ("" if runs else "The worker is not running, so nobody looks.")
    st.html(
        f'<p class="rr-said"><span class="rr-dot {"on" if fine else "off"}"></span>A folder of the server is watched, '
        f"every {watched.every_seconds:g} s; {looked}, set by {escape(watched.set_by)}. {escape(said)}</p>"
    )


def _draw_form(project: Project, watched: WatchedFolder | None) -> None:
    with st.form("watched", border=False):
        where, every, quiet = st.columns([4, 1, 1])
        where.text_input(
            "Folder", str(watched.folder or "") if watched else "", key="watched_folder",
            placeholder="/data/incoming",
        )  # fmt: skip
        every.number_input("Every (s)", 1, 86_400, round(watched.every_seconds if watched else EVERY_SECONDS),
                           key="watched_every", help="How often the worker looks.")  # fmt: skip
        quiet.number_input("Quiet for (s)", 1, 86_400, round(watched.quiet_seconds if watched else QUIET_SECONDS),
                           key="watched_quiet", help="A folder in which something was just written waits.")  # fmt: skip
        with st.container(horizontal=True):
            st.form_submit_button("Watch", key="watched_save", icon=":material/visibility:", on_click=_save,
                                  args=(project,))  # fmt: skip
            if watched:
                st.form_submit_button("Stop watching", key="watched_stop", icon=":material/visibility_off:",
                                      on_click=_stop, args=(project,))  # fmt: skip


def _save(project: Project) -> None:
    with messages.refusals_told():
        watch_folder(
            session.db(), session.settings(), project, Path(st.session_state["watched_folder"].strip()),
            every_seconds=float(st.session_state["watched_every"]),
            quiet_seconds=float(st.session_state["watched_quiet"]), actor=session.actor(),
        )  # fmt: skip
        messages.say("The worker looks into this folder from now on.")


def _stop(project: Project) -> None:
    with messages.refusals_told():
        stop_watching(session.db(), project, session.actor())
        messages.say("The folder is no longer watched; what came in stays.")
