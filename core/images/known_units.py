"""Files that an import has met before are not opened: what became of them is recorded again."""

from collections.abc import Sequence

from core.errors import CoreError, Unavailable
from core.images.keeping import kept_as_it_was, row_of, said_of_table
from core.images.one_import import OneImport
from core.images.records import (
    FileStatus,
    ImportedFile,
    get_case,
    record_import_file,
)
from core.images.units import Unit
from core.progress import Progress, stop_if_asked
from core.store.database import writing

KNOWN_AT_ONCE = 500


def skip_known(
    what: OneImport, units: Sequence[Unit], done: dict[str, ImportedFile], progress: Progress, *, carried_out: bool
) -> None:
    """Files that are in, or were refused, and are unchanged: many in one transaction, none of them opened.

    Args:
        carried_out: what a label table says of them is added to their cases.
    """
    known = [unit for unit in units if unit.known and unit.files[0].path not in done]
    for start in range(0, len(known), KNOWN_AT_ONCE):
        stop_if_asked(progress)
        with writing(what.connection):
            for unit in known[start : start + KNOWN_AT_ONCE]:
                rows = _skip_known_unit(what, unit, carried_out=carried_out)
                done |= {row.path: row for row in rows}
        progress.report(0.0, f"{min(start + KNOWN_AT_ONCE, len(known))} of {len(known)} known files")


def _skip_known_unit(what: OneImport, unit: Unit, *, carried_out: bool) -> list[ImportedFile]:
    assert unit.known is not None
    number = what.unopened.get(unit.known.series)
    if unit.known.refusal:
        (file,) = unit.files
        refused = unit.known.status, None, unit.known.refusal, number
        return [record_import_file(what.connection, what.job, file.path, *refused)]
    assert unit.known.case is not None
    case = get_case(what.connection, unit.known.case)
    try:
        row = row_of(what, unit, unit.files)
        if carried_out and what.on_skipped:
            what.on_skipped(what.connection, case, row)
        status: FileStatus = "skipped"
        reason = f"Already there as case {case.id}: an unchanged file, so same source and same pixels."
        reason += kept_as_it_was(case, row)
    except Unavailable:
        raise
    except CoreError as error:  # what the table says; it is checked before anything of it is written
        status, reason = "failed", said_of_table(what, unit, unit.files, error)
    its_case = None if status == "failed" else case.id
    return [
        record_import_file(what.connection, what.job, file.path, status, its_case, reason, number)
        for file in unit.files
    ]
