"""The web process: Streamlit's screens and our own routes behind one set of doors."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from core.errors import CoreError
from core.logs import take_over_loggers
from core.settings import Settings
from dashboard import session
from dashboard.limits import RateLimits
from dashboard.middleware import HttpsOnly, Identity, OurHosts, SameOrigin, Walls, cookie_name
from dashboard.prefix import UnderPrefix, lie_under
from dashboard.reach import LOOPBACK, WILDCARDS, Reach
from dashboard.request_log import RequestLog
from dashboard.routes import (
    account,
    cases,
    drafts,
    events,
    explanations,
    health,
    jobs,
    masks,
    models,
    pixels,
    sign_in,
    uploads,
)
from dashboard.routes.answers import answer_refusal

FOLDER = Path(__file__).resolve().parent
HERE = Reach()
FONT_PATH = "/assets/source-sans.woff2"
STREAMLIT_FONTS = Path(st.__file__).parent / "static" / "static" / "media"
log = logging.getLogger("readroom.web")


def make_app(settings: Settings, reach: Reach = HERE) -> st.App:
    """The ASGI application of a prepared home.

    The script's path is absolute and inside `dashboard/`: beside `pages/` Streamlit would serve
    the pages by itself, around the shell and its guards.
    """
    cookie = cookie_name(reach.port, reach.prefix)
    lie_under(reach.prefix)
    session.configure(settings, session.identify_by_cookie(cookie), cookie=cookie)
    return st.App(
        FOLDER / "app.py",
        routes=make_routes(settings, cookie, passwords=reach.from_elsewhere),
        middleware=make_middleware(
            settings, reach.host, cookie, frozenset(reach.names), https_only=reach.https_only, prefix=reach.prefix
        ),
        exception_handlers={CoreError: answer_refusal},
        on_script_error=_log_defect,
        lifespan=_lifespan,
    )


def make_routes(settings: Settings, cookie: str, *, passwords: bool = False) -> list[BaseRoute]:
    """Everything that is not a Streamlit page. With `passwords` nobody stays without one."""
    return [
        *health.routes(settings),
        *sign_in.routes(settings, cookie, passwords=passwords),
        *account.routes(settings, cookie),
        *events.routes(settings),
        *cases.routes(settings),
        *masks.routes(settings),
        *drafts.routes(settings),
        *pixels.routes(settings),
        *explanations.routes(settings),
        *jobs.routes(settings),
        *models.routes(settings),
        *uploads.routes(settings),
        Route("/api/{path:path}", _no_such_route, methods=["GET", "POST", "PUT", "PATCH", "DELETE"]),
        Route(FONT_PATH, _font, methods=["GET"]),
        Mount("/assets/viewer", _Bundle(directory=FOLDER / "viewer" / "build")),
        Mount("/assets", StaticFiles(directory=FOLDER / "assets")),
    ]


def make_middleware(
    settings: Settings, host: str, cookie: str, names: frozenset[str], *, https_only: bool = False, prefix: str = ""
) -> list[Middleware]:
    """From the outside in. `names` are further host names under which the server may be reached."""
    ours = LOOPBACK | names | ({host} - WILDCARDS)
    return [
        Middleware(RequestLog),
        Middleware(Walls),
        *([Middleware(UnderPrefix, prefix=prefix)] if prefix else []),
        Middleware(OurHosts, names=ours, any_address=host in WILDCARDS),
        *([Middleware(HttpsOnly)] if https_only else []),
        Middleware(SameOrigin),
        Middleware(Identity, settings=settings, cookie=cookie),
        Middleware(RateLimits, settings=settings),
    ]


async def _font(request: Request) -> Response:
    """Source Sans (OFL) for the plain pages, which are there before Streamlit is: the file that Streamlit brings."""
    found = sorted(STREAMLIT_FONTS.glob("SourceSansVF-Upright*.woff2"))
    if not found:  # another Streamlit: the pages fall back to a font of the system
        return JSONResponse({"reason": f"There is no {FONT_PATH}."}, 404)
    return FileResponse(found[0], media_type="font/woff2", headers={"Cache-Control": "public, max-age=86400"})


class _Bundle(StaticFiles):
    """The viewer's bundle, whose name holds the hash of its content."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


@asynccontextmanager
async def _lifespan(_: st.App) -> AsyncIterator[None]:
    take_over_loggers()
    # Streamlit turns the access log on when it starts; it would fill up with pixels, and name sign-in tokens.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    yield


async def _no_such_route(request: Request) -> Response:
    """Without this, Streamlit would answer an unknown address with its own start page."""
    return JSONResponse({"reason": f"There is no {request.method} {request.url.path}."}, 404)


def _log_defect(error: Exception) -> None:
    """The screen says only that something went wrong; the log says what."""
    log.error("A page broke", exc_info=error)
