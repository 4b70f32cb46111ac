"""What a project keeps of headers, and what was done to each attribute of one: the sheet of before and after."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from html import escape

import pandas as pd
import streamlit as st

from core.images.dicom_headers import told_values
from core.images.headers import StoredHeader, list_changes, list_headers
from core.images.records import Case
from core.projects.deidentification import Deidentification
from core.projects.records import Project, set_deidentification
from dashboard import messages, session
from dashboard.import_report import csv_of

WORDS = {
    "retain_patient": "Keep sex, age (90 stands for 90 and above), size and weight",
    "retain_device": "Keep the device's serial number, station name and software",
    "clean_descriptors": "Keep descriptions of studies and series, in known words only",
    "shift_dates": "Keep dates, moved by a number of days of each patient (off: dates are removed)",
    "keep_times": "Keep times of the day, where dates are kept",
    "strict_pixels": "Hold every image whose header does not say that nothing is burned in",
    "apply_templates": "Black out by a device's template without asking",
}
OFF = "Without de-identification: headers, patients' numbers and file names are kept as they are"


def describe(options: Deidentification) -> str:
    """One sentence for people who import."""
    if not options.enabled:
        return "Images come in WITHOUT de-identification: an administrator has chosen so for this project."
    return (
        "Headers are de-identified before anything is stored (PS3.15 Basic Profile); patients and files go by "
        "pseudonyms; DICOM that may show a name is held for a check, other files are not."
    )


def draw_options(project: Project) -> None:
    """The choices of a project, for those who administer it."""
    with st.expander("De-identification", icon=":material/shield_person:"), st.form("deidentification", border=False):
        st.caption(describe(project.deidentification) + " What is changed here holds from the next import on.")
        for name, words in WORDS.items():
            st.toggle(words, getattr(project.deidentification, name), key=f"deid_{name}")
        if session.may("administer"):
            st.toggle(OFF, not project.deidentification.enabled, key="deid_off",
                      help="Only for images that name nobody. It is written into the audit.")  # fmt: skip
        st.form_submit_button("Save", on_click=_save, args=(project,), key="deid_save")


def _save(project: Project) -> None:
    with messages.refusals_told():
        chosen = {name: bool(st.session_state[f"deid_{name}"]) for name in WORDS}
        enabled = not st.session_state.get("deid_off", not project.deidentification.enabled)
        options = replace(project.deidentification, **chosen, enabled=enabled)
        set_deidentification(session.db(), project, options, session.actor())
        messages.say("Saved; it holds from the next import on.")


def draw_sheet_button(case: Case) -> None:
    """The way to the sheet, over the whole width: a hundred attributes in six columns are for no side of a page."""
    headers = list_headers(session.db(), case.id)
    if headers and st.button("Header: before and after", icon=":material/shield_person:", key=f"sheet_show_{case.id}"):
        _show_sheet(case, headers)
    if not headers and not case.synthetic:
        st.caption("It did not come as DICOM: there is no header.")


@st.dialog("Header: before and after", width="large")
def _show_sheet(case: Case, headers: Sequence[StoredHeader]) -> None:
    """Each attribute of the original, what became of it and why, and the value that is kept now."""
    frame = 0
    if len(headers) > 1:
        frame = int(st.number_input("Frame", 1, len(headers), 1, key=f"sheet_frame_{case.id}")) - 1
    header = headers[frame]
    changes = list_changes(session.db(), header.changes_hash)
    values = told_values(session.files().read_bytes("headers", header.header_hash))
    counts = Counter(change.done for change in changes)
    said = ", ".join(f"{count} {done}" for done, count in counts.most_common())
    st.html(f"<p>{escape(said)}. <span class='rr-quiet'>What stood there before is nowhere in Readroom.</span></p>")
    table = pd.DataFrame([{**change._asdict(), "now": values.get(change.path, "")} for change in changes])
    st.dataframe(table[["path", "name", "done", "now", "rule", "times"]], hide_index=True, height=420,
                 key=f"sheet_{case.id}")  # fmt: skip
    st.download_button("CSV", csv_of(table), file_name=f"case-{case.id}-header.csv", mime="text/csv",
                       on_click="ignore", icon=":material/download:", key=f"sheet_csv_{case.id}")  # fmt: skip
