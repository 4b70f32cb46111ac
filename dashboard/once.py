"""Buttons that count once: on a slow line a button seems to do nothing, and is pressed again.

Streamlit runs the page for each press. The second finds the button of a page that was drawn after the first had done
its work, under the same key, and does the work again. So such a button has another key once its work is done: what was
pressed on the screen of before is no button any more.
"""

import threading
from collections.abc import Callable

import streamlit as st

DONE = "once:done"
_thread = threading.local()


def key(name: str) -> str:
    """The key of a button that counts once; its page calls `spend`, or leaves by `places.go`, when the work is done."""
    _thread.done = st.session_state.setdefault(DONE, [0])
    number = _thread.done[0]
    return f"{name}_{number}" if number else name


def spend() -> None:
    """The work is done. A list that is changed and not the session state, at which Streamlit may begin the next run:
    between the work and this nothing may come."""
    done = getattr(_thread, "done", None)
    if done is not None:
        done[0] += 1


def callback(work: Callable[..., None]) -> Callable[..., None]:
    """What a button with such a key calls: a press of the button as it was before the work was done does nothing."""
    done: list[int] = st.session_state.setdefault(DONE, [0])
    drawn = done[0]

    def press(*arguments: object) -> None:
        if done[0] == drawn:
            work(*arguments)
            done[0] += 1

    return press
