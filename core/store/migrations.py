"""The tables, as the steps that made them. A released step is never edited; a new one is added below.

A step is a list of single statements, never a script: `executescript` would commit half-way.
Times are UTC text (`core.clock`), structured values are JSON text.
"""

import hashlib
import json

from sqlite_utils import Database, Migrations

migrations = Migrations("readroom")

FIRST_TABLES = [
    # ---- people
    """CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('person', 'imported', 'simulated')),
        role TEXT NOT NULL CHECK (role IN ('admin', 'reader')),
        created_at TEXT NOT NULL)""",
    """CREATE TABLE sign_in_tokens (
        token_hash TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id),
        created_at TEXT NOT NULL, used_at TEXT)""",
    """CREATE TABLE sessions (
        session_hash TEXT PRIMARY KEY, user INTEGER NOT NULL REFERENCES users(id),
        created_at TEXT NOT NULL, expires_at TEXT NOT NULL)""",
    """CREATE TABLE audit (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, who TEXT NOT NULL, via TEXT NOT NULL,
        what TEXT NOT NULL, subject TEXT NOT NULL, detail TEXT NOT NULL)""",
    # ---- projects
    """CREATE TABLE projects (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        task TEXT NOT NULL CHECK (task IN ('classification', 'segmentation', 'regression', 'generation')),
        label_schema TEXT NOT NULL,
        schema_version INTEGER NOT NULL DEFAULT 1,
        description TEXT NOT NULL, intended_use TEXT NOT NULL,
        reference_rule TEXT NOT NULL,
        digit_advances INTEGER NOT NULL DEFAULT 1,
        created_at TEXT NOT NULL, created_by TEXT NOT NULL)""",
    # ---- images
    """CREATE TABLE cases (
        id INTEGER PRIMARY KEY,
        project INTEGER NOT NULL REFERENCES projects(id),
        source TEXT NOT NULL,
        patient TEXT NOT NULL,
        patient_from TEXT NOT NULL CHECK (patient_from IN ('table', 'dicom', 'pattern', 'none')),
        pixel_hash TEXT NOT NULL,
        file_hash TEXT NOT NULL,
        perceptual_hash TEXT,
        frames INTEGER NOT NULL, rows INTEGER NOT NULL, columns INTEGER NOT NULL, channels INTEGER NOT NULL,
        dtype TEXT NOT NULL,
        modality TEXT, view TEXT, photometric TEXT NOT NULL,
        spacing_mm TEXT, spacing_at TEXT,
        windows TEXT NOT NULL,
        attributes TEXT NOT NULL,
        given_split TEXT,
        flagged INTEGER NOT NULL DEFAULT 0,
        imported_at TEXT NOT NULL, imported_by TEXT NOT NULL,
        UNIQUE (project, source, pixel_hash))""",
    "CREATE INDEX cases_by_pixels ON cases (project, pixel_hash)",
    "CREATE INDEX cases_by_patient ON cases (project, patient)",
    "CREATE INDEX cases_flagged ON cases (project, id) WHERE flagged = 1",
    # Derived from cases.attributes by the triggers below, so that a filter on one never opens 100,000 JSON texts.
    """CREATE TABLE case_attributes (
        project INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        case_id INTEGER NOT NULL REFERENCES cases(id),
        PRIMARY KEY (project, name, value, case_id)) WITHOUT ROWID""",
    "CREATE INDEX case_attributes_by_case ON case_attributes (case_id)",
    """CREATE TRIGGER attributes_of_a_new_case AFTER INSERT ON cases BEGIN
        INSERT INTO case_attributes (project, name, value, case_id)
        SELECT NEW.project, key, CAST(value AS TEXT), NEW.id FROM json_each(NEW.attributes) WHERE value IS NOT NULL;
        END""",
    """CREATE TRIGGER attributes_of_a_changed_case AFTER UPDATE OF attributes ON cases BEGIN
        DELETE FROM case_attributes WHERE case_id = NEW.id;
        INSERT INTO case_attributes (project, name, value, case_id)
        SELECT NEW.project, key, CAST(value AS TEXT), NEW.id FROM json_each(NEW.attributes) WHERE value IS NOT NULL;
        END""",
    """CREATE TABLE import_files (
        job INTEGER NOT NULL, path TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('imported', 'skipped', 'failed')),
        case_id INTEGER, reason TEXT NOT NULL,
        PRIMARY KEY (job, path)) WITHOUT ROWID""",
    # ---- labels
    """CREATE TABLE labels (
        id INTEGER PRIMARY KEY,
        event TEXT NOT NULL,
        project INTEGER NOT NULL,
        case_id INTEGER NOT NULL REFERENCES cases(id),
        reader INTEGER NOT NULL REFERENCES users(id),
        value TEXT,
        unsure INTEGER NOT NULL, unusable INTEGER NOT NULL, note TEXT NOT NULL,
        schema_version INTEGER NOT NULL,
        replaces INTEGER REFERENCES labels(id),
        made_in TEXT NOT NULL CHECK (made_in IN ('label page', 'review', 'import', 'command line', 'demo')),
        entered_by TEXT NOT NULL,
        made_at TEXT NOT NULL, stored_at TEXT NOT NULL,
        -- not over all projects: labels exported from one may be imported into another of the same images
        UNIQUE (project, event))""",
    "CREATE INDEX labels_by_case ON labels (case_id, reader)",
    """CREATE TRIGGER labels_are_never_changed BEFORE UPDATE ON labels
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END""",
    """CREATE TRIGGER labels_are_never_deleted BEFORE DELETE ON labels
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END""",
    # Derived from labels in the transaction that adds one, so that 100,000 cases list fast. An answer that was
    # withdrawn has no row here. The project stands in both so that counting needs no look into cases.
    """CREATE TABLE current_labels (
        case_id INTEGER NOT NULL REFERENCES cases(id), reader INTEGER NOT NULL REFERENCES users(id),
        label INTEGER NOT NULL REFERENCES labels(id), project INTEGER NOT NULL,
        PRIMARY KEY (case_id, reader)) WITHOUT ROWID""",
    "CREATE INDEX current_labels_by_reader ON current_labels (project, reader, case_id)",
    """CREATE TABLE reference_labels (
        case_id INTEGER PRIMARY KEY REFERENCES cases(id), project INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('labelled', 'tied', 'unusable')),
        value TEXT, labels TEXT NOT NULL)""",
    "CREATE INDEX reference_labels_by_value ON reference_labels (project, state, value, case_id)",
    # ---- snapshots
    """CREATE TABLE snapshots (
        id INTEGER PRIMARY KEY,
        project INTEGER NOT NULL REFERENCES projects(id),
        name TEXT NOT NULL,
        hash TEXT NOT NULL,
        task TEXT NOT NULL, label_schema TEXT NOT NULL, reference_rule TEXT NOT NULL,
        split_rule TEXT NOT NULL, seed INTEGER NOT NULL, folds INTEGER NOT NULL,
        leaks TEXT NOT NULL, leaks_allowed_because TEXT,
        created_at TEXT NOT NULL, created_by TEXT NOT NULL,
        UNIQUE (project, name))""",
    """CREATE TABLE snapshot_cases (
        snapshot INTEGER NOT NULL REFERENCES snapshots(id),
        position INTEGER NOT NULL,
        case_id INTEGER NOT NULL REFERENCES cases(id),
        patient TEXT NOT NULL,
        split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test')),
        fold INTEGER,
        value TEXT NOT NULL, labels TEXT NOT NULL, pixel_hash TEXT NOT NULL,
        linked INTEGER NOT NULL,
        PRIMARY KEY (snapshot, position)) WITHOUT ROWID""",
    "CREATE INDEX snapshot_cases_by_case ON snapshot_cases (case_id)",
    # ---- jobs
    """CREATE TABLE jobs (
        id INTEGER PRIMARY KEY,
        project INTEGER,
        kind TEXT NOT NULL,
        lane TEXT NOT NULL,
        arguments TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'stopped')),
        fraction REAL NOT NULL DEFAULT 0, note TEXT NOT NULL DEFAULT '', facts TEXT NOT NULL DEFAULT '{}',
        result TEXT, error TEXT, remedy TEXT, traceback TEXT,
        attempt INTEGER NOT NULL DEFAULT 0, attempts_allowed INTEGER NOT NULL DEFAULT 3,
        stop_requested INTEGER NOT NULL DEFAULT 0,
        device TEXT, pid INTEGER, pid_started REAL,
        created_at TEXT NOT NULL, created_by TEXT NOT NULL,
        started_at TEXT, finished_at TEXT, heartbeat_at TEXT)""",
    "CREATE INDEX jobs_by_state ON jobs (state, lane, id)",
    # ---- training
    """CREATE TABLE runs (
        id INTEGER PRIMARY KEY,
        project INTEGER NOT NULL REFERENCES projects(id),
        snapshot INTEGER NOT NULL REFERENCES snapshots(id),
        fold INTEGER,
        job INTEGER REFERENCES jobs(id),
        name TEXT NOT NULL,
        recipe TEXT NOT NULL, recipe_hash TEXT NOT NULL,
        device TEXT, environment TEXT NOT NULL DEFAULT '{}',
        created_at TEXT NOT NULL, created_by TEXT NOT NULL,
        finished_at TEXT, seconds REAL,
        UNIQUE (project, name))""",
    """CREATE TABLE run_epochs (
        run INTEGER NOT NULL REFERENCES runs(id), epoch INTEGER NOT NULL, facts TEXT NOT NULL,
        PRIMARY KEY (run, epoch)) WITHOUT ROWID""",
    """CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        project INTEGER NOT NULL REFERENCES projects(id),
        run INTEGER NOT NULL UNIQUE REFERENCES runs(id),
        name TEXT NOT NULL,
        keras_hash TEXT NOT NULL, onnx_hash TEXT, onnx_left_out_because TEXT,
        parameters INTEGER NOT NULL, file_bytes INTEGER NOT NULL,
        facts TEXT NOT NULL,
        created_at TEXT NOT NULL,
        UNIQUE (project, name))""",
    # ---- evaluation and review
    """CREATE TABLE predictions (
        model INTEGER NOT NULL REFERENCES models(id), case_id INTEGER NOT NULL REFERENCES cases(id),
        scores TEXT NOT NULL,
        -- the decision in the stored form of a label (`labels.answers.value_text`) and how sure the model is of it,
        -- so that "right", "wrong" and "most confident mistakes first" are asked of SQL
        predicted TEXT NOT NULL, confidence REAL NOT NULL,
        made_at TEXT NOT NULL,
        PRIMARY KEY (model, case_id)) WITHOUT ROWID""",
    "CREATE INDEX predictions_by_case ON predictions (case_id)",
    """CREATE TABLE evaluations (
        id INTEGER PRIMARY KEY,
        model INTEGER NOT NULL REFERENCES models(id), snapshot INTEGER NOT NULL REFERENCES snapshots(id),
        split TEXT NOT NULL, result TEXT NOT NULL,
        created_at TEXT NOT NULL, created_by TEXT NOT NULL)""",
    "CREATE INDEX evaluations_by_model ON evaluations (model, snapshot, split)",
    """CREATE TABLE comments (
        id INTEGER PRIMARY KEY,
        case_id INTEGER NOT NULL REFERENCES cases(id), model INTEGER REFERENCES models(id),
        author INTEGER NOT NULL REFERENCES users(id), text TEXT NOT NULL, created_at TEXT NOT NULL)""",
    "CREATE INDEX comments_by_case ON comments (case_id)",
]


