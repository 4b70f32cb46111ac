"""What the screen says when something is refused, done, or not there yet."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

import streamlit as st

from core.errors import CoreError
from dashboard import places, session

REFUSAL, NEWS = "message:refusal", "message:news"


@contextmanager
def refusals_told() -> Iterator[None]:
    """In a callback: keep a refusal for the top of the page that is drawn next. Defects pass through and crash."""
    try:
        yield
    except CoreError as error:
        st.session_state[REFUSAL] = str(error)


@contextmanager
def refusals_shown() -> Iterator[None]:
    """While drawing: show a refusal where it happened, and draw on after it."""
    try:
        yield
    except CoreError as error:
        st.error(str(error), icon=":material/error:")


def say(text: str) -> None:
    """News for the page that is drawn next; it floats, so nothing on the page moves."""
    st.session_state[NEWS] = text


def show_messages() -> None:
    """Once per rerun, by the shell, above the page."""
    refusal = st.session_state.pop(REFUSAL, None)
    if refusal:
        st.error(refusal, icon=":material/error:")
    news = st.session_state.pop(NEWS, None)
    if news:
        st.toast(news, icon=":material/check:")


def show_empty(title: str, text: str, *, step: str = "", to: str = "", **query: places.Query) -> None:
    """An empty state: what would be here, why it is not yet, and the next step."""
    with st.container(border=True, key="empty_state", horizontal_alignment="center", gap="small"):
        st.markdown(f"#### {title}", text_alignment="center")
        st.markdown(text, text_alignment="center")
        if to and session.may_open(to, session.current_project()):
            places.link(to, step or None, **query)


def end_empty(title: str, text: str, *, step: str = "", to: str = "", **query: places.Query) -> NoReturn:
    """An empty state with which the page ends."""
    show_empty(title, text, step=step, to=to, **query)
    st.stop()


def listed(names: Sequence[str]) -> str:
    """`anna, ben or carla`."""
    return " or ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""
