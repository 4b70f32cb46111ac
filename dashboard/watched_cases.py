"""The handful of validation cases on a run's panel: what a reader said, and what the network says after each epoch."""

import base64
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from core.datasets.records import list_snapshot_cases
from core.projects.schema import Generation, LabelSchema, Regression, Segmentation
from core.tasks import module_of, trainable_schema
from core.training.records import Run, list_watched
from core.training.watched import draw_both
from dashboard import session, wording
from dashboard.prefix import at


def draw_watched(run: Run, schema: LabelSchema, *, waiting: bool) -> None:
    """A strip of thumbnails; its place is kept while `waiting` for the first epoch; nothing for runs from before."""
    watched = list_watched(session.db(), run.id)
    if not watched and not waiting:
        if not isinstance(schema, Generation):
            st.caption(
                "No cases were watched in this run: whole volumes painted patch by patch take too long for that."
            )
        return
    frozen = {case.case_id: case for case in list_snapshot_cases(session.db(), run.snapshot, only=list(watched))}
    cells = []
    for case_id, (_, answer) in watched.items():
        case = frozen.get(case_id)
        if case is not None:
            said, is_right = _said(schema, case.value, answer)
            picture = at(f"/api/v1/thumbnails/{case.pixel_hash}.webp")
            mark = "" if is_right is None else " right" if is_right else " wrong"
            cells.append(
                f'<figure class="rr-watched{mark}"><div><img src="{picture}" alt="case {case_id}">{_outlines(answer)}'
                f"</div><figcaption>{said}</figcaption></figure>"
            )
    epoch = max((epoch for epoch, _ in watched.values()), default=0)
    told = f"After epoch {epoch}, on some validation cases" if epoch else "Some validation cases appear after an epoch"
    key = "yellow: reader, blue: network" if isinstance(schema, Segmentation) else "above: reader, below: network"
    st.html(f'<p class="rr-quiet">{told} ({key})</p><div class="rr-handful">{"".join(cells)}</div>')


def _outlines(answer: Mapping[str, Any]) -> str:
    if "painted" not in answer:
        return ""
    picture = base64.b64encode(draw_both(answer)).decode()
    return f'<img class="over" src="data:image/png;base64,{picture}" alt="outlines">'


def _said(schema: LabelSchema, reference: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[str, bool | None]:
    """The reader's answer over the network's, and whether they are the same; None where that is a matter of degree."""
    if "scores" not in answer:
        return "&nbsp;", None
    known = trainable_schema(schema)
    task, scores = module_of(known), answer["scores"]
    said = task.decode_scores(known, np.array(scores), {})
    above = wording.answer(reference)
    if isinstance(schema, Regression) and schema.further:
        return "<br>".join(escape(_with_units(schema, one["values"])) for one in (reference, said)), None
    if isinstance(schema, Regression):
        return f"{escape(above)} {escape(schema.unit)}<br>{wording.measured(said['value'])} {escape(schema.unit)}", None
    sure = task.confidence_of(known, np.array(scores), {})
    same = sorted(said["classes"]) == sorted(reference.get("classes", ()))
    # The share stands first: behind a long name it would be cut off.
    return f"{escape(above)}<br>{100 * sure:.0f} % {escape(wording.answer(said))}", same


def _with_units(schema: Regression, values: Mapping[str, float]) -> str:
    """Several quantities by their units: under a thumbnail there is no place for names."""
    told = ((values.get(one.target), one.unit) for one in schema.quantities)
    return " · ".join(f"{wording.measured(value)} {unit}" for value, unit in told)
