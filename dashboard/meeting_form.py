"""Preparing a review: model, what it is compared with, snapshot, and criteria that are fixed beforehand."""

from collections.abc import Mapping, Sequence

import streamlit as st

from core.datasets.records import Snapshot, get_snapshot, list_snapshots
from core.evaluation.records import find_evaluation
from core.evaluation.subgroups import list_cuts, list_groupable
from core.projects.records import Project
from core.projects.schema import Classification, Generation, Regression, Segmentation
from core.reviews.criteria import FEW_PATIENTS, FEW_POSITIVES, MOST_CRITERIA
from core.reviews.decisions import find_decision
from core.reviews.meetings import Review, add_review, change_criteria, list_asked, list_reviews
from core.reviews.registry import find_production
from core.tasks import TrainableSchema
from core.training.records import Model, get_run
from dashboard import messages, places, session, wording

LIST_PX, FIT = 480, 12  # of more reviews the list scrolls, not the page


def draw_preparation(project: Project, schema: TrainableSchema, models: Mapping[int, Model]) -> None:
    """Reviews that there are on the left, a new one on the right."""
    reviews = list_reviews(session.db(), project.id)
    left, right = st.columns([5, 6], gap="large")
    with left:
        st.subheader("Reviews", anchor=False)
        if not reviews:
            st.caption("None yet. A review holds a model against criteria that were fixed before its test results.")
        with st.container(height=LIST_PX if len(reviews) > FIT else "content", border=False):
            for review in reviews:
                _draw_line(project, review, models)
    with right:
        st.subheader("Prepare a review", anchor=False)
        _draw_form(project, schema, models)


def _draw_line(project: Project, review: Review, models: Mapping[int, Model]) -> None:
    decision = find_decision(session.db(), review)
    state = decision.verdict if decision else "results opened" if review.is_locked else "prepared"
    places.link(
        "meeting",
        f"{review.id} · {review.name} · {state}",
        help=f"{models[review.model].name}, prepared {wording.moment(review.prepared_at)} by {review.prepared_by}",
        project=project.id,
        review=review.id,
    )


def _draw_form(project: Project, schema: TrainableSchema, models: Mapping[int, Model]) -> None:
    asked = places.asked_number("model")
    production = find_production(session.db(), project.id)
    snapshots = {snapshot.id: snapshot for snapshot in list_snapshots(session.db(), project.id)}
    first, second = st.columns(2)
    model = models[
        first.selectbox(
            "Model",
            list(models),
            index=list(models).index(asked) if asked in models else 0,
            format_func=lambda number: models[number].name,
            key="prepare_model",
        )
    ]
    others: list[int | None] = [None, *(number for number in models if number != model.id)]
    second.selectbox(
        "Compared with",
        others,
        index=others.index(production.id) if production and production.id in others else 0,
        format_func=lambda number: models[number].name if number else "no other model",
        key=f"prepare_production_{model.id}",
        help="The model in production, where there is one.",
    )
    own = get_run(session.db(), model.run).snapshot
    snapshot = snapshots[
        first.selectbox(
            "Snapshot",
            list(snapshots),
            index=list(snapshots).index(own),
            format_func=lambda number: snapshots[number].name + (" (its own)" if number == own else ""),
            key=f"prepare_snapshot_{model.id}",
        )
    ]
    second.text_input("Name", placeholder=f"Review of {model.name}", key="prepare_name")
    st.text_area(
        "Acceptance criteria, one a line",
        "\n".join(suggest_criteria(schema)),
        key="prepare_criteria",
        height=130,
        help=f"At most {MOST_CRITERIA}. They lock when the test results are first opened here. "
        + explain_groups(model, snapshot),
    )
    st.caption(explain_criteria(schema, snapshot))
    if find_evaluation(session.db(), model.id, snapshot.id):
        st.caption(
            "The test results of this model are there already; the review will say that its criteria came after."
        )
    st.button("Prepare", type="primary", key="prepare_do", on_click=_prepare, args=(project, model, models, snapshot))


