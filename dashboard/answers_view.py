"""Batch prediction on screen: which cases to ask a model about, and its answers as a table that leads to each case."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.clock import utc_text
from core.evaluation.batch import answers_csv, describe_answers, flat_row, list_new_cases, number_columns
from core.evaluation.drafts import model_classes
from core.evaluation.records import find_predictions
from core.jobs.records import add_job
from core.projects.records import Project
from core.reviews.case_search import CaseFilter, search_case_ids
from core.store.audit import Actor
from core.training.records import Model
from dashboard import jobs_panel, messages, places, session, wording
from dashboard.downloads import note_export

MOST_SHOWN = 500
TABLE_PX = 300


def draw_answers(project: Project, model: Model) -> None:
    """New cases, a button that asks about those without an answer, and what was answered."""
    told, filtering, asking = st.columns([3, 1.2, 2], vertical_alignment="center")
    told.caption("Cases that are in none of the snapshots it was made with.")
    new = _filtered(project, model, filtering)
    known = find_predictions(session.db(), model.id, new)
    waiting = [one for one in new if one not in known]
    with asking:
        st.button(
            f"Predict {wording.count(len(waiting), 'case')}" if waiting else "All are answered",
            icon=":material/online_prediction:",
            type="primary",
            disabled=not waiting,
            key="predict_start",
            width="stretch",
            on_click=_ask,
            args=(project, model, waiting),
        )
    jobs_panel.watch_active_jobs(project.id, ("predict_cases",))
    if waiting:
        _tell_last(project, model, set(waiting))
    if not new:
        messages.show_empty(
            "No new case",
            "Every case that the filter leaves is in a snapshot that this model was made with.",
            step="Import images",
            to="import_images",
            project=project.id,
        )
        return
    names = model_classes(session.db(), project, model)
    rows = describe_answers(session.db(), model, new[:MOST_SHOWN], names=names)
    _draw_table(project, model, rows, new)
    if known and session.may("export", project):
        _draw_export(project, model, [one for one in new if one in known], names)


def _tell_last(project: Project, model: Model, waiting: Collection[int]) -> None:
    """Why answers are missing though the model was asked: its last job failed, or it cannot take these cases in."""
    last = jobs_panel.find_last(project.id, "predict_cases", model.id)
    jobs_panel.draw_failed(last)
    draw_refused(project, [one for one in ((last and last.result) or {}).get("refused", ()) if one["case"] in waiting])


def draw_refused(project: Project, refused: Sequence[Mapping[str, Any]]) -> None:
    """The cases that a model cannot take in, each with the reason."""
    if not refused:
        return
    with st.expander(f"{wording.count(len(refused), 'case')} that it cannot take in", icon=":material/block:"):
        st.dataframe(
            [
                {"case": places.address("case", project=project.id, case=one["case"]), "reason": one["reason"]}
                for one in refused[:MOST_SHOWN]
            ],
            hide_index=True,
            column_config={"case": st.column_config.LinkColumn("case", display_text=r"case=(\d+)")},
        )


def _filtered(project: Project, model: Model, beside: DeltaGenerator) -> list[int]:
    """The new cases, or those of them that came in since a day, or whose file or patient has a text in it. The text
    stays out of the address, for it may name a patient."""
    with beside.popover("Filter", icon=":material/filter_alt:", width="stretch"):
        day = st.date_input("Imported since", None, key="predict_since")
        text = st.text_input("File or patient", key="predict_text", placeholder="any")
    since = utc_text(datetime.combine(day, time()).astimezone()) if isinstance(day, date) else None
    new = list_new_cases(session.db(), model, since=since)
    if not text.strip():
        return new
    named = set(search_case_ids(session.db(), project, CaseFilter(text=text.strip()), sight=session.sight(project)))
    return [one for one in new if one in named]


def _draw_table(project: Project, model: Model, rows: Sequence[dict[str, Any]], shown: Sequence[int]) -> None:
    answered = len(rows)
    kept_back = sum(bool(row["withheld"]) for row in rows)
    of = f"the first {MOST_SHOWN} of {len(shown):,}" if len(shown) > MOST_SHOWN else wording.count(len(shown), "case")
    st.caption(f"{of}: {answered:,} with an answer of {model.name}, of which {kept_back:,} it leaves to a reader.")
    if not rows:
        return
    table = [{**flat_row(row), "case": places.address("case", project=project.id, case=row["case"])} for row in rows]
    st.dataframe(
        table,
        hide_index=True,
        height=TABLE_PX,
        key="predict_table",
        column_config={"case": st.column_config.LinkColumn("case", display_text=r"case=(\d+)")}
        | {name: st.column_config.NumberColumn(name, format="%.3f") for name in number_columns(rows[0])},
    )


def _draw_export(project: Project, model: Model, case_ids: list[int], names: Sequence[str]) -> None:
    actor = session.actor()
    st.download_button(
        "All answers as CSV",
        lambda: _write(project, model, case_ids, names, actor),
        mime="text/csv",
        file_name=f"answers-{model.id}.csv",
        on_click="ignore",
        icon=":material/download:",
        key="predict_csv",
    )


def _write(project: Project, model: Model, case_ids: list[int], names: Sequence[str], actor: Actor) -> str:
    note_export(project, "answers", actor=actor, model=model.id, cases=len(case_ids))
    return answers_csv(model, describe_answers(session.db(), model, case_ids, names=names))


def _ask(project: Project, model: Model, case_ids: list[int]) -> None:
    with messages.refusals_told():
        asked = {"model": model.id, "cases": case_ids}
        add_job(session.db(), "predict_cases", asked, project=project.id, actor=session.actor())
