"""Masks, kept stroke by stroke: one edit holds the whole new content of each frame that it changed.

Of each frame the newest edit counts, by the time it was made; frames that nobody painted are empty. Edits are only
ever added, so undoing a stroke is one more edit. `current_masks` says which edit counts and is written in the
transaction that adds one; there a structure goes by its present name, while edits keep the one they were made under.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.clock import utc_now
from core.errors import Conflict, InvalidInput, NotFound
from core.images.decoded import DecodedImage
from core.images.records import Case, get_case
from core.labels.incoming import (
    MadeIn,
    check_event,
    check_origin,
    check_seconds,
    check_version,
    demand_speaking,
    moment_made,
)
from core.labels.records import project_of
from core.labels.runs import decode_runs, encode_runs, settle_runs
from core.people.accounts import get_user
from core.projects.changes import present_names
from core.projects.records import Project
from core.projects.schema import Segmentation
from core.store.audit import Actor, add_audit
from core.store.database import writing


@dataclass(frozen=True)
class NewMaskEdit:
    """A stroke on its way in: `frames` are {frame: run-length code of its whole new mask} (`labels.runs`).

    Without `made_at` it is made as it is stored: after what the reader painted before, by whatever clock.
    """

    event: str
    case_id: int
    reader: str
    structure: str
    frames: Mapping[int, bytes]
    schema_version: int = 1
    made_in: MadeIn = "label page"
    made_at: str | None = None
    active_seconds: float | None = None


@dataclass(frozen=True)
class MaskEdit:
    """A stored stroke, without its frames."""

    id: int
    event: str
    case_id: int
    reader: str
    structure: str
    schema_version: int
    made_in: MadeIn
    entered_by: str
    made_at: str
    stored_at: str


@dataclass(frozen=True)
class PaintedMask:
    """What one reader has painted of one structure on one case. `edit` is the newest edit that counts."""

    case_id: int
    reader: str
    structure: str
    pixels: int
    edit: int


@dataclass(frozen=True)
class StoredMask:
    """The frames of a mask that were ever touched, as run-length code; `edit` is 0 where nothing was."""

    frames: dict[int, bytes]
    edit: int


_SELECT = "SELECT mask_edits.*, users.name AS reader_name FROM mask_edits JOIN users ON users.id = mask_edits.reader"


def add_mask_edit(connection: sqlite3.Connection, new: NewMaskEdit, actor: Actor) -> MaskEdit:
    """Store a stroke once, however often it is sent.

    Raises:
        Deleted, NotFound: the case was erased, or there is no such case or reader.
        InvalidInput: the runs do not add up, a frame is out of range, the structure is unknown or retired.
        Conflict: this event id came before with another stroke.
        NotAllowed: the actor may not label here, or not in the name of this reader.
    """
    check_event(new.event)
    with writing(connection):
        project = project_of(connection, new.case_id)
        demand_speaking(connection, actor, new.reader, project.id)
        names = present_names(connection, project)
        reader = get_user(connection, new.reader)
        frames = _checked_frames(get_case(connection, new.case_id), new)
        known = _find_edit(connection, project.id, new.event)
        if known is not None:
            return _same_edit(connection, known, new, frames, names)
        check_version(project, new.schema_version)
        structure = check_structure(project, names.get(new.structure, new.structure))
        stored_at = max(utc_now(), _last_stored_at(connection, new.case_id, reader.id))
        cursor = connection.execute(
            """INSERT INTO mask_edits (event, project, case_id, reader, structure, schema_version, active_seconds,
                                       made_in, entered_by, made_at, stored_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                new.event,
                project.id,
                new.case_id,
                reader.id,
                structure,
                project.schema_version,
                check_seconds(new.active_seconds),
                new.made_in,
                actor.name,
                moment_made(new.made_at, stored_at),
                stored_at,
            ),
        )
        edit = int(cursor.lastrowid or 0)
        connection.executemany(
            "INSERT INTO mask_frames (edit, frame, case_id, pixels, runs) VALUES (?, ?, ?, ?, ?)",
            [(edit, frame, new.case_id, pixels, runs) for frame, (runs, pixels) in frames.items()],
        )
        _settle_frames(connection, project, edit, reader.id, structure)
        if new.reader != actor.name:  # one's own strokes are their own record: who, when, what, and nothing is lost
            told = {"reader": new.reader, "structure": structure, "after": edit}
            add_audit(connection, actor, "edit mask", f"case {new.case_id}", **told)
        stored = _find_edit(connection, project.id, new.event)
        assert stored is not None
        return stored


