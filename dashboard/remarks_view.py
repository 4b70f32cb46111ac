"""What is said in reviews, threaded: in a meeting, and beside the image of the case that it is about."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from core.images.records import Case
from core.projects.records import Project
from core.reviews.meetings import Review
from core.reviews.remarks import Remark, add_remark, list_remarks, list_reviews_of_case, thread
from dashboard import messages, places, session, wording


def draw_thread(remarks: Sequence[Remark], titles: Mapping[str, str], review: Review) -> None:
    """Each answer under what it answers, with its number, by which it is answered; a case leads to its page."""
    for depth, one in thread(list(remarks)):
        about = escape(titles.get(one.step, "the model"))
        if one.case_id:
            where = places.address("case", project=review.project, case=one.case_id)
            about = f'<a href="{escape(where)}" target="_blank">case {one.case_id}</a>'
        st.html(
            f'<p class="rr-comment" style="margin-left:{1.4 * depth}rem"><b>{escape(one.author)}</b> '
            f"<small>{wording.moment(one.at)} · on {about} · no. {one.id}</small><br>{escape(one.text)}</p>"
        )


def draw_remarks_of_case(case: Case, project: Project) -> None:
    """What meetings said of a case, and a line to answer; nothing for whoever may not see test results."""
    if not session.may("open test results", project):
        return
    reviews = {review.id: review for review in list_reviews_of_case(session.db(), case)}
    if not reviews:
        return
    said = {
        number: [one for one in list_remarks(session.db(), review) if one.case_id == case.id]
        for number, review in reviews.items()
    }
    for number, remarks in said.items():
        if remarks:
            st.caption(f"Review {number}, {reviews[number].name}:")
            draw_thread(remarks, {}, reviews[number])
    with st.popover("Say it in a review", icon=":material/forum:"), st.form(f"remark_{case.id}", clear_on_submit=True):
        chosen = st.selectbox("Review", list(reviews), format_func=lambda number: f"{number} · {reviews[number].name}")
        parents = {one.id: one for remarks in said.values() for one in remarks}
        parent = st.selectbox(
            "In answer to", [None, *parents], format_func=lambda number: str(number or "nobody"),
            key=f"remark_parent_{case.id}", help="The number that stands behind a remark.",
        )  # fmt: skip
        text = st.text_input("Remark", key=f"remark_text_{case.id}")
        if st.form_submit_button("Say it", key=f"remark_say_{case.id}") and text.strip():
            with messages.refusals_shown():
                add_remark(session.db(), reviews[chosen], text, case_id=case.id, parent=parent, actor=session.actor())
                st.rerun()


def draw_saying(review: Review, case_ids: Sequence[int], *, step: str) -> None:
    """A small panel in a meeting: a remark on one of the cases that a step shows."""
    with st.popover("Say something on a case", icon=":material/forum:", disabled=not case_ids):
        st.selectbox("Case", list(case_ids), key="say_case")
        st.text_area("Remark", key="say_text", height=80)
        st.button("Say it", key="say_do", type="primary", on_click=_say, args=(review, step))


def _say(review: Review, step: str) -> None:
    with messages.refusals_told():
        text, case_id = st.session_state["say_text"], st.session_state["say_case"]
        add_remark(session.db(), review, text, step=step, case_id=case_id, actor=session.actor())
        st.session_state["say_text"] = ""
        messages.say(f"Said of case {case_id}; it stands in the discussion and on the page of the case.")
