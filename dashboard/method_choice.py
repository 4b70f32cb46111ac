"""Beside the review's viewer: which method explains, and whether two explanations stand beside each other."""

import streamlit as st

from core.explain.methods import METHODS
from core.training.records import Model
from dashboard import evidence_view, places, side_by_side

FIRST = "grad_cam"
SIDES_KEY = "review_beside_on"


def read_method() -> str:
    """The method of explanation that the address names."""
    asked = places.asked("method")
    return asked if asked in METHODS else FIRST


def draw_method(model: Model, method: str) -> None:
    """The choice, and how the method that is chosen stands on this model."""
    st.toggle(
        "Side by side",
        side_by_side.is_on(),
        key=SIDES_KEY,
        on_change=_keep_sides,
        help="Two methods, classes or models in place of the viewer.",
    )
    if side_by_side.is_on():
        return
    key = f"review_method_{method}"
    st.selectbox(
        "Explained by",
        list(METHODS),
        index=list(METHODS).index(method),
        format_func=lambda name: evidence_view.words_of(model, name),
        key=key,
        on_change=_keep_method,
        args=(key,),
        help=f"{METHODS[method].sentence} G shows and hides it on the image.",
    )
    evidence_view.draw_standing(model, method)
    places.link("explanations", "Evidence", project=model.project, model=model.id)


def _keep_sides() -> None:
    places.remember(beside="on" if st.session_state[SIDES_KEY] else None)


def _keep_method(key: str) -> None:
    chosen = st.session_state[key]
    places.remember(method=None if chosen == FIRST else chosen)
