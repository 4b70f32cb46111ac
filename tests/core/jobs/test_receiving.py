"""Modalities send to the receiver, a process of its own: what it took is on disk, and is imported once it is quiet."""

import re
import signal
import sqlite3
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pynetdicom import AE

from bench.server import free_port
from core.images import sealed_paths
from core.images.pacs.landing import Landing
from core.images.pacs.receiver import Sockets, Spool
from core.images.pseudonyms import load_secret
from core.images.records import list_cases, list_import_files
from core.jobs import abandoned
from core.jobs.asking import ask_import_again, throw_upload_away
from core.jobs.child import HANDLERS, run_job
from core.jobs.context import job_folder
from core.jobs.receiving import queue_left, queue_study
from core.jobs.records import Job, claim_job, get_job, list_jobs
from core.jobs.undecided import list_waiting
from core.projects.records import Project
from core.settings import PROJECT_ROOT, Settings
from core.store.audit import Actor, list_audit
from core.store.files import Files
from tests.core.images.drawn_dicom import write_series
from tests.dashboard.certificates import make_certificate

SHELL = Actor("root", "command line")
QUIET_SECONDS = 0.3
PATIENCE_SECONDS = 150


@pytest.fixture
def sent(tmp_path: Path) -> list[Path]:
    write_series(tmp_path / "sent", [0.0, 1.0, 2.0], patient="PATIENT-4711")
    return sorted((tmp_path / "sent").iterdir())