@migrations()
def m001_the_loop(database: Database) -> None:
    for statement in FIRST_TABLES:
        database.execute(statement)


A_TEAM = [
    # ---- people: who may come in, how, and what each may do in which project
    "ALTER TABLE users ADD COLUMN password TEXT",  # scrypt with its parameters and salt; NULL: none was set
    "ALTER TABLE users ADD COLUMN active INTEGER NOT NULL DEFAULT 1",
    "ALTER TABLE sign_in_tokens ADD COLUMN purpose TEXT NOT NULL DEFAULT 'link'",
    "ALTER TABLE sign_in_tokens ADD COLUMN expires_at TEXT",
    "UPDATE sign_in_tokens SET expires_at = created_at",  # those of before were good for ever
    "ALTER TABLE sessions ADD COLUMN last_seen_at TEXT",
    "UPDATE sessions SET last_seen_at = created_at",
    # By the name that was tried, whether somebody bears it or not: an answer must not tell the two apart.
    """CREATE TABLE sign_in_failures (
        id INTEGER PRIMARY KEY, at TEXT NOT NULL, account TEXT NOT NULL, address TEXT NOT NULL)""",
    "CREATE INDEX sign_in_failures_by_account ON sign_in_failures (account, at)",
    "CREATE INDEX sign_in_failures_by_address ON sign_in_failures (address, at)",
    """CREATE TABLE members (
        project INTEGER NOT NULL REFERENCES projects(id), user INTEGER NOT NULL REFERENCES users(id),
        role TEXT NOT NULL CHECK (role IN ('reader', 'scientist', 'reviewer', 'admin')),
        PRIMARY KEY (project, user)) WITHOUT ROWID""",
    "CREATE INDEX members_by_user ON members (user)",
    # Before there were roles everybody who could sign in could label everywhere.
    """INSERT INTO members (project, user, role)
        SELECT projects.id, users.id, 'reader' FROM projects, users
        WHERE users.kind = 'person' AND users.role = 'reader'""",
    "ALTER TABLE projects ADD COLUMN blind_first INTEGER NOT NULL DEFAULT 0",
    # ---- audit: the chain itself is tied in `_chain_the_audit`
    "ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE audit ADD COLUMN previous_hash TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE audit ADD COLUMN hash TEXT NOT NULL DEFAULT ''",
    # How many rows there are and the hash of the last: without it, rows cut off at the end would not be missed.
    """CREATE TABLE audit_head (
        only INTEGER PRIMARY KEY CHECK (only = 1), rows INTEGER NOT NULL, hash TEXT NOT NULL)""",
    # ---- erasing: a label may be deleted only with its case, in the transaction that names the case here
    "CREATE TABLE erasing (case_id INTEGER PRIMARY KEY)",
    "DROP TRIGGER labels_are_never_deleted",
    """CREATE TRIGGER labels_are_never_deleted BEFORE DELETE ON labels
        WHEN OLD.case_id NOT IN (SELECT case_id FROM erasing)
        BEGIN SELECT RAISE(ABORT, 'labels are append-only'); END""",
    "ALTER TABLE snapshots ADD COLUMN incomplete_since TEXT",
    # ---- labels: when a reader was last saved, asked every few seconds by every open page
    "CREATE INDEX labels_by_reader ON labels (reader, id)",
    "ALTER TABLE snapshots ADD COLUMN erased_cases INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE evaluations ADD COLUMN erased_cases INTEGER NOT NULL DEFAULT 0",
    # A number is never given twice: an answer kept in a browser may still be on its way to the case that bore it.
    "CREATE TABLE erased_cases (case_id INTEGER PRIMARY KEY)",
    """CREATE TRIGGER erased_numbers_stay_empty AFTER INSERT ON cases
        WHEN NEW.id IN (SELECT case_id FROM erased_cases)
        BEGIN SELECT RAISE(ABORT, 'this number belonged to a case that was erased'); END""",
    # Nor that of a project: the audit and addresses that somebody kept speak of it by its number.
    "CREATE TABLE erased_projects (project INTEGER PRIMARY KEY)",
    """CREATE TRIGGER erased_projects_stay_empty AFTER INSERT ON projects
        WHEN NEW.id IN (SELECT project FROM erased_projects)
        BEGIN SELECT RAISE(ABORT, 'this number belonged to a project that was erased'); END""",
    # What erasing has yet to take away when its rows are gone; paths are relative to the home.
    "CREATE TABLE files_to_erase (path TEXT PRIMARY KEY) WITHOUT ROWID",
    # ---- backups
    """CREATE TABLE backups (
        id INTEGER PRIMARY KEY, folder TEXT NOT NULL, name TEXT NOT NULL,
        started_at TEXT NOT NULL, finished_at TEXT, error TEXT,
        files INTEGER NOT NULL DEFAULT 0, copied INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0)""",
    # ---- jobs: lists by project, and the answers that were given before
    "CREATE INDEX jobs_by_project ON jobs (project, id)",
    "CREATE INDEX jobs_by_kind ON jobs (project, kind, id)",
    "CREATE INDEX jobs_by_question ON jobs (kind, arguments, id)",
    "CREATE INDEX jobs_by_explanation ON jobs (json_extract(result, '$.explanation')) WHERE kind = 'explain'",
]

