"""Cases: find them by what is known of them; thumbnails or a table, a hundred at a time."""

import pandas as pd
import streamlit as st

from core.images.records import count_cases
from core.reviews.case_search import CaseRow, search_case_ids, search_cases
from core.reviews.case_search import count_cases as count_found
from dashboard import frame, jobs_panel, messages, places, session, wording
from dashboard.case_filter import draw_filter_bar
from dashboard.handing_out import draw_handing_out
from dashboard.thumbnails import grid_html

AT_ONCE = 96


def draw_grid(rows: list[CaseRow]) -> None:
    tiles = [
        {
            "address": places.address("case", project=project.id, case=row.id),
            "pixel_hash": row.pixel_hash,
            "name": wording.file_of(row.id, row.source),
            "source": row.source,
            "reference": row.reference,
            "flagged": row.flagged,
            "synthetic": row.synthetic,
            "said": f"predicted {wording.answer(row.predicted)}" if row.predicted else "",
            "wrong": row.predicted is not None and row.reference is not None and row.predicted != row.reference,
        }
        for row in rows
    ]
    st.html(f'<div class="rr-pane">{grid_html(tiles, project.schema)}</div>')


def draw_table(rows: list[CaseRow]) -> None:
    table = pd.DataFrame(
        {
            "case": [places.address("case", project=project.id, case=row.id) for row in rows],
            "file": [row.source for row in rows],
            "patient": [row.patient for row in rows],
            "reference": [wording.answer(row.reference) for row in rows],
            "answers": [row.answers for row in rows],
            **({"predicted": [wording.answer(row.predicted) for row in rows]} if sight.models else {}),
            "flagged": [row.flagged for row in rows],
            **({"synthetic": [row.synthetic for row in rows]} if any(row.synthetic for row in rows) else {}),
            "size": [f"{row.columns} × {row.rows}" for row in rows],
        }
    )
    st.dataframe(
        table,
        hide_index=True,
        height=560,
        key="cases_table",
        column_config={"case": st.column_config.LinkColumn("case", display_text=r"case=(\d+)", width="small")},
    )


project = frame.need_project()
frame.draw_heading("Cases", "What was imported, found by what is known of it.", project=project)
if not count_cases(session.db(), project.id):
    jobs_panel.watch_active_jobs(project.id, ("import",))
    messages.end_empty(
        "No case yet",
        "Cases are what you label, train on and review.",
        step="Import images",
        to="import_images",
        project=project.id,
    )

sight = session.sight(project)
wanted = draw_filter_bar(project, sight)
found = count_found(session.db(), project, wanted, sight=sight)
pages = max(1, -(-found // AT_ONCE))
left, middle, right = st.columns([2, 3, 1], vertical_alignment="center")
with left, st.container(horizontal=True, vertical_alignment="center"):
    st.html(f"<b>{wording.count(found, 'case')}</b>", width="content")
    draw_handing_out(project, found, lambda: search_case_ids(session.db(), project, wanted, sight=sight))
with middle:
    page = st.pagination(pages, key="page", bind="query-params") if pages > 1 else 1
with right, st.container(horizontal_alignment="right"):
    view = st.segmented_control(
        "View",
        ("grid", "table"),
        default="grid",
        required=True,
        key="view",
        bind="query-params",
        format_func=str.capitalize,
        label_visibility="collapsed",
    )
start = (min(page, pages) - 1) * AT_ONCE
rows = search_cases(session.db(), project, wanted, limit=AT_ONCE, offset=start, sight=sight)
if not rows:
    messages.show_empty(
        "No case fits", "Take a filter away to see more.", step="All cases", to="cases", project=project.id
    )
elif view == "grid":
    draw_grid(rows)
else:
    draw_table(rows)
