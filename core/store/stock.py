"""The stored files that the database names by their content: which there are, whether each is there and unaltered."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.progress import Progress, stop_if_asked
from core.store.copying import Unreadable, hash_file
from core.store.files import Files

FILES_PER_REPORT = 25
NAMED = """
    SELECT DISTINCT 'pixels' AS shelf, pixel_hash AS content_hash FROM cases
    UNION SELECT 'headers', header_hash FROM instance_headers
    UNION SELECT 'masks', mask_hash FROM snapshot_masks
    UNION SELECT 'masks', mask_hash FROM predicted_masks
    UNION SELECT 'models', keras_hash FROM models
    UNION SELECT 'models', onnx_hash FROM models WHERE onnx_hash IS NOT NULL
    UNION SELECT 'models', json_extract(source.value, '$.hash') FROM runs, json_each(told, '$.sources') AS source"""
OWNERS = {
    "pixels": "SELECT 'case ' || id FROM cases WHERE pixel_hash = ? ORDER BY id LIMIT ?",
    "headers": "SELECT 'case ' || case_id FROM instance_headers WHERE header_hash = ? ORDER BY case_id LIMIT ?",
    "masks": """SELECT 'case ' || case_id FROM (SELECT case_id, mask_hash FROM snapshot_masks
                UNION SELECT case_id, mask_hash FROM predicted_masks) WHERE mask_hash = ? ORDER BY case_id LIMIT ?""",
    "models": """SELECT 'model ' || id FROM models WHERE ?1 IN (keras_hash, onnx_hash)
                 UNION SELECT 'run ' || runs.id FROM runs, json_each(told, '$.sources') AS source
                 WHERE json_extract(source.value, '$.hash') = ?1 ORDER BY 1 LIMIT ?2""",
}


@dataclass(frozen=True)
class Stored:
    """One file by its shelf and the hash of its content."""

    shelf: Literal["pixels", "models", "headers", "masks"]
    content_hash: str


def list_stored(connection: sqlite3.Connection, *, sample: int | None = None) -> list[Stored]:
    """Every file that the database names, or so many drawn by chance."""
    drawn = "" if sample is None else " ORDER BY random() LIMIT ?"
    rows = connection.execute(f"SELECT * FROM ({NAMED}){drawn}", () if sample is None else (sample,))
    return [Stored(row["shelf"], row["content_hash"]) for row in rows]


def check_stored(files: Files, stored: Sequence[Stored], progress: Progress) -> list[tuple[Stored, str]]:
    """The files that are bad, each with what is wrong: `is missing`, `was altered` or `cannot be read`."""
    bad = []
    for at, item in enumerate(stored, start=1):
        stop_if_asked(progress)
        fault = _fault(files, item)
        if fault:
            bad.append((item, fault))
        if at % FILES_PER_REPORT == 0 or at == len(stored):
            progress.report(at / len(stored), f"{at:,} of {len(stored):,} stored files looked at")
    return bad


def name_owners(connection: sqlite3.Connection, item: Stored, most: int) -> list[str]:
    """Whose file it is, by number: `case 12`, `model 3`."""
    return [row[0] for row in connection.execute(OWNERS[item.shelf], (item.content_hash, most))]


def _fault(files: Files, item: Stored) -> str:
    try:
        found = hash_file(files.path(item.shelf, item.content_hash))
    except Unreadable as told:
        missing = isinstance(told.error, FileNotFoundError)
        return "is missing" if missing else f"cannot be read ({told.error.strerror})"
    return "" if found == item.content_hash else "was altered"
