"""How a painted structure is looked at on Review: both outlines, what is wrong, or where the model doubts."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, cast

import numpy as np
import streamlit as st
from PIL import Image

from core.evaluation.outlines import Outlined
from core.explain.doubt import METHOD, SENTENCE
from core.explain.overlay import VIRIDIS, draw_overlay
from core.images.records import Case
from core.images.render import to_uint8
from core.jobs.explaining import ask_explanation
from core.jobs.records import Job, find_job
from core.training.records import Model
from dashboard import (
    doubt_evidence_view,
    evidence_view,
    jobs_panel,
    messages,
    pictures,
    places,
    session,
    volume_overlay,
)

LookAt = Literal["outlines", "errors", "doubt"]
WORDS: dict[LookAt, str] = {"outlines": "Outlines", "errors": "Errors", "doubt": "Doubt"}
REFERENCE_COLOUR, PAINTED_COLOUR = "#f0e442", "#56b4e9"  # as `core.evaluation.outlines` draws them
LEGENDS: dict[LookAt, str] = {
    "outlines": f'<span style="color:{REFERENCE_COLOUR}">━</span> reference &nbsp; '
    f'<span style="color:{PAINTED_COLOUR}">━</span> painted by the model',
    "errors": '<span style="color:#d55e00">■</span> missed &nbsp; '
    '<span style="color:#0072b2">■</span> painted beside the reference',
    "doubt": "",
}
HIGHEST_DOUBT, SLIDER = 48, 6  # hundredths of the screen: scale and sentence stand below
SMALLEST_PX = 640  # a small image is enlarged, or its doubt would be a few dots


def read_look(model: Model, first: LookAt = "outlines") -> LookAt:
    """The choice, drawn; at first what the address asks for, or `first`."""
    told = places.asked("look")
    asked = told if told in WORDS else first
    key = f"painted_look_{model.id}_{asked}"
    chosen = st.segmented_control(
        "Look at",
        list(WORDS),
        default=asked,
        required=True,
        format_func=WORDS.__getitem__,
        key=key,
        on_change=lambda: places.remember(look=st.session_state[key]),
        label_visibility="collapsed",
    )
    return cast(LookAt, chosen)


def draw_outlined(outline: Callable[[int | None], Outlined], *, key: str, alt: str, legend: str, highest: int) -> None:
    """Two masks over a frame, the one on which they differ most until a slider chooses another."""
    shown = outline(None)
    if shown.frames > 1:
        frame = st.slider("Frame", 1, shown.frames, shown.frame + 1, key=key) - 1
        shown = shown if frame == shown.frame else outline(frame)
    picture = pictures.picture_html(shown.png, alt, highest=highest, crisp=True)
    st.html(f'{picture}<p class="rr-quiet">{legend}</p>')


def draw_doubt(model: Model, case: Case, structure: str, highest: int = HIGHEST_DOUBT) -> None:
    """The map of a structure's doubt, at most so many hundredths of the screen high, or the job that makes it; one that
    is not reliable on this model only after a deliberate click."""
    if not doubt_evidence_view.draw_standing(model, structure):
        return
    question = {"model": model.id, "case": case.id, "class": structure, "method": METHOD}
    job = find_job(session.db(), "explain", question, states=("queued", "running", "done", "failed", "stopped"))
    if job is None or not _is_usable(job):
        with messages.refusals_shown():
            job = ask_explanation(session.db(), question, project=model.project, actor=session.actor())
    if job is not None and job.state in jobs_panel.ACTIVE:
        jobs_panel.watch_job(job)
    elif job is not None and job.state == "done":
        _draw(case, job, highest)
    elif job is not None:
        st.error(f"{job.error or 'It was stopped.'} {job.remedy or ''}", icon=":material/error:")


def _is_usable(job: Job) -> bool:
    """A map that was cleared away is made again; a failure is told, not repeated by each rerun."""
    return job.state != "done" or session.files().has("explanations", str((job.result or {})["explanation"]))


def _draw(case: Case, job: Job, highest: int) -> None:
    result = job.result or {}
    values = np.load(session.files().path("explanations", str(result["explanation"])), mmap_mode="r")
    if case.frames > 1:
        frame = volume_overlay.read_frame(case, first=int(result["frame"]))
        png = volume_overlay.draw_frame(case, values, frame)
        # the slider stands above
        _show(case, result, png, of=f"frame {frame + 1}", whole="volume", highest=highest - SLIDER)
        st.caption(f"{SENTENCE} Frame {result['frame']} has most of it; {volume_overlay.PLANES}.")
        return
    seen = Image.fromarray(
        to_uint8(session.files().read_array("pixels", case.pixel_hash), case.photometric, case.windows)
    )
    scale = max(1, -(-SMALLEST_PX // max(seen.size)))
    large = seen.resize((seen.width * scale, seen.height * scale), Image.Resampling.NEAREST)
    png = draw_overlay(np.asarray(large), values, ramp=VIRIDIS)
    _show(case, result, png, of="the image", whole="image", highest=highest)
    st.caption(SENTENCE)


def _show(case: Case, result: Mapping[str, Any], png: bytes, *, of: str, whole: str, highest: int) -> None:
    st.html(
        pictures.picture_html(png, f"Doubt on case {case.id}, {of}", highest=highest)
        + f'<p>{evidence_view.LEGEND} <span class="rr-quiet">bits, mean '
        f"{result['mean_doubt']:.3f} over the {whole}</span></p>"
    )
