"""Correcting another reader's answer from beside the image, and what an answer of one's own would do instead."""

from html import escape
from typing import Any

import streamlit as st

from core.errors import Conflict, InvalidInput
from core.labels.records import Label, NewLabel, add_label, find_current_label, new_event
from core.projects.records import Project
from core.projects.schema import Classification, Regression, Segmentation, numbers_of, value_of_numbers
from dashboard import messages, session


def may_correct(label: Label, project: Project) -> bool:
    """Whether this answer is somebody else's to correct; one's own is changed with the keys beside the image."""
    return label.reader != session.current_user().name and session.may("edit others' labels", project)


def draw_correction(label: Label, project: Project) -> None:
    """What the reader should have said, starting from what they did say. The old answer stays in the history."""
    if not isinstance(project.schema, Classification | Regression):
        return
    key = f"correct_{label.id}"
    with (
        st.popover(
            "Correct",
            icon=":material/edit:",
            key=key,
            help="In this reader's name; the old answer stays.",
        ),
        st.form(f"{key}_form", border=False),
    ):
        if isinstance(project.schema, Regression):
            _draw_number(label, project.schema, key)
        else:
            _draw_classes(label, project.schema, key)
        st.checkbox("Image cannot be used", label.unusable, key=f"{key}_unusable")
        st.text_input("Note", label.note, key=f"{key}_note", placeholder="Why it is corrected")
        st.form_submit_button("Store", type="primary", key=f"{key}_store", on_click=_store, args=(label, project, key))


def _draw_classes(label: Label, schema: Classification, key: str) -> None:
    offered = [known.name for known in schema.offered]
    said = [name for name in (label.value["classes"] if label.value else []) if name in offered]
    if schema.multi_label:
        st.pills("Classes", offered, default=said, selection_mode="multi", key=f"{key}_classes")
        st.caption("None chosen: none of them.")
    else:
        st.pills("Class", offered, default=said[0] if said else None, key=f"{key}_classes")


def _draw_number(label: Label, schema: Regression, key: str) -> None:
    said = numbers_of(schema, label.value) if label.value else [None] * len(schema.quantities)
    for at, (one, number) in enumerate(zip(schema.quantities, said, strict=True)):
        # Streamlit takes no whole numbers beside others.
        low, high, value = (None if end is None else float(end) for end in (one.low, one.high, number))
        st.number_input(
            f"{one.target.capitalize()}, {one.unit}", low, high, value, format="%g", key=f"{key}_number{at or ''}"
        )


def draw_effect(project: Project) -> None:
    """What an answer of one's own does to the reference here, so that nobody takes it for a correction."""
    rule, name = project.reference_rule, session.current_user().name
    if rule.kind == "majority":
        text = (
            "Your own answer is one more vote: the reference is what most readers say, and a tie leaves the case "
            "without one."
        )
    elif rule.kind == "median":
        text = "Your own answer is one more number: the reference is the median of what readers say."
    elif rule.kind == "only":
        text = "The reference is the only reader's answer: with a second one the case waits until one of them is named."
    elif rule.reader == name:
        text = "Your own answer is the reference of this project."
    else:
        text = f"The reference is what {rule.reader} says: an answer of your own changes nothing in it."
    if rule.reader != name and not isinstance(project.schema, Segmentation):
        text += (
            " To mend what another reader said, correct it above."
            if session.may("edit others' labels", project)
            else " A reviewer can correct what a reader said."
        )
    st.html(f'<p class="rr-quiet">{escape(text)}</p>')


def _store(label: Label, project: Project, key: str) -> None:
    unusable = st.session_state[f"{key}_unusable"]
    with messages.refusals_told():
        value = None if unusable else _read_value(project, key)
        current = find_current_label(session.db(), label.case_id, label.reader)
        if current is None or current.id != label.id:
            raise Conflict("The reader has answered anew meanwhile; look at that first. Received: an older answer")
        new = NewLabel(
            event=new_event(),
            case_id=label.case_id,
            reader=label.reader,
            value=value,
            unusable=unusable,
            note=st.session_state[f"{key}_note"],
            schema_version=project.schema_version,
            made_in="review",
        )
        add_label(session.db(), new, session.actor())
        messages.say("The answer is corrected.")


def _read_value(project: Project, key: str) -> dict[str, Any]:
    """What was put in, as an answer.

    Raises:
        InvalidInput: nothing was.
    """
    if isinstance(project.schema, Regression):
        numbers = [st.session_state[f"{key}_number{at or ''}"] for at in range(len(project.schema.quantities))]
        if None in numbers:
            wanted = "each number" if project.schema.further else "a number"
            raise InvalidInput(f"Give {wanted}, or say that the image cannot be used. Received: neither")
        return value_of_numbers(project.schema, numbers)
    chosen = st.session_state[f"{key}_classes"]
    classes = [chosen] if isinstance(chosen, str) else list(chosen or ())
    if not (classes or (isinstance(project.schema, Classification) and project.schema.multi_label)):
        raise InvalidInput("Choose a class, or say that the image cannot be used. Received: neither")
    return {"classes": classes}
