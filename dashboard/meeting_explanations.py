"""The explanations of a meeting: which method can be trusted on this model, and the surest mistakes under it."""

from collections.abc import Sequence
from html import escape
from typing import Any

import streamlit as st

from core.explain.methods import METHODS
from core.explain.records import Evidence, find_evidence, sort_methods
from core.explain.verdict import Verdict
from core.projects.schema import Regression, Segmentation
from core.reviews.case_search import CaseRow
from core.reviews.failures import Kind, list_failures
from dashboard import evidence_view, jobs_panel, places, session
from dashboard.meeting_failures import EACH, TITLES, answered, choose_class, draw_beside, find_opened
from dashboard.meeting_painted import draw_painted_explanations
from dashboard.meeting_shown import OVERLAY_SHOWN
from dashboard.meeting_view import Meeting, follows
from dashboard.thumbnails import grid_html
from dashboard.viewer import Look, review_viewer

PANE_PX = 500
LEADS: dict[Verdict, str] = {
    "reliable": "Reliable for this model",
    "not reliable": "Not reliable for this model",
    "not checked": "Not checked",
}


def draw_explanations(meeting: Meeting) -> None:
    """What may be believed on the left; on the right mistakes, each leading to its case under a method that may."""
    if isinstance(meeting.schema, Segmentation):
        draw_painted_explanations(meeting)
        return
    found = find_evidence(session.db(), meeting.model.id)
    methods = sort_methods(found)
    best = next(iter(methods["reliable"]), None)
    if row := find_opened(meeting):
        _draw_opened(meeting, row, best)
        return
    left, right = st.columns([5, 6], gap="large")
    with left.container(height=PANE_PX, border=False):
        st.subheader("Which explanation can be trusted", anchor=False)
        _draw_verdicts(found)
        _draw_asking(meeting)
    with right.container(height=PANE_PX, border=False):
        st.subheader("What the model looked at", anchor=False)
        _draw_mistakes(meeting, best)


def _draw_verdicts(found: dict[str, Evidence]) -> None:
    rows = []
    for verdict, names in sort_methods(found).items():
        checked = [name for name in names if name in found]
        rows += [_row(found[name], verdict) for name in checked]
        if without := [METHODS[name].words for name in names if name not in found]:
            rows.append(
                f'<tr class="few"><td colspan="2">{LEADS["not checked"]}: {escape(", ".join(without))}</td></tr>'
            )
    st.html(
        f'<table class="rr-numbers rr-verdicts"><tr><th>method</th><th>on this model</th></tr>{"".join(rows)}</table>'
    )


def _row(evidence: Evidence, verdict: Verdict) -> str:
    told = evidence.told
    few = ' class="few"' if verdict == "not checked" else ""
    return (
        f'<tr{few}><td style="white-space:nowrap">{evidence_view.SYMBOLS[verdict]} '
        f"{escape(METHODS[evidence.method].words)}</td><td><b>{LEADS[verdict]}</b>, n = {told['n_cases']:,}, "
        f"{escape(told['split'])}<br><small>{escape('; '.join(evidence.why))}</small></td></tr>"
    )


def _draw_asking(meeting: Meeting) -> None:
    """The button that gathers evidence."""
    model = meeting.model
    jobs_panel.watch_active_jobs(model.project, ("gather_evidence",))
    jobs_panel.draw_failed(jobs_panel.find_last(model.project, "gather_evidence", model.id))
    with st.container(horizontal=True, vertical_alignment="center"):
        evidence_view.draw_asking(model)
        places.link("explanations", "All of the evidence", project=model.project, model=model.id)


def _draw_mistakes(meeting: Meeting, method: str | None) -> None:
    """Without a method that is reliable the cases open without a map."""
    if method:
        st.caption(
            f"Each case opens under {METHODS[method].words}. G shows and hides it. A map shows where a score came "
            "from; it does not show that the reason was right."
        )
    else:
        st.caption("No method is known to be reliable for this model, so cases open without a map.")
    of, kinds = _choose_kinds(meeting)
    found = {kind: list_failures(session.db(), meeting.project, meeting.review, kind, of, limit=EACH) for kind in kinds}
    for kind, rows in found.items():
        if rows:
            st.markdown(f"**{TITLES[kind]}**" + (f" · {escape(of)}" if of else ""))
            st.html(grid_html([_tile(meeting, row) for row in rows], meeting.schema))
    if not any(found.values()):
        st.caption("There is no mistake of this class on the test split.")


def _draw_opened(meeting: Meeting, row: CaseRow, method: str | None) -> None:
    """One case, large, its map off until somebody asks for it; who follows sees the same."""
    image, beside = st.columns([7, 2], gap="small")
    shown = bool(st.session_state.get(OVERLAY_SHOWN))
    # a viewer takes its first look only when it is made: for whoever follows, another look is another viewer
    key = f"meeting_explained_{row.id}" + (f"_{shown}" if follows(meeting) else "")
    with image:
        review_viewer(
            meeting.project, session.current_user(), [row.id], model=meeting.model.id if method else None,
            method=method or "grad_cam", look=Look(on=shown), on_looked=_keep_look, key=key,
        )  # fmt: skip
    told = f"{METHODS[method].words}, on and off by G." if method else "No map is known to be reliable here."
    with beside:
        query = {"overlay": "on", "method": method} if method else {}
        draw_beside(meeting, row, "explanations", lambda: st.caption(told), **query)


def _keep_look(look: Look) -> None:
    st.session_state[OVERLAY_SHOWN] = look.on


def _choose_kinds(meeting: Meeting) -> tuple[str, Sequence[Kind]]:
    if isinstance(meeting.schema, Regression):
        return "", ("largest error",)
    return choose_class(meeting), ("missed", "false alarm")


def _tile(meeting: Meeting, row: CaseRow) -> dict[str, Any]:
    """The reference stands on a tile as its chip; what the model said is all that it has room for beside it. It opens
    the case here, for those who follow as well."""
    here = places.address(
        "meeting", project=meeting.project.id, review=meeting.review.id, step="explanations", case=row.id
    )
    return {
        "reference": row.reference,
        "flagged": row.flagged,
        "pixel_hash": row.pixel_hash,
        "wrong": True,
        "name": f"case {row.id}",
        "said": answered(row),
        "address": here,
    }
