"""Files on their way in: from the browser straight to disk, piece by piece, whatever their size.

`POST /api/v1/uploads` opens a folder; `PUT /api/v1/uploads/{upload}?offset=N` appends a piece to the file in it that
the header `Readroom-Path` names (a script may add the path to the address instead); the import job reads the folder
and removes it. A piece that was cut off is sent again from the size that the server names (409); after a reload of the
page or a restart of this process `GET /api/v1/uploads/{upload}` says what is there, and sending goes on from that.
Nothing here looks into the files: that is the import's work.
"""

import json
import os
import re
import secrets
import shutil
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import InvalidInput, NotAllowed, NotFound
from core.jobs.abandoned import remove_abandoned_uploads
from core.jobs.undecided import uploads_folder
from core.people.accounts import User
from core.people.roles import may_somewhere
from core.settings import Settings
from core.store.files import write_whole
from core.store.troubles import find_remedy, troubles_named
from dashboard.database import ask
from dashboard.routes.answers import TooLarge

OWNER = "owner.json"  # beside the files, so that another process knows whose they are
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,64}")
LEFT_FREE_BYTES = 1 << 30  # of the disk, for what is made of the files
LONGEST_BODY = 1000
LONGEST_NAME_BYTES = 200
WRITE_BYTES = 1 << 20
PATH_HEADER = "readroom-path"


@dataclass
class Upload:
    """One folder that is being filled."""

    token: str
    owner: str
    folder: Path
    stored_bytes: int = 0
    names: set[str] = field(default_factory=set)
    under_way: set[Path] = field(default_factory=set)  # files of which a piece is just arriving


class Uploads:
    """The uploads that this process has opened, and those of a process before it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = uploads_folder(settings)
        self.open: dict[str, Upload] = {}

    def begin(self, user: User, size_bytes: int = 0) -> Upload:
        """A new folder.

        Args:
            size_bytes: of all that is going to be sent, where that is known.

        Raises:
            TooLarge: it is more than one upload may have, or than the disk has room for.
        """
        self.remove_abandoned()
        self._demand_room(size_bytes)
        token = secrets.token_urlsafe(24)
        upload = Upload(token, user.name, self.root / token / "files")
        with troubles_named("uploads"):
            upload.folder.mkdir(parents=True, mode=0o700)
            write_whole(upload.folder.parent / OWNER, json.dumps(user.name).encode())
        self.open[token] = upload
        return upload

    def _demand_room(self, size_bytes: int) -> None:
        if size_bytes > self.settings.max_upload_bytes:
            raise TooLarge(_too_much(self.settings))
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(self.root).free
        if size_bytes and size_bytes + LEFT_FREE_BYTES > free:
            raise TooLarge(
                f"The server's disk has no room for this; ask an administrator. "
                f"Received: {size_bytes >> 20} MB, free are {free >> 20} MB"
            )

    def get(self, token: str, user: User) -> Upload:
        upload = self.open.get(token) or self._found(token)
        if upload is None or not upload.folder.is_dir():
            raise NotFound("upload", token)
        if upload.owner != user.name:
            raise NotAllowed(f"This upload is somebody else's; begin one of your own. Received: {token}")
        return upload

    def _found(self, token: str) -> Upload | None:
        """An upload that a process before this one opened, with what is there of it."""
        folder = self.root / token
        try:
            owner = json.loads((folder / OWNER).read_text("utf-8")) if TOKEN.fullmatch(token) else None
        except (OSError, json.JSONDecodeError):
            owner = None
        if not isinstance(owner, str):
            return None
        upload = Upload(token, owner, folder / "files")
        sizes = self.list_sizes(upload)
        upload.stored_bytes = sum(sizes.values())
        upload.names = {str(upload.folder / path) for path in sizes}
        return self.open.setdefault(token, upload)

    def list_sizes(self, upload: Upload) -> dict[str, int]:
        """How much is there of each file, by its path."""
        return {
            path.relative_to(upload.folder).as_posix(): path.stat().st_size
            for path in upload.folder.rglob("*")
            if path.is_file()
        }

    def remove_abandoned(self) -> None:
        """Take away what nobody imported within two days. What an import still reads stays, and so does what came from
        a modality or a PACS and waits for somebody's word."""
        remove_abandoned_uploads(self.settings)

    def append(self, upload: Upload, target: Path, offset: int) -> IO[bytes]:
        """The file, open for a piece that goes on where the last one ended."""
        name = str(target)
        if name not in upload.names and len(upload.names) >= self.settings.max_unpacked_files:
            raise TooLarge(f"Send a zip, or fewer files. Received: more than {self.settings.max_unpacked_files} files")
        os.utime(upload.folder.parent)  # what is still being sent is not abandoned
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            stream = target.open("ab" if offset else "wb")
        except OSError as error:
            if find_remedy(error):
                raise  # the disk's fault and not the name's: `troubles_named` says it
            # A name that is a folder already, or that this disk cannot hold.
            raise InvalidInput(f"Rename this file. Received: {target.relative_to(upload.folder)}") from error
        upload.names.add(name)
        return stream

    def count(self, upload: Upload, size: int) -> None:
        upload.stored_bytes += size
        if upload.stored_bytes > self.settings.max_upload_bytes:
            raise TooLarge(_too_much(self.settings))


