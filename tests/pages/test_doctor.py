"""The doctor page: what does not work stands first, with its remedy, and a new look sees what was mended."""

import sqlite3

from core.images.records import Case
from core.people.accounts import ensure_user
from core.settings import Settings
from core.store.files import Files
from dashboard import doctor_view, session
from tests.pages.conftest import OpenPage, said


def test_a_worker_that_does_not_run_is_said_with_the_remedy(open_page: OpenPage) -> None:
    app = open_page("doctor")
    assert not app.exception
    assert "worker" in app.warning[0].value
    text = said(app)
    assert "Start it with: readroom up" in text
    assert text.index("does not work") < text.index("Image decoders")


def test_a_new_look_sees_what_was_mended(open_page: OpenPage, settings: Settings) -> None:
    settings.home.chmod(0o755)
    app = open_page("doctor")
    assert "permissions" in app.warning[0].value
    settings.home.chmod(0o700)
    app.button(key="doctor_again").click().run()
    assert "permissions" not in app.warning[0].value


def test_every_stored_file_is_looked_at_on_demand(open_page: OpenPage, files: Files, cases: list[Case]) -> None:
    files.path("pixels", cases[3].pixel_hash).write_bytes(b"rubbish")
    app = open_page("doctor")
    app.button(key="doctor_files").click().run()
    assert "1 of 24 files are bad" in said(app)
    assert f"case {cases[3].id}" in said(app)


def test_a_reader_sees_nothing_of_it(open_page: OpenPage, connection: sqlite3.Connection) -> None:
    ben = ensure_user(connection, "ben")
    session.configure(session.settings(), lambda connection: ben)
    app = open_page("doctor")
    assert "not open to you" in said(app)
    assert doctor_view.FINDINGS not in app.session_state