def put_mask(
    connection: sqlite3.Connection,
    case: Case,
    structure: str,
    mask: np.ndarray,
    actor: Actor,
    *,
    event: str,
    reader: str | None = None,
    made_in: MadeIn = "import",
) -> MaskEdit:
    """Replace the whole mask of a structure by an array `(frames, rows, columns)` of 0 and 1, as one edit.

    A 2-D image may also be given as `(rows, columns)`.

    Raises:
        InvalidInput: another size, another type, other values than 0 and 1; and what `add_mask_edit` refuses.
    """
    whole = check_mask(case, mask)
    with writing(connection):
        project = project_of(connection, case.id)
        frames = {frame: encode_runs(content) for frame, content in enumerate(whole)}
        new = NewMaskEdit(
            event=event,
            case_id=case.id,
            reader=reader or actor.name,
            structure=structure,
            frames=frames,
            schema_version=project.schema_version,
            made_in=made_in,
        )
        is_new = _find_edit(connection, project.id, event) is None
        stored = add_mask_edit(connection, new, actor)
        if is_new and new.reader == actor.name:
            told = {"reader": new.reader, "structure": stored.structure, "after": stored.id}
            add_audit(connection, actor, "edit mask", f"case {case.id}", **told)
        return stored


def check_mask(case: Case, mask: np.ndarray) -> np.ndarray:
    """An array as the mask of a case: uint8 `(frames, rows, columns)` of 0 and 1.

    Raises:
        InvalidInput: it has another size, another type or other values.
    """
    size = (case.frames, case.rows, case.columns)
    if mask.dtype not in (np.uint8, np.bool_):
        raise InvalidInput(f"A mask is an array of uint8 or bool. Received: {mask.dtype}")
    if mask.ndim == 2 and case.frames == 1:
        mask = mask[np.newaxis]
    if mask.shape != size:
        raise InvalidInput(f"A mask of case {case.id} has the size {size}. Received: {mask.shape}")
    if mask.size and int(mask.max()) > 1:
        raise InvalidInput(f"A mask holds 0 and 1, nothing else. Received: {int(mask.max())}")
    return np.ascontiguousarray(mask, np.uint8)


def check_structure(project: Project, structure: str) -> str:
    """The name itself, when readers may paint it.

    Raises:
        InvalidInput: the project has no such structure, or no longer offers it.
    """
    if not isinstance(project.schema, Segmentation):
        raise InvalidInput(f"This {project.task} project has no structures to paint. Received: {structure[:120]!r}")
    if structure not in project.schema.names:
        raise InvalidInput(f"The structures are {', '.join(project.schema.names)}. Received: {structure[:120]!r}")
    if structure not in {one.name for one in project.schema.offered}:
        raise InvalidInput(f"No longer offered in this project; choose another. Received: {structure!r}")
    return structure


def read_mask(connection: sqlite3.Connection, case_id: int, reader: str, structure: str) -> StoredMask:
    """What one reader has painted of a structure, frame by frame, as run-length code."""
    rows = connection.execute(
        """SELECT current_masks.frame, current_masks.edit, mask_frames.runs
           FROM current_masks JOIN users ON users.id = current_masks.reader
           JOIN mask_frames ON mask_frames.edit = current_masks.edit AND mask_frames.frame = current_masks.frame
           WHERE current_masks.case_id = ? AND users.name = ? AND structure = ? ORDER BY current_masks.frame""",
        (case_id, reader, structure),
    ).fetchall()
    return StoredMask({row["frame"]: row["runs"] for row in rows}, max((row["edit"] for row in rows), default=0))


