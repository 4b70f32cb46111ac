"""A few cases that a number leads to: each opens in Review, and all become a worklist with one click."""

from collections.abc import Mapping, Sequence

import streamlit as st

from core.labels.case_lists import add_case_list
from core.projects.records import Project
from core.projects.schema import Classification
from core.reviews.case_search import CaseFilter, open_rows
from dashboard import messages, places, session, wording
from dashboard.handing_out import say_kept
from dashboard.thumbnails import grid_html

MOST_SHOWN = 12


def draw_cases(
    project: Project,
    case_ids: Sequence[int],
    *,
    view: Mapping[str, places.Query],
    name: str,
    key: str,
    said: Mapping[int, str] | None = None,
) -> None:
    """The first of the cases as thumbnails, each with what is `said` of it, else with what the model predicted.

    Args:
        view: `model`, `snapshot` and `split`, as in the address of Review.
        name: what the list is called that all of them can be kept as.
    """
    if not case_ids:
        st.caption("None.")
        return
    wanted = CaseFilter(model=int(view["model"] or 0), snapshot=int(view["snapshot"] or 0))
    rows = open_rows(session.db(), wanted, list(case_ids)[:MOST_SHOWN])
    tiles = [
        {
            "address": places.address("review", **view, result="all", case=row.id),
            "pixel_hash": row.pixel_hash,
            "name": wording.file_of(row.id, row.source),
            "source": row.source,
            "reference": row.reference,
            "flagged": row.flagged,
            "synthetic": row.synthetic,
            "said": (said or {}).get(row.id) or (f"predicted {wording.answer(row.predicted)}" if row.predicted else ""),
            # A number is nearer or further, a painted structure more or less alike: neither is simply wrong.
            "wrong": isinstance(project.schema, Classification)
            and row.predicted is not None
            and row.reference is not None
            and row.predicted != row.reference,
        }
        for row in rows
    ]
    st.html(grid_html(tiles, project.schema))
    left, right = st.columns([3, 2], vertical_alignment="center")
    left.caption(
        f"{wording.count(len(case_ids), 'case')}"
        + (f", the first {MOST_SHOWN} shown." if len(case_ids) > MOST_SHOWN else ".")
        + " A click opens one in Review."
    )
    if session.may("label", project):
        right.button(
            "Keep as worklist",
            icon=":material/playlist_add:",
            key=f"{key}_keep",
            help="All of these cases under a name, to be read again on the Label page.",
            on_click=_keep,
            args=(project, list(case_ids), name),
        )


def _keep(project: Project, case_ids: list[int], name: str) -> None:
    with messages.refusals_told():
        say_kept(add_case_list(session.db(), project, name, case_ids, actor=session.actor()), project)
