"""What a command says when the job that it waited for has ended."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from core.cli import door as door_module
from core.cli.door import Door, wait_and_tell
from core.errors import CoreError
from core.jobs.records import Job, add_job, claim_job, finish_job, get_job
from core.settings import Settings
from core.store.audit import Actor
from core.store.files import Files

End = Callable[..., dict[str, Any]]


@pytest.fixture
def end(
    connection: sqlite3.Connection, settings: Settings, files: Files, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> End:
    """Wait for a training that ends as told."""

    def wait(state: Any, **outcome: Any) -> dict[str, Any]:
        job = add_job(connection, "train", {"run": 1}, actor=actor)
        running = claim_job(connection, "train", "cpu")
        assert running
        finish_job(connection, running, state, **outcome)

        def ended(settings: Settings, job_id: int, on_progress: Callable[[Job], None]) -> Job:
            found = get_job(connection, job_id)
            on_progress(found)
            return found

        monkeypatch.setattr(door_module, "wait_for_job", ended)
        return wait_and_tell(Door(settings, connection, files, actor), job)

    return wait


def test_a_stopped_training_gives_the_model_it_kept(end: End) -> None:
    assert end("stopped", result={"model": "m", "stopped": True}) == {"model": "m", "stopped": True}


def test_what_was_stopped_and_left_nothing_is_said(end: End) -> None:
    with pytest.raises(CoreError, match="was stopped"):
        end("stopped")


def test_a_failure_is_its_sentence_and_remedy(end: End) -> None:
    with pytest.raises(CoreError, match=r"^Too little memory. Take a smaller batch.$"):
        end("failed", error="Too little memory.", remedy="Take a smaller batch.")
