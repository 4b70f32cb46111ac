"""Commands about the running service: start it, look at its jobs, ask what works."""

import os
import sys
import time
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

from core.cli.door import HomeOption, JsonOption, answer, entered, tell
from core.doctor import examine, examine_gpu
from core.errors import InvalidInput
from core.jobs.records import Job, get_job, list_jobs, request_stop
from core.jobs.records import resume_job as queue_again
from core.jobs.waiting import read_log
from core.people.accounts import ensure_user, issue_token, operating_system_user
from core.projects.records import Project
from core.settings import PROJECT_ROOT, Settings, load_settings
from core.store.audit import Actor

JobArgument = Annotated[int, typer.Argument(help="The job's number.")]


def up(
    host: str = "127.0.0.1",
    port: int = 8501,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    home: HomeOption = None,
) -> None:
    """Start the web process and the worker; an empty home gets the demo project."""
    options = ["--host", host, "--port", str(port), "--home", str(load_settings(home).home)]
    if no_browser:
        options.append("--no-browser")
    _become("dashboard.up", options)


def worker(home: HomeOption = None) -> None:
    """Run the worker alone."""
    _become("core.jobs.worker", ["--home", str(load_settings(home).home)])


def _become(module: str, options: list[str]) -> NoReturn:
    """Turn this process into the service: this door never imports the screens, and every signal reaches them."""
    os.chdir(PROJECT_ROOT)
    os.execv(sys.executable, [sys.executable, "-m", module, *options])


def link(host: str = "127.0.0.1", port: int = 8501, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Print a new one-time sign-in address for a running Readroom."""
    with entered(home) as door:
        user = ensure_user(door.connection, operating_system_user(), role="admin")
        address = f"http://{host}:{port}/sign-in?token={issue_token(door.connection, user)}"
    answer({"url": address}, address, as_json=as_json)


def demo(
    dataset: Annotated[str, typer.Option(help="phantoms (made here) or pneumoniamnist (real).")] = "phantoms",
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create the demo project. Doing it twice changes nothing."""
    # Drawing phantoms needs libraries that no other command should wait for.
    from core.demo.pneumoniamnist import build_pneumoniamnist
    from core.demo.project import ensure_demo

    makers: dict[str, Callable[[Settings, Actor], Project]] = {
        "phantoms": ensure_demo,
        "pneumoniamnist": build_pneumoniamnist,
    }
    if dataset not in makers:
        raise InvalidInput(f"A demo data set is one of {', '.join(makers)}. Received: {dataset}")
    with entered(home) as door:
        project = makers[dataset](door.settings, door.actor)
    answer({"project": project.id, "name": project.name}, f"Project “{project.name}” is there.", as_json=as_json)


def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Train 20 steps on the device a run would get.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what works here, what does not, and how to mend it."""
    settings = load_settings(home)
    findings = examine(settings)
    if gpu:
        findings.append(examine_gpu())
    lines = [f"{'ok ' if finding.works else 'NO '} {finding.subject}: {finding.said}" for finding in findings]
    document = {
        "works": all(finding.works for finding in findings),
        "findings": [{"subject": f.subject, "works": f.works, "said": f.said} for f in findings],
    }
    answer(document, "\n".join(lines), as_json=as_json)


def jobs_or_list(context: typer.Context, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """See, stop and resume background work."""
    if context.invoked_subcommand is None:
        list_all_jobs(home, as_json)


def list_all_jobs(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List the newest jobs."""
    with entered(home) as door:
        jobs = list_jobs(door.connection)
    answer({"jobs": [_row(job) for job in jobs]}, "\n".join(map(_line, jobs)) or "No job yet.", as_json=as_json)


def show_job(job: JobArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show one job, with its error and remedy where it failed."""
    with entered(home) as door:
        found = get_job(door.connection, job)
    text = "\n".join(filter(None, [_line(found), found.error, found.remedy]))
    answer(_row(found), text, as_json=as_json)


def show_log(
    job: JobArgument,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the job ends.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a job wrote."""
    with entered(home) as door:
        found = get_job(door.connection, job)
        log = read_log(door.settings, job)
        if as_json or not follow:
            answer({"job": job, "log": log}, log, as_json=as_json)
            return
        typer.echo(log, nl=False)
        while found.state in ("queued", "running"):
            time.sleep(0.5)
            found, told, log = get_job(door.connection, job), len(log), read_log(door.settings, job)
            typer.echo(log[told:], nl=False)
        tell(_line(found))


def stop_job(job: JobArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Ask a job to stop; training keeps its best weights."""
    with entered(home) as door:
        request_stop(door.connection, job, door.actor)
        found = get_job(door.connection, job)
    answer(_row(found), f"Job {job} is asked to stop.", as_json=as_json)


def resume_job(job: JobArgument, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Put a failed or stopped job back into the queue; it goes on from its checkpoint."""
    with entered(home) as door:
        queue_again(door.connection, job, door.actor)
        found = get_job(door.connection, job)
    answer(_row(found), f"Job {job} is queued again.", as_json=as_json)


def _row(job: Job) -> dict[str, object]:
    return {
        "job": job.id,
        "kind": job.kind,
        "state": job.state,
        "fraction": job.fraction,
        "note": job.note,
        "error": job.error,
        "remedy": job.remedy,
        "created_at": job.created_at,
        "created_by": job.created_by,
    }


def _line(job: Job) -> str:
    return f"{job.id:>5}  {job.kind:<9} {job.state:<8} {job.fraction:>4.0%}  {job.note or job.error or ''}"
