"""Label tables as people keep them: CSV of any encoding and separator, columns of any name."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from core.cells import unguard
from core.errors import InvalidInput
from core.images.archives import read_member, zip_around

# What a table may say of a case, and of one reader's answer on it. Every other column is an attribute of the case.
CASE_COLUMNS = ("path", "case", "patient", "split")
ANSWER_COLUMNS = ("label", "reader", "unsure", "unusable", "note", "event", "made_at")
# Of our own exports, and only together: alone, a column may well be called "confidence" and mean something else.
LATER_COLUMNS = ("confidence", "unusable_reason", "active_seconds", "draft")
RENAMED_ATTRIBUTES = ("sex", "age", "site", "scanner", "view")
KEEP = "keep"  # in a mapping: columns that a person wants kept as they are, whatever stands in them, between `|`
NOTE = "note"
SEPARATOR = "|"  # between classes, and between numbers; no name of either holds it
MOST_BYTES = 64 << 20  # of a table in a zip, before it is unpacked
EQUALS = "="  # nor this the name of a quantity that stands beside others
TARGETS = CASE_COLUMNS + ANSWER_COLUMNS + RENAMED_ATTRIBUTES

SPLITS = {
    "train": "train", "training": "train",
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test",
}  # fmt: skip
USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "path": ("path", "filename", "file", "file_name", "filepath", "file_path", "image", "image_path", "image_name",
             "image_id", "image_index", "img"),
    "case": ("case",),
    "label": ("label", "labels", "class", "class_name", "diagnosis", "finding", "finding_labels", "target", "category"),
    "patient": ("patient", "patient_id", "patientid", "patient_key", "subject", "subject_id", "person"),
    "split": ("split", "source_split", "subset", "partition", "set"),
    "reader": ("reader", "rater", "annotator", "labeller", "labeler", "radiologist"),
    "sex": ("sex", "gender", "patient_sex", "patient_gender"),
    "age": ("age", "patient_age", "age_years"),
}  # fmt: skip


@dataclass(frozen=True)
class LabelTable:
    """A table as it stands in the file: every cell is text without outer blanks.

    `lines` says in which line of the file each row begins: blank lines and cells of several lines are counted.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]
    encoding: str
    separator: str


@dataclass(frozen=True)
class Answer:
    """One reader's answer in a table; `further` has what was said beside the label, where given."""

    labels: str
    reader: str | None = None
    further: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TableRow:
    """What a table says of one file, drawn together from all its rows.

    `from_case_column` tells that `path` comes from the column `case`: a number in it is a case's own number. `lines`
    are those of the table in which the rows begin. `chosen` are the columns that a person asked for by name, an
    attribute by what it is called here.
    """

    path: str
    from_case_column: bool = False
    patient: str | None = None
    split: Literal["train", "validation", "test"] | None = None
    attributes: dict[str, str] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    lines: tuple[int, ...] = field(default=(), compare=False)
    chosen: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def labels(self) -> str | None:
        """The first answer's class, or classes separated by `|`."""
        return self.answers[0].labels if self.answers else None

    @property
    def reader(self) -> str | None:
        return self.answers[0].reader if self.answers else None


def read_label_table(source: Path | bytes) -> LabelTable:
    """A CSV in UTF-8 or UTF-16 (with or without BOM) or Windows-1252, separated by comma, semicolon or tab.

    It may lie in a zip: `scans.zip/labels.csv`.

    Raises:
        InvalidInput: it is no such table, has no header or no rows, or a row has too many cells.
    """
    content = source if isinstance(source, bytes) else _content(source)
    text, encoding = decode_table(content)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    first, _, rest = text.partition("\n")
    separator = ""
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:  # a hint that Excel writes
        separator, text = first.strip()[4], rest
    before = 1 if separator else 0
    separator = separator or _separator(text)
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    lines: list[tuple[int, list[str]]] = []
    ended = 0
    try:
        for cells in reader:
            lines.append((before + ended + 1, cells))
            ended = reader.line_num
    except csv.Error as error:
        raise InvalidInput(
            f"The label table is not a CSV; save it as one. Received: {error}, in line {before + ended + 1}"
        ) from error
    return _table(lines, encoding, separator)


