"""The models of all folds together on the page Evaluate: one number for their recipe, out of fold."""

import streamlit as st

from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.evaluation.cross_validation import describe_folds, list_fold_models
from core.evaluation.records import say_erased
from core.jobs.asking_folds import ask_cross_validation, folds_arguments
from core.jobs.records import Job, find_job
from core.projects.schema import Regression
from core.tasks import TrainableSchema
from core.training.records import Model, get_run
from dashboard import evaluation_view, jobs_panel, messages, once, quantity_view, session


def draw_folds(model: Model, schema: TrainableSchema, *, may_start: bool) -> None:
    """The pooled numbers of a model's fold and the others, one click away; what is missing where they cannot be had."""
    with st.expander("All folds together", icon=":material/stacks:"):
        st.text(
            "Each case as the model answers that never saw it, so that all cases of the snapshot are measured. The "
            "numbers are of the recipe, not of one model."
        )
        try:
            models = list_fold_models(session.db(), model)
        except InvalidInput as missing:
            st.caption(str(missing))
            return
        arguments = folds_arguments(session.db(), models)
        job = find_job(session.db(), "evaluate", arguments, states=("done",))
        if job:
            _draw_pooled(job, schema)
            _tell_erased(job, model)
        jobs_panel.draw_failed(find_job(session.db(), "evaluate", arguments, states=jobs_panel.EVERY))
        if st.button(
            "Measure all folds again" if job else "Measure all folds together",
            icon=":material/play_arrow:",
            key=once.key(f"evaluate_folds_{models[0].id}"),
            disabled=not may_start,
        ):
            with messages.refusals_shown():
                ask_cross_validation(session.db(), model, actor=session.actor())
                once.spend()
                st.rerun()


def _draw_pooled(job: Job, schema: TrainableSchema) -> None:
    result = job.result or {}
    if isinstance(schema, Regression):
        part, _ = quantity_view.choose_part(result, schema, f"folds_{job.id}")
        quantity_view.draw_headline(part)
    else:
        evaluation_view.draw_headline(result)
    st.caption(f"{evaluation_view.describe_sample(result, test_uses=None)} {describe_folds(result['folds'])}.")
    for warning in result["warnings"]:
        st.warning(warning, icon=":material/warning:")


def _tell_erased(job: Job, model: Model) -> None:
    """That cases were erased since, as an evaluation says it of its own."""
    cases = list_snapshot_cases(session.db(), get_run(session.db(), model.run).snapshot)
    gone = (job.result or {})["n_cases"] - sum(case.fold is not None for case in cases)
    if gone > 0:
        st.warning(say_erased(gone, "these", "Measure"), icon=":material/warning:")
