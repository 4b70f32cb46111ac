"""Signing in with a one-time token, and out again."""

from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from core.errors import NotAllowed
from core.people.accounts import end_session, redeem_token
from core.settings import Settings
from dashboard.database import ask

PAGE = Template((Path(__file__).parent / "sign_in.html").read_text("utf-8"))
FORM = """<p>Readroom prints a sign-in link where it was started. Open that link, or paste its token here.</p>
<form method="post" action="/sign-in">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required autofocus>
<input type="hidden" name="next" value="{next}">
<button>Sign in</button>
</form>
<p class="quiet">A token works once. <code>readroom link</code> prints a new one.</p>"""
FORM_LIMIT = 8192


def routes(settings: Settings, cookie: str) -> list[BaseRoute]:
    async def show(request: Request) -> Response:
        """With a token, sign in; without, ask for one. A person who is signed in already is let through."""
        token, back = request.query_params.get("token"), local_path(request.query_params.get("next"))
        if token:
            return await sign_in(request, token, back)
        if request.user:
            return RedirectResponse(back, 303)
        return page("Sign in", FORM.format(next=escape(back)))

    async def submit(request: Request) -> Response:
        async with request.form(max_files=0, max_fields=4, max_part_size=FORM_LIMIT) as form:
            token, back = str(form.get("token", "")).strip(), local_path(str(form.get("next", "")))
        return await sign_in(request, token.rpartition("token=")[2], back)

    async def sign_in(request: Request, token: str, back: str) -> Response:
        try:
            session_id = await ask(settings, redeem_token, token, hours=settings.session_hours)
        except NotAllowed as error:
            if request.user:  # the link of a tab that was opened before: it has done its work
                return _go_on(back)
            body = f'<p class="refusal" role="alert">{escape(str(error))}</p>' + FORM.format(next=escape(back))
            return page("Sign in", body, status=401)
        response = _go_on(back)
        response.set_cookie(
            cookie,
            session_id,
            max_age=settings.session_hours * 3600,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    async def ask_to_leave(request: Request) -> Response:
        body = '<p>Signed in as <b>{}</b>.</p><form method="post" action="/sign-out"><button>Sign out</button></form>'
        return page("Sign out", body.format(escape(request.user.name)) + '<p><a href="/">Back to Readroom</a></p>')

    async def leave(request: Request) -> Response:
        await ask(settings, end_session, request.cookies[cookie])
        response = RedirectResponse("/sign-in", 303)
        response.delete_cookie(cookie, httponly=True, samesite="strict")
        return response

    return [
        Route("/sign-in", show, methods=["GET"]),
        Route("/sign-in", submit, methods=["POST"]),
        Route("/sign-out", ask_to_leave, methods=["GET"]),
        Route("/sign-out", leave, methods=["POST"]),
    ]


def local_path(given: str | None) -> str:
    """A path on this server to go back to; anything that leads elsewhere becomes the start page."""
    text = given or ""
    elsewhere = not text.startswith("/") or text.startswith(("//", "/\\"))  # browsers read `/\` as `//`
    return "/" if elsewhere or any(ord(sign) < 32 for sign in text) else text


def page(title: str, body: str, *, head: str = "", status: int = 200) -> HTMLResponse:
    """A plain page in Readroom's colours; it needs no script."""
    html = PAGE.substitute(title=escape(title), body=body, head=head)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


def _go_on(back: str) -> HTMLResponse:
    # Not a redirect: followed from a link in a mail, it would count as coming from the mail's site,
    # and the browser would leave the strict cookie out. From our own page it counts as ours.
    head = f'<meta http-equiv="refresh" content="0;url={escape(back)}">'
    return page("Signed in", f'<p>You are signed in. <a href="{escape(back)}">Go on</a></p>', head=head)
