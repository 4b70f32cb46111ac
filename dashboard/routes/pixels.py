"""Pixels, thumbnails and explanation maps by the hash of their content; what never changes is cached for ever."""

import sqlite3

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.errors import NotFound
from core.images.records import Case, find_same_pixels
from core.images.thumbnails import make_thumbnail
from core.jobs.records import find_explaining_job
from core.people.accounts import User
from core.people.roles import demand
from core.projects.records import list_projects
from core.settings import Settings
from core.store.files import Files
from dashboard.database import ask
from dashboard.routes.answers import is_known, not_modified, unchanging

NUMBERS = "application/octet-stream"


def routes(settings: Settings) -> list[BaseRoute]:
    files = Files(settings.home)

    async def show_pixels(request: Request) -> Response:
        pixel_hash = request.path_params["hash"]
        case = await ask(settings, find_seen, pixel_hash, request.user)
        if is_known(request, f'"{pixel_hash}"'):
            return not_modified(pixel_hash)
        content = await to_thread.run_sync(files.read_bytes, "pixels", case.pixel_hash)
        return unchanging(content, pixel_hash, NUMBERS)

    async def show_thumbnail(request: Request) -> Response:
        pixel_hash = request.path_params["hash"]
        case = await ask(settings, find_seen, pixel_hash, request.user)
        if is_known(request, f'"{pixel_hash}"'):
            return not_modified(pixel_hash)
        return unchanging(await to_thread.run_sync(read_thumbnail, files, case), pixel_hash, "image/webp")

    async def show_explanation(request: Request) -> Response:
        key = request.path_params["hash"]
        content = await ask(settings, read_explanation, files, key, request.user)
        if is_known(request, f'"{key}"'):
            return not_modified(key)
        return unchanging(content, key, NUMBERS)

    return [
        Route("/api/v1/pixels/{hash}.npy", show_pixels, methods=["GET"]),
        Route("/api/v1/thumbnails/{hash}.webp", show_thumbnail, methods=["GET"]),
        Route("/api/v1/explanations/{hash}.npy", show_explanation, methods=["GET"]),
    ]


def find_seen(connection: sqlite3.Connection, pixel_hash: str, user: User) -> Case:
    """A case with these pixels, in any project that the user may see.

    Raises:
        NotFound: no case has these pixels.
        NotAllowed: those that have them are in projects to which the user is a stranger.
    """
    projects = list_projects(connection)
    seen = {project.id for project in list_projects(connection, seen_by=user)}
    for project in sorted(projects, key=lambda project: project.id not in seen):  # one look into an index each
        cases = find_same_pixels(connection, project.id, pixel_hash)
        if cases:
            demand(connection, user, "see", project.id)
            return cases[0]
    raise NotFound("case with the pixels", pixel_hash)


def read_thumbnail(files: Files, case: Case) -> bytes:
    """The WebP of a case's pixels; made now where the import left none."""
    if not files.has("thumbnails", case.pixel_hash):
        pixels = files.read_array("pixels", case.pixel_hash)
        files.put_under("thumbnails", case.pixel_hash, make_thumbnail(pixels, case.photometric, case.windows))
    return files.path("thumbnails", case.pixel_hash).read_bytes()


def read_explanation(connection: sqlite3.Connection, files: Files, key: str, user: User) -> bytes:
    """The `.npy` bytes of a map. It goes by the hash of what it explains, so there is no sum to check.

    Raises:
        NotFound: it was never made.
        NotAllowed: the user may not know what models say in its project.
    """
    job = find_explaining_job(connection, key)
    if job is not None:
        demand(connection, user, "open test results", job.project)
    if not files.has("explanations", key) or (job is None and user.role != "admin"):
        raise NotFound("explanation", key)
    return files.path("explanations", key).read_bytes()
