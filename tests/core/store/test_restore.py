"""The drill: a full home is backed up while readers work, restored elsewhere, and compared listing by listing."""

import shutil
import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.errors import CoreError, InvalidInput, NotFound
from core.evaluation.records import find_evaluation
from core.jobs.records import list_jobs
from core.labels.records import NewLabel, add_label, find_label
from core.people.accounts import ensure_user
from core.people.sessions import find_session, issue_token, redeem_token
from core.settings import Settings, load_settings
from core.store import restore as restoring
from core.store.audit import Actor, verify_audit
from core.store.backup import make_backup
from core.store.copying import copy_database
from core.store.database import opened
from core.store.files import Files
from core.store.generations import file_path, list_generations
from core.store.restore import restore_backup
from core.training.records import get_model
from tests.core.store.conftest import FullHome, Listing

NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
ListAll = Callable[[sqlite3.Connection], Listing]


@pytest.fixture
def out(full_home: FullHome, tmp_path: Path) -> Path:
    """A folder with one backup of the full home."""
    make_backup(full_home.settings, tmp_path / "backups", now=NOW)
    return tmp_path / "backups"


@pytest.fixture
def target(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "restored")


def only_generation(out: Path) -> Path:
    (found,) = (out / "generations").iterdir()
    return found


# ---- the drill


def test_a_restored_home_is_the_same_listing_by_listing(
    full_home: FullHome, connection: sqlite3.Connection, out: Path, target: Settings, listing_of: ListAll
) -> None:
    before, made = listing_of(connection), restore_backup(out, target)
    assert (made.lacking, made.generation) == ((), only_generation(out).name)
    with opened(target) as restored:
        assert listing_of(restored) == before
        check = verify_audit(restored, noted_head=made.audit_head)
        assert check.is_whole, check.faults
        model = get_model(restored, full_home.planted.project.id, "quick")
        evaluation = find_evaluation(restored, model.id)
        assert evaluation is not None
        assert evaluation.result["metrics"] == {"accuracy": {"value": 0.5}}
        hashes = [row[0] for row in restored.execute("SELECT pixel_hash FROM cases")]
    files = Files(target.home)
    assert files.read_bytes("models", model.keras_hash) == b"weights"
    assert all(files.read_array("pixels", pixel_hash).shape == (16, 16) for pixel_hash in hashes)
    assert files.path("thumbnails", hashes[0]).read_bytes() == b"webp of " + hashes[0].encode()
    key = "secret.key"
    assert (target.home / key).read_bytes() == (full_home.settings.home / key).read_bytes()


def test_the_log_of_a_database_that_is_gone_is_not_written_into_the_restored_one(
    full_home: FullHome, connection: sqlite3.Connection, out: Path, tmp_path: Path
) -> None:
    """It brought pages of another moment back: sessions that the restore had ended, jobs that it had stopped."""
    session = redeem_token(connection, issue_token(connection, ensure_user(connection, "ben")), hours=1)
    killed = Settings(home=tmp_path / "killed")
    shutil.copytree(full_home.settings.home, killed.home)  # with its log, as a kill leaves it
    killed.database_path.unlink()
    with pytest.raises(InvalidInput, match="move this log away"):
        restore_backup(out, killed)
    assert not killed.database_path.exists()
    log = killed.database_path.with_name("readroom.db-wal")
    log.rename(tmp_path / "kept.db-wal")
    restore_backup(out, killed)
    with opened(killed) as restored:
        assert find_session(restored, session) is None
        assert not any(job.state == "queued" for job in list_jobs(restored))


def test_labels_that_were_acknowledged_before_the_backup_are_in_it(
    full_home: FullHome, tmp_path: Path, target: Settings
) -> None:
    """A reader goes on labelling all the while; the copy is a moment of the home, with a whole audit."""
    project, acknowledged, stopping = full_home.planted.project, list[str](), threading.Event()
    case_id = next(iter(full_home.planted.masks))

    def go_on_labelling() -> None:
        with opened(full_home.settings) as connection:
            while not stopping.is_set():
                event = f"drill-{len(acknowledged)}"
                value = {"classes": [("normal", "pneumonia")[len(acknowledged) % 2]]}
                add_label(connection, NewLabel(event, case_id, "anna", value), Actor("anna", "command line"))
                acknowledged.append(event)

    reader = threading.Thread(target=go_on_labelling)
    reader.start()
    try:
        while len(acknowledged) < 10:
            assert reader.is_alive()
        before = list(acknowledged)
        made = make_backup(full_home.settings, tmp_path / "busy")
    finally:
        stopping.set()
        reader.join()
    assert made.faults == ()
    restored = restore_backup(tmp_path / "busy", target)
    with opened(target) as connection:
        assert [event for event in before if find_label(connection, project.id, event) is None] == []
        assert verify_audit(connection, noted_head=restored.audit_head).is_whole
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with opened(full_home.settings) as connection:
        assert verify_audit(connection, noted_head=restored.audit_head).is_whole