def compose_mask(connection: sqlite3.Connection, case: Case, reader: str, structure: str) -> np.ndarray:
    """What one reader has painted of a structure: uint8 `(frames, rows, columns)` of 0 and 1."""
    return decode_mask(case, read_mask(connection, case.id, reader, structure))


def decode_mask(case: Case, stored: StoredMask) -> np.ndarray:
    """A mask as an array: uint8 `(frames, rows, columns)` of 0 and 1."""
    whole = np.zeros((case.frames, case.rows, case.columns), np.uint8)
    for frame, runs in stored.frames.items():
        whole[frame] = decode_runs(runs, case.rows, case.columns)
    return whole


def list_edits_of(connection: sqlite3.Connection, case_id: int, reader: str, *, pixels: int) -> list[tuple[int, str]]:
    """A reader's edits of a case that paint so many pixels in all, the newest first, each with the structure's name of
    then."""
    rows = connection.execute(
        """SELECT mask_edits.id, structure FROM mask_edits JOIN mask_frames ON edit = mask_edits.id
           WHERE mask_edits.case_id = ? AND reader = (SELECT id FROM users WHERE name = ?)
           GROUP BY mask_edits.id HAVING sum(pixels) = ? ORDER BY mask_edits.id DESC""",
        (case_id, reader, pixels),
    )
    return [(row["id"], row["structure"]) for row in rows]


def compose_edit(connection: sqlite3.Connection, case: Case, edit: int) -> np.ndarray:
    """What one edit by itself paints: uint8 `(frames, rows, columns)` of 0 and 1."""
    rows = connection.execute("SELECT frame, runs FROM mask_frames WHERE edit = ?", (edit,))
    return decode_mask(case, StoredMask({row["frame"]: row["runs"] for row in rows}, edit))


def get_mask_edit(connection: sqlite3.Connection, edit_id: int) -> MaskEdit:
    """A stroke by its number.

    Raises:
        NotFound: there is none.
    """
    row = connection.execute(f"{_SELECT} WHERE mask_edits.id = ?", (edit_id,)).fetchone()
    if row is None:
        raise NotFound("mask edit", edit_id)
    return _edit(row)


def list_painted(connection: sqlite3.Connection, case_id: int, *, reader: str | None = None) -> list[PaintedMask]:
    """The structures with any painted pixel on a case, of one reader or of all, by reader and structure."""
    rows = connection.execute(
        """SELECT case_id, users.name AS reader, structure, sum(pixels) AS pixels, max(edit) AS edit
           FROM current_masks JOIN users ON users.id = current_masks.reader
           WHERE case_id = :case AND (:reader IS NULL OR users.name = :reader)
           GROUP BY current_masks.reader, structure HAVING sum(pixels) > 0 ORDER BY users.name, structure""",
        {"case": case_id, "reader": reader},
    )
    return [PaintedMask(**dict(row)) for row in rows]


def last_painted_at(connection: sqlite3.Connection, case_id: int, reader: str) -> str | None:
    """When the newest stroke of a reader on a case was made; what is made on a slower clock must say a later time."""
    row = connection.execute(
        "SELECT max(made_at) FROM mask_edits WHERE case_id = ? AND reader = (SELECT id FROM users WHERE name = ?)",
        (case_id, reader),
    ).fetchone()
    return None if row[0] is None else str(row[0])


def list_painters(connection: sqlite3.Connection, project_id: int) -> list[tuple[int, str]]:
    """(case, reader) wherever a reader has painted or has said that there is nothing to paint, by case."""
    rows = connection.execute(
        """SELECT case_id, users.name AS reader FROM (
               SELECT case_id, reader FROM current_masks WHERE project = :project
               UNION
               SELECT current_labels.case_id, current_labels.reader FROM current_labels
               JOIN labels ON labels.id = label WHERE current_labels.project = :project AND value IS NOT NULL)
           JOIN users ON users.id = reader ORDER BY case_id, users.name""",
        {"project": project_id},
    )
    return [(row["case_id"], row["reader"]) for row in rows]


