"""What an import did with each file."""

import pandas as pd
import streamlit as st

from core.cells import guard
from core.images.import_files import list_named_files
from core.images.pseudonyms import named
from core.images.records import ImportedFile
from core.images.sealed_paths import read_paths
from core.jobs.records import Job
from dashboard import jobs_panel, places, session

STATUS = {"imported": "imported", "skipped": "skipped", "failed": "refused"}
NOTED = "noted"  # imported, with something to look at: same pixels, opposite labels, a name that came before
WORDS = {**STATUS, NOTED: "noted"}


def csv_of(table: pd.DataFrame) -> str:
    """The report to take along; a file may be named, and a reason begin, like a formula."""
    return table.map(lambda cell: guard(cell) if isinstance(cell, str) else cell).to_csv(index=False)


def draw_report(job: Job) -> None:
    """What became of every file; their paths are for whoever imported them."""
    is_own = job.created_by == session.current_user().name
    files = list_named_files(session.db(), session.settings(), job.id, with_paths=is_own)
    paths = read_paths(session.settings(), job.id) if is_own else {}
    for warning in (job.result or {}).get("warnings", []):
        st.warning(named(warning, paths), icon=":material/warning:")
    if not files:
        return
    counts = {word: sum(_is(file, word) for file in files) for word in WORDS}
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    kept = left.segmented_control(
        "Show",
        list(WORDS),
        selection_mode="multi",
        default=[word for word in ("failed", NOTED) if counts[word]],
        key=f"report_{job.id}",
        format_func=lambda word: f"{WORDS[word]} ({counts[word]:,})",
        help="None chosen: all files. Noted: imported, with a reason to look at them.",
    )
    shown = [file for file in files if not kept or any(_is(file, word) for word in kept)]
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
        lambda: csv_of(table),
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


def _is(file: ImportedFile, word: str) -> bool:
    return file.status == "imported" and bool(file.reason) if word == NOTED else file.status == word


def say_result(job: Job) -> str:
    """The counts of an import that is done, else its state."""
    if job.state != "done":
        return jobs_panel.STATE_WORDS[job.state]
    result = job.result or {}
    return ", ".join(f"{result.get(key, 0):,} {word}" for key, word in STATUS.items())
