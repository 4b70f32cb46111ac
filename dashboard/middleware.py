"""What every request passes through, screens and routes and the websocket alike.

From the outside in: the host must be ours, what changes something must come from our own pages,
somebody must be signed in; and every answer carries the headers that keep a browser inside these walls.
"""

import base64
import hashlib
import re
import sqlite3
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import quote, urlsplit

import streamlit
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Unavailable
from core.people.accounts import User
from core.people.sessions import find_session, touch_session
from core.settings import Settings
from dashboard.database import ask
from dashboard.prefix import at, path_of
from dashboard.reach import LOOPBACK

PUBLIC = frozenset({"/healthz", "/sign-in", "/favicon.ico", "/_stcore/health"})
PUBLIC_FOLDER = "/assets/"  # our own styles and scripts: nothing about any patient
STREAMLIT_FOLDER = "/_stcore/"
HEALTH = frozenset({"/healthz"})
HOST_ONLY, TLS_ONLY = "__Host-", "__Secure-"
TLS_SCHEMES = frozenset({"https", "wss"})
TLS_FOR_SECONDS = 365 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie_name(port: int, prefix: str = "") -> str:
    """Cookies do not tell ports apart, so two Readrooms on one machine would sign each other out.

    Nor does a server see which path a cookie was set for, where one Readroom lies below another.
    """
    return f"readroom_{port}{prefix.replace('/', '_')}"


def cookie_of(request: HTTPConnection, cookie: str) -> str:
    """What the session's cookie is called on the way that a request came.

    Inside TLS its name begins with `__Host-`: such a cookie a browser takes only from this very host, by TLS, so that
    neither a page in clear nor a neighbouring name can slip us one of theirs.
    """
    return cookie_in_tls(cookie) if request.url.scheme in TLS_SCHEMES else cookie


def cookie_in_tls(cookie: str) -> str:
    """`__Host-` goes to every path of the host; below a prefix the neighbours' servers are not to have the session."""
    return f"{TLS_ONLY if at('') else HOST_ONLY}{cookie}"


async def refuse(scope: Scope, receive: Receive, send: Send, response: Response) -> None:
    """Answer with `response`; a websocket is closed before it opens, which the browser sees as 403."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await response(scope, receive, send)


class OurHosts:
    """Only names under which this server is meant to be reached; else a foreign site could point its name at us.

    Where the server listens on every address, any literal address is fine too: rebinding needs a name.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], any_address: bool) -> None:
        self.app, self.names, self.any_address = app, names, any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._is_ours(Headers(scope=scope).get("host", "")):
            await self.app(scope, receive, send)
        else:
            await refuse(scope, receive, send, PlainTextResponse("This host name is not served here.", 400))

    def _is_ours(self, host: str) -> bool:
        try:
            name = _host_name(host)
        except ValueError:
            return False
        return name in self.names or (self.any_address and _is_address(name))


def _host_name(host: str) -> str:
    """The name in a `Host` header, without the port; a ValueError where there is none."""
    return (urlsplit(f"//{host}").hostname or "").rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class HttpsOnly:
    """What comes from another machine must have come inside TLS, ours or that of a proxy in front.

    Without this, whoever finds the port behind the proxy would send a password in clear; and a proxy that
    does not say how it was reached would get cookies that are not kept to TLS.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._is_safe(scope):
            await self.app(scope, receive, send)
        else:
            said = "Readroom is reached by https:// only. (A proxy in front must send X-Forwarded-Proto.)"
            await refuse(scope, receive, send, PlainTextResponse(said, 403))

    def _is_safe(self, scope: Scope) -> bool:
        # A proxy on this machine that forwards no address looks like this machine, save for the name it was asked for.
        client = scope.get("client")
        named = _host_name(Headers(scope=scope).get("host", ""))  # OurHosts has read it already
        here = client is not None and client[0] in LOOPBACK and named in LOOPBACK
        return here or scope["scheme"] in TLS_SCHEMES or path_of(scope) in HEALTH


class SameOrigin:
    """A request that changes something, and every websocket, must come from a page of ours.

    Browsers say where a request comes from (`Origin`, `Sec-Fetch-Site`) and no page can forge it;
    a script outside a browser says nothing, and has no cookie to abuse.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["type"] == "websocket" or (scope["type"] == "http" and scope["method"] not in SAFE_METHODS)
        if not changes or self._is_same(Headers(scope=scope)):
            await self.app(scope, receive, send)
        else:
            await refuse(scope, receive, send, JSONResponse({"reason": "This request came from another site."}, 403))

    def _is_same(self, headers: Headers) -> bool:
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == headers.get("host")


