"""Whole masks: what a reader has painted of a structure on a case, out and in."""

import base64
import io
import sqlite3
from typing import Any

import numpy as np
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import InvalidInput, NotAllowed, NotFound
from core.evaluation.painted_drafts import find_offered, is_model, note_look, read_offered
from core.images.pixel_checks import demand_released
from core.images.records import Case, get_case
from core.labels.incoming import demand_speaking
from core.labels.masks import MaskEdit, StoredMask, decode_mask, put_mask, read_mask
from core.labels.records import new_event
from core.labels.sight import may_see_others, sight_of
from core.people.accounts import User
from core.people.roles import demand
from core.projects.changes import present_names
from core.projects.records import Project, get_project
from core.projects.schema import Segmentation
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files, array_bytes
from dashboard.database import ask
from dashboard.routes.answers import actor_of, is_known, read_body, row_id

NUMBERS = "application/octet-stream"
LEAST_LIMIT = 32 << 20  # bytes: below, an array of another size is told how large it should be
HEADER_BYTES = 4096  # of a .npy file
PATH = "/api/v1/cases/{case:int}/masks/{structure}"


def routes(settings: Settings) -> list[BaseRoute]:
    files = Files(settings.home)

    async def show_mask(request: Request) -> Response:
        """The frames as run-length code; as `.npy` of all frames where that is asked for."""
        asked = (row_id(request, "case"), request.path_params["structure"], request.query_params.get("reader"))
        stored, case, reader, structure = await ask(settings, find_mask, files, *asked, request.user)
        as_array = wants_array(request)
        etag = f'"{stored.edit}{"-npy" if as_array else ""}"'
        headers = {"Cache-Control": "no-store", "ETag": etag}
        if is_known(request, etag):
            return Response(status_code=304, headers=headers)
        if as_array:
            content = await to_thread.run_sync(write_array, case, stored)
            return Response(content, media_type=NUMBERS, headers={**headers, "Content-Encoding": "identity"})
        return JSONResponse(describe_mask(case, structure, reader, stored), headers=headers)

    async def put_whole(request: Request) -> Response:
        """One edit of all frames; sent twice with the same `event`, it is one edit."""
        case = await ask(settings, get_paintable, row_id(request, "case"), request.user)
        limit = max(LEAST_LIMIT, case.frames * case.rows * case.columns + HEADER_BYTES)
        body = await read_body(request, limit)
        mask = await to_thread.run_sync(read_array, body)
        query = request.query_params
        asked = (request.path_params["structure"], query.get("reader"), query.get("event"))
        edit = await ask(settings, store_mask, case, mask, *asked, actor_of(request))
        told = {"event": edit.event, "edit": edit.id, "stored_at": edit.stored_at}
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    return [Route(PATH, show_mask, methods=["GET"]), Route(PATH, put_whole, methods=["PUT"])]


def wants_array(request: Request) -> bool:
    """Whether the answer is to be an array: by `?format=npy`, or by what the caller accepts."""
    asked = request.query_params.get("format")
    if asked not in (None, "npy", "json"):
        raise InvalidInput(f"The format of a mask is json or npy. Received: {asked[:40]}")
    return asked == "npy" or (asked is None and NUMBERS in request.headers.get("accept", ""))


def find_mask(
    connection: sqlite3.Connection, files: Files, case_id: int, structure: str, reader: str | None, user: User
) -> tuple[StoredMask, Case, str, str]:
    """What a reader or a model has painted, the user's own where none is named; with the structure by its present name.

    Raises:
        NotFound: there is no such case or structure.
        NotAllowed: the user is a stranger to the project, or is to answer first.
    """
    case = get_case(connection, case_id)
    demand(connection, user, "see", case.project)
    demand_released(connection, user, case)
    project = get_project(connection, case.project)
    name = present_names(connection, project).get(structure, structure)
    if not isinstance(project.schema, Segmentation) or name not in project.schema.names:
        raise NotFound("structure", structure[:120])
    painter = reader or user.name
    if is_model(connection, painter):
        offered = find_offered(connection, user, project, case, painter)
        if offered is None:
            raise NotFound("painting of a model to be seen now", painter[:120])
        note_look(connection, user, project, case, offered)
        return read_offered(files, case, offered.masks.get(name)), case, painter, name
    demand_sight(connection, user, project, case.id, reader)
    return read_mask(connection, case.id, painter, name), case, painter, name


def demand_sight(
    connection: sqlite3.Connection, user: User, project: Project, case_id: int, reader: str | None
) -> None:
    """Refuse a look at what another reader said, where readers answer first.

    Raises:
        NotAllowed: this one has not answered yet.
    """
    if reader in (None, user.name) or may_see_others(connection, sight_of(connection, user, project), case_id):
        return
    raise NotAllowed(
        f"In this project readers answer first; what others said appears after your own answer. Received: {reader}"
    )


def describe_mask(case: Case, structure: str, reader: str, stored: StoredMask) -> dict[str, Any]:
    """A mask as the viewer reads it; a frame that is not named is empty."""
    return {
        "structure": structure,
        "reader": reader,
        "frames": {str(frame): base64.b64encode(runs).decode() for frame, runs in stored.frames.items()},
        "rows": case.rows,
        "columns": case.columns,
        "frames_total": case.frames,
        "edit": stored.edit,
    }


def write_array(case: Case, stored: StoredMask) -> bytes:
    """The mask as the bytes of a `.npy` file."""
    return array_bytes(decode_mask(case, stored))


def get_paintable(connection: sqlite3.Connection, case_id: int, user: User) -> Case:
    """A case that the user may say something about; asked before a large body is taken in."""
    case = get_case(connection, case_id)
    demand(connection, user, "label", case.project)
    demand_released(connection, user, case)
    return case


def read_array(body: bytes) -> np.ndarray:
    """The array of a `.npy` file.

    Raises:
        InvalidInput: it is none, or not whole.
    """
    stream = io.BytesIO(body)
    try:
        array = np.lib.format.read_array(stream, allow_pickle=False, max_header_size=HEADER_BYTES)
    except (ValueError, EOFError, MemoryError, OverflowError, TypeError, SyntaxError) as error:
        raise InvalidInput(f"Send the mask as a .npy file of uint8. Received: {body[:20]!r}") from error
    if stream.read(1):
        raise InvalidInput("The .npy file of a mask ends with its array. Received: more")
    return np.asarray(array)


def store_mask(
    connection: sqlite3.Connection,
    case: Case,
    mask: np.ndarray,
    structure: str,
    reader: str | None,
    event: str | None,
    actor: Actor,
) -> MaskEdit:
    """Replace a whole mask in the name of whoever is signed in, or of a reader whose labels they may edit."""
    demand_speaking(connection, actor, reader or actor.name, case.project)
    return put_mask(connection, case, structure, mask, actor, event=event or new_event(), reader=reader)
