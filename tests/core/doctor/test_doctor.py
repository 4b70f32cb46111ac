"""What the doctor finds: each thing broken on purpose, named, with the remedy."""

import json
import os
import re
import shutil
import socket
import sqlite3
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.clock import utc_text
from core.doctor import Finding, examine, examine_gpu, home, machine, service
from core.images.records import Case
from core.jobs.worker import beat, beat_path, worker_lock_path
from core.settings import Settings
from core.store.audit import Actor, add_audit
from core.store.backups import record_backup
from core.store.files import Files
from core.store.locks import take_lock
from tests.dashboard.certificates import make_certificate

MakeCase = Callable[..., Case]


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine(settings)}


def test_a_healthy_home_has_findings_that_say_something(settings: Settings) -> None:
    findings = found(settings)
    for subject in ("home", "permissions", "database", "leftovers", "audit", "stored files", "clock", "Python"):
        assert findings[subject].works, findings[subject]
    assert all(finding.said for finding in findings.values())
    assert all(finding.mend for finding in findings.values() if not finding.works)


def test_progress_reaches_the_end(settings: Settings) -> None:
    told = []

    class Listening:
        def report(self, fraction: float, note: str, **facts: object) -> None:
            told.append(fraction)

        def should_stop(self) -> bool:
            return False

    examine(settings, progress=Listening())
    assert told == sorted(told)
    assert told[-1] == 0.9


def test_a_worker_that_does_not_run_is_said_with_the_remedy(settings: Settings) -> None:
    finding = service.look_at_worker(settings)
    assert not finding.works
    assert "readroom up" in finding.mend


def test_a_worker_that_hangs_is_told_from_one_that_runs(settings: Settings) -> None:
    lock = take_lock(worker_lock_path(settings))
    assert lock is not None
    try:
        beat(settings)
        assert service.look_at_worker(settings).works
        old = beat_path(settings).stat().st_mtime - 600
        os.utime(beat_path(settings), (old, old))
        assert "has not stirred for 60" in service.look_at_worker(settings).said
        beat(settings)
        assert service.look_at_worker(settings).works
    finally:
        lock.release()


def test_a_home_that_others_can_read_is_said_with_the_files_open_to_them(settings: Settings) -> None:
    settings.home.chmod(0o755)
    secret = settings.home / "secret.key"
    secret.write_text("x")
    secret.chmod(0o644)
    finding = home.look_at_permissions(settings)
    assert not finding.works
    assert "secret.key" in finding.said
    assert "chmod 700" in finding.mend


def test_a_broken_database_is_said_and_the_rest_is_still_looked_at(settings: Settings) -> None:
    settings.database_path.write_bytes(b"SQLite format 3\x00" + b"rubbish" * 200)
    findings = found(settings)
    assert not findings["database"].works
    assert "backup" in findings["database"].mend
    assert not findings["audit"].works
    assert findings["disk"].said


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    findings = found(Settings(home=tmp_path / "file" / "home"))
    assert not findings["home"].works
    assert not findings["database"].works


def test_a_file_left_half_written_is_named_once_it_is_old(settings: Settings) -> None:
    part = settings.home / "pixels" / "ab" / "tmp1.part"
    part.parent.mkdir(parents=True)
    part.touch()
    assert home.look_at_leftovers(settings).works
    os.utime(part, (0, 0))
    finding = home.look_at_leftovers(settings)
    assert not finding.works
    assert "pixels/ab/tmp1.part" in finding.said


@pytest.mark.parametrize(("fault", "said"), [("rubbish", "was altered"), (None, "is missing")])
def test_a_bad_pixel_file_is_named_with_its_case(
    settings: Settings, files: Files, make_case: MakeCase, fault: str | None, said: str
) -> None:
    good, bad = make_case("good.png"), make_case("bad.png")
    path = files.path("pixels", bad.pixel_hash)
    path.unlink() if fault is None else path.write_text(fault)
    finding = home.look_at_files(settings, every=True)
    assert not finding.works
    assert f"pixels/{bad.pixel_hash[:12]} (case {bad.id}) {said}" in finding.said
    assert good.pixel_hash[:12] not in finding.said
    assert "readroom restore" in finding.mend


def test_a_model_file_that_was_altered_is_named(
    settings: Settings, connection: sqlite3.Connection, files: Files
) -> None:
    digest = files.put_bytes("models", b"weights")
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute(
        "INSERT INTO models (project, run, name, keras_hash, parameters, file_bytes, facts, created_at) "
        "VALUES (1, 1, 'm', ?, 1, 1, '{}', '')",
        (digest,),
    )
    assert home.look_at_files(settings).works
    files.path("models", digest).write_bytes(b"other weights")
    assert "(model 1) was altered" in home.look_at_files(settings).said