def decode_table(content: bytes) -> tuple[str, str]:
    """The text of a table, every line break as it stands, and its encoding. No byte is guessed away.

    Raises:
        InvalidInput: it is a spreadsheet, or no text.
    """
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidInput("Save the label table as CSV first. Received: a spreadsheet")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif b"\x00" in content[:200]:
        encodings = ["utf-16-le" if content[1:2] == b"\x00" else "utf-16-be"]
    else:
        # Windows-1252 leaves five bytes undefined; Latin-1 defines all, so that no table stays unread.
        encodings = ["utf-8-sig", "cp1252", "latin-1"]
    for encoding in encodings:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise InvalidInput("The label table is not text; save it as CSV in UTF-8. Received: bytes of no known encoding")


def guess_columns(table: LabelTable) -> dict[str, str]:
    """Which column probably says what, such as {"path": "filename"}; a person confirms it in the preview."""
    by_name = {column.lower().replace(" ", "_").replace("-", "_"): column for column in reversed(table.columns)}
    guessed = {
        target: next((by_name[name] for name in names if name in by_name), None)
        for target, names in USUAL_NAMES.items()
    }
    return {target: column for target, column in guessed.items() if column is not None}


def map_columns(
    table: LabelTable, columns: Mapping[str, str] | None = None, *, quantities: Sequence[str] = ()
) -> dict[str, TableRow]:
    """One `TableRow` for each path, in the order of the table.

    Args:
        quantities: the names of several numbers that a project asks for, each in a column of its own; together they
            are the answer `age=62|weight=70.5`. A column `label` that says as much goes before.
        columns: {"path": "filename", ...}; what is not named here is looked for under its own name, and
            {"reader": ""} says that no column tells the reader, whatever the columns are called. {"keep": "a|b"}
            chooses columns to be kept as they are, where a project would otherwise leave them out.

    Raises:
        InvalidInput: no path column, an unknown column, an unknown split, or rows that contradict each other.
    """
    wanted = dict(columns or {})
    kept = _checked_kept(table, wanted.pop(KEEP, ""))
    mapping = _checked_mapping(table, wanted, quantities)
    chosen = kept.union(target for target in (*RENAMED_ATTRIBUTES, NOTE) if wanted.get(target))
    at = {column: index for index, column in enumerate(table.columns)}
    taken = set(mapping.values())
    rows: dict[str, TableRow] = {}
    conflicts: list[str] = []
    for number, cells in zip(table.lines, table.rows, strict=True):
        said = {target: cells[at[column]] for target, column in mapping.items()}
        attributes = {column: cells[at[column]] for column in table.columns if column not in taken}
        row = replace(_row(said, attributes, number, quantities), chosen=chosen)
        before = rows.get(row.path)
        rows[row.path] = row if before is None else _joined(before, row, number, conflicts)
    if conflicts:
        more = f"; and {len(conflicts) - 5} more" if len(conflicts) > 5 else ""
        raise InvalidInput(
            f"Rows of the label table contradict each other; keep one of each. "
            f"Received: {'; '.join(conflicts[:5])}{more}"
        )
    return rows


# ---- from bytes to cells


def _content(path: Path) -> bytes:
    if inside := zip_around(path):
        return read_member(*inside, MOST_BYTES)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"The label table cannot be read; check its path. Received: {path}") from error


def _separator(text: str) -> str:
    """The separator that the header has most of, outside quotes."""
    header = next((line for line in text.split("\n") if line.strip()), "")
    bare = "".join(header.split('"')[::2])
    return max((",", ";", "\t"), key=bare.count)


def _table(lines: Sequence[tuple[int, Sequence[str]]], encoding: str, separator: str) -> LabelTable:
    stripped = [(number, tuple(unguard(cell.strip()).strip() for cell in line)) for number, line in lines]
    filled = [(number, cells) for number, cells in stripped if any(cells)]
    if len(filled) < 2:
        raise InvalidInput(f"The label table needs a header and a row. Received: {len(filled)} lines with text")
    columns = filled[0][1]
    while columns and not columns[-1]:
        columns = columns[:-1]
    if not all(columns) or len(set(columns)) != len(columns):
        raise InvalidInput(f"Each column of the label table needs a name of its own. Received: {', '.join(columns)}")
    rows = []
    for number, cells in filled[1:]:
        if any(cells[len(columns) :]):
            raise InvalidInput(
                f"Line {number} of the label table has more cells than the header; quote cells that contain "
                f"{separator!r}. Received: {len(cells)} cells for {len(columns)} columns"
            )
        rows.append(cells[: len(columns)] + ("",) * (len(columns) - len(cells)))
    numbers = tuple(number for number, _ in filled[1:])
    return LabelTable(columns, tuple(rows), numbers, encoding, separator)


# ---- from cells to cases


