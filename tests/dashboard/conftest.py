"""A client of the routes with all doors around them, and cases to ask for."""

import sqlite3
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from core.errors import CoreError
from core.images.records import Case, NewCase, Window, insert_case
from core.people.accounts import User, ensure_user
from core.people.sessions import issue_token, redeem_token
from core.projects.records import Project
from core.settings import Settings
from core.store.files import Files
from dashboard.middleware import cookie_name
from dashboard.routes.answers import answer_refusal
from dashboard.server import make_middleware, make_routes

HOST, PORT = "127.0.0.1", 8501
COOKIE = cookie_name(PORT)
MakeCase = Callable[..., Case]


@pytest.fixture
def anna(connection: sqlite3.Connection) -> User:
    return ensure_user(connection, "anna", role="admin")


@pytest.fixture
def stranger(settings: Settings) -> Iterator[TestClient]:
    """Nobody is signed in. The same doors and routes as `make_app`, without Streamlit behind them."""
    app = Starlette(
        routes=make_routes(settings, COOKIE),
        middleware=make_middleware(settings, HOST, COOKIE, frozenset()),
        exception_handlers={CoreError: answer_refusal},  # type: ignore[dict-item]
    )
    with TestClient(app, base_url=f"http://{HOST}:{PORT}", follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient, connection: sqlite3.Connection, anna: User) -> TestClient:
    """Anna is signed in."""
    session = redeem_token(connection, issue_token(connection, anna), hours=1)
    stranger.cookies.set(COOKIE, session)
    return stranger


@pytest.fixture
def make_case(connection: sqlite3.Connection, files: Files, project: Project) -> MakeCase:
    """Cases of random pixels, each of its own unless pixels are given."""

    def make(pixels: np.ndarray | None = None, number: int = 0) -> Case:
        if pixels is None:
            pixels = np.random.default_rng(number).integers(0, 4000, (48, 64)).astype(np.uint16)
        pixel_hash = files.put_array("pixels", pixels)
        new = NewCase(
            project=project.id,
            source=f"film-{number}.png",
            patient=f"P{number}",
            patient_from="table",
            pixel_hash=pixel_hash,
            file_hash=pixel_hash,
            perceptual_hash=None,
            rows=pixels.shape[0],
            columns=pixels.shape[1],
            channels=1,
            dtype=str(pixels.dtype),
            photometric="MONOCHROME2",
            imported_by="anna",
            spacing_mm=(0.2, 0.1),
            spacing_at="detector",
            windows=(Window("first", 2000.0, 3000.0),),
        )
        return insert_case(connection, new)

    return make


@pytest.fixture
def case(make_case: MakeCase) -> Case:
    return make_case()