AUDIT_IS_FROZEN = [
    f"""CREATE TRIGGER audit_is_never_{done} BEFORE {verb} ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"""
    for verb, done in (("UPDATE", "changed"), ("DELETE", "deleted"))
]


@migrations()
def m002_a_team(database: Database) -> None:
    for statement in A_TEAM:
        database.execute(statement)
    _chain_the_audit(database)
    for statement in AUDIT_IS_FROZEN:
        database.execute(statement)


def _chain_the_audit(database: Database) -> None:
    """Tie the rows of before into the chain. A released step is never edited, so the sum is written out here."""
    rows, tip = 0, ""
    for row in list(database.query("SELECT * FROM audit ORDER BY id")):
        told = [row[key] for key in ("id", "at", "who", "via", "address", "what", "subject", "detail")]
        digest = hashlib.sha256(json.dumps([tip, *told], ensure_ascii=False).encode()).hexdigest()
        database.execute("UPDATE audit SET previous_hash = ?, hash = ? WHERE id = ?", [tip, digest, row["id"]])
        rows, tip = rows + 1, digest
    database.execute("INSERT INTO audit_head (only, rows, hash) VALUES (1, ?, ?)", [rows, tip])


THE_VIEWER = [
    # ---- images: what a volume needs beside the spacing inside a frame
    "ALTER TABLE cases ADD COLUMN slice_spacing_mm REAL",
    "ALTER TABLE cases ADD COLUMN affine TEXT",
    # ---- projects: which model's answers are offered as drafts, and how the schema came to be what it is
    "ALTER TABLE projects ADD COLUMN assist_model INTEGER REFERENCES models(id)",
    """CREATE TABLE schema_changes (
        project INTEGER NOT NULL REFERENCES projects(id), version INTEGER NOT NULL,
        change TEXT NOT NULL, changed_by TEXT NOT NULL, changed_at TEXT NOT NULL,
        PRIMARY KEY (project, version)) WITHOUT ROWID""",
    # ---- labels
    "ALTER TABLE labels ADD COLUMN confidence INTEGER CHECK (confidence BETWEEN 1 AND 5)",
    "ALTER TABLE labels ADD COLUMN unusable_reason TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE labels ADD COLUMN active_seconds REAL",
    "ALTER TABLE labels ADD COLUMN draft TEXT",
    # ---- marks: boxes, points, lengths ...; a change or a removal is a new row of the same `mark`
    """CREATE TABLE marks (
        id INTEGER PRIMARY KEY,
        event TEXT NOT NULL,
        project INTEGER NOT NULL,
        case_id INTEGER NOT NULL REFERENCES cases(id),
        reader INTEGER NOT NULL REFERENCES users(id),
        mark TEXT NOT NULL,
        kind TEXT NOT NULL, frame INTEGER NOT NULL, geometry TEXT NOT NULL, label TEXT NOT NULL,
        deleted INTEGER NOT NULL,
        schema_version INTEGER NOT NULL,
        active_seconds REAL,
        made_in TEXT NOT NULL CHECK (made_in IN ('label page', 'review', 'import', 'command line', 'demo')),
        entered_by TEXT NOT NULL,
        made_at TEXT NOT NULL, stored_at TEXT NOT NULL,
        UNIQUE (project, event))""",
    "CREATE INDEX marks_by_case ON marks (case_id, reader, mark, made_at, id)",
    # ---- masks: one edit is one stroke of one structure, with the whole new content of each frame it changed
    """CREATE TABLE mask_edits (
        id INTEGER PRIMARY KEY,
        event TEXT NOT NULL,
        project INTEGER NOT NULL,
        case_id INTEGER NOT NULL REFERENCES cases(id),
        reader INTEGER NOT NULL REFERENCES users(id),
        structure TEXT NOT NULL,
        schema_version INTEGER NOT NULL,
        active_seconds REAL,
        made_in TEXT NOT NULL CHECK (made_in IN ('label page', 'review', 'import', 'command line', 'demo')),
        entered_by TEXT NOT NULL,
        made_at TEXT NOT NULL, stored_at TEXT NOT NULL,
        UNIQUE (project, event))""",
    "CREATE INDEX mask_edits_by_case ON mask_edits (case_id, reader, id)",
    """CREATE TABLE mask_frames (
        edit INTEGER NOT NULL REFERENCES mask_edits(id),
        frame INTEGER NOT NULL,
        case_id INTEGER NOT NULL REFERENCES cases(id),
        pixels INTEGER NOT NULL,  -- how many are painted, so that empty frames and volumes need no runs
        runs BLOB NOT NULL,
        PRIMARY KEY (edit, frame))""",
    "CREATE INDEX mask_frames_by_case ON mask_frames (case_id)",
    *[
        f"""CREATE TRIGGER {table}_are_never_{done} BEFORE {verb} ON {table} {unless}
        BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"""
        for table in ("marks", "mask_edits", "mask_frames")
        for verb, done, unless in (
            ("UPDATE", "changed", ""),
            ("DELETE", "deleted", "WHEN OLD.case_id NOT IN (SELECT case_id FROM erasing)"),
        )
    ],
    # Derived from the two in the transaction that adds an edit: which edit counts on each frame. Here a structure
    # goes by its present name; the edits keep the name under which they were painted.
    """CREATE TABLE current_masks (
        case_id INTEGER NOT NULL REFERENCES cases(id), reader INTEGER NOT NULL REFERENCES users(id),
        structure TEXT NOT NULL, frame INTEGER NOT NULL,
        edit INTEGER NOT NULL REFERENCES mask_edits(id), pixels INTEGER NOT NULL, project INTEGER NOT NULL,
        PRIMARY KEY (case_id, reader, structure, frame)) WITHOUT ROWID""",
    "CREATE INDEX current_masks_by_structure ON current_masks (project, structure)",
    # ---- worklists: who is asked to read what, and lists kept from a review
    """CREATE TABLE assignments (
        project INTEGER NOT NULL REFERENCES projects(id),
        case_id INTEGER NOT NULL REFERENCES cases(id),
        reader INTEGER NOT NULL REFERENCES users(id),
        assigned_by TEXT NOT NULL, assigned_at TEXT NOT NULL,
        PRIMARY KEY (case_id, reader)) WITHOUT ROWID""",
    "CREATE INDEX assignments_by_reader ON assignments (project, reader, case_id)",
    """CREATE TABLE case_lists (
        id INTEGER PRIMARY KEY,
        project INTEGER NOT NULL REFERENCES projects(id),
        name TEXT NOT NULL, made_by TEXT NOT NULL, made_at TEXT NOT NULL)""",
    """CREATE TABLE case_list_cases (
        list INTEGER NOT NULL REFERENCES case_lists(id), position INTEGER NOT NULL,
        case_id INTEGER NOT NULL REFERENCES cases(id),
        PRIMARY KEY (list, position)) WITHOUT ROWID""",
    "CREATE INDEX case_list_cases_by_case ON case_list_cases (case_id)",
]


