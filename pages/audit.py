"""Audit: who did what, when, by which door and from where; with the check that nobody altered it."""

import pandas as pd
import streamlit as st

from core.labels.said import say_answers
from core.store.audit import NOTHING_SAID, audit_choices, count_audit, last_check, list_audit
from dashboard import audit_view, frame, messages, session, wording

AT_ONCE = 100
DOORS = ("screen", "command line", "job")

frame.draw_heading(
    "Audit", "Who did what, when and from where. Rows are only ever added, and each is tied to the one before."
)


def check_chain() -> None:
    with messages.refusals_told():
        st.session_state["audit_verdict"] = audit_view.check_with_bar()


with st.container(horizontal=True, vertical_alignment="center"):
    st.button("Check the chain", icon=":material/verified:", on_click=check_chain, key="audit_check")
    seen = last_check(session.db())
    st.html(f'<span class="rr-quiet">{audit_view.say_last_check(seen)}</span>')
verdict = st.session_state.pop("audit_verdict", None)
if verdict is not None:
    audit_view.draw_verdict(verdict)

choices = audit_choices(session.db())
who, what, via, subject, first, last = st.columns([1.3, 1.6, 1.2, 1.3, 1.2, 1.2])
chosen = {
    "who": who.selectbox("Who", choices["who"], index=None, placeholder="anybody", key="audit_who") or "",
    "what": what.selectbox("What", choices["what"], index=None, placeholder="anything", key="audit_what") or "",
    "via": via.selectbox("Door", DOORS, index=None, placeholder="any", key="audit_via") or "",
    "subject": subject.text_input("About", placeholder="such as case 12", key="audit_subject").strip(),
    **audit_view.read_days(
        first.date_input("From day (UTC)", value=None, key="audit_since"),
        last.date_input("To day (UTC)", value=None, key="audit_until"),
    ),
}
found = count_audit(session.db(), **chosen)
pages = max(1, -(-found // AT_ONCE))
left, middle, right = st.columns([2, 3, 1], vertical_alignment="center")
left.html(f"<b>{wording.count(found, 'row')}</b>")
with middle:
    page = st.pagination(pages, key="audit_page") if pages > 1 else 1
right.download_button(
    "CSV",
    audit_view.csv_of(chosen),
    file_name="audit.csv",
    mime="text/csv",
    on_click="ignore",
    icon=":material/download:",
    key="audit_csv",
    width="stretch",
    disabled=not found,
    help="Every row that fits the filters, with its hash. Taking it along is written into the audit too.",
)
rows = list_audit(session.db(), **chosen, limit=AT_ONCE, offset=(min(page, pages) - 1) * AT_ONCE)
if not rows:
    messages.end_empty("Nothing was written that fits", "Take a filter away to see more.", step="All of it", to="audit")
said = say_answers(session.db(), rows)
table = pd.DataFrame([audit_view.shown(row, said.get(row.id, NOTHING_SAID)) for row in rows])
st.dataframe(
    table,
    hide_index=True,
    height="content" if len(rows) < 12 else 520,
    key="audit_table",
    column_config={"row": st.column_config.NumberColumn("row", width="small")},
)
