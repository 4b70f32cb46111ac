"""One model on screen: what it stands on, how it learnt, what it may be downloaded as."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from core.datasets.records import Snapshot
from core.evaluation.records import Evaluation, list_evaluations
from core.jobs.exporting import why_no_onnx
from core.measures.calibration import tell_reach
from core.people.roles import may
from core.projects.schema import Regression
from core.tasks.regression import IN_DEVIATIONS, intervals_of
from core.training.device import PRECISIONS
from core.training.ensemble import with_views
from core.training.recipe import FIELDS, named_recipe
from core.training.records import Model, Run, get_run_of_weights
from core.training.request import training_cases
from dashboard import members_view, messages, once, places, run_view, session, wording
from dashboard.drawn_view import draw_samples
from dashboard.gap_view import describe_failure, draw_gap
from dashboard.prefix import at

MEASURE_WORDS = {
    "auc": "AUC", "dice": "Dice", "kl": "Kullback-Leibler divergence", "mae": "mean absolute error",
    "rmse": "root mean squared error", "r2": "R²",
}  # fmt: skip
IN_UNIT = ("mae", "rmse")
TEXT_PX = 360  # the long lists scroll within the page, not the page


def draw_model(model: Model, run: Run, snapshot: Snapshot) -> None:
    """Curves on the left; facts, lineage and downloads on the right."""
    left, right = st.columns([3, 2], gap="large")
    if model.facts.get("members"):
        with left:
            members, lineage = st.tabs(["Members", "Lineage"])
            with members:
                members_view.draw_members(model)
            lineage.container(height=TEXT_PX, border=False).html(_lineage_html(model, run, snapshot))
        _draw_beside(right, model, run, snapshot)
        return
    with left:
        curves, recipe, environment, lineage = st.tabs(["Curves", "Recipe", "Environment", "Lineage"])
        with curves:
            run_view.draw_curves(run)
            draw_gap(model)
            draw_samples(run, choose=True)
        origin = get_run_of_weights(session.db(), run)  # another operating point was not trained itself
        recipe.container(height=TEXT_PX, border=False).html(_recipe_html(origin, snapshot.task))
        environment.container(height=TEXT_PX, border=False).html(_facts(_in_words(origin.environment)))
        lineage.container(height=TEXT_PX, border=False).html(_lineage_html(model, run, snapshot))
    _draw_beside(right, model, run, snapshot)


def _draw_beside(right: Any, model: Model, run: Run, snapshot: Snapshot) -> None:
    """Facts, downloads, and where to go from here."""
    with right:
        st.html(_facts_html(model, run, snapshot))
        if may(session.db(), session.current_user(), "export", model.project):
            _draw_downloads(model)
        with st.container(horizontal=True):
            query = {"project": model.project, "model": model.id}
            places.link("evaluate", "Evaluate", **query)
            if model.task == "generation":
                places.link("draw", "Draw with it", **query)
            else:
                places.link("predict", "Predict new cases", **query)
                places.link("review", "Review its cases", **query)
                places.link("explanations", "Explanations", **query)
        views = model.facts.get("views") or model.task == "generation"
        if not views and may(session.db(), session.current_user(), "train", model.project):
            _draw_views_button(model)


def _draw_views_button(model: Model) -> None:
    """Test-time augmentation makes a model of its own, so that each keeps its predictions and numbers."""
    if st.button(
        "With test-time augmentation",
        icon=":material/filter_none:",
        key=once.key(f"model_views_{model.id}"),
        help="Makes a model beside this one that answers with the mean over each image moved a little, within what its "
        "recipe moved it in training; slower, often a little better.",
    ):
        with messages.refusals_shown():
            made = with_views(session.db(), session.files(), model, actor=session.actor())
            places.go("models", project=made.project, model=made.id)


def _draw_downloads(model: Model) -> None:
    """Plain links to a route: a file of hundreds of megabytes never passes through the page."""
    if model.facts.get("members"):
        st.caption(model.onnx_left_out_because or "")
        return
    address = at(f"/api/v1/models/{model.id}/model")
    links = [f'<a href="{address}.keras" download>Keras ({wording.size(model.file_bytes)})</a>']
    if model.onnx_hash:
        links.append(f'<a href="{address}.onnx" download>ONNX</a>')
    st.html(f'<p class="rr-downloads">Download: {" · ".join(links)}</p>')
    if not model.onnx_hash:
        st.caption(f"No ONNX file: {why_no_onnx(session.db(), model)}")


def _facts_html(model: Model, run: Run, snapshot: Snapshot) -> str:
    seen = model.facts.get("validation") or {}
    measured = ", ".join(
        f"{MEASURE_WORDS.get(name, name.replace('_', ' '))} {_measured(name, value, snapshot)}"
        for name, value in seen.items()
        if isinstance(value, float)
    )
    return _facts(
        {
            "Trained on": f'<a href="{places.address("snapshots", project=model.project, snapshot=snapshot.id)}" '
            f'target="_self">{escape(snapshot.name)}</a>'
            + (f", test on fold {run.fold}" if run.fold is not None else ""),
            **_begun_from(model),
            **_quantity(model, snapshot),
            "When": escape(f"{wording.moment(model.created_at)}, in {wording.duration(run.seconds)}"),
            "Device": escape(get_run_of_weights(session.db(), run).device or "–"),
            "Size": f"{model.parameters:,} parameters, {wording.size(model.file_bytes)}",
            "Validation": escape(measured)
            + f" (n = {_validated_on(model, run, snapshot):,}{_decided_at(model)}; no intervals: evaluate gives them)"
            if measured
            else "–",
            **(
                {"Learnt": f'<span class="rr-amiss">{escape(failure)}</span>'}
                if (failure := describe_failure(model))
                else {}
            ),
            "Asked by": escape(run.created_by),
            **({"Repeats": escape(model.facts["repetition"]["sentence"])} if model.facts.get("repetition") else {}),
        },
        plain=False,
    )


def _decided_at(model: Model) -> str:
    """An epoch of a classifier is judged before a threshold is chosen: an evaluation decides by that, and has other
    numbers."""
    chosen = model.task == "classification" and model.calibration.get("thresholds")
    return "; decided at 0.5, before the threshold was chosen" if chosen else ""


def _validated_on(model: Model, run: Run, snapshot: Snapshot) -> int:
    """Cases; of a model from before the gap was measured those that the snapshot has."""
    gap = model.facts.get("gap")
    return gap["validation"]["cases"] if gap else len(training_cases(session.db(), snapshot, run.fold)[1])


def _measured(name: str, value: float, snapshot: Snapshot) -> str:
    if name in IN_UNIT and isinstance(snapshot.schema, Regression):
        unit = IN_DEVIATIONS if snapshot.schema.further else snapshot.schema.unit
        return f"{wording.measured(value)} {unit}"
    return wording.number(value)


def _begun_from(model: Model) -> dict[str, str]:
    """What was learnt before this run and taken further by it."""
    said = []
    for source in (model.facts.get("sources") or {}).values():
        words = escape(source["said"])
        if "model" in source:
            address = places.address("models", project=model.project, model=source["model"])
            words = f'<a href="{address}" target="_self">{words}</a>'
        said.append(f"{words} <code>{source['hash'][:16]}</code>")
    return {"Begun from": ", ".join(said)} if said else {}


def _quantity(model: Model, snapshot: Snapshot) -> dict[str, str]:
    """What a model of numbers says, and how far from it the truth may lie."""
    if not isinstance(snapshot.schema, Regression):
        return {}
    schema = snapshot.schema
    told = [
        f"{one.target} in {one.unit}, {_around(interval)}"
        for one, interval in zip(schema.quantities, intervals_of(schema, model.calibration), strict=True)
    ]
    return {"Says": "<br>".join(map(escape, told))}


def _around(interval: Mapping[str, Any] | None) -> str:
    if not interval:
        return "with no interval: validation was too small for one"
    return (
        f"{tell_reach(interval)}, meant for {wording.percent(interval['level'])} of cases "
        f"(validation, n = {interval['n']:,})"
    )


def _in_words(environment: Mapping[str, Any]) -> dict[str, str]:
    """What has parts of its own (packages, device, threads) as one line of them."""
    told = {key: value for key, value in environment.items() if key not in ("device", "threads")}
    if device := environment.get("device"):
        memory = f", {wording.size(device['memory_bytes'])}" if device.get("memory_bytes") else ""
        told["device"] = f"{device['title']}{memory}"
    if threads := environment.get("threads"):
        told["threads"] = {name: count or "one for each core" for name, count in threads.items()}
    if precision := PRECISIONS.get(environment.get("precision", "")):
        told["precision"] = precision
    for switch in ("deterministic_operations", "oneDNN"):
        if (is_on := told.get(switch)) is not None:
            told[switch] = "on" if is_on else "off"
    return {
        key.replace("_", " "): ", ".join(f"{name.replace('_', ' ')} {part}" for name, part in value.items())
        if isinstance(value, Mapping)
        else str(value)
        for key, value in told.items()
    }


def _recipe_html(run: Run, task: str) -> str:
    """All values of the recipe; those that were changed from the named recipe in bold."""
    base = named_recipe(run.recipe.network)
    rows = []
    for field in FIELDS:
        if not field.is_read(run.recipe.network, task):
            continue
        value = getattr(run.recipe, field.key)
        if field.key in run.told.get("sources", {}):
            value = run.told["sources"][field.key]["said"]  # the recipe itself has its hash
        text = escape(", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
        shown = text if value == getattr(base, field.key) else f"<b>{text}</b>"
        rows.append(f"<dt>{escape(field.title)}</dt><dd>{shown}</dd>")
    return (
        f'<dl class="rr-facts rr-two">{"".join(rows)}</dl><p class="rr-quiet">Bold: changed from the named recipe.</p>'
    )


def _lineage_html(model: Model, run: Run, snapshot: Snapshot) -> str:
    """From the pixels to the numbers, each step with the hash that pins it down."""
    evaluations = list_evaluations(session.db(), model_id=model.id)
    numbers = "<br>".join(
        f'<a href="{_numbers_address(model, evaluation)}" target="_self">{escape(evaluation.split)}</a>, '
        f"{wording.moment(evaluation.created_at)}, n = {evaluation.result['n_cases']:,}"
        for evaluation in evaluations[:12]
    )
    job = f'<a href="{places.address("jobs", job=run.job)}" target="_self">job {run.job}</a>' if run.job else "–"
    return _facts(
        {
            "Snapshot": f"{escape(snapshot.name)} <code>{snapshot.hash[:16]}</code>",
            "Recipe": f"{escape(run.recipe.network)} <code>{run.recipe_hash[:16]}</code>",
            "Run": f"{run.id}, {job}",
            "Model file": f"<code>{model.keras_hash[:16]}</code>",
            "Evaluations": numbers or "none yet",
        },
        plain=False,
    )


def _numbers_address(model: Model, evaluation: Evaluation) -> str:
    return escape(
        places.address(
            "evaluate",
            project=model.project,
            model=model.id,
            snapshot=evaluation.snapshot,
            split=evaluation.split,
        )
    )


def _facts(facts: dict[str, Any], *, plain: bool = True) -> str:
    rows = "".join(
        f"<dt>{escape(str(key))}</dt><dd>{escape(str(value)) if plain else value}</dd>" for key, value in facts.items()
    )
    return f'<dl class="rr-facts">{rows}</dl>'
