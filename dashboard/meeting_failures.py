"""The failure gallery of a meeting: the surest mistakes, why, and which are read again."""

from collections.abc import Callable, Sequence
from html import escape

import pandas as pd
import streamlit as st

from core.datasets.records import list_snapshot_cases
from core.evaluation.records import list_measured
from core.projects.schema import Regression, Segmentation
from core.reviews.case_search import CaseFilter, CaseRow, open_rows
from core.reviews.exclusions import exclude_cases
from core.reviews.failures import (
    CAUSES,
    Kind,
    count_causes,
    count_failures,
    keep_to_read_again,
    kinds_of,
    list_failures,
    list_worst_painted,
    map_causes,
    tag_failure,
)
from dashboard import messages, places, session, wording
from dashboard.handing_out import draw_list_keeper, say_kept
from dashboard.meeting_shown import FAILED_CLASS
from dashboard.meeting_view import Meeting, show_case
from dashboard.painted_view import draw_picture
from dashboard.prefix import at
from dashboard.remarks_view import draw_saying
from dashboard.viewer import review_viewer

EACH = 5
TITLES: dict[Kind, str] = {
    "missed": "Missed, surest first",
    "false alarm": "False alarms, surest first",
    "largest error": "Largest errors",
    "lowest Dice": "Lowest Dice",
}
ROW_PX = 74


def draw_failures(meeting: Meeting) -> None:
    """The lists, two side by side of classes, or the case that was opened; a cause is kept as soon as it is chosen."""
    if case := find_opened(meeting):
        _draw_opened(meeting, case)
        return
    of, kinds = "", kinds_of(meeting.schema)
    above = st.container(horizontal=True, vertical_alignment="center")
    if not isinstance(meeting.schema, Regression):
        with above:
            of = choose_class(meeting)
    chosen: list[int] = []
    listed: list[int] = []
    for column, kind in zip(st.columns(len(kinds), gap="medium"), kinds, strict=True):
        with column:
            shown, ticked = _draw_list(meeting, kind, of)
        listed, chosen = listed + shown, chosen + ticked
    with above:
        _draw_opening(meeting, listed)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            f"Keep {wording.count(len(chosen), 'case')} to read again" if chosen else "Keep the chosen to read again",
            icon=":material/playlist_add:",
            key="meeting_read_again",
            disabled=not chosen,
            on_click=_keep,
            args=(meeting, chosen),
        )
        if chosen and session.may("label", meeting.project):
            with st.popover("Keep as a list", icon=":material/bookmark:"):
                draw_list_keeper(meeting.project, len(chosen), lambda: chosen)
        _draw_excluding(meeting, chosen)
        draw_saying(meeting.review, [*chosen, *(case for case in listed if case not in chosen)], step="failures")
        causes = ", ".join(f"{cause} {n}" for cause, n in count_causes(session.db(), meeting.review).items())
        st.caption(f"Tagged so far: {causes or 'nothing'}. A cause is what people see in a case, not a proof.")


def _draw_excluding(meeting: Meeting, chosen: Sequence[int]) -> None:
    """One reason for all of the chosen; nothing for whoever may not label."""
    if not session.may("label", meeting.project):
        return
    with st.popover("Exclude", icon=":material/block:", disabled=not chosen):
        st.caption(
            f"{wording.count(len(chosen), 'case')} will be called unusable by you. The numbers of this review stay; a "
            "training with the corrected labels leaves out what has no reference then."
        )
        st.text_input("Why", key="exclude_reason", placeholder="such as: wrong patient, cut off")
        st.button("Exclude from the next snapshot", key="exclude_do", type="primary", on_click=_exclude,
                  args=(meeting, list(chosen)))  # fmt: skip


def choose_class(meeting: Meeting) -> str:
    names = list(getattr(meeting.schema, "names", ()))
    return str(
        st.segmented_control(
            "Class or structure",
            names,
            default=names[-1],
            required=True,
            key=FAILED_CLASS,
            label_visibility="collapsed",
        )
    )


