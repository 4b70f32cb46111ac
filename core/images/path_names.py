"""What the database calls files and folders: each part of a path by a token of its own, the ending left readable.

So everything that works with paths works with tokens: two files of one folder still share it, a path still ends in
another, and what a person writes is found once it is turned into tokens in the same way.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import PurePosixPath

from core.images.label_table import TableRow
from core.images.matching import match_rows
from core.images.names import name_parts
from core.images.pseudonyms import PSEUDONYM, TOKEN_PATH, days_of, named, path_token, patient_name
from core.images.sources import SourceFile
from core.images.table_dates import DATED, Order, moved, order_of
from core.projects.deidentification import Deidentification

RASTER = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
SHORTEST = 4  # letters of a name that is looked for in a sentence; shorter ones are in every word
OLDEST_AGE = 90
# Columns of a label table that say who somebody is, in whatever spelling.
IDENTIFYING = re.compile(
    r"(patient_?|subject_?|first_?|last_?|given_?|middle_?|maiden_?|sur|family_?|full_?)?names?|initials|mrn|ssn|"
    r"(patient_?)?(street_?)?address|(patient_?)?(zip|post(al)?)_?(code)?|e?_?mail|"
    r"(tele|mobile_?|cell_?)?phone(_?number)?|(tele)?fax(_?number)?|"
    r"accession(_?(number|no|id))?|(medical_?)?record_?(number|no|id)|(health_?)?insurance(_?(number|no|id))?|"
    r"(patient|subject|person|case|admission|order|request|exam|study|social_?security|national)_?(id|number|no|key)|"
    r"(visit|encounter)_?id|nhs(_?(number|no|id))?|hospital_?(number|no|id)|"
    r"(study|series|sop)_?(instance_?)?uid",
    re.IGNORECASE,
)
# Those that name somebody or some place beside the patient, which tells of him, too.
OTHERS = re.compile(
    r"((referring|performing|requesting|attending|reading|ordering|consulting|responsible)_?)?"
    r"(physicians?|doctors?|clinicians?|surgeons?|operators?|technicians?|technologists?)(_?names?)?|"
    r"(referring|referrer|referred_?by|requested_?by|performed_?by|ordered_?by)|(radiologist|reader)_?names?|"
    r"(hospital|institution|clinic)s?(_?(name|address|department))?",
    re.IGNORECASE,
)
PATHS = re.compile(
    r"((original|source|src|dicom|raw|old)_?)?(file_?)?(path|file|folder|directory|dir)s?(_?names?)?|file_?names?|"
    r"(original|source)_?(image|name)",
    re.IGNORECASE,
)
# Free words, in which anything may stand, and the day of birth: nothing of them can be kept.
REMOVED = re.compile(
    r"((patient|clinical|additional|study|image|radiology)_?)?"
    r"(comments?|remarks?|notes?|free_?text|report(_?text)?|narrative|impression|history)|"
    r"dob|(patient_?)?(date_?of_?)?birth_?(date|day)?s?|(patient_?)?birth_?time",
    re.IGNORECASE,
)


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
        rows = {
            path if path in keys else self.of(path): self._row(row, path if path in keys else self.of(path))
            for path, row in (table or {}).items()
        }
        return hidden, rows if table is not None else None

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
        )

    def _attribute(self, name: str, value: str, row: TableRow) -> str | None:
        """What may be kept of a further column; None where nothing may."""
        kind = _kind(name)
        if kind is REMOVED:
            return None
        if not value.strip():
            return value
        if kind is IDENTIFYING:
            return self.patient(value)
        if kind is OTHERS:
            return patient_name(self.secret, value)  # nobody's patient, so that no crosswalk tells it
        if kind is PATHS:
            return path_token(self.secret, value)
        if kind is DATED:
            return self._date(name, value, row)
        if _plain(name).lower() in ("age", "patient_age", "age_years") and re.fullmatch(r"\d+(\.\d+)?", value.strip()):
            return value if float(value) < OLDEST_AGE else str(OLDEST_AGE)
        return value

    def _date(self, name: str, value: str, row: TableRow) -> str | None:
        """Moved by the days of the row's patient, as the dates of his headers are; else, as there, it goes."""
        patient = (row.patient or "").strip()
        if PSEUDONYM.fullmatch(patient):  # a table that was exported here: its dates were moved before
            return value
        if not patient or not self.options.shift_dates:
            return None
        return moved(value, days_of(self.secret, f"patient /{patient}"), self.orders.get(name))


def _plain(name: str) -> str:
    return name.strip().replace(" ", "_").replace("-", "_")


@lru_cache(maxsize=1024)
def _kind(name: str) -> re.Pattern[str] | None:
    """Which columns a further one is of, by its name alone: the first that fits."""
    plain = _plain(name)
    return next((kind for kind in (REMOVED, IDENTIFYING, OTHERS, PATHS, DATED) if kind.fullmatch(plain)), None)


def _orders(rows: Iterable[TableRow]) -> dict[str, Order | None]:
    said: dict[str, list[str]] = {}
    for row in rows:
        for name, value in row.attributes.items():
            if _kind(name) is DATED:
                said.setdefault(name, []).append(value)
    return {name: order_of(values) for name, values in said.items()}


def _is_key(source: str, row: TableRow) -> bool:
    return name_parts(source)[1].lower() in RASTER and not row.from_case_column
