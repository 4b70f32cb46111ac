"""The SQL of erasing. It knows every table that speaks of a case; a test fails when a new one is forgotten.

The table `erasing` names the cases while they go, in one transaction: it lifts the labels' delete trigger for
just these, and every DELETE below is over it.
"""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from core.clock import utc_now
from core.datasets.splits import keep_fold_views
from core.erasing.traces import GONE, Traces

DATABASE = "readroom.db"  # as a "file to erase": the database is to be rewritten, so that no freed page keeps a row
# Children before parents. `cases` itself comes last.
OF_CASES = (
    ("comments", "case_id"),
    ("remarks", "case_id"),
    ("failure_tags", "case_id"),
    ("assignments", "case_id"),
    ("case_list_cases", "case_id"),
    ("current_masks", "case_id"),
    ("mask_frames", "case_id"),
    ("mask_edits", "case_id"),
    ("marks", "case_id"),
    ("measured_masks", "case_id"),
    ("predicted_masks", "case_id"),
    ("predictions", "case_id"),
    ("run_watched", "case_id"),
    ("snapshot_masks", "case_id"),
    ("snapshot_cases", "case_id"),
    ("reference_labels", "case_id"),
    ("current_labels", "case_id"),
    ("labels", "case_id"),
    ("import_files", "case_id"),
    ("known_files", "case_id"),
    ("instance_headers", "case_id"),
    ("pixel_checks", "case_id"),
    ("case_attributes", "case_id"),
    ("cases", "id"),
)
OF_A_PROJECT = (
    "case_lists WHERE project = :project",
    "device_templates WHERE project = :project",
    "schema_changes WHERE project = :project",
    "presented_steps WHERE project = :project",
    "remarks WHERE project = :project",
    "stages WHERE project = :project",
    "signatures WHERE project = :project",
    "decisions WHERE project = :project",
    "test_openings WHERE project = :project",
    "reviews WHERE project = :project",
    "evaluations WHERE model IN (SELECT id FROM models WHERE project = :project)",
    "abstention_rules WHERE project = :project",
    "drift_checks WHERE project = :project",
    "explanation_evidence WHERE model IN (SELECT id FROM models WHERE project = :project)",
    "models WHERE project = :project",
    "run_watched WHERE run IN (SELECT id FROM runs WHERE project = :project)",
    "run_epochs WHERE run IN (SELECT id FROM runs WHERE project = :project)",
    "runs WHERE project = :project",
    "snapshots WHERE project = :project",
    "import_files WHERE job IN (SELECT id FROM jobs WHERE project = :project)",
    "import_series WHERE job IN (SELECT id FROM jobs WHERE project = :project)",
    "known_files WHERE project = :project",
    "watched_folders WHERE project = :project",
    "members WHERE project = :project",
)
READERS_MILLISECONDS = 2000
IDS = "(SELECT value FROM json_each(:ids))"
ERASED_JOB = {"erased": True}


def list_case_ids(connection: sqlite3.Connection, project: int, patient: str | None = None) -> list[int]:
    """The cases of a project, or of one patient in it."""
    rows = connection.execute(
        "SELECT id FROM cases WHERE project = :project AND (:patient IS NULL OR patient = :patient) ORDER BY id",
        {"project": project, "patient": patient},
    )
    return [row[0] for row in rows]


def find_case_rows(connection: sqlite3.Connection, ids: Sequence[int]) -> list[sqlite3.Row]:
    """Who, what and where: the columns of cases that give somebody away."""
    return connection.execute(
        f"""SELECT id, project, source, patient, pixel_hash, file_hash FROM cases WHERE id IN {IDS} ORDER BY id""",
        {"ids": json.dumps(list(ids))},
    ).fetchall()


def list_other_patients(connection: sqlite3.Connection, project: int, ids: Sequence[int]) -> set[str]:
    """The patients of those cases of a project that stay."""
    rows = connection.execute(
        f"SELECT DISTINCT patient FROM cases WHERE project = :project AND id NOT IN {IDS}",
        {"project": project, "ids": json.dumps(list(ids))},
    )
    return {row[0] for row in rows}


