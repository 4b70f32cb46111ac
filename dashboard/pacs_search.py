"""A search in a PACS: what it answers is shown to whoever asked, in this tab alone, and kept nowhere else.

Nothing of the question goes into the address, since it may name a patient.
"""

from datetime import date
from typing import Any

import pandas as pd
import streamlit as st

from core.images.pacs.questions import Answer, Question, Study
from core.images.pacs.records import Pacs, get_pacs
from core.images.pacs.search import search_studies
from core.jobs.asking import ask_pull
from core.projects.records import Project
from dashboard import messages, once, places, session, wording

FOUND, SEARCHES, JOB = "pacs:found", "pacs:searches", "pacs:job"
MODALITIES = ("CR", "CT", "DX", "MG", "MR", "NM", "OPT", "PT", "RF", "US", "XA")
ROWS_SHOWN = 9


def draw_search(project: Project, pacs: Pacs) -> None:
    """The form, and below it the studies that were found."""
    asked = st.session_state.pop(JOB, None)
    if asked is not None:
        places.go("pacs", project=project.id, job=asked)
    with st.form("pacs_search", border=True):
        modality, since, until, description, patient, button = st.columns(
            [1.2, 1.5, 1.5, 2.6, 1.8, 1.3], vertical_alignment="bottom"
        )
        modality.selectbox("Modality", MODALITIES, index=None, key="pacs_modality", placeholder="any",
                           accept_new_options=True)  # fmt: skip
        for column, label, key in ((since, "From", "pacs_since"), (until, "To", "pacs_until")):
            column.date_input(label, value=None, key=key, min_value=date(1970, 1, 1), format="YYYY-MM-DD")
        description.text_input("Description", key="pacs_description", placeholder="thorax",
                               help="A part of the study's description.")  # fmt: skip
        patient.text_input("Patient's number", key="pacs_patient", autocomplete="off",
                           help="Asked for, and stored nowhere.")  # fmt: skip
        button.form_submit_button("Search", icon=":material/search:", key="pacs_search_do", on_click=_search,
                                  args=(pacs.id, project.id), width="stretch")  # fmt: skip
    found: tuple[int, Answer] | None = st.session_state.get(FOUND)
    if found is None or found[0] != pacs.id:
        st.caption("Names and numbers of patients are shown as the PACS tells them, here and now, and stored nowhere.")
        return
    _draw_found(project, pacs, found[1])


def _search(pacs_id: int, project_id: int) -> None:
    said = st.session_state
    said.pop(FOUND, None)
    said[SEARCHES] = said.get(SEARCHES, 0) + 1
    with messages.refusals_told():
        question = Question(
            (said["pacs_modality"] or "").strip().upper(),
            said["pacs_since"],
            said["pacs_until"],
            said["pacs_description"].strip(),
            said["pacs_patient"].strip(),
        )
        pacs = get_pacs(session.db(), pacs_id)
        found = search_studies(session.db(), session.settings(), pacs, question, project_id, session.actor())
        said[FOUND] = (pacs_id, found)


def _draw_found(project: Project, pacs: Pacs, found: Answer) -> None:
    if not found.studies:
        st.info(f"{pacs.name} has no study that fits; leave something out.", icon=":material/search_off:")
        return
    if found.more:
        st.warning(f"There are more than these {len(found.studies)} studies; narrow the search.",
                   icon=":material/filter_list:")  # fmt: skip
    chosen = st.dataframe(
        pd.DataFrame([_row(study) for study in found.studies]),
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"pacs_studies_{st.session_state.get(SEARCHES, 0)}",  # what was chosen of another list counts no more
        height="content" if len(found.studies) <= ROWS_SHOWN else 36 * (ROWS_SHOWN + 1),
        column_config={
            "date": st.column_config.DateColumn("date", format="YYYY-MM-DD", width="small"),
            "modality": st.column_config.TextColumn("modality", width="small"),
            "series": st.column_config.NumberColumn("series", width="small"),
            "images": st.column_config.NumberColumn("images", width="small"),
        },
    )
    studies = [found.studies[row] for row in chosen["selection"]["rows"] if row < len(found.studies)]
    images = sum(study.instances or 0 for study in studies)
    left, right = st.columns([3, 5], vertical_alignment="center")
    left.button(
        f"Pull {wording.count(len(studies), 'study', 'studies')}" if studies else "Pull",
        type="primary",
        icon=":material/download:",
        key=once.key("pacs_pull"),
        disabled=not studies,
        on_click=once.callback(_pull),
        args=(project, pacs.id, tuple(study.uid for study in studies)),
        width="stretch",
    )
    said = f"{wording.count(images, 'image')} of {pacs.name}; what is here already is not fetched again."
    right.caption(said if studies else "Choose studies by the boxes at the left of the table.")


def _row(study: Study) -> dict[str, Any]:
    return {
        "date": study.day,
        "modality": " ".join(study.modalities),
        "description": study.description,
        "patient": study.patient_name.replace("^", " ").strip(),
        "patient's number": study.patient,
        "series": study.series,
        "images": study.instances,
    }


def _pull(project: Project, pacs_id: int, studies: tuple[str, ...]) -> None:
    with messages.refusals_told():
        pacs = get_pacs(session.db(), pacs_id)
        job = ask_pull(session.db(), session.settings(), project, pacs, studies, actor=session.actor())
        st.session_state.pop(FOUND, None)  # names stay on the screen no longer than somebody needs them
        st.session_state[JOB] = job.id
