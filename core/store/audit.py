"""Who did what, when, from where and by which door. Rows are only ever added, and each is tied to the one before.

The hash of a row covers what it says and the hash of the row before it, so a row that was altered,
taken out or slipped in breaks the chain; `audit_head` remembers how long the chain is, so rows cut off
at its end are missed too. Whoever can write the database can also forge the whole chain: against that,
`verify_audit` takes a head that was noted elsewhere (each backup notes one).

Details hold ids, settings and counts: never a patient's name or the path of a file, since what is
written here stays when a patient is erased.
"""

import csv
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import IO, Any, Literal, TypedDict

from core.cells import guard
from core.clock import utc_now, utc_text
from core.errors import CoreError, InvalidInput
from core.progress import Progress, Silent
from core.store.database import one_view, writing

Door = Literal["screen", "command line", "job"]
TOLD = ("id", "at", "who", "via", "address", "what", "subject", "detail")
MOST_FAULTS = 20
ROWS_PER_REPORT = 5000
VERIFIED = "verify audit"
CLOCK_TOLERANCE = timedelta(minutes=2)
CLOCK_MEMORY = timedelta(days=1)
ROWS_FOR_CLOCK = 2000


@dataclass(frozen=True)
class Actor:
    """Whoever acts: a user's name, the door they came by, and the network address where there is one."""

    name: str
    via: Door
    address: str = ""


@dataclass(frozen=True)
class AuditRow:
    """One act. `detail` holds what the act was about, with `before` and `after` where something changed."""

    id: int
    at: str
    who: str
    via: str
    address: str
    what: str
    subject: str
    detail: dict[str, Any]
    hash: str


@dataclass(frozen=True)
class Said:
    """What a row means by its numbers before and after, as long as that is there."""

    before: str = ""
    after: str = ""


NOTHING_SAID = Said()
# Told by a room above, which knows what the numbers stand for (`core.labels.said`).
Say = Callable[[sqlite3.Connection, Sequence[AuditRow]], Mapping[int, Said]]


class AuditFilters(TypedDict, total=False):
    """What `list_audit` may be asked for; a text of "" asks for nothing."""

    who: str
    what: str
    subject: str
    via: str
    since: str
    until: str


@dataclass(frozen=True)
class AuditCheck:
    """What the chain says of itself: how many rows it has, its head, and every fault that was found."""

    rows: int
    head: str
    faults: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        return not self.faults


def add_audit(connection: sqlite3.Connection, actor: Actor, what: str, subject: str, **detail: object) -> None:
    """Write one row, in the transaction of the act itself. Quick however long the chain is.

    Raises:
        CoreError: somebody took the end of the chain away, so that no row could be tied to it.
    """
    with writing(connection):
        head = connection.execute("SELECT rows, hash FROM audit_head").fetchone()
        if head is None:
            raise CoreError("The audit has lost its end; restore a backup. Received: a database without audit_head")
        told = (utc_now(), actor.name, actor.via, actor.address, what, subject, json.dumps(detail, sort_keys=True))
        newest = connection.execute("SELECT COALESCE(MAX(id), 0) FROM audit").fetchone()[0]
        # After rows that were cut off, not in their place: so the hole stays to be seen.
        row_id = max(int(newest), head["rows"]) + 1
        digest = _sum(head["hash"], (row_id, *told))
        connection.execute(
            f"INSERT INTO audit ({', '.join(TOLD)}, previous_hash, hash) VALUES ({', '.join('?' * 10)})",
            (row_id, *told, head["hash"], digest),
        )
        connection.execute("UPDATE audit_head SET rows = ?, hash = ?", (head["rows"] + 1, digest))


def verify_audit(
    connection: sqlite3.Connection, *, noted_head: str | None = None, progress: Progress | None = None
) -> AuditCheck:
    """Walk the whole chain and name every row that was altered, taken out, slipped in or cut off.

    `noted_head` is a head that was seen earlier; it must still be part of the chain.
    """
    wanted = (noted_head or "").strip().lower()
    with _one_view(connection):
        head = connection.execute("SELECT rows, hash FROM audit_head").fetchone()
        walk = _Walk(head["rows"] if head else 0, wanted)
        rows = connection.execute(f"SELECT {', '.join(TOLD)}, previous_hash, hash FROM audit ORDER BY id")
        for row in rows:
            walk.look_at(row)
            if walk.rows % ROWS_PER_REPORT == 0:
                done = walk.rows / max(walk.expected, walk.rows)
                (progress or Silent()).report(done, f"{walk.rows:,} rows looked at")
        walk.end(head["hash"] if head else None)
    more = len(walk.faults) - MOST_FAULTS
    faults = walk.faults[:MOST_FAULTS] + ([f"And {more} more."] if more > 0 else [])
    return AuditCheck(walk.rows, walk.tip, tuple(faults))


