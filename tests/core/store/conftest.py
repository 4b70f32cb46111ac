"""A home that has everything a backup must carry."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from core.evaluation.records import add_evaluation, store_predictions
from core.images.pseudonyms import load_secret
from core.jobs.records import add_job, claim_job, finish_job
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.reviews.comments import add_comment
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files
from core.store.restore import NOTE
from core.training.recipe import named_recipe
from core.training.records import Model, add_epoch, add_model, add_run, get_run, set_onnx, start_run
from tests.core.conftest import Planted


@dataclass(frozen=True)
class FullHome:
    settings: Settings
    planted: Planted
    model: Model


@pytest.fixture
def full_home(
    settings: Settings, connection: sqlite3.Connection, files: Files, planted: Planted, actor: Actor
) -> FullHome:
    """40 labelled cases with thumbnails, a snapshot, a model with its numbers, people, a comment, two jobs."""
    load_secret(settings)
    (settings.home / "settings.toml").write_text('session_hours = 8\nbackup_folder = "/nowhere/backups"\n')
    ensure_user(connection, "ben")
    set_member(connection, planted.project.id, "ben", "reviewer", actor=Actor("anna", "command line"))
    for (pixel_hash,) in connection.execute("SELECT pixel_hash FROM cases").fetchall():
        files.put_under("thumbnails", pixel_hash, b"webp of " + pixel_hash.encode())
    run = add_run(
        connection, project=planted.project.id, snapshot=planted.snapshot.id, recipe=named_recipe("resnet"),
        name="quick", actor=Actor("anna", "command line"),
    )  # fmt: skip
    start_run(connection, run.id, device="cpu", environment={"python": "3.11"})
    add_epoch(connection, run.id, 1, {"epoch": 1, "loss": 0.5})
    model = add_model(
        connection, get_run(connection, run.id), keras_hash=files.put_bytes("models", b"weights"),
        onnx_left_out_because=None, parameters=10, file_bytes=7,
        facts={"classes": ["normal", "pneumonia"], "multi_label": False}, seconds=1.0,
        actor=Actor("anna", "command line"),
    )  # fmt: skip
    set_onnx(connection, model.id, files.put_bytes("models", b"exported"), None)
    case_id = next(iter(planted.masks))
    store_predictions(connection, model, planted.project.schema, {case_id: [0.2, 0.8]})  # type: ignore[arg-type]
    add_evaluation(
        connection, model_id=model.id, snapshot_id=planted.snapshot.id, split="test",
        result={"task": "classification", "metrics": {"accuracy": {"value": 0.5}}},
        actor=Actor("anna", "command line"),
    )  # fmt: skip
    add_comment(connection, case_id, "Look again.", actor=Actor("anna", "command line"), model=model.id)
    add_job(connection, "train", {"run": run.id}, project=planted.project.id, actor=Actor("anna", "command line"))
    add_job(connection, "explain", {"model": model.id}, project=planted.project.id, actor=Actor("anna", "command line"))
    explained = claim_job(connection, "explain", "cpu")
    assert explained is not None
    finish_job(connection, explained, "done", note="1 map", result={"explanation": "ab" * 32})
    return FullHome(settings, planted, model)


CHANGED_BY_A_RESTORE = ("state", "stop_requested", "note", "finished_at")
Listing = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def listing_of() -> Callable[[sqlite3.Connection], Listing]:
    """Every row of every table that a restore must bring back as it was."""

    def list_all(connection: sqlite3.Connection) -> Listing:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: list_rows(connection, name) for name in names if not name.startswith("sqlite_")}

    return list_all


def list_rows(connection: sqlite3.Connection, table: str) -> list[tuple[object, ...]]:
    """Of a job that had not ended, which a restored home stops, everything but how it stands."""
    rows = [dict(row) for row in connection.execute(f'SELECT * FROM "{table}"')]
    for row in rows:
        if table == "jobs" and (row["state"] in ("queued", "running") or row["note"] == NOTE):
            row.update(dict.fromkeys(CHANGED_BY_A_RESTORE))
    return sorted((tuple(row.values()) for row in rows), key=repr)
