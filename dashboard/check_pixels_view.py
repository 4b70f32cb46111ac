"""One held image: what is drawn on it is blacked out, what names nobody is released."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from core.erasing.erase import finish_erasing
from core.images.pixel_checks import (
    Box,
    PixelCheck,
    black_out,
    find_template,
    list_held_of_device,
    release,
    save_template,
)
from core.images.records import Case, get_case
from core.labels.marks import Mark, NewMark, add_mark, list_marks
from core.labels.records import new_event
from core.projects.records import Project
from core.projects.schema import Generation
from dashboard import erasing_view, messages, session, wording
from dashboard.viewer import review_viewer


def draw_image(case: Case, project: Project) -> None:
    """The image in the viewer, to look at closely; a project without a viewer has the picture alone."""
    if isinstance(project.schema, Generation):
        st.html(f'<img src="/api/v1/thumbnails/{case.pixel_hash}.webp" alt="" style="width:100%">')
        return
    review_viewer(project, session.current_user(), [case.id], key=f"check_viewer_{case.id}")


def drawn_boxes(case: Case) -> list[tuple[Mark, Box]]:
    """What whoever is signed in has drawn on the image as boxes, in whole pixels that cover all of each."""
    name = session.current_user().name
    found = []
    for mark in list_marks(session.db(), case.id, name):
        if mark.kind == "box":
            left, top = int(mark.geometry["x"]), int(mark.geometry["y"])
            right = -int(-(mark.geometry["x"] + mark.geometry["width"]) // 1)
            bottom = -int(-(mark.geometry["y"] + mark.geometry["height"]) // 1)
            found.append((mark, Box(left, top, right - left, bottom - top)))
    return found


def draw_box_maker(case: Case, check: PixelCheck) -> list[Box]:
    """Boxes set by two sliders over a picture of the image; those of the device's template to begin with."""
    template = find_template(session.db(), case.project, check.device)
    boxes: list[Box] = st.session_state.setdefault(_kept(case.id), list(template.boxes) if template else [])
    if template:
        st.caption(f"From the template for {template.name}, saved by {template.made_by}.")
    left, right = st.slider("From left to right", 0, case.columns, (0, case.columns), key=f"check_across_{case.id}")
    top, bottom = st.slider(
        "From top to bottom", 0, case.rows, (0, max(1, case.rows // 8)), key=f"check_down_{case.id}"
    )
    now = Box(left, top, right - left, bottom - top)
    st.html(_preview(case, boxes, now))
    with st.container(horizontal=True):
        st.button("Add this box", icon=":material/add:", key=f"check_add_{case.id}", on_click=boxes.append, args=(now,),
                  disabled=not (now.width and now.height))  # fmt: skip
        st.button("Take the last away", icon=":material/undo:", key=f"check_undo_{case.id}", on_click=boxes.pop,
                  disabled=not boxes)  # fmt: skip
    return list(boxes)


def _kept(case_id: int) -> str:
    return f"check:boxes:{case_id}"


def _preview(case: Case, boxes: Sequence[Box], now: Box) -> str:
    """The image with what goes black, and the outline of the box that the sliders say."""

    def placed(box: Box, style: str) -> str:
        place = (
            f"left:{100 * box.left / case.columns:.3f}%;top:{100 * box.top / case.rows:.3f}%;"
            f"width:{100 * box.width / case.columns:.3f}%;height:{100 * box.height / case.rows:.3f}%"
        )
        return f'<div style="position:absolute;{place};{style}"></div>'

    drawn = [box for _, box in drawn_boxes(case)]
    black = "".join(placed(box, "background:#000") for box in (*boxes, *drawn))
    return (
        f'<div style="position:relative;aspect-ratio:{case.columns}/{case.rows}">'
        f'<img src="/api/v1/thumbnails/{case.pixel_hash}.webp" alt="The image and what goes black" '
        f'style="width:100%;height:100%;object-fit:fill;display:block">'
        f"{black}{placed(now, 'outline:2px solid #f5a623')}</div>"
    )


def draw_decision(case: Case, check: PixelCheck, project: Project) -> None:
    """Why it is held, the boxes, and the three ways on."""
    st.html(f"<p>{escape(check.reason)}</p>")
    st.caption(
        "Put boxes over everything that names somebody: names, numbers, dates, the hospital. The viewer tells the "
        "place under the pointer. Boxes are painted black on every frame; what was under them is gone."
    )
    typed = draw_box_maker(case, check)
    count = len(typed) + len(drawn_boxes(case))
    st.html(f"<p><b>{wording.count(count, 'box', 'boxes')}</b> to be painted black</p>")
    same = len(list_held_of_device(session.db(), project.id, check.device))
    st.checkbox(
        "Save as template for this device",
        key=f"check_keep_{case.id}",
        help=f"{wording.count(same, 'held image')} came from it; the boxes are filled in for the next.",
    )
    st.button("Black out and release", icon=":material/ink_eraser:", type="primary", key=f"check_black_{case.id}",
              on_click=_black_out, args=(case.id, typed), width="stretch")  # fmt: skip
    st.button("Nothing to hide: release", icon=":material/check:", key=f"check_release_{case.id}",
              on_click=_release, args=(case.id,), width="stretch")  # fmt: skip
    template = find_template(session.db(), project.id, check.device)
    if template and same > 1:
        st.button(
            f"Apply the template to all {same:,} of this device",
            icon=":material/done_all:",
            key=f"check_all_{case.id}",
            on_click=_apply_to_all,
            args=(project.id, check.device, template.boxes),
            width="stretch",
        )
    erasing_view.draw_case_deletion(case, project)


def _black_out(case_id: int, typed: Sequence[Box]) -> None:
    with messages.refusals_told():
        case = get_case(session.db(), case_id)
        drawn = drawn_boxes(case)
        boxes = [*(box for _, box in drawn), *typed]
        black_out(session.db(), session.files(), case_id, boxes, session.actor())
        if st.session_state.get(f"check_keep_{case_id}"):
            save_template(session.db(), case, boxes, session.actor())
        _take_away(drawn)
        finish_erasing(session.files())
        messages.say(f"Case {case_id} is blacked out in {wording.count(len(boxes), 'place')} and released.")


def _release(case_id: int) -> None:
    with messages.refusals_told():
        drawn = drawn_boxes(get_case(session.db(), case_id))
        release(session.db(), case_id, session.actor())
        _take_away(drawn)
        messages.say(f"Case {case_id} is released as it is.")


def _apply_to_all(project_id: int, device: str, boxes: Sequence[Box]) -> None:
    with messages.refusals_told():
        done = list_held_of_device(session.db(), project_id, device)
        for case_id in done:
            black_out(session.db(), session.files(), case_id, boxes, session.actor())
        finish_erasing(session.files())
        messages.say(f"The template was applied to {wording.count(len(done), 'image')}; they are released.")


def _take_away(drawn: Sequence[tuple[Mark, Box]]) -> None:
    """The boxes were no answers about the image."""
    for mark, _ in drawn:
        gone = NewMark(
            new_event(), mark.case_id, mark.reader, mark.mark, mark.kind, mark.geometry, mark.frame,
            deleted=True, schema_version=mark.schema_version, made_in="review",
        )  # fmt: skip
        add_mark(session.db(), gone, session.actor())
