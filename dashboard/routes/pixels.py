"""Pixels, thumbnails and explanation maps by the hash of their content; what never changes is cached for ever."""

import sqlite3

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from core.errors import NotFound
from core.images.records import Case, find_same_pixels
from core.images.thumbnails import make_thumbnail
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
        if is_known(request, f'"{pixel_hash}"'):
            return not_modified(pixel_hash)
        return unchanging(await ask(settings, read_pixels, files, pixel_hash), pixel_hash, NUMBERS)

    async def show_thumbnail(request: Request) -> Response:
        pixel_hash = request.path_params["hash"]
        if is_known(request, f'"{pixel_hash}"'):
            return not_modified(pixel_hash)
        return unchanging(await ask(settings, read_thumbnail, files, pixel_hash), pixel_hash, "image/webp")

    async def show_explanation(request: Request) -> Response:
        key = request.path_params["hash"]
        if is_known(request, f'"{key}"'):
            return not_modified(key)
        return unchanging(await ask(settings, read_explanation, files, key), key, NUMBERS)

    return [
        Route("/api/v1/pixels/{hash}.npy", show_pixels, methods=["GET"]),
        Route("/api/v1/thumbnails/{hash}.webp", show_thumbnail, methods=["GET"]),
        Route("/api/v1/explanations/{hash}.npy", show_explanation, methods=["GET"]),
    ]


def read_pixels(connection: sqlite3.Connection, files: Files, pixel_hash: str) -> bytes:
    """The `.npy` bytes of a case's pixels, checked against their hash.

    Raises:
        NotFound: no case has these pixels.
        CoreError: the file was altered on disk.
    """
    _case_of(connection, pixel_hash)
    return files.read_bytes("pixels", pixel_hash)


def read_thumbnail(connection: sqlite3.Connection, files: Files, pixel_hash: str) -> bytes:
    """The WebP of a case's pixels; made now where the import left none."""
    case = _case_of(connection, pixel_hash)
    if not files.has("thumbnails", pixel_hash):
        pixels = files.read_array("pixels", pixel_hash)
        files.put_under("thumbnails", pixel_hash, make_thumbnail(pixels, case.photometric, case.windows))
    return files.path("thumbnails", pixel_hash).read_bytes()


def read_explanation(connection: sqlite3.Connection, files: Files, key: str) -> bytes:
    """The `.npy` bytes of a map. It goes by the hash of what it explains, so there is no sum to check.

    Raises:
        NotFound: it was never made.
    """
    if not files.has("explanations", key):
        raise NotFound("explanation", key)
    return files.path("explanations", key).read_bytes()


def _case_of(connection: sqlite3.Connection, pixel_hash: str) -> Case:
    for project in list_projects(connection):  # one look into an index each
        cases = find_same_pixels(connection, project.id, pixel_hash)
        if cases:
            return cases[0]
    raise NotFound("case with the pixels", pixel_hash)
