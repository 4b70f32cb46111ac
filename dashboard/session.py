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
from core.people.accounts import User, find_session
from core.projects.records import Project, get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import connect
from core.store.files import Files
from dashboard import places

Identify = Callable[[sqlite3.Connection], User | None]

PROJECT = "session:project"


class _Process:
    """What the door (`dashboard.server`, or a test) said when this process started."""

    settings: Settings | None = None
    identify: Identify | None = None


class _Held:
    """The connection of one script thread, closed when that thread ends, which it does with the rerun."""

    def __init__(self, settings: Settings) -> None:
        self.home = settings.home
        self.connection = connect(settings)

    def __del__(self) -> None:
        self.connection.close()


_thread = threading.local()


def configure(settings: Settings, identify: Identify) -> None:
    """Called once by the door: where data lie, and how to tell who is before the screen."""
    _Process.settings, _Process.identify = settings, identify


def identify_by_cookie(cookie: str) -> Identify:
    """Whoever holds the session that this cookie names; asked anew at every rerun, so a sign-out counts at once."""

    def identify(connection: sqlite3.Connection) -> User | None:
        session_id = st.context.cookies.get(cookie)
        return find_session(connection, session_id) if session_id else None

    return identify


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


def current_user() -> User:
    """Who is signed in. Where nobody is (any more), says so and draws nothing further."""
    user = _Process.identify(db()) if _Process.identify else None
    if user is None:
        st.info("You are signed out. Answers that were not sent yet stay in this browser until you sign in again.")
        st.markdown("[Sign in](/sign-in)")
        st.stop()
    return user


def actor() -> Actor:
    """Whoever is signed in, as the author of an act."""
    return Actor(current_user().name, "screen")


def current_project() -> Project | None:
    """The project of the address (`?project=ID`), else the one opened last in this tab, else None."""
    asked = places.asked_number("project") or st.session_state.get(PROJECT)
    if asked is None:
        return None
    try:
        project = get_project(db(), asked)
    except NotFound:
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
