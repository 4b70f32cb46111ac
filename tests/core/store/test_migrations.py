"""A home of the release before opens in this one, and a step that fails costs nothing."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from sqlite_utils import Database

from core.clock import utc_now
from core.errors import Conflict, CoreError, NotAllowed, NotFound, Unavailable
from core.evaluation.records import find_evaluation, find_predictions
from core.images.records import list_cases
from core.jobs.records import get_job, list_jobs
from core.labels.records import current_labels, list_labels
from core.people.accounts import get_user
from core.people.members import list_members
from core.people.sessions import find_session, issue_token, redeem_token, sign_in
from core.projects.records import get_project, list_projects
from core.reviews.comments import list_comments
from core.settings import Settings
from core.store.audit import list_audit, verify_audit
from core.store.database import opened, prepare_home
from core.store.files import Files
from core.store.locks import take_lock
from core.store.migrating import COPIES_KEPT, copies_kept, rehearse_migration
from core.store.migration_names import MIGRATION_NAMES
from core.store.migrations import migrations
from core.store.numbers import next_number
from core.training.records import get_model, list_epochs
from tests.fixtures.make_home_m001 import CASES, FIXTURE, MODEL_BYTES, draw_pixels

STEP = "m999_for_a_test"
AddStep = Callable[[Callable[[Database], None]], None]


@pytest.fixture
def old_home(tmp_path: Path) -> Settings:
    """The home of a team that worked with the release before."""
    settings = Settings(home=tmp_path / "old")
    settings.home.mkdir(mode=0o700)
    with closing(sqlite3.connect(settings.database_path)) as raw:
        raw.executescript(FIXTURE.read_text("utf-8"))
    files = Files(settings.home)
    for number in range(CASES):
        files.put_array("pixels", draw_pixels(number))
    files.put_bytes("models", MODEL_BYTES)
    return settings


@pytest.fixture
def add_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[AddStep]:
    """One step more than this version has."""
    monkeypatch.setattr("core.store.migrating.MIGRATION_NAMES", (*MIGRATION_NAMES, STEP))

    def add(step: Callable[[Database], None]) -> None:
        migrations(name=STEP)(step)

    yield add
    migrations._migrations[:] = [step for step in migrations._migrations if step.name != STEP]


def content_of(settings: Settings) -> list[str]:
    with closing(sqlite3.connect(settings.database_path)) as raw:
        return list(raw.iterdump())


# ---- a home of the release before


def test_everything_of_the_release_before_is_still_there(old_home: Settings) -> None:
    prepare_home(old_home)
    with opened(old_home) as connection:
        (project,) = list_projects(connection)
        assert (project.name, project.description) == ("Chest", "Films of one week")
        cases = list(list_cases(connection, project.id))
        assert sorted(case.source for case in cases) == sorted(f"film-{number}.png" for number in range(CASES))
        first = next(case for case in cases if case.source == "film-0.png")
        assert np.array_equal(Files(old_home.home).read_array("pixels", first.pixel_hash), draw_pixels(0))
        assert [(label.reader, label.value) for label in current_labels(connection, first.id)] == [
            ("anna", {"classes": ["normal"]}),
            ("ben", {"classes": ["pneumonia"]}),
        ]
        assert len(list_labels(connection, first.id)) == 3
        model = get_model(connection, project.id, "quick")
        assert Files(old_home.home).read_bytes("models", model.keras_hash) == MODEL_BYTES
        assert list_epochs(connection, model.run) == [{"epoch": 1, "loss": 0.7}]
        evaluation = find_evaluation(connection, model.id)
        assert evaluation is not None
        assert evaluation.result["metrics"] == {"accuracy": {"value": 0.5}}
        assert find_predictions(connection, model.id, [first.id]) == {first.id: (0.25, 0.75)}
        assert [(one.author, one.text) for one in list_comments(connection, first.id)] == [
            ("ben", "The left base is hazy.")
        ]
        assert [(job.kind, job.state) for job in list_jobs(connection)] == [("evaluate", "queued"), ("train", "done")]


def test_the_acts_of_before_are_tied_into_the_chain(old_home: Settings) -> None:
    with closing(sqlite3.connect(old_home.database_path)) as raw:
        acts = [row[0] for row in raw.execute("SELECT what FROM audit ORDER BY id")]
    prepare_home(old_home)
    with opened(old_home) as connection:
        check = verify_audit(connection)
        assert check.is_whole, check.faults
        assert [row.what for row in reversed(list_audit(connection, limit=None))] == acts
        assert len(acts) > CASES


def test_readers_of_before_are_readers_of_every_project(old_home: Settings) -> None:
    prepare_home(old_home)
    with opened(old_home) as connection:
        (project,) = list_projects(connection)
        members = {member.user.name: member.role for member in list_members(connection, project.id)}
        assert members == {"ben": "reader"}  # Anna administers the whole; a label table does not sign in
        assert get_user(connection, "anna").role == "admin"


def test_people_of_before_sign_in(old_home: Settings) -> None:
    prepare_home(old_home)
    with opened(old_home) as connection:
        ben = get_user(connection, "ben")
        assert find_session(connection, redeem_token(connection, issue_token(connection, ben), hours=1)) == ben
        with pytest.raises(NotAllowed):
            sign_in(connection, "ben", "", hours=1)
        invitation = issue_token(connection, ben, purpose="invitation")
        redeem_token(connection, invitation, hours=1, new_password="a long walk at low tide")
        signed_in = find_session(connection, sign_in(connection, "ben", "a long walk at low tide", hours=1))
        assert signed_in is not None
        assert signed_in.name == "ben"


def test_an_old_home_can_be_worked_on(old_home: Settings) -> None:
    prepare_home(old_home)
    with opened(old_home) as connection:
        assert get_project(connection, "Chest").blind_first is False
        assert get_job(connection, 1).result == {"model": "quick", "model_id": 1}
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_numbers_that_were_erased_before_are_known_from_the_audit(old_home: Settings) -> None:
    with closing(sqlite3.connect(old_home.database_path)) as raw, raw:
        (runs,) = raw.execute("SELECT max(id) FROM runs").fetchone()
        raw.execute(
            """INSERT INTO audit (at, who, via, what, subject, detail)
               SELECT at, who, via, what, 'run 41', detail FROM audit LIMIT 1"""
        )
    prepare_home(old_home)
    with opened(old_home) as connection:
        assert runs < 41
        assert next_number(connection, "runs") == 42
        (models,) = connection.execute("SELECT max(id) FROM models").fetchone()
        assert next_number(connection, "models") == models + 1


# ---- the copy of before


def test_the_database_of_before_is_kept_as_a_copy(old_home: Settings) -> None:
    before = content_of(old_home)
    done = prepare_home(old_home)
    assert done.steps == MIGRATION_NAMES[1:]
    assert done.copy_kept is not None
    assert done.copy_kept.parent == old_home.home / "backups"
    assert done.copy_kept.name.startswith(f"before-{MIGRATION_NAMES[1]}-")
    assert done.copy_kept.stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(done.copy_kept)) as kept:
        assert list(kept.iterdump()) == before


def test_a_new_home_needs_no_copy(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    assert prepare_home(settings).copy_kept is None
    assert copies_kept(settings) == []


def test_a_home_of_this_version_is_not_copied(settings: Settings) -> None:
    assert prepare_home(settings).steps == ()
    assert copies_kept(settings) == []


def test_the_newest_three_copies_are_kept(settings: Settings, add_step: AddStep) -> None:
    add_step(lambda database: None)
    made = []
    for _ in range(COPIES_KEPT + 2):
        made.append(prepare_home(settings).copy_kept)
        with opened(settings) as connection:
            connection.execute("DELETE FROM _sqlite_migrations WHERE name = ?", (STEP,))
    assert copies_kept(settings) == made[: -COPIES_KEPT - 1 : -1]


# ---- a step that fails


def half_done(database: Database) -> None:
    database.execute("CREATE TABLE half (id INTEGER)")
    database.execute("UPDATE projects SET description = 'half'")
    database.execute("INSERT INTO nowhere VALUES (1)")


def test_a_step_that_fails_leaves_the_old_database_as_it_was(old_home: Settings, add_step: AddStep) -> None:
    add_step(half_done)
    before = content_of(old_home)
    with pytest.raises(CoreError, match="was left as it was") as refused:
        prepare_home(old_home)
    assert "nowhere" in str(refused.value)
    assert content_of(old_home) == before  # the steps before the failing one are undone too


def test_a_step_that_leaves_a_loose_reference_fails(old_home: Settings, add_step: AddStep) -> None:
    add_step(lambda database: database.execute("UPDATE cases SET project = 77 WHERE id = 1"))
    before = content_of(old_home)
    with pytest.raises(CoreError, match="row 1 of cases refers to"):
        prepare_home(old_home)
    assert content_of(old_home) == before


def test_a_home_that_an_older_readroom_serves_is_not_changed_under_it(old_home: Settings) -> None:
    before = content_of(old_home)
    lock = take_lock(old_home.home / "worker.lock")
    assert lock is not None
    with pytest.raises(Conflict, match="still served"):
        prepare_home(old_home)
    assert content_of(old_home) == before
    lock.release()
    assert prepare_home(old_home).steps == MIGRATION_NAMES[1:]


def test_a_home_of_this_version_opens_while_it_is_served(settings: Settings) -> None:
    lock = take_lock(settings.home / "worker.lock")
    assert lock is not None
    assert prepare_home(settings).steps == ()
    lock.release()


# ---- the rehearsal


def test_a_rehearsal_says_what_would_be_done_and_touches_nothing(old_home: Settings) -> None:
    before = content_of(old_home)
    told = rehearse_migration(old_home)
    assert told.steps == MIGRATION_NAMES[1:]
    assert told.rows["labels"] == (17, 17)
    assert told.rows["members"] == (None, 1)
    assert content_of(old_home) == before
    assert not (old_home.home / "backups").exists()


def test_a_rehearsal_of_a_step_that_fails_says_so(old_home: Settings, add_step: AddStep) -> None:
    add_step(half_done)
    before = content_of(old_home)
    with pytest.raises(CoreError, match="rehearsal failed; the home was not touched"):
        rehearse_migration(old_home)
    assert content_of(old_home) == before


def test_a_rehearsal_of_a_home_of_this_version_finds_nothing_to_do(settings: Settings) -> None:
    assert rehearse_migration(settings).steps == ()


def test_a_rehearsal_needs_a_home(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no home"):
        rehearse_migration(Settings(home=tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_a_home_of_a_newer_readroom_is_not_rehearsed(settings: Settings) -> None:
    with opened(settings) as connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('readroom', 'm998', ?)",
            (utc_now(),),
        )
    with pytest.raises(CoreError, match="newer Readroom"):
        rehearse_migration(settings)


# ---- what a machine does meanwhile


def test_a_database_that_another_program_holds_is_said(old_home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.store.migrating.BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(old_home.database_path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable, match="Another program holds the database"):
            prepare_home(old_home)
    assert prepare_home(old_home).steps


def test_a_disk_that_is_full_before_the_copy_is_said(old_home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("core.store.migrating.copy_database", fill)
        with pytest.raises(Unavailable, match="full; make room"):
            prepare_home(old_home)
    assert prepare_home(old_home).steps


def test_a_rehearsal_on_a_full_disk_for_passing_files_says_which_disk(
    old_home: Settings, add_step: AddStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content_of(old_home)

    def fill(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("core.store.migrating.copy_database", fill)
        with pytest.raises(Unavailable, match=r"make room there, or name another folder in TMPDIR. The home was not"):
            rehearse_migration(old_home)

    def large(database: Database) -> None:
        database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
        database.execute("CREATE TABLE large (content BLOB)")
        database.execute("INSERT INTO large VALUES (zeroblob(1000000))")

    add_step(large)
    with pytest.raises(Unavailable, match=r"TMPDIR"):
        rehearse_migration(old_home)
    assert content_of(old_home) == before


def test_a_disk_that_fills_during_a_step_is_said_and_the_home_is_as_it_was(
    settings: Settings, add_step: AddStep
) -> None:
    def fill(database: Database) -> None:
        database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
        database.execute("CREATE TABLE large (content BLOB)")
        database.execute("INSERT INTO large VALUES (zeroblob(1000000))")

    add_step(fill)
    with pytest.raises(Unavailable, match=r"full; make room.*left as it was"):
        prepare_home(settings)
    with opened(settings) as connection:
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'large'").fetchone()
