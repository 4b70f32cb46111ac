"""Where this Readroom lies on its host: at the root, or below a path that it shares out with others (`--prefix`).

The one place that knows. Whatever a browser is to ask for goes through `at`; whatever looks at the path of a
request looks at `path_of`. Addresses inside JSON stay without the prefix, as documented: whoever asks puts its own
base before them.
"""

from typing import cast

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Process:
    """What the door (`dashboard.server`, or a test) said when this process started."""

    prefix = ""


def lie_under(prefix: str) -> None:
    """Called once by the door: "" for the root of the host, else as `/readroom`."""
    _Process.prefix = prefix


def at(path: str) -> str:
    """What a browser asks for where we say `path`."""
    return f"{_Process.prefix}{path}"


def path_of(scope: Scope) -> str:
    """The path of a request, as our routes call it."""
    return cast(str, scope["path"]).removeprefix(scope.get("root_path", ""))


class UnderPrefix:
    """Everything below the prefix is ours, and nothing else; cookies go no further than that either.

    The proxy passes paths on as they are. ASGI calls the prefix `root_path`: Streamlit and Starlette heed it.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self.app, self.prefix = app, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
        elif scope["path"].startswith(f"{self.prefix}/"):
            scope["root_path"] = self.prefix
            await self.app(scope, receive, self._kept_below(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["path"] == self.prefix:
            await RedirectResponse(f"{self.prefix}/", 308)(scope, receive, send)
        else:
            said = f"Readroom lies under {self.prefix}/ here. (A proxy in front passes paths on as they are.)"
            await PlainTextResponse(said, 404)(scope, receive, send)

    def _kept_below(self, send: Send) -> Send:
        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                cookies = headers.getlist("set-cookie")
                del headers["set-cookie"]
                for cookie in cookies:  # Streamlit's too, or two applications of one host would take each other's
                    headers.append("set-cookie", self._below(cookie))
            await send(message)

        return send_on

    def _below(self, cookie: str) -> str:
        parts = [part.strip() for part in cookie.split(";")]
        return "; ".join(f"Path={self.prefix}" if part.lower() == "path=/" else part for part in parts)
