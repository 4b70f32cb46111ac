"""Erasing takes every trace of what it names, nothing of anybody else, and survives being killed half-way."""

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.datasets import loading
from core.datasets.freeze import export_snapshot, freeze_snapshot, import_snapshot
from core.datasets.records import get_snapshot, list_snapshot_cases
from core.datasets.splits import list_view
from core.erasing.erase import erase, finish_erasing
from core.erasing.plan import ErasurePlan, describe_plan, plan_erasure
from core.erasing.records import (
    OF_A_PROJECT,
    OF_CASES,
    add_files_to_erase,
    has_files_to_erase,
    mark_snapshots,
)
from core.erasing.traces import make_traces
from core.errors import Conflict, InvalidInput, NotAllowed, NotFound
from core.evaluation.drafts import set_assist_model
from core.evaluation.records import list_evaluations
from core.images import ingest, stored_image
from core.images.pseudonyms import load_secret, path_token, patient_name
from core.images.records import (
    NewCase,
    insert_case,
    list_cases,
    list_import_files,
    list_import_series,
    put_import_series,
)
from core.images.render import InputSpec
from core.jobs.records import add_job, get_job, list_jobs, request_stop
from core.jobs.worker import Worker
from core.labels.assignments import assign_cases
from core.labels.case_lists import add_case_list, get_case_list
from core.labels.marks import NewMark, add_mark
from core.labels.masks import put_mask
from core.labels.records import NewLabel, add_label, new_event
from core.labels.reference import set_reference_rule
from core.labels.schema import SchemaChange, change_schema
from core.people.accounts import ensure_user
from core.people.members import set_member
from core.progress import Silent
from core.projects.records import ReferenceRule, add_project, get_project, list_projects
from core.projects.schema import make_classification, make_segmentation
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor, list_audit, verify_audit
from core.store.backups import list_backups, record_backup
from core.store.database import opened
from core.store.files import Files
from core.store.numbers import Numbered, next_number
from core.training.device import CPU
from core.training.recipe import named_recipe
from core.training.records import add_model, add_run
from core.training.request import request_training

GONE, STAYS = "MUELLER-1947", "KOWALSKI-1962"
BOSS = Actor("operator", "command line")


def files_naming(home: Path, *needles: str) -> list[str]:
    """Every file of a home, its name included, that holds one of the texts."""
    wanted = [needle.encode() for needle in needles]
    found = []
    for path in home.rglob("*"):
        content = str(path.relative_to(home)).encode() + (path.read_bytes() if path.is_file() else b"")
        found += [f"{path.relative_to(home)}: {needle!r}" for needle in wanted if needle in content]
    return found


def traces_of(used: Any, connection: sqlite3.Connection, patient: str) -> list[str]:
    needles = [patient]
    for case in used.of(patient):
        needles += [case.source, case.pixel_hash, case.file_hash]
    needles += [row[0] for row in connection.execute("SELECT note FROM labels") if patient in row[0]]
    return needles + [row[0] for row in connection.execute("SELECT text FROM comments") if patient in row[0]]


def plan_patient(connection: sqlite3.Connection, files: Files, used: Any, patient: str = GONE) -> ErasurePlan:
    return plan_erasure(connection, files, used.project, patient=patient)


def test_no_byte_of_an_erased_patient_is_left_in_any_file_of_the_home(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    needles = traces_of(used, connection, GONE)
    assert len(needles) == 1 + 2 * 3 + 2 + 2
    before = "\n".join(files_naming(files.root, *needles))
    for needle in needles:
        assert repr(needle.encode()) in before, "a trace that was never there proves nothing"
    assert erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="asked for") is True
    assert files_naming(files.root, *needles) == []
    assert files_naming(files.root, STAYS), "the others are still there"


def test_erasing_a_patient_leaves_everybody_else_byte_for_byte(
    connection: sqlite3.Connection, files: Files, used: Any, bystanders: Callable[[str], str]
) -> None:
    before = bystanders(GONE)
    others = [case.pixel_hash for case in used.cases if case.patient != GONE]
    erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")
    assert bystanders(GONE) == before
    assert GONE not in {case.patient for case in list_cases(connection, used.project.id)}
    assert all(files.has("pixels", one) and files.has("thumbnails", one) for one in others)
    kept = [file for file in list_import_files(connection, used.job.id) if file.case is not None]
    assert len(kept) == len(others)