def _too_much(settings: Settings) -> str:
    return (
        f"Import this from a path on the server, or in parts. Received: more than {settings.max_upload_bytes >> 20} MB"
    )


def check_importer(connection: sqlite3.Connection, user: User) -> None:
    """Which project the files are for is said later, when they are imported.

    Raises:
        NotAllowed: the user may import into no project at all.
    """
    if not may_somewhere(connection, user, "import"):
        raise NotAllowed(f"To import you need another role; ask an administrator. Received: {user.name}")


def routes(settings: Settings) -> list[BaseRoute]:
    uploads = Uploads(settings)
    uploads.remove_abandoned()

    async def begin(request: Request) -> JSONResponse:
        await ask(settings, check_importer, request.user)
        upload = await to_thread.run_sync(uploads.begin, request.user, await _size_told(request))
        return JSONResponse({"upload": upload.token}, 201)

    async def show(request: Request) -> Response:
        upload = await to_thread.run_sync(uploads.get, request.path_params["upload"], request.user)
        return JSONResponse({"files": await to_thread.run_sync(uploads.list_sizes, upload)})

    async def put_piece(request: Request) -> Response:
        upload = await to_thread.run_sync(uploads.get, request.path_params["upload"], request.user)
        target = upload.folder / safe_path(_path(request))
        offset = _offset(request)
        size = target.stat().st_size if target.is_file() else 0
        if target in upload.under_way:  # sent again after a cut that this side has not noticed yet
            said = {"reason": "A piece of this file is arriving just now; ask again in a moment.", "size": size}
            return JSONResponse(said, 409, {"Retry-After": "1"})
        if offset > size or (0 < offset < size):
            return JSONResponse({"reason": "Go on from the size that is here.", "size": size}, 409)
        upload.stored_bytes -= size if offset == 0 else 0  # a file sent anew replaces the first
        upload.under_way.add(target)
        try:
            with troubles_named(target.relative_to(upload.folder)):
                await _store(request, uploads, upload, target, offset)
        finally:
            upload.under_way.discard(target)
        return JSONResponse({"size": target.stat().st_size})

    async def throw_away(request: Request) -> Response:
        upload = await to_thread.run_sync(uploads.get, request.path_params["upload"], request.user)
        del uploads.open[upload.token]
        await to_thread.run_sync(shutil.rmtree, upload.folder.parent)
        return Response(status_code=204)

    return [
        Route("/api/v1/uploads", begin, methods=["POST"]),
        Route("/api/v1/uploads/{upload}", show, methods=["GET"]),
        Route("/api/v1/uploads/{upload}", throw_away, methods=["DELETE"]),
        Route("/api/v1/uploads/{upload}", put_piece, methods=["PUT"]),
        Route("/api/v1/uploads/{upload}/{path:path}", put_piece, methods=["PUT"]),
    ]


async def _store(request: Request, uploads: Uploads, upload: Upload, target: Path, offset: int) -> None:
    """Write the body as it arrives, a megabyte at a time, never the whole of it in memory."""
    stream = await to_thread.run_sync(uploads.append, upload, target, offset)
    try:
        waiting = bytearray()
        async for chunk in request.stream():
            uploads.count(upload, len(chunk))
            waiting += chunk
            if len(waiting) >= WRITE_BYTES:
                await to_thread.run_sync(stream.write, bytes(waiting))
                waiting.clear()
        await to_thread.run_sync(stream.write, bytes(waiting))
    finally:
        await to_thread.run_sync(stream.close)


async def _size_told(request: Request) -> int:
    """What a browser says that it is going to send; scripts need not."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise InvalidInput(f'An upload begins with {{"bytes": N}} or nothing. Received: {len(body)} bytes')
    try:
        told = json.loads(body or b"{}").get("bytes", 0)
    except (AttributeError, ValueError):
        told = None
    if type(told) is not int or told < 0:
        raise InvalidInput(f'An upload begins with {{"bytes": N}} or nothing. Received: {body[:40]!r}')
    return told


def _path(request: Request) -> str:
    """The file's path: in a header from our own pages, since addresses are logged on the way and a path may name
    a patient; scripts may put it into the address."""
    return str(request.path_params.get("path") or unquote(request.headers.get(PATH_HEADER, "")))


def _offset(request: Request) -> int:
    text = request.query_params.get("offset", "0")
    if not text.isascii() or not text.isdigit():
        raise InvalidInput(f"offset is the number of bytes that were sent before. Received: {text[:40]}")
    return int(text)


def safe_path(given: str) -> PurePosixPath:
    """A path as the browser names it, kept inside the folder it goes to.

    Raises:
        InvalidInput: it leads out of the folder, or holds what no file name should.
    """
    parts = [part for part in given.replace("\\", "/").split("/") if part]
    for part in parts:
        unspeakable = part in (".", "..") or any(ord(sign) < 32 or ord(sign) == 127 for sign in part)
        if unspeakable or len(os.fsencode(part)) > LONGEST_NAME_BYTES or (len(part) > 1 and part[1] == ":"):
            raise InvalidInput(f"Rename this file. Received: {given[:120]!r}")
    if not parts or len(parts) > 32:
        raise InvalidInput(f"A file needs a name, in at most 31 folders. Received: {given[:120]!r}")
    return PurePosixPath(*parts)
