"""What models painted on a case, as outlines over its frames, beside what one reader painted."""

from collections.abc import Sequence
from functools import partial
from html import escape

import numpy as np
import streamlit as st

from core.evaluation.outlines import outline_masks
from core.evaluation.painted_drafts import Offered, list_offered, note_look
from core.images.records import Case
from core.labels.mask_store import read_kept_mask
from core.labels.masks import compose_mask, list_painted
from core.projects.records import Project
from dashboard import painted_look, session

NOBODY = "no reader"


def draw_structures_button(case: Case, project: Project, offered: Sequence[Offered], *, of_others: bool) -> None:
    """The way to the picture, where a model has painted something that this user may see."""
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
    painted = read_kept_mask(session.files(), chosen.masks[structure].mask_hash, case)
    beside = np.zeros_like(painted) if reader == NOBODY else compose_mask(session.db(), case, reader, structure)
    painted_look.draw_outlined(
        partial(outline_masks, session.files(), case, beside, painted),
        key=f"structures_frame_{case.id}_{chosen.title}_{structure}",
        alt=f"Outlines of {structure} on case {case.id}",
        legend=_legend(chosen, reader),
        highest=56,
    )


def _readers(case: Case, structure: str, of_others: bool) -> list[str]:
    """Who has painted the structure, the user first."""
    name = session.current_user().name
    found = [one.reader for one in list_painted(session.db(), case.id) if one.structure == structure]
    return [*sorted((one for one in found if of_others or one == name), key=lambda one: one != name), NOBODY]


def _legend(chosen: Offered, reader: str) -> str:
    colours = {chosen.title: painted_look.PAINTED_COLOUR} | (
        {} if reader == NOBODY else {reader: painted_look.REFERENCE_COLOUR}
    )
    return " &nbsp; ".join(f'<span style="color:{colour}">━</span> {escape(who)}' for who, colour in colours.items())
