"""The way to delete something for good: a button, and a dialog that names what goes and asks to type its name."""

import streamlit as st

from core.erasing.erase import erase
from core.erasing.plan import describe_plan, plan_erasure
from core.images.records import Case
from core.projects.records import Project
from dashboard import messages, places, session
from dashboard.case_filter import forget_attributes

ASKED = "delete:asked"


def draw_case_deletion(case: Case, project: Project) -> None:
    """The buttons for a case and its patient, for those who may."""
    if not session.may("administer", project):
        return
    with st.container(horizontal=True):
        _draw_button("Delete case …", f"delete_case_{case.id}")
        _draw_button("Delete patient …", f"delete_patient_{case.id}")
    asked = st.session_state.get(ASKED)
    if asked == f"delete_case_{case.id}":
        confirm_deletion(project, case_id=case.id)
    elif asked == f"delete_patient_{case.id}":
        confirm_deletion(project, patient=case.patient)


def draw_project_deletion(project: Project) -> None:
    """The button for a whole project, for administrators of this Readroom."""
    if not session.may("administer"):
        return
    _draw_button("Delete project …", "delete_project")
    if st.session_state.get(ASKED) == "delete_project":
        confirm_deletion(project)


def _draw_button(label: str, key: str) -> None:
    st.button(label, icon=":material/delete:", key=key, type="tertiary", on_click=_ask, args=(key,))


def _ask(key: str) -> None:
    """Which dialog is open is kept, so that it is still there when the whole page is drawn anew under it."""
    st.session_state[ASKED] = key


def _forget() -> None:
    st.session_state.pop(ASKED, None)


@st.dialog("Delete for good", width="medium", on_dismiss=_forget)
def confirm_deletion(project: Project, *, case_id: int | None = None, patient: str | None = None) -> None:
    """Say what goes and what stays; delete once its name was typed. Enter in either field presses the button."""
    session.need("administer", None if case_id is None and patient is None else project.id)
    case_ids = None if case_id is None else [case_id]
    with messages.refusals_shown():
        plan = plan_erasure(session.db(), session.files(), project, case_ids=case_ids, patient=patient)
        goes, stays = describe_plan(plan)
        st.markdown(f"This deletes **{_literal(plan.title)}** and cannot be undone. It takes away:")
        st.markdown("\n".join(f"- {_literal(line)}" for line in goes))
        st.markdown("What stays:")
        st.markdown("\n".join(f"- {_literal(line)}" for line in stays))
        with st.form("delete", border=False):
            typed = st.text_input(f"Type {_literal(plan.confirmation)} to confirm", key="delete_typed")
            reason = st.text_input(
                "Reason (kept in the audit; name nobody)", key="delete_reason", placeholder="the patient asked for it"
            )
            pressed = st.form_submit_button("Delete for good", type="primary", key="delete_do")
        if not pressed:
            return
        if typed.strip() != plan.confirmation:
            st.error(f"Type {_literal(plan.confirmation)}, just as it stands here.", icon=":material/error:")
            return
        with st.spinner("Deleting …"):
            complete = erase(session.db(), session.files(), plan, actor=session.actor(), reason=reason)
        _forget()
        forget_attributes()
        rest = "" if complete else " Some files wait until nothing reads them; the worker removes them then."
        messages.say(f"{plan.title[0].upper()}{plan.title[1:]} is deleted.{rest}")
        if plan.extent == "project":
            st.session_state.pop(session.PROJECT, None)
            places.go("projects")
        places.go("cases", project=project.id)


def _literal(text: str) -> str:
    """Text from a file or a person, as it stands: Markdown in it means nothing."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]<>()#+-.!|$~:" else letter for letter in text)
