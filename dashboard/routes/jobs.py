"""How a job stands, for whoever waits for it in the browser."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.jobs.records import Job, get_job
from core.settings import Settings
from dashboard.database import ask
from dashboard.routes.answers import row_id


def routes(settings: Settings) -> list[BaseRoute]:
    async def show_job(request: Request) -> JSONResponse:
        job = await ask(settings, get_job, row_id(request, "job"))
        return JSONResponse(describe_job(job), headers={"Cache-Control": "no-store"})

    return [Route("/api/v1/jobs/{job:int}", show_job, methods=["GET"])]


def describe_job(job: Job) -> dict[str, Any]:
    """What one may know of a job without reading its log; never a traceback, which may hold a patient's data."""
    return {
        "job": job.id,
        "kind": job.kind,
        "state": job.state,
        "fraction": job.fraction,
        "note": job.note,
        "result": job.result,
        "error": job.error,
        "remedy": job.remedy,
    }
