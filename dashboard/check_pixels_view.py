"""One held image: what is drawn on it is blacked out, what names nobody is released."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor
from typing import Any

import streamlit as st

from core.erasing.erase import finish_erasing
from core.images.pixel_checks import (
    Box,
    PixelCheck,
    black_out,
    find_template,
    get_check,
    list_held_of_device,
    note_boxes,
    release,
    remove_template,
    save_template,
)
from core.images.records import Case, get_case
from core.projects.records import Project
from dashboard import erasing_view, messages, session, wording
from dashboard.viewer import Drawn, Seen, check_viewer

DECISION = "check_decision"


def draw_image(case: Case, check: PixelCheck, project: Project) -> None:
    """The image in the viewer, with the boxes that are there; those of the device's template to begin with."""
    given = [{"x": box.left, "y": box.top, "width": box.width, "height": box.height} for box in boxes_of(case, check)]
    again = st.session_state.get(_changed(case.id), 0)  # boxes that came otherwise are seen in a viewer of their own
    key = f"check_viewer_{case.id}_{again}"
    check_viewer(
        project,
        session.current_user(),
        case.id,
        boxes=given,
        on_drawn=_keep,
        on_seen=_note_seen,
        held_back=DECISION,
        key=key,
    )


def draw_decision(case: Case, check: PixelCheck, project: Project) -> None:
    """Why it is held, the boxes, and the three ways on. None of these can be pressed before the image was seen: the
    second press of two that are meant for the image before would release it."""
    st.html(f"<p>{escape(check.reason)}</p>")
    st.caption(
        "Drag boxes over everything that names somebody: names, numbers, dates, the hospital. What they cover goes "
        "black on every frame, and what was under it is gone. Click a box and press Del to take it away."
    )
    template = find_template(session.db(), project.id, check.device)
    if template:
        st.caption(f"Boxes of the template for {template.name}, saved by {template.made_by}, are there to begin with.")
    seen = bool(st.session_state.get(seen_key(case.id)))
    boxes = f"<b>{wording.count(len(boxes_of(case, check)), 'box', 'boxes')}</b> to be painted black"
    st.html(f"<p>{boxes}{'' if seen else '; look at the image first'}</p>")
    _draw_numbers(case)
    same = len(list_held_of_device(session.db(), project.id, check.device))
    st.checkbox(
        "Save as template for this device",
        key=f"check_keep_{case.id}",
        help=f"{wording.count(same, 'held image')} came from it; the boxes are filled in for the next.",
    )
    with st.container(key=DECISION):
        st.button("Black out and release", icon=":material/ink_eraser:", type="primary", key=f"check_black_{case.id}",
                  disabled=not seen, on_click=_black_out, args=(case.id,), width="stretch")  # fmt: skip
        st.button("Nothing to hide: release", icon=":material/check:", key=f"check_release_{case.id}",
                  disabled=not seen, on_click=_release, args=(case.id,), width="stretch")  # fmt: skip
        if template and same > 1:
            st.button(
                f"Apply the template to all {same:,} of this device",
                icon=":material/done_all:",
                key=f"check_all_{case.id}",
                disabled=not seen,
                on_click=_apply_to_all,
                args=(project.id, check.device, template.boxes),
                width="stretch",
            )
    if template:
        st.button(
            "Forget the template",
            icon=":material/layers_clear:",
            key=f"check_forget_{case.id}",
            help="The next images of this device come without boxes; what was blacked out stays so.",
            on_click=_forget_template,
            args=(project.id, check.device),
            width="stretch",
        )
    erasing_view.draw_case_deletion(case, project)


def boxes_of(case: Case, check: PixelCheck) -> list[Box]:
    """What goes black: as it was drawn now or before the page was opened anew, else by the device's template."""
    drawn: list[Box] | None = st.session_state.get(_kept(case.id), list(check.boxes) or None)
    template = find_template(session.db(), case.project, check.device) if drawn is None else None
    return list(template.boxes) if template else drawn or []