def _draw_list(meeting: Meeting, kind: Kind, of: str) -> tuple[list[int], list[int]]:
    """One list; which cases are in it, and which of them are ticked."""
    rows = list_failures(session.db(), meeting.project, meeting.review, kind, of, limit=EACH)
    count = count_failures(meeting.evaluation.result, kind, of)
    among = f" · {len(rows):,} of {count:,}" if rows and count is not None else ""
    st.markdown(f"**{TITLES[kind]}**" + (f" · {escape(of)}" if of else "") + among)
    if not rows:
        st.caption("None on the test split.")
        return [], []
    causes = map_causes(session.db(), meeting.review)
    key = f"failures_{meeting.review.id}_{kind}_{of}"
    table = pd.DataFrame(
        {
            "image": [at(f"/api/v1/thumbnails/{row.pixel_hash}.webp") for row in rows],
            "said": _tell(meeting, rows, of),
            "case": [address(meeting, row.id, **({"structure": of} if kind == "lowest Dice" else {})) for row in rows],
            "cause": [causes.get(row.id, "") for row in rows],
            "again": [False for _ in rows],
        }
    )
    edited = st.data_editor(
        table,
        key=key,
        hide_index=True,
        row_height=ROW_PX,
        height=ROW_PX * len(rows) + 38,
        disabled=["image", "said", "case"],
        column_config={
            "image": st.column_config.ImageColumn("image", width=80),
            "said": st.column_config.TextColumn("the model said", width=124),
            "case": st.column_config.LinkColumn("case", display_text=r"case=(\d+)", width=52),
            "cause": st.column_config.SelectboxColumn("cause", options=list(CAUSES), width=108),
            "again": st.column_config.CheckboxColumn("chosen", help="To read again, to keep, to exclude", width=74),
        },
        on_change=_tag,
        args=(meeting, key, [row.id for row in rows]),
    )
    shown = [row.id for row in rows]
    return shown, [case for case, again in zip(shown, edited["again"], strict=True) if again]


def _tell(meeting: Meeting, rows: Sequence[CaseRow], of: str) -> list[str]:
    """What the model said of each case; of a painted structure how well it was painted."""
    if not isinstance(meeting.schema, Segmentation):
        return [f"{answered(row)}; reference {wording.answer(row.reference)}" for row in rows]
    unit = meeting.evaluation.result["unit"]
    measured = {one.case_id: one for one in list_worst_painted(session.db(), meeting.review, of)}
    told = []
    for one in (measured[row.id] for row in rows):
        far = f", HD95 {wording.number(one.hd95, digits=1)} {unit}" if one.hd95 is not None else ", HD95 undefined"
        told.append(f"Dice {wording.number(one.dice)}{far}")
    return told


def answered(row: CaseRow) -> str:
    """What the model said, and how sure it was; of a number it is not more or less sure."""
    is_sure = row.confidence is not None and "classes" in (row.predicted or {})
    sure = f" ({wording.number(row.confidence, digits=2)})" if is_sure else ""
    return f"{wording.answer(row.predicted)}{sure}"


def address(meeting: Meeting, case: int, **query: str) -> str:
    return places.address(
        "review", project=meeting.project.id, model=meeting.model.id, snapshot=meeting.snapshot.id, split="test",
        result="all", case=case, **query,
    )  # fmt: skip


def _draw_opening(meeting: Meeting, case_ids: Sequence[int]) -> None:
    """Which case is looked at together."""
    key = f"meeting_open_case_{meeting.review.id}"
    if case_ids:
        st.caption("Open case", width="content")
        st.pills(
            "Open case", list(dict.fromkeys(case_ids)), key=key, on_change=_open, args=(meeting, key),
            label_visibility="collapsed",
        )  # fmt: skip


def _open(meeting: Meeting, key: str) -> None:
    show_case(meeting, "failures", st.session_state[key])


def find_opened(meeting: Meeting) -> CaseRow | None:
    """The case of the address, where it is of the test split of this review: an address may name anything."""
    asked = places.asked_number("case")
    if asked is None:
        return None
    wanted = CaseFilter(model=meeting.model.id, snapshot=meeting.snapshot.id, split="test", fold=meeting.fold)
    return next((row for row in open_rows(session.db(), wanted, [asked]) if _is_of_test(meeting, row.id)), None)


