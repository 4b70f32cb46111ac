"""Signing in by one-time token or by name and password, and out again."""

from html import escape
from urllib.parse import unquote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import CoreError, InvalidInput, NotAllowed, Unavailable
from core.people.accounts import User, list_users
from core.people.passwords import LEAST_CHARACTERS
from core.people.sessions import Token, TryLater, end_session, look_at_token, redeem_token, sign_in
from core.settings import Settings
from dashboard.database import ask, ask_in_turn
from dashboard.middleware import cookie_of
from dashboard.prefix import at
from dashboard.routes.plain import address_of, on_a_page, page, read_form, refusal

PASSWORD_FORM = """<form method="post" action="{action}">
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" spellcheck="false" required autofocus>
<label for="password">Password</label>
<span class="field"><input id="password" name="password" type="password"
autocomplete="current-password" required></span>
<input type="hidden" name="next" value="{next}">
<button>Sign in</button>
</form>
<p class="quiet">Forgotten? An administrator can give you a new link.</p>"""
TOKEN_FORM = """<p>Readroom prints a sign-in link where it was started. Open that link, or paste its token here.</p>
<form method="post" action="{action}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required autofocus>
<input type="hidden" name="next" value="{next}">
<button>Sign in</button>
</form>
<p class="quiet">A token works once. <code>readroom link</code> prints a new one.</p>"""
NEW_PASSWORD_FORM = """<p>Welcome, <b>{name}</b>.
Choose a password of at least {least} characters; a few words are good.</p>
<form method="post" action="{action}">
<input type="hidden" name="username" value="{name}" autocomplete="username">
<label for="new_password">New password</label>
<span class="field"><input id="new_password" name="new_password" type="password" data-least="{least}"
autocomplete="new-password" required autofocus></span>
<label for="repeated">The same once more</label>
<span class="field"><input id="repeated" name="repeated" type="password" autocomplete="new-password" required></span>
<input type="hidden" name="token" value="{token}">
<input type="hidden" name="next" value="{next}">
<button>Set password and sign in</button>
</form>"""

LINK_FORM = """<p>This link is for <b>{name}</b>, and works once.</p>
<form method="post" action="{action}">
<input type="hidden" name="token" value="{token}">
<input type="hidden" name="next" value="{next}">
<button autofocus>Sign in</button>
</form>"""


