"""A model's file is handed out as it was stored, and the audit knows of every time."""

import sqlite3

import pytest
from starlette.testclient import TestClient

from core.errors import NotFound
from core.projects.records import Project
from core.store.audit import list_audit
from core.store.files import Files
from core.training.records import Model
from dashboard.routes import models

ADDRESS = "/api/v1/models/5/model.keras"


@pytest.fixture(autouse=True)
def model(project: Project, files: Files, monkeypatch: pytest.MonkeyPatch) -> Model:
    """Model 5, with its Keras file and without an ONNX file."""
    stored = files.put_bytes("models", b"weights")
    made = Model(5, project.id, 1, "resnet 1", stored, None, "it needs too much memory", 10, 20, {}, "2026-11-22")

    def get_model(connection: sqlite3.Connection, project_id: int | None, name_or_id: int) -> Model:
        if name_or_id != made.id:
            raise NotFound("model", name_or_id)
        return made

    monkeypatch.setattr(models, "get_model", get_model)
    return made


def test_a_model_is_downloaded_under_its_name(client: TestClient) -> None:
    answer = client.get(ADDRESS)
    assert answer.content == b"weights"
    assert 'filename="resnet_1.keras"' in answer.headers["content-disposition"]
    assert answer.headers["content-encoding"] == "identity"


def test_a_form_that_was_left_out_says_why(client: TestClient) -> None:
    answer = client.get(ADDRESS.replace("keras", "onnx"))
    assert answer.status_code == 404
    assert "too much memory" in answer.json()["reason"]


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=2-"}])
def test_an_altered_model_is_named_and_not_handed_out(
    client: TestClient, model: Model, files: Files, connection: sqlite3.Connection, headers: dict[str, str]
) -> None:
    files.path("models", model.keras_hash).write_bytes(b"weighty")
    answer = client.get(ADDRESS, headers=headers)
    assert answer.status_code == 500
    assert f"altered on disk; restore it from a backup. Received: models {model.keras_hash}" in answer.json()["reason"]
    assert list_audit(connection, what="export model") == []


def test_a_missing_model_file_is_named(client: TestClient, model: Model, files: Files) -> None:
    files.path("models", model.keras_hash).unlink()
    answer = client.get(ADDRESS)
    assert answer.status_code == 404
    assert answer.json()["reason"] == f"There is no file in models {model.keras_hash}."


@pytest.mark.parametrize("part", ["bytes=1-", "bytes=-7", "bytes=0-3"])
def test_a_part_of_a_model_is_audited_as_all_of_it_is(
    client: TestClient, connection: sqlite3.Connection, part: str
) -> None:
    assert client.get(ADDRESS).status_code == 200
    assert client.get(ADDRESS, headers={"Range": part}).status_code == 206
    told = [row.detail.get("range") for row in list_audit(connection, what="export model")]
    assert sorted(told, key=str) == sorted([None, part], key=str)
