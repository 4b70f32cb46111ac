"""The table of cases, and what each import did with each file."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal

from core.clock import utc_now
from core.errors import InvalidInput, NotFound
from core.images.decoded import Affine, Photometric, SpacingAt, Window
from core.images.home_secret import secret_of
from core.images.names import name_parts
from core.images.pseudonyms import path_token
from core.people.roles import demand_of
from core.store.audit import Actor, add_audit
from core.store.database import writing

__all__ = ["CAME_IN", "Case", "ImportedFile", "NewCase", "Window"]

PatientFrom = Literal["table", "dicom", "pattern", "none"]
# `joined` is a slice that became a frame of a case, `held` what waits for a check of its pixels, `waiting` what was
# looked at and comes in once somebody accepts it.
FileStatus = Literal["imported", "joined", "held", "skipped", "waiting", "failed"]
CAME_IN: frozenset[FileStatus] = frozenset({"imported", "joined", "held"})
HoldBack = Literal["nothing", "odd", "all"]  # what an import only looks at, until somebody accepts it
ROWS_AT_ONCE = 1000
LONGEST_NUMBER = 18  # digits; SQLite's integers end at 19


@dataclass(frozen=True)
class NewCase:
    """One image about to become a case of a project."""

    project: int
    source: str  # the file, relative to the imported folder, with forward slashes
    patient: str
    patient_from: PatientFrom
    pixel_hash: str
    file_hash: str
    perceptual_hash: str | None
    rows: int
    columns: int
    channels: int
    dtype: str
    photometric: Photometric
    imported_by: str
    frames: int = 1
    modality: str | None = None
    view: str | None = None
    spacing_mm: tuple[float, float] | None = None  # between rows, between columns
    spacing_at: SpacingAt | None = None
    slice_spacing_mm: float | None = None  # between frames
    affine: Affine | None = None  # (column, row, frame, 1) to patient millimetres, LPS
    windows: tuple[Window, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    given_split: str | None = None
    held: bool = False  # somebody has to look at its pixels first: `core.images.pixel_checks`
    synthetic: Mapping[str, Any] | None = None  # of a drawn image: what drew it, for what


@dataclass(frozen=True)
class Case(NewCase):
    """The unit that is read, labelled and predicted."""

    id: int = 0
    flagged: bool = False
    imported_at: str = ""


@dataclass(frozen=True, slots=True)
class ImportedFile:
    """What an import did with one file, and why. `series` is the number that the import gave its series."""

    path: str
    status: FileStatus
    case: int | None
    reason: str
    series: int | None = None


def insert_case(connection: sqlite3.Connection, new: NewCase) -> Case:
    """Store a case. The caller has looked for one of the same source and pixels."""
    row: dict[str, Any] = {
        **vars(new),
        "spacing_mm": json.dumps(new.spacing_mm) if new.spacing_mm else None,
        "affine": json.dumps(new.affine) if new.affine else None,
        "windows": json.dumps([list(window.to_json().values()) for window in new.windows]),
        "attributes": json.dumps(new.attributes, ensure_ascii=False, sort_keys=True),
        "synthetic": json.dumps(new.synthetic, sort_keys=True) if new.synthetic else None,
        "imported_at": utc_now(),
    }
    with writing(connection):
        # The number of an erased case is never given again: answers to that one may still be on their way.
        row["id"] = connection.execute(
            """SELECT 1 + max(coalesce((SELECT max(id) FROM cases), 0),
                              coalesce((SELECT max(case_id) FROM erased_cases), 0))"""
        ).fetchone()[0]
        connection.execute(f"INSERT INTO cases ({', '.join(row)}) VALUES ({', '.join(':' + key for key in row)})", row)
    return Case(**vars(new), id=row["id"], imported_at=row["imported_at"])


def get_case(connection: sqlite3.Connection, case_id: int) -> Case:
    """A case by its id.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute("SELECT * FROM cases WHERE id = ?", (case_id,)).fetchone()
    if row is None:
        raise NotFound("case", case_id)
    return _case(row)


