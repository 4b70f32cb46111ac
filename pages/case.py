"""Case: one image with everything that was said about it."""

import streamlit as st

from core.errors import NotFound
from core.evaluation.drafts import name_scores
from core.evaluation.painted_drafts import list_offered
from core.evaluation.records import find_evaluation_of_case, list_predictions_of_case
from core.images.pixel_checks import demand_released
from core.images.records import get_case
from core.labels.sight import may_see_others
from core.projects.records import get_project
from core.projects.schema import Classification, Regression
from core.training.records import get_model
from dashboard import (
    case_view,
    deidentification_view,
    erasing_view,
    frame,
    messages,
    places,
    remarks_view,
    session,
    structures_look,
)
from dashboard.viewer import review_viewer

asked = places.asked_number("case")
try:
    case = get_case(session.db(), asked or 0)
except NotFound:
    messages.end_empty(
        f"There is no case {places.asked('case') or ''}".rstrip(),
        "It may belong to another home, or the address was cut off.",
        step="See all cases",
        to="cases",
    )
project = get_project(session.db(), case.project)
frame.need_action("see", project)
demand_released(session.db(), session.current_user(), case)
if session.current_project() != project:
    session.open_project(project)
    st.rerun()  # the menu and the switcher were drawn for another one

frame.draw_heading(f"Case {case.id}", project=project)
sight = session.sight(project)
is_open = may_see_others(session.db(), sight, case.id)
image, facts = st.columns([5, 2], gap="medium")
with image:
    review_viewer(project, session.current_user(), [case.id], key=f"case_viewer_{case.id}")
with facts:
    if case.synthetic:
        case_view.draw_synthetic(case)
    elif is_open:
        st.html(f'<p class="rr-said">Reference: {case_view.reference_html(case, project)}</p>')
    else:
        st.caption("In this project readers answer first; what others say of this case appears after your own answer.")
    case_view.draw_state(case)
    with st.container(horizontal=True, vertical_alignment="center"):
        case_view.draw_flag(case)
        if not (case.synthetic or case.held):
            places.link("label", "Label it", project=project.id, worklist="all", case=case.id)
    labels, about, comments = st.tabs(["Labels", "About", "Comments"])
    with labels:
        case_view.draw_labels(case, project, of_others=is_open)
        offered = list_offered(session.db(), session.current_user(), project, case)
        case_view.draw_masks(case, project, offered, of_others=is_open)
        structures_look.draw_structures_button(case, project, offered, of_others=is_open)
        predictions = list_predictions_of_case(session.db(), case.id) if sight.models else {}
        for model_id, scores in list(predictions.items())[-5:]:
            model = get_model(session.db(), project.id, model_id)
            measured = find_evaluation_of_case(session.db(), model.id, case.id)
            view = {"snapshot": measured.snapshot, "split": measured.split} if measured else {}
            places.link(
                "review", f"{model.name} says", project=project.id, model=model.id, **view, result="all", case=case.id
            )
            if isinstance(project.schema, Classification):
                case_view.draw_scores(name_scores(session.db(), project, model, scores), project.schema)
            elif isinstance(project.schema, Regression):
                case_view.draw_number(scores, project.schema, model)
    with about:
        case_view.draw_facts(case, of_others=is_open)
        if session.may("import", project):
            deidentification_view.draw_sheet_button(case)
        erasing_view.draw_case_deletion(case, project)
    with comments:
        case_view.draw_comments(case, of_others=is_open)
        if is_open:
            remarks_view.draw_remarks_of_case(case, project)