@pytest.fixture
def start(settings: Settings, project: Project) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Start a receiver on a port, and wait until it listens."""
    started: list[subprocess.Popen[str]] = []

    def run(port: int) -> subprocess.Popen[str]:
        words = [sys.executable, "-m", "core.jobs.receiving", "--home", str(settings.home), "--project",
                 str(project.id), "--from", "CT1", "--from", "CT 2", "--port", str(port), "--quiet",
                 str(QUIET_SECONDS)]  # fmt: skip
        process = subprocess.Popen(words, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert "READROOM listens on 127.0.0.1" in process.stdout.readline()
        return process

    yield run
    for process in started:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_SECONDS)
        assert process.stdout is not None
        process.stdout.close()


def send(
    port: int, files: list[Path], *, caller: str = "CT1", called: str = "READROOM", authority: Path | None = None
) -> list[int]:
    """C-STORE; the statuses, none where the association was refused."""
    sets = [dcmread(file) for file in files]
    entity = AE(ae_title=caller)
    entity.add_requested_context(str(sets[0].SOPClassUID))
    entity.add_requested_context("1.2.840.10008.1.1")
    tls = (ssl.create_default_context(cafile=authority), "127.0.0.1") if authority else None
    sockets = Sockets()
    association = entity.associate("127.0.0.1", port, ae_title=called, tls_args=tls, evt_handlers=sockets.handlers())
    if not association.is_established:
        sockets.close()
        return []
    assert association.send_c_echo().Status == 0
    told = [int(association.send_c_store(one).Status) for one in sets]
    association.release()
    return told


def wait_for_job(connection: sqlite3.Connection) -> Job:
    until = time.monotonic() + PATIENCE_SECONDS
    while not (jobs := list_jobs(connection, kinds=("import",))):
        assert time.monotonic() < until
        time.sleep(0.05)
    return jobs[0]


def do(connection: sqlite3.Connection, settings: Settings) -> Job:
    claimed = claim_job(connection, "work", "cpu")
    assert claimed is not None
    job_folder(settings, claimed.id).mkdir(parents=True, exist_ok=True)
    run_job(settings, claimed, HANDLERS)
    return get_job(connection, claimed.id)


def test_what_a_modality_sends_becomes_a_case(
    connection: sqlite3.Connection, settings: Settings, files: Files, project: Project, sent: list[Path],
    start: Callable[[int], subprocess.Popen[str]],
) -> None:  # fmt: skip
    port = free_port()
    process = start(port)
    # Who is not on the list, or calls somebody else, is not let in.
    assert send(port, sent, caller="STRANGER") == []
    assert send(port, sent, called="ANYBODY") == []
    assert send(port, sent, caller="CT 2") == [0, 0, 0]
    job = wait_for_job(connection)
    assert process.stdout is not None
    assert re.fullmatch(rf"A study came in; job {job.id} imports it\.\n", process.stdout.readline())
    done = do(connection, settings)
    assert done.state == "done", done.error
    (case,) = list_cases(connection, project.id)
    expected = np.stack([one.pixel_array for one in sorted(map(dcmread, sent), key=lambda one: one.InstanceNumber)])
    assert np.array_equal(files.read_array("pixels", case.pixel_hash), expected)
    uids = [str(dcmread(sent[0]).get(name)) for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
    for path in settings.home.rglob("*"):
        assert not any(uid in str(path) for uid in uids)
        content = path.read_bytes() if path.is_file() else b""
        assert not any(text.encode() in content for text in (*uids, "Doe^Jane", "PATIENT-4711")), path


def test_a_modality_sends_over_tls(
    connection: sqlite3.Connection, settings: Settings, project: Project, sent: list[Path], tmp_path: Path
) -> None:
    made = make_certificate(tmp_path / "tls", names="IP:127.0.0.1")
    port = free_port()
    words = ["--project", str(project.id), "--from", "CT1", "--port", str(port), "--quiet", str(QUIET_SECONDS),
             "--tls-cert", str(made.path), "--tls-key", str(made.key)]  # fmt: skip
    words = [sys.executable, "-m", "core.jobs.receiving", "--home", str(settings.home), *words]
    with subprocess.Popen(words, cwd=PROJECT_ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"READROOM listens on 127.0.0.1, port {port}, over TLS, for CT1.\n"
        assert send(port, sent) == [], "without TLS nobody is let in"
        assert send(port, sent, authority=made.path) == [0, 0, 0]
        job = wait_for_job(connection)
        process.send_signal(signal.SIGTERM)
    assert do(connection, settings).id == job.id
    assert [case.frames for case in list_cases(connection, project.id)] == [3]


def test_a_receiver_that_is_killed_loses_nothing_that_it_took(
    connection: sqlite3.Connection, settings: Settings, project: Project, sent: list[Path],
    start: Callable[[int], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setitem(globals(), "QUIET_SECONDS", 60.0)
    for some in (sent[:2], sent[2:]):
        port = free_port()
        killed = start(port)
        assert send(port, some) == [0] * len(some)
        killed.kill()
        killed.wait(PATIENCE_SECONDS)
    assert list_jobs(connection) == []
    monkeypatch.setitem(globals(), "QUIET_SECONDS", 0.3)
    start(free_port())
    wait_for_job(connection)
    assert do(connection, settings).state == "done"
    (case,) = list_cases(connection, project.id)
    assert case.frames == 3


def test_what_a_modality_sends_and_is_odd_waits_however_long_until_somebody_decides(
    connection: sqlite3.Connection, settings: Settings, project: Project, spool: Spool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    write_series(tmp_path / "gap", [0.0, 1.0, 2.0, 4.0, 5.0, 6.0])
    fill(spool, sorted((tmp_path / "gap").iterdir()))
    (study,) = spool.heard
    queue_study(connection, settings, project, study, SHELL)
    job = do(connection, settings)
    assert job.result is not None, job.error
    assert (job.result["imported"], job.result["waiting"]) == (0, 6)
    assert list_audit(connection, what="import")[0].detail["waiting"] == 6
    assert list(list_cases(connection, project.id)) == []
    reasons = " ".join(row.reason for row in list_import_files(connection, job.id))
    assert "Slice 4 is missing between z = 2 and 4 mm." in reasons
    # Longer than an upload of a browser stays, and longer than paths are kept: a modality does not send twice.
    monkeypatch.setattr(abandoned, "ABANDONED_SECONDS", -1)
    monkeypatch.setattr(sealed_paths, "SECONDS_PER_DAY", 0)
    assert abandoned.remove_abandoned_uploads(settings) == 0
    assert [one.id for one in list_waiting(connection, settings, project.id)] == [job.id]
    assert queue_left(connection, settings, project, SHELL) == []
    ask_import_again(connection, settings, job, "waiting", actor=SHELL)
    assert list_waiting(connection, settings, project.id) == []
    monkeypatch.setattr(sealed_paths, "SECONDS_PER_DAY", 86_400)
    brought = do(connection, settings)
    assert brought.result is not None, brought.error
    assert (brought.result["imported"], brought.result["cases"], brought.result["failed"]) == (6, 1, 0)
    assert list((settings.home / "uploads").iterdir()) == []


def test_leaving_out_what_a_modality_sent_is_audited(
    connection: sqlite3.Connection, settings: Settings, project: Project, spool: Spool, tmp_path: Path
) -> None:
    write_series(tmp_path / "gap", [0.0, 1.0, 2.0, 4.0, 5.0, 6.0])
    fill(spool, sorted((tmp_path / "gap").iterdir()))
    (study,) = spool.heard
    queue_study(connection, settings, project, study, SHELL)
    job = do(connection, settings)
    throw_upload_away(connection, settings, job, SHELL)
    assert list_waiting(connection, settings, project.id) == []
    assert list_audit(connection, what="throw an upload away")[0].detail == {"job": job.id, "waiting": 6}


# ---- the spool


@pytest.fixture
def spool(settings: Settings, project: Project) -> Spool:
    return Spool(Landing(settings.home / "spool" / str(project.id), load_secret(settings)))


def fill(spool: Spool, sent: list[Path]) -> None:
    for path in sent:
        assert spool.keep(str(dcmread(path).SOPInstanceUID), path.read_bytes()) == 0


def test_a_study_waits_until_nothing_more_comes_and_longer_while_its_sender_is_connected(
    spool: Spool, sent: list[Path]
) -> None:
    fill(spool, sent)
    assert spool.quiet(5.0, connected=False) == []
    (study,) = spool.heard
    spool.heard[study] -= 6.0
    assert spool.quiet(5.0, connected=True) == []
    assert spool.quiet(5.0, connected=False) == [study]
    spool.heard[study] -= 60.0
    assert spool.quiet(5.0, connected=True) == [study]


def test_what_is_no_dicom_or_has_no_numbers_is_refused_to_its_sender(spool: Spool, sent: list[Path]) -> None:
    assert spool.keep("1.2.3", b"no DICOM at all") == 0xC000
    assert spool.keep("../../1", sent[0].read_bytes()) == 0xC000
    assert spool.heard == {}


def test_a_full_disk_is_told_to_the_sender_who_keeps_the_file(
    spool: Spool, sent: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.images.pacs.landing.os.fsync", full)
    assert spool.keep(str(dcmread(sent[0]).SOPInstanceUID), sent[0].read_bytes()) == 0xA700
    assert [path for path in spool.landing.folder.rglob("*") if path.is_file()] == []


def test_a_study_whose_job_a_full_disk_did_not_take_waits_in_the_spool(
    connection: sqlite3.Connection, settings: Settings, project: Project, spool: Spool, sent: list[Path]
) -> None:
    """The commit tells of it, after the folder was moved: the study lay without a job until the next start."""
    for file in sent:
        spool.keep(dcmread(file).SOPInstanceUID, file.read_bytes())
    (study,) = spool.landing.folder.iterdir()
    before = sorted(path.name for path in study.rglob("*"))
    connection.execute("CREATE TABLE held (job INTEGER REFERENCES jobs DEFERRABLE INITIALLY DEFERRED)")
    connection.execute("CREATE TRIGGER refuse AFTER INSERT ON jobs BEGIN INSERT INTO held VALUES (0); END")
    with pytest.raises(sqlite3.IntegrityError):  # as a full disk, when it commits
        queue_study(connection, settings, project, study, SHELL)
    assert sorted(path.name for path in study.rglob("*")) == before
    assert queue_left(connection, settings, project, SHELL) == []
    connection.execute("DROP TRIGGER refuse")
    job = queue_study(connection, settings, project, study, SHELL)
    assert [one.id for one in list_jobs(connection)] == [job.id]
    assert not study.exists()


def test_a_study_that_a_kill_left_without_a_job_gets_one_and_only_one(
    connection: sqlite3.Connection, settings: Settings, project: Project, spool: Spool, sent: list[Path]
) -> None:
    fill(spool, sent)
    (study,) = spool.heard
    (study / "F0123456789abcdef").mkdir()
    (study / "F0123456789abcdef" / "F0123456789abcdef.part").write_bytes(b"half a file")
    job = queue_study(connection, settings, project, study, SHELL)
    assert queue_left(connection, settings, project, SHELL) == []
    upload = Path(job.arguments["remove_after"])
    assert not list(upload.rglob("*.part"))
    assert len(list((upload / "files" / study.name).glob("*/*.dcm"))) == 3
    moved = upload.with_name(upload.name[:-1] + "x")
    upload.replace(moved)
    (left,) = queue_left(connection, settings, project, SHELL)
    assert left.arguments["remove_after"] == str(moved)
    assert queue_left(connection, settings, project, SHELL) == []
