"""The drift watch: new cases against those of the snapshot, from thirty on, and an alarm that says in what."""

from datetime import UTC, datetime, timedelta

import pytest

from core.datasets.freeze import freeze_snapshot
from core.datasets.records import list_snapshot_cases
from core.errors import InvalidInput
from core.evaluation.records import find_predictions
from core.jobs.drifting import DriftWatch
from core.jobs.records import list_jobs
from core.progress import Silent
from core.reviews.drift import LEAST_NEW, check_drift, count_missing, find_drift
from tests.core.evaluation.conftest import add_brightness_model, add_square, brightness_onnx

__all__ = ["add_brightness_model", "add_square", "brightness_onnx"]  # fixtures


@pytest.fixture
def production(connection, files, project, actor, add_square, add_brightness_model):
    """A model of 80 patients, half of whom are bright; it is in production since yesterday."""
    for k in range(80):
        add_square(project, f"{k}.png", f"p{k}", 190 if k % 2 else 60, ["pneumonia" if k % 2 else "normal"])
    snapshot = freeze_snapshot(
        connection, files, project, "first", ratios=(0.4, 0.45, 0.15), allow_leaks="squares look alike", actor=actor,
        progress=Silent(),
    )  # fmt: skip
    model = add_brightness_model(project, snapshot)
    with connection:
        connection.execute("UPDATE cases SET imported_at = '2020-01-01T00:00:00.000Z'")
        connection.execute(
            """INSERT INTO stages (project, model, stage, reason, by, at)
               VALUES (?, ?, 'production', '', 'anna', '2020-01-02T00:00:00.000Z')""",
            (project.id, model.id),
        )
    return model


def test_a_few_new_cases_say_too_few_yet(connection, files, project, production, add_square):
    for k in range(LEAST_NEW):  # so many images, of one patient less
        add_square(project, f"new-{k}.png", f"n{max(k, 1)}", 190, ["normal"])
    told = check_drift(connection, files, project.id, Silent())
    assert told["state"] == "too few"
    assert "29 of 30 patients" in told["sentence"]
    assert not find_drift(connection, project.id).alarms


def test_the_patients_still_missing_are_counted_once_each(connection, project, production, add_square):
    assert count_missing(connection, production) == LEAST_NEW
    for k in range(LEAST_NEW):
        add_square(project, f"new-{k}.png", f"n{max(k, 1)}", 190, ["normal"])
    assert count_missing(connection, production) == 1
    add_square(project, "last.png", "last", 190, ["normal"])
    assert count_missing(connection, production) == 0


def test_like_cases_are_steady_and_others_alarm(connection, files, project, production, add_square):
    for k in range(LEAST_NEW):
        add_square(project, f"new-{k}.png", f"n{k}", 190 if k % 2 else 60, ["normal"])
    told = check_drift(connection, files, project.id, Silent())
    assert (told["state"], told["n_new"]) == ("steady", LEAST_NEW)
    assert "score: pneumonia" in {one["name"] for one in told["quantities"]}
    for k in range(3 * LEAST_NEW):
        add_square(project, f"late-{k}.png", f"l{k}", 190, ["normal"])
    told = check_drift(connection, files, project.id, Silent())
    assert told["state"] == "drifted"
    loud = {one["name"] for one in told["quantities"] if one["alarms"]}
    assert {"score: pneumonia", "pixels: brightness"} <= loud
    assert "score: pneumonia" in told["sentence"]
    found = find_drift(connection, project.id)
    assert found.alarms
    assert found.told == told
    tested = [
        case.case_id
        for snapshot in connection.execute("SELECT id FROM snapshots").fetchall()
        for case in list_snapshot_cases(connection, snapshot["id"], split="test")
    ]
    assert tested
    assert not find_predictions(connection, production.id, tested)  # the test split is not read


def test_without_a_model_in_production_nothing_is_watched(connection, files, project):
    with pytest.raises(InvalidInput, match="in production"):
        check_drift(connection, files, project.id, Silent())
    assert find_drift(connection, project.id) is None


def test_a_check_is_queued_once_then_after_an_import_and_after_a_day(
    connection, files, project, production, add_square
):
    for k in range(LEAST_NEW):
        add_square(project, f"new-{k}.png", f"n{k}", 190 if k % 2 else 60, ["normal"])
    ticks = iter(range(0, 10_000, 100))

    def queued(after: timedelta = timedelta()) -> int:
        watch.tick(connection, datetime.now(UTC) + after)
        return len(list_jobs(connection, kinds=("drift",)))

    def end_all() -> None:
        with connection:
            connection.execute("UPDATE jobs SET state = 'done' WHERE kind = 'drift'")

    watch = DriftWatch(monotonic=lambda: next(ticks))
    assert queued() == 1
    assert queued() == 1  # it waits
    check_drift(connection, files, project.id, Silent())
    end_all()
    assert queued() == 1
    add_square(project, "new.png", "new", 60, ["normal"])
    assert queued() == 2
    end_all()
    check_drift(connection, files, project.id, Silent())
    assert queued() == 2
    assert queued(timedelta(days=1, hours=1)) == 3


def test_too_few_is_said_without_a_job_after_an_import_and_after_a_day(connection, project, production, add_square):
    ticks = iter(range(0, 10_000, 100))
    watch = DriftWatch(monotonic=lambda: next(ticks))

    def said(after: timedelta = timedelta()) -> str:
        watch.tick(connection, datetime.now(UTC) + after)
        assert not list_jobs(connection, kinds=("drift",))
        return find_drift(connection, project.id).told["sentence"]

    def count() -> int:
        return connection.execute("SELECT count(*) FROM drift_checks").fetchone()[0]

    assert "0 of 30 patients" in said()
    said()
    assert count() == 1
    add_square(project, "new.png", "new", 60, ["normal"])
    assert "1 of 30 patients" in said()
    said(timedelta(days=1, hours=1))
    assert count() == 3