def get_cases(connection: sqlite3.Connection, case_ids: Sequence[int]) -> list[Case]:
    """Cases in the order of their ids as given.

    Raises:
        NotFound: one of them is not there.
    """
    found: dict[int, Case] = {}
    for start in range(0, len(case_ids), ROWS_AT_ONCE):
        some = list(case_ids[start : start + ROWS_AT_ONCE])
        marks = ", ".join("?" * len(some))
        found |= {
            row["id"]: _case(row) for row in connection.execute(f"SELECT * FROM cases WHERE id IN ({marks})", some)
        }
    missing = [case_id for case_id in case_ids if case_id not in found]
    if missing:
        raise NotFound("case", missing[0])
    return [found[case_id] for case_id in case_ids]


def set_of_synthetic(connection: sqlite3.Connection, case_ids: Sequence[int]) -> set[int]:
    """Those of these cases that were drawn by a model."""
    rows = connection.execute(
        "SELECT id FROM cases WHERE synthetic IS NOT NULL AND id IN (SELECT value FROM json_each(?))",
        (json.dumps([int(case_id) for case_id in case_ids]),),
    )
    return {row[0] for row in rows}


def count_synthetic(connection: sqlite3.Connection, project_id: int) -> int:
    """How many cases of a project were drawn by a model."""
    row = connection.execute(
        "SELECT count(*) FROM cases WHERE project = ? AND synthetic IS NOT NULL", (project_id,)
    ).fetchone()
    return int(row[0])


def find_synthetic(connection: sqlite3.Connection, pixel_hash: str) -> Case | None:
    """A case of any project that a model drew with exactly these pixels; the oldest of several."""
    row = connection.execute(  # project by project, for the index on pixels begins with it
        """SELECT * FROM cases WHERE project IN (SELECT id FROM projects) AND pixel_hash = ? AND synthetic IS NOT NULL
           ORDER BY id LIMIT 1""",
        (pixel_hash,),
    ).fetchone()
    return _case(row) if row is not None else None


def set_of_drawn(connection: sqlite3.Connection) -> frozenset[str]:
    """The pixel hashes of all images that were drawn on the page Draw or with `readroom generate`, kept or not."""
    rows = connection.execute(
        """SELECT DISTINCT image.value ->> 'pixel_hash' FROM jobs, json_each(jobs.result, '$.images') AS image
           WHERE jobs.kind = 'generate' AND jobs.result IS NOT NULL"""
    )
    return frozenset(row[0] for row in rows if row[0])


def find_volume(connection: sqlite3.Connection, case_ids: Sequence[int]) -> Case | None:
    """The first of these cases that has several frames."""
    return _find_where(connection, case_ids, "frames > 1")


def find_single(connection: sqlite3.Connection, case_ids: Sequence[int]) -> Case | None:
    """The first of these cases that is a single image."""
    return _find_where(connection, case_ids, "frames = 1")


def list_volume_affines(connection: sqlite3.Connection, case_ids: Sequence[int]) -> list[Affine]:
    """How those of these cases lie in the patient that have several frames and tell it."""
    rows = connection.execute(
        """SELECT affine FROM cases WHERE id IN (SELECT value FROM json_each(?)) AND frames > 1
           AND affine IS NOT NULL ORDER BY id""",
        (json.dumps([int(case_id) for case_id in case_ids]),),
    )
    return [_affine(row[0]) for row in rows]


def find_unscaled(connection: sqlite3.Connection, case_ids: Sequence[int]) -> Case | None:
    """The first of these cases of which no pixel spacing is known."""
    return _find_where(connection, case_ids, "spacing_mm IS NULL")


def _find_where(connection: sqlite3.Connection, case_ids: Sequence[int], condition: str) -> Case | None:
    for start in range(0, len(case_ids), ROWS_AT_ONCE):
        some = list(case_ids[start : start + ROWS_AT_ONCE])
        marks = ", ".join("?" * len(some))
        query = f"SELECT * FROM cases WHERE id IN ({marks}) AND {condition} ORDER BY id LIMIT 1"
        row = connection.execute(query, some).fetchone()
        if row is not None:
            return _case(row)
    return None


