"""How routes read what they are sent and answer what they know: JSON, bytes, refusals."""

import json
from pathlib import Path
from typing import Any

from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from core.errors import Conflict, CoreError, InvalidInput, NotAllowed, NotFound, Unavailable
from core.store.audit import Actor
from dashboard.routes.plain import address_of

STATUS: tuple[tuple[type[CoreError], int], ...] = (
    (NotFound, 404),
    (NotAllowed, 403),
    (Conflict, 409),
    (InvalidInput, 422),
    (Unavailable, 503),
)
PIECE_BYTES = 1 << 20  # of a file on its way; each costs a turn of a thread
FOR_EVER = "private, max-age=31536000, immutable"


class RowNumber(IntegerConvertor):
    """`{case:int}`: as many digits as a row's number has. Python refuses to read thousands, which would be a 500."""

    regex = "[0-9]{1,19}"


register_url_convertor("int", RowNumber())


class PlainJson(JSONResponse):
    """JSON in ASCII: half a letter that somebody sent goes back as it came, where UTF-8 could not carry it."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class TooLarge(CoreError):
    """More was sent than is taken."""


async def answer_refusal(request: Request, error: CoreError) -> JSONResponse:
    """A `CoreError` as `{"reason": ...}` with the status that fits; a fault of the server's own is 500."""
    if isinstance(error, TooLarge):
        return JSONResponse({"reason": str(error)}, 413)
    status = next((status for kind, status in STATUS if isinstance(error, kind)), 500)
    return PlainJson({"reason": str(error)}, status)


def actor_of(request: Request) -> Actor:
    """Whoever is signed in, as the author of an act."""
    return Actor(request.user.name, "screen", address_of(request))


async def read_body(request: Request, limit: int) -> bytes:
    """The body, as long as it stays within `limit` bytes.

    Raises:
        TooLarge: it does not.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"Send at most {limit} bytes at once. Received: more")
    return bytes(body)


async def read_json(request: Request, limit: int = 1 << 20) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        InvalidInput: it is not one.
    """
    body = await read_body(request, limit)
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"Send a JSON object. Received: {body[:80]!r}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"Send a JSON object. Received: {body[:80]!r}")
    return content


def row_id(request: Request, kind: str) -> int:
    """The number of a row from the path, where the path calls it by its kind.

    Raises:
        NotFound: SQLite cannot hold a number that large, so nothing goes by it.
    """
    number = int(request.path_params[kind])
    if number >= 1 << 63:
        raise NotFound(kind, number)
    return number


def is_known(request: Request, etag: str) -> bool:
    """Whether the browser holds this content already."""
    known = request.headers.get("if-none-match", "")
    return etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}


def unchanging(content: bytes, name: str, media_type: str) -> Response:
    """Bytes that never change under their address: cached for ever, and never squeezed again on the way.

    Compressing 8 MB of pixels at every request took 400 ms; a `Content-Encoding` of its own stops that.
    """
    return Response(content, media_type=media_type, headers=_unchanging(name))


def unchanging_file(path: Path, name: str, media_type: str) -> FileResponse:
    """The same for a file that is too large for memory."""
    answer = FileResponse(path, media_type=media_type, headers=_unchanging(name))
    answer.chunk_size = PIECE_BYTES
    return answer


def _unchanging(name: str) -> dict[str, str]:
    return {"Cache-Control": FOR_EVER, "ETag": f'"{name}"', "Content-Encoding": "identity"}


def not_modified(name: str) -> Response:
    """The browser's own copy is the right one."""
    return Response(status_code=304, headers={"Cache-Control": FOR_EVER, "ETag": f'"{name}"'})