def _checked_kept(table: LabelTable, kept: str) -> frozenset[str]:
    names = frozenset(name.strip() for name in kept.split(SEPARATOR) if name.strip())
    for name in sorted(names.difference(table.columns)):
        raise InvalidInput(f"The label table has the columns {', '.join(table.columns)}. Received: {KEEP}={name}")
    return names


def _checked_mapping(table: LabelTable, columns: Mapping[str, str], quantities: Sequence[str] = ()) -> dict[str, str]:
    targets = dict.fromkeys((*TARGETS, *quantities))
    for target, column in columns.items():
        if target not in targets:
            raise InvalidInput(
                f"A column can be {', '.join(targets)}; others are kept under their own names. "
                f"Received: {target}={column}"
            )
        if column and column not in table.columns:
            raise InvalidInput(
                f"The label table has the columns {', '.join(table.columns)}. Received: {target}={column}"
            )
    mapping = {name: name for name in CASE_COLUMNS + ANSWER_COLUMNS if name in table.columns and name not in columns}
    if set(LATER_COLUMNS) <= set(table.columns):
        mapping |= {name: name for name in LATER_COLUMNS}
    by_name = {column.casefold(): column for column in reversed(table.columns)}
    mapping |= {
        name: by_name[name.casefold()] for name in quantities if name not in columns and name.casefold() in by_name
    }
    mapping |= {target: column for target, column in columns.items() if column}
    if "path" not in mapping and "case" not in mapping:
        raise InvalidInput(
            f"Say which column names the file, such as --columns path={table.columns[0]}. "
            f"Received: the columns {', '.join(table.columns)}"
        )
    return mapping


def _row(
    said: Mapping[str, str], attributes: Mapping[str, str], number: int, quantities: Sequence[str] = ()
) -> TableRow:
    path = clean_path(said.get("path") or said.get("case") or "")
    if not path:
        raise InvalidInput(f"Line {number} of the label table names no file. Received: an empty cell")
    split = said.get("split", "")
    if split and split.lower() not in SPLITS:
        raise InvalidInput(f"A split is train, validation or test. Received: {split} in line {number}")
    kept = {**attributes, **{key: said[key] for key in RENAMED_ATTRIBUTES if key in said and key not in quantities}}
    further = {key: said[key] for key in (*ANSWER_COLUMNS[2:], *LATER_COLUMNS) if said.get(key)}
    numbers = {name: said.get(name, "") for name in quantities}
    label = said.get("label", "") or (numbers_text(numbers) if numbers else "")
    answers = (Answer(label, said.get("reader") or None, further),) if label or further else ()
    return TableRow(
        path=path,
        from_case_column=not said.get("path"),
        patient=said.get("patient") or None,
        split=SPLITS[split.lower()] if split else None,  # type: ignore[arg-type]
        attributes={key: value for key, value in kept.items() if value},
        answers=answers,
        lines=(number,),
    )


def numbers_text(said: Mapping[str, str]) -> str:
    """What columns say of several quantities as one text, `age=62|weight=70.5`; "" where they say nothing at all."""
    return SEPARATOR.join(f"{name}{EQUALS}{text}" for name, text in said.items()) if any(said.values()) else ""


def clean_path(text: str) -> str:
    """A path with forward slashes and without a leading `./`, as sources are written."""
    path = text.strip().replace("\\", "/")
    while path.startswith("./"):
        path = path[2:]
    return path


def _joined(before: TableRow, row: TableRow, number: int, conflicts: list[str]) -> TableRow:
    """Two rows of one file as one; what they contradict each other in is added to `conflicts`."""

    def both(what: str, old: str | None, new: str | None) -> str | None:
        if old and new and old != new:
            conflicts.append(f"{row.path} has {what} {old} and, in line {number}, {new}")
        return old or new

    attributes = dict(before.attributes)
    for key, value in row.attributes.items():
        attributes[key] = both(key, before.attributes.get(key), value) or value
    answers = before.answers
    for answer in row.answers:
        # Two events of one reader are a history, not a contradiction.
        same_reader = [
            old
            for old in answers
            if old.reader == answer.reader and old.further.get("event") == answer.further.get("event")
        ]
        for old in same_reader:
            both("label", old.labels, answer.labels)
        if not same_reader:
            answers = (*answers, answer)
    return TableRow(
        path=row.path,
        from_case_column=before.from_case_column and row.from_case_column,
        patient=both("patient", before.patient, row.patient),
        split=both("split", before.split, row.split),  # type: ignore[arg-type]
        attributes=attributes,
        answers=answers,
        lines=(*before.lines, *row.lines),
        chosen=row.chosen,
    )