def find_case(connection: sqlite3.Connection, project_id: int, name: str | int) -> Case | None:
    """A case by its id, its source, or its file name with or without the extension, if only one has it.

    Raises:
        InvalidInput: several cases go by this name; the sentence lists their ids.
    """
    text = str(name).strip()
    numbered = find_numbered_case(connection, project_id, text)
    if numbered is not None:
        return numbered
    for found in (
        _by_source(connection, project_id, text),
        _by_file_name(connection, project_id, text),
        *_by_tokens(connection, project_id, text),
    ):
        if len(found) > 1:
            some = ", ".join(f"{case.id} ({case.source})" for case in found[:5])
            raise InvalidInput(f"Several cases go by this name; give one of their ids: {some}. Received: {text}")
        if found:
            return found[0]
    return None


def _by_tokens(connection: sqlite3.Connection, project_id: int, text: str) -> Iterator[list[Case]]:
    """The same look-ups for cases whose file goes by tokens: what is written is turned into tokens first."""
    secret = secret_of(connection)
    if secret is not None and text:
        token = path_token(secret, text)
        yield _by_source(connection, project_id, token)
        yield _by_file_name(connection, project_id, token)


def find_numbered_case(connection: sqlite3.Connection, project_id: int, text: str) -> Case | None:
    """The case of a project whose id this text is, or None."""
    if not (text.isascii() and text.isdigit()) or len(text) > LONGEST_NUMBER:
        return None
    row = connection.execute("SELECT * FROM cases WHERE project = ? AND id = ?", (project_id, int(text))).fetchone()
    return _case(row) if row is not None else None


def find_same_pixels(connection: sqlite3.Connection, project_id: int, pixel_hash: str) -> list[Case]:
    """All cases of a project with exactly these pixels, oldest first."""
    return [
        _case(row)
        for row in connection.execute(
            "SELECT * FROM cases WHERE project = ? AND pixel_hash = ? ORDER BY id", (project_id, pixel_hash)
        )
    ]


def find_same_pixels_before(connection: sqlite3.Connection, project_id: int, pixel_hash: str) -> list[Case]:
    """The cases of a project that had these pixels before something was blacked out in them, oldest first."""
    rows = connection.execute(
        """SELECT cases.* FROM pixel_checks JOIN cases ON cases.id = case_id
           WHERE pixel_checks.project = ? AND before_hash = ? ORDER BY id""",
        (project_id, pixel_hash),
    )
    return [_case(row) for row in rows]


def is_mentioned(connection: sqlite3.Connection, case: Case) -> bool:
    """Whether anything was said of a case or asked about it since it came in: an answer, a mask, a prediction, a
    snapshot, a list, a map. Which tables name cases the database itself knows, so that a new one is never forgotten."""
    naming = connection.execute(
        """SELECT tables.name, keys."from" FROM sqlite_master AS tables, pragma_foreign_key_list(tables.name) AS keys
           WHERE tables.type = 'table' AND keys."table" = 'cases'
           AND tables.name NOT IN ('case_attributes', 'instance_headers')"""
    ).fetchall()
    asked = [f"SELECT 1 FROM {table} WHERE {column} = ?" for table, column in naming]
    asked.append("SELECT 1 FROM jobs WHERE json_extract(arguments, '$.case') = ?")
    return case.flagged or any(connection.execute(f"{one} LIMIT 1", (case.id,)).fetchone() for one in asked)


def replace_case(connection: sqlite3.Connection, case_id: int, by: int) -> None:
    """Take away a case that nothing mentions and whose headers are gone; reports and known files name the other.

    Its number is never given again: an answer to it may be on its way, and must not land on another image.
    """
    with writing(connection):
        for table in ("import_files", "known_files"):
            connection.execute(f"UPDATE {table} SET case_id = ? WHERE case_id = ?", (by, case_id))
        connection.execute("DELETE FROM case_attributes WHERE case_id = ?", (case_id,))
        connection.execute("DELETE FROM cases WHERE id = ?", (case_id,))
        connection.execute("INSERT INTO erased_cases (case_id) VALUES (?)", (case_id,))


