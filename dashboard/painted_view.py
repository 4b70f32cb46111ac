"""Painted structures on screen: how much is painted in a snapshot, how well a model paints, and its worst cases."""

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any, cast

import pandas as pd
import streamlit as st

from core.errors import NotFound
from core.evaluation.outlines import Draw, Outlined, draw_bare, draw_errors, draw_outlines, outline_case
from core.evaluation.records import Evaluation, MeasuredMask, list_measured
from core.images.records import get_case
from core.projects.records import Project
from dashboard import messages, numbers_view, painted_look, places, session, wording
from dashboard.evaluation_view import say_ends, say_metric

if TYPE_CHECKING:
    from dashboard.meeting_view import Meeting
    from dashboard.review_view import View

HIGHEST = 58  # hundredths of the screen
DRAWN: Mapping[str, Draw] = {"outlines": draw_outlines, "errors": draw_errors, "bare": draw_bare}
FEW_PAINTED = 10  # below this a row is greyed, not hidden
METRICS = {
    "dice": "Dice",
    "iou": "IoU",
    "surface_dice": "surface Dice",
    "hd95_mm": "HD95, mm",
    "hd95_px": "HD95, pixels",
    "volume_bias_ml": "volume bias, ml",
    "volume_error_percent": "volume error, %",
}


def describe_painted(told: Mapping[str, Any]) -> str:
    """HTML: on how many cases of a split a structure is painted, and its share of their pixels."""
    return f"{told['images']:,}<br><small>{100 * told['share']:.2f} % of all pixels</small>"


def draw_structure_table(result: Mapping[str, Any]) -> None:
    """Each structure with its numbers, their intervals and the n they stand on, and how empty cases were met."""
    shown = {key: title for key, title in METRICS.items() if key in result["metrics"] and _is_known(result, key)}
    head = "".join(f"<th>{escape(title)}</th>" for title in shown.values())
    # One scale down each column, so that structures can be held against each other.
    ends = {key: numbers_view.scale_of(key, [one[key] for one in result["per_structure"].values()]) for key in shown}
    rows = []
    for name in result["structures"]:
        counts, measures = result["counts"][name], result["per_structure"][name]
        few = ' class="few"' if counts["painted"] < FEW_PAINTED else ""
        cells = "".join(f"<td>{_cell(key, measures[key], ends[key])}</td>" for key in shown)
        empty = f"{counts['left_empty']:,} of {counts['empty']:,}" if counts["empty"] else "–"
        rows.append(
            f"<tr{few}><td>{escape(name)}</td><td>{counts['painted']:,}</td>{cells}"
            f"<td>{counts['missed']:,}</td><td>{empty}</td></tr>"
        )
    st.html(
        '<div class="rr-scroll"><table class="rr-numbers"><tr><th>structure</th><th>n</th>'
        f"{head}<th>missed</th><th>rightly empty</th></tr>{''.join(rows)}</table></div>"
    )
    few = any(result["counts"][name]["painted"] < FEW_PAINTED for name in result["structures"])
    greyed = f" Greyed: fewer than {FEW_PAINTED} such cases; read these numbers with care." if few else ""
    st.caption(
        f"n: cases on which the reference has the structure; only they count for overlap and distance. Missed: nothing "
        f"painted on such a case. Surface Dice within {result['tolerance']:g} {result['unit']}.{greyed}"
    )


def _is_known(result: Mapping[str, Any], key: str) -> bool:
    return any(measures[key]["value"] is not None for measures in result["per_structure"].values())


def _cell(name: str, measure: Mapping[str, Any], ends: tuple[float, float]) -> str:
    if measure["value"] is None:
        return f'<span title="{escape(measure.get("reason", ""))}">–</span>'
    line = numbers_view.whiskers(measure, *ends, thin=True)
    return f"<b>{say_metric(name, measure['value'])}</b><br><small>{say_ends(measure, name)}</small>{line}"