def routes(settings: Settings, cookie: str, *, passwords: bool) -> list[BaseRoute]:
    """Where Readroom is reached over a network (`passwords`), whoever comes by link sets a password first.

    There a link travels by mail, whose scanners open it: looking at it shows a button, and only the button uses it up.
    """

    async def show(request: Request) -> Response:
        """With a token, sign in or offer to; without, ask who it is. Who is signed in already is let through.

        HEAD asks what is there and changes nothing.
        """
        token, back = request.query_params.get("token"), local_path(request.query_params.get("next"))
        if token and request.method == "GET":
            return await by_token(request, token, back)
        if request.user:
            return RedirectResponse(back, 303)
        return page("Sign in", await form(back))

    async def submit(request: Request) -> Response:
        fields = await read_form(request)
        back = local_path(fields.get("next"))
        if "token" in fields:
            token = fields["token"].strip().rpartition("token=")[2]
            return await by_token(request, token, back, fields.get("new_password"), fields.get("repeated"))
        return await by_password(request, fields.get("name", ""), fields.get("password", ""), back)

    async def by_token(
        request: Request, token: str, back: str, chosen: str | None = None, repeated: str | None = None
    ) -> Response:
        try:
            found = await ask(settings, look_at_token, token)
        except NotAllowed as error:
            if request.user:  # the link of a tab that was opened before: it has done its work
                return go_on(back)
            return page("Sign in", refusal(str(error)) + await form(back), status=401)
        if chosen is None and needs_password(found):
            return page("Choose a password", password_form(found, token, back))
        if passwords and request.method == "GET":
            return page("Sign in", link_form(found, token, back))
        try:
            if chosen != repeated:
                raise InvalidInput("The two passwords differ; type the same one twice.")
            address = address_of(request)
            session_id = await ask_in_turn(
                settings, redeem_token, token, hours=settings.session_hours, new_password=chosen, address=address
            )
        except Unavailable:
            raise
        except CoreError as error:
            return page("Choose a password", refusal(str(error)) + password_form(found, token, back), status=422)
        return let_in(request, session_id, back)

    async def by_password(request: Request, name: str, password: str, back: str) -> Response:
        try:
            session_id = await ask_in_turn(
                settings, sign_in, name, password, hours=settings.session_hours, address=address_of(request)
            )
        except TryLater as error:
            answer = page("Sign in", refusal(str(error)) + await form(back), status=429)
            answer.headers["Retry-After"] = str(error.seconds)
            return answer
        except (NotAllowed, Unavailable) as error:
            status = 401 if isinstance(error, NotAllowed) else 503
            return page("Sign in", refusal(str(error)) + await form(back), status=status)
        return let_in(request, session_id, back)

    def needs_password(found: Token) -> bool:
        return found.purpose != "link" or (passwords and not found.user.has_password)

    async def form(back: str) -> str:
        anybody = any(user.has_password for user in await ask(settings, list_users, kind="person"))
        return (PASSWORD_FORM if anybody else TOKEN_FORM).format(action=at("/sign-in"), next=escape(back))

    def let_in(request: Request, session_id: str, back: str) -> Response:
        response = go_on(back)
        response.set_cookie(
            cookie_of(request, cookie),
            session_id,
            max_age=settings.session_hours * 3600,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def ask_to_leave(request: Request) -> Response:
        return page("Sign out", leave_form(request.user))

    async def leave(request: Request) -> Response:
        await ask(settings, end_session, request.cookies[cookie_of(request, cookie)], address=address_of(request))
        response = RedirectResponse(at("/sign-in"), 303)
        response.delete_cookie(
            cookie_of(request, cookie), httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return response

    return [
        Route("/sign-in", on_a_page(show), methods=["GET"]),
        Route("/sign-in", on_a_page(submit), methods=["POST"]),
        Route("/sign-out", ask_to_leave, methods=["GET"]),
        Route("/sign-out", on_a_page(leave), methods=["POST"]),
    ]


def local_path(given: str | None) -> str:
    """A path of this Readroom to go back to; anything that leads elsewhere becomes the start page."""
    text = given or ""
    elsewhere = not text.startswith(at("/")) or text.startswith(("//", "/\\"))  # browsers read `/\` as `//`
    climbs = ".." in unquote(urlsplit(text).path).replace("\\", "/").split("/")  # out from under a prefix
    return at("/") if elsewhere or climbs or any(ord(sign) < 32 for sign in text) else text


def password_form(found: Token, token: str, back: str) -> str:
    """Where the user of a token chooses a password; a screen reader and a password store find the name in it."""
    return NEW_PASSWORD_FORM.format(
        action=at("/sign-in"),
        name=escape(found.user.name),
        least=LEAST_CHARACTERS,
        token=escape(token),
        next=escape(back),
    )


def link_form(found: Token, token: str, back: str) -> str:
    """One button, for the user of a token who has a password already."""
    return LINK_FORM.format(action=at("/sign-in"), name=escape(found.user.name), token=escape(token), next=escape(back))


def leave_form(user: User) -> str:
    """Signing out is an act, so it is asked for by a form and not by an address."""
    return (
        f"<p>Signed in as <b>{escape(user.name)}</b>.</p>"
        f'<form method="post" action="{at("/sign-out")}"><button>Sign out</button></form>'
        f'<p><a href="{at("/")}">Back to Readroom</a></p>'
    )


def go_on(back: str) -> HTMLResponse:
    """A page that moves on by itself.

    Not a redirect: followed from a link in a mail, it would count as coming from the mail's site, and the
    browser would leave the strict cookie out. From our own page it counts as ours.
    """
    head = f'<meta http-equiv="refresh" content="0;url={escape(back)}">'
    return page("Signed in", f'<p>You are signed in. <a href="{escape(back)}">Go on</a></p>', head=head)
