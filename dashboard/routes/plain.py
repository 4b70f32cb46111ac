"""Pages that work without Streamlit, and without a script too: signing in, setting a password, signing out."""

from collections.abc import Awaitable, Callable
from functools import wraps
from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from core.errors import InvalidInput, Unavailable
from dashboard.prefix import at
from dashboard.theme_switch import page_names

PAGE = Template((Path(__file__).parent / "plain.html").read_text("utf-8"))
FORM_LIMIT = 8192

Act = Callable[[Request], Awaitable[Response]]


def page(title: str, body: str, *, head: str = "", status: int = 200) -> HTMLResponse:
    """A plain page in Readroom's colours."""
    pages = ",".join(page_names())
    html = PAGE.substitute(title=escape(title), body=body, head=head, pages=pages, assets=at("/assets"))
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


def refusal(text: str) -> str:
    """A sentence that says why not, for the top of a form."""
    return f'<p class="refusal" role="alert">{escape(text)}</p>'


def on_a_page(act: Act) -> Act:
    """Whoever sends a form while the disk is full or the database is held reads so on a page, and may send it again."""

    @wraps(act)
    async def answer(request: Request) -> Response:
        try:
            return await act(request)
        except Unavailable as error:
            again = f'<p><a href="{escape(request.url.path)}">Try again</a></p>'
            return page("Not just now", refusal(str(error)) + again, status=503)

    return answer


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a small form, as text that the database and a sum can take.

    Raises:
        InvalidInput: it names an encoding that cannot read it.
    """
    try:
        async with request.form(max_files=0, max_fields=8, max_part_size=FORM_LIMIT) as form:
            return {_whole_text(key): _whole_text(str(value)) for key, value in form.items()}
    except UnicodeError as error:
        raise InvalidInput(f"Send the form as UTF-8. Received: {type(error).__name__}") from error


def _whole_text(text: str) -> str:
    """Some encodings, utf-7 for one, can be made to give half a letter, which nothing can store."""
    return text.encode("utf-8", "replace").decode()


def address_of(request: Request) -> str:
    """Where a request comes from, for the audit."""
    return request.client.host if request.client else ""
