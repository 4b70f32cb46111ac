"""What a page needs from the process it runs in: settings, a connection, the person before the screen.

A page runs in its own thread, at every click anew, and in parts (callbacks, fragments) that
never pass through the shell. So nothing here relies on the shell having run before.
"""

import sqlite3
import threading
from collections.abc import Callable

import streamlit as st

from core.errors import NotFound
from core.images.pseudonyms import load_secret, pseudonym
from core.labels import sight as sights
from core.labels.sight import Sight
from core.people import roles
from core.people.accounts import User
from core.people.roles import Action
from core.people.sessions import find_session, touch_session
from core.projects.records import Project, get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import connect
from core.store.files import Files
from dashboard import places
from dashboard.middleware import cookie_in_tls
from dashboard.prefix import at

Identify = Callable[[sqlite3.Connection], User | None]

PROJECT = "session:project"


class _Process:
    """What the door (`dashboard.server`, or a test) said when this process started."""

    settings: Settings | None = None
    identify: Identify | None = None
    cookie: str | None = None


class _Held:
    """The connection of one script thread, closed when that thread ends, which it does with the rerun."""

    def __init__(self, settings: Settings) -> None:
        self.home = settings.home
        self.connection = connect(settings)

    def __del__(self) -> None:
        self.connection.close()


_thread = threading.local()


def configure(settings: Settings, identify: Identify, *, cookie: str | None = None) -> None:
    """Called once by the door: where data lie, how to tell who is before the screen, and which cookie says so."""
    _Process.settings, _Process.identify, _Process.cookie = settings, identify, cookie


def identify_by_cookie(cookie: str) -> Identify:
    """Whoever holds the session that this cookie names; asked anew at every rerun, so a sign-out counts at once."""

    def identify(connection: sqlite3.Connection) -> User | None:
        session_id = _session_id(cookie)
        if not session_id:
            return None
        return find_session(connection, session_id, idle_minutes=settings().session_idle_minutes)

    return identify


def _session_id(cookie: str) -> str | None:
    """As the door read it, which let nobody through by TLS who has only the cookie of the way without."""
    cookies = st.context.cookies
    return cookies.get(cookie_in_tls(cookie)) or cookies.get(cookie)


def settings() -> Settings:
    """The settings this process was started with."""
    if _Process.settings is None:
        raise RuntimeError("Start Readroom with `readroom up`; `streamlit run` leaves out sign-in and routes.")
    return _Process.settings


def db() -> sqlite3.Connection:
    """The connection of this rerun. Never keep it: not in session state, not in a cache."""
    held = getattr(_thread, "held", None)
    if held is None or held.home != settings().home:
        held = _thread.held = _Held(settings())
    return held.connection


def files() -> Files:
    """The file store of this home."""
    return Files(settings().home)


def _find_user() -> User | None:
    return _Process.identify(db()) if _Process.identify else None


def current_user() -> User:
    """Who is signed in. Where nobody is (any more), says so and draws nothing further."""
    user = _find_user()
    if user is None:
        st.info("You are signed out. Answers that were not sent yet stay in this browser until you sign in again.")
        st.markdown(f"[Sign in]({at('/sign-in')})")
        st.stop()
    return user


def actor() -> Actor:
    """Whoever is signed in, as the author of an act."""
    address = st.context.ip_address
    return Actor(current_user().name, "screen", address if isinstance(address, str) else "")


def touch() -> None:
    """Somebody clicked. Called by the shell, which parts of a page that refresh by themselves never pass."""
    if _Process.cookie:
        session_id = _session_id(_Process.cookie)
        if session_id:
            touch_session(db(), session_id)


def may(action: Action, project: Project | None = None) -> bool:
    """Whether whoever is signed in may do this, in a project or to this Readroom as a whole."""
    return roles.may(db(), current_user(), action, project.id if project else None)


def sight(project: Project) -> Sight:
    """What whoever is signed in may see of others' answers and of models in a project."""
    return sights.sight_of(db(), current_user(), project)


def need(action: Action, project_id: int | None = None) -> None:
    """First in each part that is drawn by itself: who signed out or may no longer do this gets the whole page anew.

    Only the shell, which such a part never passes, says why.
    """
    user = _find_user()
    if user is None or not roles.may(db(), user, action, project_id):
        st.rerun()


def open_places(project: Project | None) -> list[places.Place]:
    """The pages that whoever is signed in may open. Without a project, its pages only say that none is open."""
    user = current_user()
    here = roles.actions_in(db(), user, project.id) if project else None
    return [place for place in places.PLACES if _opens(user, place, here)]


def may_open(name: str, project: Project | None) -> bool:
    """Whether whoever is signed in may open one page."""
    return places.BY_NAME[name] in open_places(project)


def _opens(user: User, place: places.Place, here: frozenset[Action] | None) -> bool:
    if place.action is None or user.role == "admin":
        return True
    if place.where == "any project":
        return roles.may_somewhere(db(), user, place.action)
    return place.where == "the project" and (here is None or place.action in here)


def current_project() -> Project | None:
    """The project of the address (`?project=ID`), else the one opened last in this tab, else None.

    A project that whoever is signed in may not see is none.
    """
    asked = places.asked_number("project") or st.session_state.get(PROJECT)
    if asked is None:
        return None
    try:
        project = get_project(db(), asked)
    except NotFound:
        project = None
    if project is None or not may("see", project):
        st.session_state.pop(PROJECT, None)
        return None
    open_project(project)
    return project


def open_project(project: Project) -> None:
    """Make this the project of the tab, and of its address, so that the address can be passed on."""
    st.session_state[PROJECT] = project.id
    places.remember(project=project.id)


def server_id() -> str:
    """Which Readroom this is, for what a browser keeps: it stays with the home, whatever port or machine serves it."""
    return pseudonym(load_secret(settings()), "server")[:16]
