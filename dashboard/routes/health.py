"""Whether this server answers and its database opens; for monitors, without sign-in."""

from importlib.metadata import PackageNotFoundError, version

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from core.projects.records import list_projects
from core.settings import Settings
from dashboard.database import ask


def routes(settings: Settings) -> list[BaseRoute]:
    running = _version()

    async def healthz(request: Request) -> JSONResponse:
        await ask(settings, list_projects)
        return JSONResponse({"status": "ok", "version": running}, headers={"Cache-Control": "no-store"})

    return [Route("/healthz", healthz, methods=["GET"])]


def _version() -> str:
    try:
        return version("readroom")
    except PackageNotFoundError:  # a checkout that runs without being installed
        return "checkout"
