"""Labels as a CSV table: written out, and read back unchanged; labels from other people's tables too."""

import csv
import io
import json
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from core.cells import guard, unguard
from core.errors import CoreError, InvalidInput, some_of
from core.images.column_names import without_stray_note
from core.images.home_secret import secret_of
from core.images.label_table import (
    LATER_COLUMNS,
    SEPARATOR,
    Answer,
    TableRow,
    decode_table,
    guess_columns,
    map_columns,
    read_label_table,
)
from core.images.matching import SourceNames
from core.images.records import (
    Case,
    find_numbered_case,
    find_same_source,
    list_case_sources,
    list_cases,
)
from core.labels.answers import label_text, parse_label_text, value_text
from core.labels.incoming import to_utc
from core.labels.records import (
    Label,
    NewLabel,
    find_current_label,
    find_label,
    list_current_labels,
    list_labels,
    list_project_labels,
    new_event,
    put_label,
)
from core.people.accounts import ensure_user
from core.people.roles import demand_of
from core.projects.changes import present_names, under_present_names
from core.projects.records import Project, get_project
from core.projects.schema import quantity_names
from core.store.audit import Actor, add_audit
from core.store.database import one_view, writing

COLUMNS = ("path", "label", "patient", "split", "reader", "unsure", "unusable", "note", "event", "made_at")
# `LATER_COLUMNS` stand after those, so that a table of before is read as it was; empty where nothing was said.
TOLD_BESIDE = ("unsure", "unusable", "note", "event", "made_at", *LATER_COLUMNS)
READER_OF_TABLES = "label table"  # whose answers they are where a table does not say
YES = {"1", "true", "yes", "y", "x"}
NO = {"", "0", "false", "no", "n"}
NAMED_AT_MOST = 5
ROWS_AT_ONCE = 200  # in one transaction, so that readers who label meanwhile wait for milliseconds

_Said = dict[tuple[int, str, str], tuple[object, ...]]  # {(case, reader, time): answer} of rows without an event


@dataclass(frozen=True)
class LabelImport:
    """What an import did: labels added, labels that were there already, refused rows with their reasons, and how many
    answers came in without the note that stood beside them."""

    added: int
    unchanged: int
    refused: tuple[str, ...]
    without_note: int = 0


@dataclass(frozen=True)
class _Row:
    """One answer of a table, and the image it is about as the table names it."""

    path: str
    answer: Answer
    may_be_number: bool = False
    had_note: bool = False  # which is left out (`without_stray_note`)


# ---- out


def export_labels(connection: sqlite3.Connection, project: Project, *, history: bool = False) -> str:
    """The labels that count, one row for each reader and case, oldest first; with `history` all there ever were.

    Classes are called as they are today, also in answers of before a rename: another home never had the old name.
    After our own columns come those of the numbers, where a project asks for several (`label` says them too), and the
    attributes of the cases. `|` is the answer "none of the classes". Masks and marks
    do not fit into a table; masks have an export of their own (`mask_files`).
    """
    with one_view(connection):  # a label of a case that an import adds just now would have no case
        cases = {case.id: case for case in list_cases(connection, project.id)}
        ours, quantities = (*COLUMNS, *LATER_COLUMNS), quantity_names(project.schema)
        attributes = sorted({name for case in cases.values() for name in case.attributes} - {*ours, *quantities})
        text = io.StringIO(newline="")
        writer = csv.writer(text)  # lines end in CRLF (RFC 4180), so that a single CR or LF in a note is quoted
        writer.writerow([*ours, *map(guard, (*quantities, *attributes))])
        names = present_names(connection, get_project(connection, project.id))
        for label in list_project_labels(connection, project.id, history=history):
            case, label = cases[label.case_id], _as_today(label, names)
            said = (label.value or {}).get("values", {})
            numbers = [repr(said[name]) if name in said else "" for name in quantities]
            cells = [*_cells(case, label), *numbers, *(case.attributes.get(name, "") for name in attributes)]
            writer.writerow(map(guard, cells))
        return text.getvalue()


