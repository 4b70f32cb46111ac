"""Runs and models as rows."""

from pathlib import Path

import pytest

from core.errors import Conflict, InvalidInput, NotFound
from core.jobs.kinds import KINDS
from core.training.checkpoint import NAME
from core.training.recipe import Recipe
from core.training.records import (
    Run,
    add_model,
    add_run,
    get_model,
    get_run,
    list_models,
    list_runs,
    set_model_fact,
    set_onnx,
    set_run_job,
    start_run,
)


@pytest.fixture
def request_run(connection, planted, actor):
    def make(name: str | None = None) -> Run:
        return add_run(
            connection,
            project=planted.project.id,
            snapshot=planted.snapshot.id,
            recipe=Recipe(),
            name=name,
            actor=actor,
        )

    return make


@pytest.fixture
def leave(connection, actor):
    def make(run: Run):
        return add_model(
            connection, run, keras_hash="a" * 64, onnx_left_out_because="not yet", parameters=3, file_bytes=4,
            facts={"classes": ["x"]}, seconds=1.5, actor=actor,
        )  # fmt: skip

    return make


def test_runs_without_a_name_are_numbered(request_run) -> None:
    assert [request_run().name, request_run("resnet 3").name, request_run().name] == [
        "resnet 1",
        "resnet 3",
        "resnet 4",
    ]


@pytest.mark.parametrize("name", ["", "  ", "12"])
def test_a_name_that_could_be_a_number_is_refused(request_run, name: str) -> None:
    with pytest.raises(InvalidInput):
        request_run(name)


def test_a_run_says_where_it_ran(connection, request_run) -> None:
    run = request_run()
    start_run(connection, run.id, device="gpu:1", environment={"cores": 2})
    found = get_run(connection, run.id)
    assert (found.device, found.environment, found.finished_at) == ("gpu:1", {"cores": 2}, None)


def test_a_run_names_its_job(connection, request_run) -> None:
    run = request_run()
    connection.execute(
        "INSERT INTO jobs (id, kind, lane, arguments, state, created_at, created_by) "
        "VALUES (7, 'train', 'train', '{}', 'queued', '', '')"
    )
    set_run_job(connection, run.id, 7)
    assert get_run(connection, run.id).job == 7


def test_a_model_closes_its_run(connection, planted, request_run, leave) -> None:
    run = request_run("mine")
    model = leave(run)
    assert get_run(connection, run.id).seconds == 1.5
    assert get_run(connection, run.id).finished_at == model.created_at
    assert get_model(connection, planted.project.id, "mine") == model
    assert get_model(connection, None, model.id) == model
    assert get_model(connection, planted.project.id, str(model.id)) == model
    with pytest.raises(Conflict, match="has left a model already"):
        leave(run)


def test_the_newest_come_first(connection, planted, request_run, leave) -> None:
    first, second = request_run("a"), request_run("b")
    leave(first)
    leave(second)
    assert [run.name for run in list_runs(connection, planted.project.id)] == ["b", "a"]
    assert [model.name for model in list_models(connection, planted.project.id)] == ["b", "a"]


def test_a_model_of_another_project_is_not_found(connection, planted, request_run, leave) -> None:
    model = leave(request_run())
    for project, name in ((99, model.id), (planted.project.id, "nobody"), (None, "nobody"), (None, 99)):
        with pytest.raises(NotFound):
            get_model(connection, project, name)
    with pytest.raises(NotFound):
        get_run(connection, 99)


def test_facts_and_files_may_come_later(connection, request_run, leave) -> None:
    model = leave(request_run())
    set_onnx(connection, model.id, "b" * 64, None)
    set_model_fact(connection, model.id, "explanations", {"layer": "stage_1"})
    found = get_model(connection, None, model.id)
    assert (found.onnx_hash, found.onnx_left_out_because) == ("b" * 64, None)
    assert found.facts == {"classes": ["x"], "explanations": {"layer": "stage_1"}}
    with pytest.raises(NotFound):
        set_model_fact(connection, 99, "a", 1)


def test_a_run_has_kept_something_once_there_is_a_checkpoint_or_a_model(
    connection, request_run, leave, tmp_path: Path
) -> None:
    """Killed before, the job is not begun anew by itself: `core.jobs.worker`."""
    looks = KINDS["train"].has_kept
    assert looks is not None
    run = request_run()
    assert not looks(connection, tmp_path, {"run": run.id})
    (tmp_path / NAME).touch()
    assert looks(connection, tmp_path, {"run": run.id})
    (tmp_path / NAME).unlink()
    leave(run)
    assert looks(connection, tmp_path, {"run": run.id})
    assert not looks(connection, tmp_path, {"run": request_run().id})