@pytest.mark.parametrize("patients", [(GONE,), (STAYS, GONE), ("ROSSI-1950", "OKAFOR-1933", "NGUYEN-1980")])
def test_what_is_derived_still_follows_from_the_labels_and_every_reference_leads_somewhere(
    connection: sqlite3.Connection, files: Files, used: Any, patients: tuple[str, ...]
) -> None:
    for patient in patients:
        erase(connection, files, plan_patient(connection, files, used, patient), actor=BOSS, reason="")
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1
    tables = ("current_labels", "reference_labels")
    before = [[tuple(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables]
    set_reference_rule(connection, used.project, ReferenceRule("reader", "ben"), BOSS)
    set_reference_rule(connection, used.project, used.project.reference_rule, BOSS)
    assert [[tuple(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in tables] == before
    assert connection.execute("SELECT count(*) FROM erasing").fetchone()[0] == 0
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM labels")
    assert verify_audit(connection).is_whole


def test_the_plan_counts_what_goes_and_names_what_stays(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    plan = plan_patient(connection, files, used)
    assert (len(plan.case_ids), plan.images, plan.images_kept) == (2, 2, 0)
    assert (plan.labels, plan.comments, plan.predictions, plan.overlays) == (4, 2, 2, 2)
    assert plan.readers == ("ben", "label table")
    assert (plan.prepared, plan.import_rows) == (1, 2)
    assert [(lost.name, lost.lost, lost.left) for lost in plan.snapshots] == [("first", 2, 10)]
    split = {case.case_id: case.split for case in list_snapshot_cases(connection, used.snapshot.id)}[plan.case_ids[0]]
    assert plan.models == (() if split == "test" else ("quick",))
    assert plan.evaluations == 1
    assert plan.logs == 1
    assert plan.jobs == 3


def test_models_that_learnt_a_patient_by_way_of_another_model_are_named(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    """Of a snapshot that tests on the patient: one began from weights that have learnt it, one learnt what these drew,
    one has nothing of it."""
    second = freeze_snapshot(
        connection, files, used.project, "second", ratios=(0.5, 0.25, 0.25), seed=1, actor=BOSS, progress=Silent()
    )
    splits = [
        {case.patient: case.split for case in list_snapshot_cases(connection, one.id)}
        for one in (used.snapshot, second)
    ]
    patient = next(one for one, split in splits[0].items() if split == "train" and splits[1][one] == "test")
    facts: dict[str, Any] = {"onnx_left_out_because": "", "parameters": 1, "file_bytes": 1, "facts": {}, "seconds": 1.0}
    for name, told in (("apart", {}), ("further", {"sources": {"start_from": {"hash": used.model.keras_hash}}})):
        run = add_run(
            connection, project=used.project.id, snapshot=second.id, recipe=named_recipe("cnn"), name=name, told=told,
            actor=BOSS,
        )  # fmt: skip
        add_model(connection, run, keras_hash=name, actor=BOSS, **facts)
    assert plan_patient(connection, files, used, patient).models == ("quick", "further")
    drawn = insert_case(
        connection,
        NewCase(
            project=used.project.id, source="synthetic/0.png", patient="synthetic 0", patient_from="none",
            pixel_hash="d" * 64, file_hash="d" * 64, perceptual_hash=None, rows=1, columns=1, channels=1, dtype="uint8",
            photometric="MONOCHROME2", imported_by="operator", synthetic={"model_hash": used.model.keras_hash},
        ),
    )  # fmt: skip
    connection.execute(
        """INSERT INTO snapshot_cases (snapshot, position, case_id, patient, split, value, labels, pixel_hash, linked)
           VALUES (?, 99, ?, 'synthetic 0', 'train', '{}', '[]', '', 99)""",
        (second.id, drawn.id),
    )
    plan = plan_patient(connection, files, used, patient)
    assert plan.models == ("quick", "apart", "further")
    assert plan.synthetic == 1
    assert any("1 synthetic image that such models drew" in said for said in describe_plan(plan)[1])
    assert plan_erasure(connection, files, used.project, case_ids=[drawn.id]).synthetic == 0


def test_a_fold_validates_on_the_same_cases_when_others_are_erased(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    """What is validation in a fold is dealt among all its cases: dealt anew, some that were learnt would be in it."""
    folded = freeze_snapshot(connection, files, used.project, "folded", folds=3, actor=BOSS, progress=Silent())
    add_run(
        connection, project=used.project.id, snapshot=folded.id, recipe=named_recipe("cnn"), fold=0, name="of a fold",
        actor=BOSS,
    )  # fmt: skip
    before = {case.case_id: case.split for case in list_view(connection, folded.id, 0)}
    for patient in {case.patient for case in used.cases if before[case.id] != "test"}:
        gone = {case.id for case in used.of(patient)}
        with opened(Settings(home=files.root)) as apart:  # each patient alone
            apart.execute("BEGIN")
            mark_snapshots(apart, sorted(gone), make_traces([], []))
            apart.execute("PRAGMA defer_foreign_keys = ON")
            apart.execute(
                "DELETE FROM snapshot_cases WHERE case_id IN (SELECT value FROM json_each(?))", (str(sorted(gone)),)
            )
            after = {case.case_id: case.split for case in list_view(apart, folded.id, 0)}
            apart.rollback()
        assert after == {case_id: split for case_id, split in before.items() if case_id not in gone}
    erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")
    after = {case.case_id: case.split for case in list_view(connection, folded.id, 0)}
    assert after == {case_id: before[case_id] for case_id in after}


def test_a_picture_that_another_project_shows_too_stays(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    other = add_project(
        connection, name="Twin", task="classification", schema=make_classification(["a", "b"]), actor=BOSS
    )
    mine = used.of(GONE)[0]
    told = {key: getattr(mine, key) for key in NewCase.__dataclass_fields__} | {"project": other.id}
    insert_case(connection, NewCase(**told))
    plan = plan_patient(connection, files, used)
    assert (plan.images, plan.images_kept, plan.also_in) == (1, 1, ("Twin",))
    erase(connection, files, plan, actor=BOSS, reason="")
    assert files.has("pixels", mine.pixel_hash)
    assert files.has("thumbnails", mine.pixel_hash)
    assert not files.has("pixels", used.of(GONE)[1].pixel_hash)


def test_one_case_goes_and_the_patient_stays(connection: sqlite3.Connection, files: Files, used: Any) -> None:
    first, second = used.of(GONE)
    plan = plan_erasure(connection, files, used.project, case_ids=[first.id])
    erase(connection, files, plan, actor=BOSS, reason="")
    assert [case.id for case in list_cases(connection, used.project.id) if case.patient == GONE] == [second.id]
    assert files_naming(files.root, first.source, first.pixel_hash) == []


def test_a_project_goes_with_everything_but_the_audit_and_the_numbers_of_its_jobs(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    needles = [needle for patient in (GONE, STAYS) for needle in traces_of(used, connection, patient)]
    keeps = add_project(
        connection, name="Keeps", task="classification", schema=make_classification(["a", "b"]), actor=BOSS
    )
    plan = plan_erasure(connection, files, used.project)
    assert (plan.runs, plan.models, len(plan.case_ids)) == (1, ("quick",), 12)
    erase(connection, files, plan, actor=BOSS, reason="closed")
    assert [project.id for project in list_projects(connection)] == [keeps.id]
    assert files_naming(files.root, *needles) == []
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    for rows in OF_A_PROJECT:
        table = rows.split()[0]
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0, table
    job = get_job(connection, used.job.id)
    assert (job.project, job.arguments, job.can_resume) == (None, {"erased": True}, False)
    assert not (files.root / "jobs" / str(used.job.id)).exists()
    assert list_audit(connection, what="erase project")[0].detail["reason"] == "closed"


def test_the_number_of_an_erased_project_is_never_given_again(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    erase(connection, files, plan_erasure(connection, files, used.project), actor=BOSS, reason="closed")
    asked = {"task": "classification", "schema": make_classification(["a", "b"]), "actor": BOSS}
    made = [add_project(connection, name=name, **asked).id for name in ("One", "Two")]
    assert made == [used.project.id + 1, used.project.id + 2]
    with pytest.raises(sqlite3.IntegrityError, match="was erased"):
        connection.execute(
            """INSERT INTO projects (id, name, task, label_schema, description, intended_use, reference_rule,
                                     created_at, created_by)
               SELECT ?, 'Again', task, label_schema, '', '', reference_rule, '', '' FROM projects LIMIT 1""",
            (used.project.id,),
        )


@pytest.mark.parametrize("table", ["runs", "models", "snapshots"])
def test_the_number_of_an_erased_run_model_or_snapshot_is_never_given_again(
    connection: sqlite3.Connection, files: Files, used: Any, table: Numbered
) -> None:
    """The audit says for ever that run 1 was asked for by somebody; another run 1 would be taken for it."""
    (highest,) = connection.execute(f"SELECT max(id) FROM {table}").fetchone()
    columns = [row["name"] for row in connection.execute(f"PRAGMA table_info({table})")]
    kept = dict(connection.execute(f"SELECT * FROM {table} WHERE id = ?", (highest,)).fetchone())
    assert next_number(connection, table) == highest + 1
    erase(connection, files, plan_erasure(connection, files, used.project), actor=BOSS, reason="closed")
    assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0
    assert next_number(connection, table) == highest + 1
    connection.execute("PRAGMA foreign_keys = OFF")
    with pytest.raises(sqlite3.IntegrityError, match="was erased"):
        connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            [kept[column] for column in columns],
        )


@pytest.mark.parametrize("whole", [False, True])
def test_what_a_backup_said_it_lacked_no_longer_names_an_erased_image(
    connection: sqlite3.Connection, files: Files, used: Any, whole: bool
) -> None:
    lost, other = used.of(GONE)[0].pixel_hash, "cd" * 32
    for pixel_hash in (lost, other):
        record_backup(
            connection, folder="/b", name="b", started_at="", finished_at="",
            error=f"The backup b is incomplete; mend what it names. Received: pixels {pixel_hash} is missing.",
        )  # fmt: skip
    plan = plan_erasure(connection, files, used.project, patient=None if whole else GONE)
    erase(connection, files, plan, actor=BOSS, reason="closed")
    stays, cleaned = (backup.error or "" for backup in list_backups(connection))
    assert other in stays
    assert cleaned == "(erased)"
    assert files_naming(files.root, lost) == []


def test_a_snapshot_that_lost_cases_says_so_and_is_neither_trained_on_nor_exported(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    exported = export_snapshot(connection, files, used.snapshot)
    erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")
    snapshot = get_snapshot(connection, used.project.id, "first")
    assert snapshot.loss == f"Incomplete since {snapshot.incomplete_since[:10]}: 2 cases were erased."
    assert snapshot.hash == used.snapshot.hash, "the hash stands for what was frozen"
    with pytest.raises(Conflict, match="2 cases were erased"):
        export_snapshot(connection, files, snapshot)
    with pytest.raises(Conflict, match="2 cases were erased"):
        import_snapshot(connection, files, used.project, exported, BOSS)
    with pytest.raises(Conflict, match="2 cases were erased"):
        request_training(connection, used.project, snapshot, named_recipe("resnet"), actor=BOSS)
    erase(connection, files, plan_patient(connection, files, used, STAYS), actor=BOSS, reason="")
    later = get_snapshot(connection, used.project.id, "first")
    assert (later.erased_cases, later.incomplete_since) == (4, snapshot.incomplete_since)


def test_an_evaluation_keeps_its_numbers_and_says_how_many_of_its_cases_are_gone(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    split = {case.patient: case.split for case in list_snapshot_cases(connection, used.snapshot.id)}[GONE]
    erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")
    found = {one.split: one.erased_cases for one in list_evaluations(connection, model_id=used.model.id)}
    assert found == {"train": 0, "validation": 0, "test": 0} | {split: 2}


@pytest.mark.parametrize(
    "kind", ["import", "train", "evaluate", "explain", "backup", "predict_cases", "drift", "gather_evidence"]
)
def test_nothing_is_erased_under_a_job_that_uses_it(
    connection: sqlite3.Connection, files: Files, used: Any, kind: str
) -> None:
    arguments = {
        "import": {"paths": ["/data"]},
        "train": {"run": used.model.run},
        "evaluate": {"model": used.model.id, "snapshot": used.snapshot.id, "split": "test"},
        "explain": {"case": used.of(GONE)[0].id},
        "backup": {},
        "predict_cases": {"model": used.model.id, "cases": [used.of(GONE)[0].id]},
        "drift": {"project": used.project.id},
        "gather_evidence": {"model": used.model.id, "methods": ["occlusion"], "split": "validation", "cases": 4},
    }[kind]
    job = add_job(connection, kind, arguments, actor=BOSS, project=None if kind == "backup" else used.project.id)
    plan = plan_patient(connection, files, used)
    with pytest.raises(Conflict, match=rf"job {job.id} \("):
        erase(connection, files, plan, actor=BOSS, reason="")
    assert len(list_cases_of(connection, used, GONE)) == 2
    assert not has_files_to_erase(connection)
    request_stop(connection, job.id, BOSS)
    assert erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")


def list_cases_of(connection: sqlite3.Connection, used: Any, patient: str) -> list[int]:
    return [case.id for case in list_cases(connection, used.project.id) if case.patient == patient]


def test_a_job_about_other_cases_does_not_stand_in_the_way(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    add_job(connection, "explain", {"case": used.of(STAYS)[0].id}, actor=BOSS, project=used.project.id)
    assert erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")
    assert len(list_jobs(connection, states=("queued",))) == 1


def test_what_came_in_since_the_plan_was_shown_is_not_erased_unseen(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    plan = plan_patient(connection, files, used)
    new = NewLabel(new_event(), plan.case_ids[0], "anna", {"classes": ["normal"]})
    add_label(connection, new, Actor("anna", "screen"))
    with pytest.raises(Conflict, match="meanwhile"):
        erase(connection, files, plan, actor=BOSS, reason="")


def test_the_number_of_an_erased_case_is_never_given_again_and_a_late_answer_to_it_is_refused(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    last = used.cases[-1]
    erase(connection, files, plan_erasure(connection, files, used.project, patient=last.patient), actor=BOSS, reason="")
    told = {key: getattr(used.cases[0], key) for key in NewCase.__dataclass_fields__} | {"source": "new.png"}
    assert insert_case(connection, NewCase(**told)).id == last.id + 1
    late = NewLabel(new_event(), last.id, "anna", {"classes": ["normal"]})
    with pytest.raises(NotFound, match=rf"deleted for good.*case {last.id}"):
        add_label(connection, late, Actor("anna", "screen"))
    with pytest.raises(sqlite3.IntegrityError, match="was erased"):
        connection.execute(
            """INSERT INTO cases SELECT ?, project, 'x', patient, patient_from, pixel_hash, file_hash, perceptual_hash,
               frames, rows, columns, channels, dtype, modality, view, photometric, spacing_mm, spacing_at, windows,
               attributes, given_split, flagged, imported_at, imported_by, slice_spacing_mm, affine, held, synthetic
               FROM cases LIMIT 1""",
            (last.id,),
        )


def test_who_may_erase(connection: sqlite3.Connection, files: Files, used: Any) -> None:
    for name, role in (("rita", "scientist"), ("paul", "admin")):
        ensure_user(connection, name)
        set_member(connection, used.project.id, name, role, actor=Actor("anna", "screen"))
    plan = plan_patient(connection, files, used)
    for name in ("rita", "nobody"):
        with pytest.raises(NotAllowed):
            erase(connection, files, plan, actor=Actor(name, "screen"), reason="")
    whole = plan_erasure(connection, files, used.project)
    with pytest.raises(NotAllowed):
        erase(connection, files, whole, actor=Actor("paul", "screen"), reason="")
    assert erase(connection, files, plan, actor=Actor("paul", "screen"), reason="")


def test_the_audit_tells_numbers_and_a_reason_that_names_nobody(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    plan = plan_patient(connection, files, used)
    with pytest.raises(InvalidInput, match="names and paths"):
        erase(connection, files, plan, actor=BOSS, reason=f"{GONE} asked us to")
    erase(connection, files, plan, actor=BOSS, reason="the patient asked us to")
    (row,) = list_audit(connection, what="erase")
    assert (row.what, row.who, row.subject) == ("erase patient", "operator", f"project {used.project.id}")
    assert row.detail["case_numbers"] == list(plan.case_ids)
    assert row.detail["labels"] == 4
    assert row.detail["reason"] == "the patient asked us to"


def test_the_queue_writes_no_path_into_the_audit(connection: sqlite3.Connection, used: Any) -> None:
    queued = list_audit(connection, what="queue import")[0].detail["arguments"]
    assert queued == {"project": used.project.id, "paths": 6}


def test_a_left_upload_with_an_erased_image_goes(
    connection: sqlite3.Connection, files: Files, used: Any, tmp_path: Path
) -> None:
    uploads = files.root / "uploads"
    image = (tmp_path / "clinic" / used.of(GONE)[0].source).read_bytes()
    for name, content in (("a/files/x.png", image), ("b/t.csv", f"path\n{GONE}/1.png\n".encode()), ("c/y.png", b"-")):
        (uploads / name).parent.mkdir(parents=True)
        (uploads / name).write_bytes(content)
    plan = plan_patient(connection, files, used)
    assert plan.uploads == 2
    erase(connection, files, plan, actor=BOSS, reason="")
    assert [path.name for path in uploads.rglob("*") if path.is_file()] == ["y.png"]


def test_what_a_pull_fetched_and_did_not_bring_in_goes_with_any_erasing(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    """Nobody can tell whose images those are; one that is still at it is waited for."""
    job = add_job(connection, "pull", {"sealed": "a" * 32}, project=used.project.id, actor=BOSS)
    imports = files.root / "imports"
    (imports / f"pull-{job.id}" / "F0").mkdir(parents=True)
    (imports / f"pull-{job.id}" / "F0" / "F1.dcm").write_bytes(b"a name")
    (imports / f"{'a' * 32}.sealed").write_bytes(b"its studies")
    (imports / f"refused-{used.project.id}.sealed").write_bytes(b"why files of the project were refused")
    with pytest.raises(Conflict, match="a pull from a PACS"):
        erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")
    request_stop(connection, job.id, BOSS)
    erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")
    assert not (imports / f"pull-{job.id}").exists()
    assert not (imports / f"{'a' * 32}.sealed").exists()
    assert not (imports / f"refused-{used.project.id}.sealed").exists()


def test_a_left_table_that_names_a_hidden_file_or_patient_goes(
    connection: sqlite3.Connection, files: Files, settings: Settings, used: Any
) -> None:
    secret = load_secret(settings)
    (case,) = used.of(GONE)[:1]
    with connection:  # as they are called in a project with de-identification
        connection.execute("UPDATE cases SET source = ? WHERE id = ?", (path_token(secret, "doe/x.png"), case.id))
        name = patient_name(secret, "4711")
        connection.execute("UPDATE cases SET patient = ? WHERE patient = ?", (name, GONE))
    uploads = files.root / "uploads"
    uploads.mkdir()
    (uploads / "by_file.csv").write_text("path,label\nother.png,a\ndoe/x.png,b\n")
    (uploads / "by_patient.csv").write_text("path;patient\nother.png;4711\n")
    (uploads / "of_others.csv").write_text("path,patient\nother.png,4712\n")
    plan = plan_patient(connection, files, used, name)
    assert plan.uploads == 2
    erase(connection, files, plan, actor=BOSS, reason="")
    assert [path.name for path in uploads.iterdir()] == ["of_others.csv"]


def test_a_job_whose_texts_were_cleaned_keeps_the_rest(connection: sqlite3.Connection, files: Files, used: Any) -> None:
    erase(connection, files, plan_patient(connection, files, used), actor=BOSS, reason="")
    job = get_job(connection, used.job.id)
    assert job.arguments["paths"].count("(erased)") == 1
    assert len(job.arguments["paths"]) == 6
    assert job.arguments["project"] == used.project.id
    assert job.state == "done"


def test_killed_between_rows_and_files_the_next_start_goes_on(
    connection: sqlite3.Connection, files: Files, settings: Settings, used: Any
) -> None:
    needles = traces_of(used, connection, GONE)
    script = f"""
import os, signal
from pathlib import Path
from core.erasing import erase as deed
from core.erasing.plan import plan_erasure
from core.projects.records import get_project
from core.settings import Settings
from core.store.audit import Actor
from core.store.database import opened
from core.store.files import Files
home = Path({str(settings.home)!r})
deed.finish_erasing = lambda files: os.kill(os.getpid(), signal.SIGKILL)
with opened(Settings(home)) as connection:
    plan = plan_erasure(connection, Files(home), get_project(connection, {used.project.id}), patient={GONE!r})
    deed.erase(connection, Files(home), plan, actor=Actor("operator", "command line"), reason="")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT_ROOT, check=False, timeout=280)
    assert done.returncode == -signal.SIGKILL
    assert list_cases_of(connection, used, GONE) == []
    assert all(files.has("pixels", case.pixel_hash) for case in used.of(GONE))
    connection.close()  # as everything that was killed
    assert finish_erasing(files) is True
    assert files_naming(files.root, *needles) == []
    with opened(settings) as after:
        assert not has_files_to_erase(after)


def test_pixels_that_came_back_before_the_list_was_worked_off_stay(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    case = used.of(STAYS)[0]
    add_files_to_erase(connection, [files.path("pixels", case.pixel_hash).relative_to(files.root).as_posix()])
    assert finish_erasing(files) is True
    assert files.has("pixels", case.pixel_hash)


def test_the_worker_works_off_what_an_erasing_left(
    connection: sqlite3.Connection, files: Files, settings: Settings
) -> None:
    left = files.path("pixels", "ab" * 32)
    left.parent.mkdir(parents=True)
    left.write_bytes(b"pixels of a case that is gone")
    add_files_to_erase(connection, [left.relative_to(files.root).as_posix()])
    worker = Worker(settings, devices=[CPU])
    worker.tick()
    worker.close()
    assert not left.exists()
    assert not has_files_to_erase(connection)


def test_pixels_that_go_while_their_file_is_imported_are_stored_again(
    connection: sqlite3.Connection, files: Files, used: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_of = stored_image.store_image

    def lose_once(*given: Any) -> Any:
        monkeypatch.setattr(stored_image, "store_image", stored_of)
        stored = stored_of(*given)
        given[0].keep()
        files.path("pixels", stored.pixel_hash).unlink()  # as an erasing in another project does
        return stored

    monkeypatch.setattr(stored_image, "store_image", lose_once)
    image = tmp_path / "late.png"
    Image.fromarray(np.random.default_rng(99).integers(0, 256, (24, 24), np.uint8)).save(image)
    ingest.import_paths(
        connection, files, Settings(files.root), used.project, [image], table=None, patient_from=None, job=9_999,
        actor=BOSS, on_case=lambda *_: None, progress=Silent(),
    )  # fmt: skip
    late = list(list_cases(connection, used.project.id))[-1]
    assert late.source == "late.png"
    assert files.has("pixels", late.pixel_hash)


def test_prepared_images_that_go_before_they_are_opened_are_made_again(
    connection: sqlite3.Connection, files: Files, used: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_touched", lambda target: True)  # it was there, and is gone at the next look
    cases = list_snapshot_cases(connection, used.snapshot.id)[:2]
    prepared = loading.prepare_images(connection, files, cases, InputSpec(16, 1, "stretch"), Silent())
    assert prepared.read([0, 1]).shape == (2, 16, 16, 1)


def test_a_reader_that_holds_the_log_open_delays_the_end_and_the_next_call_reaches_it(
    connection: sqlite3.Connection, files: Files, settings: Settings, used: Any
) -> None:
    with opened(settings) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM labels").fetchone()
        plan = plan_patient(connection, files, used)
        reader_sees = erase_quickly(connection, files, plan)
        assert reader_sees is False
        assert has_files_to_erase(connection)
        reader.execute("ROLLBACK")
    assert finish_erasing(files) is True
    assert not has_files_to_erase(connection)


def erase_quickly(connection: sqlite3.Connection, files: Files, plan: ErasurePlan) -> bool:
    return erase(connection, files, plan, actor=BOSS, reason="")


def test_what_imports_know_of_files_and_series_of_an_erased_patient_goes(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    gone, stays = used.of(GONE)[0], used.of(STAYS)[0]
    told = {number: {"folder": f"ct/{name}"} for number, name in enumerate((GONE, STAYS, "its series"), 1)}
    put_import_series(connection, used.job.id, told)
    connection.execute("UPDATE import_files SET series = 3 WHERE case_id = ?", (gone.id,))
    known = "SELECT count(*) FROM known_files WHERE case_id = ?"
    assert all(connection.execute(known, (case.id,)).fetchone()[0] for case in (gone, stays))
    erase_quickly(connection, files, plan_patient(connection, files, used))
    assert [number for number, _ in list_import_series(connection, used.job.id)] == [2]
    assert [connection.execute(known, (case.id,)).fetchone()[0] for case in (gone, stays)] == [0, 1]


def test_every_table_that_speaks_of_a_case_is_known_to_erasing(connection: sqlite3.Connection) -> None:
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    speaking = set()
    for table in tables:
        columns = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        parents = {row["table"] for row in connection.execute(f"PRAGMA foreign_key_list({table})")}
        if "case_id" in columns or "cases" in parents:
            speaking.add(table)
    assert speaking - {"erasing", "erased_cases"} == {table for table, _ in OF_CASES} - {"cases"}


def test_every_table_that_belongs_to_a_project_is_known_to_erasing(connection: sqlite3.Connection) -> None:
    known = {rows.split()[0] for rows in OF_A_PROJECT} | {table for table, _ in OF_CASES}
    tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = {row["name"] for row in connection.execute(f"PRAGMA table_info({table})")}
        if columns & {"project", "snapshot", "model", "run"} and table not in ("jobs", "erased_projects"):
            assert table in known, f"{table} belongs to a project and would outlive it"


def test_what_is_not_there_cannot_be_planned(connection: sqlite3.Connection, files: Files, used: Any) -> None:
    with pytest.raises(NotFound, match="There is no patient nobody"):
        plan_erasure(connection, files, used.project, patient="nobody")
    with pytest.raises(NotFound, match="There is no case 99"):
        plan_erasure(connection, files, used.project, case_ids=[99])


def test_what_was_drawn_painted_handed_out_and_listed_goes_with_its_case_and_nothing_else(
    connection: sqlite3.Connection, files: Files, used: Any
) -> None:
    actor = Actor("anna", "screen")
    ensure_user(connection, "anna")
    schema = make_segmentation(["liver"])
    painted = add_project(connection, name="Abdomen", task="segmentation", schema=schema, actor=actor)
    cases = []
    for old in used.cases[:2]:
        known = {**vars(old), "project": painted.id}
        cases.append(insert_case(connection, NewCase(**{key: known[key] for key in NewCase.__dataclass_fields__})))
    for case in cases:
        mask = np.ones((1, case.rows, case.columns), np.uint8)
        put_mask(connection, case, "liver", mask, actor, event=new_event())
        add_mark(connection, NewMark(new_event(), case.id, "anna", "m1", "point", {"x": 1, "y": 1}), actor)
        assign_cases(connection, painted, "anna", [case.id], actor=actor)
    kept = add_case_list(connection, painted, "both", [case.id for case in cases], actor=actor)
    change_schema(connection, painted, SchemaChange("add", "lesion"), actor)
    plan = plan_erasure(connection, files, painted, case_ids=[cases[0].id])
    assert "2 marks and strokes of the brush" in describe_plan(plan)[0]
    of_cases = ("marks", "mask_edits", "mask_frames", "current_masks", "assignments", "case_list_cases")
    erase(connection, files, plan, actor=actor, reason="")
    for table in of_cases:
        assert [row["case_id"] for row in connection.execute(f"SELECT case_id FROM {table}")] == [cases[1].id]
    assert get_case_list(connection, painted.id, kept.id).cases == 1
    now = get_project(connection, painted.id)
    erase(connection, files, plan_erasure(connection, files, now), actor=actor, reason="")
    for table in (*of_cases, "case_lists", "schema_changes"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] == 0


def test_a_project_with_a_model_for_drafts_goes_whole(connection: sqlite3.Connection, files: Files, used: Any) -> None:
    actor = Actor("anna", "screen")
    assisted = set_assist_model(connection, used.project, used.model.id, actor=actor)
    assert erase(connection, files, plan_erasure(connection, files, assisted), actor=actor, reason="")
    assert connection.execute("SELECT count(*) FROM models").fetchone()[0] == 0