def draw_painted_review(project: Project, view: "View", evaluation: Evaluation | None) -> None:
    """The cases of the view's evaluation, the worst Dice first, each with both outlines over the image."""
    if evaluation is None:
        messages.end_empty(
            f"{view.model.name} has not answered {view.split} of {view.snapshot.name} yet",
            "An evaluation paints every case of a split; review then walks through them.",
            step="Evaluate it",
            to="evaluate",
            **view.numbers,
        )
    names = list(evaluation.result["structures"])
    asked = places.asked("structure")
    structure = st.segmented_control(
        "Structure",
        names,
        default=asked if asked in names else names[0],
        required=True,
        key=f"review_structure_{evaluation.id}",
        label_visibility="collapsed",
    )
    rows = [row for row in list_measured(session.db(), evaluation.id) if row.structure == structure]
    if not rows:
        messages.end_empty("Nothing is left to review", "All cases of this evaluation were erased.")
    unit = evaluation.result["unit"]
    left, right = st.columns([5, 6], gap="medium")
    with left:
        chosen = _choose(rows, unit, f"review_cases_{evaluation.id}_{structure}")
    places.remember(**view.numbers, structure=structure, case=chosen.case_id)
    with right:
        draw_picture(project, view, chosen)


def _choose(rows: list[MeasuredMask], unit: str, key: str) -> MeasuredMask:
    """The row that was clicked, or the one of the address, or the worst."""
    table = pd.DataFrame(
        {
            "case": [row.case_id for row in rows],
            "patient": [row.patient for row in rows],
            "Dice": [row.dice for row in rows],
            f"HD95, {unit}": [row.hd95 for row in rows],
            "reference, px": [row.reference_pixels for row in rows],
            "painted, px": [row.predicted_pixels for row in rows],
        }
    )
    digits = {
        "Dice": st.column_config.NumberColumn(format="%.3f"),
        f"HD95, {unit}": st.column_config.NumberColumn(format="%.2f"),
    }
    selected = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="single-row",
        key=key,
        height=420,
        column_config=digits,
    )
    st.caption("The worst Dice first; cases whose reference is empty have none and come last.")
    clicked = selected["selection"]["rows"]
    asked = places.asked_number("case")
    if clicked and clicked[0] < len(rows):  # a click is remembered by its place, also when cases were erased since
        return rows[clicked[0]]
    return next((row for row in rows if row.case_id == asked), rows[0])


def draw_picture(
    project: Project,
    view: "View | Meeting",
    row: MeasuredMask,
    *,
    bare: bool = False,
    first: painted_look.LookAt = "outlines",
    highest: int = HIGHEST,
) -> None:
    """One case with both outlines over the image, or where the model was wrong, or where it doubts; `bare`: the image
    alone. The picture is at most `highest` hundredths of the screen high."""
    case = get_case(session.db(), row.case_id)
    st.html(
        f'<div class="rr-at"><b>Case {row.case_id}</b> · Dice {wording.number(row.dice)} '
        f'<span class="rr-quiet">· {escape(row.source)}</span></div>'
    )
    if case.held:
        st.info("Somebody has to look at the pixels of this case first.", icon=":material/visibility_lock:")
        return
    look = "bare" if bare else painted_look.read_look(view.model, first)
    if look == "doubt":
        least = min(highest, painted_look.HIGHEST_DOUBT)
        painted_look.draw_doubt(view.model, case, row.structure, least)
        places.link("case", "All about this case", project=project.id, case=row.case_id)
        return
    try:
        painted_look.draw_outlined(
            lambda frame: _outlined(view, row, frame, DRAWN[look]),
            key=f"review_frame_{view.model.id}_{row.case_id}_{row.structure}",
            alt=f"Case {row.case_id}" if bare else f"{look.capitalize()} of {row.structure} on case {row.case_id}",
            legend="" if bare else painted_look.LEGENDS[cast(painted_look.LookAt, look)],
            highest=highest,
        )
    except NotFound as error:
        st.info(str(error), icon=":material/info:")
        return
    places.link("case", "All about this case", project=project.id, case=row.case_id)


def _outlined(view: "View | Meeting", row: MeasuredMask, frame: int | None, draw: Draw) -> Outlined:
    return outline_case(
        session.db(),
        session.files(),
        model_id=view.model.id,
        snapshot_id=view.snapshot.id,
        case_id=row.case_id,
        structure=row.structure,
        frame=frame,
        draw=draw,
    )
