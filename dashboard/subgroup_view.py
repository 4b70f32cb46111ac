"""Parts of a split on screen: each against the rest, small ones greyed, and where the model does worst."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

from core.datasets.records import Snapshot
from core.errors import CoreError
from core.evaluation.appearance import FEWEST_CASES, NAME, Appearance, read_appearance
from core.evaluation.operating import Scored
from core.evaluation.subgroups import (
    answers_of,
    cases_in,
    find_worst,
    measure_subgroups,
    mistakes_in,
    most_typical_in,
)
from core.measures.groups import FEWEST_PATIENTS, FEWEST_POSITIVES, METRICS, Answers, Group, Metric
from core.projects.records import Project
from core.projects.schema import Classification
from core.training.records import Model
from dashboard import numbers_view, places, remembered, session, wording
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
        _draw_table(measure_subgroups(answers, known, chosen, metric), WORDS[metric])
    _draw_worst(project, answers, known, looks, metric, seen, view)
    st.caption(_of_appearance(looks, len(seen.case_ids)))


def _draw_table(groups: Sequence[Group], title: str) -> None:
    ordered = sorted(groups, key=lambda group: (group.small, group.estimate.value is None, group.estimate.value or 0.0))
    rows = "".join(_row(group) for group in ordered)
    st.html(
        '<div class="rr-scroll"><table class="rr-numbers rr-whole"><tr><th>group</th><th>n</th><th>patients</th>'
        f'<th>of the class</th><th colspan="2">{title}</th><th colspan="2">difference to the rest</th></tr>{rows}'
        "</table></div>"
    )
    compared = sum(not group.small for group in groups)
    by_chance = (
        f"{wording.count(compared, 'comparison')}: by chance about {0.05 * compared:.1f} of their 95 % intervals leave "
        "zero out; a mark ▲▼ is set only where it is left out by intervals that hold all together (Bonferroni)."
        if compared
        else "None is large enough for a mark ▲▼, which takes intervals that hold all together (Bonferroni)."
    )
    st.caption(
        f"Lowest first. Greyed: fewer than {FEWEST_PATIENTS} patients or {FEWEST_POSITIVES} cases of the class. "
        f"{by_chance} Shares: Wilson, AUC: DeLong, differences: Newcombe; images of a patient count for what they "
        "are worth."
    )


def _row(group: Group) -> str:
    few = ' class="few"' if group.small else ""
    mark = "" if not group.differs else " ▼" if (group.difference.value or 0) < 0 else " ▲"
    return (
        f"<tr{few}><td>{escape(group.name)}{mark}</td><td>{group.n_cases:,}</td><td>{group.n_patients:,}</td>"
        f"<td>{group.n_positive:,}</td>{numbers_view.cells(vars(group.estimate), 0, 1)}"
        f"{numbers_view.cells(vars(group.difference), -0.5, 0.5, wording.difference)}</tr>"
    )


def _draw_worst(
    project: Project,
    answers: Answers,
    known: Attributes,
    looks: Appearance | None,
    metric: Metric,
    seen: Scored,
    view: Mapping[str, places.Query],
) -> None:
    st.markdown("##### Worst slices")
    worst, tried = find_worst(answers, known, metric)
    if not tried:
        st.caption("No slice by one attribute or two is large enough to be tried.")
        return
    if not worst:
        st.caption(f"Of {wording.count(tried, 'slice')} by one attribute or two that are large enough, none is worse.")
        return
    at = st.selectbox(
        f"The worst of {tried:,} tried; the more are tried, the worse the worst looks by chance alone",
        range(len(worst)),
        format_func=lambda at: _told(worst[at], metric),
        key="worst_slice",
    )
    inside = cases_in(known, worst[at].where)
    which = "Mistakes"
    if looks and NAME in dict(worst[at].where):
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
    draw_cases(project, shown, view=view, name=f"{which} where {worst[at].name}, {view['split']}", key="worst")


def _of_appearance(looks: Appearance | None, n: int) -> str:
    if looks:
        return (
            f"{NAME.capitalize()}: {wording.count(len(set(looks.groups)), 'group')} of cases that the network sees as "
            "alike beside what it answers, group 1 the largest (k-means on its last features less their linear fit on "
            "the answer, seed 0; the number of groups by the largest silhouette). No label takes part; what a group "
            "has in common only its cases tell."
        )
    if n < FEWEST_CASES:
        return f"Groups by appearance take {FEWEST_CASES} cases or more."
    return "Groups by appearance are not kept, or all cases look alike to the network: evaluate again to look for them."


def _told(group: Group, metric: Metric) -> str:
    """`sex F, age 0 to 5: sensitivity 0.71 (0.60-0.80), −0.12 (−0.22 to −0.02) to the rest, n = 80; beyond chance`."""
    sure = "beyond chance" if group.differs else "may be chance"
    word = "AUC" if metric == "auc" else metric
    return (
        f"{group.name}: {word} {wording.interval(vars(group.estimate))}, "
        f"{wording.difference(vars(group.difference))} to the rest, n = {group.n_cases:,}; {sure}"
    )
