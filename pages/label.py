"""Label: one case at a time; the answers travel from the browser, this page only learns of them."""

from typing import get_args

import streamlit as st

from core.labels.case_lists import CaseList, list_case_lists
from core.labels.worklist import Worklist, WorklistKind, label_progress, list_case_ids, reading_pace
from core.reviews.case_search import CaseFilter, search_case_ids
from dashboard import frame, messages, places, session
from dashboard.case_filter import draw_filter_bar
from dashboard.list_parts import first_part, with_next_part
from dashboard.viewer import Navigated, label_viewer

KINDS: dict[WorklistKind, str] = {
    "unlabelled": "Unanswered",
    "all": "All",
    "mine": "Answered",
    "assigned": "Assigned to me",
    "flagged": "Flagged",
    "disagreements": "Readers disagree",
    "review": "From a review",
}
assert set(KINDS) == set(get_args(WorklistKind))


def go_on(event: Navigated) -> None:
    places.remember(case=event.case_id)


def draw_choice() -> tuple[Worklist | None, CaseFilter]:
    """Which list, and what narrows it; both are in the address. None: there is no list of a review yet."""
    asked = places.asked("worklist")
    left, middle, right = st.columns([8, 1.5, 0.6], vertical_alignment="center")
    kind = left.segmented_control(
        "Worklist",
        list(KINDS),
        default=asked if asked in KINDS else "unlabelled",
        required=True,
        key="worklist",
        format_func=KINDS.__getitem__,
        label_visibility="collapsed",
        on_change=open_anew,
    )
    with middle.popover("Filter", icon=":material/filter_list:", width="stretch"):
        kept = choose_kept_list() if kind == "review" else None
        wanted = draw_filter_bar(project, sight, stacked=True)
    right.button(
        "",
        icon=":material/refresh:",
        on_click=open_anew,
        key="label_refresh",
        type="tertiary",
        help="New list. A list stays as it was when it was opened, so that nothing shifts while you read.",
    )
    places.remember(worklist=kind, list=kept)
    if kind == "review":
        return (Worklist(kind, list_id=kept) if kept else None), wanted
    return Worklist(kind), wanted


def choose_kept_list() -> int | None:
    lists = {one.id: f"{name_of(one)} ({one.cases:,})" for one in list_case_lists(session.db(), project.id)}
    if not lists:
        st.caption("No list is kept in this project yet.")
        return None
    asked = places.asked_number("list")
    at = list(lists).index(asked) if asked in lists else 0
    return st.selectbox(
        "List", list(lists), index=at, format_func=lists.__getitem__, key="label_list", on_change=open_anew
    )


def name_of(kept: CaseList) -> str:
    """What a list is called. Its name may say what others or a model answered: the blind see the names of their own."""
    if sight.blind_to_others and kept.made_by != user.name:
        return f"List {kept.id} of {kept.made_at[:10]}"
    return kept.name


def settle_list(worklist: Worklist, wanted: CaseFilter) -> tuple[list[int], list[int]]:
    """The cases to read, fixed when the list is opened: "unlabelled" would shift under the reader at every answer.

    Those that the browser gets now, and those that it gets as the reader comes to them.
    """
    held = st.session_state.get("label:list")
    case = places.asked_number("case")
    asked = (project.id, worklist, wanted)
    if held is None or held[0] != asked or (case is not None and case not in held[1]):
        ids = list_case_ids(session.db(), project, worklist, user.name, sight=sight)
        if wanted != CaseFilter():
            passed = set(search_case_ids(session.db(), project, wanted, sight=sight))
            ids = [id for id in ids if id in passed]
            case = case if held is None or case in ids else None  # a filter that was just set leads to its own cases
        if case is not None and case not in ids:
            ids = [case, *ids]
        held = (asked, *first_part(ids, case))
    shown, rest = with_next_part(held[1], held[2], case)
    st.session_state["label:list"] = (asked, shown, rest)
    return shown, rest


def open_anew() -> None:
    """From the first case, wherever the reader was in the list before."""
    st.session_state.pop("label:list", None)
    st.session_state["label:opened"] = st.session_state.get("label:opened", 0) + 1
    places.remember(case=None, list=None)


def end_without_cases(worklist: Worklist | None, wanted: CaseFilter) -> None:
    if worklist is None:
        text, step, to = "Keep a list in the review of a model: its cases can be read again here.", "Review", "review"
    elif wanted != CaseFilter():
        text, step, to = "No case of this list passes the filter.", "Without filter", "label"
    elif worklist.kind == "unlabelled":
        text, step, to = f"You have answered {progress.mine:,} of {progress.total:,} cases.", "See all cases", "cases"
    else:
        text, step, to = "No case is in it.", "See all cases", "cases"
    messages.end_empty("This list is empty", text, step=step, to=to, project=project.id)


project = frame.need_project()
frame.draw_heading("Label", "Your answers are saved as you give them.", project=project)
user = session.current_user()
sight = session.sight(project)
progress = label_progress(session.db(), project, user.name)
if not progress.total:
    messages.end_empty(
        "No image to label",
        "This project has no cases yet.",
        step="Import images",
        to="import_images",
        project=project.id,
    )
worklist, wanted = draw_choice()
case_ids, rest = settle_list(worklist, wanted) if worklist else ([], [])
if not case_ids:
    end_without_cases(worklist, wanted)
case = places.asked_number("case")
label_viewer(
    project,
    user,
    case_ids,
    index=case_ids.index(case) if case in case_ids else 0,
    more=len(rest),
    progress=progress,
    pace=reading_pace(session.db(), project, user.name),
    on_navigated=go_on,
    key=f"label_viewer_{project.id}_{hash((worklist, wanted))}_{st.session_state.get('label:opened', 0)}",
)
