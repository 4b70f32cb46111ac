"""Test results that are shown outside of a meeting: reviews of them lock by that, and the look is counted."""

import streamlit as st

from core.errors import Conflict
from core.evaluation.records import Evaluation
from core.reviews.meetings import note_shown
from dashboard import session


def note_test_results(evaluation: Evaluation) -> None:
    """Once in a tab for each evaluation, wherever a page is about to show what a model does on the test split; who has
    opened a review in this tab was counted there."""
    if _key(evaluation.id) in st.session_state:
        return
    try:
        locked = note_shown(session.db(), evaluation.model, evaluation.snapshot, actor=session.actor())
    except Conflict:  # criteria that change in this moment: the next rerun tries again
        return
    st.session_state[_key(evaluation.id)] = True
    if locked:
        names = ", ".join(f"{one.id} · {one.name}" for one in locked)
        st.toast(f"These test results are open now: the criteria of review {names} are locked.", icon=":material/lock:")


def note_opened(evaluation: int | None) -> None:
    """A review was opened in this tab, which counted the look: its cases and numbers elsewhere are the same look."""
    if evaluation is not None:
        st.session_state[_key(evaluation)] = True


def _key(evaluation: int) -> str:
    return f"test_results_shown_{evaluation}"
