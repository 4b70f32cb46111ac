"""The steps of a meeting that look at a model's results from a side: threshold, subgroups, and the model before it.

For classes they are what Evaluate shows, of the review's own model and test split; numbers and painted structures have
tables of their own.
"""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from core.datasets.records import get_snapshot, list_attributes
from core.evaluation.records import Evaluation
from core.evaluation.subgroups import list_groupable, measure_by_value
from core.measures.groups import FEWEST_PATIENTS
from core.projects.schema import Classification, Generation, Regression
from core.reviews.meetings import get_evaluation_of, get_review
from core.reviews.model_card import DRAWN_UNPAIRED, describe_comparison
from core.training.records import get_model
from dashboard import (
    abstention_view,
    comparison_view,
    error_groups_view,
    evaluation_view,
    measured_view,
    numbers_view,
    places,
    session,
    subgroup_view,
    threshold_view,
)
from dashboard.meeting_shown import GROUPS_TAB
from dashboard.meeting_view import Meeting
from dashboard.quantity_choice import choose_quantity

PANE_PX = 540
TABS = ("Side by side", "Against the rest")
SHOWN = ("mae", "rmse", "dice", "hd95_mm", "hd95_px")  # of a subgroup, where the task has them
WORDS = {**evaluation_view.METRIC_WORDS, "mae": "MAE", "rmse": "RMSE"}
REMEMBERED_SECONDS = 600


def draw_threshold(meeting: Meeting) -> None:
    """What the frozen operating point gives on the test cases; nothing moves it here."""
    assert isinstance(meeting.schema, Classification)
    with st.container(height=PANE_PX, border=False):
        st.subheader("At the frozen operating point", anchor=False)
        threshold_view.draw_threshold(meeting.project, meeting.schema, meeting.model, meeting.snapshot, meeting.view)
        if told := meeting.evaluation.result.get("abstention"):
            st.markdown(f"It keeps answers back. {abstention_view.describe_tested(told)}")


def draw_subgroups(meeting: Meeting) -> None:
    """Whom the model serves worse."""
    with st.container(height=PANE_PX, border=False):
        if isinstance(meeting.schema, Classification):
            subgroup_view.draw_subgroups(meeting.project, meeting.schema, meeting.model, meeting.snapshot, meeting.view)
        else:
            tabs = dict(zip(TABS, st.tabs(TABS, key=GROUPS_TAB, on_change="rerun"), strict=True))
            for name, draw in zip(TABS, (_draw_groups, _draw_against_rest), strict=True):
                if tabs[name].open:
                    with tabs[name]:
                        draw(meeting)


def _draw_against_rest(meeting: Meeting) -> None:
    """What Evaluate shows: each group against the rest, and the worst slices with example cases."""
    of = (meeting.project, meeting.model, meeting.snapshot, meeting.evaluation)
    if isinstance(meeting.schema, Regression):
        at = 0
        if meeting.schema.further:
            at = meeting.schema.quantities.index(choose_quantity(meeting.schema, "meeting_rest_quantity"))
        error_groups_view.draw_number_groups(*of, at, meeting.view)
    else:
        error_groups_view.draw_structure_groups(*of, measured_view.choose_structure(meeting.evaluation), meeting.view)