class _Walk:
    """The walk along the chain, row by row. `expected` is how many rows were ever written."""

    def __init__(self, expected: int, wanted: str) -> None:
        self.expected, self.wanted = expected, wanted
        self.faults: list[str] = []
        self.rows, self.tip, self.last_id = 0, "", 0
        self.found_wanted = wanted == ""

    def look_at(self, row: sqlite3.Row) -> None:
        self.rows += 1
        if row["id"] < 1:  # ours begin at 1
            self.faults.append(f"Row {row['id']} ({row['what']}) was slipped in.")
            return
        if row["id"] != self.last_id + 1:
            self.faults.append(_missing(self.last_id + 1, row["id"] - 1))
        elif row["previous_hash"] != self.tip:
            self.faults.append(f"Row {row['id']} ({row['what']}) does not follow the row before it.")
        if row["hash"] != _sum(row["previous_hash"], [row[key] for key in TOLD]):
            self.faults.append(f"Row {row['id']} ({row['at']}, {row['what']}) was altered.")
        self.tip, self.last_id = row["hash"], row["id"]
        self.found_wanted = self.found_wanted or self.tip == self.wanted

    def end(self, head: str | None) -> None:
        """Compare the end of the chain with what was noted of it."""
        if head is None:
            self.faults.append("The end of the chain was not kept, so rows may be missing there.")
        elif self.last_id < self.expected:
            self.faults.append(_missing(self.last_id + 1, self.expected))
        elif self.rows > self.expected:
            self.faults.append(f"{self.expected} rows were written; {self.rows} are there, up to row {self.last_id}.")
        elif self.tip != head:
            self.faults.append(f"Row {self.last_id} is not the one that was written last.")
        if not self.found_wanted:
            self.faults.append(f"The head that was noted is not in this chain. Received: {self.wanted}")


@contextmanager
def _one_view(connection: sqlite3.Connection) -> Iterator[None]:
    """The chain and its head as of one moment, whoever writes meanwhile; also of rows that are no longer text."""
    begun = not connection.in_transaction
    kept, connection.text_factory = connection.text_factory, lambda raw: raw.decode("utf-8", "surrogateescape")
    if begun:
        connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.text_factory = kept
        if begun:
            connection.execute("COMMIT")


def note_check(connection: sqlite3.Connection, check: AuditCheck, actor: Actor) -> None:
    """Remember that the chain was looked at, and with which result; the doctor says when that was."""
    add_audit(connection, actor, VERIFIED, "audit", rows=check.rows, head=check.head, faults=len(check.faults))


def last_check(connection: sqlite3.Connection) -> AuditRow | None:
    """When the chain was last looked at; its detail says how many `rows` and `faults` there were."""
    return next(iter(list_audit(connection, what=VERIFIED, limit=1)), None)


def clock_faults(connection: sqlite3.Connection, *, now: datetime) -> list[str]:
    """What the newest rows tell about this machine's clock: a time that is yet to come, or a step back."""
    rows = connection.execute("SELECT id, at FROM audit ORDER BY id DESC LIMIT ?", (ROWS_FOR_CLOCK,)).fetchall()
    rows.reverse()
    times = [(row["id"], datetime.fromisoformat(row["at"])) for row in rows]
    times = [(row_id, at) for row_id, at in times if at > now - CLOCK_MEMORY]
    faults = [
        f"At audit row {row_id} the clock went back by {_span(before - at)}."
        for (_, before), (row_id, at) in pairwise(times)
        if before - at > CLOCK_TOLERANCE
    ]
    ahead = max((at for _, at in times), default=now) - now
    if ahead > CLOCK_TOLERANCE:
        faults.append(f"What was stored last is {_span(ahead)} ahead of this machine's clock.")
    return faults


def audit_head(connection: sqlite3.Connection) -> str:
    """The hash of the newest row: note it elsewhere, and nobody can rewrite what was before."""
    return str(connection.execute("SELECT hash FROM audit_head").fetchone()[0])


def list_audit(
    connection: sqlite3.Connection,
    *,
    who: str = "",
    what: str = "",
    subject: str = "",
    via: str = "",
    since: str = "",
    until: str = "",
    limit: int | None = 200,
    offset: int = 0,
) -> list[AuditRow]:
    """Rows, newest first. Times are stored text (`core.clock`).

    `what` and `subject` match whole words from the beginning: "case" finds every case, "case 1" not case 12.
    """
    clause, values = _matching(who=who, what=what, subject=subject, via=via, since=since, until=until)
    query = f"SELECT * FROM audit WHERE {clause} ORDER BY id DESC LIMIT ? OFFSET ?"
    return [_row(row) for row in connection.execute(query, (*values, -1 if limit is None else limit, offset))]


