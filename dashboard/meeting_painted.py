"""The explanations of a meeting about painted structures: whether the model's doubt can be trusted, and one case after
the other under its errors and its doubt."""

from html import escape

import streamlit as st

from core.evaluation.records import MeasuredMask
from core.evaluation.stated_doubt import ERRORS_NEED_NONE, MAPS_UNCHECKED, DoubtEvidence, gather_doubt_evidence
from core.explain.records import DoubtMaps, find_doubt_maps
from core.explain.verdict import RULES_OF_DOUBT
from core.reviews.failures import list_worst_painted
from dashboard import evidence_view, session, wording
from dashboard.meeting_failures import choose_class
from dashboard.meeting_shown import MAP_SHOWN
from dashboard.meeting_view import Meeting
from dashboard.painted_view import draw_picture

PANE_PX = 560
EACH = 8
HIGHEST = 43  # hundredths of the screen: legend and scale stand below the picture


def draw_painted_explanations(meeting: Meeting) -> None:
    """What may be believed on the left; beside it a case, whose maps are off until somebody asks for them."""
    left, middle, right = st.columns([3.4, 4.7, 1.9], gap="medium")
    with left.container(height=PANE_PX, border=False):
        st.subheader("Whether its doubt can be trusted", anchor=False)
        _draw_evidence(meeting)
    with right:
        row = _choose_case(meeting)
    with middle:
        if row is not None:
            shown = bool(st.session_state.get(MAP_SHOWN))
            draw_picture(meeting.project, meeting, row, bare=not shown, first="errors", highest=HIGHEST)


def _draw_evidence(meeting: Meeting) -> None:
    found = gather_doubt_evidence(session.db(), meeting.evaluation)
    rows = "".join(_row(one) for one in found)
    st.html(
        f'<table class="rr-numbers rr-verdicts"><tr><th>structure</th><th>on this model, test</th></tr>{rows}</table>'
    )
    st.caption(
        "Rank correlation (Spearman) of how sure the model is of a case, the mean probability of what it painted, with "
        "its Dice; 95 % interval by bootstrap over patients, 1,000 resamples, seed 0. Cases count on which the "
        "structure is in the reference and was painted."
    )
    maps = find_doubt_maps(session.db(), meeting.model.id)
    if maps is None:
        st.caption(f"{MAPS_UNCHECKED} {ERRORS_NEED_NONE}")
        return
    rows = "".join(_map_row(name, maps) for name in maps.told["structures"])
    head = f"<tr><th>structure</th><th>its map of doubt, {maps.told['split']}</th></tr>"
    st.html(f'<table class="rr-numbers rr-verdicts">{head}{rows}</table>')
    st.caption(f"{RULES_OF_DOUBT} {ERRORS_NEED_NONE}")


def _row(one: DoubtEvidence) -> str:
    sign = evidence_view.SYMBOLS["reliable" if one.is_shown else "not checked"]
    few = "" if one.is_shown else ' class="few"'
    told = f"{wording.interval(vars(one.follows))}, " if one.follows.value is not None else ""
    return (
        f'<tr{few}><td style="white-space:nowrap">{sign} {escape(one.structure)}</td><td><b>{escape(one.verdict)}</b>'
        f"<br><small>{told}n = {one.n_cases:,} of {wording.count(one.n_patients, 'patient')}</small></td></tr>"
    )


def _map_row(structure: str, maps: DoubtMaps) -> str:
    standing = maps.standing(structure)
    few = "" if standing.verdict == "reliable" else ' class="few"'
    return (
        f'<tr{few}><td style="white-space:nowrap">{evidence_view.SYMBOLS[standing.verdict]} {escape(structure)}</td>'
        f"<td><b>{escape(standing.verdict)}</b><br><small>{escape('; '.join(maps.why(structure)))}, "
        f"n = {standing.n:,}</small></td></tr>"
    )


def _choose_case(meeting: Meeting) -> MeasuredMask | None:
    shown = bool(st.session_state.get(MAP_SHOWN))
    st.button(
        "Hide the map" if shown else "Show the map", icon=":material/layers:", key="meeting_map", shortcut="g",
        on_click=_turn, help="Errors, doubt or outlines over the image.", width="stretch",
    )  # fmt: skip
    structure = choose_class(meeting)
    worst = list_worst_painted(session.db(), meeting.review, structure)
    if not worst:
        st.caption(f"{structure} is on no test case, in neither the reference nor the answer.")
        return None
    rows = {row.case_id: row for row in worst[:EACH]}
    case = st.radio(
        "Case · Dice, the lowest first", list(rows), format_func=lambda number: _name(rows[number]),
        key=f"meeting_map_case_{structure}",
    )  # fmt: skip
    return rows[case]


def _name(row: MeasuredMask) -> str:
    return f"{row.case_id} · {wording.number(row.dice, digits=2)}"


def _turn() -> None:
    st.session_state[MAP_SHOWN] = not st.session_state.get(MAP_SHOWN)
