"""Doctor: what works here, what does not, and how to mend it."""

import streamlit as st

from dashboard import backup_panel, doctor_view, frame

frame.draw_heading(
    "Doctor", "What works here, what does not, and how to mend it. The command readroom doctor says the same."
)
with st.container(horizontal=True):
    st.button("Look again", icon=":material/refresh:", on_click=doctor_view.look_again, key="doctor_again")
    st.button(
        "Check every stored file",
        icon=":material/inventory:",
        on_click=doctor_view.look_again,
        kwargs={"every_file": True},
        key="doctor_files",
        help="Compares each image and model with its sum. It reads them all, which takes a while.",
    )
findings = doctor_view.find_findings()
doctor_view.draw_verdict(findings)
doctor_view.draw_findings(findings)
backup_panel.draw_backup_panel()
