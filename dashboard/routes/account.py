"""Your account: set another password, sign out everywhere."""

import sqlite3
from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import CoreError, InvalidInput
from core.people.accounts import User
from core.people.history import AccountHistory, SignIn, account_history
from core.people.passwords import LEAST_CHARACTERS
from core.people.sessions import change_password, end_sessions, find_session
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.database import writing
from dashboard.database import ask, ask_in_turn
from dashboard.middleware import cookie_of
from dashboard.prefix import at
from dashboard.routes.answers import STATUS
from dashboard.routes.plain import address_of, on_a_page, page, read_form, refusal

OLD_PASSWORD = """<label for="password">Present password</label>
<span class="field"><input id="password" name="password" type="password"
autocomplete="current-password" required></span>"""
FORM = """<p>Signed in as <b>{name}</b>.</p>
{history}
<form method="post" action="{account}">
<input type="hidden" name="username" value="{name}" autocomplete="username">
{old}
<label for="new_password">New password, at least {least} characters</label>
<span class="field"><input id="new_password" name="new_password" type="password" data-least="{least}"
autocomplete="new-password" required></span>
<label for="repeated">The same once more</label>
<span class="field"><input id="repeated" name="repeated" type="password" autocomplete="new-password" required></span>
<button>Set password</button>
</form>
<form method="post" action="{account}/sign-out-everywhere">
<button class="second">Sign out on every device</button>
</form>
<p class="quiet">A new password signs you out everywhere. <a href="{start}">Back to Readroom</a></p>"""


def routes(settings: Settings, cookie: str) -> list[BaseRoute]:
    async def show(request: Request) -> Response:
        return page("Your account", await form(request))

    async def submit(request: Request) -> Response:
        """Set the password; every session ends with it, this one too, so the next page asks for the new one."""
        fields = await read_form(request)
        try:
            if fields.get("new_password") != fields.get("repeated"):
                raise InvalidInput("The two passwords differ; type the same one twice.")
            await ask_in_turn(
                settings,
                change_password,
                request.user,
                fields.get("password", ""),
                fields.get("new_password", ""),
                actor=Actor(request.user.name, "screen", address_of(request)),
                session_id=request.cookies[cookie_of(request, cookie)],
                idle_minutes=settings.session_idle_minutes,
            )
        except CoreError as error:
            status = next((status for kind, status in STATUS if isinstance(error, kind)), 422)
            return page("Your account", refusal(str(error)) + await form(request), status=status)
        return gone(request)

    async def form(request: Request) -> str:
        return account_form(request.user, await ask(settings, account_history, request.user))

    async def leave_everywhere(request: Request) -> Response:
        await ask(
            settings,
            sign_out_everywhere,
            request.user,
            address_of(request),
            session_id=request.cookies[cookie_of(request, cookie)],
        )
        return gone(request)

    def gone(request: Request) -> Response:
        response = RedirectResponse(at("/sign-in"), 303)
        response.delete_cookie(
            cookie_of(request, cookie), httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return response

    return [
        Route("/account", show, methods=["GET"]),
        Route("/account", on_a_page(submit), methods=["POST"]),
        Route("/account/sign-out-everywhere", on_a_page(leave_everywhere), methods=["POST"]),
    ]


def account_form(user: User, history: AccountHistory) -> str:
    """Who has no password yet sets the first one without naming an old one."""
    old = OLD_PASSWORD if user.has_password else ""
    return FORM.format(
        account=at("/account"),
        start=at("/"),
        name=escape(user.name),
        least=LEAST_CHARACTERS,
        old=old,
        history=history_html(history),
    )


def history_html(history: AccountHistory) -> str:
    """What the account's owner would wonder at, had it been somebody else."""
    said = [
        f"The password was last set {_moment(history.password_set_at)}." if history.password_set_at else "",
        f"You signed in {_from(history.signed_in)}." if history.signed_in else "",
        f"The time before was {_from(history.signed_in_before)}." if history.signed_in_before else "",
        f"Refused since then: {history.refused}." if history.refused and history.signed_in_before else "",
    ]
    known = " ".join(filter(None, said))
    return f'<p class="quiet">{known} If that was not you, tell an administrator.</p>' if known else ""


def _from(at: SignIn) -> str:
    return f"{_moment(at.at)}{f' from {escape(at.address)}' if at.address else ''}"


def _moment(at: str) -> str:
    return f"{at[:10]} {at[11:16]} UTC"


def sign_out_everywhere(connection: sqlite3.Connection, user: User, address: str, *, session_id: str) -> None:
    """End every session of a user and void their links.

    Who was signed out meanwhile is out already, and the link they were given since then stays good.
    """
    with writing(connection):
        if find_session(connection, session_id) is None:
            return
        end_sessions(connection, user)
        add_audit(connection, Actor(user.name, "screen", address), "sign out everywhere", f"user {user.id}")