def _as_today(label: Label, names: Mapping[str, str]) -> Label:
    value, draft = label.value, label.draft
    if draft is not None and draft.get("value") is not None:
        draft = {**draft, "value": under_present_names(draft["value"], names)}
    return replace(label, value=None if value is None else under_present_names(value, names), draft=draft)


def _cells(case: Case, label: Label) -> list[str]:
    return [
        case.source,
        label_text(label.value),
        case.patient,
        case.given_split or "",
        label.reader,
        "1" if label.unsure else "",
        "1" if label.unusable else "",
        label.note,
        label.event,
        label.made_at,
        "" if label.confidence is None else str(label.confidence),
        label.unusable_reason,
        "" if label.active_seconds is None else repr(label.active_seconds),
        "" if label.draft is None else value_text(label.draft),
    ]


# ---- in


def import_labels(
    connection: sqlite3.Connection,
    project: Project,
    content: str | bytes,
    actor: Actor,
    *,
    columns: Mapping[str, str] | None = None,
) -> LabelImport:
    """Add the labels of a table to cases that are there. Importing the same table again changes nothing.

    A row that cannot be used (unknown path, unknown class, ...) is refused with a reason; the others come in. A note
    of somebody's own table stays out where the project de-identifies, unless `columns` names its column.
    An image is found by its path, by the end of its path, or by its file name where only one has it; in a column
    `case` also by its number.

    Args:
        columns: {"path": "filename", ...} as in `map_columns`; the usual names need not be told.

    Raises:
        InvalidInput: it is no label table at all.
    """
    demand_of(connection, actor, "import", project.id)
    text = decode_table(content)[0] if isinstance(content, bytes) else content
    raw = content if isinstance(content, bytes) else content.encode()
    quantities = quantity_names(project.schema)
    hides = project.deidentification.enabled
    is_own = _is_own(text) and not columns
    if is_own:
        deque(_own_rows(text), maxlen=0)  # to its end, so that of a broken table no row comes in
    rows = _own_rows(text) if is_own else _other_rows(raw, columns or {}, quantities, hides=hides)
    names = SourceNames(list_case_sources(connection, project.id), secret_of(connection))
    added = unchanged = without_note = 0
    refused: list[str] = []
    earlier: _Said = {}
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        with writing(connection):
            for row in batch:
                try:
                    case = _case_of(connection, project, row, names)
                    is_new = _put_answer(connection, project, case.id, row.answer, actor, earlier)[1]
                except CoreError as error:
                    refused.append(f"{row.path}: {error}")
                    continue
                added, unchanged = added + is_new, unchanged + (not is_new)
                without_note += row.had_note
    told = {"added": added, "unchanged": unchanged, "refused": len(refused)}
    add_audit(connection, actor, "import labels", f"project {project.id}", **told)
    return LabelImport(added, unchanged, tuple(refused), without_note)


def add_table_labels(
    connection: sqlite3.Connection, project: Project, case: Case, row: TableRow | None, actor: Actor
) -> list[Label]:
    """Add what a label table says of one case, in the caller's transaction (`on_case` of an image import).

    Raises:
        CoreError: an unknown class, or an event that is taken by another answer.
    """
    answers = row.answers if row else ()
    labels = [_put_answer(connection, project, case.id, answer, actor)[0] for answer in answers]
    return [label for label in labels if label is not None]


def list_unusable_answers(
    connection: sqlite3.Connection, project: Project, rows: Iterable[TableRow]
) -> dict[str, list[str]]:
    """What a label table gives as answer and is none in this project, each with the paths it is given for.

    An image import refuses these files (`add_table_labels`); said before, the table can be mended.
    """
    found: dict[str, list[str]] = {}
    known: dict[str, bool] = {}  # a table of 100,000 rows has a handful of different answers
    for row in rows:
        for text in dict.fromkeys(answer.labels for answer in row.answers):
            if text not in known:
                known[text] = _is_usable(connection, project, text)
            if not known[text]:
                found.setdefault(text, []).append(row.path)
    return found


