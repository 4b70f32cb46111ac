"""What an import did with each file."""

import pandas as pd
import streamlit as st

from core.images.import_files import list_named_files, named
from core.images.sealed_paths import read_paths
from core.jobs.records import Job
from dashboard import jobs_panel, places, session

STATUS = {"imported": "imported", "skipped": "skipped", "failed": "refused"}


def draw_report(job: Job) -> None:
    """What became of every file."""
    files = list_named_files(session.db(), session.settings(), job.id)
    paths = read_paths(session.settings(), job.id)
    for warning in (job.result or {}).get("warnings", []):
        st.warning(named(warning, paths), icon=":material/warning:")
    if not files:
        return
    counts = {status: sum(file.status == status for file in files) for status in STATUS}
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    kept = left.segmented_control(
        "Show",
        list(STATUS),
        selection_mode="multi",
        default=[s for s in ("failed",) if counts[s]],
        key=f"report_{job.id}",
        format_func=lambda status: f"{STATUS[status]} ({counts[status]:,})",
        help="None chosen: all files.",
    )
    shown = [file for file in files if not kept or file.status in kept]
    table = pd.DataFrame(
        {
            "file": [file.path for file in shown],
            "what": [STATUS[file.status] for file in shown],
            "case": [
                places.address("case", project=job.project, case=file.case) if file.case else None for file in shown
            ],
            "reason": [file.reason for file in shown],
        }
    )
    right.download_button(
        "CSV",
        lambda: table.to_csv(index=False),
        file_name=f"import-{job.id}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        key=f"report_csv_{job.id}",
        width="stretch",
    )
    st.dataframe(
        table,
        hide_index=True,
        height="content" if len(shown) < 10 else 380,
        key=f"report_table_{job.id}",
        column_config={"case": st.column_config.LinkColumn("case", display_text=r"case=(\d+)", width="small")},
    )


def say_result(job: Job) -> str:
    """The counts of an import that is done, else its state."""
    if job.state != "done":
        return jobs_panel.STATE_WORDS[job.state]
    result = job.result or {}
    return ", ".join(f"{result.get(key, 0):,} {word}" for key, word in STATUS.items())