def count_audit(connection: sqlite3.Connection, **filters: str) -> int:
    """How many rows `list_audit` would give without a limit."""
    clause, values = _matching(**filters)
    return int(connection.execute(f"SELECT COUNT(*) FROM audit WHERE {clause}", values).fetchone()[0])


def since_text(given: str) -> str:
    """The beginning of a day, or the time itself, as stored text; "" stays "".

    Raises:
        InvalidInput: it is neither a day nor a time.
    """
    return utc_text(_moment(given)) if given else ""


def until_text(given: str) -> str:
    """The end of a day, or the time itself, as stored text; "" stays "".

    Raises:
        InvalidInput: it is neither a day nor a time.
    """
    if not given:
        return ""
    whole_day = len(given.strip()) == len("2026-11-22")
    return utc_text(_moment(given) + (timedelta(days=1) if whole_day else timedelta()))


def _moment(given: str) -> datetime:
    try:
        moment = datetime.fromisoformat(given.strip())
    except ValueError as error:
        sentence = f"Give a day such as 2026-11-22, or a time such as 2026-11-22T10:42. Received: {given}"
        raise InvalidInput(sentence) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def audit_choices(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """What can be filtered for: everybody who acted, every kind of act."""
    return {
        column: [row[0] for row in connection.execute(f"SELECT DISTINCT {column} FROM audit ORDER BY {column}")]
        for column in ("who", "what")
    }


def take_audit_along(
    connection: sqlite3.Connection, actor: Actor, filters: AuditFilters, *, say: Say | None = None
) -> tuple[str, int]:
    """The rows that fit as CSV, and how many; that they were taken along is a row of the audit too."""
    stream = io.StringIO(newline="")
    with one_view(connection):  # years of rows take seconds, in which labels are still stored
        rows = list_audit(connection, **filters, limit=None)
        count = export_audit(rows, stream, said=say(connection, rows) if say else None)
    kept = {key: value for key, value in filters.items() if value}
    add_audit(connection, actor, "export audit", "audit", rows=count, filters=kept)
    return stream.getvalue(), count


def export_audit(rows: Iterable[AuditRow], stream: IO[str], *, said: Mapping[int, Said] | None = None) -> int:
    """Write rows as CSV, with their hashes, so that a copy elsewhere can be held against the chain; how many.

    After the hash, which does not cover it, stands what a row `said` where it names things by number only.
    """
    writer = csv.writer(stream)
    writer.writerow((*TOLD, "hash", "answer before", "answer after"))
    count = 0
    for row in rows:
        detail = json.dumps(row.detail, sort_keys=True, ensure_ascii=False)
        told = (row.at, row.who, row.via, row.address, row.what, row.subject, detail)
        answers = (said or {}).get(row.id, NOTHING_SAID)
        writer.writerow((row.id, *map(guard, told), row.hash, guard(answers.before), guard(answers.after)))
        count += 1
    return count


def _sum(previous: object, told: Sequence[object]) -> str:
    # `default` and `surrogateescape` are for rows that somebody altered: ours hold only text.
    text = json.dumps([previous, *told], ensure_ascii=False, default=lambda value: [repr(value)])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _missing(first: int, last: int) -> str:
    return f"Row {first} is missing." if first == last else f"Rows {first} to {last} are missing."


def _span(length: timedelta) -> str:
    minutes = round(length.total_seconds() / 60)
    return f"{minutes} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


SPELLED = {"who": "who = ?", "via": "via = ?", "since": "at >= ?", "until": "at < ?"}


def _matching(**filters: str) -> tuple[str, list[str]]:
    """The WHERE of a list and its values."""
    clauses, values = ["1"], []
    for key, value in filters.items():
        if not value:
            continue
        if key in ("what", "subject"):
            clauses.append(f"({key} = ? OR substr({key}, 1, length(?) + 1) = ? || ' ')")
            values += [value] * 3
        else:
            clauses.append(SPELLED[key])
            values.append(value)
    return " AND ".join(clauses), values


def _row(row: sqlite3.Row) -> AuditRow:
    told = {key: row[key] for key in (*TOLD, "hash")}
    try:
        detail = json.loads(row["detail"])
    except ValueError:  # somebody altered it; `verify_audit` says so, and a list goes on
        detail = {"unreadable": str(row["detail"])}
    return AuditRow(**{**told, "detail": detail})
