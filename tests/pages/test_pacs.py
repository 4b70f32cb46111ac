"""The page PACS before a real Orthanc: known by an administrator, searched, and studies chosen for a pull."""

import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bench.server import free_port
from core.images.pacs.credentials import find_credentials
from core.images.pacs.records import add_pacs, list_pacs
from core.images.sealed_paths import unseal
from core.jobs.records import list_jobs
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.projects.records import Project
from core.settings import Settings
from core.store.audit import Actor, list_audit
from dashboard import session
from tests.core.images.drawn_dicom import write_series
from tests.orthanc import ANNA, Orthanc, running_orthanc
from tests.pages.conftest import OpenPage, run_page, said

PATIENT = "PATIENT-4711"


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("pacs")
    with running_orthanc(folder / "orthanc") as made:
        write_series(folder / "series", [0.0, 1.0], patient=PATIENT)
        made.push(*sorted((folder / "series").iterdir()))
        yield made


@pytest.fixture
def ward(connection: sqlite3.Connection, settings: Settings, actor: Actor, orthanc: Orthanc) -> None:
    add_pacs(connection, settings, orthanc.by_web(), ANNA, actor)


def search(app: AppTest, **said: object) -> AppTest:
    for key, value in said.items():
        (app.date_input if key in ("since", "until") else app.text_input)(key=f"pacs_{key}").set_value(value)
    return app.button(key="pacs_search_do").click().run()


def table(app: AppTest) -> list[dict[str, object]]:
    rows = app.dataframe[0].value.to_dict("records") if app.dataframe else []
    return [{str(key): value for key, value in row.items()} for row in rows]


def test_an_administrator_makes_one_known_and_its_password_is_not_in_the_database(
    open_page: OpenPage, project: Project, connection: sqlite3.Connection, settings: Settings, orthanc: Orthanc
) -> None:
    app = open_page("pacs", project=project.id)
    new = orthanc.by_web()
    app.text_input(key="pacs_name").set_value("Radiology")
    app.text_input(key="pacs_address").set_value(new.address)
    app.text_input(key="pacs_user").set_value(ANNA.user)
    app.text_input(key="pacs_password").set_value(ANNA.password)
    app.button(key="pacs_add_do").click().run()
    assert not app.error
    (pacs,) = list_pacs(connection)
    assert find_credentials(settings, pacs.id, pacs.name, environ={}) == ANNA
    assert ANNA.password not in "\n".join(connection.iterdump())
    assert ANNA.password not in (settings.home / "pacs.credentials").read_text()
    app.button(key="pacs_test").click().run()
    assert "Radiology answers by DICOMweb." in said(app)


