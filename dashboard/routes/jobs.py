"""How a job stands, for whoever waits for it in the browser."""

import sqlite3
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.jobs.kinds import SEEING_A_JOB
from core.jobs.records import Job, get_job
from core.jobs.worker import utc_clock, worker_silent_seconds
from core.people.accounts import User
from core.people.roles import demand
from core.settings import Settings
from dashboard.database import ask
from dashboard.routes.answers import row_id


def routes(settings: Settings) -> list[BaseRoute]:
    async def show_job(request: Request) -> JSONResponse:
        job = await ask(settings, find_seen, row_id(request, "job"), request.user)
        return JSONResponse(describe_job(settings, job), headers={"Cache-Control": "no-store"})

    return [Route("/api/v1/jobs/{job:int}", show_job, methods=["GET"])]


def find_seen(connection: sqlite3.Connection, job_id: int, user: User) -> Job:
    """A job, for who may know what models say in its project; one without a project is for administrators.

    Raises:
        NotFound: there is no such job.
        NotAllowed: the user may not see it.
    """
    job = get_job(connection, job_id)
    demand(connection, user, SEEING_A_JOB, job.project)
    return job


def describe_job(settings: Settings, job: Job) -> dict[str, Any]:
    """What one may know of a job without reading its log; never a traceback, which may hold a patient's data.

    `silent_seconds` is how long ago the worker, or the process that does this job, was last heard; None where neither
    is there to be heard. Whoever waits need not guess from the clock whether a slow job still runs.
    """
    return {
        "job": job.id,
        "kind": job.kind,
        "state": job.state,
        "fraction": job.fraction,
        "note": job.note,
        "result": job.result,
        "error": job.error,
        "remedy": job.remedy,
        "silent_seconds": _silent_seconds(settings, job),
    }


def _silent_seconds(settings: Settings, job: Job) -> float | None:
    heard = [worker_silent_seconds(settings)]
    if job.state == "running" and job.heartbeat_at:  # it lives on while its worker is started anew
        heard.append(max(0.0, (utc_clock() - datetime.fromisoformat(job.heartbeat_at)).total_seconds()))
    return min((seconds for seconds in heard if seconds is not None), default=None)