def test_an_audit_that_was_altered_is_said(settings: Settings, connection: sqlite3.Connection) -> None:
    add_audit(connection, Actor("anna", "screen"), "do a thing", "case 1")
    connection.execute("DROP TRIGGER audit_is_never_changed")
    connection.execute("UPDATE audit SET who = 'ben'")
    finding = home.look_at_audit(settings)
    assert not finding.works
    assert "Row 1 " in finding.said


def test_the_last_good_backup_is_said_with_its_age(
    settings: Settings, connection: sqlite3.Connection, tmp_path: Path
) -> None:
    assert "no good backup" in home.look_at_backup(settings).said

    def back_up(ended: datetime, error: str | None = None) -> None:
        at = utc_text(ended)
        record_backup(connection, folder=str(tmp_path), name="1", started_at=at, finished_at=at, error=error)

    back_up(datetime.now(UTC) - timedelta(days=5))
    assert "5 days ago" in home.look_at_backup(settings).said
    back_up(datetime.now(UTC), error="the disk was full")
    assert not home.look_at_backup(settings).works
    back_up(datetime.now(UTC))
    assert home.look_at_backup(settings).works


def test_a_full_disk_of_the_backups_is_said_beside_that_of_the_home(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backups = tmp_path / "other disk" / "backups"
    backups.parent.mkdir()
    given = replace(settings, backup_folder=str(backups))
    free = {settings.home: 9 << 30, backups.parent: 1 << 30}
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: SimpleNamespace(free=free[path]))
    assert machine.look_at_disk(given).said == "9.0 GB free for the home"  # one disk holds both
    monkeypatch.setattr(machine, "_device", {settings.home: 1, backups.parent: 2}.__getitem__)
    finding = machine.look_at_disk(given)
    assert not finding.works
    assert finding.said == "9.0 GB free for the home, 1.0 GB free for the backups"
    assert "the backups" in finding.mend
    assert "the home" not in finding.mend
    assert machine.look_at_disk(settings).works


def test_a_clock_behind_what_was_stored_is_said(settings: Settings, connection: sqlite3.Connection) -> None:
    add_audit(connection, Actor("anna", "screen"), "do a thing", "case 1")
    connection.execute("DROP TRIGGER audit_is_never_changed")
    connection.execute("UPDATE audit SET at = ?", (utc_text(datetime.now(UTC) + timedelta(hours=5)),))
    finding = machine.look_at_clock(settings)
    assert not finding.works
    assert "5.0 hours ahead" in finding.said


def test_a_web_process_that_does_not_answer_is_said(settings: Settings) -> None:
    assert "does not run" in service.look_at_web(settings).said
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        word = {"host": "0.0.0.0", "port": port, "url": f"http://127.0.0.1:{port}"}
        (settings.home / "up.json").write_text(json.dumps(word))
        assert service.look_at_web(settings).works
    assert f"port {port} and does not" in service.look_at_web(settings).said


@pytest.mark.parametrize(("days", "works"), [(300, True), (5, False)])
def test_a_certificate_that_runs_out_is_said(settings: Settings, tmp_path: Path, days: int, works: bool) -> None:
    certificate = make_certificate(tmp_path / "tls", days=days)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        word = {"host": "127.0.0.1", "port": port, "url": f"https://ward.example:{port}"}
        (settings.home / "up.json").write_text(json.dumps(word))
        server = threading.Thread(target=shake_hands, args=(door, context), daemon=True)
        server.start()
        finding = service.look_at_certificate(settings)
    assert finding.works == works, finding
    assert f"{days - 1} days" in finding.said


def shake_hands(door: socket.socket, context: ssl.SSLContext) -> None:
    for _ in range(2):
        try:
            context.wrap_socket(door.accept()[0], server_side=True).close()
        except OSError:  # who came did not like the certificate
            continue


def test_a_trial_says_device_and_speed() -> None:
    finding = examine_gpu(steps=1, batch=1)
    assert finding.works, finding.said
    assert re.fullmatch(r"(cpu|gpu:\d+) .+: 1 steps, \d+ images/s", finding.said)


def test_a_trial_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    finding = examine_gpu(steps=1)
    assert (finding.works, finding.said) == (False, "1 steps could not be trained: no message")