def test_dimse_over_tls_is_made_known_with_its_authority(
    open_page: OpenPage, project: Project, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    app = open_page("pacs", project=project.id)
    app.segmented_control(key="pacs_protocol").set_value("dimse").run()
    assert "pacs_authority" not in [field.key for field in app.text_input], "plain DIMSE shows no certificate"
    app.toggle(key="pacs_tls").set_value(True).run()
    assert not app.number_input, "over TLS studies come by C-GET"
    (tmp_path / "ca.pem").write_text("-----")
    for key, text in (("name", "Ward"), ("address", "pacs.example:2762"), ("their_title", "PACS"),
                      ("authority", str(tmp_path / "ca.pem"))):  # fmt: skip
        app.text_input(key=f"pacs_{key}").set_value(text)
    app.button(key="pacs_add_do").click().run()
    assert not app.exception
    (pacs,) = list_pacs(connection)
    assert (pacs.over_tls, pacs.place, pacs.authority) == (True, "pacs.example:2762", str(tmp_path / "ca.pem"))
    assert "DIMSE over TLS at `pacs.example:2762`" in said(app)
    app.button(key="pacs_test").click().run()
    assert "The authority is a PEM file with its certificate." in app.error[0].value


def test_a_search_shows_what_fits_and_the_chosen_study_becomes_a_job(
    open_page: OpenPage, project: Project, connection: sqlite3.Connection, settings: Settings, ward: None
) -> None:
    app = search(open_page("pacs", project=project.id), since=date(2020, 1, 1), until=date(2020, 1, 1), patient=PATIENT)
    assert not app.error
    (row,) = table(app)
    assert (row["modality"], row["patient"], row["patient's number"], row["images"]) == ("CT", "Doe Jane", PATIENT, 2)
    assert app.button(key="pacs_pull").disabled
    (searched,) = list_audit(connection, what="search pacs")
    assert searched.detail == {"keys": ["since", "until", "patient"], "found": 1}
    # The address tells nothing of the question.
    assert set(app.query_params) == {"project"}
    app.session_state["pacs_studies_1"] = {"selection": {"rows": [0], "columns": [], "cells": []}}
    app.run()
    app.button(key="pacs_pull").click().run()
    (job,) = list_jobs(connection, kinds=("pull",))
    kept = job.arguments["remove_after"]  # where what is odd waits
    assert Path(kept).is_relative_to(settings.home / "uploads")
    sealed = job.arguments["sealed"]
    assert job.arguments == {"project": project.id, "pacs": 1, "studies": 1, "sealed": sealed, "remove_after": kept}
    assert len(unseal(settings, job.arguments["sealed"]) or []) == 1
    assert app.query_params["job"] == str(job.id)
    assert "Doe" not in said(app)
    for text in (PATIENT, "Doe^Jane", "Doe Jane"):
        assert text not in "\n".join(connection.iterdump())


def test_what_does_not_fit_is_said_to_be_none(open_page: OpenPage, project: Project, ward: None) -> None:
    app = search(open_page("pacs", project=project.id), patient="9999")
    assert table(app) == []
    assert "has no study that fits" in said(app)


def test_what_goes_wrong_is_said_in_a_sentence(
    open_page: OpenPage, project: Project, connection: sqlite3.Connection, settings: Settings, actor: Actor
) -> None:
    add_pacs(connection, settings, Orthanc(free_port(), 1, 1).by_web(), ANNA, actor)
    app = search(open_page("pacs", project=project.id))
    assert "cannot be reached" in app.error[0].value
    app.button(key="pacs_test").click().run()
    assert "cannot be reached" in app.error[0].value


def test_who_may_import_searches_and_who_does_not_administer_changes_nothing(
    open_page: OpenPage, project: Project, connection: sqlite3.Connection, settings: Settings, actor: Actor, ward: None
) -> None:
    ben = ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "scientist", actor=actor)
    session.configure(settings, lambda _: ben)
    app = run_page("pacs", project=project.id)
    assert len(table(search(app))) == 1
    assert "Add a PACS" not in said(app)
    assert "Remove" not in said(app)


def test_a_search_that_was_open_when_the_role_went_asks_nothing(
    open_page: OpenPage, project: Project, connection: sqlite3.Connection, settings: Settings, actor: Actor, ward: None
) -> None:
    ben = ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "scientist", actor=actor)
    session.configure(settings, lambda _: ben)
    app = run_page("pacs", project=project.id)
    set_member(connection, project.id, "ben", "reader", actor=actor)
    app = search(app)
    assert "not open to you" in said(app)
    assert "pacs:found" not in app.session_state
    assert list_audit(connection, what="search pacs") == []


def test_without_any_a_scientist_is_told_what_to_do(
    open_page: OpenPage, project: Project, connection: sqlite3.Connection, settings: Settings, actor: Actor
) -> None:
    ben = ensure_user(connection, "ben")
    set_member(connection, project.id, "ben", "scientist", actor=actor)
    session.configure(settings, lambda _: ben)
    text = said(run_page("pacs", project=project.id))
    assert "No PACS is known yet" in text
    assert "Import files" in text