def list_pixels_kept(connection: sqlite3.Connection, ids: Sequence[int]) -> set[str]:
    """Pixels of these cases that a case which stays, in whichever project, shows too."""
    rows = connection.execute(
        f"""SELECT DISTINCT pixel_hash FROM cases WHERE id NOT IN {IDS}
            AND pixel_hash IN (SELECT pixel_hash FROM cases WHERE id IN {IDS})""",
        {"ids": json.dumps(list(ids))},
    )
    return {row[0] for row in rows}


def list_headers_alone(connection: sqlite3.Connection, ids: Sequence[int]) -> list[str]:
    """Headers of these cases that no case which stays has too."""
    rows = connection.execute(
        f"""SELECT DISTINCT header_hash FROM instance_headers AS mine WHERE case_id IN {IDS} AND NOT EXISTS
            (SELECT 1 FROM instance_headers WHERE header_hash = mine.header_hash AND case_id NOT IN {IDS})""",
        {"ids": json.dumps(list(ids))},
    )
    return [row[0] for row in rows]


def list_masks_alone(connection: sqlite3.Connection, ids: Sequence[int]) -> list[str]:
    """Masks of these cases, frozen or predicted, that no case which stays has too; an empty one many may have."""
    rows = connection.execute(
        f"""WITH kept AS (SELECT case_id, mask_hash FROM snapshot_masks UNION SELECT case_id, mask_hash
                          FROM predicted_masks)
            SELECT mask_hash FROM kept WHERE case_id IN {IDS}
            EXCEPT SELECT mask_hash FROM kept WHERE case_id NOT IN {IDS}""",
        {"ids": json.dumps(list(ids))},
    )
    return [row[0] for row in rows]


def list_other_projects(connection: sqlite3.Connection, project: int, patients: Sequence[str]) -> list[str]:
    """Projects that hold cases under the same patient names and are not touched."""
    rows = connection.execute(
        """SELECT DISTINCT projects.name FROM cases JOIN projects ON projects.id = cases.project
           WHERE cases.project <> :project AND patient IN (SELECT value FROM json_each(:patients)) ORDER BY 1""",
        {"project": project, "patients": json.dumps(list(patients))},
    )
    return [row[0] for row in rows]


