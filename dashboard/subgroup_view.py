"""Parts of a split on screen: each against the rest, small ones greyed, and where the model does worst."""

from collections.abc import Mapping, Sequence

import streamlit as st

from core.datasets.records import Snapshot
from core.errors import CoreError
from core.evaluation.appearance import NAME, Appearance, read_appearance
from core.evaluation.operating import Scored
from core.evaluation.subgroups import (
    answers_of,
    cases_in,
    find_worst,
    measure_subgroups,
    mistakes_in,
    most_typical_in,
)
from core.measures.groups import METRICS, Answers, Group, Metric
from core.projects.records import Project
from core.projects.schema import Classification
from core.training.records import Model
from dashboard import group_table, places, remembered, session, wording
from dashboard.case_strip import draw_cases

WORDS = {"sensitivity": "Sensitivity", "specificity": "Specificity", "accuracy": "Accuracy", "auc": "AUC"}
Attributes = Mapping[str, Sequence[str]]


def draw_subgroups(
    project: Project, schema: Classification, model: Model, snapshot: Snapshot, view: Mapping[str, places.Query]
) -> None:
    """One attribute or two are chosen, a class, and a metric; below it the worst slices with their mistakes."""
    home = str(session.settings().home)
    try:
        seen = remembered.scored(home, model.id, snapshot.id, str(view["split"]), snapshot.erased_cases)
    except CoreError as refusal:
        st.info(str(refusal), icon=":material/info:")
        return
    known = remembered.attributes(home, snapshot.id, str(view["split"]), tuple(seen.case_ids))
    looks = read_appearance(session.files(), model, seen.case_ids)
    if looks:
        known = known | {NAME: looks.groups}
    if not known:
        st.caption("Nothing is known of these cases beside their pixels that tells groups apart: import a label table "
                   "with more columns, such as sex, age or site.")  # fmt: skip
        return
    first, second, third = st.columns([4, 5, 3], vertical_alignment="bottom")
    chosen = first.multiselect(
        "Attributes, one or a pair", list(known), list(known)[:1], max_selections=2, key="groups_of"
    )
    metric: Metric = second.segmented_control(
        "Metric", METRICS, default="sensitivity", required=True, format_func=WORDS.__getitem__, key="groups_metric"
    )
    usual = len(schema.names) - 1 if len(schema.names) == 2 else 0
    of_class = third.selectbox("Class", schema.names, index=usual, key="groups_class")
    answers = answers_of(model, seen, of_class)
    if chosen:
        group_table.draw_groups(
            measure_subgroups(answers, known, chosen, metric),
            WORDS[metric],
            counted="of the class",
            how="Shares: Wilson, AUC: DeLong, differences: Newcombe",
        )
    _draw_worst(project, answers, known, looks, metric, seen, view)
    st.caption(group_table.describe_appearance(looks, len(seen.case_ids)))


def _draw_worst(
    project: Project,
    answers: Answers,
    known: Attributes,
    looks: Appearance | None,
    metric: Metric,
    seen: Scored,
    view: Mapping[str, places.Query],
) -> None:
    worst, tried = find_worst(answers, known, metric)
    chosen = group_table.choose_worst(worst, tried, lambda group: _told(group, metric))
    if chosen is None:
        return
    inside = cases_in(known, chosen.where)
    which = "Mistakes"
    if looks and NAME in dict(chosen.where):
        which = st.segmented_control(
            "Cases", ("Mistakes", "Most typical"), default="Mistakes", required=True, key="worst_cases",
            label_visibility="collapsed",
        )  # fmt: skip
    positions = (
        most_typical_in(inside, looks.distance)
        if looks and which == "Most typical"
        else mistakes_in(answers, inside, metric)
    )
    shown = [seen.case_ids[position] for position in positions]
    draw_cases(project, shown, view=view, name=f"{which} where {chosen.name}, {view['split']}", key="worst")


def _told(group: Group, metric: Metric) -> str:
    """`sensitivity 0.71 (0.60 to 0.80), −0.12 (−0.22 to −0.02) to the rest`"""
    word = "AUC" if metric == "auc" else metric
    return f"{word} {wording.interval(vars(group.estimate))}, {wording.difference(vars(group.difference))} to the rest"
