"""Commands about the running service: start it, look at its jobs, ask what works."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from core.cli.door import LARGEST, Door, HomeOption, JsonOption, answer, become, entered, tell
from core.errors import InvalidInput, NotAllowed
from core.jobs.records import Job, get_job, list_jobs, request_stop
from core.jobs.records import resume_job as queue_again
from core.jobs.waiting import read_log
from core.people.accounts import ensure_user, find_user, get_user, operating_system_user
from core.people.invitations import invite_user, reset_user
from core.people.sessions import issue_token
from core.projects.records import Project
from core.settings import Settings, load_settings
from core.store.audit import Actor, add_audit
from core.store.database import writing

JobArgument = Annotated[int, typer.Argument(help="The job's number.", min=1, max=LARGEST)]


def up(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: int = 8501,
    allowed_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A host name browsers may use; repeatable.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate and its chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(metavar="FILE", help="The certificate's key, PEM.")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let others come without TLS.")] = False,
    proxy: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="A reverse proxy in front that has TLS; repeatable.")
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="PATH", help="The path below which the proxy shows Readroom, as /readroom.")
    ] = "",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    home: HomeOption = None,
) -> None:
    """Start the web process and the worker; an empty home gets the demo project.

    Where others can reach it, people sign in by password, and TLS is needed: docs/deploy.
    """
    options = ["--host", host, "--port", str(port), "--home", str(load_settings(home).home)]
    options += [word for name in allowed_host or () for word in ("--allowed-host", name)]
    options += [word for address in proxy or () for word in ("--proxy", address)]
    options += ["--prefix", prefix] if prefix else []
    for option, file in (("--tls-cert", tls_cert), ("--tls-key", tls_key)):
        options += [option, str(file.absolute())] if file else []  # the service runs in another folder
    options += [option for option, given in (("--insecure", insecure), ("--no-browser", no_browser)) if given]
    become("dashboard.up", options)


def worker(home: HomeOption = None) -> None:
    """Run the worker alone."""
    become("core.jobs.worker", ["--home", str(load_settings(home).home)])


def link(
    user: Annotated[
        str | None, typer.Option(help="For whom; a new name is an administrator's [default: yours].")
    ] = None,
    new_password: Annotated[
        bool, typer.Option("--new-password", help="The old password counts no more; the link asks for a new one.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Instead of the running server's.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of the running server's.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print a new one-time sign-in address of the running Readroom."""
    with entered(home) as door:
        name = user
        if name is None:
            name = ensure_user(door.connection, operating_system_user(), role="admin").name
        with writing(door.connection):
            token = _token_for(door, name, new_password=new_password)
            found = get_user(door.connection, name.strip())
            add_audit(door.connection, door.actor, "issue link", f"user {found.id}", user=found.name)
        address = f"{server_url(door.settings, host, port)}/sign-in?token={token}"
    answer({"url": address}, address, as_json=as_json)


def _token_for(door: Door, name: str, *, new_password: bool) -> str:
    found = find_user(door.connection, name)
    if found is None or found.kind == "imported":
        return invite_user(door.connection, name, actor=door.actor, role="admin")
    if not found.active or found.kind != "person":
        raise NotAllowed(f"A link signs in people whose account is active. Received: {name}")
    if new_password:
        return reset_user(door.connection, name, actor=door.actor)
    return issue_token(door.connection, found)


def server_url(settings: Settings, host: str | None = None, port: int | None = None) -> str:
    """Where the running server says that it is reached (`up.json`), save for what is asked for."""
    word = settings.home / "up.json"
    running = urlsplit(json.loads(word.read_text("utf-8"))["url"] if word.exists() else "http://127.0.0.1:8501")
    if host is None and port is None:
        return running.geturl()
    name, number = host or str(running.hostname), port or running.port
    bracketed = f"[{name}]" if ":" in name else name
    return f"{running.scheme}://{bracketed}{f':{number}' if number else ''}{running.path}"


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