def _is_usable(connection: sqlite3.Connection, project: Project, text: str) -> bool:
    try:
        _value_of(connection, project, text)
    except InvalidInput:
        return False
    return True


def answers_in_words(connection: sqlite3.Connection, cases: Sequence[Case]) -> dict[int, list[str]]:
    """The different answers that count on each of these cases, in words, by case id: `labels_of` of an image import."""
    said: dict[int, set[str]] = {case.id: set() for case in cases}
    for label in list_current_labels(connection, list(said)):
        said[label.case_id].add("unusable" if label.unusable else label_text(label.value))
    return {case_id: sorted(words) for case_id, words in said.items()}


def _put_answer(
    connection: sqlite3.Connection,
    project: Project,
    case_id: int,
    answer: Answer,
    actor: Actor,
    earlier: _Said | None = None,
) -> tuple[Label | None, bool]:
    """The label of a row, and whether it is new. A row without answer and event says nothing: no label.

    Args:
        earlier: what rows without an event said before this one in the same table; this one is added.
    """
    told = answer.further
    value = _value_of(connection, project, answer.labels)
    unsure, unusable = _flag(told.get("unsure", "")), _flag(told.get("unusable", ""))
    event, note = told.get("event"), told.get("note", "")
    if value is None and not unusable and not event:
        return None, False
    reader = ensure_user(connection, answer.reader or READER_OF_TABLES, kind="imported")
    if event:
        known = find_label(connection, project.id, event)
    else:
        said, made_at = (value, unsure, unusable, note), told.get("made_at", "")
        if earlier is not None and earlier.setdefault((case_id, reader.name, made_at), said) != said:
            raise InvalidInput(
                f"An earlier row gives another answer of this reader, and nothing tells which counts; keep one. "
                f"Received: {answer.labels[:120]!r} of {reader.name}"
            )
        known = _repeated(connection, case_id, reader.name, said, made_at)
    if known is not None and not event:
        return known, False
    new = NewLabel(
        event=event or new_event(),
        confidence=_whole_number(told.get("confidence", "")),
        unusable_reason=told.get("unusable_reason", ""),
        active_seconds=_seconds(told.get("active_seconds", "")),
        draft=_draft(told.get("draft", "")),
        case_id=case_id,
        reader=reader.name,
        value=value,
        unsure=unsure,
        unusable=unusable,
        note=note,
        schema_version=project.schema_version,
        made_in="import",
        made_at=told.get("made_at") or None,
    )
    return put_label(connection, project, new, entered_by=actor.name), known is None


def _value_of(connection: sqlite3.Connection, project: Project, text: str) -> dict[str, Any] | None:
    """The answer of a cell. A table written before classes were renamed or retired is as good as it was then."""
    if project.schema_version == 1:
        return parse_label_text(project.schema, text)
    names = {name.casefold(): today for name, today in present_names(connection, project).items()}
    parts = [names.get(part.strip().casefold(), part.strip()) for part in text.split(SEPARATOR)]
    return parse_label_text(project.schema, SEPARATOR.join(parts), retired=True)


def _whole_number(text: str) -> int | None:
    if not text.strip():
        return None
    if not (text.strip().isascii() and text.strip().isdigit() and len(text.strip()) < 9):
        raise InvalidInput(f"Confidence is a number from 1 to 5. Received: {text[:40]!r}")
    return int(text)


def _seconds(text: str) -> float | None:
    try:
        return float(text) if text.strip() else None
    except ValueError as error:
        raise InvalidInput(f"Active seconds are a number. Received: {text[:40]!r}") from error


def _draft(text: str) -> dict[str, Any] | None:
    """What a model had proposed, as the export wrote it."""
    if not text.strip():
        return None
    try:
        draft = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"A draft is a JSON object, as the export writes it. Received: {text[:80]!r}") from error
    if not isinstance(draft, dict):
        raise InvalidInput(f"A draft is a JSON object, as the export writes it. Received: {text[:80]!r}")
    return draft


