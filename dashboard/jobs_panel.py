"""Background work on screen: a panel that refreshes itself and keeps its height.

Nothing on the page moves when a job reports; when the last watched job ends, the page is
drawn once more so that its results appear.
"""

from html import escape

import streamlit as st

from core.errors import NotFound
from core.jobs.kinds import KINDS, SEEING_A_JOB
from core.jobs.records import Job, State, get_job, list_jobs, request_stop, resume_job
from core.jobs.worker import worker_alive
from core.people.roles import may
from core.training.records import get_run
from dashboard import messages, places, session, wording

REFRESH_SECONDS = 1.0
ACTIVE: tuple[State, ...] = ("queued", "running")
JOBS_LOOKED_AT = 50
EVERY: tuple[State, ...] = (*ACTIVE, "done", "failed", "stopped")
STATE_WORDS = {
    "queued": "waiting",
    "running": "running",
    "done": "done",
    "failed": "failed",
    "stopped": "stopped",
}
KIND_WORDS = {name: kind.words for name, kind in KINDS.items()}
NO_WORKER = "Worker is not running: start it with {command}, or tell an administrator"


def warn_without_worker() -> None:
    """On pages that ask for background work: without the worker it would wait, and nothing would say why."""
    if not worker_alive(session.settings()):
        st.warning(f"{NO_WORKER.format(command='`readroom up`')}.", icon=":material/power_off:")


def watch_job(job: Job) -> None:
    """One job with its buttons; refreshes itself while the job is active."""
    if job.state in ACTIVE:
        _watched(job.id, job.project)
    else:
        draw_job(job)


def watch_active_jobs(project_id: int, kinds: tuple[str, ...]) -> None:
    """All active jobs of these kinds in a project; draws nothing where there is none."""
    jobs = list_jobs(session.db(), project=project_id, states=ACTIVE, kinds=kinds, seen_by=session.current_user())
    for job in jobs:
        _watched(job.id, project_id)


def find_last(project_id: int, kind: str, model_id: int) -> Job | None:
    """The newest job of a kind about a model, whatever else it was asked for with."""
    jobs = list_jobs(session.db(), project=project_id, kinds=(kind,), limit=JOBS_LOOKED_AT)
    return next((job for job in jobs if job.arguments.get("model") == model_id), None)


def draw_failed(job: Job | None, *, since: str | None = None) -> None:
    """The newest job of what a page asks for, where it failed: the page is drawn anew when a job ends, and would only
    say that there is nothing.

    Args:
        since: when what the page has to show was made; what failed before that is no news.
    """
    if job is not None and job.state == "failed" and (since is None or since < (job.finished_at or "")):
        draw_job(job)


def draw_job(job: Job) -> None:
    """State, bar, note; stop or resume; the error's sentence and remedy, what else there is one click away."""
    with st.container(border=True, key=f"job_{job.id}"):
        # in a row, not in columns: on Train a sixth of the card cut the word Resume
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(_job_html(job))
            if job.state in ACTIVE:
                st.button(
                    "Stop",
                    key=f"stop_{job.id}",
                    icon=":material/stop:",
                    on_click=_stop,
                    args=(job.id,),
                    disabled=job.stop_requested or not _may_steer(job),
                    help="Ends in good order; "
                    + ("the best weights so far become a model." if job.kind == "train" else "what is done is kept."),
                )
            elif job.can_resume and not job.would_repeat:
                _offer_resuming(job, "Resume")
            if job.state == "failed":
                _draw_further(job)
        if job.state == "failed":
            _draw_failure(job)


@st.fragment(run_every=REFRESH_SECONDS)
def _watched(job_id: int, project_id: int | None) -> None:
    session.need(SEEING_A_JOB, project_id)
    job = get_job(session.db(), job_id)
    if job.state not in ACTIVE:
        st.rerun()
    draw_job(job)


def _draw_failure(job: Job) -> None:
    with st.container(key=f"failure_{job.id}", gap="xsmall"):
        st.error(f"{job.error or 'The job failed without a reason.'}", icon=":material/error:")
        if job.why:
            st.markdown(f"**Why:** {job.why}")
        if job.remedy:
            st.markdown(f"**What to do:** {job.remedy}")


def _draw_further(job: Job) -> None:
    """One click away, so that the card stays low: the traceback, and resuming what would end in the same way."""
    if not job.traceback and not job.would_repeat:
        return
    with st.popover("More", key=f"further_{job.id}"):
        if job.would_repeat:
            st.caption("As it is, it would end in the same way; resume it only if something else was mended meanwhile.")
            _offer_resuming(job, "Resume all the same")
        if job.traceback:
            st.caption("For the developer: the traceback")
            st.code(job.traceback, language="text", height=320)


def _offer_resuming(job: Job, words: str) -> None:
    st.button(
        words,
        key=f"resume_{job.id}",
        icon=":material/play_arrow:",
        on_click=_resume,
        args=(job.id,),
        disabled=not _may_steer(job),
        help="Goes on where the work was left.",
    )


def _may_steer(job: Job) -> bool:
    """Stopping and resuming take what asking for the work took."""
    return all(may(session.db(), session.current_user(), action, job.project) for action in job.actions)


def _stop(job_id: int) -> None:
    with messages.refusals_told():
        request_stop(session.db(), job_id, session.actor())


def _resume(job_id: int) -> None:
    with messages.refusals_told():
        resume_job(session.db(), job_id, session.actor())


def _of_what(job: Job) -> str:
    """Which model a training makes, as HTML: a page may show a dozen that wait, all of them otherwise alike."""
    if job.kind != "train":
        return ""
    try:
        return f" of {escape(get_run(session.db(), job.arguments['run']).name)}"
    except NotFound:  # it was deleted with its project, and the list of jobs still has it
        return ""


def _job_html(job: Job) -> str:
    """Three lines of fixed height."""
    state = "stopping" if job.stop_requested and job.state in ACTIVE else STATE_WORDS[job.state]
    took = wording.duration(wording.seconds_between(job.started_at, job.finished_at))
    facts = [f"by {job.created_by}", wording.moment(job.created_at)]
    if job.started_at and job.state != "queued":  # one that waits to go on began long ago
        facts.append(f"{took} so far" if job.state == "running" else took)
    if job.device:
        facts.append(job.device)
    if job.attempt > 1:
        facts.append(f"attempt {job.attempt} of {job.attempts_allowed}")
    what = escape(KIND_WORDS.get(job.kind, job.kind)) + _of_what(job)
    percent = 100 if job.state == "done" else 100 * job.fraction
    number = f'<a href="{places.address("jobs", job=job.id)}" target="_self">job {job.id}</a>'
    return (
        f'<div class="rr-job"><header><span><b>{what}</b> · {number}</span>'
        f"<span>{state} · {percent:.0f} %</span></header>"
        f'<div class="rr-bar {job.state}"><i style="width:{percent:.1f}%"></i></div>'
        f"<p>{escape(job.note) or '&nbsp;'}</p><p class='rr-quiet'>{escape(' · '.join(facts))}</p></div>"
    )
