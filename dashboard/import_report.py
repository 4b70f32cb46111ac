"""What an import did with each file and series: seen, filtered, taken along, and tried again."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from html import escape

import pandas as pd
import streamlit as st

from core.cells import guard
from core.errors import NotFound
from core.images.import_files import NOTED, Report, ToldSeries, read_report
from core.images.records import ImportedFile
from core.jobs.abandoned import ABANDONED_SECONDS
from core.jobs.asking import ask_import_again, ask_pull_again, find_imports_again, throw_upload_away
from core.jobs.records import Job, get_job
from core.jobs.undecided import list_waiting, stays_until_decided, upload_left
from core.projects.records import Project
from dashboard import jobs_panel, messages, once, places, session, wording
from dashboard.import_series_view import STATUS_WORDS, draw_choice, draw_series

WORDS = {"failed": "refused", "waiting": "waiting", "held": "held", NOTED: "noted", "joined": "joined",
         "imported": "imported", "skipped": "skipped"}  # fmt: skip
SHOWN_AT_MOST = 1000
KINDS_SAID = 6
WAITING_SHOWN = 5
WRAPPED_AT_MOST = 300  # rows whose reasons are shown whole; more go into a table that draws what is in sight


def csv_of(table: pd.DataFrame) -> str:
    """The report to take along; a file may be named, and a reason begin, like a formula."""
    return table.map(lambda cell: guard(cell) if isinstance(cell, str) else cell).to_csv(index=False)


def end_with_asked_job(kind: str, project: Project, draw_ways_on: Callable[[Job], None]) -> None:
    """In place of a page, the job that its address names; where it names none of this project, the page goes on."""
    asked = places.asked_number("job")
    if asked is None:
        return
    try:
        job = get_job(session.db(), asked)
    except NotFound as error:
        st.warning(str(error))
        return
    if job.kind == kind and job.project == project.id:
        jobs_panel.watch_job(job)
        draw_report(job)
        with st.container(horizontal=True):
            draw_ways_on(job)
        st.stop()


def draw_links(place: str, jobs: Sequence[Job], project: Project) -> None:
    """What these jobs came to, each a way to its report."""
    for job in jobs:
        told = f"{wording.moment(job.created_at)}: {say_result(job)}"
        places.link(place, told, icon=":material/receipt_long:", project=project.id, job=job.id)


def draw_undecided(project: Project) -> None:
    """What waits on the server for somebody's word, whoever sent it and however long ago."""
    waiting = list_waiting(session.db(), session.settings(), project.id)
    if not waiting:
        return
    files = sum((job.result or {}).get("waiting", 0) for job in waiting)
    with st.container(border=True, key="import_undecided"):
        st.markdown(
            f"**{wording.count(files, 'file')} wait{'s' if files == 1 else ''} for somebody's word**: something is odd "
            f"about {'its' if files == 1 else 'their'} series. Look, and bring them in or leave them out."
        )
        for job in waiting[:WAITING_SHOWN]:
            place = "pacs" if job.kind == "pull" else "import_images"
            told = f"{wording.moment(job.created_at)}: {wording.count((job.result or {}).get('waiting', 0), 'file')}"
            places.link(place, told, icon=":material/pending_actions:", project=project.id, job=job.id)
        if len(waiting) > WAITING_SHOWN:
            st.caption(f"The newest {WAITING_SHOWN} of {len(waiting)} imports with something that waits.")


def draw_report(job: Job) -> None:
    """What became of every file and series, and what can be done about the rest; paths are for who imported them."""
    is_own = job.created_by == session.current_user().name
    warnings = (job.result or {}).get("warnings", [])
    report = read_report(session.db(), session.settings(), job.id, warnings=warnings, with_paths=is_own)
    files, series = report.files, report.series
    for warning in report.warnings:
        st.warning(warning, icon=":material/warning:")
    if not files:
        return
    if not job.is_active:
        if report.counts.get("waiting"):
            _draw_waiting(job, files, series)
        if report.counts.get("failed") or report.counts.get("held"):
            _draw_steps(job, files)
    views = {"files": f"Files ({len(files):,})", "series": f"Series ({len(series):,})"}
    view = "files"
    if series:
        view = st.segmented_control(
            "Show", list(views), default="files", required=True, key=f"report_view_{job.id}",
            format_func=views.__getitem__, label_visibility="collapsed",
        ) or "files"  # fmt: skip
    if view == "series":
        draw_series(series, job.project)
    else:
        _draw_files(job, report)


# ---- what waits for somebody's word


