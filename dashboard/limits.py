"""How often one person or one address may ask for what is costly: signing in, and sending files.

The browser's uploader sends thousands of small requests in its own right, so pieces are not counted: how many
are under way at once is, and their bytes over half a minute. Streamlit's own uploader, for tables and snapshots, keeps
whole files in memory and asks nobody for a role: both is asked for and counted here. Who is refused is told when to
try again (429). Kept in memory: a restart forgives.
"""

import logging
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import Unavailable
from core.people.accounts import User
from core.people.callers import caller_of
from core.people.roles import Action, may_somewhere
from core.settings import Settings
from dashboard.database import ask
from dashboard.prefix import path_of
from dashboard.routes.plain import page, refusal

SIGN_IN_PATHS = frozenset({"/sign-in", "/account"})
UPLOADS_PATH = "/api/v1/uploads"
TABLES_PATH = "/_stcore/upload_file/"
SENDING_TABLES: tuple[Action, ...] = ("import", "freeze")  # label tables, and snapshots that come back
BYTES_OVER_SECONDS = 30
MANY_CALLERS = 10_000
log = logging.getLogger("readroom.web")


@dataclass
class Allowance:
    """Tokens in a bucket for each caller: `most` at first, refilled by `per_second`, never more than `most`."""

    most: float
    per_second: float
    clock: Callable[[], float] = time.monotonic
    left: dict[str, tuple[float, float]] = field(default_factory=dict)  # by caller: tokens, and when that was

    def wait_seconds(self, caller: str) -> int:
        """How long until there is a whole token; 0 is now."""
        missing = min(1.0, self.most) - self._tokens(caller)
        return math.ceil(missing / self.per_second) if missing > 0 else 0

    def take(self, caller: str, amount: float = 1.0) -> None:
        """Use tokens up. More than there are makes a debt, which the next one waits for."""
        if len(self.left) >= MANY_CALLERS:
            self._forget_the_rested()
        self.left[caller] = (self._tokens(caller) - amount, self.clock())

    def _tokens(self, caller: str) -> float:
        tokens, at = self.left.get(caller, (self.most, self.clock()))
        return min(self.most, tokens + (self.clock() - at) * self.per_second)

    def _forget_the_rested(self) -> None:
        """Who has a full bucket again is as one who never came."""
        self.left = {caller: kept for caller, kept in self.left.items() if self._tokens(caller) < self.most}


class RateLimits:
    """Asked after who it is, and before anything is done."""

    def __init__(self, app: ASGIApp, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        def by_the_minute(count: float) -> Allowance:
            return Allowance(count, count / 60, clock)

        self.app, self.settings = app, settings
        self.sign_ins = by_the_minute(settings.sign_ins_per_minute)
        self.uploads = by_the_minute(settings.uploads_per_minute)
        per_second = settings.upload_bytes_per_second
        self.bytes = Allowance(per_second * BYTES_OVER_SECONDS, per_second, clock)
        self.tables = by_the_minute(settings.uploads_per_minute)
        self.table_bytes = by_the_minute(settings.table_bytes_per_minute)
        self.pieces_at_once = settings.upload_pieces_at_once
        self.under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        asked, path = scope["method"], path_of(scope)
        if asked == "POST" and path in SIGN_IN_PATHS:
            await self._counted(self.sign_ins, address_key(scope), scope, receive, send)
        elif asked == "POST" and path == UPLOADS_PATH:
            await self._counted(self.uploads, _person(scope), scope, receive, send)
        elif asked == "PUT" and path.startswith(f"{UPLOADS_PATH}/"):
            await self._piece(self.bytes, _person(scope), scope, receive, send)
        elif asked in ("PUT", "POST") and path.startswith(TABLES_PATH):
            await self._table(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _counted(self, allowance: Allowance, caller: str, scope: Scope, receive: Receive, send: Send) -> None:
        wait = allowance.wait_seconds(caller)
        if wait:
            await _try_later(scope, wait)(scope, receive, send)
            return
        allowance.take(caller)
        await self.app(scope, receive, send)

    async def _table(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            may_send = await ask(self.settings, may_send_tables, cast(User, scope["user"]))
        except Unavailable as error:
            await JSONResponse({"reason": str(error)}, 503)(scope, receive, send)
            return
        if not may_send:
            said = f"To {' or '.join(SENDING_TABLES)} you need another role; ask an administrator."
            await JSONResponse({"reason": said}, 403)(scope, receive, send)
            return
        wait = self.tables.wait_seconds(_person(scope))
        if wait:
            await _try_later(scope, wait)(scope, receive, send)
            return
        self.tables.take(_person(scope))
        await self._piece(self.table_bytes, _person(scope), scope, receive, send)

    async def _piece(self, allowed: Allowance, person: str, scope: Scope, receive: Receive, send: Send) -> None:
        wait = 1 if self.under_way[person] >= self.pieces_at_once else allowed.wait_seconds(person)
        if wait:
            await _try_later(scope, wait)(scope, receive, send)
            return

        async def receive_and_count() -> Message:
            message = await receive()
            if body := message.get("body"):
                allowed.take(person, len(body))
            return message

        self.under_way[person] += 1
        try:
            await self.app(scope, receive_and_count, send)
        finally:
            self.under_way[person] -= 1


def may_send_tables(connection: sqlite3.Connection, user: User) -> bool:
    """Whether any page shows this user an uploader of Streamlit's; what was sent is asked for again by its page."""
    return any(may_somewhere(connection, user, action) for action in SENDING_TABLES)


def address_key(scope: Scope) -> str:
    """Whose request counts as one caller's, by the address it comes from."""
    client = scope.get("client")
    return caller_of(str(client[0])) if client else ""


def _person(scope: Scope) -> str:
    return cast(User, scope["user"]).name


def _try_later(scope: Scope, seconds: int) -> Response:
    said = f"That was too much in a short time. Try again in {seconds} second{'s' if seconds > 1 else ''}."
    path = path_of(scope)
    what = "an upload" if path.startswith((UPLOADS_PATH, TABLES_PATH)) else path  # its path names files
    log.warning("Too many requests for %s from %s", what, address_key(scope))
    if path in SIGN_IN_PATHS:
        answer: Response = page("Try again soon", refusal(said), status=429)
    else:
        answer = JSONResponse({"reason": said}, 429)
    answer.headers["Retry-After"] = str(seconds)
    return answer