def _repeated(
    connection: sqlite3.Connection, case_id: int, reader: str, said: tuple[object, ...], made_at: str
) -> Label | None:
    """The reader's answer that counts, or that of the moment that is named, if a row without an event id says just the
    same again."""
    counts = find_current_label(connection, case_id, reader)
    known = [counts] if counts else []
    if made_at:
        moment = to_utc(made_at)
        known += [one for one in list_labels(connection, case_id) if (one.reader, one.made_at) == (reader, moment)]
    return next((one for one in known if (one.value, one.unsure, one.unusable, one.note) == said), None)


def _flag(text: str) -> bool:
    if text.strip().lower() not in YES | NO:
        raise InvalidInput(f"A mark such as unsure is 1 or empty. Received: {text!r}")
    return text.strip().lower() in YES


def _case_of(connection: sqlite3.Connection, project: Project, row: _Row, names: SourceNames) -> Case:
    """The case of a row. A file that came twice with other pixels is told apart by a label stored before."""
    # A number in a column of paths is a file's name, never a case: 12 may be 12.png, which is not imported yet.
    numbered = find_numbered_case(connection, project.id, row.path) if row.may_be_number else None
    if numbered is not None:
        return numbered
    found = find_same_source(connection, project.id, row.path)
    if not found:
        sources = names.find(row.path)
        if len(sources) > 1:
            raise InvalidInput(
                f"Several images go by this name; write whole paths. Received: {some_of(sources, NAMED_AT_MOST)}"
            )
        found = find_same_source(connection, project.id, sources[0]) if sources else []
    if len(found) > 1 and (event := row.answer.further.get("event")):
        known = find_label(connection, project.id, event)
        found = [case for case in found if known is not None and case.id == known.case_id] or found
    if not found:
        raise InvalidInput("No image of this path is in the project; import it first.")
    if len(found) > 1:
        ids = some_of([str(case.id) for case in found], NAMED_AT_MOST)
        raise InvalidInput(f"Several images have this path, with different pixels. Received: cases {ids}")
    return found[0]


def _is_own(text: str) -> bool:
    return text.startswith(",".join(COLUMNS))


def _own_rows(text: str) -> Iterator[_Row]:
    """Rows of our own export, every blank and line break as it stands."""
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        head = next(lines)
        # An attribute of a case may be called like a later column in a table of before.
        is_later = tuple(head[len(COLUMNS) : len(COLUMNS) + len(LATER_COLUMNS)]) == LATER_COLUMNS
        columns = (*COLUMNS, *LATER_COLUMNS) if is_later else COLUMNS
        for cells in lines:
            if not cells:  # a blank line, as editors leave one at the end
                continue
            if len(cells) < len(columns):
                raise InvalidInput(f"Line {lines.line_num} of the labels is cut off. Received: {cells}")
            said = dict(zip(columns, map(unguard, cells), strict=False))
            yield _Row(said["path"], _answer(said))
    except csv.Error as error:
        raise InvalidInput(f"The labels are not a CSV; export them again. Received: {error}") from error


def _answer(said: dict[str, str]) -> Answer:
    further = {key: said[key] for key in TOLD_BESIDE if said.get(key)}
    return Answer(said["label"], said["reader"] or None, further)


def _other_rows(
    content: bytes, columns: Mapping[str, str], quantities: Sequence[str], *, hides: bool
) -> Iterator[_Row]:
    """Rows of anybody's table: other encodings, separators and column names that explain themselves."""
    table = read_label_table(content)
    wanted = {**guess_columns(table), **columns}
    rows: Sequence[TableRow] = list(map_columns(table, wanted, quantities=quantities).values())
    for row in rows:
        for answer in row.answers:
            kept = without_stray_note(answer, row) if hides else answer
            yield _Row(row.path, kept, row.from_case_column, had_note=kept is not answer)
