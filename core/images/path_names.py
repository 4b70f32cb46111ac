"""What the database calls files and folders: each part of a path by a token of its own, the ending left readable.

So everything that works with paths works with tokens: two files of one folder still share it, a path still ends in
another, and what a person writes is found once it is turned into tokens in the same way.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from core.images.column_names import about, is_age, left_out_columns, say_left_out, without_stray_note
from core.images.label_table import TableRow
from core.images.matching import match_rows
from core.images.names import name_parts
from core.images.pseudonyms import PSEUDONYM, TOKEN_PATH, days_of, named, path_token, patient_name
from core.images.sources import SourceFile
from core.images.table_dates import Order, moved, order_of
from core.projects.deidentification import Deidentification

RASTER = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
SHORTEST = 4  # letters of a name that is looked for in a sentence; shorter ones are in every word
OLDEST_AGE = 90


@dataclass
class PathNames:
    """The names of one import. A project without de-identification keeps all of them.

    A PNG, JPEG or TIFF that the label table names keeps the name it has there: it is the key by which labels come and
    go, chosen by whoever made the table.
    """

    secret: bytes
    options: Deidentification
    paths: dict[str, str] = field(default_factory=dict)  # what was hidden, by its token
    patients: dict[str, str] = field(default_factory=dict)  # what the table calls them, by pseudonym
    orders: dict[str, Order | None] = field(default_factory=dict)  # how its columns of dates are to be read
    left_out: tuple[str, ...] = ()  # its columns of which nothing is kept as nobody can tell what stands in them

    def token(self, path: str) -> str:
        """What a path would be called; nobody remembers that it was asked."""
        return path_token(self.secret, path) if self.options.enabled else path

    def of(self, path: str) -> str:
        """What a path is called."""
        token = self.token(path)
        if token != path:  # a token of the database stays what it is, and what it stands for stays known
            self.paths[token] = path
        return token

    def real(self, token: str) -> str:
        """The path that was hidden behind a token."""
        return self.paths.get(token, token)

    def real_in(self, text: str) -> str:
        """A sentence with the paths that were hidden in it."""
        return named(text, self.paths)

    def same(self, stored: str, source: str) -> bool:
        """Whether a case that is there came from this source: by its token, or by the name that a table gave it."""
        token = self.of(stored)
        return source in (stored, token) or source.endswith(f"/{token}")

    def patient(self, said: str) -> str:
        """What a patient is called of whom a label table or a file's name tells."""
        if not self.options.enabled:
            return said
        name = patient_name(self.secret, said)
        if name != said:
            self.patients[name] = said
        return name

    def of_maps(self, label_maps: Mapping[str, str]) -> dict[str, str]:
        """Masks and their images, both by what they are called."""
        return {self.of(mask): self.of(image) for mask, image in label_maps.items()}

    def hide(
        self, sources: Sequence[SourceFile], table: Mapping[str, TableRow] | None, skipped: Iterable[str]
    ) -> tuple[list[SourceFile], dict[str, TableRow] | None]:
        """The files and the rows of the table by what they are called from here on.

        Args:
            skipped: sources that no row is about, such as masks.
        """
        if not self.options.enabled:
            return list(sources), dict(table) if table is not None else None
        left_out = set(skipped)
        found = match_rows(table, [file.source for file in sources if file.source not in left_out]).rows
        shown = {source: row.path for source, row in found.items() if _is_key(source, row)}
        hidden = [self._hidden(file, shown.get(file.source)) for file in sources]
        keys = set(shown.values())
        self.orders = _orders((table or {}).values())
        self.left_out = left_out_columns((table or {}).values())
        rows = {
            path if path in keys else self.of(path): self._row(row, path if path in keys else self.of(path))
            for path, row in (table or {}).items()
        }
        return hidden, rows if table is not None else None

    def warnings(self) -> list[str]:
        """What of the table was left out that somebody may want kept."""
        return [say_left_out(self.left_out)] if self.left_out else []

    def _hidden(self, file: SourceFile, shown: str | None) -> SourceFile:
        """A file as the database names it.

        Args:
            shown: what the label table calls it, which stays.
        """
        path = file.path if shown == file.path else self.of(file.path)
        source = shown or (path if file.source == file.path else self.of(file.source))
        refusal = self.without_names(file.refusal, file) if file.refusal else None
        return replace(file, path=path, source=source, refusal=refusal)

    def without_names(self, text: str, file: SourceFile) -> str:
        """A sentence about a file without any of its names."""
        if not self.options.enabled:
            return text
        for path in (file.path, file.source, file.member or "", str(file.location)):
            for part in (path, PurePosixPath(path).name, name_parts(path)[0], *PurePosixPath(path).parts):
                if len(part) >= SHORTEST and part in text and not TOKEN_PATH.fullmatch(part):
                    text = text.replace(part, self.of(part))
        return text

    def _row(self, row: TableRow, path: str) -> TableRow:
        attributes = ((name, self._attribute(name, value, row)) for name, value in row.attributes.items())
        return replace(
            row,
            path=path,
            patient=self.patient(row.patient) if row.patient else None,
            attributes={name: value for name, value in attributes if value is not None},
            answers=tuple(without_stray_note(answer, row) for answer in row.answers),
        )

    def _attribute(self, name: str, value: str, row: TableRow) -> str | None:
        """What may be kept of a further column; None where nothing may."""
        what = about(name)
        if what == "removed" or name in self.left_out:
            return None
        if not value.strip():
            return value
        if what == "patient":
            return self.patient(value)
        if what == "other":
            return patient_name(self.secret, value)  # nobody's patient, so that no crosswalk tells it
        if what == "path":
            return path_token(self.secret, value)
        if what == "date":
            return self._date(name, value, row)
        if is_age(name) and (years := re.fullmatch(r"(\d+(\.\d+)?)Y?", value.strip())):
            return value if float(years[1]) < OLDEST_AGE else str(OLDEST_AGE)
        return value

    def _date(self, name: str, value: str, row: TableRow) -> str | None:
        """Moved by the days of the row's patient, as the dates of his headers are; else, as there, it goes."""
        patient = (row.patient or "").strip()
        if PSEUDONYM.fullmatch(patient):  # a table that was exported here: its dates were moved before
            return value
        if not patient or not self.options.shift_dates:
            return None
        return moved(value, days_of(self.secret, f"patient /{patient}"), self.orders.get(name))


def _orders(rows: Iterable[TableRow]) -> dict[str, Order | None]:
    said: dict[str, list[str]] = {}
    for row in rows:
        for name, value in row.attributes.items():
            if about(name) == "date":
                said.setdefault(name, []).append(value)
    return {name: order_of(values) for name, values in said.items()}


def _is_key(source: str, row: TableRow) -> bool:
    return name_parts(source)[1].lower() in RASTER and not row.from_case_column