@migrations()
def m003_the_viewer(database: Database) -> None:
    for statement in THE_VIEWER:
        database.execute(statement)


# The audit, and addresses that somebody kept, speak of these by their numbers for ever: what is erased leaves its
# number behind, and what is made later gets a higher one (`core.store.numbers`).
NUMBERED = (("runs", "run"), ("models", "model"), ("snapshots", "snapshot"))
KEPT_NUMBERS = [
    "CREATE TABLE kept_numbers (numbered TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
    *(
        statement
        for table, one in NUMBERED
        for statement in (
            # Those that were erased before: the audit knows the highest there ever was.
            f"""INSERT INTO kept_numbers (numbered, number)
                SELECT '{table}', coalesce(max(CAST(substr(subject, {len(one) + 2}) AS INTEGER)), 0) FROM audit
                WHERE subject GLOB '{one} [0-9]*'
                  AND CAST(substr(subject, {len(one) + 2}) AS INTEGER) NOT IN (SELECT id FROM {table})""",
            f"""CREATE TRIGGER numbers_of_{table}_are_kept AFTER DELETE ON {table}
                BEGIN UPDATE kept_numbers SET number = max(number, OLD.id) WHERE numbered = '{table}'; END""",
            f"""CREATE TRIGGER numbers_of_{table}_stay_empty AFTER INSERT ON {table}
                WHEN NEW.id <= (SELECT number FROM kept_numbers WHERE numbered = '{table}')
                BEGIN SELECT RAISE(ABORT, 'this number belonged to a {one} that was erased'); END""",
        )
    ),
]


