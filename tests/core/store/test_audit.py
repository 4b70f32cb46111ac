"""The audit chain: whatever is altered, taken out, slipped in, cut off or put in another order is found and named."""

import csv
import io
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlite_utils
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.clock import utc_text
from core.errors import CoreError
from core.settings import Settings
from core.store import audit
from core.store.audit import (
    Actor,
    AuditRow,
    Said,
    add_audit,
    audit_head,
    clock_faults,
    count_audit,
    export_audit,
    last_check,
    list_audit,
    note_check,
    take_audit_along,
    verify_audit,
)
from core.store.database import opened, prepare_home
from core.store.migrations import migrations

ANNA = Actor("anna", "screen", "10.0.0.7")
ROWS = 10
THAW = ("DROP TRIGGER audit_is_never_changed", "DROP TRIGGER audit_is_never_deleted")


@pytest.fixture
def chain(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Ten rows, and the triggers taken away, as somebody with the file in hand would do."""
    return fill(connection)


def fill(connection: sqlite3.Connection, rows: int = ROWS) -> sqlite3.Connection:
    for number in range(rows):
        add_audit(connection, ANNA, "do a thing", f"case {number}", before=number, after=number + 1)
    for statement in THAW:
        connection.execute(statement)
    return connection


def test_an_untouched_chain_is_whole(chain: sqlite3.Connection) -> None:
    check = verify_audit(chain)
    assert (check.rows, check.faults, check.is_whole) == (ROWS, (), True)
    assert check.head == audit_head(chain)


def test_an_empty_chain_is_whole(connection: sqlite3.Connection) -> None:
    assert verify_audit(connection).is_whole


@pytest.mark.parametrize("statement", ["UPDATE audit SET who = 'ben'", "DELETE FROM audit"])
def test_the_database_itself_refuses_to_alter_the_audit(connection: sqlite3.Connection, statement: str) -> None:
    add_audit(connection, ANNA, "do a thing", "case 1")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


@pytest.mark.parametrize(
    "column", ["at", "who", "via", "address", "what", "subject", "detail", "previous_hash", "hash"]
)
@pytest.mark.parametrize("value", ["'other'", "x'ff'", "''", "12"])
def test_an_altered_cell_is_found_and_named(chain: sqlite3.Connection, column: str, value: str) -> None:
    chain.execute(f"UPDATE audit SET {column} = {value} WHERE id = 4")
    check = verify_audit(chain)
    assert any("Row 4 " in fault for fault in check.faults), check.faults


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("id = 4", "Row 4 is missing."),
        ("id BETWEEN 4 AND 6", "Rows 4 to 6 are missing."),
        ("id = 1", "Row 1 is missing."),
        ("id > 8", "Rows 9 to 10 are missing."),
        ("1", "Rows 1 to 10 are missing."),
    ],
)
def test_missing_rows_are_named(chain: sqlite3.Connection, taken: str, said: str) -> None:
    chain.execute(f"DELETE FROM audit WHERE {taken}")
    assert verify_audit(chain).faults == (said,)


def test_a_cut_off_end_stays_visible_when_work_goes_on(chain: sqlite3.Connection) -> None:
    chain.execute("DELETE FROM audit WHERE id > 8")
    add_audit(chain, ANNA, "go on", "case 99")
    assert verify_audit(chain).faults == ("Rows 9 to 10 are missing.",)


def test_swapped_rows_are_named(chain: sqlite3.Connection) -> None:
    for old, new in ((3, 100), (7, 3), (100, 7)):
        chain.execute("UPDATE audit SET id = ? WHERE id = ?", (new, old))
    faults = " ".join(verify_audit(chain).faults)
    assert "Row 3 " in faults
    assert "Row 7 " in faults


@pytest.mark.parametrize("row_id", [-5, 0, 11, 50])
def test_a_row_slipped_in_is_found_though_its_own_sum_fits(chain: sqlite3.Connection, row_id: int) -> None:
    told = (row_id, "2026-11-22T10:00:00.000Z", "anna", "screen", "", "never done", "case 1", "{}")
    tip = audit_head(chain)
    chain.execute(
        "INSERT INTO audit (id, at, who, via, address, what, subject, detail, previous_hash, hash) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*told, tip, audit._sum(tip, told)),
    )
    faults = " ".join(verify_audit(chain).faults)
    assert f"row {row_id}" in faults.lower() or "Rows 11 to 49 are missing" in faults


def test_a_row_slipped_in_between_is_found(chain: sqlite3.Connection) -> None:
    for row_id in range(ROWS, 4, -1):
        chain.execute("UPDATE audit SET id = id + 1 WHERE id = ?", (row_id,))
    tip = chain.execute("SELECT hash FROM audit WHERE id = 4").fetchone()[0]
    told = (5, "2026-11-22T10:00:00.000Z", "anna", "screen", "", "never done", "case 1", "{}")
    chain.execute(
        "INSERT INTO audit (id, at, who, via, address, what, subject, detail, previous_hash, hash) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*told, tip, audit._sum(tip, told)),
    )
    faults = verify_audit(chain).faults
    assert any(fault.startswith("Row 6 ") for fault in faults)


def test_a_chain_that_was_forged_as_a_whole_is_told_by_the_noted_head(chain: sqlite3.Connection) -> None:
    noted = audit_head(chain)
    chain.execute("UPDATE audit SET who = 'ben' WHERE id = 5")
    tip = ""
    for row in chain.execute("SELECT * FROM audit ORDER BY id").fetchall():
        digest = audit._sum(tip, [row[key] for key in audit.TOLD])
        chain.execute("UPDATE audit SET previous_hash = ?, hash = ? WHERE id = ?", (tip, digest, row["id"]))
        tip = digest
    chain.execute("UPDATE audit_head SET hash = ?", (tip,))
    assert verify_audit(chain).is_whole  # nothing inside gives the forger away
    assert "head that was noted" in verify_audit(chain, noted_head=noted).faults[0]


def test_a_head_noted_earlier_is_still_in_the_chain(chain: sqlite3.Connection) -> None:
    noted = audit_head(chain)
    add_audit(chain, ANNA, "go on", "case 99")
    assert verify_audit(chain, noted_head=f" {noted.upper()}\n").is_whole


def test_without_its_end_the_chain_takes_no_row_and_says_so(chain: sqlite3.Connection) -> None:
    chain.execute("DELETE FROM audit_head")
    assert "end of the chain was not kept" in verify_audit(chain).faults[0]
    with pytest.raises(CoreError, match="restore a backup"):
        add_audit(chain, ANNA, "go on", "case 99")


CELLS = ("at", "who", "via", "address", "what", "subject", "detail")
TAMPERING = st.one_of(
    st.tuples(st.just("alter"), st.integers(1, ROWS), st.sampled_from(CELLS), st.text(max_size=8)),
    st.tuples(st.just("take out"), st.integers(1, ROWS), st.just(""), st.just("")),
    st.tuples(st.just("swap"), st.integers(1, ROWS - 1), st.just(""), st.just("")),
)


@given(st.lists(TAMPERING, min_size=1, max_size=3))
@hypothesis_settings(max_examples=60)
def test_no_tampering_goes_unseen(
    prepared_home: Path, tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, str, str]]
) -> None:
    with TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder:
        settings = Settings(home=Path(shutil.copytree(prepared_home, Path(folder) / "home")))
        with opened(settings) as connection:
            fill(connection)
            before = contents(connection)
            for act, row_id, column, value in acts:
                if act == "alter":
                    connection.execute(f"UPDATE audit SET {column} = ? WHERE id = ?", (value, row_id))
                elif act == "take out":
                    connection.execute("DELETE FROM audit WHERE id = ?", (row_id,))
                else:
                    for old, new in ((row_id, -1), (row_id + 1, row_id), (-1, row_id + 1)):
                        connection.execute("UPDATE audit SET id = ? WHERE id = ?", (new, old))
            assert verify_audit(connection).is_whole == (contents(connection) == before)


def contents(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute("SELECT * FROM audit ORDER BY id")]


def test_two_writers_at_once_keep_one_chain(settings: Settings) -> None:
    def write(name: str) -> None:
        with opened(settings) as connection:
            for number in range(60):
                add_audit(connection, Actor(name, "screen"), "do a thing", f"case {number}")

    writers = [threading.Thread(target=write, args=(name,)) for name in ("anna", "ben")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with opened(settings) as connection:
        check = verify_audit(connection)
        assert (check.rows, check.faults) == (120, ())
        assert {row.who for row in list_audit(connection)} == {"anna", "ben"}


def test_an_act_that_is_rolled_back_leaves_no_row(connection: sqlite3.Connection) -> None:
    add_audit(connection, ANNA, "do a thing", "case 1")
    connection.execute("BEGIN IMMEDIATE")
    add_audit(connection, ANNA, "do a thing", "case 2")
    connection.execute("ROLLBACK")
    assert (verify_audit(connection).rows, verify_audit(connection).faults) == (1, ())


def test_adding_a_row_reads_no_other_row(connection: sqlite3.Connection) -> None:
    """However long the chain is, the newest id is looked up, never searched for."""
    for query in ("SELECT COALESCE(MAX(id), 0) FROM audit", "SELECT rows, hash FROM audit_head"):
        plan = " ".join(row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "SCAN audit_head" in plan or plan == "SEARCH audit"


def test_rows_of_before_are_tied_into_the_chain_by_the_migration(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    raw = sqlite3.connect(settings.database_path)
    migrations.apply(sqlite_utils.Database(raw), stop_before="m002_a_team")
    for number in range(5):
        raw.execute(
            "INSERT INTO audit (at, who, via, what, subject, detail) VALUES (?, 'Zoë', 'screen', 'label', ?, ?)",
            (f"2026-11-22T10:00:0{number}.000Z", f"case {number}", '{"note": "naïve"}'),
        )
    raw.commit()
    raw.close()
    prepare_home(settings)
    with opened(settings) as connection:
        assert verify_audit(connection).rows == 5
        add_audit(connection, ANNA, "do a thing", "case 1")
        assert verify_audit(connection).faults == ()
        for statement in THAW:
            connection.execute(statement)
        connection.execute("UPDATE audit SET who = 'Zoe' WHERE id = 2")
        assert "Row 2 " in verify_audit(connection).faults[0]


def test_progress_is_told_in_a_long_chain(chain: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "ROWS_PER_REPORT", 4)
    told = []

    class Listening:
        def report(self, fraction: float, note: str, **facts: object) -> None:
            told.append((fraction, note))

        def should_stop(self) -> bool:
            return False

    verify_audit(chain, progress=Listening())
    assert told == [(0.4, "4 rows looked at"), (0.8, "8 rows looked at")]


def test_filters_match_whole_words(connection: sqlite3.Connection) -> None:
    add_audit(connection, ANNA, "sign in", "session")
    add_audit(connection, ANNA, "flag case", "case 1")
    add_audit(connection, Actor("ben", "command line"), "flag case", "case 12")
    assert [row.subject for row in list_audit(connection, subject="case 1")] == ["case 1"]
    assert [row.subject for row in list_audit(connection, subject="case")] == ["case 12", "case 1"]
    assert [row.who for row in list_audit(connection, via="command line")] == ["ben"]
    assert count_audit(connection, who="anna") == 2
    assert count_audit(connection, what="sign") == 1
    assert count_audit(connection, what="%") == 0
    assert count_audit(connection, since="2999") == 0
    assert count_audit(connection, until="2999") == 3
    assert [row.id for row in list_audit(connection, limit=1, offset=1)] == [2]


def test_an_export_starts_no_formula_in_a_spreadsheet(connection: sqlite3.Connection) -> None:
    add_audit(connection, Actor('=HYPERLINK("x")', "screen"), "sign in refused", "session")
    stream = io.StringIO()
    assert export_audit(list_audit(connection), stream) == 1
    stream.seek(0)
    (row,) = csv.DictReader(stream)
    assert row["who"] == '\'=HYPERLINK("x")'
    assert row["hash"] == audit_head(connection)


def test_a_row_that_was_made_unreadable_does_not_stop_the_list(chain: sqlite3.Connection) -> None:
    chain.execute("UPDATE audit SET detail = 'no JSON' WHERE id = 2")
    assert list_audit(chain)[-2].detail == {"unreadable": "no JSON"}


def test_a_look_at_the_chain_is_remembered(chain: sqlite3.Connection) -> None:
    assert last_check(chain) is None
    note_check(chain, verify_audit(chain), ANNA)
    seen = last_check(chain)
    assert seen is not None
    assert seen.detail == {"rows": ROWS, "faults": 0, "head": list_audit(chain)[1].hash}
    assert verify_audit(chain).is_whole


def test_a_clock_that_went_back_and_a_time_to_come_are_named(connection: sqlite3.Connection) -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    for statement in THAW[:1]:
        connection.execute(statement)
    for number, hours in enumerate((-3, -2, -5, -1), start=1):
        add_audit(connection, ANNA, "do a thing", f"case {number}")
        at = utc_text(now + timedelta(hours=hours))
        connection.execute("UPDATE audit SET at = ? WHERE id = ?", (at, number))
    assert clock_faults(connection, now=now) == ["At audit row 3 the clock went back by 3.0 hours."]
    assert clock_faults(connection, now=now - timedelta(hours=1, minutes=30)) == [
        "At audit row 3 the clock went back by 3.0 hours.",
        "What was stored last is 30 minutes ahead of this machine's clock.",
    ]
    assert clock_faults(connection, now=now + timedelta(days=2)) == []


def test_while_the_audit_is_taken_along_others_still_write(chain: sqlite3.Connection, settings: Settings) -> None:
    def say(reading: sqlite3.Connection, rows: Sequence[AuditRow]) -> dict[int, Said]:
        with opened(settings) as other:
            other.execute("PRAGMA busy_timeout = 0")
            add_audit(other, ANNA, "do a thing", "case 99")
        return {}

    text, count = take_audit_along(chain, ANNA, {}, say=say)
    assert count == len(text.splitlines()) - 1 == len(list_audit(chain, limit=None)) - 2
    assert list_audit(chain)[0].what == "export audit"
    assert verify_audit(chain).is_whole
