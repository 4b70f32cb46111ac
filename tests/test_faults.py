"""What a machine can do to Readroom: each fault has a sentence, and nothing that was acknowledged is lost."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from bench.server import free_port
from core.clock import utc_text
from core.errors import CoreError, Unavailable
from core.images.records import Case, NewCase, insert_case
from core.jobs.child import run_job
from core.jobs.context import JobContext
from core.jobs.handlers import HANDLERS
from core.jobs.records import Job, add_job, begin_job, claim_job, get_job, resume_job
from core.labels.records import NewLabel, add_label, find_current_label, list_labels
from core.people.accounts import ensure_user
from core.people.sessions import find_session, issue_token, redeem_token
from core.projects.records import Project
from core.settings import PROJECT_ROOT, Settings
from core.store import database
from core.store.audit import Actor, verify_audit
from core.store.database import connect, opened, prepare_home, writing
from core.store.files import Files

PATIENCE_SECONDS = 120
NOBODY = 65534


@pytest.fixture
def case(connection: sqlite3.Connection, files: Files, project: Project) -> Case:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    return insert_case(
        connection,
        NewCase(
            project=project.id, source="film.png", patient="P1", patient_from="table",
            pixel_hash=files.put_array("pixels", pixels), file_hash="0" * 64, perceptual_hash=None,
            rows=16, columns=16, channels=1, dtype="uint8", photometric="MONOCHROME2", imported_by="anna",
        ),
    )  # fmt: skip


@pytest.fixture
def answer(connection: sqlite3.Connection, case: Case, actor: Actor) -> Callable[..., Any]:
    ensure_user(connection, "anna", role="admin")

    def say(event: str, label: str = "normal", **fields: Any) -> Any:
        return add_label(connection, NewLabel(event, case.id, "anna", {"classes": [label]}, **fields), actor)

    return say


# ---- the disk


def test_on_a_full_disk_a_label_is_refused_whole_and_the_ones_before_are_there(
    connection: sqlite3.Connection, case: Case, answer: Callable[..., Any]
) -> None:
    answer("before")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Unavailable, match="full; make room"):
        [answer(f"more-{number}", note="x" * 900) for number in range(2000)]
    assert not connection.in_transaction
    assert verify_audit(connection).is_whole
    kept = len(list_labels(connection, case.id))
    connection.execute("PRAGMA max_page_count = 1000000")
    answer("after")
    assert len(list_labels(connection, case.id)) == kept + 1


def test_on_a_full_disk_no_half_a_file_is_left(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="full; make room"):
        files.put_bytes("models", b"weights")
    assert [path for path in files.root.rglob("*") if path.is_file() and "models" in path.parts] == []


def test_a_home_that_became_read_only_is_named(settings: Settings, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(Unavailable, match="may not write to its home"), writing(connection):
        connection.execute("INSERT INTO users (name, kind, role, created_at) VALUES ('b', 'person', 'reader', '')")
    assert not connection.in_transaction


def test_a_read_only_home_is_refused_before_anything_starts(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    me = os.geteuid()
    if me == 0:
        os.seteuid(NOBODY)  # the superuser may write everywhere
    try:
        with pytest.raises(CoreError, match="cannot write to its home"):
            prepare_home(Settings(home=home))
    finally:
        os.seteuid(me)


@pytest.mark.parametrize(
    ("number", "said"), [(errno.EROFS, "read-only; mount it for writing"), (errno.ENOSPC, "full; make room")]
)
def test_a_home_on_a_disk_that_takes_nothing_is_refused_with_a_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(Unavailable, match=f"{said}.*Received: {settings.home}"):
        prepare_home(settings)


def attempt(connection: sqlite3.Connection, settings: Settings, job: Job) -> Job:
    """One attempt of a job in this process, as its child would do it."""
    claimed = claim_job(connection, job.lane, "cpu")
    assert claimed is not None
    begun = begin_job(connection, claimed.id, claimed.attempt, os.getpid(), 1.0)
    assert begun is not None
    run_job(settings, begun, "core.jobs.handlers:HANDLERS")
    return get_job(connection, job.id)


def fill_disk(patch: pytest.MonkeyPatch) -> None:
    """From now on nothing that is forced to disk arrives there."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    patch.setattr(os, "fsync", full)
    patch.setattr("core.store.forcing.find_syncfs", lambda: full)