@migrations()
def m004_kept_numbers(database: Database) -> None:
    for statement in KEPT_NUMBERS:
        database.execute(statement)


DEIDENTIFIED = [
    # ---- projects: what of a header is kept (`core.projects.deidentification`); {} are the defaults
    "ALTER TABLE projects ADD COLUMN deidentification TEXT NOT NULL DEFAULT '{}'",
    # ---- images: those that somebody has to look at before readers see them
    "ALTER TABLE cases ADD COLUMN held INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX cases_held ON cases (project, id) WHERE held = 1",
    """CREATE TABLE pixel_checks (
        case_id INTEGER PRIMARY KEY REFERENCES cases(id),
        project INTEGER NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('held', 'cleared', 'blacked')),
        reason TEXT NOT NULL,
        device TEXT NOT NULL,  -- stands for modality, size, maker and model: whose template fits
        before_hash TEXT,  -- of the pixels before the blackout, so that the same file is known again
        boxes TEXT NOT NULL DEFAULT '[]',
        by TEXT, at TEXT NOT NULL)""",
    "CREATE INDEX pixel_checks_by_state ON pixel_checks (project, state, case_id)",
    """CREATE TABLE device_templates (
        project INTEGER NOT NULL REFERENCES projects(id), device TEXT NOT NULL,
        name TEXT NOT NULL, boxes TEXT NOT NULL, made_by TEXT NOT NULL, made_at TEXT NOT NULL,
        PRIMARY KEY (project, device)) WITHOUT ROWID""",
    # ---- headers: the de-identified one of each DICOM instance, and what was done to it without the before
    """CREATE TABLE instance_headers (
        case_id INTEGER NOT NULL REFERENCES cases(id), frame INTEGER NOT NULL,
        sop_uid TEXT NOT NULL, header_hash TEXT NOT NULL, changes_hash TEXT NOT NULL,
        PRIMARY KEY (case_id, frame)) WITHOUT ROWID""",
    "CREATE INDEX instance_headers_by_uid ON instance_headers (sop_uid)",
    "CREATE INDEX instance_headers_by_hash ON instance_headers (header_hash)",
    # Slices of a series are changed alike: the lists are kept once.
    "CREATE TABLE header_changes (hash TEXT PRIMARY KEY, changes TEXT NOT NULL) WITHOUT ROWID",
]