class Identity:
    """Finds who is signed in, for routes as `request.user`; lets nobody else beyond the public pages."""

    def __init__(self, app: ASGIApp, settings: Settings, cookie: str) -> None:
        self.app, self.settings, self.cookie = app, settings, cookie

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        request, path = HTTPConnection(scope), path_of(scope)
        session_id = request.cookies.get(cookie_of(request, self.cookie))
        try:
            scope["user"] = await ask(self.settings, self._find, session_id, path) if session_id else None
        except Unavailable as error:  # no verdict on the session: nobody is signed out by a disk
            await refuse(scope, receive, send, JSONResponse({"reason": str(error)}, 503))
            return
        public = scope["type"] == "http" and (path in PUBLIC or path.startswith(PUBLIC_FOLDER))
        if scope["user"] or public:
            await self.app(scope, receive, send)
        else:
            await refuse(scope, receive, send, self._sign_in_first(scope, path))

    def _find(self, connection: sqlite3.Connection, session_id: str, path: str) -> User | None:
        user = find_session(connection, session_id, idle_minutes=self.settings.session_idle_minutes)
        # Streamlit's own traffic goes on by itself while a page is open; ours is asked for by somebody.
        if user and not path.startswith(STREAMLIT_FOLDER):
            touch_session(connection, session_id)
        return user

    def _sign_in_first(self, scope: Scope, path: str) -> Response:
        wants_page = "text/html" in Headers(scope=scope).get("accept", "") and not path.startswith("/api/")
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and wants_page:
            query = scope["query_string"].decode("latin-1")
            back = quote(at(path) + (f"?{query}" if query else ""), safe="")
            return RedirectResponse(at(f"/sign-in?next={back}"), 303)
        return JSONResponse({"reason": "Sign in first."}, 401)


class Walls:
    """The headers of every answer: nothing is loaded from elsewhere, nobody frames us, nothing is guessed."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.scripts = " ".join(f"'sha256-{digest}'" for digest in _inline_script_hashes())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        policy = self._policy(Headers(scope=scope).get("host", ""))
        by_tls = scope["scheme"] in TLS_SCHEMES

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy
                headers["x-content-type-options"] = "nosniff"
                headers["x-frame-options"] = "DENY"
                headers["referrer-policy"] = "same-origin"
                headers["cross-origin-opener-policy"] = "same-origin"
                headers["cross-origin-resource-policy"] = "same-origin"
                headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
                if by_tls:  # and never otherwise from now on, whatever somebody types
                    headers["strict-transport-security"] = f"max-age={TLS_FOR_SECONDS}"
                    message["headers"] = [_kept_to_tls(*header) for header in message["headers"]]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _policy(self, host: str) -> str:
        # Streamlit loads a component's module from a blob and writes its styles into the page.
        # The websocket is named because some browsers do not count it as 'self'.
        socket = f" ws://{host} wss://{host}" if re.fullmatch(r"[\w.:\[\]-]+", host) else ""
        return (
            "default-src 'self'; "
            f"script-src 'self' blob: 'wasm-unsafe-eval' {self.scripts}; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
            f"connect-src 'self'{socket}; worker-src 'self' blob:; object-src 'none'; "
            "base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
        )


def _kept_to_tls(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header; where it sets a cookie, Streamlit's too, the browser sends that cookie inside TLS alone."""
    if name.lower() != b"set-cookie" or b"secure" in [part.strip().lower() for part in value.split(b";")]:
        return name, value
    return name, value + b"; Secure"


def _inline_script_hashes() -> list[str]:
    """Of the scripts in Streamlit's own page, which a policy without 'unsafe-inline' must name."""
    page = (Path(streamlit.__file__).parent / "static" / "index.html").read_text("utf-8")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
