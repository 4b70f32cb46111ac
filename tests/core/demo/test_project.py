import shutil

import pytest

from core.datasets.records import find_snapshot, list_snapshot_cases
from core.demo.project import NAME, SNAPSHOT, ensure_demo
from core.demo.readers import EXPERIENCED, NODULE, READERS
from core.errors import Stopped
from core.images.records import list_cases
from core.jobs.context import JobContext
from core.jobs.handlers import HANDLERS
from core.jobs.records import list_jobs
from core.labels.marks import list_marks
from core.labels.records import current_labels
from core.people.accounts import ensure_user, get_user
from core.progress import Silent
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from core.training.records import add_model, list_runs

PATIENTS, FEW = 12, 6


@pytest.fixture(scope="module")
def demo_home(prepared_home, tmp_path_factory):
    """A home with the demo in it, made once: whoever asks for the demo there is given what is there."""
    home = shutil.copytree(prepared_home, tmp_path_factory.mktemp("demo") / "home")
    with opened(Settings(home=home)) as connection:
        ensure_user(connection, "anna", role="admin")
    ensure_demo(Settings(home=home), Actor("anna", "screen"), patients=PATIENTS)
    return home


@pytest.fixture
def settings(request, tmp_path, prepared_home):
    home = request.getfixturevalue("demo_home") if "demo" in request.fixturenames else prepared_home
    return Settings(home=shutil.copytree(home, tmp_path / "home"))


@pytest.fixture
def demo(settings, actor):
    return ensure_demo(settings, actor, patients=PATIENTS)


def test_the_demo_is_labelled_frozen_and_its_training_is_in_the_queue(connection, demo):
    cases = list(list_cases(connection, demo.id))
    assert len({case.patient for case in cases}) == PATIENTS < len(cases)
    assert all(case.modality == "DX" and case.patient_from == "dicom" for case in cases)
    assert {"site", "scanner"} <= set(cases[0].attributes)
    for case in cases:
        labels = current_labels(connection, case.id)
        assert sorted(label.reader for label in labels) == sorted(reader.name for reader in READERS)
        assert {label.made_in for label in labels} == {"demo"}
    assert all(get_user(connection, reader.name).kind == "simulated" for reader in READERS)
    snapshot = find_snapshot(connection, demo.id, SNAPSHOT)
    frozen = list_snapshot_cases(connection, snapshot.id)
    assert len(frozen) == len(cases)
    assert {case.split for case in frozen} == {"train", "validation", "test"}
    [job] = list_jobs(connection, project=demo.id)
    [run] = list_runs(connection, demo.id)
    assert (job.kind, job.arguments) == ("train", {"run": run.id, "evaluate": "test"})


def test_the_reference_is_the_experienced_readers_answer(connection, demo):
    snapshot = find_snapshot(connection, demo.id, SNAPSHOT)
    for case in list_snapshot_cases(connection, snapshot.id):
        [label] = [label for label in current_labels(connection, case.case_id) if label.reader == EXPERIENCED.name]
        assert (case.value, case.label_ids) == (label.value, (label.id,))
        marks = list_marks(connection, case.case_id)  # a box around each nodule that this reader has seen
        assert {mark.reader for mark in marks} <= {EXPERIENCED.name}
        assert not marks or label.value == {"classes": [NODULE]}
        assert all(8 < mark.geometry["width"] < 200 for mark in marks)
    assert connection.execute("SELECT count(*) FROM marks").fetchone()[0] > 3


def test_asking_twice_makes_nothing_twice(connection, settings, demo, actor):
    tables = ("projects", "cases", "labels", "marks", "snapshots", "runs", "jobs", "users")
    before = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    assert ensure_demo(settings, actor, patients=PATIENTS) == demo
    assert [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables] == before


def test_a_demo_that_was_cut_off_is_finished_at_the_next_start(connection, settings, actor):
    class CutOff(Silent):
        """Asks to stop when some of the images are in."""

        def should_stop(self) -> bool:
            return connection.execute("SELECT count(*) FROM cases").fetchone()[0] >= 5

    with pytest.raises(Stopped):
        ensure_demo(settings, actor, patients=FEW, progress=CutOff())
    assert connection.execute("SELECT count(*) FROM snapshots").fetchone()[0] == 0
    project = ensure_demo(settings, actor, patients=FEW)
    cases = list(list_cases(connection, project.id))
    assert len(cases) > 5
    assert project.name == NAME
    assert len({case.source for case in cases}) == len(cases)
    labels = connection.execute("SELECT count(*) FROM labels").fetchone()[0]
    assert labels == 2 * len(cases)


def test_the_demos_training_is_followed_by_one_evaluation(
    connection, settings, files, demo, actor, tmp_path, monkeypatch
):
    """Also when the worker was killed after it had asked for the evaluation, and the job ran again."""
    [job], [run] = list_jobs(connection, project=demo.id), list_runs(connection, demo.id)
    made = add_model(
        connection, run, keras_hash="0" * 64, onnx_left_out_because=None, parameters=1, file_bytes=1,
        facts={}, seconds=1.0, actor=actor,
    )  # fmt: skip
    monkeypatch.setattr("core.training.run.run_training", lambda *_: {"model_id": made.id, "model": made.name})
    monkeypatch.setattr("core.explain.run.check_explanations", lambda *_: made)
    for _ in range(2):
        HANDLERS["train"](JobContext(connection, files, settings, job, tmp_path, "cpu", actor, Silent()))
    [asked] = list_jobs(connection, project=demo.id, kinds=["evaluate"])
    assert asked.arguments == {"model": made.id, "snapshot": run.snapshot, "split": "test"}
