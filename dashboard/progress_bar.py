"""Progress of an engine function as a bar on the page."""

import streamlit as st


class BarProgress:
    """A `Progress` that whoever waits can see; nothing on a page can stop it."""

    def __init__(self, text: str) -> None:
        self._bar = st.progress(0.0, text=text)

    def report(self, fraction: float, note: str, **facts: object) -> None:
        self._bar.progress(min(1.0, max(0.0, fraction)), text=note[:1].upper() + note[1:])

    def should_stop(self) -> bool:
        return False

    def remove(self) -> None:
        """Take the bar off the page."""
        self._bar.empty()
