"""The form of an import: where the images are, the label table and what its columns mean."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from pathlib import Path
from typing import Any

import streamlit as st

from core.errors import CoreError, InvalidInput, some_of
from core.images.archives import list_tables
from core.images.column_names import About, about, left_out_columns
from core.images.label_table import (
    KEEP,
    SEPARATOR,
    LabelTable,
    guess_columns,
    map_columns,
    read_label_table,
)
from core.jobs.undecided import TABLE, uploads_folder
from core.labels.exchange import READER_OF_TABLES, list_unusable_answers
from core.labels.records import new_event
from core.projects.records import Project
from core.projects.schema import Classification, Segmentation, quantity_names
from core.store.files import write_whole
from dashboard import session, wording
from dashboard.uploader import Upload, draw_uploader

UPLOADER = "import_uploader"
PREVIEW_ROWS = 3
ATTRIBUTE, LEFT_OUT = "attribute", "left out"
BECOMES: dict[About | None, str] = {  # what a project that de-identifies makes of a further column
    None: ATTRIBUTE, "removed": LEFT_OUT, "patient": "pseudonym", "other": "pseudonym", "path": "token",
    "date": "moved date",
}  # fmt: skip
NAMED_AT_MOST = 5
TABLE_BYTES = 64 << 20
TABLES_TRIED = 5
TABLES_OFFERED = 20
TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
# What a column may mean, in the words of the screen.
MEANINGS = {
    "path": ("File", "Which image a row is about: a path within the folder, or a file name."),
    "label": ("Answer", "The class; several are separated by |."),
    "patient": ("Patient", "All images of one patient stay in one split."),
    "reader": (
        "Reader",
        f"Who gave the answer. Without it the answers belong to a reader called “{READER_OF_TABLES}”.",
    ),
    "split": ("Split", "train, validation or test, where the data set came with a split."),
    "sex": ("Sex", "Kept as the attribute sex, whatever the column is called, so that cases are filtered by it."),
    "age": ("Age", "Kept as the attribute age, whatever the column is called."),
}


@dataclass(frozen=True)
class Source:
    """What is to be imported."""

    paths: list[str]
    remove_after: str | None
    tables: tuple[Path, ...]


def draw_source() -> Source | None:
    """Files from this computer, or, for an administrator, a path on the server; None until something was chosen."""
    if not session.may("administer"):  # a path reads the server's disk
        upload = draw_uploader(UPLOADER)
        return _uploaded(upload) if upload else None
    where = st.segmented_control(
        "Where are the images?",
        ("computer", "server"),
        default="computer",
        required=True,
        key="import_where",
        format_func={"computer": "On this computer", "server": "On the server"}.__getitem__,
    )
    if where == "computer":
        upload = draw_uploader(UPLOADER)
        if upload is None:
            return None
        return _uploaded(upload)
    text = st.text_input(
        "Path on the server",
        key="import_path",
        placeholder="/data/chest/images",
        help="A folder, a zip, one image or one volume (.nii, .nii.gz).",
    ).strip()
    if not text:
        return None
    path = Path(text)
    try:
        path = path.expanduser()
        is_there = path.is_absolute() and path.exists()
    except (OSError, RuntimeError):  # a folder not to be entered, a name that is too long, ~ of nobody
        is_there = False
    if not is_there:
        st.error(f"Give a path that begins with / and exists on the server. Received: {text}", icon=":material/error:")
        return None
    return Source([str(path)], None, _tables_near(path))


def _uploaded(upload: Upload) -> Source:
    lone = [upload.folder / name for name in upload.tables]
    packed = [table for path in sorted(upload.folder.glob("*.[zZ][iI][pP]")) for table in _tables_in(path)]
    tables = (*lone, *packed)[:TABLES_OFFERED]
    return Source(upload.paths, str(upload.folder.parent), tables)


def _tables_near(path: Path) -> tuple[Path, ...]:
    """Tables in the folder or zip itself and beside it: where data sets keep them."""
    folders = (path, path.parent) if path.is_dir() else (path.parent,)
    readable = [folder for folder in folders if os.access(folder, os.R_OK | os.X_OK)]
    near = sorted(
        table for folder in readable for table in folder.iterdir() if table.suffix.lower() in TABLE_SUFFIXES[:2]
    )
    return (*(_tables_in(path) if path.is_file() and path.suffix.lower() == ".zip" else ()), *near)[:TABLES_OFFERED]


def _tables_in(path: Path) -> list[Path]:
    """Those in a zip, by paths that lead into it."""
    there = path.stat()
    return [path / name for name in _packed_tables(path, there.st_size, there.st_mtime_ns)]


@lru_cache(maxsize=16)  # a page is drawn at each click, and a zip may list a hundred thousand files
def _packed_tables(path: Path, size: int, mtime_ns: int) -> list[str]:
    return list_tables(path, session.settings())[:TABLES_OFFERED]


def draw_label_table(source: Source, project: Project) -> dict[str, Any]:
    """Choice of the table, its preview, and the meaning of its columns; the arguments of the job."""
    choices: list[Path | str] = ["none", *source.tables, "other"]
    likely = [at for at, one in enumerate(source.tables[:TABLES_TRIED], 1) if _names_files(one)]
    chosen = st.selectbox(
        "Label table",
        choices,
        index=likely[0] if likely else int(bool(source.remove_after) and len(source.tables) == 1),
        key="import_table",
        format_func=lambda choice: (
            {"none": "No table", "other": "Choose a file …"}.get(str(choice)) or Path(choice).name
        ),
        help="A CSV with one row for each image. Further columns are kept as attributes of the image, those that "
        "name somebody by pseudonyms.",
    )
    path = _stored_table() if chosen == "other" else chosen if isinstance(chosen, Path) else None
    if path is None:
        return {"labels": None, "columns": {}}
    table = read_label_table(path)
    guessed = guess_columns(table)
    columns, quantities = {}, quantity_names(project.schema)
    asked = {meaning: told for meaning, told in MEANINGS.items() if not _is_of(meaning, quantities)}
    for column, (meaning, (title, sentence)) in zip(st.columns(len(asked)), asked.items(), strict=True):
        options = [None, *table.columns]
        named = column.selectbox(
            title,
            options,
            index=options.index(guessed.get(meaning)),
            key=f"import_column_{meaning}_{path.name}",
            format_func=lambda name: name or "(none)",
            help=sentence,
        )
        if named:
            columns[meaning] = named
        elif meaning in table.columns:
            columns[meaning] = ""  # else a column of this name would be taken all the same
    if quantities:
        columns |= _draw_quantity_columns(table, quantities, path.name)
    left_out = _draw_preview(table, columns, project)
    if kept := _draw_left_out(left_out, path.name):
        columns[KEEP] = SEPARATOR.join(kept)
    return {"labels": str(path), "columns": columns}


def _is_of(meaning: str, quantities: Sequence[str]) -> bool:
    """Whether a column of this meaning is asked for among those of several numbers."""
    return bool(quantities) and (meaning == "label" or meaning in [name.casefold() for name in quantities])


def _draw_quantity_columns(table: LabelTable, wanted: Sequence[str], name: str) -> dict[str, str]:
    """Which column has which of several numbers; a row that lacks one of them is refused."""
    by_name = {column.casefold(): column for column in reversed(table.columns)}
    chosen = {}
    for place, quantity in zip(st.columns(len(wanted)), wanted, strict=True):
        options = [None, *table.columns]
        column = place.selectbox(
            quantity.capitalize(),
            options,
            index=options.index(by_name.get(quantity.casefold())),
            key=f"import_quantity_{quantity}_{name}",
            format_func=lambda found: found or "(none)",
            help="The column with this number.",
        )
        chosen[quantity] = column or ""
    return chosen


def _names_files(path: Path) -> bool:
    """Whether a table is likely to be about files: a text beside images is as often a note, and a CSV an index."""
    if path.suffix.lower() not in TABLE_SUFFIXES[:2] or (path.is_file() and path.stat().st_size > TABLE_BYTES):
        return False
    try:
        table = read_label_table(path)
    except CoreError:
        return False
    return bool({"path", "case"} & {*guess_columns(table), *table.columns})


def _draw_left_out(columns: Sequence[str], name: str) -> list[str]:
    """Columns in which a name may stand whatever they are called; those that the person vouches for."""
    left_out = [column for column in columns if SEPARATOR not in column]
    if not left_out:
        return []
    named = some_of([_quoted(column) for column in left_out], NAMED_AT_MOST)
    st.info(
        f"Left out: {named}. Words of their own for each patient or image, among which a name may stand. "
        f"Choose below what names nobody and is to be kept.",
        icon=":material/visibility_off:",
    )
    return st.multiselect("Keep all the same", left_out, key=f"import_keep_{name}", placeholder="Nothing of these")


def _draw_preview(table: LabelTable, columns: dict[str, str], project: Project) -> tuple[str, ...]:
    """The first rows with what each column will be, and which answers are none in this project; the columns that are
    left out unless somebody chooses them.

    Raises:
        CoreError: the mapping cannot work; an import would fail with the same sentence.
    """
    means = {column: BECOMES[about(column)] for column in table.columns if project.deidentification.enabled}
    means |= {column: MEANINGS.get(meaning, (meaning.capitalize(),))[0] for meaning, column in columns.items()}
    place = st.empty()
    place.html(_preview_of(table, means))
    if not {"path", "case"} & {*(meaning for meaning, column in columns.items() if column), *table.columns}:
        raise InvalidInput(
            f"Choose under File which column names the image, or “No table” above. "
            f"Received: the columns {some_of(table.columns, NAMED_AT_MOST)}"
        )
    mapped = map_columns(table, columns, quantities=quantity_names(project.schema))
    left_out = left_out_columns(mapped.values()) if project.deidentification.enabled else ()
    if left_out:
        place.html(_preview_of(table, {**means, **dict.fromkeys(left_out, LEFT_OUT)}))
    answered = sum(1 for row in mapped.values() if row.answers)
    st.caption(
        f"{wording.count(len(table.rows), 'row')} about {wording.count(len(mapped), 'file')}, "
        f"{answered:,} with an answer."
    )
    unusable = list_unusable_answers(session.db(), project, mapped.values())
    if unusable:
        st.warning(_say_unusable(unusable, columns.get("label", "label"), project), icon=":material/warning:")
    return left_out


def _preview_of(table: LabelTable, means: Mapping[str, str]) -> str:
    head = "".join(
        f"<th>{escape(column)}<br><small>{escape(means.get(column, ATTRIBUTE))}</small></th>"
        for column in table.columns
    )
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell[:60])}</td>" for cell in row) + "</tr>" for row in table.rows[:PREVIEW_ROWS]
    )
    return f'<div class="rr-scroll"><table class="rr-numbers rr-preview"><tr>{head}</tr>{rows}</table></div>'


def _say_unusable(unusable: dict[str, list[str]], column: str, project: Project) -> str:
    """Which answers are none in this project, and what the import will do with their files."""
    most = sorted(unusable, key=lambda text: (-len(unusable[text]), text))
    named = ", ".join(
        f"{_quoted(text)} ({wording.count(len(unusable[text]), 'file')})" for text in most[:NAMED_AT_MOST]
    )
    more = f" and {wording.count(len(most) - NAMED_AT_MOST, 'further value')}" if len(most) > NAMED_AT_MOST else ""
    refused = len({path for paths in unusable.values() for path in paths})
    schema, classes = project.schema, ""
    kind = "a class" if isinstance(schema, Classification) else "an answer"
    if isinstance(schema, (Classification, Segmentation)):
        word = "classes" if isinstance(schema, Classification) else "structures"
        classes = f" The {word} are {', '.join(one.name for one in schema.offered)}."
    several = quantity_names(schema)
    place = "these columns" if several else f"the column {_quoted(column)}"
    without = f"for {', '.join(several)}" if several else "as Answer"
    return (
        f"Not {kind} of this project, in {place}: {named}{more}.{classes} The import will refuse "
        f"{wording.count(refused, 'file')} for this; the others come in. Mend the table, or choose (none) {without} "
        f"to import the images without answers."
    )


def _quoted(text: str) -> str:
    """A cell as Markdown code, so that nothing in it is taken for markup."""
    return "`" + " ".join(text.split()).replace("`", "'")[:60] + "`"


def draw_pattern() -> str | None:
    """The pattern that finds a patient in a path.

    Raises:
        InvalidInput: it is no regular expression.
    """
    with st.expander("Patients from file names"):
        pattern = st.text_input(
            "Pattern",
            key="import_pattern",
            placeholder=r"person(\d+)_",
            help="A regular expression; its first group in the path is the patient. Used where no table names one.",
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise InvalidInput(f"This pattern cannot be read: {error}. Received: {pattern}") from error
    return pattern or None


def draw_time_point() -> int | None:
    """Which volume of files of several is meant; None for each of them."""
    with st.expander("Volumes of several time points"):
        number = st.number_input(
            "Time point", min_value=1, value=None, step=1, key="import_time_point", placeholder="each",
            help="Of volumes of four dimensions (NIfTI) only this one, counted from 1. Empty: each becomes a case.",
        )  # fmt: skip
    return None if number is None else int(number)


def _stored_table() -> Path | None:
    """An uploaded table as a file that the job can read."""
    upload = st.file_uploader("Label table (CSV)", type=["csv", "tsv", "txt"], key="import_table_file")
    if upload is None:
        return None
    if upload.size > TABLE_BYTES:
        raise InvalidInput(
            f"A label table has at most {wording.size(TABLE_BYTES)}. Received: {wording.size(upload.size)}"
        )
    held = st.session_state.get("import:table")
    if held is None or held[0] != upload.file_id or not held[1].exists():
        target = uploads_folder(session.settings()) / f"{TABLE}{new_event()}" / Path(upload.name).name
        write_whole(target, upload.getvalue())
        held = st.session_state["import:table"] = (upload.file_id, target)
    return Path(held[1])