IMPORT_DOCTOR = [
    # ---- images: what became of each file, and of each series that was found
    """CREATE TABLE import_files_now (
        job INTEGER NOT NULL, path TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('imported', 'joined', 'held', 'skipped', 'waiting', 'failed')),
        case_id INTEGER, reason TEXT NOT NULL,
        series INTEGER,  -- its number in import_series
        PRIMARY KEY (job, path)) WITHOUT ROWID""",
    """INSERT INTO import_files_now (job, path, status, case_id, reason)
       SELECT job, path, status, case_id, reason FROM import_files""",
    "DROP TABLE import_files",
    "ALTER TABLE import_files_now RENAME TO import_files",
    """CREATE TABLE import_series (
        job INTEGER NOT NULL, number INTEGER NOT NULL, told TEXT NOT NULL,
        PRIMARY KEY (job, number)) WITHOUT ROWID""",
    # ---- images: files that an import has met, so that the next one need not open them
    """CREATE TABLE known_files (
        project INTEGER NOT NULL REFERENCES projects(id), path_hmac TEXT NOT NULL,
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        status TEXT NOT NULL, case_id INTEGER, series_hmac TEXT NOT NULL,
        PRIMARY KEY (project, path_hmac)) WITHOUT ROWID""",
    "CREATE INDEX known_files_by_case ON known_files (case_id)",
    # ---- images: folders of the server that the worker looks into; `folder` is encrypted with the home's secret
    """CREATE TABLE watched_folders (
        project INTEGER PRIMARY KEY REFERENCES projects(id), folder TEXT NOT NULL,
        every_seconds REAL NOT NULL, quiet_seconds REAL NOT NULL,
        set_by TEXT NOT NULL, set_at TEXT NOT NULL,
        looked_at TEXT, state TEXT NOT NULL DEFAULT '')""",
]


@migrations()
def m005_deidentified(database: Database) -> None:
    for statement in [*DEIDENTIFIED, *IMPORT_DOCTOR]:
        database.execute(statement)


# Servers that studies are asked from. Their numbers are never given again: the audit speaks of them. Who signs in
# there is not here but in a file of the home.
PACS = """CREATE TABLE pacs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE, protocol TEXT NOT NULL CHECK (protocol IN ('dicomweb', 'dimse')),
    address TEXT NOT NULL, their_title TEXT NOT NULL, our_title TEXT NOT NULL, move_port INTEGER,
    authority TEXT NOT NULL, made_by TEXT NOT NULL, made_at TEXT NOT NULL)"""


@migrations()
def m006_pacs(database: Database) -> None:
    database.execute(PACS)


MASKS = [
    # ---- snapshots: the reference mask of each structure of each case, as it was when the snapshot was frozen
    """CREATE TABLE snapshot_masks (
        snapshot INTEGER NOT NULL REFERENCES snapshots(id),
        case_id INTEGER NOT NULL REFERENCES cases(id),
        structure TEXT NOT NULL, mask_hash TEXT NOT NULL, pixels INTEGER NOT NULL,
        PRIMARY KEY (snapshot, case_id, structure)) WITHOUT ROWID""",
    "CREATE INDEX snapshot_masks_by_case ON snapshot_masks (case_id)",
    "CREATE INDEX snapshot_masks_by_hash ON snapshot_masks (mask_hash)",
    # ---- evaluation: what a model paints on a case, on the case's own grid, and how that agrees with the reference
    """CREATE TABLE predicted_masks (
        model INTEGER NOT NULL REFERENCES models(id),
        case_id INTEGER NOT NULL REFERENCES cases(id),
        structure TEXT NOT NULL, mask_hash TEXT NOT NULL, pixels INTEGER NOT NULL,
        PRIMARY KEY (model, case_id, structure)) WITHOUT ROWID""",
    "CREATE INDEX predicted_masks_by_case ON predicted_masks (case_id)",
    "CREATE INDEX predicted_masks_by_hash ON predicted_masks (mask_hash)",
    """CREATE TABLE measured_masks (
        evaluation INTEGER NOT NULL REFERENCES evaluations(id),
        case_id INTEGER NOT NULL REFERENCES cases(id),
        structure TEXT NOT NULL,
        dice REAL, iou REAL, hd95 REAL, surface_dice REAL,  -- NULL where there is none: `core.measures.segmentation`
        reference_pixels INTEGER NOT NULL, predicted_pixels INTEGER NOT NULL,
        reference_ml REAL, predicted_ml REAL,
        PRIMARY KEY (evaluation, case_id, structure)) WITHOUT ROWID""",
    "CREATE INDEX measured_masks_by_case ON measured_masks (case_id)",
]