def _prepare(project: Project, model: Model, models: Mapping[int, Model], snapshot: Snapshot) -> None:
    with messages.refusals_told():
        other = st.session_state[f"prepare_production_{model.id}"]
        made = add_review(
            session.db(),
            project,
            model,
            criteria=list_asked(session.db(), snapshot, lines_of(st.session_state["prepare_criteria"])),
            snapshot=snapshot,
            production=models[other] if other else None,
            name=st.session_state["prepare_name"],
            actor=session.actor(),
        )
        places.remember(review=made.id, step=None, model=None)
        messages.say("Prepared. The test results are still closed.")


def draw_criteria_editor(review: Review) -> None:
    """The criteria as text, as long as they may change."""
    key = f"criteria_{review.id}"
    with st.popover("Change the criteria", icon=":material/edit:"):
        st.text_area("One a line", "\n".join(one.sentence for one in review.criteria), key=key, height=160, width=560)
        st.button("Save the criteria", key=f"{key}_save", on_click=_change, args=(review, key))


def _change(review: Review, key: str) -> None:
    with messages.refusals_told():
        snapshot = get_snapshot(session.db(), review.project, review.snapshot)
        criteria = list_asked(session.db(), snapshot, lines_of(st.session_state[key]))
        change_criteria(session.db(), review, criteria, actor=session.actor())
        messages.say("The criteria are changed.")


def suggest_criteria(schema: TrainableSchema) -> Sequence[str]:
    """A beginning that can be looked up in the numbers of this project; people decide what they ask."""
    if isinstance(schema, Generation):
        return ["class consistency at least 0.8", "memorised at most 0.01"]
    if isinstance(schema, Classification):
        return [f"sensitivity of {schema.names[-1]} at least 0.90, lower bound at least 0.85"]
    if isinstance(schema, Segmentation):
        return [f"dice of {schema.names[0]} at least 0.85"]
    return ["r2 at least 0.8"]


def explain_groups(model: Model, snapshot: Snapshot) -> str:
    """Into which ranges of the test cases numbers are cut, and how large a group must be."""
    run = get_run(session.db(), model.run)
    fold = run.fold if run.snapshot == snapshot.id else None
    cut = []
    for name in list_groupable(session.db(), snapshot):
        groups = list_cuts(session.db(), snapshot, fold, name)
        if any(" to " in one for one in groups):
            cut.append(f"{name} into {', '.join(groups)}")
    told = f"By an attribute of many numbers its range is cut: {'; '.join(cut)}. " if cut else ""
    return f"{told}A group of fewer than {FEW_PATIENTS} patients, or {FEW_POSITIVES} cases of the class, does not pass."


def explain_criteria(schema: TrainableSchema, snapshot: Snapshot) -> str:
    """What may stand in a criterion here."""
    if isinstance(schema, Generation):
        return (
            "Class consistency at least; fid_like and memorised at most. Of all drawn images: they have no subgroups. "
            "A fid_like is seen by the judge of one snapshot, so no number of it suits every project."
        )
    groups = list_groupable(session.db(), snapshot)
    by = f" Of every subgroup: “by {groups[0]}” ({', '.join(groups)})." if groups else ""
    if isinstance(schema, Classification):
        return (
            "Sensitivity, specificity, precision, F1, AUC of a class; accuracy, balanced accuracy, AUC of all."
            f" Classes: {', '.join(schema.names)}.{by}"
        )
    if isinstance(schema, Regression):
        if schema.further:
            names = ", ".join(f"{one.target} ({one.unit})" for one in schema.quantities)
            return f"MAE and RMSE at most, R2 and coverage at least, each “of” one of {names}.{by}"
        return f"MAE and RMSE at most, in {schema.unit}; R2 and coverage at least.{by}"
    return f"Dice, IoU, surface Dice at least, HD95 at most; of all or of {', '.join(schema.names)}.{by}"


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]
