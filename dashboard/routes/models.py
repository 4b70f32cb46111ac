"""A model's files to take away."""

import re
import sqlite3
from typing import Literal

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import NotFound
from core.jobs.exporting import why_no_onnx
from core.people.accounts import User
from core.people.roles import demand
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.files import Files
from core.training.records import Model, get_model
from dashboard.database import ask
from dashboard.routes.answers import actor_of, row_id

LONGEST_RANGE = 100


def routes(settings: Settings) -> list[BaseRoute]:
    files = Files(settings.home)

    def download(form: Literal["keras", "onnx"]) -> Route:
        async def send(request: Request) -> Response:
            model = await ask(settings, find_exportable, row_id(request, "model"), request.user)
            stored = await ask(settings, find_stored, model, form)
            content = await to_thread.run_sync(files.check, "models", stored)
            part = request.headers.get("range", "")[:LONGEST_RANGE]
            await ask(settings, note_download, model, form, part, actor_of(request))
            # The content is compressed already where it can be; 350 MB are not squeezed again at every download.
            headers = {"Cache-Control": "private, no-cache", "Content-Encoding": "identity"}
            return FileResponse(
                content,
                filename=f"{_file_name(model.name)}.{form}",
                media_type="application/octet-stream",
                headers=headers,
            )

        return Route(f"/api/v1/models/{{model:int}}/model.{form}", send, methods=["GET"])

    return [download("keras"), download("onnx")]


def find_exportable(connection: sqlite3.Connection, model_id: int, user: User) -> Model:
    """A model, for who may carry it out of Readroom.

    Raises:
        NotFound: there is no such model.
        NotAllowed: the user may not export from its project.
    """
    model = get_model(connection, None, model_id)
    demand(connection, user, "export", model.project)
    return model


def note_download(connection: sqlite3.Connection, model: Model, form: str, part: str, actor: Actor) -> None:
    """Who took a model along, and to where; of a download in parts each is told, since any one may be all of it."""
    ranged = {"range": part} if part else {}
    add_audit(connection, actor, "export model", f"model {model.id}", project=model.project, format=form, **ranged)


def find_stored(connection: sqlite3.Connection, model: Model, form: Literal["keras", "onnx"]) -> str:
    """The hash of the file that was asked for.

    Raises:
        NotFound: there is none, and why.
    """
    if model.facts.get("members"):
        raise NotFound("file of model", f"{model.name}: {model.onnx_left_out_because}")
    if form == "keras":
        return model.keras_hash
    if model.onnx_hash is None:
        raise NotFound("ONNX file of model", f"{model.name}: {why_no_onnx(connection, model)}")
    return model.onnx_hash


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "model"