@migrations()
def m007_masks(database: Database) -> None:
    for statement in MASKS:
        database.execute(statement)


@migrations()
def m008_runs_explain_themselves(database: Database) -> None:
    # What a run says of itself as JSON: why its recipe was chosen, and what was found before its first step.
    database.execute("ALTER TABLE runs ADD COLUMN told TEXT NOT NULL DEFAULT '{}'")


WATCHED = [
    # A handful of validation cases of a run, and what its network says of each after the last epoch.
    """CREATE TABLE run_watched (
        run INTEGER NOT NULL REFERENCES runs(id),
        case_id INTEGER NOT NULL REFERENCES cases(id),
        epoch INTEGER NOT NULL, answer TEXT NOT NULL,
        PRIMARY KEY (run, case_id)) WITHOUT ROWID""",
    "CREATE INDEX run_watched_by_case ON run_watched (case_id)",
]


@migrations()
def m009_watched_cases_and_why(database: Database) -> None:
    for statement in WATCHED:
        database.execute(statement)
    # Why a job failed, beside what happened (`error`) and what to do (`remedy`).
    database.execute("ALTER TABLE jobs ADD COLUMN why TEXT")


SYNTHETIC = [
    # Of a drawn image what drew it, as JSON; NULL of every real one. What is synthetic stays so, is never an answer's
    # case, and is never validated or tested on, whatever a later version's code may think.
    "ALTER TABLE cases ADD COLUMN synthetic TEXT",
    "CREATE INDEX cases_synthetic ON cases (project, id) WHERE synthetic IS NOT NULL",
    """CREATE TRIGGER synthetic_stays_synthetic BEFORE UPDATE OF synthetic ON cases
       WHEN OLD.synthetic IS NOT NEW.synthetic BEGIN
        SELECT RAISE(ABORT, 'what is synthetic stays so, and what is real too');
    END""",
    """CREATE TRIGGER synthetic_is_only_learnt_from BEFORE INSERT ON snapshot_cases
       WHEN NEW.split <> 'train' AND (SELECT synthetic FROM cases WHERE id = NEW.case_id) IS NOT NULL BEGIN
        SELECT RAISE(ABORT, 'a synthetic image is never validated or tested on');
    END""",
    """CREATE TRIGGER synthetic_is_not_read BEFORE INSERT ON labels
       WHEN (SELECT synthetic FROM cases WHERE id = NEW.case_id) IS NOT NULL BEGIN
        SELECT RAISE(ABORT, 'a synthetic image is not read');
    END""",
]


@migrations()
def m010_synthetic_cases(database: Database) -> None:
    for statement in SYNTHETIC:
        database.execute(statement)


@migrations()
def m011_evidence(database: Database) -> None:
    # How far a method of explanation can be trusted on a model: the newest of each, as JSON (`core.explain.records`).
    database.execute(
        """CREATE TABLE explanation_evidence (
            model INTEGER NOT NULL REFERENCES models(id),
            method TEXT NOT NULL, told TEXT NOT NULL, made_at TEXT NOT NULL, made_by TEXT NOT NULL,
            PRIMARY KEY (model, method)) WITHOUT ROWID"""
    )