def volume_ml(case: Case | DecodedImage, pixels: int) -> float | None:
    """The volume of so many voxels in millilitres; None for one image, or where a distance is not known."""
    if case.frames < 2 or case.spacing_mm is None or not case.slice_spacing_mm:
        return None
    rows_mm, columns_mm = case.spacing_mm
    return pixels * rows_mm * columns_mm * case.slice_spacing_mm / 1000


def rename_structure(connection: sqlite3.Connection, project_id: int, name: str, to: str) -> None:
    """Call a structure otherwise wherever masks count now, in the caller's transaction."""
    connection.execute(
        "UPDATE current_masks SET structure = ? WHERE project = ? AND structure = ?", (to, project_id, name)
    )


def _checked_frames(case: Case, new: NewMaskEdit) -> dict[int, tuple[bytes, int]]:
    """Each frame's runs in their stored form, and how many pixels they paint."""
    check_origin(new.made_in, "mask")
    if not new.frames:
        raise InvalidInput("A stroke changes at least one frame. Received: no frames")
    told = {}
    for frame, runs in new.frames.items():
        if not 0 <= frame < case.frames:
            raise InvalidInput(f"Case {case.id} has {case.frames} frames, counted from 0. Received: {frame}")
        told[frame] = settle_runs(runs, case.rows, case.columns)
    return told


def _settle_frames(connection: sqlite3.Connection, project: Project, edit: int, reader: int, structure: str) -> None:
    """Let an edit count on those of its frames where none that was made later counts already."""
    connection.execute(
        """INSERT INTO current_masks (case_id, reader, structure, frame, edit, pixels, project)
           SELECT mask_frames.case_id, :reader, :structure, frame, edit, pixels, :project
           FROM mask_frames WHERE edit = :edit
           ON CONFLICT (case_id, reader, structure, frame) DO UPDATE
           SET edit = excluded.edit, pixels = excluded.pixels
           WHERE (SELECT made_at FROM mask_edits WHERE id = excluded.edit)
              >= (SELECT made_at FROM mask_edits WHERE id = current_masks.edit)""",
        {"edit": edit, "reader": reader, "structure": structure, "project": project.id},
    )


def _same_edit(
    connection: sqlite3.Connection,
    known: MaskEdit,
    new: NewMaskEdit,
    frames: Mapping[int, tuple[bytes, int]],
    names: Mapping[str, str],
) -> MaskEdit:
    rows = connection.execute("SELECT frame, runs FROM mask_frames WHERE edit = ?", (known.id,))
    kept = {row["frame"]: row["runs"] for row in rows}
    structures = [names.get(name, name) for name in (new.structure, known.structure)]
    same = (new.case_id, new.reader) == (known.case_id, known.reader) and structures[0] == structures[1]
    if not same or kept != {frame: runs for frame, (runs, _) in frames.items()}:
        raise Conflict(f"This event was stored before with another stroke; send a new one. Received: {new.event}")
    return known


def _find_edit(connection: sqlite3.Connection, project_id: int, event: str) -> MaskEdit | None:
    row = connection.execute(f"{_SELECT} WHERE project = ? AND event = ?", (project_id, event)).fetchone()
    return _edit(row) if row else None


def _edit(row: sqlite3.Row) -> MaskEdit:
    return MaskEdit(
        id=row["id"],
        event=row["event"],
        case_id=row["case_id"],
        reader=row["reader_name"],
        structure=row["structure"],
        schema_version=row["schema_version"],
        made_in=row["made_in"],
        entered_by=row["entered_by"],
        made_at=row["made_at"],
        stored_at=row["stored_at"],
    )


def _last_stored_at(connection: sqlite3.Connection, case_id: int, reader: int) -> str:
    query = "SELECT stored_at FROM mask_edits WHERE case_id = ? AND reader = ? ORDER BY id DESC LIMIT 1"
    row = connection.execute(query, (case_id, reader)).fetchone()
    return str(row["stored_at"]) if row else ""
