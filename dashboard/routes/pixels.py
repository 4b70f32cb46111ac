"""Pixels, thumbnails and explanation maps by the hash of their content; what never changes is cached for ever.

A volume's frames are given out one by one (`?frame=12`), read from their place in its file.
"""

import sqlite3

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.errors import InvalidInput, NotFound
from core.images.frames import frame_bytes, read_picture
from core.images.pixel_checks import demand_released, may_see_held
from core.images.records import Case, find_same_pixels
from core.images.synthetic_mark import SYNTHETIC
from core.images.thumbnails import make_thumbnail
from core.jobs.records import find_explaining_job
from core.people.accounts import User
from core.people.roles import demand
from core.projects.records import list_projects
from core.settings import Settings
from core.store.checked import CheckedFiles
from core.store.files import Files
from dashboard.database import ask
from dashboard.routes.answers import is_known, not_modified, unchanging, unchanging_file

NUMBERS = "application/octet-stream"
LONGEST_NUMBER = 9  # digits


def routes(settings: Settings) -> list[BaseRoute]:
    files = Files(settings.home)
    checked = CheckedFiles(files)

    async def show_pixels(request: Request) -> Response:
        pixel_hash, frame = request.path_params["hash"], asked_frame(request)
        case = await ask(settings, find_seen, pixel_hash, request.user)
        name = pixel_hash if frame is None else f"{pixel_hash}-{frame}"
        if frame is not None and frame >= case.frames:
            raise NotFound("frame", frame)
        if is_known(request, f'"{name}"'):
            return not_modified(name)
        if case.frames == 1:
            return unchanging(await to_thread.run_sync(files.read_bytes, "pixels", pixel_hash), name, NUMBERS)
        path = await to_thread.run_sync(checked.path, "pixels", pixel_hash)
        if frame is None:
            return unchanging_file(path, name, NUMBERS)
        return unchanging(await to_thread.run_sync(frame_bytes, path, case.frames, frame), name, NUMBERS)

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


def asked_frame(request: Request) -> int | None:
    """The frame that the address asks for; None for all of them.

    Raises:
        InvalidInput: it is no number.
    """
    text = request.query_params.get("frame")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER):
        raise InvalidInput(f"frame is a number from 0. Received: {text[:40]}")
    return int(text)


def find_seen(connection: sqlite3.Connection, pixel_hash: str, user: User) -> Case:
    """A case with these pixels, in any project that the user may see.

    Raises:
        NotFound: no case has these pixels.
        NotAllowed: those that have them are in projects to which the user is a stranger, or wait for a check of
            their pixels.
    """
    waiting: Case | None = None
    projects = list_projects(connection)
    seen = {project.id for project in list_projects(connection, seen_by=user)}
    for project in sorted(projects, key=lambda project: project.id not in seen):  # one look into an index each
        cases = find_same_pixels(connection, project.id, pixel_hash)
        if cases:
            if waiting and project.id not in seen:
                break
            demand(connection, user, "see", project.id)
            free = [case for case in cases if not case.held or may_see_held(connection, user, project.id)]
            if free:
                return free[0]
            waiting = waiting or cases[0]
    if waiting:
        demand_released(connection, user, waiting)
    raise NotFound("case with the pixels", pixel_hash)


def read_thumbnail(files: Files, case: Case) -> bytes:
    """The WebP of a case's pixels; made now where the import left none."""
    if not files.has("thumbnails", case.pixel_hash):
        pixels = read_picture(files, case)
        said = SYNTHETIC if case.synthetic else ""
        made = make_thumbnail(pixels, case.photometric, case.windows, said=said)
        files.put_under("thumbnails", case.pixel_hash, made)
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