def _draw_waiting(job: Job, files: Sequence[ImportedFile], series: Sequence[ToldSeries]) -> None:
    waiting = [file for file in files if file.status == "waiting"]
    after = [
        other for other in find_imports_again(session.db(), job) if other.arguments["again"]["status"] == "waiting"
    ]
    if after:
        with st.container(horizontal=True):
            for other in after[:3]:
                places.link("import_images", f"Brought in by import {other.id}", icon=":material/check:",
                            project=job.project, job=other.id)  # fmt: skip
        return
    if _is_gone(job):
        st.caption("The files that waited are no longer on the server; send them again to bring them in.")
        return
    only_odd = job.kind == "pull" or job.arguments.get("hold_back") == "odd"
    its = [one for one in series if one.counts.get("waiting")]
    with st.container(border=True, key="import_waiting"):
        title = "Something is odd here: look before it comes in" if only_odd else "This would come in"
        st.subheader(title, anchor=False)
        st.caption(
            f"{wording.count(len(waiting), 'file')} wait{'s' if len(waiting) == 1 else ''}; nothing of them is stored. "
            + ("Everything else is in." if only_odd else "Accept it, or take the tick from what shall stay out.")
        )
        alone = Counter(file.reason for file in waiting if file.series is None)
        said = [f"<li>{wording.count(amount, 'file')}: {escape(reason)}</li>" for reason, amount in alone.most_common()]
        if said:
            st.html(f'<ul class="rr-kinds">{"".join(said[:KINDS_SAID])}</ul>')
        left_out = draw_choice(its, job.project, f"accept_{job.id}")
        chosen = len([file for file in waiting if file.series not in left_out])
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button(f"Bring in {wording.count(chosen, 'file')}", type="primary", disabled=not chosen,
                                icon=":material/check:", key=once.key(f"accept_go_{job.id}"))  # fmt: skip
            _offer_throwing_away(job, "Leave all of it out")
        if pressed:
            _ask_again(job, "waiting", left_out)


# ---- what was refused


def _draw_steps(job: Job, files: Sequence[ImportedFile]) -> None:
    """What can be done about files that are refused or held."""
    count = Counter(file.status for file in files)
    refused, held = count["failed"], len({file.case for file in files if file.status == "held"})
    after = [other for other in find_imports_again(session.db(), job) if other.arguments["again"]["status"] == "failed"]
    with st.container(horizontal=True, vertical_alignment="center"):
        if held:
            places.link("check_pixels", f"Check the pixels of {wording.count(held, 'held case')}", project=job.project)
        if refused and job.kind == "pull":
            _offer_another_pull(job, refused)
        elif refused and _is_gone(job):
            st.caption("The uploaded files are no longer on the server: send the mended ones again.")
        elif refused and st.button(
            f"Try the {refused:,} refused again" if refused > 1 else "Try the refused one again",
            icon=":material/replay:",
            key=once.key(f"again_{job.id}"),
            help="After you have mended the files, or installed what a reason names; of a series all slices are read.",
        ):
            _ask_again(job, "failed", [])
        for other in after[:3]:
            places.link("import_images", f"Tried again in import {other.id}", project=job.project, job=other.id)
        if refused and job.kind != "pull" and not count["waiting"]:
            _offer_throwing_away(job, "Throw the refused files away")


def _offer_another_pull(job: Job, refused: int) -> None:
    """The files of a pull go once they are in or refused, so that they have to come anew."""
    if st.button(
        "Pull the same studies again",
        icon=":material/replay:",
        key=once.key(f"pull_again_{job.id}"),
        help="After the PACS has better files, or what a reason names was installed; what came in is not fetched anew.",
    ):
        with messages.refusals_shown():
            new = ask_pull_again(session.db(), session.settings(), job, actor=session.actor())
            places.go("pacs", project=job.project, job=new.id)
    what = "file is" if refused == 1 else "files are"
    st.caption(f"The refused {what} not kept here: only the PACS has {'it' if refused == 1 else 'them'}.")


def _ask_again(job: Job, status: str, left_out: Sequence[int]) -> None:
    with messages.refusals_shown():
        new = ask_import_again(
            session.db(), session.settings(), job, "failed" if status == "failed" else "waiting", left_out=left_out,
            actor=session.actor(),
        )  # fmt: skip
        places.go("import_images", project=job.project, job=new.id)


def _is_gone(job: Job) -> bool:
    """Whether its files were uploaded and are no longer here."""
    return bool(job.arguments.get("remove_after")) and upload_left(session.settings(), job) is None


def _offer_throwing_away(job: Job, words: str) -> None:
    """What is left of an upload lies on the server until somebody imports it, throws it away, or two days are over;
    what came from a modality or a PACS and waits, until one of the first two."""
    folder = upload_left(session.settings(), job)
    if folder is None:
        return
    st.button(words, icon=":material/delete:", key=f"throw_away_{job.id}", on_click=_throw_away, args=(job,))
    if stays_until_decided(folder) and (job.result or {}).get("waiting"):
        st.caption("What waits stays on the server until somebody decides.")
        return
    until = datetime.fromtimestamp(folder.stat().st_mtime, UTC) + timedelta(seconds=ABANDONED_SECONDS)
    st.caption(f"What was not imported waits on the server until {wording.moment(until.isoformat())}, then it goes.")


