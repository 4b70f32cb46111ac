"""Check pixels: one held image at a time; black out what names somebody, or say that nothing does."""

import streamlit as st

from core.images.pixel_checks import get_check, list_held
from core.images.records import get_case
from dashboard import check_pixels_view, frame, messages, places, session, wording

project = frame.need_project()
held = list_held(session.db(), project.id)
waiting = f"{wording.count(len(held), 'image')} held; readers see none of them." if held else ""
frame.draw_heading(
    "Check pixels", waiting or "Images that may carry a name in their pixels wait here until somebody looked.",
    project=project,
)  # fmt: skip
if not held:
    messages.end_empty(
        "No image waits",
        "Ultrasound, screen captures and whatever the header does not vouch for are held here when they come in.",
        step="See all cases",
        to="cases",
        project=project.id,
    )
ids = [check.case_id for check in held]
asked = places.asked_number("case")
# after a case was released the next one follows, and behind the last one the first that was passed over
at = next((at for at, number in enumerate(ids) if number >= (asked or 0)), 0)
case, check = get_case(session.db(), ids[at]), get_check(session.db(), ids[at])
places.remember(case=case.id)

image, decision = st.columns([9, 4], gap="medium")
with image:
    check_pixels_view.draw_image(case, check, project)
with decision:
    st.subheader(f"Case {case.id}", anchor=False)
    with st.container(horizontal=True):
        for label, to in (("Before", at - 1), ("Next", at + 1)):
            if 0 <= to < len(ids):
                places.link("check_pixels", label, project=project.id, case=ids[to])
    check_pixels_view.draw_decision(case, check, project)
