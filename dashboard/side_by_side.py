"""Two explanations of one case beside each other: two methods, two classes, or two models."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from core.evaluation.drafts import model_classes, name_predictions
from core.explain.methods import METHODS
from core.explain.overlay import VIRIDIS, draw_overlay
from core.images.records import Case
from core.images.render import to_uint8
from core.jobs.records import Job
from core.projects.records import Project
from core.projects.schema import Regression
from core.tasks import TrainableSchema
from core.tasks.regression import output_names
from core.training.records import Model, list_models
from dashboard import asked_maps, evidence_view, pictures, places, session, volume_overlay

SIDES = ("left", "right")
OTHER_METHOD = "layer_cam"
LARGEST_PX = 900  # a film of four thousand pixels is not sent twice


def is_on() -> bool:
    """Whether the address asks for two pictures in place of the viewer."""
    return places.asked("beside") == "on"


def draw_walk(case_ids: Sequence[int], at: int) -> None:
    """The viewer's own way from case to case, where the viewer is not."""
    with st.container(horizontal=True):
        for label, to, shortcut in (("Previous", at - 1, "Left"), ("Next", at + 1, "Right")):
            inside = 0 <= to < len(case_ids)
            st.button(
                label,
                key=f"walk_{label}",
                disabled=not inside,
                shortcut=shortcut,
                on_click=_walk,
                args=(case_ids[to] if inside else None,),
            )


def draw_sides(project: Project, schema: TrainableSchema, case: Case, model: Model, reference: Sequence[str]) -> None:
    """The predicted class on the left and the reference class on the right; where they are one, two methods.

    All of it until somebody chooses otherwise.
    """
    if case.held:
        st.info("Somebody has to look at the pixels of this case first.", icon=":material/visibility_lock:")
        return
    frame = volume_overlay.read_frame(case) if case.frames > 1 else 0
    models = {one.id: one for one in list_models(session.db(), project.id)}
    for side, column in zip(SIDES, st.columns(2, gap="small"), strict=True):
        with column:
            _draw_side(project, schema, case, models, model, side, reference, frame)
    planes = f"; {volume_overlay.PLANES}" if case.frames > 1 else ""
    st.html(f"<p>{evidence_view.LEGEND} <span class='rr-quiet'>each map by itself, in viridis{planes}</span></p>")


def _walk(case_id: int | None) -> None:
    places.remember(case=case_id)


def _draw_side(
    project: Project,
    schema: TrainableSchema,
    case: Case,
    models: Mapping[int, Model],
    model: Model,
    side: str,
    reference: Sequence[str],
    frame: int,
) -> None:
    asked = places.asked_number(f"{side}_model")
    chosen = models.get(asked or 0, model)
    names = list(
        output_names(schema) if isinstance(schema, Regression) else model_classes(session.db(), project, chosen)
    )
    predicted = _likeliest(project, chosen, case)
    usual = next(iter(reference), None) if side == "right" else predicted
    first, second, third = st.columns([4, 4, 3], gap="small")
    with first:
        chosen = models[_choose("Model", side, list(models), chosen.id, lambda number: models[number].name)]
    with second:
        # Two pictures that are the same tell nothing.
        usual_method = OTHER_METHOD if side == "right" and usual == predicted else "grad_cam"
        method = _choose("Method", side, list(METHODS), usual_method, lambda name: evidence_view.words_of(chosen, name))
    with third:
        explained = _choose("Class", side, names, usual if usual in names else names[0], str)
    if not evidence_view.draw_standing(chosen, method, key=side):
        return
    question = {"model": chosen.id, "case": case.id, "class": explained, "method": method}

    def draw(job: Job) -> None:
        _draw_picture(case, job, explained, _role(explained, predicted, reference), frame)
        asked_maps.draw_scores(question, side)

    asked_maps.draw_answer(question, side, draw)


def _choose(label: str, side: str, options: list[Any], usual: Any, words: Any) -> Any:
    """A choice that stands in the address."""
    name = f"{side}_{label.lower()}"
    asked = places.asked(name)
    at = next((option for option in options if str(option) == asked), usual)
    key = f"{name}_{at}"
    return st.selectbox(
        f"{label}, {side}",
        options,
        index=options.index(at),
        format_func=words,
        key=key,
        on_change=lambda: places.remember(**{name: st.session_state[key]}),
        label_visibility="collapsed",
    )


def _likeliest(project: Project, model: Model, case: Case) -> str | None:
    scores = {} if model.task == "regression" else name_predictions(session.db(), project, model, [case.id])
    of_case = scores.get(case.id)
    return max(of_case, key=of_case.__getitem__) if of_case else None


def _role(explained: str, predicted: str | None, reference: Sequence[str]) -> str:
    roles = [word for word, is_so in (("predicted", explained == predicted), ("reference", explained in reference))
             if is_so]  # fmt: skip
    return f" ({' and '.join(roles)})" if roles else ""


def _draw_picture(case: Case, job: Job, explained: str, role: str, frame: int) -> None:
    result = job.result or {}
    values = np.load(session.files().path("explanations", str(result["explanation"])), mmap_mode="r")
    if case.frames > 1:
        png = volume_overlay.draw_frame(case, values, frame)
    else:
        seen = to_uint8(session.files().read_array("pixels", case.pixel_hash), case.photometric, case.windows)
        small = Image.fromarray(seen)
        small.thumbnail((LARGEST_PX, LARGEST_PX))
        png = draw_overlay(np.asarray(small), values, ramp=VIRIDIS)
    score = (result.get("values") or result.get("probabilities", {})).get(explained, result.get("value"))
    said = f" · {score:.3f}" if score is not None else ""
    st.html(
        pictures.picture_html(png, f"Explanation of {explained} on case {case.id}", highest=56)
        + f'<p><b>{escape(explained)}</b>{escape(role)}{said} <span class="rr-quiet">'
        f"{escape(METHODS[result['method']].words)}"
        + (f" at {escape(result['layer'])}" if result.get("layer") else "")
        + "</span></p>"
    )
    check = result.get("check") or {}
    if check.get("sentence") and not evidence_view.is_judged(result["model"], result["method"]):
        st.caption(check["sentence"])
