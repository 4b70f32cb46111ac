"""From a choice of cases to work for readers: hand them out to one, or keep them as a list."""

from collections.abc import Callable

import streamlit as st

from core.labels.assignments import assign_cases, draw_unread
from core.labels.case_lists import CaseList, add_case_list
from core.people.members import list_administrators, list_members
from core.projects.records import Project
from dashboard import messages, once, places, session, wording

FindCases = Callable[[], list[int]]


def draw_handing_out(project: Project, found: int, find_cases: FindCases) -> None:
    """A small panel beside the number of cases found; nothing for whoever may neither label nor administer."""
    if not found or not session.may("label", project):
        return
    with st.popover("Hand out", icon=":material/assignment_ind:"):
        if session.may("administer", project):
            _draw_assigning(project, found, find_cases)
        draw_list_keeper(project, found, find_cases)


def draw_list_keeper(project: Project, found: int, find_cases: FindCases) -> None:
    """Keep cases under a name: a worklist for everybody, and an address to send."""
    st.text_input(
        f"Keep {wording.count(found, 'case')} as a list called",
        key="list_name",
        placeholder="mistakes of the first model",
    )
    st.button("Keep the list", key="list_keep", on_click=_keep, args=(project, find_cases))


def _draw_assigning(project: Project, found: int, find_cases: FindCases) -> None:
    people = sorted({*(member.user.name for member in list_members(session.db(), project.id)),
                     *list_administrators(session.db(), project.id)})  # fmt: skip
    st.selectbox("Reader", people, key="assign_reader", index=None, placeholder="who is to read them")
    how = st.segmented_control(
        "Which cases",
        ("found", "random"),
        default="found",
        required=True,
        format_func={"found": f"The {found:,} found", "random": "By chance"}.__getitem__,
        key="assign_how",
    )
    if how == "random":
        st.number_input(
            "How many",
            min_value=1,
            value=20,
            key="assign_count",
            help="Of all cases that nobody is asked to read yet and this reader has not answered.",
        )
    st.button(
        "Ask the reader",
        key=once.key("assign_do"),
        type="primary",
        on_click=once.callback(_assign),
        args=(project, find_cases),
    )
    st.divider()


def _assign(project: Project, find_cases: FindCases) -> None:
    with messages.refusals_told():
        reader = st.session_state["assign_reader"] or ""
        if st.session_state["assign_how"] == "random":
            ids = draw_unread(session.db(), project, reader, int(st.session_state["assign_count"]))
        else:
            ids = find_cases()
        new = assign_cases(session.db(), project, reader, ids, actor=session.actor())
        messages.say(f"{reader} is asked to read {wording.count(new, 'more case')}.")


def _keep(project: Project, find_cases: FindCases) -> None:
    with messages.refusals_told():
        kept = add_case_list(session.db(), project, st.session_state["list_name"], find_cases(), actor=session.actor())
        st.session_state["list_name"] = ""
        say_kept(kept, project)


def say_kept(kept: CaseList, project: Project) -> None:
    """Where a worklist that was just made is read."""
    where = places.address("label", project=project.id, worklist="review", list=kept.id)
    messages.say(f"Kept {wording.count(kept.cases, 'case')}; read them at [{kept.name}]({where}).")
