"""What a run says of itself: why its recipe is what it is, and what was found before its first step."""

import streamlit as st

from core.training.device import PRECISIONS
from core.training.preflight import duration
from core.training.records import Run

BEGINNING = {
    "queue": "waiting for a place",
    "process": "starting TensorFlow",
    "data": "preparing images",
    "trial": "building and trying the network",
    "first_step": "the first step",
}


def draw_told(run: Run) -> None:
    """Why the recipe, and what was found before the run began, one click away; nothing where nothing is told."""
    choice, found = run.told.get("choice"), run.told.get("preflight") or {}
    began = run.told.get("beginning")
    if not choice and not found and not began:
        return
    with st.popover("Why so", icon=":material/lightbulb:", width="stretch"):
        if choice:
            st.text(" ".join(choice["sentences"]))
            if choice["changed"]:
                changed = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in choice["changed"].items())
                st.text(f"Changed by whoever asked: {changed}.")
        for note in found.get("notes", ()):
            st.text(note)
        if "seconds_a_step" in found:
            st.text(
                f"Tried before the first epoch: {found['seconds_a_step'] * 1000:.0f} ms a step in batches of "
                f"{found['batch']}, {found['memory_bytes'] / 1e9:.1f} GB; expected to take "
                f"{duration(found['estimated_seconds'])}."
            )
        if precision := PRECISIONS.get(found.get("precision", "")):
            st.text(f"It learns in {precision}.")
        if began:
            parts = ", ".join(f"{words} {began[part]:.1f} s" for part, words in BEGINNING.items() if part in began)
            st.text(f"From the click to the first step {began['seconds']:.0f} s: {parts}.")
