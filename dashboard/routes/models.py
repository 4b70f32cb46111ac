"""A model's files to take away."""

import re
from typing import Literal

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import NotFound
from core.settings import Settings
from core.store.files import Files
from core.training.records import Model, get_model
from dashboard.database import ask
from dashboard.routes.answers import row_id


def routes(settings: Settings) -> list[BaseRoute]:
    files = Files(settings.home)

    def download(form: Literal["keras", "onnx"]) -> Route:
        async def send(request: Request) -> Response:
            model = await ask(settings, get_model, None, row_id(request, "model"))
            # The content is compressed already where it can be; 350 MB are not squeezed again at every download.
            headers = {"Cache-Control": "private, no-cache", "Content-Encoding": "identity"}
            return FileResponse(
                files.path("models", _hash_of(model, form)),
                filename=f"{_file_name(model.name)}.{form}",
                media_type="application/octet-stream",
                headers=headers,
            )

        return Route(f"/api/v1/models/{{model:int}}/model.{form}", send, methods=["GET"])

    return [download("keras"), download("onnx")]


def _hash_of(model: Model, form: Literal["keras", "onnx"]) -> str:
    if form == "keras":
        return model.keras_hash
    if model.onnx_hash is None:
        raise NotFound("ONNX file of model", f"{model.name}: {model.onnx_left_out_because or 'it is still being made'}")
    return model.onnx_hash


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("._") or "model"
