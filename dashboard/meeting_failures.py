"""The failure gallery of a meeting: the surest mistakes, why, and which are read again."""

from collections.abc import Sequence
from html import escape

import pandas as pd
import streamlit as st

from core.projects.schema import Regression
from core.reviews.case_search import CaseRow
from core.reviews.failures import CAUSES, Kind, count_causes, keep_to_read_again, list_failures, map_causes, tag_failure
from dashboard import messages, places, session, wording
from dashboard.handing_out import draw_list_keeper, say_kept
from dashboard.meeting_view import Meeting
from dashboard.prefix import at
from dashboard.remarks_view import draw_saying

EACH = 5
TITLES: dict[Kind, str] = {
    "missed": "Missed, surest first",
    "false alarm": "False alarms, surest first",
    "largest error": "Largest errors",
}
ROW_PX = 74


def draw_failures(meeting: Meeting) -> None:
    """Two lists side by side; a cause is kept as soon as it is chosen."""
    of, kinds = "", ("largest error",)
    if not isinstance(meeting.schema, Regression):
        of, kinds = choose_class(meeting), ("missed", "false alarm")
    chosen: list[int] = []
    listed: list[int] = []
    for column, kind in zip(st.columns(len(kinds), gap="medium"), kinds, strict=True):
        with column:
            shown, ticked = _draw_list(meeting, kind, of)  # type: ignore[arg-type]
        listed, chosen = listed + shown, chosen + ticked
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Keep {wording.count(len(chosen), 'case')} to read again" if chosen else "Keep the ticked to read again",
            icon=":material/playlist_add:",
            key="meeting_read_again",
            disabled=not chosen,
            on_click=_keep,
            args=(meeting, chosen),
        )
        if chosen and session.may("label", meeting.project):
            with st.popover("Keep as a list", icon=":material/bookmark:"):
                draw_list_keeper(meeting.project, len(chosen), lambda: chosen)
        draw_saying(meeting.review, [*chosen, *(case for case in listed if case not in chosen)], step="failures")
        causes = ", ".join(f"{cause} {n}" for cause, n in count_causes(session.db(), meeting.review).items())
        st.caption(f"Tagged so far: {causes or 'nothing'}. A cause is what people see in a case, not a proof.")


def choose_class(meeting: Meeting) -> str:
    names = list(getattr(meeting.schema, "names", ()))
    return str(
        st.segmented_control(
            "Class", names, default=names[-1], required=True, key="meeting_failed", label_visibility="collapsed"
        )
    )


def _draw_list(meeting: Meeting, kind: Kind, of: str) -> tuple[list[int], list[int]]:
    """One list; which cases are in it, and which of them are ticked."""
    rows = list_failures(session.db(), meeting.project, meeting.review, kind, of, limit=EACH)
    st.markdown(f"**{TITLES[kind]}**" + (f" · {escape(of)}" if of else ""))
    if not rows:
        st.caption("None on the test split.")
        return [], []
    causes = map_causes(session.db(), meeting.review)
    key = f"failures_{meeting.review.id}_{kind}_{of}"
    table = pd.DataFrame(
        {
            "image": [at(f"/api/v1/thumbnails/{row.pixel_hash}.webp") for row in rows],
            "said": [_said(row) for row in rows],
            "case": [address(meeting, row.id) for row in rows],
            "cause": [causes.get(row.id, "") for row in rows],
            "again": [False for _ in rows],
        }
    )
    edited = st.data_editor(
        table,
        key=key,
        hide_index=True,
        row_height=ROW_PX,
        height=ROW_PX * EACH + 38,
        disabled=["image", "said", "case"],
        column_config={
            "image": st.column_config.ImageColumn("image", width=80),
            "said": st.column_config.TextColumn("the model said", width=136),
            "case": st.column_config.LinkColumn("case", display_text=r"case=(\d+)", width=52),
            "cause": st.column_config.SelectboxColumn("cause", options=list(CAUSES), width=108),
            "again": st.column_config.CheckboxColumn("read", help="Read the label again", width=44),
        },
        on_change=_tag,
        args=(meeting, key, [row.id for row in rows]),
    )
    shown = [row.id for row in rows]
    return shown, [case for case, again in zip(shown, edited["again"], strict=True) if again]


def _said(row: CaseRow) -> str:
    return f"{answered(row)}; reference {wording.answer(row.reference)}"


def answered(row: CaseRow) -> str:
    sure = f" ({wording.number(row.confidence, digits=2)})" if row.confidence is not None else ""
    return f"{wording.answer(row.predicted)}{sure}"


def address(meeting: Meeting, case: int, **query: str) -> str:
    return places.address(
        "review", project=meeting.project.id, model=meeting.model.id, snapshot=meeting.snapshot.id, split="test",
        result="all", case=case, **query,
    )  # fmt: skip


def _tag(meeting: Meeting, key: str, case_ids: Sequence[int]) -> None:
    with messages.refusals_told():
        known = map_causes(session.db(), meeting.review)
        for number, changed in st.session_state[key]["edited_rows"].items():
            case, cause = case_ids[int(number)], changed.get("cause")
            if "cause" in changed and (cause or "") != known.get(case, ""):
                tag_failure(session.db(), meeting.review, case, cause or "", actor=session.actor())


def _keep(meeting: Meeting, case_ids: Sequence[int]) -> None:
    with messages.refusals_told():
        kept = keep_to_read_again(session.db(), meeting.project, meeting.review, case_ids, actor=session.actor())
        say_kept(kept, meeting.project)
