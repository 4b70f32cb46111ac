"""One line in the log for each request, by the route it took and not by its address."""

import logging
import secrets
import time

from starlette.datastructures import MutableHeaders
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.logs import request_id

log = logging.getLogger("readroom.web.requests")
ASSETS = "/assets"
ANSWERED_BY_STREAMLIT = "(a page, or what belongs to one)"
AT_THE_DOOR = "(refused at the door)"
MANY = (ASSETS, "/api/v1/pixels", "/api/v1/thumbnails")  # a grid of cases asks for a hundred at once
REFUSED, BROKEN = 400, 500


class RequestLog:
    """Outermost of all doors, so that what the others refuse is written too.

    The id of a request stands in its lines and in the answer (`X-Request-ID`), so that somebody who
    saw an error can say which one it was.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), BROKEN
        named = secrets.token_hex(6)
        kept = request_id.set(named)

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["x-request-id"] = named
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        finally:
            route = route_of(scope)
            told = {"method": scope["method"], "route": route, "status": status}
            told["ms"] = round(1000 * (time.perf_counter() - begun), 1)
            quiet = status < REFUSED and (route.startswith(MANY) or route in ("/healthz", ANSWERED_BY_STREAMLIT))
            level = logging.ERROR if status >= BROKEN else logging.DEBUG if quiet else logging.INFO
            log.log(level, "request", extra=told)
            request_id.reset(kept)


def route_of(scope: Scope) -> str:
    """`/api/v1/cases/{case:int}`: the template, without what was filled in."""
    route = scope.get("route")
    if route is None:
        return AT_THE_DOOR
    path = str(getattr(route, "path", "") or "")
    if isinstance(route, Mount):
        return path if path in (ASSETS, f"{ASSETS}/viewer") else ANSWERED_BY_STREAMLIT
    return path if path and not path.startswith("/{") else ANSWERED_BY_STREAMLIT
