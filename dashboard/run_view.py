"""One training run on screen: its job, its curves while they grow, its log. Heights never change."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from core.datasets.records import get_snapshot
from core.jobs.kinds import SEEING_A_JOB
from core.jobs.records import Job, get_job
from core.jobs.waiting import read_log
from core.projects.schema import Generation, LabelSchema, Regression, Segmentation
from core.training.advice import describe_course
from core.training.records import Model, Run, find_model_of_run, get_run, get_run_of_weights, list_epochs
from dashboard import charts, jobs_panel, places, session, wording
from dashboard.drawn_view import draw_samples
from dashboard.gap_view import describe_failure, draw_gap
from dashboard.watched_cases import draw_watched

REFRESH_SECONDS = 1.5
LOG_LINES = 400
CASES_OF_A_RUN = "What it says"  # of a handful of cases, or draws
LOSS = {"training": "loss", "validation": "validation_loss"}
MEASURES = {
    "training": "accuracy",
    "validation, balanced": "validation_balanced_accuracy",
    "AUC": "validation_auc",
}
ERRORS = {"training": "mae", "validation": "validation_mae"}
OVERLAP = {"training": "dice", "validation": "validation_dice"}
DRAWING = {"training": "drawing_error", "validation": "validation_drawing_error"}


def watch_run(run: Run) -> None:
    """Job, live facts, curves and log; refreshes itself until the run has ended."""
    job = get_job(session.db(), run.job) if run.job else None
    if job and job.state in jobs_panel.ACTIVE:
        _watched(run.id, run.project)
    else:
        _draw_run(run)


def draw_curves(run: Run, *, ended: bool = False) -> None:
    """Loss and measures over epochs; of a run that `ended` before its first epoch one line."""
    epochs = list_epochs(session.db(), run.id)
    if not epochs and "point_of" in run.told:
        origin = get_run_of_weights(session.db(), run)
        st.caption(f"Another operating point of {origin.name}: the same weights, so they learnt as these curves show.")
        draw_curves(origin)
        return
    if not epochs and ended:
        st.caption("It ended before its first epoch: there are no curves.")
        return
    if not epochs:
        st.html('<div class="rr-waiting">Curves appear after the first epoch.</div>')
        return
    best = min(epochs, key=_validation_loss)["epoch"]
    schema = _schema_of(run)
    beside = {"Accuracy": MEASURES}
    if isinstance(schema, Regression):
        beside = {f"Mean absolute error, {_unit_of(schema)}": ERRORS}
    elif isinstance(schema, Segmentation):
        beside = {"Dice": OVERLAP}
    elif isinstance(schema, Generation):
        beside = {"Drawing error": DRAWING}
    for column, (title, pairs) in zip(st.columns(2), {"Loss": LOSS, **beside}.items(), strict=True):
        column.plotly_chart(
            charts.draw_learning_curves(epochs, pairs, title, best_epoch=best),
            config=charts.NO_TOOLBAR,
            key=f"curves_{run.id}_{title}",
            alt=f"{title} over epochs",
        )


@st.fragment(run_every=REFRESH_SECONDS)
def _watched(run_id: int, project_id: int) -> None:
    session.need(SEEING_A_JOB, project_id)
    run = get_run(session.db(), run_id)
    if run.job is None or get_job(session.db(), run.job).state not in jobs_panel.ACTIVE:
        st.rerun()
    _draw_run(run)


def _draw_run(run: Run) -> None:
    job, schema = get_job(session.db(), run.job) if run.job else None, _schema_of(run)
    model = find_model_of_run(session.db(), run.id)
    if job:
        jobs_panel.draw_job(job)
        facts = job.facts if job.is_active else {**job.facts, "seconds_left": None}  # a stopped run has no time left
        if job.state != "failed" or "epoch" in facts:  # of one that never began to learn there is nothing to tell
            st.html(_live_facts(facts, schema, brief=job.state == "failed"))
        _draw_ending(run, job, model)
    is_active = bool(job and job.is_active)
    curves, cases, fitting, log = st.tabs(["Curves", CASES_OF_A_RUN, "Over- or underfitting", "Log"])
    with curves:
        draw_curves(run, ended=job is not None and job.state in ("failed", "stopped"))
    with cases:
        draw_samples(run, choose=not is_active)
        draw_watched(run, schema, waiting=is_active)
    with fitting:
        if model:
            draw_gap(model)
        else:
            nothing = "What the curves say appears here." if is_active else "The run left no model to measure."
            st.caption(describe_course(list_epochs(session.db(), run.id)) or nothing)
    with log, st.container(height=260, border=False, autoscroll=True):
        lines = read_log(session.settings(), job.id).splitlines()[-LOG_LINES:] if job else []
        st.code("\n".join(lines) or "Nothing yet.", language="text", wrap_lines=True)


def _draw_ending(run: Run, job: Job, model: Model | None) -> None:
    """What the run left: a stopped one too keeps its best weights. One that ended well may have learnt nothing, which
    its curves tell only to those who read them."""
    left = job.result or {}
    if "model_id" not in left:
        return
    failure = describe_failure(model) if model else ""
    amiss = f' <b class="rr-amiss">{escape(failure)}</b>' if failure else ""
    why = "Stopped on request" if left["stopped"] else f"Ended: {left['ended_because']}"
    st.html(
        f'<div class="rr-said">{escape(why)}. The best weights, of epoch {left["best_epoch"]} of {left["epochs"]}, '
        "are kept as "
        f'<a href="{places.address("models", project=run.project, model=left["model_id"])}" target="_self">'
        f"{escape(str(left['model']))}</a>.{_say_ensemble(left)}{amiss}</div>"
    )


def _say_ensemble(left: Mapping[str, Any]) -> str:
    """What became of the ensemble that it was the last member of."""
    if "ensemble" in left:
        return f" It was the last of the ensemble {escape(str(left['ensemble']))}, which is there now."
    if "no_ensemble" in left:
        return f' <b class="rr-amiss">The ensemble was not made: {escape(str(left["no_ensemble"]))}</b>'
    return ""


def _unit_of(schema: Regression) -> str:
    """Of the error of an epoch; several quantities have no unit in common."""
    return "SD" if schema.further else schema.unit


def _schema_of(run: Run) -> LabelSchema:
    """What the run learns: the schema as it was frozen."""
    return get_snapshot(session.db(), run.project, run.snapshot).schema


def _live_facts(facts: dict[str, Any], schema: LabelSchema, *, brief: bool = False) -> str:
    """What the child last said, in fixed places, so that numbers change and nothing moves; `brief` says only how far
    it came, beside the sentences of a failure."""
    learnt = {
        "accuracy": wording.number(facts.get("accuracy")),
        "validation, balanced": wording.number(facts.get("validation_balanced_accuracy")),
    }
    if isinstance(schema, Regression):
        learnt = {
            f"mean error, {escape(_unit_of(schema))}": wording.measured(facts.get("mae")),
            "in validation": wording.measured(facts.get("validation_mae")),
        }
    elif isinstance(schema, Segmentation):
        learnt = {
            "Dice": wording.number(facts.get("dice")),
            "validation": wording.number(facts.get("validation_dice")),
        }
    elif isinstance(schema, Generation):
        learnt = {
            "drawing error": wording.number(facts.get("drawing_error")),
            "validation": wording.number(facts.get("validation_drawing_error")),
        }
    shown = {
        "epoch": f"{facts['epoch']} / {facts['epochs']}" if "epochs" in facts and "epoch" in facts else "–",
        "batch": f"{facts['batch']} / {facts['batches']}" if "batches" in facts and "batch" in facts else "–",
        "loss": _loss(facts.get("loss")),
        **learnt,
        "images/s": wording.number(facts.get("images_per_second"), digits=0),
        "time left": wording.duration(facts.get("seconds_left")),
        "memory": wording.size(facts["memory_bytes"]) if facts.get("memory_bytes") else "–",
        "processor": _share(facts.get("processor_share")),
        **_gpu(facts),
    }
    if brief:
        shown = {name: value for name, value in shown.items() if name in ("epoch", "loss", *learnt)}
    cells = "".join(f"<div><small>{name}</small><b>{value}</b></div>" for name, value in shown.items())
    return f'<div class="rr-live">{cells}</div>'


def _gpu(facts: dict[str, Any]) -> dict[str, str]:
    """How busy a GPU is, as far as its driver tells; beside the processor, in the row that is there anyway."""
    shown = {"GPU": _share(facts["gpu_share"])} if "gpu_share" in facts else {}
    if "gpu_memory_bytes" in facts:
        used, whole = (wording.size(facts[key]) for key in ("gpu_memory_bytes", "gpu_memory_whole_bytes"))
        shown["GPU memory"] = f"{used} of {whole}"
    return shown


def _share(value: float | None) -> str:
    return "–" if value is None else wording.percent(value)


def _loss(value: float | None) -> str:
    """A loss that went wild has more digits than the tile has room for."""
    return wording.number(value, digits=4) if value is None or abs(value) < 1e4 else f"{value:.2e}"


def _validation_loss(epoch: dict[str, Any]) -> float:
    value = epoch.get("validation_loss")
    return float("inf") if value is None else value