def _is_of_test(meeting: Meeting, case_id: int) -> bool:
    """Asked of the one case: a fold is the test split of its own view."""
    found = list_snapshot_cases(session.db(), meeting.snapshot.id, only=[case_id])
    return any(case.split == "test" if meeting.fold is None else case.fold == meeting.fold for case in found)


def _draw_opened(meeting: Meeting, row: CaseRow) -> None:
    """One case, large; who follows sees it too."""
    image, beside = st.columns([7, 2], gap="small")
    with image:
        if isinstance(meeting.schema, Segmentation):
            _draw_painted(meeting, row.id)
        else:
            review_viewer(meeting.project, session.current_user(), [row.id], key=f"meeting_viewer_{row.id}")
    with beside:
        draw_beside(meeting, row, "failures", lambda: _draw_cause(meeting, row.id))


def _draw_cause(meeting: Meeting, case_id: int) -> None:
    if cause := map_causes(session.db(), meeting.review).get(case_id):
        st.markdown(f"Cause that people saw: **{cause}**")


def draw_beside(meeting: Meeting, row: CaseRow, step: str, draw_more: Callable[[], None], **query: str) -> None:
    """The column beside the case that is open in a step: the answers, what the step says more of it, and the ways on.

    Args:
        query: how it is looked at on the page Review.
    """
    with st.container(key="review_beside"):
        st.subheader(f"Case {row.id}", anchor=False)
        st.markdown(f"Reference **{wording.answer(row.reference)}**")
        if not isinstance(meeting.schema, Segmentation):
            st.markdown(f"The model said **{answered(row)}**")
        draw_more()
        st.button("Back to the lists", icon=":material/arrow_back:", key="meeting_close_case", on_click=show_case,
                  args=(meeting, step, None))  # fmt: skip
        where = address(meeting, row.id, **query)
        st.html(f'<a href="{escape(where)}" target="_blank">On the page Review</a>')
        draw_saying(meeting.review, [row.id], step=step)


def _draw_painted(meeting: Meeting, case_id: int) -> None:
    """The worst of the structures first."""
    measured = {
        one.structure: one for one in list_measured(session.db(), meeting.evaluation.id) if one.case_id == case_id
    }
    if not measured:
        st.caption("Nothing was measured on this case.")
        return
    structure = st.segmented_control(
        "Structure", list(measured), default=next(iter(measured)), required=True,
        key=f"meeting_painted_{case_id}", label_visibility="collapsed",
    )  # fmt: skip
    draw_picture(meeting.project, meeting, measured[structure])


def _tag(meeting: Meeting, key: str, case_ids: Sequence[int]) -> None:
    with messages.refusals_told():
        known = map_causes(session.db(), meeting.review)
        for number, changed in st.session_state[key]["edited_rows"].items():
            case, cause = case_ids[int(number)], changed.get("cause")
            if "cause" in changed and (cause or "") != known.get(case, ""):
                tag_failure(session.db(), meeting.review, case, cause or "", actor=session.actor())


def _exclude(meeting: Meeting, case_ids: Sequence[int]) -> None:
    with messages.refusals_told():
        done = exclude_cases(
            session.db(), meeting.review, case_ids, st.session_state["exclude_reason"], actor=session.actor()
        )
        st.session_state["exclude_reason"] = ""
        told = f"{wording.count(len(done.case_ids), 'case')} excluded; the reason stands in the discussion."
        if done.outvoted:
            cases = ", ".join(map(str, done.outvoted))
            told += f" More readers call these usable, so they keep their reference: {cases}."
        messages.say(told)


def _keep(meeting: Meeting, case_ids: Sequence[int]) -> None:
    with messages.refusals_told():
        kept = keep_to_read_again(session.db(), meeting.project, meeting.review, case_ids, actor=session.actor())
        say_kept(kept, meeting.project)