def list_same_patient(connection: sqlite3.Connection, case: Case, most: int = 50) -> list[int]:
    """Other cases of a case's patient in its project: ids, those that came before it first, the nearest of each first.

    Cases of which nothing told the patient are each their own.
    """
    query = """SELECT id FROM cases WHERE project = ? AND patient = ? AND id != ? AND held = 0
               ORDER BY id > ?, abs(id - ?) LIMIT ?"""
    values = (case.project, case.patient, case.id, case.id, case.id, most)
    return [row["id"] for row in connection.execute(query, values)]


def has_patient(connection: sqlite3.Connection, project_id: int, patient: str) -> bool:
    """Whether any case of a project is of this patient."""
    query = "SELECT 1 FROM cases WHERE project = ? AND patient = ? LIMIT 1"
    return connection.execute(query, (project_id, patient)).fetchone() is not None


def find_same_source(connection: sqlite3.Connection, project_id: int, source: str) -> list[Case]:
    """All cases of a project that came under this name, oldest first."""
    return _by_source(connection, project_id, source)


def list_cases(connection: sqlite3.Connection, project_id: int) -> Iterator[Case]:
    """All cases of a project by id, a thousand at a time, so that a slow reader holds nothing open."""
    last = 0
    while True:
        rows = connection.execute(
            "SELECT * FROM cases WHERE project = ? AND id > ? ORDER BY id LIMIT ?", (project_id, last, ROWS_AT_ONCE)
        ).fetchall()
        if not rows:
            return
        yield from map(_case, rows)
        last = rows[-1]["id"]


def list_case_sources(connection: sqlite3.Connection, project_id: int) -> list[str]:
    """The different sources of a project's cases."""
    query = "SELECT DISTINCT source FROM cases WHERE project = ? ORDER BY source"
    return [row["source"] for row in connection.execute(query, (project_id,))]


def count_cases(connection: sqlite3.Connection, project_id: int) -> int:
    return int(connection.execute("SELECT COUNT(*) FROM cases WHERE project = ?", (project_id,)).fetchone()[0])


def set_flag(connection: sqlite3.Connection, case_id: int, flagged: bool, actor: Actor) -> Case:
    """Mark a case for a second look, or take the mark away.

    Raises:
        NotFound: there is no such case.
        NotAllowed: the actor may not label in its project.
    """
    with writing(connection):
        case = get_case(connection, case_id)
        demand_of(connection, actor, "label", case.project)
        connection.execute("UPDATE cases SET flagged = ? WHERE id = ?", (int(flagged), case_id))
        told = {"before": case.flagged, "after": flagged}
        add_audit(connection, actor, "flag case" if flagged else "unflag case", f"case {case_id}", **told)
        return get_case(connection, case_id)


def record_import_file(
    connection: sqlite3.Connection,
    job: int,
    path: str,
    status: FileStatus,
    case_id: int | None,
    reason: str,
    series: int | None = None,
) -> ImportedFile:
    """Keep what a job did with a file, in the transaction of the deed itself."""
    with writing(connection):
        connection.execute(
            "INSERT INTO import_files (job, path, status, case_id, reason, series) VALUES (?, ?, ?, ?, ?, ?)",
            (job, path, status, case_id, reason, series),
        )
    return ImportedFile(path, status, case_id, reason, series)


def list_import_files(connection: sqlite3.Connection, job: int) -> list[ImportedFile]:
    """What a job did with each file so far, by path."""
    return list(walk_import_files(connection, job))


def walk_import_files(connection: sqlite3.Connection, job: int) -> Iterator[ImportedFile]:
    """The same one after the other; whoever asks holds the database open until the last."""
    for row in connection.execute("SELECT * FROM import_files WHERE job = ? ORDER BY path", (job,)):
        yield ImportedFile(row["path"], row["status"], row["case_id"], row["reason"], row["series"])


def mark_import_files(connection: sqlite3.Connection, job: int) -> tuple[int, ...]:
    """Numbers that change whenever a job's report does: its rows only come, until an erasure cleans them."""
    row = connection.execute(
        """SELECT (SELECT count(*) FROM import_files WHERE job = :job),
                  (SELECT count(*) FROM import_series WHERE job = :job), (SELECT count(*) FROM erased_cases)""",
        {"job": job},
    ).fetchone()
    return tuple(row)