def _draw_groups(meeting: Meeting) -> None:
    """The errors of numbers, or the overlap of painted structures, for each value of an attribute."""
    values = list_attributes(session.db(), meeting.snapshot.id)
    usable = [name for name in list_groupable(session.db(), meeting.snapshot) if values[name] > 1]
    if not usable:
        st.caption("Nothing is known of these cases that tells groups apart: import a label table with more columns, "
                   "such as sex, age or site.")  # fmt: skip
        return
    by = st.segmented_control("Attribute", usable, default=usable[0], required=True, key="meeting_groups_by")
    home, review, erased = str(session.settings().home), meeting.review, meeting.snapshot.erased_cases
    groups = _measured(home, meeting.project.id, review.id, meeting.evaluation.id, by, erased)
    if not groups:
        st.caption(f"No test case says its {by}.")
        return
    unit = ""
    if isinstance(meeting.schema, Regression):
        groups, unit = _of_one_quantity(meeting.schema, groups)
    names = [name for name in SHOWN if any(name in one["metrics"] for one in groups.values())]
    head = "".join(f'<th colspan="2">{WORDS[name]}{unit}</th>' for name in names)
    tops = {name: _top(groups, name) for name in names}
    rows = "".join(_group_row(value, one, tops) for value, one in groups.items())
    st.html(
        f'<div class="rr-scroll"><table class="rr-numbers"><tr><th>{escape(by)}</th><th>n</th><th>patients</th>{head}'
        f"</tr>{rows}</table></div>"
    )
    st.caption(
        f"Greyed: fewer than {FEWEST_PATIENTS} patients. 95 % intervals by bootstrap over patients, seed 0. Groups are "
        "set side by side here; the other tab sets each against the rest."
    )


def _of_one_quantity(
    schema: Regression, groups: Mapping[str, dict[str, Any]]
) -> tuple[Mapping[str, dict[str, Any]], str]:
    """Each group's numbers of the quantity that is shown, and its unit behind a comma; of several, one is chosen."""
    if not schema.further:
        return groups, f", {schema.unit}"
    shown = choose_quantity(schema, "meeting_groups_quantity")
    return {value: {**one, **one["per_target"][shown.target]} for value, one in groups.items()}, f", {shown.unit}"


def _group_row(value: str, one: Mapping[str, Any], tops: Mapping[str, float]) -> str:
    few = ' class="few"' if one["n_patients"] < FEWEST_PATIENTS else ""
    nothing = {"value": None, "reason": "not measured"}
    cells = "".join(numbers_view.cells(one["metrics"].get(name) or nothing, 0, top) for name, top in tops.items())
    return f"<tr{few}><td>{escape(value)}</td><td>{one['n_cases']:,}</td><td>{one['n_patients']:,}</td>{cells}</tr>"


def _top(groups: Mapping[str, Mapping[str, Any]], name: str) -> float:
    """The end of the scale of a metric's whiskers: one for shares, else the largest there is."""
    if name == "dice":
        return 1.0
    told = [one["metrics"].get(name) or {} for one in groups.values()]
    return max([1e-9, *(one.get("high") or one.get("value") or 0.0 for one in told)])


@st.cache_data(ttl=REMEMBERED_SECONDS, max_entries=32, show_spinner="Measuring the groups…")
def _measured(
    home: str, project: int, review_id: int, evaluation: int, by: str, erased: int
) -> dict[str, dict[str, Any]]:
    """Home, evaluation and erased cases are only what it is kept by."""
    connection = session.db()
    review = get_review(connection, project, review_id)
    found: Evaluation = get_evaluation_of(connection, review)
    model, snapshot = get_model(connection, project, review.model), get_snapshot(connection, project, review.snapshot)
    return measure_by_value(connection, model, snapshot, found, by)


def draw_comparison(meeting: Meeting) -> None:
    """The model against the one that was named when the review was prepared."""
    production = meeting.review.production
    if production is None:
        st.subheader("Compared with nothing", anchor=False)
        st.caption(
            "This review was prepared without a model to compare with. Whether it is better than what is used today "
            "stays open; a review that names the model in production shows the paired differences here."
        )
        return
    if isinstance(meeting.schema, Generation):
        st.subheader("Side by side", anchor=False)
        for told in (describe_comparison(session.db(), meeting.review), DRAWN_UNPAIRED):
            st.html(f"<p>{escape(told)}</p>")
        places.link("evaluate", "The other model's numbers", **{**meeting.view, "model": production})
        return
    with st.container(height=PANE_PX, border=False):
        comparison_view.draw_difference(meeting.project, meeting.model, production, meeting.view)
    places.link("evaluate", "The other model's numbers", **{**meeting.view, "model": production})
