"""The report of an import as the person importing reads it: with the paths, as long as those are kept."""

import sqlite3
from dataclasses import replace

from core.images.pseudonyms import named
from core.images.records import ImportedFile, list_import_files
from core.images.sealed_paths import read_paths
from core.settings import Settings


def list_named_files(
    connection: sqlite3.Connection, settings: Settings, job: int, *, with_paths: bool = True
) -> list[ImportedFile]:
    """What a job did with each file so far, by path; by its token once the paths have expired.

    Sentences name files by tokens too; those of this job are read back.

    Args:
        with_paths: False for everybody but the person who imports: tokens then, as the database has them.
    """
    paths = read_paths(settings, job) if with_paths else {}
    files = [
        replace(file, path=paths.get(file.path, file.path), reason=named(file.reason, paths))
        for file in list_import_files(connection, job)
    ]
    return sorted(files, key=lambda file: file.path)
