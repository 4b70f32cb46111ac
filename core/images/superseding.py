"""A volume that came in without its damaged slices gives way to the whole one, once those can be read.

Only a case of which nothing is said gives way (`core.images.records.is_mentioned`): whatever a reader, a model or a
snapshot said of fewer slices is about those, and stays with them.
"""

import sqlite3

from core.images.headers import list_headers, remove_headers
from core.images.records import Case, replace_case
from core.store.audit import Actor, add_audit
from core.store.database import writing
from core.store.files import Files, Shelf


def give_way(connection: sqlite3.Connection, files: Files, part: Case, whole: Case, actor: Actor) -> None:
    """Take a case away of which nothing is said; reports and known files name the whole one from now on.

    The caller holds the transaction. Its files go with those that no case names when the import ends
    (`core.images.stored_files`).
    """
    left: list[tuple[Shelf, str]] = [("pixels", part.pixel_hash), ("thumbnails", part.pixel_hash)]
    left += [("headers", header.header_hash) for header in list_headers(connection, part.id)]
    for shelf, content_hash in left:
        if files.on_new:
            files.on_new(shelf, content_hash)
    with writing(connection):
        remove_headers(connection, part.id)
        replace_case(connection, part.id, whole.id)
        add_audit(connection, actor, "replace partial volume", f"case {part.id}", frames=part.frames,
                  by=whole.id, of=whole.frames)  # fmt: skip