FILMS = 1200  # so many take an import seconds, also in memory


def draw_films(folder: Path, count: int) -> Path:
    from PIL import Image

    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(count):
        Image.fromarray(random.integers(0, 255, (32, 32), np.uint8)).save(folder / f"{number}.png")
    return folder


def test_an_import_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    settings: Settings, connection: sqlite3.Connection, project: Project, actor: Actor, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    arguments = {"project": project.id, "paths": [str(draw_films(tmp_path / "films", 3))]}
    job = add_job(connection, "import", arguments, project=project.id, actor=actor)
    with monkeypatch.context() as patch:
        fill_disk(patch)
        failed = attempt(connection, settings, job)
    assert failed.state == "failed"
    assert "full; make room" in (failed.error or "")
    assert failed.remedy == "Make room or mend what it names, then resume the job."
    done = attempt(connection, settings, resume_job(connection, job.id, actor))
    assert (done.state, (done.result or {})["imported"], (done.result or {})["failed"]) == ("done", 3, 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_no_checkpoint_is_no_defect_of_ours(
    settings: Settings, connection: sqlite3.Connection, actor: Actor, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As numpy writes a checkpoint, or the events of the job itself: straight to disk, past the file store."""

    def write(context: JobContext) -> dict[str, Any]:
        raise OSError(number, os.strerror(number), str(context.folder / "checkpoint.npz.part"))

    def no_event(folder: Path, **_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setitem(HANDLERS, "train", write)
    monkeypatch.setattr("core.jobs.child.write_event", no_event)
    failed = attempt(connection, settings, add_job(connection, "train", {}, actor=actor))
    assert failed.state == "failed"
    assert "defect" not in (failed.error or "")
    assert (failed.error or "").endswith("checkpoint.npz.part'")
    assert "then resume the job" in (failed.remedy or "")


def test_a_mistake_in_our_own_sql_is_a_defect_and_no_sentence(connection: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError), writing(connection):
        connection.execute("INSERT INTO nothing VALUES (1)")


# ---- the database


def test_a_database_held_by_a_backup_tool_is_said_and_the_label_can_be_sent_again(
    settings: Settings, case: Case, answer: Callable[..., Any], connection: sqlite3.Connection
) -> None:
    connection.execute("PRAGMA busy_timeout = 50")
    other = connect(settings)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="Another program holds the database"):
        answer("event")
    other.execute("ROLLBACK")
    other.close()
    assert answer("event").event == "event"


def test_an_altered_pixel_file_is_named_and_never_shown(files: Files, case: Case) -> None:
    path = files.path("pixels", case.pixel_hash)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CoreError, match=f"altered on disk; restore it from a backup.*{case.pixel_hash}"):
        files.read_array("pixels", case.pixel_hash)


def test_an_altered_model_file_is_named(files: Files) -> None:
    name = files.put_bytes("models", b"weights")
    files.path("models", name).write_bytes(b"weighty")
    with pytest.raises(CoreError, match=f"altered on disk.*models {name}"):
        files.read_bytes("models", name)


# ---- the clock


def test_a_correction_counts_also_after_the_clock_was_set_back(
    connection: sqlite3.Connection, case: Case, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("first", "normal", made_at=utc_text(datetime.now(UTC)))
    past = utc_text(datetime.now(UTC) - timedelta(hours=1))
    monkeypatch.setattr("core.labels.records.utc_now", lambda: past)
    answer("second", "pneumonia", made_at=utc_text(datetime.now(UTC)))
    current = find_current_label(connection, case.id, "anna")
    assert current is not None
    assert current.value == {"classes": ["pneumonia"]}


def test_a_clock_that_leaps_ends_sessions_and_nothing_else(
    connection: sqlite3.Connection, case: Case, answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = ensure_user(connection, "anna")
    session = redeem_token(connection, issue_token(connection, anna), hours=12)
    answer("before")
    monkeypatch.setattr("core.people.sessions.utc_now", lambda: utc_text(datetime.now(UTC) + timedelta(days=400)))
    assert find_session(connection, session) is None
    assert [label.event for label in list_labels(connection, case.id)] == ["before"]


# ---- processes


class Readroom:
    """A real `readroom up` on a free port of the loopback."""

    def __init__(self, settings: Settings, log: Path) -> None:
        self.port = free_port()
        words = [sys.executable, "-m", "dashboard.up", "--home", str(settings.home), "--port", str(self.port)]
        with log.open("ab") as stream:
            self.process = subprocess.Popen(
                [*words, "--no-browser"], cwd=PROJECT_ROOT, stdout=stream, stderr=stream, start_new_session=True
            )

    def is_up(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answered:
                return bool(answered.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def family(self) -> list[psutil.Process]:
        """Everything that it started, and itself."""
        me = psutil.Process(self.process.pid)
        return [*me.children(recursive=True), me]

    def web(self) -> psutil.Process:
        """The process that answers."""
        living = (process for process in self.family() if process.status() != psutil.STATUS_ZOMBIE)
        (found,) = (process for process in living if "dashboard.serve" in process.cmdline())
        return found

    def pull_the_plug(self) -> None:
        """SIGKILL to all of it, as fast as it goes."""
        family = self.family()
        for process in family:
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(family, timeout=20)
        self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.pull_the_plug()


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Callable[[], Readroom]]:
    started: list[Readroom] = []

    def begin() -> Readroom:
        started.append(Readroom(settings, tmp_path / "up.log"))
        wait_until(started[-1].is_up, lambda: (tmp_path / "up.log").read_text())
        return started[-1]

    yield begin
    for readroom in started:
        readroom.close()


def wait_until(is_so: Callable[[], bool], told: Callable[[], str] = str) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < give_up, told()
        time.sleep(0.02)


def test_when_everything_is_killed_at_once_labels_are_there_and_the_import_goes_on(
    settings: Settings, connection: sqlite3.Connection, project: Project, case: Case, start: Callable[[], Readroom],
    tmp_path: Path, answer: Callable[..., Any], actor: Actor,
) -> None:  # fmt: skip
    folder = draw_films(tmp_path / "films", FILMS)
    readroom = start()
    arguments = {"project": project.id, "paths": [str(folder)]}
    job = add_job(connection, "import", arguments, project=project.id, actor=Actor("anna", "command line"))
    wait_until(lambda: get_job(connection, job.id).fraction > 0.05, lambda: str(get_job(connection, job.id)))
    acknowledged = [answer(f"event-{number}").event for number in range(20)]
    readroom.pull_the_plug()
    assert get_job(connection, job.id).state == "running", "the import was over before; it needs more films"

    start()
    wait_until(lambda: get_job(connection, job.id).state in ("done", "failed"))
    ended = get_job(connection, job.id)
    assert ended.state == "done", ended.error
    with opened(settings) as fresh:
        assert {label.event for label in list_labels(fresh, case.id)} == set(acknowledged)
        assert database.check_whole(fresh) == "ok"
        assert verify_audit(fresh).is_whole
        assert fresh.execute("SELECT COUNT(*) FROM cases").fetchone()[0] == FILMS + 1
    assert not list(settings.home.rglob("pixels/**/*.part"))


def test_when_the_web_process_alone_is_killed_it_comes_back_and_no_job_notices(
    connection: sqlite3.Connection, project: Project, start: Callable[[], Readroom], tmp_path: Path, actor: Actor
) -> None:
    readroom = start()
    arguments = {"project": project.id, "paths": [str(draw_films(tmp_path / "films", FILMS))]}
    job = add_job(connection, "import", arguments, project=project.id, actor=Actor("anna", "command line"))
    wait_until(lambda: get_job(connection, job.id).fraction > 0.05, lambda: str(get_job(connection, job.id)))
    killed = readroom.web()
    killed.kill()
    assert get_job(connection, job.id).state == "running"
    wait_until(lambda: not killed.is_running() and readroom.is_up(), lambda: (tmp_path / "up.log").read_text())
    assert readroom.web() != killed
    wait_until(lambda: get_job(connection, job.id).state in ("done", "failed"))
    ended = get_job(connection, job.id)
    assert (ended.state, ended.attempt, (ended.result or {}).get("imported")) == ("done", 1, FILMS), ended.error