def test_a_restored_home_starts_nothing_unasked(out: Path, target: Settings) -> None:
    said = restore_backup(out, target).said
    with opened(target) as connection:
        assert [(job.kind, job.state) for job in list_jobs(connection)] == [("explain", "done"), ("train", "stopped")]
        assert list_jobs(connection)[1].can_resume
    settings = load_settings(target.home)
    assert (settings.backup_folder, settings.session_hours) == ("", 8)
    assert "Nightly backups are switched off" in said[0]


def test_no_session_and_no_link_of_the_backup_opens_a_restored_home(
    full_home: FullHome, connection: sqlite3.Connection, tmp_path: Path, target: Settings
) -> None:
    ben = ensure_user(connection, "ben")
    session, link = redeem_token(connection, issue_token(connection, ben), hours=12), issue_token(connection, ben)
    make_backup(full_home.settings, tmp_path / "backups", now=NOW)
    restore_backup(tmp_path / "backups", target)
    with opened(target) as restored:
        assert find_session(restored, session) is None
        with pytest.raises(CoreError):
            redeem_token(restored, link, hours=12)
    assert find_session(connection, session)


def test_only_the_owner_can_read_a_restored_home(out: Path, target: Settings) -> None:
    restore_backup(out, target)
    assert target.home.stat().st_mode & 0o077 == 0
    for name in ("readroom.db", "secret.key", "settings.toml"):
        assert (target.home / name).stat().st_mode & 0o077 == 0, name


# ---- which generation


def test_the_newest_good_generation_is_restored_by_default(
    full_home: FullHome, connection: sqlite3.Connection, out: Path, target: Settings
) -> None:
    connection.execute("UPDATE projects SET description = 'later'")
    later = make_backup(full_home.settings, out, now=NOW - timedelta(days=3))  # the clock was set back
    assert restore_backup(out, target).generation == later.generation


def test_a_generation_can_be_named(
    full_home: FullHome, connection: sqlite3.Connection, out: Path, target: Settings
) -> None:
    first = only_generation(out).name
    connection.execute("UPDATE projects SET description = 'later'")
    make_backup(full_home.settings, out, now=NOW + timedelta(days=1))
    assert restore_backup(out, target, generation=first).generation == first
    with opened(target) as restored:
        assert restored.execute("SELECT description FROM projects").fetchone()[0] == ""


def test_an_incomplete_generation_is_passed_over_and_said(
    full_home: FullHome, connection: sqlite3.Connection, out: Path, target: Settings
) -> None:
    connection.execute("UPDATE cases SET pixel_hash = ? WHERE id = 1", ("ab" * 32,))
    newer = make_backup(full_home.settings, out, now=NOW + timedelta(days=1))
    made = restore_backup(out, target)
    assert made.generation != newer.generation
    assert f"--generation {newer.generation}" in made.said[0]
    named = restore_backup(out, Settings(home=target.home.with_name("other")), generation=newer.generation)
    assert named.lacking == (f"pixels {'ab' * 32} is missing or cannot be read.",)


def test_a_name_that_no_generation_has_is_refused_with_those_there_are(out: Path, target: Settings) -> None:
    with pytest.raises(CoreError, match=only_generation(out).name):
        restore_backup(out, target, generation="2020")


# ---- damage


def damage_database(out: Path) -> None:
    path = only_generation(out) / "readroom.db"
    path.write_bytes(path.read_bytes()[:5000])


def lose_database(out: Path) -> None:
    (only_generation(out) / "readroom.db").unlink()


def lose_manifest(out: Path) -> None:
    (only_generation(out) / "manifest.json").unlink()


def damage_manifest(out: Path) -> None:
    (only_generation(out) / "manifest.json").write_text('{"format": 1')


def raise_format(out: Path) -> None:
    path = only_generation(out) / "manifest.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 9'))


def lose_file(out: Path) -> None:
    next((out / "files" / "pixels").rglob("*/*")).unlink()


