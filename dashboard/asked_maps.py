"""Maps that a page has asked for: the job that answers, the wait for it, and the numbers of one map on request."""

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import streamlit as st

from core.explain.told_scores import describe_scores
from core.jobs.records import Job, get_job
from dashboard import jobs_panel, messages, session
from dashboard.routes.explanations import find_or_ask

REFRESH_SECONDS = 1.0


def draw_answer(question: Mapping[str, Any], key: str, draw: Callable[[Job], None]) -> None:
    """Asks, and draws what the job found once it is done; until then how far it is, or why there is no answer.

    Args:
        key: of the widgets.
    """
    with messages.refusals_shown():
        job = _ask_for(question)
        if job.state == "done":
            draw(job)
        elif job.state in jobs_panel.ACTIVE:
            _wait_for(job.id)
        else:
            _draw_failure(job, question, key)


def draw_scores(question: Mapping[str, Any], key: str) -> None:
    """A button that asks how good one map is; its numbers once they are there. They are kept as maps are."""
    asked, wanted = {**question, "scores": True}, f"scores_wanted:{sorted(question.items())}"
    if not st.session_state.get(wanted):
        st.button(
            "How good is this map?", key=f"{key}_scores", icon=":material/speed:", on_click=_want, args=(wanted,),
            help="Deletion and insertion against random places, stability under noise, and where readers marked "
            "something whether the map points at it.",
        )  # fmt: skip
        return
    draw_answer(asked, f"{key}_scores", lambda job: _draw_numbers(str(question["class"]), (job.result or {})["scores"]))


def _ask_for(question: Mapping[str, Any]) -> Job:
    """The job that answers; one that failed is not asked again by each rerun of the page."""
    known = st.session_state.get(_key(question))
    job = get_job(session.db(), known) if known else None
    if job is None or job.state == "done":  # what is done may have been cleared away since
        job = find_or_ask(session.db(), session.files(), session.current_user(), dict(question), session.actor())
        st.session_state[_key(question)] = job.id
    return job


@st.fragment(run_every=REFRESH_SECONDS)
def _wait_for(job_id: int) -> None:
    """Says how far a job is; the page is drawn anew once it has ended."""
    job = get_job(session.db(), job_id)
    if job.state not in jobs_panel.ACTIVE:
        st.rerun()
    st.caption(job.note or "Waiting for the worker")


def _draw_failure(job: Job, question: Mapping[str, Any], key: str) -> None:
    """Why there is no answer, and the button that asks again."""
    st.error(f"{job.error or 'It was stopped.'} {job.remedy or ''}", icon=":material/error:")
    st.button("Ask again", key=f"{key}_again", on_click=_forget, args=(question,))


def _draw_numbers(explained: str, scores: Mapping[str, Any]) -> None:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td><b>{escape(value)}</b></td><td><small>{escape(against)}</small></td></tr>"
        for name, value, against in describe_scores(scores)
    )
    st.html(f'<table class="rr-numbers"><tr><th colspan="3">This map of {escape(explained)}</th></tr>{rows}</table>')


def _want(wanted: str) -> None:
    st.session_state[wanted] = True


def _key(question: Mapping[str, Any]) -> str:
    return f"asked:{sorted(question.items())}"


def _forget(question: Mapping[str, Any]) -> None:
    st.session_state.pop(_key(question), None)