def _throw_away(job: Job) -> None:
    with messages.refusals_told():
        throw_upload_away(session.db(), session.settings(), job, session.actor())
        messages.say("The files are gone from the server.")


# ---- the files


def _draw_files(job: Job, report: Report) -> None:
    files, series, counts = report.files, report.series, {word: report.counts.get(word, 0) for word in WORDS}
    offered = [word for word in WORDS if counts[word]]
    left, middle, right = st.columns([6, 3, 1], vertical_alignment="bottom")
    kept = left.segmented_control(
        "Show",
        offered,
        selection_mode="multi",
        default=[word for word in ("failed", "held", NOTED) if counts[word]],
        key=f"report_{job.id}",
        format_func=lambda word: f"{WORDS[word]} ({counts[word]:,})",
        help="None chosen: all files. Noted: came in, with a reason to look at them.",
    )
    text = middle.text_input("Find", key=f"report_find_{job.id}", placeholder="a name, a reason, series 3").strip()
    shown = report.select(kept, text)
    right.download_button(
        "CSV",
        lambda: csv_of(_table(job, shown)),
        file_name=f"import-{job.id}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
        key=f"report_csv_{job.id}",
        width="stretch",
        help="What is shown here, all of it.",
    )
    if len(shown) <= WRAPPED_AT_MOST:
        st.html(_rows(job, shown, with_series=bool(series)))
    else:
        _draw_long(job, _table(job, shown[:SHOWN_AT_MOST]), with_series=bool(series))
    if len(shown) > SHOWN_AT_MOST:
        st.caption(f"The first {SHOWN_AT_MOST:,} of {len(shown):,}; the CSV has all.")
    elif len(shown) < len(files):
        st.caption(f"{wording.count(len(files) - len(shown), 'further file')}: take the filters away to see them.")


def _rows(job: Job, shown: Sequence[ImportedFile], *, with_series: bool) -> str:
    """The table with every reason in full."""
    titles = ["file", "what", "case", *(["series"] if with_series else []), "reason"]
    rows = []
    for file in shown:
        case = f'<a href="{places.address("case", project=job.project, case=file.case)}" target="_self">{file.case}</a>'
        cells = [
            f'<td class="rr-file">{escape(file.path)}</td>',
            f'<td><span class="rr-chip {file.status}">{STATUS_WORDS[file.status]}</span></td>',
            f"<td>{case if file.case else ''}</td>",
            *([f"<td>{file.series or ''}</td>"] if with_series else []),
            f"<td>{escape(file.reason)}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = "".join(f"<th>{title}</th>" for title in titles)
    table = f'<table class="rr-numbers"><tr>{head}</tr>{"".join(rows)}</table>'
    return f'<div class="rr-report" tabindex="0" role="region" aria-label="Files">{table}</div>'


def _draw_long(job: Job, table: pd.DataFrame, *, with_series: bool) -> None:
    st.dataframe(
        table,
        hide_index=True,
        height=400,
        key=f"report_table_{job.id}",
        column_config={
            "case": st.column_config.LinkColumn("case", display_text=r"case=(\d+)", width="small"),
            "file": st.column_config.TextColumn("file", width="medium"),
            "what": st.column_config.TextColumn("what", width="small"),
            "reason": st.column_config.TextColumn("reason", width="large"),
            "series": st.column_config.TextColumn("series", width="small") if with_series else None,
        },
    )


def _table(job: Job, shown: Sequence[ImportedFile]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "file": [file.path for file in shown],
            "what": [STATUS_WORDS[file.status] for file in shown],
            "case": [
                places.address("case", project=job.project, case=file.case) if file.case else "" for file in shown
            ],
            "series": [str(file.series or "") for file in shown],
            "reason": [file.reason for file in shown],
        }
    )


def say_result(job: Job) -> str:
    """The counts of an import that is done, else its state."""
    if job.state != "done":
        return jobs_panel.STATE_WORDS[job.state]
    result = job.result or {}
    words = {"imported": "imported", "skipped": "skipped", "failed": "refused"}
    said = [f"{result.get(key, 0):,} {word}" for key, word in words.items()]
    said += [f"{result[key]:,} {word}" for key, word in (("held", "held"), ("waiting", "waiting")) if result.get(key)]
    drawn = [(kind, result[kind]) for kind in ("masks", "boxes") if kind in result]
    said += [f"{its['added']:,} {kind}" for kind, its in drawn]
    said += [f"{wording.count(its['failed'], f'file of {kind}', f'files of {kind}')} refused"
             for kind, its in drawn if its.get("failed")]  # fmt: skip
    return ", ".join(said)