def alter_file(out: Path) -> None:
    path = next((out / "files" / "models").glob("*/*"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def lose_secret(out: Path) -> None:
    (only_generation(out) / "secret.key").unlink()


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (damage_database, "readroom.db is missing or was altered; choose another with --generation"),
        (lose_database, "readroom.db is missing or was altered"),
        (lose_manifest, "There is no backup in"),
        (damage_manifest, "manifest of this backup is damaged"),
        (raise_format, "newer Readroom"),
        (lose_file, "is missing from the backup"),
        (alter_file, "was altered in the backup"),
        (lose_secret, "secret.key is missing or was altered"),
    ],
)
def test_damage_is_told_in_a_sentence_and_the_home_stays_empty(
    out: Path, target: Settings, tmp_path: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    copy = tmp_path / "undamaged"
    shutil.copytree(out, copy)
    damage(out)
    with pytest.raises(CoreError) as refused:
        restore_backup(out, target)
    assert sentence in str(refused.value)
    assert not target.database_path.exists()
    restore_backup(copy, target)  # the same home, a whole backup
    with opened(target) as connection:
        assert connection.execute("SELECT count(*) FROM cases").fetchone()[0] == 40


@pytest.mark.parametrize("damage", [lose_file, alter_file])
def test_what_is_whole_comes_back_from_a_damaged_backup(
    out: Path, target: Settings, damage: Callable[[Path], None]
) -> None:
    damage(out)
    made = restore_backup(out, target, even_damaged=True)
    assert len(made.lacking) == 1
    with opened(target) as connection:
        assert connection.execute("SELECT count(*) FROM cases").fetchone()[0] == 40


def test_a_restore_that_is_cut_short_can_be_repeated(
    out: Path, target: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied, copy_file = list[Path](), restoring.copy_file

    def cut_after_twenty(place: Path, goal: Path, *, expected: str | None = None) -> tuple[str, int]:
        if len(copied) == 20:
            raise KeyboardInterrupt
        copied.append(goal)
        return copy_file(place, goal, expected=expected)

    monkeypatch.setattr(restoring, "copy_file", cut_after_twenty)
    with pytest.raises(KeyboardInterrupt):
        restore_backup(out, target)
    assert not target.database_path.exists()
    copied[3].write_bytes(b"torn by a power cut")
    monkeypatch.setattr(restoring, "copy_file", copy_file)
    assert restore_backup(out, target).lacking == ()
    (generation,), _ = list_generations(out)
    for file in generation.manifest.files:
        restored = Files(target.home).path(file.shelf, file.name)
        assert restored.read_bytes() == file_path(out, file.key).read_bytes()


# ---- refusals, and backups of the release before


def test_a_home_in_use_is_never_overwritten(full_home: FullHome, out: Path) -> None:
    with pytest.raises(InvalidInput, match="empty home"):
        restore_backup(out, full_home.settings)


def test_a_folder_without_a_backup_is_named(tmp_path: Path, target: Settings) -> None:
    with pytest.raises(NotFound, match="backup in"):
        restore_backup(tmp_path / "nothing", target)
    assert not target.home.exists()


@pytest.fixture
def plain_folder(full_home: FullHome, connection: sqlite3.Connection, tmp_path: Path) -> Path:
    """A backup as the release before made it: the home's folders with the database at the top."""
    folder = tmp_path / "plain"
    for name in ("pixels", "models", "thumbnails"):
        shutil.copytree(full_home.settings.home / name, folder / name)
    for name in ("secret.key", "settings.toml"):
        shutil.copy2(full_home.settings.home / name, folder / name)
    copy_database(connection, folder / "readroom.db")
    return folder


def test_a_backup_of_the_release_before_still_restores(
    plain_folder: Path, connection: sqlite3.Connection, target: Settings, listing_of: ListAll
) -> None:
    made = restore_backup(plain_folder, target)
    assert (made.files, made.lacking) == (82, ())
    with opened(target) as restored:
        assert listing_of(restored) == listing_of(connection)


def test_damage_in_a_backup_of_the_release_before_is_found(plain_folder: Path, target: Settings) -> None:
    path = next((plain_folder / "pixels").glob("*/*"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CoreError, match="was altered in the backup"):
        restore_backup(plain_folder, target)
    assert not target.database_path.exists()


def test_a_truncated_database_of_the_release_before_is_told(plain_folder: Path, target: Settings) -> None:
    path = plain_folder / "readroom.db"
    path.write_bytes(path.read_bytes()[:20000])
    with pytest.raises(CoreError, match="database of this backup is damaged"):
        restore_backup(plain_folder, target)
    assert not target.database_path.exists()
