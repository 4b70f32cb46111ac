"""What models painted on a case, as outlines over its frames, beside what one reader painted."""

import base64
from html import escape

import numpy as np
import streamlit as st

from core.evaluation.outlines import Outlined, outline_masks
from core.evaluation.painted_drafts import Offered, list_offered, note_look
from core.images.records import Case
from core.labels.mask_store import read_kept_mask
from core.labels.masks import compose_mask, list_painted
from core.projects.records import Project
from dashboard import painted_look, session

NOBODY = "no reader"


def draw_structures_button(case: Case, project: Project, *, of_others: bool) -> None:
    """The way to the picture, where a model has painted something that this user may see."""
    offered = list_offered(session.db(), session.current_user(), project, case)
    if offered and st.button(
        "Show what models painted",
        icon=":material/layers:",
        key=f"structures_{case.id}",
        help="As outlines over the image, beside those of a reader. On the label page they lie over the image itself.",
    ):
        _show(case, project, of_others)


@st.dialog("Painted by a model", width="large")
def _show(case: Case, project: Project, of_others: bool) -> None:
    offered = {one.title: one for one in list_offered(session.db(), session.current_user(), project, case)}
    if not offered:  # the draft was turned off while this was open
        st.caption("There is nothing to show any more.")
        return
    left, middle, right = st.columns(3)
    chosen = offered[left.selectbox("Model", list(offered), key=f"structures_model_{case.id}")]
    structure = middle.selectbox("Structure", chosen.painted, key=f"structures_which_{case.id}_{chosen.model.id}")
    reader = right.selectbox(
        "Beside", _readers(case, structure, of_others), key=f"structures_beside_{case.id}_{structure}"
    )
    note_look(session.db(), session.current_user(), project, case, chosen)
    picture = _outlined(case, chosen, structure, reader, None)
    if picture.frames > 1:
        frame = st.slider(
            "Frame", 1, picture.frames, picture.frame + 1, key=f"structures_frame_{case.id}_{chosen.title}_{structure}"
        )
        picture = picture if frame - 1 == picture.frame else _outlined(case, chosen, structure, reader, frame - 1)
    drawn = base64.b64encode(picture.png).decode()
    st.html(
        f'<img alt="Outlines of {escape(structure)} on case {case.id}" '
        'style="width:100%;max-height:56vh;object-fit:contain;image-rendering:pixelated" '
        f'src="data:image/png;base64,{drawn}"><p class="rr-quiet">{_legend(chosen, reader)}</p>'
    )


def _readers(case: Case, structure: str, of_others: bool) -> list[str]:
    """Who has painted the structure, the user first."""
    name = session.current_user().name
    found = [one.reader for one in list_painted(session.db(), case.id) if one.structure == structure]
    return [*sorted((one for one in found if of_others or one == name), key=lambda one: one != name), NOBODY]


def _outlined(case: Case, chosen: Offered, structure: str, reader: str, frame: int | None) -> Outlined:
    painted = read_kept_mask(session.files(), chosen.masks[structure].mask_hash, case)
    beside = np.zeros_like(painted) if reader == NOBODY else compose_mask(session.db(), case, reader, structure)
    return outline_masks(session.files(), case, beside, painted, frame)


def _legend(chosen: Offered, reader: str) -> str:
    colours = {chosen.title: painted_look.PAINTED_COLOUR} | (
        {} if reader == NOBODY else {reader: painted_look.REFERENCE_COLOUR}
    )
    return " &nbsp; ".join(f'<span style="color:{colour}">━</span> {escape(who)}' for who, colour in colours.items())