# Reviews: what is signed is never changed, and goes only with its whole project. Numbers are never given again, since
# the audit and signed papers speak of them.
_UNLESS_ERASED = "OLD.project NOT IN (SELECT project FROM erased_projects)"
_UNLESS_ITS_CASE = "(OLD.case_id IS NULL OR OLD.case_id NOT IN (SELECT case_id FROM erasing))"
REVIEWS = [
    """CREATE TABLE reviews (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        project INTEGER NOT NULL REFERENCES projects(id),
        name TEXT NOT NULL,
        model INTEGER NOT NULL REFERENCES models(id),
        production INTEGER REFERENCES models(id),  -- the model that it is compared with
        snapshot INTEGER NOT NULL REFERENCES snapshots(id),
        criteria TEXT NOT NULL, criteria_at TEXT NOT NULL,
        prepared_by TEXT NOT NULL, prepared_at TEXT NOT NULL,
        -- from here on set once, when the test results are first opened
        evaluation INTEGER REFERENCES evaluations(id), outcomes TEXT, locked_at TEXT, locked_by TEXT)""",
    "CREATE INDEX reviews_by_project ON reviews (project, id)",
    "CREATE INDEX reviews_by_model ON reviews (model, id)",
    """CREATE TRIGGER reviews_are_locked BEFORE UPDATE ON reviews WHEN OLD.locked_at IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'the test results of this review were opened: it is locked'); END""",
    """CREATE TABLE test_openings (
        id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects(id),
        review INTEGER NOT NULL REFERENCES reviews(id), model INTEGER NOT NULL, snapshot INTEGER NOT NULL,
        by TEXT NOT NULL, via TEXT NOT NULL, at TEXT NOT NULL)""",
    "CREATE INDEX test_openings_by_snapshot ON test_openings (snapshot)",
    "CREATE INDEX test_openings_by_review ON test_openings (review)",
    """CREATE TABLE decisions (
        id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects(id),
        review INTEGER NOT NULL UNIQUE REFERENCES reviews(id),
        verdict TEXT NOT NULL CHECK (verdict IN ('approve', 'approve with conditions', 'retrain', 'reject')),
        rationale TEXT NOT NULL, conditions TEXT NOT NULL, actions TEXT NOT NULL,
        bound TEXT NOT NULL, hash TEXT NOT NULL, made_by TEXT NOT NULL, made_at TEXT NOT NULL)""",
    """CREATE TABLE signatures (
        id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects(id),
        decision INTEGER NOT NULL REFERENCES decisions(id), name TEXT NOT NULL,
        meaning TEXT NOT NULL, dissent TEXT NOT NULL, at TEXT NOT NULL, hash TEXT NOT NULL,
        UNIQUE (decision, name))""",
    # ---- which model is used: the newest row of a model says its stage; one without a row is a candidate
    """CREATE TABLE stages (
        id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects(id),
        model INTEGER NOT NULL REFERENCES models(id),
        stage TEXT NOT NULL CHECK (stage IN ('candidate', 'production', 'retired')),
        review INTEGER REFERENCES reviews(id), reason TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL)""",
    "CREATE INDEX stages_by_project ON stages (project, id)",
    "CREATE INDEX stages_by_model ON stages (model, id)",
    # ---- what is said in a review, about a step of it or a case, and why the model was wrong
    """CREATE TABLE remarks (
        id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects(id),
        review INTEGER NOT NULL REFERENCES reviews(id), step TEXT NOT NULL,
        case_id INTEGER REFERENCES cases(id), parent INTEGER REFERENCES remarks(id),
        author TEXT NOT NULL, text TEXT NOT NULL, at TEXT NOT NULL)""",
    "CREATE INDEX remarks_by_review ON remarks (review, id)",
    "CREATE INDEX remarks_by_case ON remarks (case_id)",
    """CREATE TABLE failure_tags (
        id INTEGER PRIMARY KEY AUTOINCREMENT, project INTEGER NOT NULL REFERENCES projects(id),
        review INTEGER NOT NULL REFERENCES reviews(id), case_id INTEGER NOT NULL REFERENCES cases(id),
        cause TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL)""",
    "CREATE INDEX failure_tags_by_review ON failure_tags (review, case_id, id)",
    "CREATE INDEX failure_tags_by_case ON failure_tags (case_id)",
    # ---- where whoever presents a review stands, for those who follow
    """CREATE TABLE presented_steps (
        review INTEGER PRIMARY KEY REFERENCES reviews(id), project INTEGER NOT NULL REFERENCES projects(id),
        step TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL)""",
    *[
        f"""CREATE TRIGGER {table}_are_never_changed BEFORE UPDATE ON {table}
        BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"""
        for table in ("test_openings", "decisions", "signatures", "stages", "remarks", "failure_tags")
    ],
    *[
        f"""CREATE TRIGGER {table}_are_never_deleted BEFORE DELETE ON {table} WHEN {unless}
        BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"""
        for table, unless in (
            *((table, _UNLESS_ERASED) for table in ("reviews", "test_openings", "decisions", "signatures", "stages")),
            *((table, f"{_UNLESS_ERASED} AND {_UNLESS_ITS_CASE}") for table in ("remarks", "failure_tags")),
        )
    ],
]


@migrations()
def m012_reviews(database: Database) -> None:
    for statement in REVIEWS:
        database.execute(statement)


NEW_CASES = [
    # ---- when a model says nothing: one rule a model, frozen with it
    """CREATE TABLE abstention_rules (
        model INTEGER PRIMARY KEY REFERENCES models(id), project INTEGER NOT NULL REFERENCES projects(id),
        rule TEXT NOT NULL, made_at TEXT NOT NULL, made_by TEXT NOT NULL)""",
    """CREATE TRIGGER abstention_rules_are_never_changed BEFORE UPDATE ON abstention_rules
        BEGIN SELECT RAISE(ABORT, 'abstention_rules are append-only'); END""",
    f"""CREATE TRIGGER abstention_rules_are_never_deleted BEFORE DELETE ON abstention_rules WHEN {_UNLESS_ERASED}
        BEGIN SELECT RAISE(ABORT, 'abstention_rules are append-only'); END""",
    # ---- whether new cases are like those of a model's snapshot: numbers alone, no case is named
    """CREATE TABLE drift_checks (
        id INTEGER PRIMARY KEY, project INTEGER NOT NULL REFERENCES projects(id),
        model INTEGER NOT NULL REFERENCES models(id), told TEXT NOT NULL, made_at TEXT NOT NULL)""",
    "CREATE INDEX drift_checks_by_model ON drift_checks (model, id)",
]


@migrations()
def m013_new_cases(database: Database) -> None:
    for statement in NEW_CASES:
        database.execute(statement)