def count_rows(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[str, int]:
    """How many rows of each table speak of these cases."""
    given = {"ids": json.dumps(list(ids))}
    return {
        table: int(connection.execute(f"SELECT count(*) FROM {table} WHERE {column} IN {IDS}", given).fetchone()[0])
        for table, column in OF_CASES
    }


def list_readers(connection: sqlite3.Connection, ids: Sequence[int]) -> list[str]:
    """Whose labels these cases have."""
    rows = connection.execute(
        f"""SELECT DISTINCT users.name FROM labels JOIN users ON users.id = labels.reader
            WHERE case_id IN {IDS} ORDER BY 1""",
        {"ids": json.dumps(list(ids))},
    )
    return [row[0] for row in rows]


def list_snapshots_hit(connection: sqlite3.Connection, ids: Sequence[int]) -> list[sqlite3.Row]:
    """`id`, `name`, `lost` and `left` of each snapshot that has some of these cases."""
    return connection.execute(
        f"""SELECT snapshots.id, snapshots.name, sum(case_id IN {IDS}) AS lost, sum(case_id NOT IN {IDS}) AS left
            FROM snapshot_cases JOIN snapshots ON snapshots.id = snapshot
            WHERE snapshot IN (SELECT snapshot FROM snapshot_cases WHERE case_id IN {IDS})
            GROUP BY snapshots.id ORDER BY snapshots.id""",
        {"ids": json.dumps(list(ids))},
    ).fetchall()


# The models that were trained or tuned on some of the cases `:ids`, with ensembles of such models, models that began
# from one, and those that learnt images that one drew.
TAUGHT = f"""WITH RECURSIVE
    learns AS MATERIALIZED (SELECT DISTINCT snapshot, synthetic ->> 'model_hash' AS hash FROM cases
                            JOIN snapshot_cases ON case_id = cases.id WHERE synthetic IS NOT NULL),
    behind (model, run) AS (
        SELECT id, run FROM models
        UNION SELECT behind.model, member.run FROM behind JOIN runs ON runs.id = behind.run
              JOIN json_each(told, '$.ensemble') AS named JOIN models AS member ON member.id = named.value
        UNION SELECT behind.model, earlier.run FROM behind JOIN runs ON runs.id = behind.run
              JOIN json_each(told, '$.sources') AS source
              JOIN models AS earlier ON earlier.keras_hash = source.value ->> 'hash'
        UNION SELECT behind.model, earlier.run FROM behind JOIN runs ON runs.id = behind.run
              JOIN models AS earlier ON earlier.id = told ->> 'point_of'
        UNION SELECT behind.model, drew.run FROM behind JOIN runs ON runs.id = behind.run
              JOIN learns ON learns.snapshot = runs.snapshot JOIN models AS drew ON drew.keras_hash = hash),
    taught AS MATERIALIZED (
        SELECT * FROM models WHERE id IN (
            SELECT behind.model FROM behind JOIN runs ON runs.id = behind.run
            JOIN snapshot_cases ON snapshot_cases.snapshot = runs.snapshot AND case_id IN {IDS}
            WHERE CASE WHEN runs.fold IS NULL THEN split <> 'test' ELSE snapshot_cases.fold IS NOT runs.fold END))"""


def list_models_taught(connection: sqlite3.Connection, ids: Sequence[int]) -> list[str]:
    """Names of the models that have learnt something of some of these cases (`TAUGHT`)."""
    rows = connection.execute(f"{TAUGHT} SELECT name FROM taught ORDER BY id", {"ids": json.dumps(list(ids))})
    return [row[0] for row in rows]


def count_drawn_by_taught(connection: sqlite3.Connection, ids: Sequence[int]) -> int:
    """How many synthetic images beside these cases were drawn by such a model."""
    rows = connection.execute(
        f"""{TAUGHT} SELECT count(*) FROM cases WHERE synthetic IS NOT NULL AND id NOT IN {IDS}
            AND synthetic ->> 'model_hash' IN (SELECT keras_hash FROM taught)""",
        {"ids": json.dumps(list(ids))},
    )
    return int(rows.fetchone()[0])


def list_models_of(connection: sqlite3.Connection, project: int) -> list[str]:
    """Names of all models of a project."""
    rows = connection.execute("SELECT name FROM models WHERE project = ? ORDER BY id", (project,))
    return [row[0] for row in rows]


def count_evaluations_hit(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, int]:
    """{evaluation: how many of the cases it was measured on are among these}."""
    rows = connection.execute(
        f"""SELECT evaluations.id, count(*) AS lost
            FROM evaluations JOIN models ON models.id = evaluations.model JOIN runs ON runs.id = models.run
            JOIN snapshot_cases ON snapshot_cases.snapshot = evaluations.snapshot AND case_id IN {IDS}
            WHERE CASE WHEN runs.snapshot = evaluations.snapshot AND runs.fold IS NOT NULL
                  THEN (evaluations.split = 'test') = (snapshot_cases.fold IS runs.fold)
                  ELSE snapshot_cases.split = evaluations.split END
            GROUP BY evaluations.id""",
        {"ids": json.dumps(list(ids))},
    )
    return {row["id"]: row["lost"] for row in rows}


def count_project_rows(connection: sqlite3.Connection, project: int) -> dict[str, int]:
    """How many snapshots, runs, models, evaluations and members go with a project."""
    found = {
        table: int(connection.execute(f"SELECT count(*) FROM {table} WHERE project = ?", (project,)).fetchone()[0])
        for table in ("snapshots", "runs", "models", "members")
    }
    query = "SELECT count(*) FROM evaluations WHERE model IN (SELECT id FROM models WHERE project = ?)"
    return {**found, "evaluations": int(connection.execute(query, (project,)).fetchone()[0])}


def list_model_files_alone(connection: sqlite3.Connection, project: int) -> list[str]:
    """Hashes of a project's model files that no model of another project has."""
    rows = connection.execute(
        """WITH stored AS (SELECT project, keras_hash AS hash FROM models
                           UNION SELECT project, onnx_hash FROM models WHERE onnx_hash IS NOT NULL
                           UNION SELECT project, json_extract(source.value, '$.hash')
                                 FROM runs, json_each(told, '$.sources') AS source)
           SELECT hash FROM stored GROUP BY hash HAVING max(project) = :project AND min(project) = :project""",
        {"project": project},
    )
    return [row[0] for row in rows]


# ---- jobs


def list_jobs_of(connection: sqlite3.Connection, project: int) -> list[sqlite3.Row]:
    """The jobs of a project, and those of none that are settled."""
    return connection.execute(
        """SELECT id, project, kind, state, arguments, facts, note, result, error, remedy, traceback FROM jobs
           WHERE project = ? OR (project IS NULL AND state NOT IN ('queued', 'running')) ORDER BY id""",
        (project,),
    ).fetchall()


def find_busy_jobs(connection: sqlite3.Connection, project: int, ids: Sequence[int] | None) -> list[tuple[int, str]]:
    """(id, kind) of waiting and running jobs that read or write these cases; without ids, those of the project.

    A backup counts too: it would miss files that its copy of the database names.
    """
    rows = connection.execute(
        f"""SELECT jobs.id, kind FROM jobs LEFT JOIN runs ON runs.id = json_extract(arguments, '$.run')
            WHERE (jobs.project = :project OR kind = 'backup') AND state IN ('queued', 'running') AND (
                :ids IS NULL
                OR kind IN ('import', 'pull', 'draft', 'predict_cases', 'drift', 'gather_evidence', 'backup')
                OR (kind = 'explain' AND json_extract(arguments, '$.case') IN {IDS})
                OR EXISTS (SELECT 1 FROM snapshot_cases WHERE case_id IN {IDS}
                           AND snapshot IN (runs.snapshot, json_extract(arguments, '$.snapshot'))))
            ORDER BY jobs.id""",
        {"project": project, "ids": None if ids is None else json.dumps(list(ids))},
    )
    return [(row["id"], row["kind"]) for row in rows]


def empty_jobs(connection: sqlite3.Connection, jobs: Sequence[int]) -> None:
    """Leave of a job that there was one, of which kind, when and whose; its number is never given again."""
    connection.executemany(
        """UPDATE jobs SET project = NULL, arguments = ?, facts = '{}', note = 'Erased with what it was about.',
               result = ?, error = NULL, why = NULL, remedy = NULL, traceback = NULL,
               state = CASE state WHEN 'done' THEN 'done' ELSE 'stopped' END
           WHERE id = ?""",
        [(json.dumps(ERASED_JOB), json.dumps(ERASED_JOB), job) for job in jobs],
    )


def clean_job(connection: sqlite3.Connection, job: sqlite3.Row, traces: Traces) -> None:
    """Take what gives an erased case away out of the texts of a settled job."""
    cleaned: dict[str, Any] = {}
    for column in ("arguments", "facts", "result"):
        text = job[column]
        cleaned[column] = None if text is None else json.dumps(traces.cleaned(json.loads(text)), sort_keys=True)
    for column in ("note", "error", "remedy", "traceback"):
        cleaned[column] = traces.cleaned(job[column])
    sets = ", ".join(f"{column} = :{column}" for column in cleaned)
    connection.execute(f"UPDATE jobs SET {sets} WHERE id = :id", {**cleaned, "id": job["id"]})


def clean_backups(connection: sqlite3.Connection, traces: Traces) -> None:
    """What a backup said it lacked, where that gives an erased case away."""
    for backup, error in connection.execute("SELECT id, error FROM backups WHERE error IS NOT NULL").fetchall():
        if traces.named_in(error):
            connection.execute("UPDATE backups SET error = ? WHERE id = ?", (traces.cleaned(error), backup))


def list_audit_paths(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """`subject` and `detail` of audit rows that hold paths: an earlier version wrote them down."""
    return connection.execute(
        "SELECT subject, detail FROM audit WHERE what IN ('queue import', 'queue predict') AND detail LIKE '%/%'"
    ).fetchall()


# ---- the deed; the caller holds the transaction, and foreign keys are checked by `check_references`


@contextmanager
def deleting_for_good(connection: sqlite3.Connection) -> Iterator[None]:
    """Around the transaction: what is deleted is overwritten, and references are checked by `check_references`.

    That looks at all of them once; checked row by row, each label that goes would have all others read.
    """
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def name_erasing(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Name the cases that go, and keep their numbers from being given again."""
    connection.executemany("INSERT INTO erasing (case_id) VALUES (?)", ((case_id,) for case_id in ids))
    connection.execute("INSERT INTO erased_cases (case_id) SELECT case_id FROM erasing")


def mark_snapshots(connection: sqlite3.Connection, ids: Sequence[int], traces: Traces) -> None:
    """Say on snapshots, and on evaluations made on them, how many cases they lose; call before the cases go."""
    for evaluation, lost in count_evaluations_hit(connection, ids).items():
        connection.execute("UPDATE evaluations SET erased_cases = erased_cases + ? WHERE id = ?", (lost, evaluation))
    gone = set(ids)
    for hit in list_snapshots_hit(connection, ids):
        keep_fold_views(connection, hit["id"])
        row = connection.execute("SELECT leaks, leaks_allowed_because FROM snapshots WHERE id = ?", (hit["id"],))
        leaks, reason = row.fetchone()
        connection.execute(
            """UPDATE snapshots SET incomplete_since = coalesce(incomplete_since, ?), erased_cases = erased_cases + ?,
                   leaks = ?, leaks_allowed_because = ? WHERE id = ?""",
            (
                utc_now(),
                hit["lost"],
                json.dumps([_leak_without(leak, gone) for leak in json.loads(leaks)]),
                traces.cleaned(reason),
                hit["id"],
            ),
        )
        _clean_warnings(connection, hit["id"], traces)


def _leak_without(leak: dict[str, Any], gone: set[int]) -> dict[str, Any]:
    """A leak as far as it may still be told; its sentence names cases and is replaced with them."""
    left = [case_id for case_id in leak["case_ids"] if case_id not in gone]
    if len(left) == len(leak["case_ids"]):
        return leak
    lost = len(leak["case_ids"]) - len(left)
    return {**leak, "case_ids": left, "sentence": f"{lost} of the cases that this leak was about were erased."}


def _clean_warnings(connection: sqlite3.Connection, snapshot: int, traces: Traces) -> None:
    """The warnings of an evaluation repeat the reason for leaks, which a person wrote."""
    rows = connection.execute("SELECT id, result FROM evaluations WHERE snapshot = ?", (snapshot,)).fetchall()
    for row in rows:
        result = json.loads(row["result"])
        cleaned = traces.cleaned(result.get("warnings", []))
        if cleaned != result.get("warnings", []):
            text = json.dumps({**result, "warnings": cleaned}, allow_nan=False)
            connection.execute("UPDATE evaluations SET result = ? WHERE id = ?", (text, row["id"]))


def clean_import_files(connection: sqlite3.Connection, project: int, traces: Traces) -> None:
    """Refused files of an erased patient go, and series that name them; a kept file's reason that does is emptied."""
    rows = connection.execute(
        """SELECT job, path, case_id, reason FROM import_files WHERE (case_id IS NULL OR reason <> '')
           AND (job IN (SELECT id FROM jobs WHERE project = ?) OR job NOT IN (SELECT id FROM jobs))""",
        (project,),
    ).fetchall()
    for row in rows:
        key = (row["job"], row["path"])
        if row["case_id"] is None and traces.named_in(f"{row['path']}\n{row['reason']}"):
            connection.execute("DELETE FROM import_files WHERE job = ? AND path = ?", key)
        elif row["case_id"] is not None and traces.named_in(row["reason"]):
            connection.execute("UPDATE import_files SET reason = ? WHERE job = ? AND path = ?", (GONE, *key))
    told = connection.execute(
        "SELECT job, number, told FROM import_series WHERE job IN (SELECT id FROM jobs WHERE project = ?)", (project,)
    ).fetchall()
    for row in told:
        if traces.named_in(row["told"]):
            connection.execute("DELETE FROM import_series WHERE job = ? AND number = ?", (row["job"], row["number"]))


def delete_cases(connection: sqlite3.Connection) -> None:
    """Delete everything about the cases that `name_erasing` named, and close the door again."""
    connection.execute(  # what was said of their series, before nothing tells which those were
        """DELETE FROM import_series WHERE (job, number) IN
           (SELECT job, series FROM import_files WHERE case_id IN (SELECT case_id FROM erasing))"""
    )
    for table, column in OF_CASES:
        connection.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT case_id FROM erasing)")
    connection.execute("DELETE FROM header_changes WHERE hash NOT IN (SELECT changes_hash FROM instance_headers)")
    connection.execute("DELETE FROM erasing")


def delete_project(connection: sqlite3.Connection, project: int) -> None:
    """Delete what is left of a project when its cases are gone."""
    # first: what was signed in it may be deleted only with a project that is named here
    connection.execute("INSERT INTO erased_projects (project) VALUES (?)", (project,))
    for rows in OF_A_PROJECT:
        connection.execute(f"DELETE FROM {rows}", {"project": project})
    connection.execute("DELETE FROM projects WHERE id = ?", (project,))


def check_references(connection: sqlite3.Connection) -> None:
    """Every reference must still lead somewhere; else the caller's transaction must not be kept."""
    broken = connection.execute("PRAGMA foreign_key_check").fetchall()
    if broken:
        raise sqlite3.IntegrityError(f"erasing would leave references to nothing: {[tuple(row) for row in broken[:5]]}")


# ---- files still to be removed


def add_files_to_erase(connection: sqlite3.Connection, paths: Sequence[str]) -> None:
    """Remember what is to be removed, and that the database is to be rewritten after it."""
    connection.executemany(
        "INSERT OR IGNORE INTO files_to_erase (path) VALUES (?)", ((path,) for path in (*paths, DATABASE))
    )


def has_files_to_erase(connection: sqlite3.Connection) -> bool:
    """Whether an erasing has not come to its end yet."""
    return connection.execute("SELECT 1 FROM files_to_erase LIMIT 1").fetchone() is not None


def list_files_to_erase(connection: sqlite3.Connection, limit: int) -> list[str]:
    """Some of the paths that are still to be removed, relative to the home."""
    rows = connection.execute("SELECT path FROM files_to_erase WHERE path <> ? LIMIT ?", (DATABASE, limit))
    return [row[0] for row in rows]


def drop_file_to_erase(connection: sqlite3.Connection, path: str) -> None:
    """This one is gone."""
    connection.execute("DELETE FROM files_to_erase WHERE path = ?", (path,))


def list_hashes_in_use(connection: sqlite3.Connection, hashes: Sequence[str]) -> set[str]:
    """Those of the hashes that a case shows (again), or that are still a model's file or a mask."""
    rows = connection.execute(
        """SELECT pixel_hash FROM cases WHERE pixel_hash IN (SELECT value FROM json_each(:hashes))
           UNION SELECT header_hash FROM instance_headers WHERE header_hash IN (SELECT value FROM json_each(:hashes))
           UNION SELECT mask_hash FROM snapshot_masks WHERE mask_hash IN (SELECT value FROM json_each(:hashes))
           UNION SELECT mask_hash FROM predicted_masks WHERE mask_hash IN (SELECT value FROM json_each(:hashes))
           UNION SELECT keras_hash FROM models WHERE keras_hash IN (SELECT value FROM json_each(:hashes))
           UNION SELECT onnx_hash FROM models WHERE onnx_hash IN (SELECT value FROM json_each(:hashes))
           UNION SELECT json_extract(source.value, '$.hash') FROM runs, json_each(told, '$.sources') AS source
                 WHERE json_extract(source.value, '$.hash') IN (SELECT value FROM json_each(:hashes))""",
        {"hashes": json.dumps(list(hashes))},
    )
    return {row[0] for row in rows}


def rewrite_database(connection: sqlite3.Connection) -> bool:
    """Rewrite the database without its freed pages and empty its log; False where a reader holds the log open."""
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("VACUUM")
    connection.execute(f"PRAGMA busy_timeout = {READERS_MILLISECONDS}")  # nobody waits half a minute for a reader
    busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