def count_files(rows: Sequence[ImportedFile]) -> dict[str, int]:
    """How many files came in (`imported`; `joined` and `held` of them), as how many `cases`, were skipped or failed."""
    came = [row for row in rows if row.status in CAME_IN]
    by_status = Counter(row.status for row in rows)
    others: tuple[FileStatus, ...] = ("joined", "held", "skipped", "failed")
    return {
        "imported": len(came),
        "cases": len({row.case for row in came}),
        **{status: by_status[status] for status in others},
    }


def wanted_again(
    rows: Sequence[ImportedFile], statuses: Sequence[FileStatus], *, left_out: AbstractSet[int] = frozenset()
) -> set[str]:
    """The paths of files of these statuses; of a series with a refused file all of it, since slices belong together.

    Args:
        left_out: series by number that are not wanted.
    """
    rows = [row for row in rows if row.series is None or row.series not in left_out]
    damaged = {row.series for row in rows if row.status == "failed" and row.series} if "failed" in statuses else set()
    return {row.path for row in rows if row.status in statuses or row.series in damaged}


def put_import_series(connection: sqlite3.Connection, job: int, told: Mapping[int, Mapping[str, Any]]) -> None:
    """Keep what a job found out about each series, by its number; a job that goes on finds the same."""
    with writing(connection):
        connection.executemany(
            "INSERT OR REPLACE INTO import_series (job, number, told) VALUES (?, ?, ?)",
            [(job, number, json.dumps(facts, allow_nan=False)) for number, facts in told.items()],
        )


def list_import_series(connection: sqlite3.Connection, job: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """What a job found out about each series, with its number; whoever asks holds the database open until the last."""
    rows = connection.execute("SELECT number, told FROM import_series WHERE job = ? ORDER BY number", (job,))
    return ((row["number"], json.loads(row["told"])) for row in rows)


def list_unnamed(connection: sqlite3.Connection, hashes: Sequence[str]) -> set[str]:
    """Those of these files of images that no case names: neither its pixels nor a header."""
    rows = connection.execute(
        """SELECT value FROM json_each(:hashes) EXCEPT SELECT pixel_hash FROM cases WHERE pixel_hash IN
           (SELECT value FROM json_each(:hashes)) EXCEPT SELECT header_hash FROM instance_headers WHERE header_hash IN
           (SELECT value FROM json_each(:hashes))""",
        {"hashes": json.dumps(list(hashes))},
    )
    return {row[0] for row in rows}


def _by_source(connection: sqlite3.Connection, project_id: int, source: str) -> list[Case]:
    return [
        _case(row)
        for row in connection.execute(
            "SELECT * FROM cases WHERE project = ? AND source = ? ORDER BY id", (project_id, source)
        )
    ]


def _by_file_name(connection: sqlite3.Connection, project_id: int, name: str) -> list[Case]:
    """Cases whose file has this name; failing that, this name before its extension."""
    if not name or "/" in name:
        return []
    literal = name.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = connection.execute(
        r"""SELECT id, source FROM cases WHERE project = ? AND
            (source LIKE ? ESCAPE '\' OR source LIKE ? ESCAPE '\') ORDER BY id""",
        (project_id, f"{literal}%", f"%/{literal}%"),
    ).fetchall()
    for with_extension in (True, False):
        ids = [row["id"] for row in rows if name == "".join(name_parts(row["source"])[: 1 + with_extension])]
        if ids:
            return get_cases(connection, ids)
    return []


def _affine(text: str) -> Affine:
    return tuple(tuple(line) for line in json.loads(text))


def _case(row: sqlite3.Row | Mapping[str, Any]) -> Case:
    return Case(
        **{
            **dict(row),
            "spacing_mm": tuple(json.loads(row["spacing_mm"])) if row["spacing_mm"] else None,
            "affine": _affine(row["affine"]) if row["affine"] else None,
            "windows": tuple(Window.told(*window) for window in json.loads(row["windows"])),
            "attributes": json.loads(row["attributes"]),
            "flagged": bool(row["flagged"]),
            "held": bool(row["held"]),
            "synthetic": json.loads(row["synthetic"]) if row["synthetic"] else None,
        }
    )
