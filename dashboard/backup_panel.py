"""Backups on screen: the last good one, where they go, when the next is due, and one made now."""

from datetime import UTC, datetime

import streamlit as st

from core.clock import utc_text
from core.errors import Conflict
from core.jobs.nightly import KIND, next_backup_at
from core.jobs.records import add_job, list_jobs
from core.store.backups import Backup, last_good_backup, list_backups
from dashboard import jobs_panel, messages, session, wording


def draw_backup_panel() -> None:
    """For administrators; draws nothing for anybody else."""
    if not session.may("administer"):
        return
    settings, connection = session.settings(), session.db()
    last_good, newest = last_good_backup(connection), list_backups(connection, limit=1)
    st.subheader("Backups", anchor=False)
    with st.container(border=True, key="backups"):
        facts = st.columns(3)
        facts[0].markdown(f"**Last good backup**  \n{_last_words(last_good)}")
        facts[1].markdown(f"**Folder**  \n{settings.backup_folder or 'none'}")
        facts[2].markdown(f"**Next one**  \n{_next_words(last_good)}")
        if newest and newest[0].error:
            st.warning(f"{wording.moment(newest[0].finished_at)}: {newest[0].error}", icon=":material/warning:")
        running = list_jobs(connection, states=jobs_panel.ACTIVE, kinds=(KIND,))
        if not settings.backup_folder:
            st.markdown(
                "Set `backup_folder` in `settings.toml` of the home, and start Readroom again; then each night makes a "
                "backup. By hand: `readroom backup FOLDER`."
            )
        else:
            st.button(
                "Back up now",
                icon=":material/backup:",
                key="backup_now",
                on_click=_back_up_now,
                disabled=bool(running),
                help="Copies what is new, while everybody goes on working.",
            )
        for job in running:
            jobs_panel.watch_job(job)


def _last_words(last_good: Backup | None) -> str:
    if last_good is None:
        return "none yet"
    return f"{wording.moment(last_good.finished_at)}, {wording.count(last_good.files, 'file')}"


def _next_words(last_good: Backup | None) -> str:
    settings, now = session.settings(), datetime.now(UTC)
    if not settings.backup_folder:
        return "never"
    due = next_backup_at(last_good, now, settings.backup_hour)
    return "as soon as the worker runs" if due <= now else wording.moment(utc_text(due))


def _back_up_now() -> None:
    with messages.refusals_told():
        if list_jobs(session.db(), states=jobs_panel.ACTIVE, kinds=(KIND,)):
            raise Conflict("A backup is being made already; wait until it has ended. Received: Back up now")
        add_job(session.db(), KIND, {}, actor=session.actor())
        messages.say("The backup waits for the worker.")
