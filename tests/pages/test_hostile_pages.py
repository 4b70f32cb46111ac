"""After an import of hostile files no page says a marker; original paths are for the person who imported alone."""

import sqlite3
from pathlib import Path

import pytest

from core.images.records import list_cases
from core.jobs.asking import ask_import
from core.jobs.child import run_job
from core.jobs.records import claim_job, get_job
from core.people.accounts import User, ensure_user
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor
from dashboard import places, session
from tests.core.images.hostile import DATE, MARK, TRACES, hostile_file
from tests.pages.conftest import OpenPage, said


@pytest.fixture
def job(connection: sqlite3.Connection, settings: Settings, project: Project, anna: User, tmp_path: Path) -> int:
    """Anna has imported a CT image, a held one and a broken one, all under names that are markers."""
    folder = tmp_path / f"{MARK}^JANE" / f"{MARK} {DATE}"
    folder.mkdir(parents=True)
    (folder / f"{MARK}.dcm").write_bytes(hostile_file())
    (folder / f"{MARK} us.dcm").write_bytes(hostile_file(Modality="US"))
    (folder / f"{MARK} cut.dcm").write_bytes(hostile_file()[:20_000])
    ask_import(connection, settings, project, [str(folder.parent)], actor=Actor("anna", "command line"))
    claimed = claim_job(connection, "work", "cpu")
    assert claimed
    run_job(settings, claimed, "core.jobs.handlers:HANDLERS")
    assert get_job(connection, claimed.id).state == "done"
    return claimed.id


def leaks(text: str) -> list[bytes]:
    return [trace for trace in TRACES if trace in text.encode()]


def test_no_page_says_a_marker_to_anybody_else(
    open_page: OpenPage, connection: sqlite3.Connection, settings: Settings, project: Project, job: int
) -> None:
    otto = ensure_user(connection, "otto", role="admin")
    session.configure(settings, lambda connection: otto)
    cases = [case.id for case in list_cases(connection, project.id)]
    assert len(cases) == 2
    for place in places.PLACES:
        asked = [{"case": case} for case in cases] if place.name == "case" else [{"job": job}]
        for query in asked:
            app = open_page(place.name, project=project.id, **query)
            assert not app.exception, place.name
            assert not leaks(said(app)), place.name
            if place.name == "case":
                app.button(key=f"sheet_show_{query['case']}").click().run()
                assert app.dataframe
                assert not leaks(said(app)), "the sheet"


def test_the_case_page_says_what_became_of_each_attribute(
    open_page: OpenPage, connection: sqlite3.Connection, project: Project, job: int
) -> None:
    case = next(case for case in list_cases(connection, project.id) if not case.held)
    app = open_page("case", project=project.id, case=case.id)
    app.button(key=f"sheet_show_{case.id}").click().run()
    (sheet,) = [table.value for table in app.dataframe if "rule" in table.value.columns]
    told = {path: (done, now) for path, done, now in zip(sheet["path"], sheet["done"], sheet["now"], strict=True)}
    assert told["(0010,0010)"] == ("replaced", case.patient)
    assert told["(0010,4000)"] == ("removed", "")
    assert told["(0012,0064)"] == ("added", "4 items")
    assert "[" not in told["(0008,0008)"][1], "several values stand as DICOM writes them"
    assert told["(0009,xxxx)"][0] == told["(6000,3000)"][0] == told["(preamble)"][0] == "removed"


def test_whoever_imported_reads_the_paths(open_page: OpenPage, project: Project, job: int) -> None:
    pages = [said(open_page(name, project=project.id, job=job)) for name in ("jobs", "import_images")]
    assert any(f"{MARK} cut.dcm" in text for text in pages)
