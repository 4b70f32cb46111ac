"""The registry on screen: which model is in production, which was and why, and the way back."""

from collections.abc import Mapping
from html import escape

import streamlit as st

from core.projects.records import Project
from core.reviews.registry import find_predecessor, find_production, list_moves, roll_back
from core.training.records import Model
from dashboard import messages, places, session, wording
from dashboard.drift_view import find_alarm, say_alarm

SHOWN = 30


def say_production(project: Project) -> str:
    """HTML: the model in production and since when; a dash where there is none."""
    model = find_production(session.db(), project.id)
    if model is None:
        return "–"
    since = next(move.at for move in list_moves(session.db(), project.id) if move.model == model.id)
    address = places.address("models", project=project.id, model=model.id)
    return f'<a href="{escape(address)}" target="_self">{escape(model.name)}</a>, since {wording.moment(since)}'


def draw_registry(project: Project, models: Mapping[int, Model]) -> None:
    """A small panel: the whole history, and one click back for whoever may sign."""
    moves = list_moves(session.db(), project.id)
    alarm = find_alarm(project)
    icon = ":material/trending_up:" if alarm else ":material/history:"
    with st.popover("Registry: drift" if alarm else "Registry", icon=icon):
        st.html(f'<dl class="rr-facts"><dt>In production</dt><dd>{say_production(project)}</dd></dl>')
        if alarm:
            say_alarm(alarm)
        if not moves:
            st.caption("No model was in production yet. The way there is a review that approves it.")
            places.link("meeting", "Prepare a review", project=project.id)
            return
        rows = "".join(
            f"<tr><td>{wording.moment(move.at)}</td><td>{escape(models[move.model].name)}</td><td>{move.stage}</td>"
            f"<td>{move.review or '–'}</td><td>{escape(move.by)}</td><td>{escape(move.reason)}</td></tr>"
            for move in moves[:SHOWN]
        )
        head = "<tr><th>when</th><th>model</th><th>stage</th><th>review</th><th>by</th><th>why</th></tr>"
        st.html(f'<div class="rr-scroll"><table class="rr-numbers">{head}{rows}</table></div>')
        before = find_predecessor(session.db(), project.id)
        if before is not None and session.may("sign", project):
            st.button(
                f"Roll back to {before.name}", icon=":material/undo:", key="registry_back", on_click=_roll_back,
                args=(project, before),
            )  # fmt: skip


def _roll_back(project: Project, before: Model) -> None:
    with messages.refusals_told():
        roll_back(session.db(), project.id, actor=session.actor())
        messages.say(f"{before.name} is in production again.")