def box_around(drawn: Mapping[str, Any], case: Case) -> Box:
    """A drawn box in whole pixels of the image, covering all that it touches."""
    left, top = max(0, floor(drawn["x"])), max(0, floor(drawn["y"]))
    right = min(case.columns, ceil(drawn["x"] + drawn["width"]))
    bottom = min(case.rows, ceil(drawn["y"] + drawn["height"]))
    return Box(left, top, right - left, bottom - top)


def _draw_numbers(case: Case) -> None:
    """The same without a pointer."""
    with st.expander("A box by numbers"), st.form(f"check_numbers_{case.id}", border=False):
        across, down = st.columns(2)
        columns, rows = case.columns, case.rows
        across.number_input("Left", 0, columns - 1, 0, key=f"check_left_{case.id}")
        down.number_input("Top", 0, rows - 1, 0, key=f"check_top_{case.id}")
        across.number_input("Width", 1, columns, columns, key=f"check_width_{case.id}")
        down.number_input("Height", 1, rows, max(1, rows // 8), key=f"check_height_{case.id}")
        st.form_submit_button("Add this box", icon=":material/add:", on_click=_add_numbered, args=(case.id,))


def _kept(case_id: int) -> str:
    return f"check:boxes:{case_id}"


def _changed(case_id: int) -> str:
    return f"check:changed:{case_id}"


def seen_key(case_id: int) -> str:
    """Where the tab keeps that a case was seen."""
    return f"check:seen:{case_id}"


def _note_seen(seen: Seen) -> None:
    st.session_state[seen_key(seen.case_id)] = True


def _keep(drawn: Drawn) -> None:
    case = get_case(session.db(), drawn.case_id)
    _keep_boxes(case.id, [box_around(box, case) for box in drawn.boxes])


def _keep_boxes(case_id: int, boxes: list[Box]) -> None:
    with messages.refusals_told():
        note_boxes(session.db(), case_id, boxes, session.actor())
        st.session_state[_kept(case_id)] = boxes


def _add_numbered(case_id: int) -> None:
    left, top, width, height = (
        int(st.session_state[f"check_{name}_{case_id}"]) for name in ("left", "top", "width", "height")
    )
    case = get_case(session.db(), case_id)
    box = box_around({"x": left, "y": top, "width": width, "height": height}, case)
    _keep_boxes(case_id, [*boxes_of(case, get_check(session.db(), case_id)), box])
    st.session_state[_changed(case_id)] = st.session_state.get(_changed(case_id), 0) + 1


def _black_out(case_id: int) -> None:
    with messages.refusals_told():
        case = get_case(session.db(), case_id)
        boxes = boxes_of(case, get_check(session.db(), case_id))
        black_out(session.db(), session.files(), case_id, boxes, session.actor())
        if st.session_state.get(f"check_keep_{case_id}"):
            save_template(session.db(), case, boxes, session.actor())
        finish_erasing(session.files())
        messages.say(f"Case {case_id} is blacked out in {wording.count(len(boxes), 'place')} and released.")


def _release(case_id: int) -> None:
    with messages.refusals_told():
        release(session.db(), case_id, session.actor())
        messages.say(f"Case {case_id} is released as it is.")


def _apply_to_all(project_id: int, device: str, boxes: Sequence[Box]) -> None:
    with messages.refusals_told():
        done = list_held_of_device(session.db(), project_id, device)
        for case_id in done:
            black_out(session.db(), session.files(), case_id, boxes, session.actor())
        finish_erasing(session.files())
        messages.say(f"The template was applied to {wording.count(len(done), 'image')}; they are released.")


def _forget_template(project_id: int, device: str) -> None:
    with messages.refusals_told():
        remove_template(session.db(), project_id, device, session.actor())
        messages.say("The template of this device is forgotten.")
