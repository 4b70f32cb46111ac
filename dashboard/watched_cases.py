"""The handful of validation cases on a run's panel: what a reader said, and what the network says after each epoch."""

from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import streamlit as st

from core.datasets.records import list_snapshot_cases
from core.projects.schema import Generation, LabelSchema, Regression, Segmentation, numbers_of
from core.tasks import module_of, trainable_schema
from core.training.records import Run, list_watched
from core.training.watched import draw_both
from dashboard import session, wording
from dashboard.pictures import source_of
from dashboard.prefix import at

PICTURE_PX, LINE_PX = 96, 15  # of a watched case, as the style sheet has them


def draw_watched(run: Run, schema: LabelSchema, *, waiting: bool) -> None:
    """A strip of thumbnails; its place is kept while `waiting` for the first epoch; nothing for runs from before."""
    watched = list_watched(session.db(), run.id)
    if not watched and not waiting:
        if not isinstance(schema, Generation):
            st.caption("No cases were watched in this run.")
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
    key, room = "above: reader, below: network", ""
    if isinstance(schema, Segmentation):
        key = "yellow: reader, blue: network"
        if any("seen" in answer for _, answer in watched.values()):
            key += "; of each volume one patch, framed in grey"
    elif isinstance(schema, Regression) and schema.further:
        key = f"reader / network: {', '.join(escape(one.target) for one in schema.quantities)}"
        room = f' style="min-height:{PICTURE_PX + LINE_PX * len(schema.quantities)}px"'  # nothing moves when it fills
    st.html(f'<p class="rr-quiet">{told} ({key})</p><div class="rr-handful"{room}>{"".join(cells)}</div>')


def _outlines(answer: Mapping[str, Any]) -> str:
    if "painted" not in answer:
        return ""
    return f'<img class="over" src="{source_of(draw_both(answer))}" alt="outlines">'


def _said(schema: LabelSchema, reference: Mapping[str, Any], answer: Mapping[str, Any]) -> tuple[str, bool | None]:
    """The reader's answer over the network's, and whether they are the same; None where that is a matter of degree."""
    if "scores" not in answer:
        return "&nbsp;", None
    known = trainable_schema(schema)
    task, scores = module_of(known), answer["scores"]
    said = task.decode_scores(known, np.array(scores), {})
    if isinstance(schema, Regression):
        return _said_numbers(schema, reference, said), None
    sure = task.confidence_of(known, np.array(scores), {})
    same = sorted(said["classes"]) == sorted(reference.get("classes", ()))
    # The share stands first: behind a long name it would be cut off.
    return f"{escape(wording.answer(reference))}<br>{wording.percent(sure)} {escape(wording.answer(said))}", same


def _said_numbers(schema: Regression, reference: Mapping[str, Any], said: Mapping[str, Any]) -> str:
    """One number as the reader's over the network's; of several a line for each, both in its unit.

    The numbers stand alone: behind a long name they would be cut off.
    """
    ones = list(zip(schema.quantities, numbers_of(schema, reference), numbers_of(schema, said), strict=True))
    if not schema.further:
        quantity, read, told = ones[0]
        return f"{read:g} {escape(quantity.unit)}<br>{wording.measured(told)} {escape(quantity.unit)}"
    return "<br>".join(
        f'<span title="{escape(quantity.target)}">{wording.given(read)} / {wording.measured(told)} '
        f"{escape(quantity.unit)}</span>"
        for quantity, read, told in ones
    )
